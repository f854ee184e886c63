//! Agreement among clocks: which of them can be right at once, and who stands against a majority.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::clock::{Clock, ClockError};
use crate::time::{Interval, RateBounds};

mod builder;
mod exchange;
mod report;
mod testimony;
mod verdict;

pub use builder::FleetBuilder;
pub use exchange::{Exchange, ExchangeError, Probe};
pub use report::ClockReport;
pub use verdict::{FalsePeer, Standing, Verdict};

pub use crate::time::{
    Agreement, AgreementError, Contradiction, Direction, Falseticker, agreement,
};

use testimony::{Moment, Testimony};

/// The clocks of a cluster, held against each other: who is false, and is it we?
///
/// A clock cannot find out by itself that its time server lies. Several can, if they ask each other
/// for the time now and then: a fleet keeps the latest exchange with each peer, and says whether all
/// clocks can be right, which peers are surely false and by how much, or whether it is the clock of
/// this node that stands against a majority. What to do about it is for the caller:
/// see the [guide](crate::guide::fleet) for the usual policies.
///
/// Messages are for the caller as well. Send [`Probe::request`], let the peer answer with a
/// [`ClockReport`], hand that to [`record`](Self::record):
///
/// ```
/// use epsilon_clock::{Clock, Fleet};
/// use epsilon_clock::fleet::{ClockReport, Standing};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// # let clock_of_peer = clock.clone();
/// let mut fleet = Fleet::new(clock, 3)?; // this node and two peers
///
/// let probe = fleet.probe()?; // reads our clock: just before sending
/// let datagram: [u8; 8] = probe.request();
/// // … at the peer …
/// let answer: [u8; 24] = ClockReport::answer(datagram, &clock_of_peer)?.to_be_bytes();
/// // … and back: reads our clock again
/// fleet.record("db-2", &probe, ClockReport::from_be_bytes(answer)?)?;
///
/// match fleet.verdict()?.standing {
///     Standing::AllAgree => {}
///     Standing::PeersFalse(peers) => println!("do not believe {peers:?}"),
///     Standing::WeAreFalse { by, .. } => println!("our clock is wrong: {by}"),
///     _ => println!("nothing is certain"), // as in a partition
/// }
/// # Ok(())
/// # }
/// ```
///
/// # What it relies on
///
/// - At most [`max_faulty`](FleetBuilder::max_faulty) of the fleet's clocks are false at once, by
///   default less than half of all nodes, *heard or not*. Give the size of the whole cluster: among
///   three that can be reached of nine, two false ones would be a majority.
/// - Raw time of this machine keeps its rate (assumption A1), and no pause is invisible (A3). What a
///   peer said is carried to the present on raw time alone; a new claim, a step or a slew of our own
///   clock since does not touch it, and whatever was said before a suspend no longer counts.
/// - All clocks treat leap seconds alike (A5). Where a month of UTC begins between an exchange and
///   the verdict, a second more is allowed for.
/// - Each node is one peer, under one name, and answers for itself. A node that lies on purpose and
///   to each one differently is beyond what this is made for.
///
/// # What it promises
///
/// With at most `max_faulty` false clocks (F1 to F4 in the crate's invariants):
///
/// - **An honest node is never named**, whatever the delays and their asymmetry, the drift and the
///   age of the exchanges. Each honest clock's interval, carried to the present, contains UTC, and
///   UTC lies in the [`agreement`] of all.
/// - **A false one is named** once all nodes were heard, if its interval misses that of each honest
///   node: if its reading differs from each honest one's by more than the sum of their epsilons, the
///   round trips of the two exchanges, and the drift since (twice `max_drift` × age). No rule could do
///   better without naming honest ones at times: a false clock that agrees with an honest one, though
///   only with its outermost instant, may be the right one of the two.
///
/// # Memory and time
///
/// One exchange for each of `nodes − 1` peers. A verdict reads the clock and takes O(n log n).
#[derive(Clone, Debug)]
pub struct Fleet<P> {
    clock: Clock,
    nodes: usize,
    max_faulty: usize,
    max_age: Duration,
    max_round_trip: Duration,
    heard: BTreeMap<P, Heard>,
}

/// The latest exchange with a peer, and what it said of UTC.
#[derive(Clone, Copy, Debug)]
struct Heard {
    exchange: Exchange,
    testimony: Testimony,
}

impl<P: Ord + Clone> Fleet<P> {
    /// Starts an exchange by reading our clock.
    ///
    /// Send [`Probe::request`] to one peer afterwards; what is done in between counts as part of the
    /// round trip.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`].
    pub fn probe(&self) -> Result<Probe, ClockError> {
        Probe::new(&self.clock)
    }

    /// Ends an exchange: reads our clock again, and keeps what the peer said unless an exchange that
    /// began later is there already. Call it as soon as the answer has come.
    ///
    /// The exchange by itself tells whether the two clocks contradict each other.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`]; the fleet then stays as it was.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Fleet};
    /// # use epsilon_clock::fleet::{ClockReport, ExchangeError};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let mut fleet = Fleet::new(clock.clone(), 2)?;
    /// let (first, second) = (fleet.probe()?, fleet.probe()?);
    /// // The answer to the first request, late: not to be taken for one to the second.
    /// let late = ClockReport::answer(first.request(), &clock)?;
    /// let refused = fleet.record("db-2", &second, late);
    /// assert!(matches!(refused, Err(ExchangeError::NotTheAnswer { .. })));
    /// assert!(fleet.record("db-2", &first, late)?.contradiction().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn record(
        &mut self,
        peer: P,
        probe: &Probe,
        report: ClockReport,
    ) -> Result<Exchange, ExchangeError> {
        let (expected, found) = (probe.request(), report.request());
        // A late answer to an earlier request would accuse an honest peer of being behind by the
        // time in between.
        if expected != found {
            return Err(ExchangeError::NotTheAnswer { expected, found });
        }
        // Our interval first and the moment after it: the moments have to enclose both readings.
        let received = self.clock.now()?;
        let ended = Moment::now(&self.clock);
        let round_trip = probe.moment.until(&ended).ok_or(ExchangeError::Disturbed)?;
        // A slow exchange is no less true, but its window is so wide that it would take the place
        // of a sharper one in vain.
        if round_trip > self.max_round_trip {
            let limit = self.max_round_trip;
            return Err(ExchangeError::TooSlow { round_trip, limit });
        }
        let exchange = Exchange::new(probe.interval, report.interval(), received)?;
        let testimony = Testimony {
            interval: report.interval(),
            began: probe.moment,
            ended,
            rate: self.rate(),
        };
        self.keep(
            peer,
            Heard {
                exchange,
                testimony,
            },
        )?;
        Ok(exchange)
    }

    fn keep(&mut self, peer: P, heard: Heard) -> Result<(), ExchangeError> {
        let now = heard.testimony.ended;
        if let Some(kept) = self.heard.get(&peer) {
            let later = kept.testimony.began.raw > heard.testimony.began.raw;
            // Answers may overtake each other; the latest question is the one that counts.
            if later && self.counts(kept, &now) {
                return Ok(());
            }
        // More peers than nodes would let a minority of the fleet outvote it under names of its own
        // making. One that has not been heard for long gives up its place.
        } else if self.heard.len() >= self.nodes.saturating_sub(1) {
            let max_age = self.max_age;
            self.heard
                .retain(|_, kept| kept.testimony.counts(&now, max_age));
            if self.heard.len() >= self.nodes.saturating_sub(1) {
                return Err(ExchangeError::Full { nodes: self.nodes });
            }
        }
        self.heard.insert(peer, heard);
        Ok(())
    }

    /// Compares all clocks that were heard lately with each other.
    ///
    /// Within [`max_age`](FleetBuilder::max_age), that is, with ours among them, as of now.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`]: without an interval of our own there is nothing to compare.
    pub fn verdict(&self) -> Result<Verdict<P>, ClockError> {
        // Our own reading is a testimony as well, between two moments, so that all are carried
        // alike.
        let began = Moment::now(&self.clock);
        let interval = self.clock.now()?;
        let now = Moment::now(&self.clock);
        let ours = Testimony {
            interval,
            began,
            ended: now,
            rate: self.rate(),
        };
        // If this machine slept meanwhile, no peer counts any more.
        let (peers, testimonies): (Vec<&P>, Vec<Testimony>) = self
            .heard
            .iter()
            .filter(|(_, heard)| self.counts(heard, &now))
            .map(|(peer, heard)| (peer, heard.testimony))
            .unzip();
        let intervals = at_one_instant(&ours, &testimonies, now.raw);
        Ok(self.judge(&peers, &intervals))
    }

    fn judge(&self, peers: &[&P], intervals: &[Interval]) -> Verdict<P> {
        let heard = intervals.len();
        // Of those that were not heard none needs to be false. If all that were heard may be, one of
        // them has to agree with itself, which names none.
        let found = agreement(intervals, self.max_faulty.min(heard.saturating_sub(1)));
        // As much as the evidence allows and no more: that all agree makes none of them right, and
        // a contradiction without a majority names none.
        let (overlap, standing) = match found {
            Ok(_) if peers.is_empty() => (heard, Standing::Unheard),
            Ok(found) if found.overlap() == heard => (heard, Standing::AllAgree),
            Ok(found) => (found.overlap(), standing(peers, found.falsetickers())),
            Err(AgreementError::NoAgreement { overlap, .. }) => (overlap, Standing::Undecided),
            Err(_) => (heard, Standing::Undecided),
        };
        Verdict {
            standing,
            heard,
            nodes: self.nodes,
            false_at_least: heard.saturating_sub(overlap),
        }
    }

    fn counts(&self, heard: &Heard, now: &Moment) -> bool {
        heard.testimony.counts(now, self.max_age)
    }

    fn rate(&self) -> RateBounds {
        RateBounds::symmetric(self.clock.max_drift_ppb())
    }

    /// Returns the latest exchange with a peer, however old.
    ///
    /// `None` if there was none.
    #[must_use]
    pub fn exchange(&self, peer: &P) -> Option<Exchange> {
        self.heard.get(peer).map(|heard| heard.exchange)
    }

    /// Returns the peers of which an exchange is kept, in order.
    ///
    /// Some may be too old to count.
    pub fn peers(&self) -> impl Iterator<Item = &P> {
        self.heard.keys()
    }

    /// Forgets a peer, such as one that left the cluster; whether there was one.
    pub fn forget(&mut self, peer: &P) -> bool {
        self.heard.remove(peer).is_some()
    }

    /// Returns the clock of this node.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }
}

fn at_one_instant(ours: &Testimony, peers: &[Testimony], raw: i64) -> Vec<Interval> {
    // Intervals can be intersected only if they are about one instant.
    let ours = ours.carried_to(raw);
    let theirs = peers.iter().map(|peer| peer.beside(&ours, raw));
    core::iter::once(ours).chain(theirs).collect()
}

fn standing<P: Clone>(peers: &[&P], falsetickers: &[Falseticker]) -> Standing<P> {
    let mut ours = None;
    let mut named = Vec::new();
    for false_one in falsetickers {
        let by = false_one.contradiction;
        match false_one.index.checked_sub(1) {
            // Index 0 is ours, the rest are the peers in their order.
            None => ours = Some(by),
            Some(index) => named.extend(peers.get(index).map(|peer| FalsePeer {
                peer: (*peer).clone(),
                by,
            })),
        }
    }
    match ours {
        Some(by) => Standing::WeAreFalse { by, peers: named },
        // Fewer agree than were heard, and yet each reaches into the agreement: one is false, which
        // one cannot be told.
        None if named.is_empty() => Standing::Undecided,
        None => Standing::PeersFalse(named),
    }
}
