//! What one node tells another about its clock, in 24 bytes.

use crate::clock::{Clock, ClockError};
use crate::time::{DecodeError, Interval, Timestamp};

/// A node's answer to a [`Probe`](crate::fleet::Probe): where UTC was, by its clock, between the arrival of
/// the request and the sending of the answer.
///
/// It carries the request's eight bytes back, so that a late answer to an earlier request is not
/// taken for one to this: that would accuse an honest node of being behind by the time in between.
///
/// # Encoding
///
/// 24 bytes: the eight of the request as they were; then the earliest and the latest end, each in
/// nanoseconds since the Unix epoch as a signed 64-bit number in two's complement, most significant
/// byte first.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::fleet::ClockReport;
///
/// let reading = Interval::new(Timestamp::from_unix_nanos(-1), Timestamp::from_unix_nanos(258))?;
/// let report = ClockReport::new(*b"request.", reading);
/// let bytes = report.to_be_bytes();
/// assert_eq!(&bytes[..8], b"request.");
/// assert_eq!(bytes[8..16], [0xff; 8]);
/// assert_eq!(bytes[16..], [0, 0, 0, 0, 0, 0, 1, 2]);
/// assert_eq!(ClockReport::from_be_bytes(bytes)?, report);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockReport {
    request: [u8; 8],
    interval: Interval,
}

/// What decoding errors call it.
const WHAT: &str = "a clock report";

impl ClockReport {
    /// Answers a request by what this clock says now.
    ///
    /// Call it after the request arrived and before the answer is sent. A report that was made
    /// before, or one that is sent twice, would be about another time.
    ///
    /// # Errors
    ///
    /// As [`Clock::now`]. A node whose clock has no interval had better not answer at all: it is
    /// then like one that cannot be reached.
    ///
    /// ```
    /// # use epsilon_clock::Clock;
    /// # use epsilon_clock::fleet::{ClockReport, Probe};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// # let request = *b"anything";
    /// let datagram: [u8; 24] = ClockReport::answer(request, &clock)?.to_be_bytes();
    /// # drop(datagram);
    /// # Ok(())
    /// # }
    /// ```
    pub fn answer(request: [u8; 8], clock: &Clock) -> Result<Self, ClockError> {
        Ok(Self::new(request, clock.now()?))
    }

    /// Creates a report of this interval, for clocks of another make.
    #[must_use]
    pub const fn new(request: [u8; 8], interval: Interval) -> Self {
        Self { request, interval }
    }

    /// Returns the request that it answers.
    #[must_use]
    pub const fn request(&self) -> [u8; 8] {
        self.request
    }

    /// Returns where UTC was, by the sender's clock.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// Encodes the report in 24 bytes.
    #[must_use]
    pub const fn to_be_bytes(&self) -> [u8; 24] {
        let [a, b, c, d, e, f, g, h] = self.request;
        let earliest = self.interval.earliest().unix_nanos().to_be_bytes();
        let [i, j, k, l, m, n, o, p] = earliest;
        let [q, r, s, t, u, v, w, x] = self.interval.latest().unix_nanos().to_be_bytes();
        [
            a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x,
        ]
    }

    /// Decodes a report from 24 bytes.
    ///
    /// Of a slice, use `ClockReport::try_from(bytes)`, which refuses any other length.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Reversed`] if the latest end lies before the earliest.
    pub fn from_be_bytes(bytes: [u8; 24]) -> Result<Self, DecodeError> {
        let [
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            l,
            m,
            n,
            o,
            p,
            q,
            r,
            s,
            t,
            u,
            v,
            w,
            x,
        ] = bytes;
        let end = |bytes| Timestamp::from_unix_nanos(i64::from_be_bytes(bytes));
        let earliest = end([i, j, k, l, m, n, o, p]);
        let latest = end([q, r, s, t, u, v, w, x]);
        let interval = Interval::new(earliest, latest)
            .map_err(|ends| DecodeError::Reversed { what: WHAT, ends })?;
        Ok(Self::new([a, b, c, d, e, f, g, h], interval))
    }
}

/// Exactly 24 bytes.
///
/// ```
/// # use epsilon_clock::fleet::ClockReport;
/// let error = ClockReport::try_from(&[0_u8; 5][..]).unwrap_err();
/// assert_eq!(error.to_string(), "a clock report of 24 bytes cannot be read from 5");
/// ```
impl TryFrom<&[u8]> for ClockReport {
    type Error = DecodeError;

    fn try_from(bytes: &[u8]) -> Result<Self, DecodeError> {
        let found = bytes.len();
        <[u8; 24]>::try_from(bytes)
            .map_err(|_| DecodeError::Length {
                what: WHAT,
                expected: 24,
                found,
            })
            .and_then(Self::from_be_bytes)
    }
}
