//! A picture of epsilon: the sawtooth of the kernel's maximum error, and ours below it.
//!
//! `cargo run --release -p epsilon-clock-sim --example sawtooth`, and `-- --help` for what else it can do.
//!
//! Records half an hour in a simulated world, where chrony polls a server every 64 s and true time is
//! known, or so many seconds of this machine; writes the picture as SVG. The kernel lets its bound
//! grow by 500 ppm from one write of the daemon to the next, the crate by what its oscillator may
//! really have drifted, which it learns.
//!
//! Ends with 1 if an interval missed the true time, or if ours was not the smaller bound when the
//! daemon's next write came.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program says what it did"
)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::machine::NtpStatus;
use epsilon_clock::{BuildError, Clock, TimeDelta};
use epsilon_clock_sim::{Daemon, NodeConfig, Oscillator, Random, Server, World};
use lexopt::ValueExt;
use plotters::prelude::*;

const HELP: &str = "\
Records epsilon and draws it as SVG, beside the maximum error that the kernel reports.

Usage: sawtooth [OPTIONS]

Options:
      --sim HOURS      record so many hours of a simulated world (chrony, a poll of 64 s) [0.5]
      --poll SECONDS   how often the daemon polls there [64]
      --seed N         another simulated world [1]
      --seconds N      record N seconds of this machine instead; it needs a synchronised clock
      --out FILE       where to write the picture [sawtooth.svg]
  -h, --help           print this

Exit codes: 0 done; 1 what was to be shown does not hold; 64 bad arguments; 69 there was no interval,
because nobody vouches for the clock; 74 the picture could not be written.
";

/// What the program demonstrates does not hold.
const BROKEN: u8 = 1;
/// Bad arguments (`EX_USAGE` in `sysexits.h`).
const USAGE: u8 = 64;
/// No clock, or none that anybody vouches for (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// The output cannot be written (`EX_IOERR`).
const IO_ERROR: u8 = 74;

/// How many samples there are at least: about one for each column of the picture.
const SAMPLES: u32 = 900;

/// Rarer samples would miss where a tooth begins and ends.
const LONGEST_STEP: Duration = Duration::from_secs(2);

const SIZE: (u32, u32) = (960, 440);
const KERNEL: RGBColor = RGBColor(196, 98, 16);
const OURS: RGBColor = RGBColor(22, 96, 167);
const ERROR: RGBColor = RGBColor(70, 70, 70);
const WRITE: RGBColor = RGBColor(120, 120, 120);

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("sawtooth: {error}; see --help");
            return ExitCode::from(USAGE);
        }
    };
    let record = match &options.subject {
        Subject::Simulated(world) => world.record(),
        Subject::Machine(span) => record_machine(*span),
    };
    let record = match record {
        Ok(record) if record.samples.iter().any(|sample| sample.ours.is_some()) => record,
        Ok(_) => {
            eprintln!(
                "sawtooth: nobody vouched for this machine's clock: `--example doctor` tells why, \
                 and --sim records a simulated one"
            );
            return ExitCode::from(UNAVAILABLE);
        }
        Err(error) => {
            eprintln!("sawtooth: {error}");
            return ExitCode::from(UNAVAILABLE);
        }
    };
    if let Err(error) = draw(&record, &options) {
        eprintln!("sawtooth: {}: {error}", options.out.display());
        return ExitCode::from(IO_ERROR);
    }
    println!("{}", record.summary());
    println!("The picture is in {}.", options.out.display());
    ExitCode::from(if record.holds() { 0 } else { BROKEN })
}

struct Options {
    subject: Subject,
    out: PathBuf,
}

enum Subject {
    Simulated(Simulated),
    Machine(Duration),
}

struct Simulated {
    span: Duration,
    poll: Duration,
    seed: u64,
}

impl Options {
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::{Long, Short};

        let mut simulated = Simulated {
            span: Duration::from_secs(1_800),
            poll: Duration::from_secs(64),
            seed: 1,
        };
        let mut machine = None;
        let mut out = PathBuf::from("sawtooth.svg");
        while let Some(argument) = parser.next()? {
            match argument {
                Long("sim") => simulated.span = parser.value()?.parse_with(hours)?,
                Long("poll") => simulated.poll = parser.value()?.parse_with(seconds)?,
                Long("seed") => simulated.seed = parser.value()?.parse()?,
                Long("seconds") => machine = Some(parser.value()?.parse_with(seconds)?),
                Long("out") => out = parser.value()?.into(),
                Long("help") | Short('h') => return Ok(None),
                _ => return Err(argument.unexpected()),
            }
        }
        let subject = machine.map_or(Subject::Simulated(simulated), Subject::Machine);
        Ok(Some(Self { subject, out }))
    }
}

fn hours(text: &str) -> Result<Duration, String> {
    let hours: f64 = text.parse().map_err(|_| "give a number of hours")?;
    let span = Duration::try_from_secs_f64(3600.0 * hours);
    match span {
        Ok(span) if (180..=360_000).contains(&span.as_secs()) => Ok(span),
        _ => Err("give three minutes (0.05) to a hundred hours".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("give whole seconds, from 1 to 86400".to_owned()),
    }
}

// --- what is recorded ----------------------------------------------------------------------------

/// One look at everything; what is not known is not drawn.
struct Sample {
    at: Duration,
    kernel: Option<Duration>,
    ours: Option<Duration>,
    /// By how much our best estimate was wrong, where true time is known.
    error: Option<TimeDelta>,
    /// Whether the daemon wrote since the last sample.
    written: bool,
}

struct Record {
    title: String,
    samples: Vec<Sample>,
}

/// Writes that follow each other faster leave the margins no time to be outgrown: ours begins some
/// 0.3 ms above what the daemon wrote, and gains as much on the kernel's in each second.
const TOOTH: Duration = Duration::from_secs(5);

impl Record {
    /// At how many writes ours was the smaller bound just before, of those that ended a tooth.
    fn before_writes(&self) -> (usize, usize) {
        let (mut smaller, mut all) = (0, 0);
        let mut began: Option<Duration> = None;
        for two in self.samples.windows(2) {
            let [before, after] = two else { continue };
            if !after.written {
                continue;
            }
            let tooth = began.map(|began| before.at.saturating_sub(began));
            began = Some(after.at);
            if let (true, Some(ours), Some(kernel)) =
                (tooth >= Some(TOOTH), before.ours, before.kernel)
            {
                all += 1;
                smaller += usize::from(ours < kernel);
            }
        }
        (smaller, all)
    }

    fn missed(&self) -> usize {
        let missed = |sample: &&Sample| {
            let both = sample.error.zip(sample.ours);
            both.is_some_and(|(error, ours)| error.unsigned_abs() > ours)
        };
        self.samples.iter().filter(missed).count()
    }

    fn holds(&self) -> bool {
        let (smaller, all) = self.before_writes();
        // In the simulated world there are teeth, or something is wrong.
        let simulated = self.samples.iter().any(|sample| sample.error.is_some());
        self.missed() == 0 && smaller == all && (all > 0 || !simulated)
    }

    fn summary(&self) -> String {
        let (smaller, all) = self.before_writes();
        let known = self.samples.iter().filter(|s| s.error.is_some()).count();
        let truth = match known {
            0 => String::new(),
            _ => format!(
                " True time was outside of {} of {known} intervals.",
                self.missed()
            ),
        };
        format!(
            "{} samples. Of {all} writes that ended {} s or more of silence, ours was the smaller bound \
             just before {smaller}.{truth}",
            self.samples.len(),
            TOOTH.as_secs(),
        )
    }
}

impl Simulated {
    fn record(&self) -> Result<Record, BuildError> {
        let world = World::new(self.seed);
        let node = world.node(NodeConfig {
            oscillator: Oscillator::ordinary(&mut Random::new(self.seed)),
            ..NodeConfig::with_daemon(Daemon {
                poll: self.poll,
                ..Daemon::chrony(Server::near())
            })
        });
        let clock = node.clock()?;
        // The clock looks a few times a second, as it does where somebody uses it.
        let step = (self.span / SAMPLES).clamp(Duration::from_millis(250), LONGEST_STEP);
        let looks = u32::try_from(step.as_millis() / 250)
            .unwrap_or(u32::MAX)
            .max(1);
        let mut writes = 0;
        let mut samples = Vec::new();
        while world.elapsed() < self.span {
            for _ in 0..looks {
                world.advance(step / looks);
                let _ = clock.now();
            }
            // A look, so that ours is as fresh as the kernel's.
            let now = clock.look().ok();
            let truth = world.now();
            samples.push(Sample {
                at: world.elapsed(),
                kernel: kernel_bound(&node.ntp_status()),
                ours: now.map(|now| now.epsilon()),
                error: now.and_then(|now| now.midpoint().checked_since(truth)),
                written: clock.status().counters.writes > writes,
            });
            writes = clock.status().counters.writes;
        }
        Ok(Record {
            title: format!(
                "Bounds on the clock's error, chrony at a poll of {} s (simulated)",
                self.poll.as_secs()
            ),
            samples,
        })
    }
}

fn record_machine(span: Duration) -> Result<Record, BuildError> {
    let clock = Clock::system()?;
    let began = Instant::now();
    let step = (span / SAMPLES).max(Duration::from_millis(20));
    let mut writes = 0;
    let mut samples = Vec::new();
    while began.elapsed() < span {
        thread::sleep(step.min(span.saturating_sub(began.elapsed())));
        let now = clock.look().ok();
        samples.push(Sample {
            at: began.elapsed(),
            kernel: clock
                .ntp_status()
                .ok()
                .and_then(|status| kernel_bound(&status)),
            ours: now.map(|now| now.epsilon()),
            error: None,
            written: clock.status().counters.writes > writes,
        });
        writes = clock.status().counters.writes;
    }
    Ok(Record {
        title: "Bounds on this machine's clock's error".to_owned(),
        samples,
    })
}

fn kernel_bound(status: &NtpStatus) -> Option<Duration> {
    let known = (0..NtpStatus::MAXERROR_CAP).contains(&status.maxerror);
    known.then(|| Duration::from_micros(status.maxerror.unsigned_abs()))
}

// --- how it is drawn -----------------------------------------------------------------------------

/// Time and bound, each in the unit of its axis.
type Point = (f64, f64);

fn draw(record: &Record, options: &Options) -> Result<(), Box<dyn Error>> {
    let end = record
        .samples
        .last()
        .map_or(1.0, |sample| sample.at.as_secs_f64());
    let (unit, per_unit) = if end > 36_000.0 {
        ("hours", 3600.0)
    } else if end > 180.0 {
        ("minutes", 60.0)
    } else {
        ("seconds", 1.0)
    };
    let x = |sample: &Sample| sample.at.as_secs_f64() / per_unit;
    let line = |of: fn(&Sample) -> Option<Duration>| -> Vec<Point> {
        let points = record.samples.iter().filter_map(|sample| {
            let bound = of(sample)?;
            Some((x(sample), milliseconds(bound)))
        });
        thinned(points)
    };
    let kernel = line(|sample| sample.kernel);
    let ours = line(|sample| sample.ours);
    let error = line(|sample| Some(sample.error?.unsigned_abs()));
    let both = kernel.iter().chain(&ours);
    let most = both.map(|point| point.1).fold(0.1, f64::max);
    // Room for the marks of the writes, and the legend above them.
    let top = most * 1.5;

    let root = SVGBackend::new(&options.out, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(&record.title, ("sans-serif", 19))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..end / per_unit, 0.0..top)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .bold_line_style(BLACK.mix(0.08))
        .axis_desc_style(("sans-serif", 15))
        .label_style(("sans-serif", 13))
        .x_label_formatter(&|x| label(*x, end / per_unit))
        .y_label_formatter(&|y| label(*y, top))
        .x_desc(unit)
        .y_desc("± milliseconds")
        .draw()?;

    let (from, to) = (most * 1.04, most * 1.09);
    let writes = record.samples.iter().filter(|sample| sample.written);
    chart
        .draw_series(writes.map(|sample| {
            PathElement::new([(x(sample), from), (x(sample), to)], WRITE.stroke_width(2))
        }))?
        .label("a write by the daemon")
        .legend(|(x, y)| PathElement::new([(x + 9, y - 5), (x + 9, y + 5)], WRITE.stroke_width(2)));
    let lines = [
        (kernel, KERNEL, "the kernel's maxerror"),
        (ours, OURS, "epsilon-clock"),
        (error, ERROR, "true error of the midpoint"),
    ];
    for (points, color, label) in lines {
        if points.is_empty() {
            continue;
        }
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .label_font(("sans-serif", 14))
        .draw()?;
    root.present()?;
    Ok(())
}

/// As many decimals as an axis of this length needs.
fn label(value: f64, length: f64) -> String {
    if length > 8.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// Leaves out points that lie on the line between their neighbours, to a hundredth of a pixel's
/// worth: a sawtooth is mostly straight.
fn thinned(points: impl Iterator<Item = Point>) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    for point in points {
        if let [.., a, b] = kept.as_slice() {
            let along = (b.0 - a.0) / (point.0 - a.0);
            let expected = a.1 + (point.1 - a.1) * along;
            if (expected - b.1).abs() < 0.02 {
                kept.pop();
            }
        }
        kept.push(point);
    }
    kept
}
