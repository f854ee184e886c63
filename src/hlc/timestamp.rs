//! A hybrid logical timestamp: one word that sorts, in bytes and in text, as causality does.

use core::ops::RangeInclusive;

use crate::clock::{Point, Scale};
use crate::time::{RangeError, Timestamp};

/// How many bits of a stamp count events within a microsecond.
pub(super) const LOGICAL_BITS: u32 = 12;

/// The largest counter.
pub(super) const LOGICAL_MAX: u16 = (1 << LOGICAL_BITS) - 1;

/// The largest physical part, in µs.
const PHYSICAL_MAX: u64 = u64::MAX >> LOGICAL_BITS;

const NANOS_PER_MICRO: i64 = 1_000;

/// A stamp of this process's hybrid clock: Unix time and a counter.
///
/// Issued by its [`HybridClock`](super::HybridClock), or composed here on purpose. The time is in
/// µs.
///
/// What comes off the wire or out of a file is a [`RemoteTimestamp`](super::RemoteTimestamp) until
/// it has been observed.
///
/// # Layout
///
/// An unsigned number of 64 bits: the upper 52 count microseconds since 1970-01-01T00:00:00Z, the
/// lower 12 are the counter. It reaches from 1970 to 2112-09-17T23:53:47.370495Z, and leaves room
/// for 4096 stamps a microsecond; the 4097th counts one microsecond on. Kudu and YugabyteDB use the
/// same layout.
///
/// ```text
/// bit   63                                                  12 11             0
///      +------------------------------------------------------+----------------+
///      |  µs since 1970-01-01T00:00:00Z, 52 bits              | counter, 12    |
///      +------------------------------------------------------+----------------+
/// byte |  0  |  1  |  2  |  3  |  4  |  5  |  6 high | 6 low  |       7        |
///
///        66    0a    ed    09    2d    44    0         0              2a
///        0x660aed092d440 = 1 795 153 800 123 456 µs  |  0x02a = 42
/// ```
///
/// # Comparisons
///
/// Stamps are totally ordered by that number. If one event happened before another, and both are on
/// clocks that exchanged their stamps, it has the lesser stamp; that a stamp is less does not mean
/// that its event happened before the other. Two nodes may issue the same number: where that
/// matters, a [`NodeStamp`](super::NodeStamp) names the node.
///
/// # Encodings
///
/// All have a fixed width and sort as the stamps do. The stamp `(123 456 µs past 2026-11-20T05:50Z,
/// counter 42)`, as an example:
///
/// | form | example |
/// |---|---|
/// | number, physical µs × 4096 + counter | `7352949965305675818` |
/// | 8 bytes, most significant first ([`to_be_bytes`](Self::to_be_bytes)) | `66 0a ed 09 2d 44 00 2a` |
/// | 16 lower-case hexadecimal digits of the same ([`LowerHex`](core::fmt::LowerHex), `{:x}`) | `660aed092d44002a` |
/// | RFC 3339 in UTC with six digits and `Z`, then `_`, then the counter in four decimal digits ([`Display`](core::fmt::Display)): 32 bytes | `2026-11-20T05:50:00.123456Z_0042` |
///
/// All of them are read by [`RemoteTimestamp`](super::RemoteTimestamp), strictly: one text for each
/// stamp. The twelve bytes of other systems are [`WideTimestamp`](super::WideTimestamp).
///
/// ```
/// use epsilon_clock::{HlcTimestamp, Timestamp};
///
/// let minute = Timestamp::from_unix_secs(1_795_153_800)?.unix_nanos();
/// let stamp = HlcTimestamp::new(Timestamp::from_unix_nanos(minute + 123_456_000), 42)?;
/// assert_eq!(stamp.to_bits(), 7_352_949_965_305_675_818);
/// assert_eq!(format!("{stamp:x}"), "660aed092d44002a");
/// assert_eq!(stamp.to_string(), "2026-11-20T05:50:00.123456Z_0042");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # In a struct of yours that is stored
///
/// It is issued, never read: there is no `Deserialize` for it, nor a `from_be_bytes`. Keep a
/// [`RemoteTimestamp`](crate::RemoteTimestamp) in the struct instead (`stamp.into()`), and
/// [trust](crate::RemoteTimestamp::trust) it when it comes back from your own store, or
/// [observe](crate::HybridClock::observe) it when it comes from a peer. An example is in
/// [`guide::formats`](crate::guide::formats#stamps-in-your-own-structs).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HlcTimestamp(u64);

impl HlcTimestamp {
    /// The least stamp, 0: less than every stamp that a clock issues.
    ///
    /// ```
    /// # use epsilon_clock::HlcTimestamp;
    /// assert_eq!(HlcTimestamp::MIN.to_string(), "1970-01-01T00:00:00.000000Z_0000");
    /// ```
    pub const MIN: Self = Self(0);

    /// The largest stamp, after which a clock issues no other.
    ///
    /// ```
    /// # use epsilon_clock::HlcTimestamp;
    /// assert_eq!(HlcTimestamp::MAX.to_string(), "2112-09-17T23:53:47.370495Z_4095");
    /// ```
    pub const MAX: Self = Self(u64::MAX);

    /// Composes a stamp of whole microseconds and a counter up to 4095.
    ///
    /// For stamps that are made up on purpose, such as the one that a historical query asks for.
    ///
    /// # Errors
    ///
    /// [`RangeError`] where the instant lies before 1970 or after
    /// 2112-09-17T23:53:47.370495Z, or is no whole number of microseconds, or the counter is larger.
    ///
    /// ```
    /// # use epsilon_clock::{HlcTimestamp, Timestamp};
    /// assert!(HlcTimestamp::new(Timestamp::from_unix_nanos(1_000), 4_095).is_ok());
    /// assert!(HlcTimestamp::new(Timestamp::from_unix_nanos(1_001), 0).is_err());
    /// assert!(HlcTimestamp::new(Timestamp::from_unix_nanos(-1_000), 0).is_err());
    /// let error = HlcTimestamp::new(Timestamp::UNIX_EPOCH, 5_000).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the counter 5000 is larger than 4095: it would spill into the physical part"
    /// );
    /// ```
    pub fn new(physical: Timestamp, logical: u16) -> Result<Self, RangeError> {
        compose(physical, logical.into())
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the stamp as a number: physical µs × 4096 + counter.
    ///
    /// ```
    /// # use epsilon_clock::{HlcTimestamp, Timestamp};
    /// let stamp = HlcTimestamp::new(Timestamp::from_unix_nanos(1_000), 5)?;
    /// assert_eq!(stamp.to_bits(), 4_096 + 5);
    /// # Ok::<(), epsilon_clock::time::RangeError>(())
    /// ```
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Returns the physical part as an instant: whole microseconds.
    ///
    /// ```
    /// # use epsilon_clock::{HlcTimestamp, Timestamp};
    /// let stamp = HlcTimestamp::new(Timestamp::from_unix_nanos(7_000), 5)?;
    /// assert_eq!(stamp.physical(), Timestamp::from_unix_nanos(7_000));
    /// # Ok::<(), epsilon_clock::time::RangeError>(())
    /// ```
    #[must_use]
    #[allow(
        clippy::cast_possible_wrap,
        reason = "2^52 µs are 4.5e18 ns, which an i64 holds"
    )]
    pub const fn physical(self) -> Timestamp {
        Timestamp::from_unix_nanos((self.0 >> LOGICAL_BITS) as i64 * NANOS_PER_MICRO)
    }

    /// Returns the counter, from 0 to 4095.
    ///
    /// ```
    /// # use epsilon_clock::HlcTimestamp;
    /// assert_eq!(HlcTimestamp::MAX.logical(), 4_095);
    /// ```
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "only the counter's bits are left"
    )]
    pub const fn logical(self) -> u16 {
        (self.0 & LOGICAL_MAX as u64) as u16
    }

    /// Encodes the stamp in eight bytes, most significant first.
    ///
    /// They are those of [`to_bits`](Self::to_bits), and sort as the stamps do.
    ///
    /// ```
    /// # use epsilon_clock::HlcTimestamp;
    /// assert!(HlcTimestamp::MIN.to_be_bytes() < HlcTimestamp::MAX.to_be_bytes());
    /// ```
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// Composes exactly these parts, or says which of them has no room.
pub(super) fn compose(physical: Timestamp, logical: u64) -> Result<HlcTimestamp, RangeError> {
    let out_of_range = RangeError::Physical {
        instant: physical,
        least: HlcTimestamp::MIN.physical(),
        most: HlcTimestamp::MAX.physical(),
    };
    let nanos = u64::try_from(physical.unix_nanos()).map_err(|_| out_of_range)?;
    if nanos / 1_000 > PHYSICAL_MAX {
        return Err(out_of_range);
    }
    // Refused, not rounded: down, the stamp would fall before its own cause, and which side is safe
    // only the caller can know.
    if nanos % 1_000 != 0 {
        return Err(RangeError::Fraction { instant: physical });
    }
    let most = u64::from(LOGICAL_MAX);
    if logical > most {
        return Err(RangeError::Counter { logical, most });
    }
    Ok(HlcTimestamp(((nanos / 1_000) << LOGICAL_BITS) | logical))
}

/// Returns the least stamp of an instant's microsecond.
///
/// Before 1970 there are no stamps, so every one is above such an instant, and 0 stands for it;
/// `None` past the end of the range.
#[inline]
pub(super) fn floor_bits(instant: Timestamp) -> Option<u64> {
    match u64::try_from(instant.unix_nanos()) {
        Ok(nanos) => bits_of_micros(nanos / 1_000),
        Err(_) => before_all(),
    }
}

/// Returns the least stamp whose physical part is not before `instant`.
#[inline]
pub(super) fn ceiling_bits(instant: Timestamp) -> Option<u64> {
    match u64::try_from(instant.unix_nanos()) {
        Ok(nanos) => bits_of_micros(nanos.div_ceil(1_000)),
        Err(_) => before_all(),
    }
}

/// The middles of intervals, in the unit of a stamp: 1/4096 µs.
#[derive(Debug)]
pub(super) struct Middle;

impl Scale for Middle {
    /// 3.9 ns to 125 ns.
    const BITS: RangeInclusive<u32> = 4..=9;
    const FIRST: Timestamp = Timestamp::UNIX_EPOCH;
    const POINT: Point = Point::Middle;

    /// Rounds down, or at times up: never falls back, and a product takes a fifth of the time of two divisions.
    #[inline]
    fn position(instant: Timestamp, _mask: u64) -> Option<u64> {
        /// Of a ns, in 2⁻⁶¹ of the unit, rounded up.
        const UNITS: u128 = (4_096_u128 << 61).div_ceil(1_000);
        let nanos = u64::try_from(instant.unix_nanos()).ok()?;
        u64::try_from((u128::from(nanos) * UNITS) >> 61).ok()
    }

    fn lasting(numbers: u64) -> u64 {
        (numbers * 1_000).div_ceil(1 << LOGICAL_BITS)
    }
}

#[inline]
const fn bits_of_micros(micros: u64) -> Option<u64> {
    if micros > PHYSICAL_MAX {
        return None;
    }
    Some(micros << LOGICAL_BITS)
}

#[cold]
const fn before_all() -> Option<u64> {
    Some(0)
}
