//! Reading a clock: the hot path, the careful one, and the guard that compares the clocks.

use super::latch::{Drawn, Glance, Head, LatchReading, Line, Pair, Point};
use super::policy::RefreshPolicy;
use super::scratch::Scratch;
use super::shared::Shared;
use super::state::{BASIS_WORDS, Basis, Counting, DIGEST_WORDS, Digest, SLOT_WORDS, State};
use crate::clock::error::ClockError;
use crate::machine::{
    Counted, Disruption, Disturbance, NoCounter, Sandwich, Striped, SystemMachine,
};
use crate::time::{Interval, Timestamp};
use crate::words::{WordReader, Words};

/// How often a reading starts anew because the clock was republished under it.
pub(super) const ROUNDS: usize = 16;

/// A claim whose earliest end has been held for so long, in ns, was left by a looker that stopped.
const HELD_TOO_LONG: i64 = 1_000_000;

/// What comparing the clocks came to.
enum Guarded {
    /// Nothing had happened to them since the claim that was read was published.
    Calm,
    /// Something happened; the reading has to start anew.
    Changed,
    /// They could not be compared.
    Interrupted,
}

/// The best estimate of UTC at a raw instant, with the interval around it or why there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    /// The interval's middle; without an interval, the machine's real time.
    pub(crate) best: Timestamp,
    pub(crate) raw: i64,
    pub(crate) interval: Result<Interval, ClockError>,
}

/// One reading of the hot path, of which the interval is worked out if asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HotReading {
    drawn: Drawn,
    elapsed: i64,
    generation: i64,
}

impl HotReading {
    /// Returns the raw instant that it is about, or up to 0.4 µs more.
    #[inline]
    pub(crate) fn raw(&self) -> i64 {
        self.drawn.raw_at(self.elapsed)
    }

    /// Returns the generation of the line: each publication has its own, and they only grow.
    pub(crate) const fn generation(&self) -> i64 {
        self.generation
    }

    /// Returns the raw instant of the claim that answers.
    #[inline]
    pub(crate) const fn claimed_at(&self) -> i64 {
        self.drawn.claimed_at
    }

    #[inline]
    pub(crate) fn interval(&self) -> Option<Interval> {
        self.drawn.line.at(self.elapsed)
    }

    #[inline]
    pub(crate) fn middle(&self) -> Option<Timestamp> {
        Some(self.interval()?.midpoint())
    }
}

/// The middle of an interval, at an instant that may have come a little before the call did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glimpse {
    /// As [`HotReading::generation`].
    pub(crate) generation: i64,
    pub(crate) middle: Timestamp,
}

/// An interval, or why there is none, with what it was computed from.
pub(super) struct Answer {
    pub(super) basis: Basis,
    pub(super) raw: i64,
    /// How many counts after the line's first, if it goes through counts.
    pub(super) counts: Option<i64>,
    pub(super) interval: Result<Interval, ClockError>,
}

/// The hot path: no syscall, lock or allocation. `None` if anything is out of the ordinary.
///
/// Where a machine is read by its counter alone that is tried first, without the questions that have one answer there:
/// to ask them takes a twentieth of a reading.
#[allow(
    clippy::inline_always,
    reason = "a call and its result in memory cost a nanosecond"
)]
impl Shared {
    #[inline(always)]
    pub(super) fn now_plainly(&self) -> Option<Interval> {
        match self.answer_plainly(Line::at) {
            None if self.by_counter_alone => self.now_on_raw_time(),
            answered => answered,
        }
    }

    /// As [`now_plainly`](Self::now_plainly), of which it is the latest end; where raw time is read instead of the
    /// counter it has no answer.
    #[inline(always)]
    pub(super) fn latest_plainly(&self) -> Option<Timestamp> {
        self.answer_plainly(|line, elapsed| line.point_at(Point::Latest, elapsed))
    }

    /// Reads the clock that this machine is usually read by, and has `answer` tell what the line comes to.
    #[inline(always)]
    fn answer_plainly<R>(&self, answer: impl FnOnce(&Line, i64) -> Option<R>) -> Option<R> {
        let of = |glance: &Glance<'_, SLOT_WORDS>, elapsed, ()| answer(glance.line(), elapsed);
        if self.by_counter_alone {
            return self.read_at::<true, _, _>(
                |glance, checked| self.count_in_order(glance, checked, ()),
                of,
            );
        }
        self.read_at::<false, _, _>(
            |glance, checked| Some(self.position(glance.line(), checked, ())),
            of,
        )
    }

    /// Reads the line in force, and how long after its base it was read.
    #[inline(always)]
    pub(super) fn line_plainly(&self) -> Option<(Line, i64)> {
        if self.by_counter_alone {
            self.line_by_counter()
        } else {
            self.line_watchfully()
        }
    }

    #[inline(always)]
    fn line_by_counter(&self) -> Option<(Line, i64)> {
        let read = self.read_at::<true, _, _>(
            |glance, checked| self.count_in_order(glance, checked, ()),
            |glance, elapsed, ()| Some((*glance.line(), elapsed)),
        );
        match read {
            Some(read) => Some(read),
            None => self.line_through_raw_time(),
        }
    }

    /// As [`line_plainly`](Self::line_plainly), on any machine.
    #[inline(always)]
    fn line_watchfully(&self) -> Option<(Line, i64)> {
        self.read_at::<false, _, _>(
            |glance, checked| Some(self.position(glance.line(), checked, ())),
            |glance, elapsed, ()| Some((*glance.line(), elapsed)),
        )
    }

    // Calls of their own, so that they take no register from the usual readings.

    #[cold]
    #[inline(never)]
    fn now_on_raw_time(&self) -> Option<Interval> {
        let (line, elapsed) = self.line_watchfully()?;
        line.at(elapsed)
    }

    #[cold]
    #[inline(never)]
    fn line_through_raw_time(&self) -> Option<(Line, i64)> {
        self.line_watchfully()
    }

    /// As [`line_plainly`](Self::line_plainly), with what it takes to tell raw time.
    #[inline(always)]
    pub(super) fn instant_plainly(&self) -> Option<HotReading> {
        if !self.by_counter_alone {
            return self.instant_watchfully();
        }
        let read = self.read_at::<true, _, _>(
            // Before the clock is read, as the line: both are whole if the glance holds then.
            |glance, checked| self.count_in_order(glance, checked, glance.drawn()),
            hot_reading,
        );
        match read {
            Some(read) => Some(read),
            None => self.instant_on_raw_time(),
        }
    }

    #[inline(always)]
    fn instant_watchfully(&self) -> Option<HotReading> {
        self.read_at::<false, _, _>(
            |glance, checked| Some(self.position(glance.line(), checked, glance.drawn())),
            hot_reading,
        )
    }

    #[cold]
    #[inline(never)]
    fn instant_on_raw_time(&self) -> Option<HotReading> {
        self.instant_watchfully()
    }

    /// Reads the middle along a line through counts, by a count that need not wait for what precedes it.
    ///
    /// What it gives may lie before the call, by as much as a processor runs ahead of itself; and if the machine
    /// slept within the last millisecond, by as much as that took. It is never later than it should be, and takes half
    /// of the time of a count in order.
    #[inline(always)]
    pub(super) fn glimpse(&self) -> Option<Glimpse> {
        let of = |glance: &Glance<'_, SLOT_WORDS>, elapsed, ()| {
            Some(Glimpse {
                generation: glance.generation(),
                middle: glance.line().point_at(Point::Middle, elapsed)?,
            })
        };
        if self.by_counter_alone {
            return self.read_at::<true, _, _>(
                |glance, checked| {
                    counted_base(glance)?;
                    let count = SystemMachine::count_early();
                    Some((count, self.count_watch.is_recent(count, checked), ()))
                },
                of,
            );
        }
        self.read_at::<false, _, _>(
            |glance, checked| {
                counted_base(glance)?;
                let count = self.machine.count_early();
                Some((count, self.count_watch.is_recent(count, checked), ()))
            },
            of,
        )
    }

    /// Reads a line through counts, which stripe it was counted on, and another count, which may be an early one.
    #[inline(always)]
    pub(super) fn read_striped<R>(
        &self,
        answer: impl Fn(&Glance<'_, SLOT_WORDS>, i64, u32, i64) -> R,
    ) -> Option<R> {
        let of = |glance: &Glance<'_, SLOT_WORDS>, elapsed, (stripe, later): (Option<u32>, i64)| {
            Some(answer(glance, elapsed, stripe?, later))
        };
        if self.by_counter_alone && SystemMachine::TELLS_PROCESSOR {
            return self.read_at::<true, _, _>(
                |glance, checked| {
                    counted_base(glance)?;
                    let (count, processor) = SystemMachine::count_on_processor();
                    // Already here, for what follows then runs beside what the first count is needed for.
                    let later = SystemMachine::count_early();
                    let recent = self.count_watch.is_recent(count, checked);
                    Some((count, recent, (Some(processor), later)))
                },
                of,
            );
        }
        self.read_at::<false, _, _>(
            |glance, checked| {
                let base = counted_base(glance)?;
                let with_coarse = self.count_watch.with_coarse();
                let Striped { sample, stripe } = self.machine.striped_sample(with_coarse, base);
                let later = self.machine.count_early();
                let calm = self.count_watch.is_calm(&sample, checked);
                Some((sample.raw, calm, (stripe, later)))
            },
            of,
        )
    }

    /// Copies the line in force, has `read` find out where it is and whether the clocks are calm, and has `answer` tell
    /// what it comes to so long after the line's base, if nothing is out of the ordinary.
    ///
    /// `read` is given the count of the last check. `ALONE` is for what reads the counter of a machine that is read
    /// by it alone. What the glance holds is handed to `answer` in place: moved, it would go through memory.
    #[inline(always)]
    fn read_at<const ALONE: bool, T, R>(
        &self,
        read: impl FnOnce(&Glance<'_, SLOT_WORDS>, i64) -> Option<(i64, bool, T)>,
        answer: impl FnOnce(&Glance<'_, SLOT_WORDS>, i64, T) -> Option<R>,
    ) -> Option<R> {
        // Both are loaded before the claim, and compared after the clock was read: see
        // `Watch::disruption`.
        let disruption = (!ALONE).then(|| self.watch.disruption());
        let checked = self.count_watch.checked();
        let glance = self.latch.glance()?;
        let (position, calm, beside) = read(&glance, checked)?;
        let undisturbed =
            calm && disruption.is_none_or(|known| self.machine.is_undisrupted(known, position));
        if undisturbed && glance.holds_at(position) {
            answer(&glance, glance.line().elapsed(position)?, beside)
        } else {
            None
        }
    }

    /// Reads the counter of a machine that is read by it alone, in order, with what was loaded before.
    #[inline(always)]
    fn count_in_order<T>(
        &self,
        glance: &Glance<'_, SLOT_WORDS>,
        checked: i64,
        before: T,
    ) -> Option<(i64, bool, T)> {
        let count = SystemMachine::count_in_order(counted_base(glance)?);
        Some((count, self.count_watch.is_recent(count, checked), before))
    }

    /// Reads the clock that the line goes through, and tells whether that and those beside it are calm; with what was
    /// loaded before.
    #[inline(always)]
    fn position<T>(&self, line: &Line, checked: i64, before: T) -> (i64, bool, T) {
        let (position, calm) = if line.counts() {
            let with_coarse = self.count_watch.with_coarse();
            let sample = self.machine.count_sample(with_coarse, line.base());
            (sample.raw, self.count_watch.is_calm(&sample, checked))
        } else {
            let sample = self.machine.sample();
            (sample.raw, self.watch.is_calm(&sample))
        };
        (position, calm, before)
    }
}

#[inline(always)]
#[allow(
    clippy::inline_always,
    clippy::unnecessary_wraps,
    reason = "as the hot path is and has it"
)]
const fn hot_reading(
    glance: &Glance<'_, SLOT_WORDS>,
    elapsed: i64,
    drawn: Drawn,
) -> Option<HotReading> {
    Some(HotReading {
        drawn,
        elapsed,
        generation: glance.generation(),
    })
}

/// Returns the count that a line begins at, if it goes through counts.
#[inline(always)]
#[allow(clippy::inline_always, reason = "as the hot path is")]
fn counted_base(glance: &Glance<'_, SLOT_WORDS>) -> Option<i64> {
    let line = glance.line();
    line.counts().then(|| line.base())
}

/// The careful path, where anything may be out of the ordinary.
impl Shared {
    /// Tells why there is no interval, or finds one.
    #[cold]
    pub(super) fn now_carefully(&self) -> Result<Interval, ClockError> {
        match self.refused_plainly() {
            Some(refusal) => Err(refusal),
            None => self.now_checked(),
        }
    }

    /// Checks the clocks, looks if that is due, and reads; starts anew where the clock changed.
    #[inline(never)]
    fn now_checked(&self) -> Result<Interval, ClockError> {
        let mut looked = false;
        for _ in 0..ROUNDS {
            let Some(reading) = self.read_checked(&mut looked)? else {
                continue;
            };
            if let Some(interval) = plainly(&reading) {
                return Ok(interval);
            }
            if let Some(answer) = self.answer(&reading) {
                return answer.interval;
            }
        }
        Err(interrupted())
    }

    /// Returns why there is no interval, if the last look found none to be had, nothing happened to the
    /// clocks since, and no look is due.
    ///
    /// By this way an error costs less than three intervals, for callers that ask until there is one.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "an error that is copied right after it was written makes the processor wait"
    )]
    pub(super) fn refused_plainly(&self) -> Option<ClockError> {
        let disruption = self.watch.disruption();
        let refusing = self.latch.refusing()?;
        let sample = self.machine.sample();
        let may_look = self.policy.refresh == RefreshPolicy::Inline;
        let calm =
            self.watch.is_calm(&sample) && self.machine.is_undisrupted(disruption, sample.raw);
        if !calm || (may_look && self.watch.is_look_due(sample.raw)) {
            return None;
        }
        match self.prefix::<Basis, BASIS_WORDS>()? {
            (head, Basis::Nothing(why)) if head == refusing => Some(why.error(&self.policy)),
            _ => None,
        }
    }

    /// Returns the interval together with the claim behind it.
    pub(super) fn consult(&self) -> Result<Answer, ClockError> {
        let mut looked = false;
        for _ in 0..ROUNDS {
            let Some(reading) = self.read_checked(&mut looked)? else {
                continue;
            };
            if let Some(answer) = self.answer(&reading) {
                return Ok(answer);
            }
        }
        Err(interrupted())
    }

    /// As [`consult`](Self::consult), with the whole state behind it: for reports, not for a reading,
    /// on whose stack it may not fit.
    pub(super) fn consult_whole(&self) -> Result<(Answer, State), ClockError> {
        let mut looked = false;
        for _ in 0..ROUNDS {
            let Some(reading) = self.read_checked(&mut looked)? else {
                continue;
            };
            let Some(answer) = self.answer(&reading) else {
                continue;
            };
            let whole = self.scratches.with(|scratch| {
                let Scratch { words, before, .. } = scratch;
                let head = self.load(words, before)?;
                (head == reading.head).then_some(*before)
            });
            if let Some(state) = whole.flatten() {
                return Ok((answer, state));
            }
        }
        Err(interrupted())
    }

    /// Reads the clocks, checks them and looks where that is due; `None` to start anew.
    fn read_checked(&self, looked: &mut bool) -> Result<Option<LatchReading>, ClockError> {
        let disruption = self.watch.disruption();
        let reading = self.latch.read(|line| self.read_clocks(line));
        let (line, sample) = (reading.line(), &reading.counted.sample);
        let disrupted = self.machine.as_dyn().disruption() != Some(disruption);
        let departed = line.counts() && !reading.drawn.anchor.agrees(&Pair::from(reading.counted));
        let strange = disrupted || departed || line.begins_after(reading.position());
        if strange || !self.watch.is_calm(sample) {
            match self.guard(&reading) {
                Guarded::Calm if departed => {
                    self.counter_departed(reading.head);
                    return Ok(None);
                }
                Guarded::Calm => {}
                Guarded::Changed => return Ok(None),
                Guarded::Interrupted => return Err(interrupted()),
            }
        }
        let held_for = reading.held_at.map_or(0, |mark| {
            let position = line.elapsed_at(line.mark(reading.position()));
            line.lasting(position.saturating_sub(line.elapsed_at(mark)))
        });
        if held_for > HELD_TOO_LONG {
            self.watch.hasten();
        }
        // One look in a reading is enough: where a look takes longer than the look interval, on a
        // busy machine for one, the next would be due before this reading is done, and so on for ever.
        let may_look = self.policy.refresh == RefreshPolicy::Inline && !*looked;
        if may_look && self.watch.take_look(sample.raw) {
            *looked = true;
            self.look();
            return Ok(None);
        }
        if line.counts() {
            // The line ended, or no look told whether the kernel still counts by the counter. Either way
            // no one may answer from the claim itself before the line is closed: its earliest end is later.
            if !self.watch.is_looked_after(sample.raw) {
                self.leave_counter(reading.head, |counting| {
                    counting.forget(NoCounter::Unwatched);
                });
                return Ok(None);
            }
            if line.elapsed(reading.position()).is_none() {
                self.leave_counter(reading.head, Counting::pause);
                return Ok(None);
            }
            self.count_watch.note(&reading.counted, &self.watch);
        }
        Ok(Some(reading))
    }

    /// Reads every clock that a line is checked against.
    fn read_clocks(&self, line: &Line) -> Counted {
        if line.counts() {
            return self.machine.counted();
        }
        Counted {
            before: 0,
            sample: self.machine.sample(),
            after: 0,
        }
    }

    // Not inlined, nor is `guard`: what they unpack would lie on the stack under a look as well.
    #[inline(never)]
    fn answer(&self, reading: &LatchReading) -> Option<Answer> {
        let (head, basis) = self.prefix::<Basis, BASIS_WORDS>()?;
        // A state published later may rest on a floor that this sample is older than.
        if head != reading.head {
            return None;
        }
        let line = reading.line();
        let raw = reading.counted.sample.raw;
        let counts = line.counts().then(|| line.mark(reading.position()));
        // Not from the claim itself where the line answers: its earliest end may be a little behind (T3).
        let interval = match plainly(reading) {
            Some(interval) => Ok(interval),
            None if line.counts() => return None,
            None => basis.answer(&self.policy, raw, reading.held_at),
        };
        Some(Answer {
            basis,
            raw,
            counts,
            interval,
        })
    }

    /// Returns the value of so many words that stands first in the current slot, and the `head` that it is
    /// current under.
    ///
    /// `None` where the words are no such value, which those of a slot always are.
    fn prefix<T: Words, const N: usize>(&self) -> Option<(Head, T)> {
        let mut words = [0; N];
        let head = self.latch.copy_state(&mut words);
        Some((head, WordReader::new(&words).take()?))
    }

    /// Compares the machine's clocks with what they were when the claim was published.
    #[inline(never)]
    fn guard(&self, reading: &LatchReading) -> Guarded {
        let Some((head, digest)) = self.prefix::<Digest, DIGEST_WORDS>() else {
            return Guarded::Interrupted;
        };
        if head != reading.head {
            // What was read may have been voided: only the state it belongs to can tell.
            return Guarded::Changed;
        }
        // Read after the state, so that raw time cannot seem to run backwards.
        let clocks = self.clocks();
        let Some(disruption) = self.machine.as_dyn().disruption() else {
            return Guarded::Interrupted;
        };
        if !digest.seen.surely_undisturbed(&clocks, disruption)
            && self.disturbed(head, &clocks, disruption)
        {
            return Guarded::Changed;
        }
        if !self.is_sharp(&clocks) {
            return Guarded::Interrupted;
        }
        self.watch.rests_on(disruption);
        self.watch.checked(&reading.counted.sample);
        Guarded::Calm
    }

    /// Finds out by the whole state what happened to the clocks, and publishes what comes of it;
    /// returns false if nothing happened.
    #[cold]
    #[inline(never)]
    fn disturbed(&self, head: Head, clocks: &Sandwich, disruption: Disruption) -> bool {
        let disturbed = self.scratches.with(|scratch| {
            if self.load_both(scratch) != Some(head) {
                return true;
            }
            let machine = self.machine.as_dyn();
            let identity = || machine.identity();
            let found = scratch
                .next
                .guard(&self.policy, clocks, disruption, identity);
            let Some(events) = found else {
                return false;
            };
            self.publish(head, scratch, &events);
            self.watch.hasten();
            true
        });
        // Where no room is free as many lookers are finding out.
        disturbed.unwrap_or(true)
    }

    /// Returns after how much raw time `instant` is surely past; `Some(0)` if it is, and `None` if it
    /// never will be.
    ///
    /// As far as the claim in force goes: another one can move the instant either way, which is why
    /// a waiting caller looks again.
    pub(super) fn until_past(&self, instant: Timestamp) -> Result<Option<u64>, ClockError> {
        let answer = self.consult()?;
        if answer.interval?.after(instant) {
            return Ok(Some(0));
        }
        let claim = answer.basis.claim();
        let due = claim.and_then(|claim| claim.past_at(instant));
        // At least 1: the claim may say so already while its earliest end is held for a moment.
        Ok(due.map(|due| due.saturating_sub(answer.raw).max(1).unsigned_abs()))
    }

    /// Returns the best estimate there is, whether or not a source vouches for it.
    #[cold]
    pub(super) fn estimate(&self) -> Estimate {
        let refusal = match self.consult() {
            Ok(Answer {
                raw,
                interval: Ok(interval),
                ..
            }) => {
                return Estimate {
                    best: interval.midpoint(),
                    raw,
                    interval: Ok(interval),
                };
            }
            Ok(Answer {
                interval: Err(refusal),
                ..
            })
            | Err(refusal) => refusal,
        };
        let clocks = self.clocks();
        Estimate {
            best: Timestamp::from_unix_nanos(clocks.real),
            raw: clocks.raw,
            interval: Err(refusal),
        }
    }
}

/// Returns what the line says, where it answers; `None` while a line through raw time is being replaced.
fn plainly(reading: &LatchReading) -> Option<Interval> {
    let line = reading.line();
    let elapsed = line.elapsed(reading.position())?;
    let interval = line.at(elapsed)?;
    match reading.held_at {
        None => Some(interval),
        Some(mark) if line.counts() => {
            let earliest = line.at(mark.min(elapsed))?.earliest();
            Interval::new(earliest, interval.latest()).ok()
        }
        Some(_) => None,
    }
}

const fn interrupted() -> ClockError {
    ClockError::Disturbed {
        cause: Disturbance::Interrupted,
    }
}
