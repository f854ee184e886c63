//! What chronyd makes of its last samples: a line through them, and how far it trusts it.
//!
//! Floating point is repeatable here: nothing but additions, products, quotients and square roots, each
//! of which IEEE 754 rounds in one way only, in a fixed order. None of it decides what is true: truth and
//! clocks stay integers, and an estimate reaches them as whole ns and ppb.

/// As many samples as chronyd keeps of a server (`MAX_SAMPLES`).
const MOST: usize = 64;
/// Through fewer there is no line with a deviation.
const FEWEST: usize = 3;
/// None is left out of the line to have fewer than this (`minsamples`).
const LEAST_KEPT: usize = 6;
/// What a reading of a clock is good for, in ns.
const PRECISION: f64 = 100.0;
/// The bounds of any skew, and what stands for it before there is a line (`WORST_CASE_FREQ_BOUND`).
const LEAST_SKEW: f64 = 1e-12;
const WORST_SKEW: f64 = 2_000e-6;
/// A line less sure than this says nothing of the rate (`maxupdateskew`).
const MOST_UPDATE_SKEW: f64 = 1_000e-6;
/// `maxclockerror`: 1 ppm.
const CLOCK_ERROR: f64 = 1e-6;
/// A server whose samples scatter more is not followed (`maxjitter`), nor one further off (`maxdistance`).
const MOST_JITTER: f64 = 1e9;
const MOST_DISTANCE: f64 = 3e9;
/// How much surer a new rate counts for than the rate in force (chronyd's factor).
const NEWS: f64 = 3.0;

/// One exchange with a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Raw time at its middle, in ns.
    pub(crate) at: i64,
    /// By how much the daemon's own time was behind the server's, in ns.
    pub(crate) behind: f64,
    pub(crate) delay: i64,
    /// What the server says of its own distance, in ns.
    pub(crate) root_distance: i64,
    dispersion: f64,
}

/// A line through samples.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// At the last sample, in ns.
    behind: f64,
    deviation: f64,
    /// ns per ns.
    slope: f64,
    slope_deviation: f64,
}

/// What an update sets the clock by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    /// By how much the daemon's own time is behind, in ns.
    pub(crate) behind: i64,
    /// By how much its rate is to change, in ppb.
    pub(crate) faster_ppb: i64,
    pub(crate) reference: Reference,
}

/// What chronyd knows as of an update, and forecasts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    pub(crate) raw: i64,
    pub(crate) delay: i64,
    dispersion: f64,
    /// The deviation of its estimate, in ns.
    pub(crate) deviation: f64,
    /// The rate that it measured and did not take over, per unit.
    pub(crate) residual: f64,
    /// What it does not know of the rate, per unit.
    pub(crate) skew: f64,
}

impl Reference {
    /// The root dispersion at an instant of raw time, in ns: it grows by what the line does not know of
    /// the rate and 1 ppm, as if the oscillator went on as it did until the update.
    pub(crate) fn dispersion(&self, raw: i64) -> i64 {
        let elapsed = float(raw.saturating_sub(self.raw).max(0));
        let rate = self.skew + self.residual.abs() + CLOCK_ERROR;
        whole(self.dispersion + elapsed * rate).saturating_add(1)
    }
}

/// The samples of one server, and how well the rate in force is known.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    /// The oldest first; those that the line leaves out still tell whether it is one.
    kept: Vec<Sample>,
    /// How many it leaves out.
    left_out: usize,
    /// Of the last line.
    line_skew: f64,
    /// Of the rate in force.
    skew: f64,
}

impl Samples {
    pub(crate) const fn new() -> Self {
        Self {
            kept: Vec::new(),
            left_out: 0,
            line_skew: WORST_SKEW,
            skew: 1.0,
        }
    }

    /// Forgets the samples, not the rate: the daemon turned to another server.
    pub(crate) fn forget(&mut self) {
        self.kept.clear();
        self.left_out = 0;
        self.line_skew = WORST_SKEW;
    }

    pub(crate) fn add(&mut self, at: i64, behind: i64, delay: i64, root_distance: i64) {
        if self.kept.len() - self.left_out == MOST {
            self.left_out += 1;
        }
        self.kept.push(Sample {
            at,
            behind: float(behind),
            delay,
            root_distance,
            dispersion: PRECISION + self.line_skew * float(delay),
        });
    }

    /// The clock was set forward by so many ns, and goes so much faster from `raw` on: what the samples
    /// would have been, had it always.
    pub(crate) fn follow(&mut self, raw: i64, by: i64, faster_ppb: i64) {
        let faster = float(faster_ppb) * 1e-9;
        for sample in &mut self.kept {
            sample.behind -= float(by) + faster * float(sample.at.saturating_sub(raw));
        }
    }

    /// What to set the clock by at `raw`; `None` while there are too few samples, or they scatter so that
    /// chronyd would not follow the server.
    pub(crate) fn estimate(&mut self, raw: i64) -> Option<Estimate> {
        let line = self.line()?;
        let used = self.kept.len() - self.left_out;
        let forgotten = self.left_out.saturating_sub(used);
        self.kept.drain(..forgotten);
        self.left_out -= forgotten;
        let freedom = used.saturating_sub(2);
        self.line_skew = (line.slope_deviation * student(freedom)).clamp(LEAST_SKEW, 100.0);
        let last = self.kept.last()?;
        // The sample that bounds the error best now.
        let dispersion = |sample: &Sample| {
            let age = float(last.at.saturating_sub(sample.at));
            sample.dispersion + float(sample.root_distance) + age * self.line_skew
        };
        let distance = |sample: &Sample| float(sample.delay) / 2.0 + dispersion(sample);
        let nearer = |one: &&Sample, other: &&Sample| distance(one).total_cmp(&distance(other));
        let best = self.kept.iter().skip(self.left_out).min_by(nearer)?;
        let dispersion = dispersion(best) + line.deviation;
        if line.deviation > MOST_JITTER || float(best.delay) / 2.0 + dispersion > MOST_DISTANCE {
            return None;
        }
        let gain = self.gain();
        let faster_ppb = whole(gain * line.slope * 1e9);
        let faster = float(faster_ppb) * 1e-9;
        let residual = line.slope - faster;
        let moved = (faster * faster * (1.0 - gain) + residual * residual * gain).sqrt();
        self.skew += gain * (self.line_skew - self.skew) + moved;
        let elapsed = float(raw.saturating_sub(last.at));
        Some(Estimate {
            behind: whole(line.behind + elapsed * line.slope),
            faster_ppb,
            reference: Reference {
                raw: last.at,
                delay: best.delay,
                dispersion,
                deviation: line.deviation,
                residual,
                skew: self.skew,
            },
        })
    }

    /// How much of a new rate is taken over: the surer of the two counts for more.
    fn gain(&self) -> f64 {
        if self.line_skew > MOST_UPDATE_SKEW {
            return 0.0;
        }
        let old = NEWS * self.skew * self.skew;
        old / (old + self.line_skew * self.line_skew)
    }

    /// A line through the samples, with the oldest left out until those that are left lie about it like
    /// noise, and as many before them: not in runs on one side.
    fn line(&mut self) -> Option<Line> {
        let weights = self.weights();
        let mut skipped = 0;
        loop {
            let samples = self.kept.get(self.left_out..)?;
            let line = fit(samples, weights.get(skipped..)?)?;
            let before = self.left_out.saturating_sub(samples.len());
            let judged = self.kept.get(before..)?;
            if samples.len() <= LEAST_KEPT || runs(judged, &line) > fewest_runs(judged.len()) {
                return Some(line);
            }
            skipped += 1;
            self.left_out += 1;
        }
    }

    /// What each sample counts for: less, the further it is behind the nearest.
    fn weights(&self) -> Vec<f64> {
        let used = self.kept.get(self.left_out..).unwrap_or_default();
        let distance = |sample: &Sample| float(sample.delay) / 2.0 + sample.dispersion;
        let mut sorted: Vec<f64> = used.iter().map(distance).collect();
        sorted.sort_by(f64::total_cmp);
        let nearest = sorted.first().copied().unwrap_or(0.0);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(nearest);
        let unit = ((median - nearest) / 0.7).clamp(PRECISION, nearest.max(PRECISION));
        let weight = |sample: &Sample| {
            let beyond = (distance(sample) - nearest - PRECISION).max(0.0);
            let scatter = 1.0 + beyond / unit;
            1.0 / (scatter * scatter)
        };
        used.iter().map(weight).collect()
    }
}

/// The weighted least squares through samples.
fn fit(samples: &[Sample], weights: &[f64]) -> Option<Line> {
    if samples.len() < FEWEST {
        return None;
    }
    let last = samples.last()?.at;
    let points = || {
        samples.iter().zip(weights).map(|(sample, weight)| {
            let x = float(sample.at.saturating_sub(last));
            (x, sample.behind, *weight)
        })
    };
    let sum =
        |of: &dyn Fn(f64, f64, f64) -> f64| points().map(|(x, y, w)| of(x, y, w)).sum::<f64>();
    let total = sum(&|_, _, w| w);
    let x_mean = sum(&|x, _, w| w * x) / total;
    let y_mean = sum(&|_, y, w| w * y) / total;
    let spread = sum(&|x, _, w| w * (x - x_mean) * (x - x_mean));
    if spread <= 0.0 {
        return None;
    }
    let slope = sum(&|x, y, w| w * (x - x_mean) * (y - y_mean)) / spread;
    let behind = y_mean - slope * x_mean;
    let residual = |x: f64, y: f64| y - behind - slope * x;
    let freedom = u32::try_from(samples.len() - 2).unwrap_or(1);
    let squares = sum(&|x, y, w| w * residual(x, y) * residual(x, y));
    let variance = squares / f64::from(freedom);
    Some(Line {
        behind,
        deviation: (variance * (1.0 / total + x_mean * x_mean / spread)).sqrt(),
        slope,
        slope_deviation: (variance / spread).sqrt(),
    })
}

/// How many runs on one side of it samples make along a line.
fn runs(samples: &[Sample], line: &Line) -> usize {
    let last = samples.last().map_or(0, |sample| sample.at);
    let mut count = 0;
    let mut side = None;
    for sample in samples {
        let on_line = line.behind + line.slope * float(sample.at.saturating_sub(last));
        let above = sample.behind > on_line;
        count += usize::from(side != Some(above));
        side = Some(above);
    }
    count
}

/// With so few runs of residuals or fewer the samples do not lie on one line, 19 times in 20: of `n`
/// independent signs the runs have a mean of (n + 1) / 2 and a variance of (n - 1) / 4.
fn fewest_runs(samples: usize) -> usize {
    let n = f64::from(u32::try_from(samples).unwrap_or(u32::MAX));
    let least = (n + 1.0) / 2.0 - 1.645 * ((n - 1.0).sqrt() / 2.0);
    usize::try_from(whole(least.floor())).unwrap_or(0)
}

/// Student's t at 99.95 %, which chronyd multiplies the slope's deviation by.
fn student(freedom: usize) -> f64 {
    const FEW: [f64; 10] = [
        636.6, 31.60, 12.92, 8.610, 6.869, 5.959, 5.408, 5.041, 4.781, 4.587,
    ];
    if let Some(t) = FEW.get(freedom.saturating_sub(1)) {
        return *t;
    }
    // Fisher's expansion about the normal quantile, good to two thousandths from there on.
    let (z, n) = (
        3.2905,
        f64::from(u32::try_from(freedom).unwrap_or(u32::MAX)),
    );
    let cubed = z * z * z;
    let first = (cubed + z) / (4.0 * n);
    let second = (5.0 * cubed * z * z + 16.0 * cubed + 3.0 * z) / (96.0 * n * n);
    let seventh = 3.0 * cubed * cubed * z + 19.0 * cubed * z * z + 17.0 * cubed - 15.0 * z;
    z + first + second + seventh / (384.0 * n * n * n)
}

/// Spans of the simulated world stay below 2^53 ns, which is 104 days: no rounding.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) const fn float(ns: i64) -> f64 {
    ns as f64
}

/// Rounded to the nearest; beyond an i64, its end.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded, and the cast saturates"
)]
pub(crate) fn whole(number: f64) -> i64 {
    number.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn filled(behind: impl Fn(i64) -> i64, count: i64) -> Samples {
        let mut samples = Samples::new();
        for n in 0..count {
            samples.add(n * 16 * SECOND, behind(n), 200_000, 100_000);
        }
        samples
    }

    #[test]
    fn a_straight_line_is_found_and_followed() {
        // 3 ppm slow, 5 ms behind at the last of 10.
        let mut samples = filled(|n| 5_000_000 + (n - 9) * 48_000, 10);
        let now = 9 * 16 * SECOND;
        let estimate = samples.estimate(now).unwrap();
        assert_eq!((estimate.behind, estimate.faster_ppb), (5_000_000, 3_000));
        samples.follow(now, estimate.behind, estimate.faster_ppb);
        let again = samples.estimate(now).unwrap();
        assert_eq!((again.behind, again.faster_ppb), (0, 0));
    }

    /// By hand for six samples, of which only the last is off: it pulls the line's end by 11/21 of that,
    /// with a deviation of a quarter of it.
    #[test]
    fn a_step_is_believed_by_less_than_half_and_the_deviation_says_so() {
        // A little noise in turns, so that those before lie like noise.
        let noise = |n| if n % 2 == 0 { 20_000 } else { -20_000 };
        let mut samples = filled(|n| noise(n) + if n == 5 { 400_000_000 } else { 0 }, 6);
        let estimate = samples.estimate(5 * 16 * SECOND).unwrap();
        let off = 400_000_000 - estimate.behind;
        assert!((190_000_000..191_000_000).contains(&off), "{off}");
        let deviation = whole(estimate.reference.deviation);
        assert!(
            (99_000_000..101_000_000).contains(&deviation),
            "{deviation}"
        );
        // A bound that falls short, and does not beyond three deviations.
        let bound = 100_000 + estimate.reference.dispersion(5 * 16 * SECOND);
        assert!(bound < off && off < bound + 3 * deviation);
        // Too unsure of the rate to take it over.
        assert_eq!(estimate.faster_ppb, 0);
    }

    #[test]
    fn two_samples_are_no_line_and_samples_in_runs_are_dropped() {
        assert!(filled(|_| 0, 2).estimate(0).is_none());
        // Twelve on one line, then twelve on another.
        let mut samples = filled(|n| if n < 12 { 0 } else { (n - 12) * 1_000_000 }, 24);
        assert!(samples.estimate(23 * 16 * SECOND).is_some());
        let used = samples.kept.len() - samples.left_out;
        assert!(used < 16, "{used}");
    }

    #[test]
    fn the_dispersion_grows_by_skew_and_a_millionth() {
        let mut samples = filled(|n| if n % 2 == 0 { 20_000 } else { -20_000 }, 20);
        let now = 19 * 16 * SECOND;
        let reference = samples.estimate(now).unwrap().reference;
        let grown = reference.dispersion(now + 1_000 * SECOND) - reference.dispersion(now);
        let rate = reference.skew + reference.residual.abs() + 1e-6;
        assert!((grown - whole(rate * 1e12)).abs() <= 1, "{grown}");
        assert!(grown >= 1_000_000, "{grown}");
    }

    #[test]
    fn quantiles_and_runs_are_those_of_the_tables() {
        let near = |one: f64, other: f64| (one - other).abs() < 0.01;
        assert!(near(student(11), 4.437) && near(student(20), 3.850) && near(student(40), 3.551));
        assert_eq!([8, 16, 30].map(fewest_runs), [2, 5, 11]);
    }
}
