//! A lease's expiry as eight bytes that sort, and what must be true of those that come from elsewhere.

use core::time::Duration;

use thiserror::Error;

use super::Lease;
use crate::time::{DecodeError, Interval, Timestamp};

/// 2001-09-09T01:46:40Z, a billion seconds since the epoch. What seconds, milliseconds or
/// microseconds count until the year 33658 is less than this many nanoseconds, and so is a page that
/// was never written.
const FIRST_EXPIRY: i64 = 1_000_000_000_000_000_000;

impl Lease {
    /// Encodes the expiry in eight bytes that sort as expiries do.
    ///
    /// They hold nanoseconds since the Unix epoch plus 2^63, most significant byte first. The
    /// margin is the holder's and does not travel.
    ///
    /// ```
    /// # use epsilon_clock::{Lease, Timestamp};
    /// let lease = Lease::until(Timestamp::from_unix_nanos(1_795_153_800_123_456_789));
    /// assert_eq!(lease.to_be_bytes(), [0x98, 0xe9, 0xaa, 0xde, 0xbd, 0x8d, 0x1d, 0x15]);
    /// ```
    #[must_use]
    pub const fn to_be_bytes(&self) -> [u8; 8] {
        self.expiry.to_be_bytes()
    }

    /// Decodes a lease from eight bytes; it has no margin.
    ///
    /// Of a slice, use `Lease::try_from(bytes)`.
    ///
    /// An expiry that no grantor can have meant is not "long over": that is how a lease is taken twice.
    /// Whether one in the far future is meant, [`plausible_at`](Self::plausible_at) tells.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Instant`] for an expiry before 2001-09-09T01:46:40Z, which bytes that
    /// were never written have, or ones that count another unit; and for bytes that are all ones.
    ///
    /// ```
    /// # use epsilon_clock::Lease;
    /// # use epsilon_clock::time::DecodeError;
    /// let blank = Lease::from_be_bytes([0; 8]);
    /// assert!(matches!(blank, Err(DecodeError::Instant { .. })));
    /// ```
    pub const fn from_be_bytes(bytes: [u8; 8]) -> Result<Self, DecodeError> {
        let expiry = Timestamp::from_be_bytes(bytes);
        let nanos = expiry.unix_nanos();
        // Zeros, ones and other units fall out here. To take them for an expiry long past would be
        // to take the lease over from its living holder.
        if nanos < FIRST_EXPIRY || nanos == i64::MAX {
            return Err(DecodeError::Instant {
                what: "the expiry of a lease",
                found: expiry,
                advice: "do not take the lease for expired",
            });
        }
        Ok(Self::until(expiry))
    }

    /// Returns the lease if its expiry is at most `longest` ahead.
    ///
    /// Ahead of the latest instant that it can be now, that is: what an honest grantor gives out,
    /// with `longest` the longest term there is and what the grantor's clock may be wider than this
    /// one.
    ///
    /// To believe a corrupt expiry would be to wait for ever; but not to believe it is no reason to
    /// take over. An operator has to look.
    ///
    /// # Errors
    ///
    /// [`ImplausibleExpiry`], by how much.
    ///
    /// ```
    /// # use epsilon_clock::{Interval, Lease, Timestamp};
    /// # use std::time::Duration;
    /// let now = Interval::point("2026-11-20T05:50:00.000000000Z".parse::<Timestamp>()?);
    /// let longest = Duration::from_secs(11);
    /// let honest = Lease::grant(&now, Duration::from_secs(10))?;
    /// assert!(honest.plausible_at(&now, longest).is_ok());
    /// let corrupt = Lease::until("2226-11-20T05:50:00.000000000Z".parse()?);
    /// assert!(corrupt.plausible_at(&now, longest).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plausible_at(
        self,
        now: &Interval,
        longest: Duration,
    ) -> Result<Self, ImplausibleExpiry> {
        let expiry = self.expiry;
        let ahead = expiry.abs_diff(now.latest());
        // Past expiries are plausible whatever their age: leases end.
        if expiry > now.latest() && ahead > longest {
            return Err(ImplausibleExpiry {
                expiry,
                ahead,
                longest,
            });
        }
        Ok(self)
    }
}

/// Exactly eight bytes, most significant first.
///
/// ```
/// # use epsilon_clock::Lease;
/// # use epsilon_clock::time::DecodeError;
/// let row: &[u8] = &[0x98, 0xe9];
/// assert!(matches!(Lease::try_from(row), Err(DecodeError::Length { found: 2, .. })));
/// ```
impl TryFrom<&[u8]> for Lease {
    type Error = DecodeError;

    fn try_from(bytes: &[u8]) -> Result<Self, DecodeError> {
        match <[u8; 8]>::try_from(bytes) {
            Ok(bytes) => Self::from_be_bytes(bytes),
            Err(_) => Err(DecodeError::Length {
                what: "an expiry",
                expected: 8,
                found: bytes.len(),
            }),
        }
    }
}

/// An expiry further ahead than any grantor gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the lease until {expiry} has {ahead:?} to go, but none is longer than {longest:?}: check the \
     record and the grantor's clock"
)]
#[non_exhaustive]
pub struct ImplausibleExpiry {
    /// The expiry.
    pub expiry: Timestamp,
    /// How far ahead of now it lies, at least.
    pub ahead: Duration,
    /// The longest there is, from the caller.
    pub longest: Duration,
}
