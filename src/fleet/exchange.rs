//! Asking a peer for the time, and what its answer says about the two clocks.

use core::time::Duration;
use std::hash::{BuildHasher, Hasher, RandomState};

use thiserror::Error;

use super::testimony::Moment;
use crate::clock::{Clock, ClockError};
use crate::machine::OffsetRange;
use crate::time::{Contradiction, Interval, TimeDelta, Timestamp};

/// Three readings: ours before a request was sent, the peer's while it had it, ours after the answer
/// came.
///
/// If both clocks are right, true time at the peer's reading lies in its interval, and neither before
/// the earliest of our first reading nor after the latest of our second. However long the messages
/// took, and however much longer one way than the other, the two stretches then share an instant. If
/// they do not, one of the two clocks is false; an exchange cannot say which. A
/// [`Fleet`](crate::Fleet) can, if it is large enough.
///
/// That two clocks agree does not make them right, and what the messages took hides as much of a
/// difference: quick exchanges are sharp ones.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::fleet::{Contradiction, Direction, Exchange};
/// use std::time::Duration;
///
/// let ms = |a, b| -> Result<Interval, Box<dyn std::error::Error>> {
///     Ok(Interval::new(Timestamp::from_unix_millis(a)?, Timestamp::from_unix_millis(b)?)?)
/// };
/// let (sent, received) = (ms(100, 104)?, ms(130, 134)?);
/// assert_eq!(Exchange::new(sent, ms(96, 100)?, received)?.contradiction(), None);
/// let fast = Exchange::new(sent, ms(140, 142)?, received)?;
/// let by = Duration::from_millis(6);
/// assert_eq!(fast.contradiction(), Some(Contradiction { by, direction: Direction::Ahead }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    sent: Interval,
    peer: Interval,
    received: Interval,
}

impl Exchange {
    /// Creates an exchange from three readings.
    ///
    /// Ours before sending, the peer's in between, and ours at the receipt.
    ///
    /// It is for the caller to see to that order. With a late answer to an earlier request it does
    /// not hold, and an honest peer seems to be behind: a [`Probe`] tells such answers.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::ReceivedBeforeSent`] if our second reading surely was before our first.
    pub fn new(sent: Interval, peer: Interval, received: Interval) -> Result<Self, ExchangeError> {
        // Readings of two clocks, or in the wrong order: a window made of them would accuse the
        // peer of our mistake.
        if received.definitely_before(&sent) {
            let by = received.latest().abs_diff(sent.earliest());
            return Err(ExchangeError::ReceivedBeforeSent { by });
        }
        Ok(Self {
            sent,
            peer,
            received,
        })
    }

    /// Returns our reading before the request was sent.
    #[must_use]
    pub const fn sent(&self) -> Interval {
        self.sent
    }

    /// Returns the peer's reading.
    #[must_use]
    pub const fn peer(&self) -> Interval {
        self.peer
    }

    /// Returns our reading after the answer came.
    #[must_use]
    pub const fn received(&self) -> Interval {
        self.received
    }

    /// Returns where true time was at the peer's reading, by our clock.
    #[must_use]
    pub fn window(&self) -> Interval {
        // `new` saw to it that the ends are in order.
        Interval::new(self.sent.earliest(), self.received.latest()).unwrap_or(self.received)
    }

    /// Returns by how much the two clocks contradict each other.
    ///
    /// At least by so much, and whether the peer's is ahead of ours or behind; `None` if both can
    /// be right.
    #[must_use]
    pub fn contradiction(&self) -> Option<Contradiction> {
        Contradiction::between(&self.peer, &self.window())
    }

    /// Returns how far the peer's clock may be ahead of ours.
    ///
    /// From the least to the most, negative if behind; `None` where that leaves an `i64` of
    /// nanoseconds (some 292 years).
    ///
    /// Both can be right exactly if 0 is in it. For graphs; to decide, use
    /// [`contradiction`](Self::contradiction), which is exact over the whole range.
    ///
    /// ```
    /// # use epsilon_clock::{Interval, Timestamp};
    /// # use epsilon_clock::fleet::Exchange;
    /// # let span = |a, b| Interval::new(Timestamp::from_unix_nanos(a), Timestamp::from_unix_nanos(b));
    /// let exchange = Exchange::new(span(10, 12)?, span(9, 14)?, span(20, 22)?)?;
    /// let offset = exchange.offset().ok_or("too far apart")?;
    /// assert_eq!((offset.lo, offset.hi), (9 - 22, 14 - 10));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn offset(&self) -> Option<OffsetRange> {
        let window = self.window();
        let ahead = |peer: Timestamp, ours| peer.checked_since(ours).map(TimeDelta::nanos);
        Some(OffsetRange {
            // Each end from the ends that are farthest apart, so the range contains whatever the
            // offset was.
            lo: ahead(self.peer.earliest(), window.latest())?,
            hi: ahead(self.peer.latest(), window.earliest())?,
        })
    }
}

/// An exchange that was begun: our reading before the request is sent, and a number to know the
/// answer by. Made by [`Fleet::probe`](crate::Fleet::probe), once for each request.
///
/// A copy of it may be kept for as long as an answer is expected; there is nothing to release.
#[derive(Clone, Copy, Debug)]
#[must_use = "a probe is of use only with the peer's answer"]
pub struct Probe {
    pub(super) interval: Interval,
    pub(super) moment: Moment,
    request: [u8; 8],
}

impl Probe {
    pub(super) fn new(clock: &Clock) -> Result<Self, ClockError> {
        // The moment before the interval, so that it is not later than the reading.
        let moment = Moment::now(clock);
        Ok(Self {
            interval: clock.now()?,
            moment,
            // Another one for each hasher, and in each process: an answer to a request that was sent
            // before a restart shall not pass either.
            request: RandomState::new().build_hasher().finish().to_be_bytes(),
        })
    }

    /// Returns the bytes to send.
    ///
    /// The answer has to carry these bytes back, as a [`ClockReport`](crate::fleet::ClockReport)
    /// does.
    #[must_use]
    pub const fn request(&self) -> [u8; 8] {
        self.request
    }
}

/// Why an exchange does not count.
///
/// Nothing is lost by it: what was known of the peer stays, and the same probe still serves for the
/// right answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// Our own clock has no interval.
    #[error("our own clock cannot be held against a peer's: {0}")]
    Clock(#[from] ClockError),
    /// The report answers another request.
    #[error(
        "the report answers request {found:02x?} and not {expected:02x?}: a late or doubled answer \
         says nothing about the time now"
    )]
    #[non_exhaustive]
    NotTheAnswer {
        /// The bytes that were sent.
        expected: [u8; 8],
        /// The bytes that came back.
        found: [u8; 8],
    },
    /// Our reading at the receipt surely lies before ours at the sending.
    #[error(
        "the answer was received {by:?} before the request was sent, at the least: check that both \
         readings are of one clock, and which is which"
    )]
    #[non_exhaustive]
    ReceivedBeforeSent {
        /// By how much at least.
        by: Duration,
    },
    /// The answer took so long that it says too little.
    #[error("the answer took {round_trip:?}, which is beyond the limit of {limit:?}; ask again")]
    #[non_exhaustive]
    TooSlow {
        /// How long it took, by raw time.
        round_trip: Duration,
        /// The limit, from the builder.
        limit: Duration,
    },
    /// This machine slept between request and answer, or the process moved: it cannot be told how
    /// long the exchange took.
    #[error(
        "this machine was suspended, or the process moved to another, between request and answer; \
         ask again"
    )]
    Disturbed,
    /// More peers than the fleet has nodes.
    #[error(
        "a fleet of {nodes} nodes has no place for another peer: forget one that left, or build a \
         larger fleet"
    )]
    #[non_exhaustive]
    Full {
        /// The number of nodes, this one included.
        nodes: usize,
    },
}
