//! A lease as an entry of a replicated log: what a leader may read by itself, and when the next may begin.
//!
//! Why a read under it is never stale, in five lines.
//!
//! 1. Each lease entry that was ever applied is in the book of every later leader (its own noop applied).
//! 2. A leader proposes nothing, and shows nothing, until the book's largest expiry is surely past for it.
//! 3. A lease read checks, after it arrived, that its own applied lease's expiry is surely to come.
//! 4. By T1 the check lies before every proposal and every answer of a later leader, in true time.
//! 5. The state is read after the check, so it holds whatever was acknowledged before the read arrived;
//!    and one that a later leadership made, after a stop, is shown only once that one may show it.

use core::fmt;
use core::time::Duration;
use std::io;

use super::Lease;
use super::error::{LeaseError, NotHeld};
use super::expiry::ImplausibleExpiry;
use crate::clock::ClockError;
use crate::commit::IntervalClock;
use crate::machine::random;
use crate::time::{DecodeError, Interval, Timestamp};

mod bytes;
mod error;

pub use error::{DeltaTooShort, GateClosed, UnknownEntry};

/// How many times twice epsilon and a commit a lease has to last, so that most of it can be used.
const LEAST_SHARE: u32 = 10;

/// How many Δ ahead of now an expiry may lie that an honest leader named.
const LONGEST_AHEAD: u32 = 2;

/// A leadership: the term, and the leader where an engine allows two in one term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderTerm {
    /// The term's number.
    pub term: u64,
    /// The node that leads in it; 0 where a term has one leader at most.
    pub leader: u64,
}

/// A node, as one start of its process.
///
/// A restarted process is another holder: a copy of the old one may still run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The node's number in the group.
    pub node: u64,
    /// A number drawn at random when the process started.
    pub incarnation: u64,
}

impl Holder {
    /// Draws an incarnation for this process; call it once at the start.
    ///
    /// # Errors
    ///
    /// The system's where it gives no random bits (only Linux is asked): draw the number yourself then.
    pub fn draw(node: u64) -> io::Result<Self> {
        let mut bytes = [0; 8];
        random(&mut bytes)?;
        Ok(Self {
            node,
            incarnation: u64::from_be_bytes(bytes),
        })
    }
}

/// How long a group's leases last, checked against what uncertain clocks cost.
///
/// It is the group's, not a node's: put it into the log, where all agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta(Duration);

impl Delta {
    /// Returns the duration if it is at least ten times twice epsilon and a commit.
    ///
    /// Up to two epsilons and a commit of each lease cannot be used, whatever its length.
    ///
    /// # Errors
    ///
    /// [`DeltaTooShort`], with what would do.
    ///
    /// ```
    /// # use epsilon_clock::lease::Delta;
    /// # use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// assert!(Delta::new(ms(500), ms(10), ms(20)).is_ok());
    /// assert!(Delta::new(ms(300), ms(10), ms(20)).is_err());
    /// ```
    pub fn new(
        delta: Duration,
        epsilon: Duration,
        commit: Duration,
    ) -> Result<Self, DeltaTooShort> {
        let lost = epsilon.saturating_mul(2).saturating_add(commit);
        let least = lost.saturating_mul(LEAST_SHARE);
        if delta < least {
            return Err(DeltaTooShort {
                delta,
                least,
                epsilon,
                commit,
            });
        }
        Ok(Self(delta))
    }

    /// Returns the duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Returns for how long a group may be without service after its leader died, at most.
    ///
    /// The longest election, Δ, the old leader's epsilon, twice the new one's, and two commits. It
    /// holds for a new leader that retries at once.
    #[must_use]
    pub fn outage(
        self,
        election: Duration,
        old_epsilon: Duration,
        new_epsilon: Duration,
        commit: Duration,
    ) -> Duration {
        [
            self.0,
            old_epsilon,
            new_epsilon.saturating_mul(2),
            commit.saturating_mul(2),
        ]
        .into_iter()
        .fold(election, Duration::saturating_add)
    }
}

/// A lease as it stands in the log, or a stamp that an entry carries.
///
/// [`to_be_bytes`](Self::to_be_bytes) makes it 49 bytes. A node that does not know the entry's type must refuse
/// to apply it: one that skips it is elected and does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseEntry {
    holder: Holder,
    term: LeaderTerm,
    /// Before this instant the holder may read.
    held_until: Timestamp,
    /// After this one another leader may begin; not before `held_until`.
    expiry: Timestamp,
}

impl LeaseEntry {
    /// Returns who proposed it.
    #[must_use]
    pub const fn holder(&self) -> Holder {
        self.holder
    }

    /// Returns the term that it was proposed in, whatever the log made of it.
    #[must_use]
    pub const fn term(&self) -> LeaderTerm {
        self.term
    }

    /// Returns the instant after which another leader may begin.
    #[must_use]
    pub const fn expiry(&self) -> Timestamp {
        self.expiry
    }
}

/// The end of a lease by its holder's own wish, as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    holder: Holder,
    term: LeaderTerm,
}

/// What a group's state machine knows of its leases.
///
/// It is state, not log: it is applied on every replica alike and travels in snapshots
/// ([`to_be_bytes`](Self::to_be_bytes)). A snapshot without one is to be refused: it is not "no lease".
///
/// It keeps the **largest** expiry that was ever applied, with its holder, and which leadership's lease
/// was applied last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseBook {
    /// The holder too, where that expiry is surely of a lease that it began in turn.
    largest: Option<(Timestamp, Option<Holder>)>,
    opened: LeaderTerm,
}

impl LeaseBook {
    /// Applies a lease entry, or the stamp of another entry, that the log gave `log_term`.
    ///
    /// On every replica, in the order of the log. Whatever became of its proposer, the expiry counts:
    /// the holder may have learned that it was committed.
    pub fn apply(&mut self, entry: &LeaseEntry, log_term: LeaderTerm) {
        // The largest and not the last: two renewals may have overtaken each other on their way to
        // the log, and the old leader uses the larger.
        // An entry that was appended in another term than it was made for may have jumped the queue:
        // a lease of another holder, with an earlier expiry, may run beside it. It is waited for by all.
        let holder = (entry.term == log_term).then_some(entry.holder);
        match self.largest {
            Some((expiry, _)) if expiry > entry.expiry => {}
            Some((expiry, before)) if expiry == entry.expiry && before != holder => {
                self.largest = Some((expiry, None));
            }
            _ => self.largest = Some((entry.expiry, holder)),
        }
        if entry.term == log_term {
            self.opened = self.opened.max(log_term);
        }
    }

    /// Applies a release: clears the book if the releasing holder's lease is the largest in it.
    ///
    /// All leases before that one had run out when it began, so there is nothing else to wait for.
    pub fn apply_release(&mut self, release: &Release, log_term: LeaderTerm) {
        if release.term == log_term && self.holder() == Some(release.holder) {
            self.largest = None;
        }
    }

    /// Forgets the lease, as an operator's entry in the log tells it to.
    ///
    /// For an expiry that no honest leader named, and only once its holder was killed.
    pub fn forget(&mut self) {
        self.largest = None;
    }

    /// Returns the largest expiry ever applied.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        self.largest.map(|(expiry, _)| expiry)
    }

    /// Returns whose lease has the largest expiry, if that is known.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.largest.and_then(|(_, holder)| holder)
    }

    /// Returns true if a replica may show a state whose last entry is of this leadership.
    ///
    /// `term` is that of the last entry that was applied, and read together with the state. A replica may
    /// once the leadership's own lease entry was applied here. Before that the log may hold what an
    /// earlier leader proposed, and its lease reads do not show: no ReadIndex read, no strong read
    /// of a follower, no feed, and no "already applied" to a repeated request may leave the replica.
    #[must_use]
    pub fn may_show(&self, term: LeaderTerm) -> bool {
        self.opened >= term
    }
}

/// One node's part in a group's leases: whether it may lead, propose and read.
///
/// A plain state machine that the engine's events drive; it reads no clock but the one that it is handed, and
/// sends nothing. Keep it behind a lock; what runs under it takes less than a microsecond.
///
/// | the engine | calls |
/// |---|---|
/// | was elected | [`elected`](Self::elected) |
/// | applied its own term's noop | [`noop_applied`](Self::noop_applied) |
/// | has a tick | [`propose`](Self::propose), and puts the entry into the log |
/// | applied a lease entry | [`LeaseBook::apply`] in the state machine, then [`applied`](Self::applied) |
/// | could not append what was proposed | [`dropped`](Self::dropped) |
/// | gets a write | [`admit`](Self::admit), and binds the append to that term |
/// | gets a read | [`read`](Self::read), *then* reads the state, and asks [`LeaseBook::may_show`] |
/// | lost the leadership | [`deposed`](Self::deposed) |
/// | is to hand it over | [`stop`](Self::stop), and once all reads have ended proposes the release |
///
/// ```
/// use epsilon_clock::lease::{Delta, Holder, LeaderTerm, LeaseBook, LogLease};
/// use epsilon_clock::Clock;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let ms = Duration::from_millis;
/// let delta = Delta::new(ms(500), ms(1), ms(20))?;
/// let mut node = LogLease::new(Holder { node: 1, incarnation: 7 }, delta);
/// let mut book = LeaseBook::default(); // in the state machine
///
/// let term = LeaderTerm { term: 3, leader: 1 };
/// node.elected(term);
/// node.noop_applied(term);
/// if let Some(entry) = node.propose(&book, &clock)? {
///     // … through the log, and applied:
///     book.apply(&entry, term);
///     node.applied(&entry, term);
/// }
/// let permit = node.read(&clock)?; // after the request arrived
/// // … now read the state machine, with the term of the last entry that it applied
/// assert!(book.may_show(term)); // and answer
/// # drop(permit);
/// # Ok(())
/// # }
/// ```
///
/// # All reads and writes obey it
///
/// An engine's own lease read or ReadIndex that is left open beside this one breaks it: such a read shows
/// what an earlier leader proposed while that one's lease runs ([`LeaseBook::may_show`]). What was
/// decided from a read becomes a write only in the same term ([`admit`](Self::admit) before the
/// read).
///
/// # Without lease entries: LeaseGuard
///
/// [`stamp`](Self::stamp) makes an entry out of the interval in which a leader proposes anything at all: it
/// is [`younger_than`](Interval::younger_than) Δ for the leader that serves and
/// [`older_than`](Interval::older_than) Δ for a successor that begins. Put it into each proposal, and
/// into an empty one each Δ/2.
#[derive(Clone, Debug)]
pub struct LogLease {
    holder: Holder,
    delta: Delta,
    margin: Duration,
    lead: Option<Lead>,
}

/// What is known of the leadership that this node has.
#[derive(Clone, Copy, Debug)]
struct Lead {
    term: LeaderTerm,
    noop_applied: bool,
    /// The end of the lease that is applied in this term; open once there is one.
    held: Option<Lease>,
    /// What was proposed and is not applied yet.
    in_flight: Option<LeaseEntry>,
    stopped: bool,
}

/// The right to append one proposal, in one term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the append is to be bound to the term"]
pub struct Admission {
    /// The term that the engine must refuse the proposal outside of.
    pub term: LeaderTerm,
}

/// The right to answer one read from the local state, read after this was given.
#[derive(Clone, Copy, Debug)]
#[must_use = "the state is read after the permit was given"]
pub struct ReadPermit {
    term: LeaderTerm,
    lease: Lease,
}

impl ReadPermit {
    /// Returns the leadership that it was given in.
    #[must_use]
    pub const fn term(&self) -> LeaderTerm {
        self.term
    }

    /// Returns the lease that it was given under, for a [guard](Lease::guard) or a
    /// [commit within](crate::Clock::begin_commit_within) it.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }
}

impl LogLease {
    /// Creates the part of a node that leads nothing.
    #[must_use]
    pub const fn new(holder: Holder, delta: Delta) -> Self {
        Self {
            holder,
            delta,
            margin: Duration::ZERO,
            lead: None,
        }
    }

    /// Sets how long before the expiry the leader stops reading.
    ///
    /// A read needs none. What has effects elsewhere needs a [`Fence`](crate::Fence) besides.
    #[must_use]
    pub const fn with_margin(self, margin: Duration) -> Self {
        Self { margin, ..self }
    }

    /// Returns whose part it is.
    #[must_use]
    pub const fn holder(&self) -> Holder {
        self.holder
    }

    // --- what the engine tells ------------------------------------------------------------------

    /// Notes that this node leads in `term`; a term that it led in already changes nothing.
    pub fn elected(&mut self, term: LeaderTerm) {
        if self.lead.is_some_and(|lead| lead.term == term) {
            return;
        }
        self.lead = Some(Lead {
            term,
            noop_applied: false,
            held: None,
            in_flight: None,
            stopped: false,
        });
    }

    /// Notes that this node leads no more.
    pub fn deposed(&mut self) {
        self.lead = None;
    }

    /// Notes that the noop of this node's own term was applied here, and so all that is before it.
    pub fn noop_applied(&mut self, term: LeaderTerm) {
        if let Some(lead) = self.lead.as_mut().filter(|lead| lead.term == term) {
            lead.noop_applied = true;
        }
    }

    /// Notes that a lease entry was applied here, to which the log gave `log_term`.
    ///
    /// After [`LeaseBook::apply`]. It counts only for the holder that proposed it, in the term in which it
    /// was proposed, while this node leads in that very term.
    pub fn applied(&mut self, entry: &LeaseEntry, log_term: LeaderTerm) {
        let margin = self.margin;
        if entry.holder != self.holder || entry.term != log_term {
            return;
        }
        let Some(lead) = self.lead.as_mut().filter(|lead| lead.term == log_term) else {
            return;
        };
        if lead.in_flight == Some(*entry) {
            lead.in_flight = None;
        }
        // A sharper clock may have named an earlier instant in a later entry; the book holds the larger.
        let until = lead
            .held
            .map_or(entry.held_until, |held| held.expiry().max(entry.held_until));
        lead.held = Some(Lease::until(until).with_margin(margin));
    }

    /// Notes that what was proposed surely never gets into the log, or is not known to.
    ///
    /// It allows another proposal; an entry that is applied after all counts as ever.
    pub fn dropped(&mut self) {
        if let Some(lead) = &mut self.lead {
            lead.in_flight = None;
        }
    }

    // --- what it may do -------------------------------------------------------------------------

    /// Returns the lease entry to propose now, if one is due.
    ///
    /// The first one of a term once the book's lease is surely over, or is this very process's own; then
    /// one whenever half of Δ is left, and never two at a time.
    ///
    /// # Errors
    ///
    /// [`GateClosed`], with what is waited for.
    pub fn propose<C: IntervalClock + ?Sized>(
        &mut self,
        book: &LeaseBook,
        clock: &C,
    ) -> Result<Option<LeaseEntry>, GateClosed> {
        let lead = self.leading()?;
        let now = clock.interval()?;
        match lead.held {
            None => self.may_begin(book, &now)?,
            Some(held) => {
                let half = self.delta.0 / 2;
                if held.held_at(&now) && held.expiry().abs_diff(now.latest()) > half {
                    return Ok(None);
                }
            }
        }
        if lead.in_flight.is_some() {
            return Ok(None);
        }
        let lease = Lease::grant(&now, self.delta.0).map_err(GateClosed::Lease)?;
        // Never an earlier one than before: `latest` falls back when the clock becomes sharper.
        let before = lead.held.map_or(Timestamp::MIN, |held| held.expiry());
        let expiry = lease.expiry().max(before);
        Ok(Some(self.sent(lead.term, expiry, expiry)))
    }

    /// Returns the stamp for an entry that is about to be proposed, as LeaseGuard has it.
    ///
    /// Under the same conditions as [`propose`](Self::propose), but for every proposal. The first of a term is
    /// an empty one, for [`admit`](Self::admit) refuses until one is applied.
    ///
    /// # Errors
    ///
    /// [`GateClosed`], with what is waited for.
    pub fn stamp<C: IntervalClock + ?Sized>(
        &mut self,
        book: &LeaseBook,
        clock: &C,
    ) -> Result<LeaseEntry, GateClosed> {
        let lead = self.leading()?;
        let now = clock.interval()?;
        if lead.held.is_none() {
            self.may_begin(book, &now)?;
        }
        let out_of_range = |from| {
            GateClosed::Lease(LeaseError::OutOfRange {
                from,
                term: self.delta.0,
            })
        };
        let end = |from: Timestamp| from.checked_add(self.delta.0).ok_or(out_of_range(from));
        // Younger than Δ for its leader means before `earliest + Δ`; older for the next, after
        // `latest + Δ`.
        let (held_until, expiry) = (end(now.earliest())?, end(now.latest())?);
        Ok(self.sent(lead.term, held_until, expiry))
    }

    /// Checks that a proposal may be appended, and returns the term to bind it to.
    ///
    /// The engine must refuse the append in any other term: a thread that was stopped between this check
    /// and the append may wake in a later term of this very node, whose gate is closed.
    ///
    /// # Errors
    ///
    /// [`GateClosed`], with what is waited for.
    pub fn admit(&self) -> Result<Admission, GateClosed> {
        let lead = self.leading()?;
        match lead.held {
            Some(_) => Ok(Admission { term: lead.term }),
            None => Err(GateClosed::LeaseNotApplied),
        }
    }

    /// Checks that the local state may answer a read that has arrived.
    ///
    /// In this order: the request arrives, this check, the state is read together with the term of its last
    /// entry, [`may_show`](LeaseBook::may_show) is asked about that term, the answer leaves. A pause
    /// anywhere in between makes no answer stale: the state was read after the check, and what was acknowledged
    /// after the check was concurrent with the read. A state of a later leadership, found after a pause, may
    /// hold what yet another leader's reads do not show: that is what `may_show` refuses. The permit is for one
    /// read, and never kept.
    ///
    /// # Errors
    ///
    /// [`GateClosed`], with what is waited for.
    pub fn read<C: IntervalClock + ?Sized>(&self, clock: &C) -> Result<ReadPermit, GateClosed> {
        let lead = self.leading()?;
        let Some(lease) = lead.held else {
            return Err(GateClosed::LeaseNotApplied);
        };
        lease.check(clock).map_err(|why| match why {
            NotHeld::Clock(error) => GateClosed::Clock(error),
            why => GateClosed::NotHeld(why),
        })?;
        Ok(ReadPermit {
            term: lead.term,
            lease,
        })
    }

    /// Stops reading and proposing in this term for good, and returns what releases the lease.
    ///
    /// Propose the release only once every read that has a permit was answered: at a successor, which waits
    /// no more, they would be stale. To hand the leadership over without a release is safe, and costs the wait.
    ///
    /// # Errors
    ///
    /// [`GateClosed::NotLeader`].
    pub fn stop(&mut self) -> Result<Release, GateClosed> {
        let holder = self.holder;
        let lead = self.lead.as_mut().ok_or(GateClosed::NotLeader)?;
        lead.stopped = true;
        Ok(Release {
            holder,
            term: lead.term,
        })
    }

    fn leading(&self) -> Result<Lead, GateClosed> {
        let lead = self.lead.ok_or(GateClosed::NotLeader)?;
        if lead.stopped {
            return Err(GateClosed::Stopped);
        }
        if !lead.noop_applied {
            return Err(GateClosed::NoopNotApplied);
        }
        Ok(lead)
    }

    /// Checks that no earlier leader can be reading any more.
    fn may_begin(&self, book: &LeaseBook, now: &Interval) -> Result<(), GateClosed> {
        let Some((expiry, holder)) = book.largest else {
            return Ok(());
        };
        // This very process cannot read under its old term: it leads in the new one.
        if holder == Some(self.holder) || now.after(expiry) {
            return Ok(());
        }
        let longest = self.delta.0.saturating_mul(LONGEST_AHEAD);
        Lease::until(expiry).plausible_at(now, longest)?;
        Err(GateClosed::OldLease {
            expiry,
            holder,
            at_least: now.earliest().abs_diff(expiry),
        })
    }

    fn sent(&mut self, term: LeaderTerm, held_until: Timestamp, expiry: Timestamp) -> LeaseEntry {
        let entry = LeaseEntry {
            holder: self.holder,
            term,
            held_until,
            expiry,
        };
        if let Some(lead) = &mut self.lead {
            lead.in_flight = Some(entry);
        }
        entry
    }
}

/// `node 2, incarnation 8f3a…`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "node {}, incarnation {:016x}",
            self.node, self.incarnation
        )
    }
}

impl From<ImplausibleExpiry> for GateClosed {
    fn from(error: ImplausibleExpiry) -> Self {
        Self::Implausible(error)
    }
}

impl From<ClockError> for GateClosed {
    fn from(error: ClockError) -> Self {
        Self::Clock(error)
    }
}

/// An entry whose bytes do not decode; of the log's reader, which must stop and not skip it.
impl From<DecodeError> for UnknownEntry {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
