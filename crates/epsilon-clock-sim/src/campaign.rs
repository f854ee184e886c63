//! The campaign: plays scenarios and holds every reading against the truth.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use crate::checker::{Checker, Law};
use crate::config::Sources;
use crate::counter::Counter;
use crate::histogram::Histogram;
use crate::kernel::SECOND;
use crate::node::Node;
use crate::observer::{Ledger, NEAR, Observer, lock};
use crate::random::{Random, mix};
use crate::reader::Reader;
use crate::scenario::{Expectation, Scenario, Stage};
use crate::tally::Tally;
use epsilon_clock::clock::{BuildError, Clock, ClockBuilder, DriftLearning};

/// Plays scenarios, one seed after the other.
///
/// ```
/// use epsilon_clock_sim::{Campaign, Scenario};
///
/// let scenario = Scenario::named("steps").unwrap();
/// let tally = Campaign::new().readings_per_run(500).play(scenario, 1)?;
/// assert_eq!(tally.violations(), 0, "{}", tally.first().unwrap());
/// # Ok::<(), epsilon_clock::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Campaign {
    readings_per_run: u64,
    learning: DriftLearning,
    sources: Option<Sources>,
    counter: Option<Counter>,
}

impl Default for Campaign {
    fn default() -> Self {
        Self {
            readings_per_run: 4_000,
            learning: DriftLearning::default(),
            sources: None,
            counter: None,
        }
    }
}

/// Makes the clock that is tried on a node; the settings are the scenario's.
type Build<'a> =
    &'a dyn Fn(&Node, fn(ClockBuilder) -> ClockBuilder) -> Result<Box<dyn Reader>, BuildError>;

impl Campaign {
    /// Creates a campaign of about 4000 readings a run.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets about how many readings each run makes.
    #[must_use]
    pub const fn readings_per_run(mut self, readings: u64) -> Self {
        self.readings_per_run = readings;
        self
    }

    /// Sets whether the clocks learn how their oscillators run; by default they do.
    #[must_use]
    pub const fn drift_learning(mut self, learning: DriftLearning) -> Self {
        self.learning = learning;
        self
    }

    /// Sets the sources of the clocks, whatever the scenario says.
    #[must_use]
    pub const fn sources(mut self, sources: Sources) -> Self {
        self.sources = Some(sources);
        self
    }

    /// Lets the clocks read their nodes' counters, or not, whatever the scenario says.
    ///
    /// For [`Counter::Sleepless`] a machine that sleeps in its scenario takes [`Counter::Readable`].
    #[must_use]
    pub const fn counter(mut self, counter: Counter) -> Self {
        self.counter = Some(counter);
        self
    }

    /// Plays a scenario with one seed, on the crate's own clock with the scenario's settings.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a clock could not be built.
    pub fn play(&self, scenario: &Scenario, seed: u64) -> Result<Tally, BuildError> {
        self.play_with(scenario, seed, &|node, settings| {
            let settings = |builder| settings(builder).drift_learning(self.learning);
            match self.counter {
                // No machine that sleeps shows that it never does.
                Some(Counter::Sleepless { hertz }) if node.will_sleep() => {
                    node.set_counter(Counter::Readable { hertz });
                }
                Some(counter) => node.set_counter(counter),
                None => {}
            }
            let clock: Clock = match self.sources {
                None => node.clock_with(settings)?,
                Some(sources) => node.clock_asking(sources, settings)?,
            };
            Ok(Box::new(clock))
        })
    }

    /// Plays a scenario with one seed, on clocks that `build` makes.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a clock could not be built.
    pub fn play_with(
        &self,
        scenario: &Scenario,
        seed: u64,
        build: Build<'_>,
    ) -> Result<Tally, BuildError> {
        let stage = scenario.stage(seed);
        let context = format!("scenario {}, seed {seed}", scenario.name());
        let mut run = Run::new(stage, context.into(), build)?;
        run.play(self.readings_per_run.max(1))?;
        Ok(run.end(scenario))
    }
}

/// One scenario with one seed.
struct Run<'a> {
    stage: Stage,
    build: Build<'a>,
    context: Arc<str>,
    ledger: Arc<Mutex<Ledger>>,
    observers: Vec<Arc<Observer>>,
}

impl<'a> Run<'a> {
    fn new(stage: Stage, context: Arc<str>, build: Build<'a>) -> Result<Self, BuildError> {
        let mut run = Self {
            stage,
            build,
            context,
            ledger: Arc::default(),
            observers: Vec::new(),
        };
        for node in run.stage.nodes.clone() {
            let observer = run.observer(&node)?;
            run.observers.push(observer);
        }
        Ok(run)
    }

    fn observer(&mut self, node: &Node) -> Result<Arc<Observer>, BuildError> {
        let reader = (self.build)(node, self.stage.settings)?;
        let (ledger, context) = (Arc::clone(&self.ledger), Arc::clone(&self.context));
        let observer = Arc::new(Observer::new(node.clone(), reader, ledger, context));
        let interrupting = Arc::clone(&observer);
        let chance = Mutex::new(Random::new(self.stage.random.next_u64()));
        node.when_interrupted(move || {
            let look = lock(&chance).chance(400_000);
            interrupting.interrupt(look);
        });
        Ok(observer)
    }

    fn play(&mut self, readings: u64) -> Result<(), BuildError> {
        // Half of the readings go to bursts, as long as there is anything to aim them at.
        let pause = self.stage.span / i64::try_from(readings).unwrap_or(i64::MAX).max(1) * 6;
        let pause = pause.clamp(10_000, self.stage.idle);
        while self.stage.world.mark().now < self.stage.span {
            let reach = Duration::from_nanos(pause.unsigned_abs() * 4);
            let aim = self
                .stage
                .world
                .next_happening()
                .filter(|next| *next < reach);
            match aim {
                Some(next) if self.stage.random.chance(self.stage.aim) => self.burst(next),
                _ => self.stroll(pause),
            }
            if self.stage.restarts && self.stage.random.chance(20_000) {
                self.restart()?;
            }
        }
        Ok(())
    }

    fn stroll(&mut self, pause: i64) {
        let longest = if self.stage.random.chance(20_000) {
            self.stage.idle
        } else {
            2 * pause
        };
        self.wait(1, longest);
        for _ in 0..self.stage.random.between(1, 5) {
            self.glance();
            self.wait(1, 2_000_000);
        }
    }

    fn burst(&mut self, next: Duration) {
        let early = self.stage.random.between(0, NEAR);
        let lead = next.saturating_sub(Duration::from_nanos(early.unsigned_abs()));
        self.stage.world.advance(lead);
        let until = self.stage.world.mark().now + early + NEAR;
        let pause = self.stage.random.scattered(10_000, 1_000_000);
        for _ in 0..100 {
            self.glance();
            self.wait(pause / 4, pause);
            if self.stage.world.mark().now > until {
                break;
            }
        }
    }

    fn wait(&mut self, least: i64, most: i64) {
        let span = self.stage.random.scattered(least, most);
        self.stage
            .world
            .advance(Duration::from_nanos(span.unsigned_abs()));
    }

    fn glance(&mut self) {
        let count = i64::try_from(self.observers.len()).unwrap_or(1);
        let which = usize::try_from(self.stage.random.between(0, count)).unwrap_or(0);
        if self.stage.random.chance(100_000) {
            self.compare();
        } else if let Some(observer) = self.observers.get(which) {
            observer.refresh();
            if self.stage.random.chance(80_000) {
                observer.probe();
            }
            observer.observe();
            observer.commit();
            if self.stage.random.chance(100_000) {
                observer.stamp();
            }
        }
    }

    /// Reads every node, one right after the other: they must not contradict each other (T9).
    fn compare(&self) {
        let mut seen = Vec::new();
        for observer in &self.observers {
            if let Some((subject, interval, called, returned)) = observer.observe() {
                let checker: &mut Checker = &mut lock(&self.ledger).checker;
                for (other, other_called) in &seen {
                    let elapsed: i64 = returned - *other_called;
                    let within = Duration::from_nanos(elapsed.max(0).unsigned_abs());
                    let now = epsilon_clock::Timestamp::from_unix_nanos(returned);
                    checker.instant((subject, interval), *other, now, within);
                }
                seen.push((interval, called));
            }
        }
    }

    fn restart(&mut self) -> Result<(), BuildError> {
        let count = i64::try_from(self.observers.len()).unwrap_or(1);
        let which = usize::try_from(self.stage.random.between(0, count)).unwrap_or(0);
        let Some(node) = self.stage.nodes.get(which).cloned() else {
            return Ok(());
        };
        let observer = self.observer(&node)?;
        if let Some(place) = self.observers.get_mut(which) {
            *place = observer;
        }
        Ok(())
    }

    fn end(self, scenario: &Scenario) -> Tally {
        let ledger = lock(&self.ledger);
        let mut tally = ledger.tally.clone();
        tally.runs = 1;
        for (count, law) in tally.broken.iter_mut().zip(Law::ALL) {
            *count = ledger.checker.broken(law);
        }
        tally.first = ledger.checker.first().cloned().map(Box::new);
        tally.short_writes = self.stage.world.short_writes().0;
        tally.writes = self.stage.world.writes();
        if !scenario.measures_growth() {
            tally.growth = Histogram::default();
            tally.kernel_growth = Histogram::default();
        }
        tally
    }
}

/// What came of one scenario.
#[derive(Clone, Debug)]
struct Row {
    scenario: Scenario,
    tally: Tally,
    /// The same seeds on clocks that learned nothing.
    unlearned: Option<Tally>,
}

/// A campaign's outcome, scenario by scenario; displays as a Markdown table with a summary.
#[derive(Clone, Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Creates a summary without rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what came of a scenario, and of the same on clocks that do not learn their oscillator's
    /// rate ([`DriftLearning::Off`]) if that was played.
    pub fn add(&mut self, scenario: Scenario, tally: Tally, unlearned: Option<Tally>) {
        self.rows.push(Row {
            scenario,
            tally,
            unlearned,
        });
    }

    /// Lists what was not as expected, one a line; empty if all is well.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for Row {
            scenario,
            tally,
            unlearned,
        } in &self.rows
        {
            let mut complain =
                |what: String| complaints.push(format!("{}: {what}", scenario.name()));
            let false_ones = tally.violations();
            match scenario.expectation() {
                Expectation::True | Expectation::Refused if false_ones > 0 => {
                    complain(format!("{false_ones} violations, none expected"));
                }
                Expectation::Refused if tally.answered() > 0 => {
                    complain(format!("{} answers, none expected", tally.answered()));
                }
                // Not every seed makes an assumption's breach show.
                Expectation::False { .. } if false_ones == 0 && tally.runs() >= 20 => {
                    complain("no violation, some expected: the world is too kind".into());
                }
                _ => {}
            }
            let breaks_a2 = matches!(
                scenario.expectation(),
                Expectation::False { broken } if broken.starts_with("A2")
            );
            if tally.short_writes() > 0 && !breaks_a2 {
                complain(format!("{} dishonest writes", tally.short_writes()));
            }
            if let (Some(mine), Some(kernel)) = (tally.growth(), tally.kernel_growth()) {
                // What learning is for.
                if mine * 4 > kernel {
                    complain(format!(
                        "grows by {mine:?} where the kernel grows by {kernel:?}"
                    ));
                }
            }
            let unlearned = unlearned.as_ref().map_or(0, Tally::violations);
            if unlearned > 0 && !matches!(scenario.expectation(), Expectation::False { .. }) {
                complain(format!("{unlearned} violations without learning"));
            }
            if scenario.measures_growth() {
                complaints.extend(too_often_refused(scenario.name(), tally));
            }
        }
        let mut awake = Tally::default();
        for Row {
            scenario, tally, ..
        } in &self.rows
        {
            let honest = !matches!(scenario.expectation(), Expectation::False { .. });
            if honest && scenario.refuses().is_none() {
                awake.merge(tally);
            }
        }
        // A few of them say nothing of all.
        let played = |scenario: &Scenario| {
            self.rows
                .iter()
                .any(|row| row.scenario.name() == scenario.name())
        };
        if Scenario::all().iter().all(played) {
            complaints.extend(too_often_refused("all scenarios", &awake));
        }
        complaints
    }

    fn total(&self, honest: bool) -> Tally {
        let mut total = Tally::default();
        for Row {
            scenario, tally, ..
        } in &self.rows
        {
            if matches!(scenario.expectation(), Expectation::False { .. }) != honest {
                total.merge(tally);
            }
        }
        total
    }

    /// Adds up the scenarios in which the assumptions hold.
    #[must_use]
    pub fn honest(&self) -> Tally {
        self.total(true)
    }
}

/// The table, what broke on purpose, and `total: N readings, V violations`, which counts the
/// scenarios in which the assumptions hold.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "| scenario | readings | violations | max \\|error\\| / half-width | ε p99 \
             | median: maxerror, ε by max_drift, ε learned | growth since the write, likewise \
             | refused while healthy, in all |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|\n",
        )?;
        for row in &self.rows {
            row.fmt(f)?;
        }
        writeln!(f)?;
        for row in &self.rows {
            row.write_notes(f)?;
        }
        for Row {
            scenario, tally, ..
        } in &self.rows
        {
            if let Some(why) = scenario.refuses() {
                writeln!(
                    f,
                    "`{}` refuses {} of healthy time and is left out of that limit: {why}.",
                    scenario.name(),
                    Percent(tally.refused_healthy_ppm()),
                )?;
            }
        }
        let honest = self.honest();
        let near = Percent(honest.near() * 1_000_000 / honest.readings().max(1));
        writeln!(f)?;
        writeln!(
            f,
            "near: {} readings ({near}) within 20 ms of a fault or a write",
            honest.near()
        )?;
        if honest.unknowable() > 0 {
            writeln!(
                f,
                "unknowable: {} readings between a second left out and the sight of the daemon's step over it (A5)",
                honest.unknowable()
            )?;
        }
        let violations = honest.violations();
        write!(
            f,
            "total: {} readings, {violations} violations",
            honest.readings()
        )
    }
}

/// Safety must not be bought by refusing to answer: less than a thousandth of the time in which a
/// daemon is healthy. Asked of each scenario in which nothing but a healthy daemon happens, and of
/// all honest ones together, but for those that say why they refuse more ([`Scenario::refuses`]):
/// where faults happen, one unlucky write in a few runs is more than that.
fn too_often_refused(name: &str, tally: &Tally) -> Option<String> {
    if tally.refused_healthy_ppm() < 1_000 {
        return None;
    }
    let share = Percent(tally.refused_healthy_ppm());
    let why: Vec<String> = tally
        .reasons()
        .map(|(reason, ppm)| format!("{reason} {}", Percent(ppm)))
        .collect();
    let why = why.join(", ");
    Some(format!(
        "{name}: refused for {share} of healthy time: {why}"
    ))
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let broken = match self.scenario.expectation() {
            Expectation::False { .. } => " (on purpose)",
            Expectation::True | Expectation::Refused => "",
        };
        write!(
            f,
            "| {} | {} | {}{broken} | ",
            self.scenario.name(),
            tally.readings(),
            tally.violations(),
        )?;
        if tally.answered() == 0 {
            write!(f, "– | – | – | – | ")?;
        } else {
            let thousandths = tally.peak_ppm() / 1_000;
            let (whole, part) = (thousandths / 1_000, thousandths % 1_000);
            write!(f, "{whole}.{part:03} | {} | ", Micros(tally.epsilon(990)))?;
            let beside = |of: fn(&Tally) -> Option<Duration>| self.unlearned.as_ref().and_then(of);
            write!(
                f,
                "{}, {}, {} | ",
                Micros(tally.kernel_epsilon()),
                Micros(beside(Tally::synchronized_epsilon)),
                Micros(tally.synchronized_epsilon()),
            )?;
            match (tally.kernel_growth(), tally.growth()) {
                (Some(kernel), Some(mine)) => write!(
                    f,
                    "{}, {}, {} | ",
                    Micros(Some(kernel)),
                    Micros(beside(Tally::growth)),
                    Micros(Some(mine)),
                )?,
                _ => write!(f, "– | ")?,
            }
        }
        writeln!(
            f,
            "{}, {} |",
            Percent(tally.refused_healthy_ppm()),
            Percent(tally.refused_ppm()),
        )
    }
}

impl Row {
    fn write_notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scenario, tally) = (&self.scenario, &self.tally);
        if let Expectation::False { broken } = scenario.expectation() {
            writeln!(
                f,
                "`{}` breaks {broken}: {} false readings, {} contradictions noticed.",
                scenario.name(),
                tally.broken(Law::T1),
                tally.noticed(),
            )?;
        }
        if !scenario.measures_holdover() {
            return Ok(());
        }
        for (age, learned, kernel) in tally.holdover() {
            // Without learning it may be too wide to be answered by then.
            let guessed = self.unlearned.iter().flat_map(Tally::holdover);
            let guessed = guessed
                .filter(|(at, ..)| *at == age)
                .map(|(_, epsilon, _)| epsilon);
            writeln!(
                f,
                "`{}`: {age:?} after the last write maxerror is {}, ε by max_drift {}, learned {}.",
                scenario.name(),
                Micros(Some(kernel)),
                Micros(guessed.min()),
                Micros(Some(learned)),
            )?;
        }
        Ok(())
    }
}

/// A share in millionths, as per cent.
struct Percent(u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} %", self.0 / 10_000, self.0 % 10_000 / 10)
    }
}

/// A span to three digits or so.
struct Micros(Option<Duration>);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(span) = self.0 else {
            return f.write_str("–");
        };
        let micros = span.as_micros();
        if micros < 10_000 {
            write!(f, "{micros} µs")
        } else {
            write!(f, "{}.{} ms", micros / 1_000, micros % 1_000 / 100)
        }
    }
}

/// Returns the seed of a run, by its number from 0.
#[must_use]
pub const fn seed_of(run: u64) -> u64 {
    mix(run) >> 32
}

const _: () = assert!(NEAR < SECOND);
