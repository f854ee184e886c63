//! A lease that was granted for a duration, held by this process and counted on this machine.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Lease;
use super::anchor::{Anchor, Term};
use super::error::NotHeld;
use crate::clock::{Clock, ClockError};
use crate::primitive::{AtomicI64, AtomicU64, Ordering};
use crate::time::{Interval, Timestamp};

const BILLION: u128 = 1_000_000_000;

/// In place of a raw instant: the machine slept, and the lease is gone for good.
const LOST: i64 = i64::MAX;

/// A lease that was granted "for so long from when you asked"; made by
/// [`LeaseRequest::granted`](super::LeaseRequest::granted).
///
/// It is held while **both** say so that can be read here:
///
/// - the interval: `latest < earliest before the request + term − margin`;
/// - the machine: the raw time that went by since then, made longer by `max_drift`, is less than the
///   term less the margin, and boot time says that the machine has not slept. Raw time stands still
///   while it sleeps, so a suspend ends the lease, however short: how long it was, the kernel knows
///   to a second at best.
///
/// The second is needed because UTC is not elapsed time: during an inserted leap second the interval
/// stands still, and the grantor's term does not. The first, because what is read twice is wrong
/// less often.
///
/// Cheap to clone: handles share one lease. A task [renews](Self::renew) it by
/// [another request](Clock::request_lease), and all others see the new term at once, without a lock; an
/// answer that was late or lost makes the new one shorter, never longer. It means nothing on another
/// machine or in another process: what travels is the term.
///
/// To wait for its end, as a holder whose grantor is silent does, wait until
/// [`expires_no_earlier`](Self::expires_no_earlier) is past: [`Clock::wait_until_past`], or in async code
/// [`CommitGroup::until_past`](crate::CommitGroup::until_past). No handle is held then, whatever was renewed
/// before the wait began.
///
/// ```
/// use epsilon_clock::Clock;
/// use epsilon_clock::lease::{GrantorClock, TermLease};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # fn ask() -> Duration { Duration::from_secs(10) }
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let request = clock.request_lease()?;
/// let lease: TermLease = request.granted(ask(), GrantorClock::RawTime)?;
/// let reader = lease.clone(); // for the threads that answer requests
///
/// if lease.remaining()? < Duration::from_secs(5) {
///     let request = clock.request_lease()?;
///     lease.renew(&request.granted(ask(), GrantorClock::RawTime)?);
/// }
/// assert!(reader.held()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TermLease {
    clock: Clock,
    shared: Arc<Shared>,
}

/// What all handles share: the grant in force, and what the hot path needs of it.
///
/// The words are a sequence lock. A renewal makes the version odd, writes them and makes it even; a reader
/// that finds it odd, or another after the words than before, takes the long way.
struct Shared {
    version: AtomicU64,
    /// The last raw instant at which it is held.
    acts_until: AtomicI64,
    /// Before this instant of UTC it is held.
    held_before: AtomicI64,
    /// The last raw instant at which boot time was compared and had not moved, or [`LOST`].
    ///
    /// A claim from before that instant is in force only while nothing voided it, and a suspend does:
    /// so as long as such a claim answers, there is nothing to compare.
    compared: AtomicI64,
    /// Held for a few stores, never while a clock is read.
    grant: Mutex<Grant>,
}

/// The words of one grant.
struct Words {
    acts_until: i64,
    held_before: i64,
    compared: i64,
}

/// One grant, and since when the lease was held without a gap.
#[derive(Clone, Copy)]
pub(super) struct Grant {
    /// What the interval is held against; its expiry is the earliest at which the term can end.
    lease: Lease,
    term: Term,
    anchor: Anchor,
    /// The last raw instants at which it is held: with the margin, and without it.
    acts_until: i64,
    lasts_until: i64,
    /// As in [`Shared`].
    compared: i64,
    /// Another for each grant.
    serial: u64,
    /// Another whenever the lease may have been over before it was renewed.
    tenure: u64,
}

impl Grant {
    fn set_margin(&mut self, margin: Duration, max_drift_ppb: u32) {
        let usable = self.term.shortest.saturating_sub(margin);
        self.acts_until = last_instant(&self.anchor, usable, max_drift_ppb);
        self.lease = self.lease.with_margin(margin);
    }

    fn over(&self, raw: i64, margin: Duration) -> NotHeld {
        let elapsed = raw.saturating_sub(self.anchor.raw).max(0);
        NotHeld::TermOver {
            elapsed: Duration::from_nanos(elapsed.unsigned_abs()),
            usable: self.term.shortest.saturating_sub(margin),
            term: self.term.granted,
        }
    }

    fn too_late(&self, now: &Interval) -> NotHeld {
        NotHeld::TooLate {
            expiry: self.lease.expiry(),
            margin: self.lease.margin(),
            latest: now.latest(),
        }
    }

    /// Returns how long ago it surely ended, if it surely did.
    pub(super) fn over_since(&self, now: &Interval) -> Option<Duration> {
        let ends_by = self.term.ends_by?;
        now.after(ends_by).then(|| now.earliest().abs_diff(ends_by))
    }
}

impl Shared {
    fn new(grant: Grant) -> Self {
        Self {
            version: AtomicU64::new(0),
            acts_until: AtomicI64::new(grant.acts_until),
            held_before: AtomicI64::new(grant.lease.acts_until.unix_nanos()),
            compared: AtomicI64::new(grant.compared),
            grant: Mutex::new(grant),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Grant> {
        // Nothing panics while it is held.
        self.grant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what the hot path needs, unless it is just being renewed.
    #[inline]
    fn words(&self) -> Option<Words> {
        let version = self.version.load(Ordering::Acquire);
        let words = Words {
            acts_until: self.acts_until.load(Ordering::Acquire),
            held_before: self.held_before.load(Ordering::Acquire),
            compared: self.compared.load(Ordering::Acquire),
        };
        // A renewal was writing them, or did since: they are of two grants.
        let same = version % 2 == 0 && self.version.load(Ordering::Relaxed) == version;
        same.then_some(words)
    }

    /// Puts another grant, or a changed one, in force.
    fn publish(&self, held: &mut MutexGuard<'_, Grant>, grant: Grant) {
        **held = grant;
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        // With release: who reads one of these finds the version odd afterwards, at least.
        self.acts_until.store(grant.acts_until, Ordering::Release);
        let held_before = grant.lease.acts_until.unix_nanos();
        self.held_before.store(held_before, Ordering::Release);
        self.compared.store(grant.compared, Ordering::Release);
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
    }

    /// Notes up to when boot time had not moved under this grant, or that it had.
    fn note(&self, serial: u64, compared: i64) {
        let mut grant = self.lock();
        // What was found under another grant says nothing of this one.
        if grant.serial == serial {
            // Keeps what is lost lost.
            grant.compared = grant.compared.max(compared);
            self.compared.store(grant.compared, Ordering::Release);
        }
    }
}

impl TermLease {
    pub(super) fn new(clock: Clock, lease: Lease, term: Term, anchor: Anchor) -> Self {
        // Worked out once, so that a check is a comparison.
        let lasts_until = last_instant(&anchor, term.shortest, clock.max_drift_ppb());
        let shared = Shared::new(Grant {
            lease,
            term,
            anchor,
            acts_until: lasts_until,
            lasts_until,
            compared: anchor.raw,
            serial: 0,
            tenure: 0,
        });
        Self {
            clock,
            shared: Arc::new(shared),
        }
    }

    /// Sets how much earlier the holder gives up; see [`Lease::with_margin`].
    ///
    /// For all handles, and for what it is renewed to.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::lease::GrantorClock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let granted = clock.request_lease()?.granted(Duration::from_secs(10), GrantorClock::RawTime)?;
    /// let lease = granted.with_margin(Duration::from_secs(10));
    /// assert!(!lease.held()?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_margin(self, margin: Duration) -> Self {
        {
            let mut held = self.shared.lock();
            let mut grant = *held;
            grant.set_margin(margin, self.clock.max_drift_ppb());
            self.shared.publish(&mut held, grant);
        }
        self
    }

    /// Puts another grant in this one's place, for all handles.
    ///
    /// It is what a later [request](Clock::request_lease) of this holder was
    /// [granted](super::LeaseRequest::granted), and may be shorter than what it replaces: the grantor
    /// counts by it alone. The margin stays. One task renews; of two at once the last one counts.
    ///
    /// Work that was begun before the renewal counts as done under one lease if the lease still stood
    /// when this was called. Otherwise another node may have held it in between, and the
    /// [guard](Self::guard) says so.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::lease::GrantorClock;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// # let ask = |secs| clock.request_lease()?.granted(Duration::from_secs(secs), GrantorClock::RawTime)
    /// #     .map_err(Box::<dyn std::error::Error>::from);
    /// let lease = ask(10)?;
    /// let elsewhere = lease.clone();
    /// lease.renew(&ask(20)?);
    /// assert_eq!(elsewhere.term(), Duration::from_secs(20));
    /// # Ok(())
    /// # }
    /// ```
    pub fn renew(&self, granted: &Self) {
        let (old, new) = (self.grant(), granted.grant());
        let stood = self
            .clock
            .now()
            .is_ok_and(|now| self.lasts_at(&old, &now).is_ok());
        let mut held = self.shared.lock();
        // Renewed by another thread meanwhile: what stood is not what is replaced.
        let unbroken = stood && held.serial == old.serial;
        let mut grant = Grant {
            serial: held.serial.wrapping_add(1),
            tenure: held.tenure.wrapping_add(u64::from(!unbroken)),
            ..new
        };
        grant.set_margin(held.lease.margin(), self.clock.max_drift_ppb());
        self.shared.publish(&mut held, grant);
    }

    /// Returns true if the holder may act now.
    ///
    /// Costs what [`Clock::now`] does, and a few comparisons; after each new claim of the clock once
    /// a comparison of its machine's clocks.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`]; not to act is right then.
    #[inline]
    pub fn held(&self) -> Result<bool, ClockError> {
        match self.held_plainly() {
            Some(held) => Ok(held),
            None => self.held_carefully(),
        }
    }

    #[inline]
    fn held_plainly(&self) -> Option<bool> {
        let words = self.shared.words()?;
        let instant = self.clock.instant_plainly()?;
        let raw = instant.raw();
        // A claim that is newer than the last comparison may have come after a suspend that voided
        // the one before: boot time has to be compared again. An older claim still answers only if
        // nothing voided it.
        if instant.claimed_at() > words.compared || raw < words.compared {
            return None;
        }
        let latest = instant.interval()?.latest().unix_nanos();
        Some(raw <= words.acts_until && latest < words.held_before)
    }

    #[cold]
    fn held_carefully(&self) -> Result<bool, ClockError> {
        match self.check() {
            Ok(()) => Ok(true),
            // Not knowing is an error, and not a lease that ended: the caller may still hold it.
            Err(NotHeld::Clock(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Checks that the lease is held, or says by how much not.
    ///
    /// # Errors
    ///
    /// [`NotHeld`], with the figures.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::lease::{GrantorClock, NotHeld};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let granted = clock.request_lease()?.granted(Duration::from_millis(10), GrantorClock::RawTime)?;
    /// granted.check()?;
    /// std::thread::sleep(Duration::from_millis(11));
    /// assert!(matches!(granted.check(), Err(NotHeld::TermOver { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn check(&self) -> Result<(), NotHeld> {
        self.checked().map(|_| ())
    }

    /// Checks that the lease is held, and returns the grant under which it is.
    pub(super) fn checked(&self) -> Result<Grant, NotHeld> {
        let grant = self.grant();
        // The interval first: raw time read after it is not earlier, so both ask about an instant
        // in between or later.
        let now = self.clock.now()?;
        let here = self.compare(&grant)?;
        if here.raw > grant.acts_until {
            return Err(grant.over(here.raw, grant.lease.margin()));
        }
        if !grant.lease.held_at(&now) {
            return Err(grant.too_late(&now));
        }
        Ok(grant)
    }

    /// Returns how long it is surely held, for planning a renewal.
    ///
    /// Zero once it is not held.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`].
    pub fn remaining(&self) -> Result<Duration, ClockError> {
        let grant = match self.checked() {
            Ok(grant) => grant,
            Err(NotHeld::Clock(error)) => return Err(error),
            Err(_) => return Ok(Duration::ZERO),
        };
        // The smaller of what the two clocks leave: either may end the lease first.
        let left = grant.acts_until.saturating_sub(self.clock.raw_time());
        let by_raw_time = Duration::from_nanos(left.max(0).unsigned_abs());
        Ok(grant.lease.remaining(&self.clock)?.min(by_raw_time))
    }

    /// Returns the term, as the grantor said.
    #[must_use]
    pub fn term(&self) -> Duration {
        self.grant().term.granted
    }

    /// Returns how long before the end its holder gives up.
    #[must_use]
    pub fn margin(&self) -> Duration {
        self.grant().lease.margin()
    }

    /// Returns the first instant of UTC at which the term may be over.
    ///
    /// It is not held from then on.
    #[must_use]
    pub fn expires_no_earlier(&self) -> Timestamp {
        self.grant().lease.expiry()
    }

    /// Returns what the end of work is judged by that began under `begun`.
    ///
    /// The grant in force, if the lease was held without a gap since; else the one it began under.
    pub(super) fn judged(&self, begun: Grant) -> Grant {
        let now = self.grant();
        if now.tenure == begun.tenure {
            now
        } else {
            begun
        }
    }

    /// Checks that no other node can have held it yet, at the end of guarded work.
    ///
    /// The margin does not count: it is there for work to end in.
    pub(super) fn lasts_at(&self, grant: &Grant, now: &Interval) -> Result<(), NotHeld> {
        let here = self.compare(grant)?;
        // Without the margin: it is there for guarded work to end in.
        if here.raw > grant.lasts_until {
            return Err(grant.over(here.raw, Duration::ZERO));
        }
        if now.latest() >= grant.lease.expiry() {
            return Err(grant.too_late(now));
        }
        Ok(())
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    fn grant(&self) -> Grant {
        *self.shared.lock()
    }

    /// Compares boot time with what it was, unless the lease is lost already.
    fn compare(&self, grant: &Grant) -> Result<Anchor, NotHeld> {
        // Once lost, lost for good: boot time may be compared rightly later, but raw time will
        // never count the sleep.
        if grant.compared == LOST {
            return Err(NotHeld::Disturbed);
        }
        let here = Anchor::drop_now(&self.clock)?;
        // Raw time that is behind what was seen before this reading began ran backwards.
        if grant.anchor.slept_until(&here) || here.raw < grant.compared {
            self.shared.note(grant.serial, LOST);
            return Err(NotHeld::Disturbed);
        }
        self.shared.note(grant.serial, here.raw);
        Ok(here)
    }
}

/// Returns the last raw instant at which the lease is held, or one before the anchor.
///
/// Up to it less than `usable` true time can have gone by, with true time running up to
/// `max_drift_ppb` faster than raw time.
fn last_instant(anchor: &Anchor, usable: Duration, max_drift_ppb: u32) -> i64 {
    // ceil(elapsed × (1 + drift)) < usable, exactly when elapsed × (1 + drift) <= usable − 1 ns.
    let Some(most) = usable.as_nanos().checked_sub(1) else {
        return anchor.raw.saturating_sub(1);
    };
    // Of spans that make this overflow, the machine's raw time ends first.
    let elapsed = most.saturating_mul(BILLION) / (BILLION + u128::from(max_drift_ppb));
    let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
    // One less than LOST, which is no raw instant.
    anchor.raw.saturating_add(elapsed).min(LOST - 1)
}

impl fmt::Debug for TermLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = self.grant();
        f.debug_struct("TermLease")
            .field("term", &grant.term)
            .field("margin", &grant.lease.margin())
            .field("expires_no_earlier", &grant.lease.expiry())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::*;
    use crate::machine::{Disruption, Sandwich};
    use crate::testing::ScriptedMachine;

    fn anchor(raw: i64) -> Anchor {
        let clocks = Sandwich {
            mono_before: raw,
            boot: raw,
            real: raw,
            raw,
            mono_after: raw,
        };
        Anchor::of(&clocks, true, Some(Disruption::default())).unwrap()
    }

    fn term(span: Duration) -> Term {
        Term {
            granted: span,
            shortest: span,
            ends_by: None,
        }
    }

    /// One of which all the words are this number.
    fn grant(n: i64) -> Grant {
        Grant {
            lease: Lease::until(Timestamp::from_unix_nanos(n)),
            term: term(Duration::ZERO),
            anchor: anchor(n),
            acts_until: n,
            lasts_until: n,
            compared: n,
            serial: 0,
            tenure: 0,
        }
    }

    /// A synchronised machine whose readings take no time, so that an instant can be met exactly.
    fn exact() -> (ScriptedMachine, Clock) {
        let machine = ScriptedMachine::default();
        machine.set_read_cost(Duration::ZERO);
        machine.write_maxerror(1_003);
        let clock = machine.clock().unwrap();
        clock.now().unwrap();
        (machine, clock)
    }

    proptest! {
        /// T7: up to the last instant less than the usable time can have gone by, with true time as
        /// fast as A1 lets it; a nanosecond of raw time later it can have.
        #[test]
        fn t7_drift_is_charged_and_rounded_against_the_holder(
            raw in 0..i64::MAX / 2,
            usable in prop_oneof![0..100_000_u64, 0..4_000_000_000_000_000_000_u64],
            drift in prop_oneof![Just(0), Just(200_000), 0..=u32::MAX],
        ) {
            let last = last_instant(&anchor(raw), Duration::from_nanos(usable), drift);
            let gone_by = |at: i64| {
                let elapsed = u128::from((at - raw).unsigned_abs());
                (elapsed * (BILLION + u128::from(drift))).div_ceil(BILLION)
            };
            if usable == 0 {
                prop_assert!(last < raw);
            } else {
                prop_assert!(last >= raw && last < LOST);
                prop_assert!(gone_by(last) < u128::from(usable));
                prop_assert!(gone_by(last + 1) >= u128::from(usable));
            }
        }
    }

    /// Two renew by turns as fast as they can; a reader finds the words of one grant or none.
    #[cfg(not(loom))]
    #[test]
    fn t7_readers_never_see_half_of_a_renewal() {
        let shared = Shared::new(grant(1));
        let (read, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let Some(words) = shared.words() else {
                        continue;
                    };
                    let Words {
                        acts_until,
                        held_before,
                        compared,
                    } = words;
                    assert!(acts_until == held_before && held_before == compared);
                    read.fetch_add(1, Ordering::Relaxed);
                }
            });
            // On a busy machine the reader may begin long after the first renewals.
            let mut n = 2;
            while n < 100_000 || read.load(Ordering::Relaxed) < 1_000 {
                shared.publish(&mut shared.lock(), grant(n));
                n += 1;
                if reader.is_finished() {
                    break;
                }
            }
            is_over.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        assert!(read.into_inner() >= 1_000);
    }

    #[test]
    fn t10_a_term_beyond_all_raw_time_ends_before_what_means_lost() {
        let last = last_instant(&anchor(7), Duration::MAX, 0);
        assert_eq!(last, LOST - 1);
    }

    #[cfg(not(loom))]
    #[test]
    fn t7_a_reader_amid_a_renewal_finds_no_words() {
        let shared = Shared::new(grant(1));
        for (version, whole) in [(0, true), (1, false), (2, true), (3, false)] {
            shared.version.store(version, Ordering::Relaxed);
            assert_eq!(shared.words().is_some(), whole, "{version}");
        }
    }

    #[cfg(not(loom))]
    #[test]
    fn t7_what_was_compared_is_noted_of_its_own_grant_and_what_is_lost_stays_lost() {
        let shared = Shared::new(grant(1));
        for (serial, noted, known) in [
            (0, 5, 5),
            (0, 4, 5),
            (7, 9, 5),
            (7, LOST, 5),
            (0, LOST, LOST),
            (0, 9, LOST),
        ] {
            shared.note(serial, noted);
            assert_eq!(shared.words().unwrap().compared, known, "{serial} {noted}");
            assert_eq!(shared.lock().compared, known, "{serial} {noted}");
        }
    }

    #[cfg(not(loom))]
    #[test]
    fn t7_a_term_is_held_at_its_last_raw_instant_and_over_a_nanosecond_later() {
        let (machine, clock) = exact();
        let anchor = Anchor::drop_now(&clock).unwrap();
        // The interval's end is out of sight, so that raw time alone decides.
        let lease = Lease::until(Timestamp::MAX);
        let lease = TermLease::new(clock.clone(), lease, term(Duration::from_secs(1)), anchor)
            .with_margin(Duration::from_millis(1));
        let begun = lease.grant();
        let lasts = || lease.lasts_at(&begun, &clock.now().unwrap());
        // At no time since it was granted, and again.
        for _ in 0..2 {
            assert_eq!((lease.check(), lasts()), (Ok(()), Ok(())));
        }
        let reach = |raw: i64| {
            let left = raw - machine.raw_time();
            machine.advance(Duration::from_nanos(left.unsigned_abs()));
        };
        reach(begun.acts_until);
        assert_eq!(lease.check(), Ok(()));
        reach(begun.acts_until + 1);
        assert!(matches!(lease.check(), Err(NotHeld::TermOver { .. })));
        reach(begun.lasts_until);
        assert_eq!(lasts(), Ok(()));
        reach(begun.lasts_until + 1);
        assert!(matches!(lasts(), Err(NotHeld::TermOver { .. })));
    }

    #[cfg(not(loom))]
    #[test]
    fn t7_a_term_is_over_once_its_interval_reaches_the_expiry() {
        let (_machine, clock) = exact();
        let latest = clock.now().unwrap().latest();
        for (nanos, held) in [(0, false), (1, true)] {
            let lease = Lease::until(latest.saturating_add(Duration::from_nanos(nanos)));
            let anchor = Anchor::drop_now(&clock).unwrap();
            let lease = TermLease::new(clock.clone(), lease, term(Duration::from_secs(1)), anchor);
            assert_eq!(lease.held_plainly(), Some(held), "{nanos}");
            assert_eq!(lease.held_carefully(), Ok(held), "{nanos}");
        }
    }
}
