//! The kernel's NTP status as a source of claims.
//!
//! Between two looks the kernel's `maxerror` follows a rule: 500 µs more for each second. Whatever
//! departs from it was written by a time daemon, and only such a write makes a claim. In between
//! the kernel's running figure is not believed: it promises that the clock strays no faster than
//! 500 ppm, which a slew that was left behind or came late does not keep.
#![forbid(unsafe_code)]

use super::{
    Awaiting, Finding, LeapNotice, Look, LookContext, Refusal, Source, SourceMemory, SyncClaim,
    Writer,
};
use crate::bound::ErrorBound;
use crate::claim::{Claim, LeapKind, LeapSecond, RateBounds};
use crate::interval::Interval;
use crate::machine::{OffsetRange, Sandwich};
use crate::ntp_status::{NtpStatus, NtpStatusError};
use crate::timestamp::Timestamp;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The kernel adds this to `maxerror` (µs) each second: `MAXFREQ / NSEC_PER_USEC`, 500 ppm.
const GROWTH_US: i64 = 500;
/// The same as a rate.
const GROWTH_PPB: i64 = 500_000;

/// The longest that a second's growth can be overdue: the second itself, and the tick or two (at
/// `CONFIG_HZ=100` up to 20 ms) by which the kernel comes late, rounded up.
const GROWTH_DELAY: i64 = 1_100_000_000;

/// How far coarse time may lag behind real time in a look: the part of `GROWTH_DELAY` that is not
/// the second itself.
const OVERDUE_LIMIT: i64 = 100_000_000;

/// What the kernel's own growth does not yet cover at a first look: `GROWTH_DELAY` at 500 ppm.
const INHERITED_UNSEEN: u64 = 550_000;

/// Daemons truncate `maxerror` to whole microseconds.
const ROUNDING: u64 = 1_000;

/// The 16 µs that ntpd writes as both errors when it starts.
const NTPD_PLACEHOLDER_US: i64 = 16;

/// How near a leap second makes every reading of the kernel's clock ambiguous.
const LEAP_VICINITY: i64 = 2 * SECOND;

/// How often a look is tried before the status counts as unsettled.
const ATTEMPTS: usize = 4;

/// A sandwich wider than this, in ns, was interrupted: 300 ns is usual, 80 µs where reads are
/// syscalls.
const SANDWICH_LIMIT: i64 = 500_000;

/// `log2` of the PLL's gain: the kernel slews `offset / 2^(SHIFT_PLL + constant)` each second.
const SHIFT_PLL: i64 = 2;

/// The longest time constant that kernels accept (`MAXTC`).
const MAX_CONSTANT: i64 = 10;

/// The kernel's NTP status as a [`Source`]: what chrony or ntpd told it about the clock's error.
///
/// # Looks and writes
///
/// A look reads the status, the clocks and the status again; if the two differ, or the kernel's own
/// timekeeping is overdue, it starts anew. A *write* is a `maxerror` that the last look does not predict: 500 µs more for each boundary of a
/// real-time second, give or take one boundary. It is only recognised across an unchanged
/// difference of real and monotonic time; a step, a leap second or a suspend starts the prediction
/// afresh.
///
/// # Who is not believed
///
/// Writers that report no bound are refused with an error that names the likely one; see
/// [`Writer`]. A bound that merely *looks* like theirs (an honest one does once in 500 times) is
/// not used, and once two writes in a row look so their writer is refused.
///
/// What cannot be told from an honest writer: ntpd-rs in steady state, which reports its root delay
/// alone. Do not use it as a source of bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelSource;

impl KernelSource {
    /// The kernel as a source.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Source for KernelSource {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look {
        // A look that failed leaves the memory as it is: to the next one it is as if nobody had
        // looked for a while, which the unseen term covers.
        let seen = match Seen::settled(context) {
            Ok(Some(seen)) => seen,
            Ok(None) => return Look::new(Finding::Unsettled),
            Err(error) => return Look::new(Finding::Refused(error.into())),
        };
        let before = Remembered::load(memory);
        let leap_flags = before.leap_flags.after(&seen, before.baseline.as_ref());
        let leap = leap_notice(&seen, &before, leap_flags);
        if near_leap(&seen, leap, leap_flags) {
            let because = Awaiting::LeapSecond;
            let finding = Finding::Refused(Refusal::AwaitingWrite { because });
            return Look { finding, leap };
        }
        let (finding, opinion) = judge(context, &seen, &before);
        let waiting = match finding {
            Finding::Write(_) | Finding::Inherited(_) => None,
            Finding::Nothing | Finding::Unsettled => before.waiting,
            Finding::Refused(Refusal::AwaitingWrite { because }) => Some(because),
            Finding::Refused(_) => Some(Awaiting::Disturbance),
        };
        *memory = Remembered {
            baseline: Some(Baseline::of(&seen)),
            opinion,
            waiting,
            leap_flags,
        }
        .store();
        Look { finding, leap }
    }
}

/// One settled look: the status, and the clocks read while it did not change.
struct Seen {
    status: NtpStatus,
    clocks: Sandwich,
    /// The tick and frequency correction in ppb.
    adjustment_ppb: i64,
}

impl Seen {
    fn settled(context: &LookContext<'_>) -> Result<Option<Self>, NtpStatusError> {
        for _ in 0..ATTEMPTS {
            let before = context.machine.ntp_status()?;
            let sample = context.machine.sample();
            let clocks = context.machine.sandwich();
            let status = context.machine.ntp_status()?;
            // Coarse time and `maxerror` are moved on together. Where the processor that does it was
            // kept from running, as a virtual one may be for seconds, `maxerror` is overdue: not
            // what the predictor expects, and yet no write.
            let overdue = clocks.real.saturating_sub(sample.coarse) > OVERDUE_LIMIT;
            // An interruption in the sandwich would be charged to the claim until the next write:
            // rather see the write a little later.
            let sharp = clocks.width() <= SANDWICH_LIMIT;
            if before == status && !overdue && sharp {
                return Ok(Some(Self {
                    status,
                    clocks,
                    adjustment_ppb: adjustment_ppb(&status),
                }));
            }
        }
        Ok(None)
    }

    /// The phase in ns that the PLL has yet to slew, and what it may have slewed since the write.
    ///
    /// ClockBound and ntpd leave it out of `maxerror`. The part of it that went in the second since
    /// the write makes the factor `1 + 1 / (2^(2 + constant) − 1)`.
    fn pending_phase(&self) -> u64 {
        if !self.status.has(NtpStatus::STA_PLL) {
            return 0;
        }
        let unit = if self.status.has(NtpStatus::STA_NANO) {
            1
        } else {
            1_000
        };
        let offset = self.status.offset.unsigned_abs().saturating_mul(unit);
        let shift = SHIFT_PLL + self.status.constant.clamp(0, MAX_CONSTANT);
        offset.saturating_add(offset.div_ceil((1_u64 << shift) - 1))
    }

    /// How long the look took in true time, at most: monotonic time may be slewed to run slower, by
    /// 12.5 % at the most (the PLL's limit), and 1 / (1 − 1/8) is 1 + 1/7.
    fn bracket(&self) -> u64 {
        let width = self.clocks.width().unsigned_abs();
        width.saturating_add(width.div_ceil(7))
    }

    /// The claim that the status makes, apart from what happened unseen.
    fn claim(&self, context: &LookContext<'_>, unseen_ns: u64) -> Option<SyncClaim> {
        let maxerror_us = u64::try_from(self.status.maxerror).ok()?;
        let bound = ErrorBound {
            reported_ns: maxerror_us
                .saturating_mul(1_000)
                .saturating_add(self.pending_phase()),
            rounding_ns: ROUNDING,
            margin_ns: u64::try_from(context.daemon_margin.as_nanos()).unwrap_or(u64::MAX),
            unseen_ns,
            bracket_ns: self.bracket(),
            ..ErrorBound::default()
        };
        let interval =
            Interval::around(Timestamp::from_unix_nanos(self.clocks.real), bound.total()).ok()?;
        let rate = RateBounds::symmetric(context.max_drift_ppb);
        Some(SyncClaim {
            claim: Claim::new(self.clocks.raw, interval, rate),
            bound,
        })
    }
}

/// What earlier writes looked like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opinion {
    /// Nothing speaks against the writer.
    Fair,
    /// The last write looked like one of those that mean nothing; the one before it did not.
    Suspicious,
    /// The writer reports no bound.
    Refused(Writer),
}

/// What one status looks like, by itself.
enum Looks {
    Honest,
    /// Like the writer's, as one honest bound in 500 does.
    Like(Writer),
    /// Like nobody else's.
    Surely(Writer),
}

/// Compares a status with what writers without a bound leave behind.
fn fingerprint(status: &NtpStatus) -> Looks {
    let NtpStatus {
        maxerror, esterror, ..
    } = *status;
    let pll = status.has(NtpStatus::STA_PLL);
    let since_placeholder = maxerror.saturating_sub(NTPD_PLACEHOLDER_US);
    if esterror == NTPD_PLACEHOLDER_US
        && status.status == NtpStatus::STA_PLL
        && since_placeholder >= 0
        && since_placeholder % GROWTH_US == 0
    {
        // 16 under 16 and status 1: too many coincidences for an honest writer.
        Looks::Surely(Writer::NtpdStarting)
    } else if maxerror == 0 && esterror == 0 && pll {
        Looks::Surely(Writer::Timesyncd)
    } else if esterror > maxerror {
        Looks::Surely(Writer::PtpOrOpenntpd)
    } else if maxerror % GROWTH_US == 0 && esterror == 0 {
        Looks::Like(if pll {
            Writer::Timesyncd
        } else {
            Writer::PtpOrOpenntpd
        })
    } else if maxerror % GROWTH_US == 0 && !pll {
        // A zero that has grown past its untouched esterror.
        Looks::Like(Writer::PtpOrOpenntpd)
    } else {
        Looks::Honest
    }
}

/// Interprets a settled look.
fn judge(context: &LookContext<'_>, seen: &Seen, before: &Remembered) -> (Finding, Opinion) {
    let status = &seen.status;
    if !(0..NtpStatus::MAXERROR_CAP).contains(&status.maxerror) {
        let maxerror_us = status.maxerror;
        let refusal = Refusal::Unsynchronized { maxerror_us };
        return (Finding::Refused(refusal), Opinion::Fair);
    }
    let (event, opinion) = recognise(context, seen, before);
    let refusal = if let Opinion::Refused(writer) = opinion {
        Some(Refusal::NoBound {
            writer,
            maxerror_us: status.maxerror,
            esterror_us: status.esterror,
        })
    } else if status.has(NtpStatus::STA_UNSYNC) && !context.accept_unsync_flag {
        Some(Refusal::UnsyncFlag {
            maxerror_us: status.maxerror,
        })
    } else {
        None
    };
    let finding = refusal.map_or_else(|| event.finding(), Finding::Refused);
    (finding, opinion)
}

/// What a status is in the light of the one before it.
enum Event {
    Write(SyncClaim),
    First(SyncClaim),
    Awaiting(Awaiting),
    Nothing,
}

impl Event {
    const fn finding(self) -> Finding {
        match self {
            Self::Write(claim) => Finding::Write(claim),
            Self::First(claim) => Finding::Inherited(claim),
            Self::Awaiting(because) => Finding::Refused(Refusal::AwaitingWrite { because }),
            Self::Nothing => Finding::Nothing,
        }
    }

    fn claimed(claim: Option<SyncClaim>, event: fn(SyncClaim) -> Self) -> Self {
        // A claim that leaves the range of timestamps says nothing; the clock is decades off.
        claim.map_or(Self::Awaiting(Awaiting::Disturbance), event)
    }
}

fn recognise(context: &LookContext<'_>, seen: &Seen, before: &Remembered) -> (Event, Opinion) {
    let Some(baseline) = before.baseline else {
        return first_look(context, seen, before.opinion);
    };
    if baseline.real_offset.moved_to(&seen.clocks.real_offset()) != 0 {
        // A step, a leap second or a suspend: only a later departure can be told for a write. A
        // claim that is in force goes on; with none, the next write is awaited.
        return (before.standing(), before.opinion);
    }
    if !baseline.departs(seen) {
        return (before.standing(), before.opinion);
    }
    let accepted = |opinion| {
        let claim = seen.claim(context, baseline.unseen(context, seen));
        (Event::claimed(claim, Event::Write), opinion)
    };
    match (fingerprint(&seen.status), before.opinion) {
        (Looks::Honest, _) => accepted(Opinion::Fair),
        (Looks::Surely(writer), _) => (Event::Nothing, Opinion::Refused(writer)),
        (Looks::Like(writer), Opinion::Suspicious | Opinion::Refused(_)) => {
            (Event::Nothing, Opinion::Refused(writer))
        }
        (Looks::Like(_), Opinion::Fair) => (
            Event::Awaiting(Awaiting::Suspicious {
                maxerror_us: seen.status.maxerror,
            }),
            Opinion::Suspicious,
        ),
    }
}

fn first_look(context: &LookContext<'_>, seen: &Seen, opinion: Opinion) -> (Event, Opinion) {
    let maxerror_us = seen.status.maxerror;
    match fingerprint(&seen.status) {
        Looks::Surely(writer) => return (Event::Nothing, Opinion::Refused(writer)),
        Looks::Like(_) => {
            // Not held against the writer: it was not seen writing.
            return (
                Event::Awaiting(Awaiting::Suspicious { maxerror_us }),
                opinion,
            );
        }
        Looks::Honest => {}
    }
    if !context.may_inherit {
        return (Event::Awaiting(Awaiting::Disturbance), opinion);
    }
    let rate_ppb = seen.adjustment_ppb.saturating_abs();
    if rate_ppb.saturating_add(context.max_drift_ppb.into()) > GROWTH_PPB {
        return (Event::Awaiting(Awaiting::Slewing { rate_ppb }), opinion);
    }
    let claim = seen.claim(context, INHERITED_UNSEEN);
    (Event::claimed(claim, Event::First), opinion)
}

/// What the predictor needs of the last look.
#[derive(Clone, Copy, Default)]
struct Baseline {
    maxerror: i64,
    real: i64,
    raw: i64,
    mono_before: i64,
    mono_after: i64,
    real_offset: OffsetRange,
    adjustment_ppb: i64,
    tai: i64,
}

impl Baseline {
    fn of(seen: &Seen) -> Self {
        Self {
            maxerror: seen.status.maxerror,
            real: seen.clocks.real,
            raw: seen.clocks.raw,
            mono_before: seen.clocks.mono_before,
            mono_after: seen.clocks.mono_after,
            real_offset: seen.clocks.real_offset(),
            adjustment_ppb: seen.adjustment_ppb,
            tai: seen.status.tai.into(),
        }
    }

    /// Whether `maxerror` is something else than the growth since this look: a write.
    fn departs(&self, seen: &Seen) -> bool {
        let boundaries = seen.clocks.real.div_euclid(SECOND) - self.real.div_euclid(SECOND);
        // The kernel comes a tick or two late, at this look as at that: one boundary either way.
        !(boundaries - 1..=boundaries + 1).any(|n| {
            n >= 0
                && self
                    .maxerror
                    .saturating_add(n.saturating_mul(GROWTH_US))
                    .min(NtpStatus::MAXERROR_CAP)
                    == seen.status.maxerror
        })
    }

    /// How far real time may have strayed since a write that happened some time after this look.
    ///
    /// At most `R` times the gap, `R` being the oscillator's drift and the faster adjustment of the
    /// two looks; beyond the second by which it may be late the kernel's growth covers 500 ppm. And
    /// all that monotonic time strayed beyond these adjustments: it may have done so in no time, and
    /// just now.
    fn unseen(&self, context: &LookContext<'_>, seen: &Seen) -> u64 {
        let gap = seen.clocks.raw.saturating_sub(self.raw).max(0);
        // The kernel counts its own seconds: a slow clock's bound grows slowly.
        let counted = seen.clocks.mono_before.saturating_sub(self.mono_after);
        let grown = drift(GROWTH_PPB, counted.saturating_sub(GROWTH_DELAY).max(0));
        let rate = i64::from(context.max_drift_ppb).saturating_add(
            self.adjustment_ppb
                .saturating_abs()
                .max(seen.adjustment_ppb.saturating_abs()),
        );
        // The write was just now, and nothing has grown yet; or right after the last look.
        let just_now = drift(rate, gap.min(GROWTH_DELAY));
        let long_ago = drift(rate, gap).saturating_sub(grown);
        just_now
            .max(long_ago)
            .saturating_add(self.unexplained_slew(seen, gap))
    }

    /// How far monotonic time strayed from raw time between the looks, in ns, beyond what the
    /// adjustments of the two make it stray: sees slews that no field of the status shows, and those
    /// that are over.
    fn unexplained_slew(&self, seen: &Seen, gap: i64) -> u64 {
        let gap = i128::from(gap);
        let strayed = |from: i64, to: i64| i128::from(to) - i128::from(from) - gap;
        let least = strayed(self.mono_after, seen.clocks.mono_before);
        let most = strayed(self.mono_before, seen.clocks.mono_after);
        let slow = self.adjustment_ppb.min(seen.adjustment_ppb);
        let fast = self.adjustment_ppb.max(seen.adjustment_ppb);
        let explained = |ppb: i64| (gap * i128::from(ppb)).div_euclid(1_000_000_000);
        let excess = (most - explained(fast)).max(explained(slow) - least).max(0);
        u64::try_from(excess).unwrap_or(u64::MAX)
    }
}

/// `rate × span`, rounded up, for a rate in ppb and a span in ns, neither negative.
fn drift(rate_ppb: i64, span: i64) -> u64 {
    let product = u128::from(rate_ppb.unsigned_abs()) * u128::from(span.unsigned_abs());
    u64::try_from(product.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}

/// The tick and frequency corrections together, in ppb and rounded away from zero.
fn adjustment_ppb(status: &NtpStatus) -> i64 {
    // A tick of one µs in 10 000 is 100 ppm; `freq` counts 2⁻¹⁶ ppm.
    let tick = (i128::from(status.tick) - i128::from(NtpStatus::NOMINAL_TICK)) * 100_000;
    let sum = (tick << 16) + i128::from(status.freq) * 1_000;
    let size = i64::try_from(sum.unsigned_abs().div_ceil(1 << 16)).unwrap_or(i64::MAX);
    if sum < 0 { -size } else { size }
}

/// The leap flags, and which of them mean nothing any more.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct LeapFlags {
    /// `STA_INS` and `STA_DEL` as last seen.
    set: i32,
    /// Those of them that belong to a leap second which is over: daemons leave them set.
    stale: i32,
}

impl LeapFlags {
    fn after(self, seen: &Seen, baseline: Option<&Baseline>) -> Self {
        let set = seen.status.status & (NtpStatus::STA_INS | NtpStatus::STA_DEL);
        let crossed_midnight =
            baseline.is_some_and(|b| b.real.div_euclid(DAY) < seen.clocks.real.div_euclid(DAY));
        let stale = if seen.status.state == NtpStatus::TIME_WAIT {
            set
        } else if crossed_midnight {
            set & self.set
        } else {
            set & self.stale
        };
        Self { set, stale }
    }

    /// The leap second that flags alone announce, where the state is hidden by `TIME_ERROR`.
    const fn announced(self) -> Option<LeapKind> {
        match self.set & !self.stale {
            NtpStatus::STA_INS => Some(LeapKind::Inserted),
            NtpStatus::STA_DEL => Some(LeapKind::Deleted),
            _ => None,
        }
    }
}

fn leap_notice(seen: &Seen, before: &Remembered, flags: LeapFlags) -> LeapNotice {
    let pending = match seen.status.state {
        NtpStatus::TIME_INS => Some(LeapKind::Inserted),
        NtpStatus::TIME_DEL => Some(LeapKind::Deleted),
        NtpStatus::TIME_ERROR => flags.announced(),
        _ => None,
    };
    let day = seen.clocks.real.div_euclid(DAY);
    if pending.is_some() && seen.clocks.real.rem_euclid(DAY) <= LEAP_VICINITY {
        // The kernel leaps a tick or two late, so this may be the last midnight's leap second as
        // well as the next one's.
        return LeapNotice::None;
    }
    if let Some(kind) = pending {
        // The kernel acts at the end of the UTC day in which the flag is set, whichever it is.
        return leap_at(day.saturating_add(1), kind).map_or(LeapNotice::None, LeapNotice::Pending);
    }
    before
        .leap_passed(seen)
        .and_then(|kind| leap_at(day, kind))
        .map_or(LeapNotice::None, LeapNotice::Passed)
}

fn leap_at(day: i64, kind: LeapKind) -> Option<LeapSecond> {
    let boundary = Timestamp::from_unix_nanos(day.checked_mul(DAY)?);
    Some(LeapSecond { boundary, kind })
}

/// Whether the kernel's clock is about to leap, is leaping or has just leapt.
fn near_leap(seen: &Seen, leap: LeapNotice, flags: LeapFlags) -> bool {
    let flagged = flags.announced().is_some();
    let since_midnight = seen.clocks.real.rem_euclid(DAY);
    let just_after_midnight = since_midnight <= LEAP_VICINITY;
    match (leap, seen.status.state) {
        (_, NtpStatus::TIME_OOP) => true,
        // Late to leap.
        (_, NtpStatus::TIME_INS | NtpStatus::TIME_DEL) if just_after_midnight => true,
        (_, NtpStatus::TIME_ERROR) if just_after_midnight && flagged => true,
        (LeapNotice::Pending(_), _) => DAY - since_midnight <= LEAP_VICINITY,
        (LeapNotice::Passed(_), _) | (_, NtpStatus::TIME_WAIT) => just_after_midnight,
        (LeapNotice::None, _) => false,
    }
}

/// What is remembered between two looks.
struct Remembered {
    baseline: Option<Baseline>,
    opinion: Opinion,
    /// Why there is nothing to stand by until the next write.
    waiting: Option<Awaiting>,
    leap_flags: LeapFlags,
}

impl Remembered {
    /// What to say where nothing new was written.
    fn standing(&self) -> Event {
        self.waiting.map_or(Event::Nothing, Event::Awaiting)
    }

    /// The leap second that explains a jump of real time by a second since the last look: one that
    /// was announced, or that the kernel's state or TAI offset tells of.
    fn leap_passed(&self, seen: &Seen) -> Option<LeapKind> {
        let baseline = self.baseline.as_ref()?;
        if baseline.real.div_euclid(DAY) >= seen.clocks.real.div_euclid(DAY) {
            return None;
        }
        let moved = baseline.real_offset.moved_to(&seen.clocks.real_offset());
        let kind = if moved.saturating_add(SECOND).abs() < SECOND / 2 {
            LeapKind::Inserted
        } else if moved.saturating_sub(SECOND).abs() < SECOND / 2 {
            LeapKind::Deleted
        } else {
            return None;
        };
        let tai_step = match kind {
            LeapKind::Inserted => 1,
            LeapKind::Deleted => -1,
        };
        let told = seen.status.state == NtpStatus::TIME_WAIT
            || i64::from(seen.status.tai) == baseline.tai.saturating_add(tai_step)
            || self.leap_flags.announced() == Some(kind);
        told.then_some(kind)
    }

    fn load(memory: &SourceMemory) -> Self {
        let [
            present,
            maxerror,
            real,
            raw,
            mono_before,
            mono_after,
            offset_lo,
            offset_hi,
            adjustment_ppb,
            tai,
            opinion,
            waiting,
            waiting_figure,
            leap_set,
            leap_stale,
            _,
        ] = memory.words;
        let flags = |word: i64| i32::try_from(word).unwrap_or(0);
        Self {
            baseline: (present != 0).then_some(Baseline {
                maxerror,
                real,
                raw,
                mono_before,
                mono_after,
                real_offset: OffsetRange {
                    lo: offset_lo,
                    hi: offset_hi,
                },
                adjustment_ppb,
                tai,
            }),
            opinion: match opinion {
                0 => Opinion::Fair,
                1 => Opinion::Suspicious,
                2 => Opinion::Refused(Writer::Timesyncd),
                3 => Opinion::Refused(Writer::NtpdStarting),
                _ => Opinion::Refused(Writer::PtpOrOpenntpd),
            },
            waiting: Awaiting::from_words(waiting, waiting_figure),
            leap_flags: LeapFlags {
                set: flags(leap_set),
                stale: flags(leap_stale),
            },
        }
    }

    fn store(&self) -> SourceMemory {
        let b = self.baseline.unwrap_or_default();
        let opinion = match self.opinion {
            Opinion::Fair => 0,
            Opinion::Suspicious => 1,
            Opinion::Refused(Writer::Timesyncd) => 2,
            Opinion::Refused(Writer::NtpdStarting) => 3,
            Opinion::Refused(Writer::PtpOrOpenntpd) => 4,
        };
        let (waiting, waiting_figure) = Awaiting::to_words(self.waiting);
        SourceMemory {
            words: [
                self.baseline.is_some().into(),
                b.maxerror,
                b.real,
                b.raw,
                b.mono_before,
                b.mono_after,
                b.real_offset.lo,
                b.real_offset.hi,
                b.adjustment_ppb,
                b.tai,
                opinion,
                waiting,
                waiting_figure,
                self.leap_flags.set.into(),
                self.leap_flags.stale.into(),
                0,
            ],
        }
    }
}
