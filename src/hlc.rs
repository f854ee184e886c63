//! The hybrid logical clock: stamps that are close to UTC and never contradict causality.

use core::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::clock::{
    Clock, ClockError, Estimate, Exhausted, Glimpse, HotReading, Point, StripeLine, StripeReading,
    Stripes, Word,
};
use crate::primitive::{AtomicI64, Ordering};
use crate::time::{Interval, Timestamp};

mod builder;
mod commit;
mod error;
mod jump;
mod limits;
#[cfg(all(test, loom))]
mod loom_model;
mod node;
mod record;
mod remote;
mod reserve;
mod text;
mod timestamp;
mod wide;

pub use builder::HybridClockBuilder;
pub use commit::HlcCommit;
pub use error::HlcError;
pub use limits::{ForwardLimit, RemoteLimit};
pub use node::{NodeId, NodeStamp};
pub use record::ReserveRecord;
pub use remote::RemoteTimestamp;
pub use text::ParseHlcError;
pub use timestamp::HlcTimestamp;
pub use wide::WideTimestamp;

use jump::JumpGuard;
use limits::{CommitLimit, RemoteCheck};
use reserve::{Reserve, Used};
use timestamp::{Middle, ceiling_bits, floor_bits};

/// A hybrid logical clock (Kulkarni et al. 2014) over a [`Clock`]: its stamps are close to UTC, and
/// whatever happened before has the lesser stamp.
///
/// Intervals overlap, and then they cannot order two events; causality still must be exact. So each
/// node stamps its events, sends its stamp along with each message, and [`observe`](Self::observe)s
/// the stamps it receives. Cheap to clone; clones share their state, one atomic word, and any number
/// of threads may use it at once: no lock is taken, except to store a reserve. Where threads compete for the word
/// they can draw stamps [without it](crate::clock::Striping).
///
/// ```
/// use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, there) = (HybridClock::new(Clock::system()?), HybridClock::new(Clock::system()?));
///
/// let sent = here.tick()?; // a send event, or any other local one
/// let datagram = sent.to_be_bytes();
///
/// let received = there.observe(RemoteTimestamp::from_be_bytes(datagram))?; // a receive event
/// assert!(received > sent);
/// # Ok(())
/// # }
/// ```
///
/// # What holds
///
/// With `l` the physical part of the last stamp, `pt` the clock's best estimate (the middle of its
/// interval, or up to 2 ns more) in whole microseconds, and `e` its epsilon. (A tick, and an `observe` of what is not ahead, take `pt` as of
/// a moment that may lie before the call, by as much as a processor runs ahead of itself: less than half of a
/// microsecond. What orders stamps is the word.)
///
/// - **H1** Happened-before implies strictly less: a tick is above every stamp that this clock issued
///   or observed before, and `observe` returns a stamp above the remote one as well.
///   Drawn [without the word](crate::clock::Striping), this rests on the counter (A6).
/// - **H2** `l >= pt`, at every stamp.
/// - **H3** `l` is the largest `pt` known here or from messages, up to counter carries, commit stamps
///   and a restored floor; and, where stamps are drawn without the word, to the end of a unit, 125 ns at most.
/// - **H4** With honest peers `l − UTC <= 2 e`, with the largest `e` among them, up to carries and a
///   restored floor. (A tick is within one `e`; commit stamps take the second.)
/// - **H5** A counter that is full carries into the physical part: it never wraps, and never fails. One without
///   the word is not counted up: it tells the time within the microsecond, and who drew the stamp.
/// - **H6** A call that fails changes nothing, a rejected `observe` above all.
/// - **H7** All encodings sort as the stamps do.
/// - **H8** Stamps of one clock are unique, whichever threads ask. Drawn without the word, this rests on A6.
/// - **H9** Stamps after a restart are above all from before it, given a persisted floor; and within one
///   boot a jump that was refused before it is refused after it, given a reserve's record.
/// - **H10** A stamp issued together with its interval: `[pt − e, max(pt + e, l)]` contains true time.
/// - **H11** A commit stamp's physical part is the clock's latest rounded *up* to the microsecond, or
///   more, but by no more than the [limit](HybridClockBuilder::commit_limit); it is released only when
///   [`after`](Clock::after) says so of it.
///
/// # What it does not do
///
/// Two nodes may issue the same number: a stamp names no node, which a [`NodeStamp`] does. That one stamp is less
/// than another does not mean that its event happened before: only the reverse holds. And a message without a
/// stamp carries no causality.
///
/// # No bound, stopped clocks, jumps
///
/// Ticking needs no bound. While the clock gives no interval, the best estimate is the machine's real
/// time, and the remote check takes
/// [a configured offset](HybridClockBuilder::offset_when_unknown). Where the clock stands still or
/// was set back, stamps count on from the last one, 4096 to the microsecond. A clock before 1970 is
/// one that is behind like any other; one past 2112 is [`HlcError::EndOfRange`].
///
/// A clock that jumps ahead would take the stamps of all its peers along, for ever. So there are two
/// limits: [`RemoteLimit`] on what `observe` takes over, and [`ForwardLimit`] on the local clock. And
/// where stamps are far ahead all the same, commits are refused rather than made to wait for hours:
/// [`commit_limit`](HybridClockBuilder::commit_limit). What then leads back is in
/// [`guide::ways_back`](crate::guide::ways_back).
///
/// # Forks
///
/// A forked child is another node: let it build a clock of its own, as parent and child would issue
/// the same stamps otherwise.
#[derive(Clone, Debug)]
pub struct HybridClock {
    clock: Clock,
    shared: Arc<Shared>,
}

/// What all handles share. The word has cache lines of its own; the rest is hardly ever written.
#[derive(Debug)]
struct Shared {
    word: Word,
    stripes: Stripes<Middle>,
    /// The generation of the last line that the forward guard found calm; 0 for none, as the first is 1.
    calm_line: AtomicI64,
    reserve: Reserve,
    jump: JumpGuard,
    remote: RemoteCheck,
    commit: CommitLimit,
}

// What a user's own code is called through (a machine, a source, the store of a reserve) is why this is
// not derived. A panic in any of it leaves the word, the reserve and the guard as they were: each is
// changed by single stores, after the call.
impl UnwindSafe for HybridClock {}
impl RefUnwindSafe for HybridClock {}

/// A stamp with the interval that it was issued in; returned by
/// [`HybridClock::tick_with_interval`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StampedInterval {
    /// The stamp.
    pub timestamp: HlcTimestamp,
    /// Contains true time, and reaches up to the stamp (H10).
    pub interval: Interval,
}

impl HybridClock {
    fn from_parts(clock: Clock, shared: Shared) -> Self {
        Self {
            clock,
            shared: Arc::new(shared),
        }
    }

    /// Returns the clock under it.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hlc = HybridClock::new(Clock::system()?);
    /// println!("{}", hlc.clock().read());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the latest stamp issued or observed, or a bound above it.
    ///
    /// At first the floor, or [`HlcTimestamp::MIN`]. Once stamps are drawn [without the word](crate::clock::Striping)
    /// no thread knows which was the latest: then it is a bound that no stamp issued so far is above, and which goes
    /// on with time whether or not stamps are issued.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hlc = HybridClock::new(Clock::system()?);
    /// let stamp = hlc.tick()?;
    /// assert_eq!(hlc.last(), stamp);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn last(&self) -> HlcTimestamp {
        HlcTimestamp::from_bits(self.shared.last(&self.clock))
    }

    /// Stamps a local or a send event.
    ///
    /// The stamp is above all that was issued or observed here before.
    ///
    /// One reading of the clock and one change of an atomic word. While the clock gives no interval
    /// it takes its real time instead, which costs several times as much.
    ///
    /// # Errors
    ///
    /// [`HlcError::ForwardJump`], [`HlcError::Reserve`] or [`HlcError::EndOfRange`]; nothing changes
    /// then.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hlc = HybridClock::new(Clock::system()?);
    /// let (first, second) = (hlc.tick()?, hlc.tick()?);
    /// assert!(first < second);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn tick(&self) -> Result<HlcTimestamp, HlcError> {
        if self.shared.stripes.are_drawn() {
            return self.tick_striped();
        }
        self.tick_by_word()
    }

    #[inline(never)]
    fn tick_striped(&self) -> Result<HlcTimestamp, HlcError> {
        match self.draw(0, |next| self.shared.admit(next))? {
            Some((stamp, _)) => Ok(stamp),
            None => self.tick_by_word(),
        }
    }

    #[inline(never)]
    fn tick_by_word(&self) -> Result<HlcTimestamp, HlcError> {
        match self.glimpse() {
            Some(best) => self.issue(0, best, |next| self.shared.admit(next)),
            None => self.tick_attentively(),
        }
    }

    /// Stamps an event, and returns its interval with the stamp.
    ///
    /// It is `[earliest, latest]` of the reading that the stamp is made of, stretched to the
    /// stamp's physical part where that is later (H10).
    ///
    /// # Errors
    ///
    /// As [`tick`](Self::tick), and [`HlcError::Clock`] where there is no interval. No stamp is
    /// issued then.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let stamped = HybridClock::new(clock).tick_with_interval()?;
    /// assert!(stamped.timestamp.physical() <= stamped.interval.latest());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn tick_with_interval(&self) -> Result<StampedInterval, HlcError> {
        let admit = |next| self.shared.admit(next);
        let drawn = if self.shared.stripes.are_drawn() {
            self.draw(0, admit)?
        } else {
            None
        };
        let drawn = drawn.and_then(|(stamp, reading)| Some((stamp, reading.interval()?)));
        let (timestamp, interval) = match drawn {
            Some(drawn) => drawn,
            None => {
                let (best, reading) = self.read()?;
                // Before a stamp is issued, so that a call without an interval issues none (H6).
                let interval = reading.interval(&self.clock)?;
                (self.issue(0, best, admit)?, interval)
            }
        };
        let latest = interval.latest().max(timestamp.physical());
        // The earliest end stays, so the ends cannot be the wrong way round.
        let interval = Interval::new(interval.earliest(), latest).unwrap_or(interval);
        Ok(StampedInterval {
            timestamp,
            interval,
        })
    }

    /// Merges a remote stamp and returns a stamp greater than it.
    ///
    /// It is above all that was issued or observed here before, too.
    ///
    /// # Errors
    ///
    /// [`HlcError::TooFarAhead`] for a stamp beyond the [`RemoteLimit`], otherwise as
    /// [`tick`](Self::tick). Nothing changes then.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
    /// # use epsilon_clock::hlc::HlcError;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hlc = HybridClock::new(Clock::system()?);
    /// let old: RemoteTimestamp = "2001-01-01T00:00:00.000000Z_0000".parse()?;
    /// assert!(hlc.observe(old)? > old);
    ///
    /// let last = hlc.last();
    /// let broken = RemoteTimestamp::from_be_bytes([0xff; 8]);
    /// assert!(matches!(hlc.observe(broken), Err(HlcError::TooFarAhead { .. })));
    /// assert_eq!(hlc.last(), last);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn observe(&self, remote: impl Into<RemoteTimestamp>) -> Result<HlcTimestamp, HlcError> {
        let remote = remote.into();
        if self.shared.stripes.are_drawn() {
            // What is below a stripe is not ahead of the best estimate, and needs no check.
            let drawn = self.draw(remote.to_bits(), |next| self.shared.admit(next))?;
            if let Some((stamp, _)) = drawn {
                return Ok(stamp);
            }
        }
        if let Some(best) = self.glimpse() {
            if remote.physical() <= best {
                return self.issue(remote.to_bits() + 1, best, |next| self.shared.admit(next));
            }
        }
        let (best, reading) = self.read()?;
        // What is not even ahead of the best estimate needs no interval to be checked by.
        if remote.physical() > best {
            let interval = reading.interval(&self.clock).ok();
            self.shared.remote.check(remote, best, interval.as_ref())?;
        }
        // The largest number has no stamp above it. A floor alone would not do: it may be issued.
        let above = remote.to_bits().checked_add(1);
        let above = above.ok_or(HlcError::EndOfRange)?;
        self.issue(above, best, |next| self.shared.admit(next))
    }

    /// Takes a commit stamp, and the wait until it is past.
    ///
    /// It is above all that was issued or observed here before, and not before the latest instant
    /// that it can be now, rounded up to the microsecond (H11).
    ///
    /// # Errors
    ///
    /// As [`tick_with_interval`](Self::tick_with_interval); and [`HlcError::CommitTooFarAhead`], with
    /// the wait that the commit would take, where the stamp would be further ahead of `latest` than
    /// the [`commit_limit`](HybridClockBuilder::commit_limit). No stamp is issued then.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// # let hlc = HybridClock::new(clock);
    /// let latest = hlc.clock().now()?.latest();
    /// let commit = hlc.begin_commit()?;
    /// assert!(commit.timestamp().physical() >= latest);
    /// assert!(hlc.tick()? > commit.timestamp());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn begin_commit(&self) -> Result<HlcCommit, HlcError> {
        let (best, reading) = self.read()?;
        let interval = reading.interval(&self.clock)?;
        // Up, not down: (100, 0) issued elsewhere could follow a released (100, 5) (H11).
        let floor = ceiling_bits(interval.latest()).ok_or(HlcError::EndOfRange)?;
        let timestamp = self.issue(floor, best, |next| {
            let commit = &self.shared.commit;
            commit.check(next, floor, &interval, &self.clock)?;
            self.shared.admit(next)
        })?;
        Ok(HlcCommit::new(self.clock.clone(), timestamp))
    }

    /// Accepts the local clock as it stands, after a jump.
    ///
    /// For when it jumped ahead by more than the [`ForwardLimit`] and you checked it.
    ///
    /// It holds for this process. With a [reserve](HybridClockBuilder::reserve) it holds after a restart
    /// as well from the next stamp on, which stores it.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # use epsilon_clock::hlc::HlcError;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let hlc = HybridClock::new(Clock::system()?);
    /// if let Err(HlcError::ForwardJump { by, .. }) = hlc.tick() {
    ///     eprintln!("the clock jumped by {by:?}; going on from there");
    ///     hlc.accept_jump();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn accept_jump(&self) {
        self.shared.jump.accept(&self.clock);
    }

    /// Stores the next bound of the reserve if half is used.
    ///
    /// Does nothing without a [reserve](HybridClockBuilder::reserve).
    ///
    /// A thread that calls this often enough spares all others the wait.
    ///
    /// # Errors
    ///
    /// [`HlcError::Reserve`] with what storing failed with, used up or not; and as
    /// [`tick`](Self::tick).
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let hlc = HybridClock::new(Clock::system()?);
    /// hlc.refill_reserve()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn refill_reserve(&self) -> Result<(), HlcError> {
        let best = self.read_carefully()?.best;
        let least = floor_bits(best).ok_or(HlcError::EndOfRange)?;
        self.shared.reserve.refill(least, &self.shared.used())
    }

    /// Ends the clock, and returns what to store in place of its reserve's last record.
    ///
    /// For a clean shutdown: the bound is [`last`](Self::last), so that stamps after the restart do not
    /// begin up to a reserve ahead. Store it as the reserve's records are.
    ///
    /// # Errors
    ///
    /// The clock itself, while another handle exists: that one could still issue stamps above the bound.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock};
    /// # use epsilon_clock::hlc::ReserveRecord;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # fn store(_: ReserveRecord) -> std::io::Result<()> { Ok(()) }
    /// let hlc = HybridClock::builder(Clock::system()?)
    ///     .reserve(Duration::from_secs(3), |record| Ok(store(record)?))
    ///     .build()?;
    /// let last = hlc.tick()?;
    /// // … once all threads are done with their handles:
    /// match hlc.into_record() {
    ///     Ok(record) => {
    ///         assert_eq!(record.bound(), last);
    ///         store(record)?;
    ///     }
    ///     Err(_in_use) => {} // what the reserve stored holds
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_record(self) -> Result<ReserveRecord, Self> {
        let Self { clock, shared } = self;
        match Arc::try_unwrap(shared) {
            Ok(shared) => {
                let last = HlcTimestamp::from_bits(shared.last(&clock));
                Ok(ReserveRecord::new(last, shared.jump.kept()))
            }
            Err(shared) => Err(Self { clock, shared }),
        }
    }

    /// Ticks for a log line, without ever waiting.
    ///
    /// `None` where [`tick`](Self::tick) would fail, or would have to store a bound first.
    #[cfg(feature = "tracing")]
    pub(crate) fn tick_at_once(&self) -> Option<HlcTimestamp> {
        let permits = |next| {
            let permitted = self.shared.reserve.permits(next);
            permitted.then_some(()).ok_or(Exhausted)
        };
        if self.shared.stripes.are_drawn() {
            if let Some((stamp, _)) = self.draw(0, permits).ok()? {
                return Some(stamp);
            }
        }
        let (best, _) = self.read().ok()?;
        self.issue(0, best, permits).ok()
    }

    /// Returns true if stamps keep going up across a crash (H9).
    pub(crate) fn survives_crashes(&self) -> bool {
        self.shared.reserve.is_stored()
    }

    /// Reads the best estimate, if nothing is out of the ordinary.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    fn read_plainly(&self) -> Option<(Timestamp, HotReading)> {
        let instant = self.clock.instant_plainly()?;
        let best = instant.middle()?;
        // A jump is looked for at every reading: one stamp of a clock that leapt ahead would take
        // the stamps of all peers along, for ever.
        let calm = self.shared.jump.is_calm(best, instant.raw());
        if calm {
            let generation = instant.generation();
            self.shared.calm_line.store(generation, Ordering::Relaxed);
        }
        calm.then_some((best, instant))
    }

    /// Reads the best estimate early, along a line on which no jump was found when it was first read.
    ///
    /// Within a line it moves as far as a clock may drift. Too early an estimate breaks none of the invariants: that
    /// stamps go up is the word's business.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    fn glimpse(&self) -> Option<Timestamp> {
        let Glimpse { generation, middle } = self.clock.glimpse()?;
        let is_calm = generation == self.shared.calm_line.load(Ordering::Relaxed);
        is_calm.then_some(middle)
    }

    // A call of its own, so that the usual tick is not merged with this path.
    #[cold]
    fn tick_attentively(&self) -> Result<HlcTimestamp, HlcError> {
        let best = self.best()?;
        self.tick_from(best)
    }

    // Calls of their own: what one keeps on the stack is not there under another one, which may look.

    #[inline(never)]
    fn best(&self) -> Result<Timestamp, HlcError> {
        match self.best_plainly() {
            Some(best) => Ok(best),
            None => Ok(self.read_carefully()?.best),
        }
    }

    #[inline(never)]
    fn best_plainly(&self) -> Option<Timestamp> {
        let (best, _) = self.read_plainly()?;
        Some(best)
    }

    #[inline(never)]
    fn tick_from(&self, best: Timestamp) -> Result<HlcTimestamp, HlcError> {
        self.issue(0, best, |next| self.shared.admit(next))
    }

    /// Reads the best estimate, and what the interval can be had from.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    fn read(&self) -> Result<(Timestamp, Reading), HlcError> {
        if let Some((best, instant)) = self.read_plainly() {
            return Ok((best, Reading::Plain(instant)));
        }
        let Estimate { best, interval, .. } = self.read_carefully()?;
        Ok((best, Reading::Careful(interval)))
    }

    /// Reads the clock whatever is out of the ordinary, except for a jump beyond the limit.
    #[cold]
    fn read_carefully(&self) -> Result<Estimate, HlcError> {
        let estimate = self.clock.estimate();
        if self.shared.jump.is_settled(&estimate) {
            return Ok(estimate);
        }
        // It strayed by half the limit: a jump, or drift and suspends that add up to as much. Or it is
        // vouched for, and was not before.
        // The word alone: a bound that goes with the line would hide a jump of the line.
        let last = HlcTimestamp::from_bits(self.shared.word.last());
        self.shared.jump.settle(&self.clock, last)
    }

    /// Draws a stamp above `above` from time, if `may` permits it; `None` where the word has to serve.
    #[inline]
    fn draw<E>(
        &self,
        above: u64,
        may: impl Fn(u64) -> Result<(), E>,
    ) -> Result<Option<(HlcTimestamp, StripeReading)>, E> {
        let Shared { word, stripes, .. } = &*self.shared;
        // A jump is looked for once for each line: within one it moves as far as a clock may drift.
        let is_calm = |reading: &StripeReading, line: &StripeLine| {
            let best = reading.instant(Point::Middle);
            best.is_some_and(|best| self.shared.jump.is_calm(best, line.raw_of(reading)))
        };
        let drawn = stripes.draw(&self.clock, word, above, may, is_calm)?;
        Ok(drawn.map(|(number, reading)| (HlcTimestamp::from_bits(number), reading)))
    }

    /// Issues a stamp that is neither below `floor` nor before `best`, if `may` permits it.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call and its result in memory cost a nanosecond"
    )]
    fn issue<E: From<Exhausted>>(
        &self,
        floor: u64,
        best: Timestamp,
        may: impl Fn(u64) -> Result<(), E>,
    ) -> Result<HlcTimestamp, E> {
        let Shared { word, stripes, .. } = &*self.shared;
        let least = |last: u64| {
            // Most stamps of a busy clock fall into the microsecond of the last one. To find that out
            // takes no division of the time that was just read, only a product of what was known before.
            let begun = HlcTimestamp::from_bits(last).physical();
            if best.unix_nanos() < begun.unix_nanos() + 1_000 {
                return Ok(floor);
            }
            Ok(floor_bits(best).ok_or(Exhausted)?.max(floor))
        };
        let issued = stripes.issue(&self.clock, word, least, may)?;
        Ok(HlcTimestamp::from_bits(issued))
    }
}

impl Shared {
    fn new(
        floor: HlcTimestamp,
        stripes: Stripes<Middle>,
        reserve: Reserve,
        jump: JumpGuard,
        remote: RemoteCheck,
        commit: CommitLimit,
    ) -> Self {
        Self {
            word: Word::new(floor.to_bits()),
            stripes,
            calm_line: AtomicI64::new(0),
            reserve,
            jump,
            remote,
            commit,
        }
    }

    #[inline]
    fn admit(&self, next: u64) -> Result<(), HlcError> {
        self.reserve.admit(next, || self.used())
    }

    fn last(&self, clock: &Clock) -> u64 {
        if self.stripes.is_word_alone() {
            return self.word.last();
        }
        self.stripes.last(clock, &self.word)
    }

    fn used(&self) -> Used {
        Used {
            last: self.word.last(),
            kept: self.jump.kept(),
        }
    }
}

/// What an interval is worked out from, once it is asked for: a tick does not ask.
enum Reading {
    Plain(HotReading),
    Careful(Result<Interval, ClockError>),
}

impl Reading {
    #[inline]
    fn interval(self, clock: &Clock) -> Result<Interval, ClockError> {
        match self {
            // A plain reading can have a middle and yet no interval, at the edge of the range. Then
            // the clock itself has to say why.
            Self::Plain(instant) => instant.interval().map_or_else(|| clock.now(), Ok),
            Self::Careful(interval) => interval,
        }
    }
}
