//! The checker: holds every reading against what was true.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use epsilon_clock::clock::ClockError;
use epsilon_clock::hlc::{HlcTimestamp, StampedInterval};
use epsilon_clock::lease::FencingToken;
use epsilon_clock::time::{Interval, RateBounds, Timestamp};

mod leases;

/// Truth and clocks are read in whole nanoseconds, rounded down, and a claim is carried over the
/// difference of two such readings: so much can a reading miss truth by rounding alone.
pub const RESOLUTION: Duration = Duration::from_nanos(2);

/// An invariant that readings are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Law {
    /// The oscillator's true rate lies in what was learned of it, for as long as that is used.
    D1,
    /// Some true instant between call and return of `now()` lies in the interval.
    T1,
    /// `after(t)` iff `t < earliest`; `before(t)` iff `t > latest`; never both.
    T2,
    /// `after(t)`, once observed, is never denied to a reader that learned of it.
    T3,
    /// If A's latest end lies before B's earliest, A really was before B.
    T4,
    /// If one commit is released before another begins, on any node, its timestamp is the lower.
    T5,
    /// Two nodes never hold one lease at one true instant.
    T7,
    /// While one claim is in force, no end moves slower or faster than its rate allows.
    T8,
    /// Honest readings of one instant intersect.
    T9,
    /// Nothing wraps or saturates silently.
    T10,
    /// Happened-before implies a strictly lesser hybrid logical stamp.
    H1,
    /// A stamp's interval contains true time.
    H10,
    /// A resource never accepts a write with an older token than one that it has accepted.
    W1,
}

impl Law {
    /// All that are checked.
    pub const ALL: [Self; 13] = [
        Self::D1,
        Self::T1,
        Self::T2,
        Self::T3,
        Self::T4,
        Self::T5,
        Self::T7,
        Self::T8,
        Self::T9,
        Self::T10,
        Self::H1,
        Self::H10,
        Self::W1,
    ];

    const fn index(self) -> usize {
        match self {
            Self::D1 => 0,
            Self::T1 => 1,
            Self::T2 => 2,
            Self::T3 => 3,
            Self::T4 => 4,
            Self::T5 => 5,
            Self::T7 => 6,
            Self::T8 => 7,
            Self::T9 => 8,
            Self::T10 => 9,
            Self::H1 => 10,
            Self::H10 => 11,
            Self::W1 => 12,
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A reading that broke a law, with what is needed to understand it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The law.
    pub law: Law,
    /// The name of the subject that was read.
    pub subject: String,
    /// True time when the reading was called for.
    pub called: Timestamp,
    /// True time when it returned.
    pub returned: Timestamp,
    /// What it said.
    pub interval: Option<Interval>,
    /// By how much it was wrong.
    pub by: Duration,
    /// What the caller had to add: the seed, the clock's status, the last faults.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} broken by {:?} at {}",
            self.law, self.by, self.subject
        )?;
        writeln!(f, "  called at   {}", self.called)?;
        writeln!(f, "  returned at {}", self.returned)?;
        if let Some(interval) = self.interval {
            writeln!(f, "  earliest    {}", interval.earliest())?;
            writeln!(f, "  latest      {}", interval.latest())?;
        }
        f.write_str(&self.detail)
    }
}

/// Names a clock (with all its clones) to a [`Checker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject(usize);

/// A reading that has been called for and has not returned yet; see [`Checker::call`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a reading is checked when it returns"]
pub struct Call {
    subject: Subject,
    called: Timestamp,
    /// The latest earliest end that this clock had shown before: nothing below it now (T3).
    known: Option<Timestamp>,
    /// The same over all clocks (T4).
    shown: Option<Timestamp>,
}

/// A commit that has begun and not got its timestamp yet; see [`Checker::commit`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a commit is checked when it gets its timestamp"]
pub struct Commit {
    subject: Subject,
    began: Timestamp,
    /// The highest timestamp that had been released by then.
    above: Option<Timestamp>,
}

/// What a clock says about itself, asked only when something looks wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// How many contradictions it has reported so far: one releases it from T3.
    pub contradictions: u64,
    /// What belongs in a report: its status, the seed, the last faults.
    pub detail: String,
}

#[derive(Clone, Debug)]
struct Record {
    name: String,
    known: Option<Timestamp>,
    contradictions: u64,
}

/// Who took a lease over last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    by: Subject,
    at: Timestamp,
}

/// Checks readings of clocks against true time and against each other.
///
/// It knows nothing of how the readings came about: feed it those of a simulated node, of your own
/// source, or of a whole system whose true time you know some other way. Take a [`Call`] before each
/// reading and give it back with the outcome after; readings may be nested (another thread's, while
/// the first one is interrupted) and must otherwise be told in the order in which they returned.
///
/// ```
/// use epsilon_clock_sim::{Checker, Daemon, Law, NodeConfig, Server, Testimony, World};
/// use std::time::Duration;
///
/// let world = World::new(5);
/// let node = world.node(NodeConfig::with_daemon(Daemon::chrony(Server::far())));
/// let clock = node.clock()?;
/// let mut checker = Checker::new();
/// let subject = checker.subject("node 0");
/// for _ in 0..1000 {
///     world.advance(Duration::from_millis(70));
///     let call = checker.call(subject, world.now());
///     let outcome = clock.now();
///     checker.returned(call, world.now(), &outcome, || Testimony {
///         contradictions: clock.status().counters.contradictions,
///         detail: world.log(),
///     });
/// }
/// assert_eq!(checker.broken(Law::T1), 0, "{}", checker.first().unwrap());
/// # Ok::<(), epsilon_clock::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Checker {
    records: Vec<Record>,
    shown: Option<Timestamp>,
    /// The highest timestamp of a commit that was released, on any clock.
    acknowledged: Option<Timestamp>,
    /// Who holds each lease by now, and since when.
    holders: BTreeMap<u64, Taken>,
    /// The highest token that each resource accepted a write with.
    accepted: BTreeMap<u64, FencingToken>,
    broken: [u64; Law::ALL.len()],
    readings: u64,
    first: Option<Violation>,
}

impl Checker {
    /// Creates a checker that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a clock known to it.
    pub fn subject(&mut self, name: &str) -> Subject {
        self.records.push(Record {
            name: name.to_owned(),
            known: None,
            contradictions: 0,
        });
        Subject(self.records.len() - 1)
    }

    /// Notes that a reading is called for at this true time.
    pub fn call(&self, subject: Subject, now: Timestamp) -> Call {
        Call {
            subject,
            called: now,
            known: self.records.get(subject.0).and_then(|record| record.known),
            shown: self.shown,
        }
    }

    /// Checks a reading that returned at this true time: whether it was true (T1), or an error.
    ///
    /// Checks T1 to T4 and T10. `testimony` is asked for only when something looks wrong.
    pub fn returned(
        &mut self,
        call: Call,
        now: Timestamp,
        outcome: &Result<Interval, ClockError>,
        testimony: impl FnOnce() -> Testimony,
    ) -> bool {
        self.readings += 1;
        let interval = match outcome {
            Ok(interval) => *interval,
            Err(error) => {
                if matches!(error, ClockError::Contradicted { .. }) {
                    self.forget(call.subject);
                }
                return true;
            }
        };
        let (earliest, latest) = (interval.earliest(), interval.latest());
        let early = miss(call.called, latest);
        let late = miss(earliest, now);
        if early.max(late) > RESOLUTION {
            self.report(
                Law::T1,
                &call,
                now,
                interval,
                early.max(late),
                testimony().detail,
            );
            // What is known to be false is not held against the others as well.
            return false;
        }
        if let Some(known) = call.known.filter(|known| *known > earliest) {
            let said = testimony();
            if self.released(call.subject, said.contradictions) {
                self.forget(call.subject);
            } else {
                let by = known.abs_diff(earliest);
                self.report(Law::T3, &call, now, interval, by, said.detail);
            }
        } else if let Some(shown) = call.shown.filter(|shown| miss(*shown, latest) > RESOLUTION) {
            let by = shown.abs_diff(latest);
            self.report(Law::T4, &call, now, interval, by, testimony().detail);
        } else if !ends_agree(&interval) {
            self.report(
                Law::T2,
                &call,
                now,
                interval,
                Duration::ZERO,
                testimony().detail,
            );
        } else if earliest > latest {
            self.report(
                Law::T10,
                &call,
                now,
                interval,
                Duration::ZERO,
                testimony().detail,
            );
        }
        self.shown = self.shown.max(Some(earliest));
        if let Some(record) = self.records.get_mut(call.subject.0) {
            record.known = record.known.max(Some(earliest));
        }
        true
    }

    /// Releases a clock from what it said before (T3): it reported a contradiction, or its claims are
    /// vouched for now and were assumed.
    pub fn forget(&mut self, subject: Subject) {
        if let Some(record) = self.records.get_mut(subject.0) {
            record.known = None;
        }
        self.shown = None;
        self.acknowledged = None;
    }

    /// Notes that a commit begins at this true time; give the answer to [`committed`](Self::committed).
    pub const fn commit(&self, subject: Subject, now: Timestamp) -> Commit {
        Commit {
            subject,
            began: now,
            above: self.acknowledged,
        }
    }

    /// Checks the commit's timestamp against all that were released before it began (T5).
    ///
    /// `now` is true time, `detail` what belongs in a report.
    pub fn committed(
        &mut self,
        commit: Commit,
        timestamp: Timestamp,
        now: Timestamp,
        detail: impl FnOnce() -> String,
    ) {
        if let Some(above) = commit.above.filter(|above| *above >= timestamp) {
            let call = self.call(commit.subject, commit.began);
            let by = above.abs_diff(timestamp);
            let interval = Interval::point(timestamp);
            self.report(Law::T5, &call, now, interval, by, detail());
        }
    }

    /// Checks an event's stamp against that of an event which happened before it (H1).
    pub fn stamped(
        &mut self,
        subject: Subject,
        stamp: HlcTimestamp,
        before: HlcTimestamp,
        now: Timestamp,
    ) {
        if stamp <= before {
            let call = self.call(subject, now);
            let interval = Interval::point(stamp.physical());
            let by = before.physical().abs_diff(stamp.physical());
            let detail = format!("  {stamp} was issued after {before}\n");
            self.report(Law::H1, &call, now, interval, by, detail);
        }
    }

    /// Checks a stamp's interval: some true instant between `called` and `now` lies in it (H10).
    pub fn stamped_within(
        &mut self,
        subject: Subject,
        stamped: &StampedInterval,
        called: Timestamp,
        now: Timestamp,
        detail: impl FnOnce() -> String,
    ) {
        let interval = stamped.interval;
        let by = miss(called, interval.latest()).max(miss(interval.earliest(), now));
        if by > RESOLUTION {
            let call = self.call(subject, called);
            self.report(Law::H10, &call, now, interval, by, detail());
        }
    }

    /// Notes a commit's release: whatever begins from now on has to be above its timestamp.
    pub fn acknowledged(&mut self, timestamp: Timestamp) {
        self.acknowledged = self.acknowledged.max(Some(timestamp));
    }

    /// Takes note of how many contradictions a clock has reported so far; whether that is news.
    pub fn released(&mut self, subject: Subject, contradictions: u64) -> bool {
        let Some(record) = self.records.get_mut(subject.0) else {
            return false;
        };
        let news = contradictions > record.contradictions;
        record.contradictions = record.contradictions.max(contradictions);
        news
    }

    /// Checks how far the ends moved between two readings of one clock under one claim (T8): raw time
    /// advanced by at least `least` and at most `most` ns, and so must they, up to what the claim's
    /// rate allows.
    ///
    /// `held` tells that a floor holds the earliest end up, which then may move less; or more, if
    /// another source's claim served in between and left a higher floor.
    pub fn slope(
        &mut self,
        subject: Subject,
        readings: [(Timestamp, Interval); 2],
        raw: [i64; 2],
        limits: SlopeLimits,
    ) {
        let [(called, before), (returned, after)] = readings;
        let [least, most] = raw.map(i128::from);
        let redrawn = i128::from(limits.redrawn_ns);
        let drift = |span: i128, ppb: i32| span * i128::from(ppb) / 1_000_000_000;
        let slowest = least + drift(least, limits.rate.lo_ppb()) - 2 - redrawn;
        let fastest = most + drift(most, limits.rate.hi_ppb()) + 2 + redrawn;
        let moved = |from: Timestamp, to: Timestamp| {
            i128::from(to.unix_nanos()) - i128::from(from.unix_nanos())
        };
        let earliest = moved(before.earliest(), after.earliest());
        let latest = moved(before.latest(), after.latest());
        let (slowest_earliest, fastest_earliest) = if limits.held {
            (0, earliest)
        } else {
            (slowest, fastest)
        };
        let by = (earliest - fastest_earliest)
            .max(slowest_earliest - earliest)
            .max(latest - fastest)
            .max(slowest - latest);
        if by > 0 {
            let call = self.call(subject, called);
            let by = Duration::from_nanos(u64::try_from(by).unwrap_or(u64::MAX));
            let detail = format!(
                "  before: {} to {}, raw time advanced by {least} to {most} ns\n",
                before.earliest(),
                before.latest()
            );
            self.report(Law::T8, &call, returned, after, by, detail);
        }
    }

    /// Checks the rate bounds that a reading was carried with against the oscillator's error (D1).
    pub fn rate(
        &mut self,
        subject: Subject,
        reading: (Timestamp, Interval),
        bounds: RateBounds,
        truth_ppb: i64,
    ) {
        let (lo, hi) = (i64::from(bounds.lo_ppb()), i64::from(bounds.hi_ppb()));
        let by = (lo - truth_ppb).max(truth_ppb - hi);
        if by > 0 {
            let call = self.call(subject, reading.0);
            // In a second of it.
            let by = Duration::from_nanos(by.unsigned_abs());
            let detail = format!("  rate {truth_ppb} ppb, outside of {lo} to {hi} ppb\n");
            self.report(Law::D1, &call, reading.0, reading.1, by, detail);
        }
    }

    /// Checks that two true readings, taken within `within` of each other, overlap (T9).
    pub fn instant(
        &mut self,
        one: (Subject, Interval),
        other: Interval,
        now: Timestamp,
        within: Duration,
    ) {
        if let Some(gap) = one.1.gap(&other).filter(|gap| *gap > within + RESOLUTION) {
            let call = self.call(one.0, now);
            let detail = format!("  the other: {} to {}\n", other.earliest(), other.latest());
            self.report(Law::T9, &call, now, one.1, gap, detail);
        }
    }

    fn report(
        &mut self,
        law: Law,
        call: &Call,
        returned: Timestamp,
        interval: Interval,
        by: Duration,
        detail: String,
    ) {
        if let Some(count) = self.broken.get_mut(law.index()) {
            *count += 1;
        }
        if self.first.is_none() {
            let name = self
                .records
                .get(call.subject.0)
                .map_or("?", |record| &record.name);
            self.first = Some(Violation {
                law,
                subject: name.to_owned(),
                called: call.called,
                returned,
                interval: Some(interval),
                by,
                detail,
            });
        }
    }

    /// Counts the readings that it was told of, errors among them.
    #[must_use]
    pub const fn readings(&self) -> u64 {
        self.readings
    }

    /// Counts the readings that broke this law.
    #[must_use]
    pub fn broken(&self, law: Law) -> u64 {
        self.broken.get(law.index()).copied().unwrap_or(0)
    }

    /// Counts the violations of any law.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.broken.iter().sum()
    }

    /// Returns the first violation.
    #[must_use]
    pub const fn first(&self) -> Option<&Violation> {
        self.first.as_ref()
    }
}

/// What T8 allows the ends of an interval to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlopeLimits {
    /// How fast true time may run against raw time under the claim.
    pub rate: RateBounds,
    /// Whether a floor holds the earliest end up.
    pub held: bool,
    /// By how many ns an end may jump as the line is drawn anew through the counter (0.4 µs), or by none.
    pub redrawn_ns: i64,
}

fn miss(earlier: Timestamp, later: Timestamp) -> Duration {
    if earlier > later {
        earlier.abs_diff(later)
    } else {
        Duration::ZERO
    }
}

fn ends_agree(interval: &Interval) -> bool {
    // T2 at the instants where the answer changes; between them it is constant.
    let nanosecond = Duration::from_nanos(1);
    let (earliest, latest) = (interval.earliest(), interval.latest());
    let below = earliest.checked_sub(nanosecond);
    let above = latest.checked_add(nanosecond);
    !interval.after(earliest)
        && !interval.before(latest)
        && below.is_none_or(|t| interval.after(t) && !interval.before(t))
        && above.is_none_or(|t| interval.before(t) && !interval.after(t))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_unix_nanos(nanos)
    }

    fn span(earliest: i64, latest: i64) -> Result<Interval, ClockError> {
        Ok(Interval::new(at(earliest), at(latest)).unwrap())
    }

    fn quiet() -> Testimony {
        Testimony::default()
    }

    #[test]
    fn a_reading_needs_one_true_instant_between_call_and_return() {
        let mut checker = Checker::new();
        let subject = checker.subject("one");
        for (earliest, latest, is_true) in [
            (0, 100, true),
            (112, 200, true),
            (113, 200, false),
            (0, 97, false),
        ] {
            checker.forget(subject);
            let call = checker.call(subject, at(100));
            assert_eq!(
                checker.returned(call, at(110), &span(earliest, latest), quiet),
                is_true
            );
        }
        assert_eq!(
            (
                checker.broken(Law::T1),
                checker.violations(),
                checker.readings()
            ),
            (2, 2, 4)
        );
        let first = checker.first().unwrap();
        assert_eq!((first.law, first.by), (Law::T1, Duration::from_nanos(3)));
        assert!(first.to_string().contains("T1 broken by 3ns at one"));
    }

    #[test]
    fn what_was_after_stays_after_unless_a_contradiction_was_reported() {
        let mut checker = Checker::new();
        let subject = checker.subject("one");
        let call = checker.call(subject, at(100));
        checker.returned(call, at(100), &span(90, 110), quiet);
        let nested = checker.call(subject, at(105));
        let call = checker.call(subject, at(105));
        checker.returned(call, at(105), &span(95, 120), quiet);
        // Called before that one returned: nobody could have told it.
        checker.returned(nested, at(106), &span(92, 120), quiet);
        assert_eq!(checker.violations(), 0);
        let call = checker.call(subject, at(107));
        checker.returned(call, at(107), &span(94, 120), quiet);
        assert_eq!(checker.broken(Law::T3), 1);
        let call = checker.call(subject, at(108));
        let contradicted = || Testimony {
            contradictions: 1,
            detail: String::new(),
        };
        checker.returned(call, at(108), &span(80, 120), contradicted);
        assert_eq!(checker.violations(), 1);
    }

    #[test]
    fn order_between_clocks_is_held_against_the_order_of_the_readings() {
        let mut checker = Checker::new();
        let (one, other) = (checker.subject("one"), checker.subject("other"));
        let early = checker.call(other, at(100));
        let call = checker.call(one, at(120));
        checker.returned(call, at(120), &span(119, 121), quiet);
        checker.returned(early, at(121), &span(99, 101), quiet);
        assert_eq!(checker.violations(), 0);
        // True by itself, given how long it took; but it says that it was before the other one.
        let call = checker.call(other, at(122));
        checker.returned(call, at(130), &span(100, 122), quiet);
        assert_eq!(checker.violations(), 0);
        let call = Call {
            called: at(100),
            ..checker.call(other, at(125))
        };
        checker.returned(call, at(130), &span(100, 116), quiet);
        assert_eq!(checker.broken(Law::T4), 1);
    }

    #[test]
    fn commits_are_held_against_those_released_before_they_began() {
        let mut checker = Checker::new();
        let (one, other) = (checker.subject("one"), checker.subject("other"));
        checker.acknowledged(at(100));
        let early = checker.commit(other, at(150));
        checker.acknowledged(at(120));
        // It began before 120 was released, so it need not be above that.
        checker.committed(early, at(110), at(160), String::new);
        let next = checker.commit(one, at(170));
        checker.committed(next, at(121), at(180), String::new);
        assert_eq!(checker.violations(), 0);
        let late = checker.commit(other, at(190));
        checker.committed(late, at(120), at(200), String::new);
        assert_eq!((checker.broken(Law::T5), checker.violations()), (1, 1));
    }

    #[test]
    fn stamps_are_held_against_their_causes_and_the_truth() {
        let mut checker = Checker::new();
        let subject = checker.subject("one");
        let stamp = |micros: i64| HlcTimestamp::new(at(micros * 1_000), 0).unwrap();
        checker.stamped(subject, stamp(8), stamp(7), at(9_000));
        assert_eq!(checker.violations(), 0);
        checker.stamped(subject, stamp(7), stamp(7), at(9_000));
        assert_eq!(checker.broken(Law::H1), 1);
        for (earliest, latest, broken) in [(0, 100, 0), (112, 200, 0), (113, 200, 1), (0, 97, 2)] {
            let stamped = StampedInterval {
                timestamp: stamp(1),
                interval: span(earliest, latest).unwrap(),
            };
            checker.stamped_within(subject, &stamped, at(100), at(110), String::new);
            assert_eq!(checker.broken(Law::H10), broken);
        }
    }

    #[test]
    fn slopes_and_instants_are_measured() {
        let mut checker = Checker::new();
        let subject = checker.subject("one");
        let limits = SlopeLimits {
            rate: RateBounds::symmetric(1_000_000),
            held: false,
            redrawn_ns: 0,
        };
        let [a, b, c] =
            [span(0, 10), span(99_900, 100_110), span(99_800, 100_110)].map(Result::unwrap);
        let raw = [100_000, 100_000];
        checker.slope(subject, [(at(0), a), (at(0), b)], raw, limits);
        assert_eq!(checker.violations(), 0);
        checker.slope(subject, [(at(0), a), (at(0), c)], raw, limits);
        assert_eq!(checker.broken(Law::T8), 1);
        checker.slope(
            subject,
            [(at(0), a), (at(0), c)],
            raw,
            SlopeLimits {
                held: true,
                ..limits
            },
        );
        assert_eq!(checker.broken(Law::T8), 1);
        checker.instant((subject, a), b, at(0), Duration::from_micros(1));
        assert_eq!(checker.broken(Law::T9), 1);
    }
}
