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
}

impl Flaw {
    /// Every flaw but none.
    pub const ALL: [Self; 9] = [
        Self::CachedOnRealtime,
        Self::RunningMaxerror,
        Self::DriftTooSmall,
        Self::NoUnseenTerm,
        Self::SuspendIgnored,
        Self::SuspendTakenForWrite,
        Self::ClaimsIntersected,
        Self::UnsyncFlagTrusted,
        Self::LeapIgnored,
    ];

    /// The scenario that has to find it out.
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
        }
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
}

#[derive(Clone, Copy, Debug)]
struct Baseline {
    status: NtpStatus,
    clocks: Sandwich,
}

impl BrokenClock {
    /// A clock of this node with this flaw.
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

    /// Not held while clocks are read: another thread may come in between.
    fn store(&self, model: Model) {
        *self.model.lock().unwrap_or_else(PoisonError::into_inner) = model;
    }

    fn drift_ppb(&self) -> i64 {
        if self.flaw == Flaw::DriftTooSmall {
            TOO_SMALL_PPB
        } else {
            MAX_DRIFT_PPB
        }
    }

    /// A status with the clocks read while it did not change, if it can be had uninterrupted.
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

    /// Whether a daemon wrote since the last look.
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
                        next_look: i64::MIN,
                        ..Model::default()
                    };
                }
            }
        }
        self.store(model);
        if slept && self.flaw != Flaw::SuspendIgnored {
            let cause = Disturbance::Suspended;
            return Err(ClockError::Disturbed { cause });
        }
        self.answer(&model, &answered_from)
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
