//! Clocks that are broken on purpose: a campaign that does not catch them proves nothing.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::node::Node;
use crate::reader::Reader;
use epsilon_clock::clock::ClockError;
use epsilon_clock::machine::{Disturbance, Machine, NtpStatus, OffsetRange, Sandwich};
use epsilon_clock::source::{Awaiting, Refusal};
use epsilon_clock::time::{Claim, Interval, RateBounds, Timestamp};

const SECOND: i64 = 1_000_000_000;
const MAX_DRIFT_PPB: i64 = 200_000;
/// What the flaw "drift too small" takes for it.
const TOO_SMALL_PPB: i64 = 20_000;
const LOOK_INTERVAL: i64 = SECOND / 4;
const GROWTH_PPB: i64 = 500_000;
/// Rounding and `daemon_margin`.
const ALLOWANCE: i64 = 201_000;

/// The mistake that a [`BrokenClock`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// None: the control. Where the others are false, this one is true.
    Nothing,
    /// The bound is cached for a second and applied to real time, slews or not.
    CachedOnRealtime,
    /// The kernel's running `maxerror` is believed between the daemon's writes.
    RunningMaxerror,
    /// `max_drift` is below the oscillator's error, and contradictions are ignored.
    DriftTooSmall,
    /// Nothing is added for what happened between a write and the look that saw it.
    NoUnseenTerm,
    /// A suspend goes unnoticed.
    SuspendIgnored,
    /// The unchanged `maxerror` after a suspend is taken for a daemon's write.
    SuspendTakenForWrite,
    /// Claims are intersected to tighten them, instead of replaced.
    ClaimsIntersected,
    /// `STA_UNSYNC` alone says whether the bound means anything.
    UnsyncFlagTrusted,
    /// Leap seconds do not exist.
    LeapIgnored,
    /// None, and the counter is read with every check: the control of the next four.
    CounterRead,
    /// The counter is read although the kernel counts by another clocksource.
    CounterUnasked,
    /// Raw time is never read beside the counter.
    CounterUnchecked,
    /// The time since the last check is compared with a sign: a count that was set back seems to be early.
    CounterWindowSigned,
    /// A line drawn anew starts without what was told by the one before it.
    CounterNotClosed,
}

impl Flaw {
    /// Every flaw but none.
    pub const ALL: [Self; 13] = [
        Self::CachedOnRealtime,
        Self::RunningMaxerror,
        Self::DriftTooSmall,
        Self::NoUnseenTerm,
        Self::SuspendIgnored,
        Self::SuspendTakenForWrite,
        Self::ClaimsIntersected,
        Self::UnsyncFlagTrusted,
        Self::LeapIgnored,
        Self::CounterUnasked,
        Self::CounterUnchecked,
        Self::CounterWindowSigned,
        Self::CounterNotClosed,
    ];

    /// Names the scenario that has to find it out.
    #[must_use]
    pub const fn scenario(self) -> &'static str {
        match self {
            Self::Nothing => "healthy-near",
            Self::CachedOnRealtime => "failover",
            Self::RunningMaxerror => "frozen-slew",
            Self::DriftTooSmall => "oscillator-limit",
            Self::NoUnseenTerm => "a2-limit",
            Self::SuspendIgnored | Self::SuspendTakenForWrite => "suspend",
            Self::ClaimsIntersected => "careless-daemon",
            Self::UnsyncFlagTrusted => "liars",
            Self::LeapIgnored => "leap-inserted",
            Self::CounterUnasked => "counter-unsound",
            Self::CounterRead
            | Self::CounterUnchecked
            | Self::CounterWindowSigned
            | Self::CounterNotClosed => "counter-moved",
        }
    }

    const fn reads_the_counter(self) -> bool {
        matches!(
            self,
            Self::CounterRead
                | Self::CounterUnasked
                | Self::CounterUnchecked
                | Self::CounterWindowSigned
                | Self::CounterNotClosed
        )
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A small clock by the crate's rules, but for one [`Flaw`].
///
/// ```
/// use epsilon_clock_sim::{BrokenClock, Campaign, Flaw, Law, Scenario};
///
/// let suspend = Scenario::named("suspend").unwrap();
/// let broken = |flaw| {
///     let tally = Campaign::new().play_with(suspend, 1, &|node, _| {
///         Ok(Box::new(BrokenClock::new(node, flaw)))
///     });
///     tally.map(|tally| tally.broken(Law::T1))
/// };
/// assert!(broken(Flaw::SuspendIgnored)? > 0);
/// assert_eq!(broken(Flaw::Nothing)?, 0);
/// # Ok::<(), epsilon_clock::BuildError>(())
/// ```
#[derive(Debug)]
pub struct BrokenClock {
    machine: Arc<dyn Machine>,
    flaw: Flaw,
    model: Mutex<Model>,
}

/// What it knows.
#[derive(Clone, Copy, Debug, Default)]
struct Model {
    baseline: Option<Baseline>,
    claim: Option<Claim>,
    /// The bound at the last look, in ns, for what is cached on real time.
    cached: Option<(i64, i64)>,
    boot_offset: Option<OffsetRange>,
    voided: bool,
    next_look: i64,
    /// Where the counter was at first, and where at the last check.
    first: Option<Point>,
    anchor: Option<Point>,
    /// How much raw time a count takes, in 2⁻³² ns.
    ratio: i128,
    departed: bool,
    /// The latest earliest end that was told, where the counter is read.
    told: Option<Timestamp>,
}

/// Raw time at a count, which was read before and after it.
#[derive(Clone, Copy, Debug)]
struct Point {
    count: i64,
    raw: [i64; 2],
}

/// What reading the counter says.
enum Counted {
    Raw(i64),
    NotRead,
    Departed,
}

/// How far raw time may be from the counter by this model, beside a millionth of what has passed.
const BLUR: i64 = 2_000;
/// The widest reading of the counter between two of raw time that a line is drawn through, in ns.
const SHARP: i64 = 2_000;
/// The longest that raw time is not read beside the counter.
const WINDOW: i128 = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Baseline {
    status: NtpStatus,
    clocks: Sandwich,
}

impl BrokenClock {
    /// Builds a clock of this node with this flaw.
    #[must_use]
    pub fn new(node: &Node, flaw: Flaw) -> Self {
        Self {
            machine: node.machine(),
            flaw,
            model: Mutex::default(),
        }
    }

    fn load(&self) -> Model {
        *self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, model: Model) {
        // The lock is not held while clocks are read: another thread may come in between.
        *self.model.lock().unwrap_or_else(PoisonError::into_inner) = model;
    }

    fn drift_ppb(&self) -> i64 {
        if self.flaw == Flaw::DriftTooSmall {
            TOO_SMALL_PPB
        } else {
            MAX_DRIFT_PPB
        }
    }

    fn look(&self) -> Option<Baseline> {
        (0..4).find_map(|_| {
            let before = self.machine.ntp_status().ok()?;
            let clocks = self.machine.sandwich();
            let status = self.machine.ntp_status().ok()?;
            (before == status && clocks.width() < 100_000).then_some(Baseline { status, clocks })
        })
    }

    fn learn(&self, model: &mut Model, seen: &Baseline) {
        let maxerror_ns = seen.status.maxerror.saturating_mul(1_000);
        let unsync = seen.status.has(NtpStatus::STA_UNSYNC);
        let useless = if self.flaw == Flaw::UnsyncFlagTrusted {
            unsync
        } else {
            unsync || seen.status.maxerror >= NtpStatus::MAXERROR_CAP
        };
        let before = model.baseline.replace(*seen);
        if useless {
            return;
        }
        model.cached = Some((maxerror_ns, seen.clocks.mono_after));
        let believes_all = matches!(self.flaw, Flaw::RunningMaxerror | Flaw::UnsyncFlagTrusted);
        let unseen = match before {
            _ if believes_all => 550_000,
            // A first look, or the first after a void: only a write counts, bar a first look.
            None if model.voided => return,
            None if adjustment_ppb(&seen.status) + self.drift_ppb() > GROWTH_PPB => return,
            None => 550_000,
            Some(before) if !self.departs(&before, seen) => return,
            Some(_) if self.flaw == Flaw::NoUnseenTerm => 0,
            Some(before) => self.unseen(&before, seen),
        };
        let width = maxerror_ns + ALLOWANCE + unseen + seen.clocks.width() * 8 / 7 + 1;
        let real = seen.clocks.real;
        let interval = Interval::new(
            Timestamp::from_unix_nanos(real.saturating_sub(width)),
            Timestamp::from_unix_nanos(real.saturating_add(width)),
        );
        let rate = RateBounds::symmetric(u32::try_from(self.drift_ppb()).unwrap_or(0));
        let Ok(interval) = interval else { return };
        let carried = model.claim.and_then(|old| old.carry(seen.clocks.raw).ok());
        let tightened = carried
            .filter(|_| self.flaw == Flaw::ClaimsIntersected)
            .and_then(|old| old.intersection(&interval));
        model.claim = Some(Claim::new(
            seen.clocks.raw,
            tightened.unwrap_or(interval),
            rate,
        ));
        model.voided = false;
    }

    fn departs(&self, before: &Baseline, seen: &Baseline) -> bool {
        let moved = before
            .clocks
            .real_offset()
            .moved_to(&seen.clocks.real_offset());
        if moved != 0 && self.flaw != Flaw::SuspendTakenForWrite {
            return false;
        }
        let seconds = |clocks: &Sandwich| clocks.real.div_euclid(SECOND);
        let passed = seconds(&seen.clocks) - seconds(&before.clocks);
        let grown = seen.status.maxerror - before.status.maxerror;
        !(passed - 1..=passed + 1).any(|n| n >= 0 && n * 500 == grown)
    }

    fn unseen(&self, before: &Baseline, seen: &Baseline) -> i64 {
        let gap = (seen.clocks.raw - before.clocks.raw).max(1);
        let mono = seen.clocks.mono_after - before.clocks.mono_before;
        let width = seen.clocks.width() + before.clocks.width();
        let strayed = i128::from((mono - gap).abs() + width);
        let measured = i64::try_from(strayed * 1_000_000_000 / i128::from(gap) + 1);
        let rate = self.drift_ppb()
            + adjustment_ppb(&before.status)
                .max(adjustment_ppb(&seen.status))
                .max(measured.unwrap_or(i64::MAX / 2));
        let late = 1_100_000_000;
        times(rate, gap.min(late)) + times((rate - GROWTH_PPB).max(0), (gap - late).max(0))
    }

    /// Reads the counter with raw time around it.
    fn point(&self) -> Point {
        let before = self.machine.sample().raw;
        let count = self.machine.count();
        let after = self.machine.sample().raw;
        Point {
            count,
            raw: [before, after],
        }
    }

    /// Returns raw time by the counter alone, if it may be read.
    fn count(&self, model: &mut Model) -> Counted {
        let asks = self.flaw != Flaw::CounterUnasked;
        if model.departed || (asks && self.machine.counter().is_err()) {
            model.first = None;
            model.anchor = None;
            return Counted::NotRead;
        }
        let Some(anchor) = model.anchor else {
            let point = self.point();
            let first = *model.first.get_or_insert(point);
            let sharp = |point: Point| point.raw[1] - point.raw[0] < SHARP;
            if !sharp(first) {
                model.first = None;
            } else if sharp(point) && point.raw[0] - first.raw[0] > SECOND {
                let raw = i128::from(point.raw[0] - first.raw[0]) << 32;
                model.ratio = raw / i128::from(point.count - first.count).max(1);
                model.anchor = Some(point);
            }
            return Counted::NotRead;
        };
        let count = self.machine.count();
        let since = i128::from(count.wrapping_sub(anchor.count));
        let window = (WINDOW << 32) / model.ratio.max(1);
        let set_back = since < 0 && self.flaw != Flaw::CounterWindowSigned;
        let raw_at = |count: i64| {
            let gone = (i128::from(count.wrapping_sub(anchor.count)) * model.ratio) >> 32;
            anchor.raw[0].saturating_add(i64::try_from(gone).unwrap_or(i64::MAX))
        };
        let is_due = set_back || since >= window;
        if !is_due || self.flaw == Flaw::CounterUnchecked {
            return Counted::Raw(raw_at(count));
        }
        let point = self.point();
        let told = raw_at(point.count);
        let blur = BLUR + (point.raw[1] - anchor.raw[0]).abs() / 1_000_000;
        if told < point.raw[0] - blur || told > point.raw[1] + blur {
            model.departed = true;
            return Counted::Departed;
        }
        if point.raw[1] - point.raw[0] < SHARP {
            model.anchor = Some(point);
        }
        Counted::Raw(told)
    }

    /// Answers from the counter, where it is read.
    fn now_by_counter(&self, model: &mut Model) -> Option<Result<Interval, ClockError>> {
        let raw = match self.count(model) {
            Counted::NotRead => return None,
            Counted::Departed => {
                *model = Model {
                    voided: true,
                    departed: true,
                    told: model.told,
                    next_look: i64::MIN,
                    ..Model::default()
                };
                let cause = Disturbance::CounterDeparted;
                return Some(Err(ClockError::Disturbed { cause }));
            }
            Counted::Raw(raw) => raw,
        };
        let carried = model.claim?.carry(raw).ok()?;
        let widened =
            |at: Timestamp, by: i64| Timestamp::from_unix_nanos(at.unix_nanos().saturating_add(by));
        let ends = Interval::new(
            widened(carried.earliest(), -2 * BLUR),
            widened(carried.latest(), 2 * BLUR),
        );
        ends.ok().map(Ok)
    }

    /// Holds the earliest end where it was told to be, as a line does that closes the one before it. Along one
    /// line nothing has to be held: what it tells only moves on.
    fn held(&self, model: &mut Model, interval: Interval) -> Interval {
        if !self.flaw.reads_the_counter() || self.flaw == Flaw::CounterNotClosed {
            return interval;
        }
        let earliest = model.told.max(Some(interval.earliest()));
        let held = earliest.and_then(|earliest| Interval::new(earliest, interval.latest()).ok());
        let held = held.unwrap_or(interval);
        model.told = Some(held.earliest());
        held
    }

    fn answer(&self, model: &Model, clocks: &Sandwich) -> Result<Interval, ClockError> {
        let unvouched = ClockError::Unvouched(Refusal::AwaitingWrite {
            because: Awaiting::Disturbance,
        });
        if self.flaw == Flaw::CachedOnRealtime {
            let (bound, mono) = model.cached.ok_or(unvouched)?;
            let grown = times(GROWTH_PPB, (clocks.mono_after - mono).max(0));
            let width = bound + ALLOWANCE + 550_000 + grown;
            let real = Timestamp::from_unix_nanos(clocks.real);
            let width = core::time::Duration::from_nanos(width.unsigned_abs());
            return Interval::around(real, width).map_err(|_| unvouched);
        }
        let interval = model.claim.ok_or(unvouched)?.carry(clocks.raw)?;
        Ok(interval)
    }
}

impl Reader for BrokenClock {
    fn now(&self) -> Result<Interval, ClockError> {
        let mut model = self.load();
        let clocks = self.machine.sandwich();
        let interval = if self.flaw == Flaw::CachedOnRealtime {
            4
        } else {
            1
        } * LOOK_INTERVAL;
        if clocks.raw >= model.next_look {
            model.next_look = clocks.raw + interval;
            if let Some(seen) = self.look() {
                self.learn(&mut model, &seen);
            }
        }
        if self.flaw.reads_the_counter() {
            let answer = self.now_by_counter(&mut model);
            let answer = answer.map(|answer| Ok(self.held(&mut model, answer?)));
            self.store(model);
            if let Some(answer) = answer {
                return answer;
            }
        }
        // What is answered from, and after it what tells whether the machine slept before it.
        let answered_from = self.machine.sandwich();
        let boot = self.machine.sandwich().boot_offset();
        let known = *model.boot_offset.get_or_insert(boot);
        let slept = known.moved_to(&boot).abs() > 1_000;
        if slept {
            model.boot_offset = Some(boot);
            model.next_look = i64::MIN;
            match self.flaw {
                Flaw::SuspendIgnored => {}
                Flaw::SuspendTakenForWrite => model.claim = None,
                _ => {
                    model = Model {
                        boot_offset: Some(boot),
                        voided: true,
                        told: model.told,
                        next_look: i64::MIN,
                        ..Model::default()
                    };
                }
            }
        }
        let mut answer = self.answer(&model, &answered_from);
        if slept && self.flaw != Flaw::SuspendIgnored {
            let cause = Disturbance::Suspended;
            answer = Err(ClockError::Disturbed { cause });
        }
        answer = answer.map(|interval| self.held(&mut model, interval));
        self.store(model);
        answer
    }
}

fn adjustment_ppb(status: &NtpStatus) -> i64 {
    let tick = (status.tick - NtpStatus::NOMINAL_TICK) * 100_000;
    (tick + status.freq * 1_000 / 65_536).abs() + 1
}

fn times(rate_ppb: i64, span: i64) -> i64 {
    let product = i128::from(rate_ppb) * i128::from(span) / 1_000_000_000 + 1;
    i64::try_from(product).unwrap_or(i64::MAX / 4)
}
