//! NTP's 64-bit instants: seconds since 1900 modulo 2³², and 2³² parts of one.

use crate::time::Timestamp;

/// 1970 in seconds since 1900 (RFC 5905, figure 4).
const UNIX_EPOCH: i64 = 2_208_988_800;

/// 2025-01-01, in s since the Unix epoch: where the window begins in which stamps are looked for.
///
/// A release may move it on, never past its own date. The build machine's clock has no say, and nor
/// has the local one: a host that believes to be in 1970 reads stamps right.
const WINDOW_BEGINS: i64 = 1_735_689_600;

/// A second in the units of a stamp.
const SECOND: i64 = 1 << 32;

const BILLION: i128 = 1_000_000_000;

/// An instant as NTP sends it, in units of 2⁻³² s; zero means none.
///
/// The era is not sent. It is taken to be the one that puts the stamp into the 136 years from
/// 2025-01-01 on.
///
/// ```
/// use epsilon_clock::Timestamp;
/// use epsilon_clock::source::ntp::Stamp;
///
/// // 2036-02-07T06:28:16Z, where the count begins anew.
/// let turn = Timestamp::from_unix_secs(2_085_978_496)?;
/// assert_eq!(Stamp::at(turn).to_bits(), 0);
/// assert_eq!(Stamp::from_bits(1 << 32).earliest(), Timestamp::from_unix_secs(2_085_978_497)?);
/// # Ok::<(), epsilon_clock::time::RangeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// Makes a stamp of the 64 bits that a packet carries.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the 64 bits as a packet carries them.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Makes the stamp of an instant, rounded down to 2⁻³² s.
    #[must_use]
    pub const fn at(instant: Timestamp) -> Self {
        let nanos = instant.unix_nanos() as i128 + UNIX_EPOCH as i128 * BILLION;
        let units = (nanos << 32).div_euclid(BILLION);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the era is what is cut off"
        )]
        Self(units as u64)
    }

    /// Returns true if the stamp says that there is no instant.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Returns how long after `earlier` this is, in units of 2⁻³² s; negative if before it.
    ///
    /// Taken across the turn of an era, and right within 68 years.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        #[allow(
            clippy::cast_possible_wrap,
            reason = "a signed difference of wrapping counts"
        )]
        let difference = self.0.wrapping_sub(earlier.0) as i64;
        difference
    }

    /// Returns the instant, rounded down to a nanosecond.
    #[must_use]
    pub const fn earliest(self) -> Timestamp {
        self.rounded(0)
    }

    /// Returns the instant, rounded up to a nanosecond.
    #[must_use]
    pub const fn latest(self) -> Timestamp {
        self.rounded(SECOND as i128 - 1)
    }

    const fn rounded(self, up: i128) -> Timestamp {
        let begins = WINDOW_BEGINS + UNIX_EPOCH;
        #[allow(clippy::cast_possible_wrap, reason = "32 bits are left of it")]
        let secs = (self.0 >> 32) as i64;
        let fraction = (self.0 & 0xffff_ffff) as i128;
        let unix = WINDOW_BEGINS + (secs - begins).rem_euclid(SECOND);
        let nanos = unix as i128 * BILLION + (fraction * BILLION + up).div_euclid(SECOND as i128);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the window ends in 2161, a hundred years before timestamps do"
        )]
        Timestamp::from_unix_nanos(nanos as i64)
    }
}

/// Returns an instant that has surely been: where the window of stamps begins.
#[cfg(feature = "nts")]
pub(super) const fn earliest_date() -> Timestamp {
    Timestamp::from_unix_nanos(WINDOW_BEGINS * 1_000_000_000)
}

/// Returns a span of 2⁻³² s units in ns, rounded up; 0 for a negative one.
pub(super) fn ceil_nanos(units: i64) -> u64 {
    let nanos = (i128::from(units.max(0)) * BILLION + i128::from(SECOND - 1)) >> 32;
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// Returns a span of 2⁻³² s units in ns, rounded down.
pub(super) fn floor_nanos(units: i64) -> i64 {
    let nanos = (i128::from(units) * BILLION) >> 32;
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The last instant that a stamp can mean, exclusive.
    const WINDOW_ENDS: i64 = WINDOW_BEGINS + SECOND;

    proptest! {
        #[test]
        fn a_stamp_holds_its_instant_in_every_era(
            nanos in WINDOW_BEGINS * 1_000_000_000..(WINDOW_ENDS - 1) * 1_000_000_000,
        ) {
            let instant = Timestamp::from_unix_nanos(nanos);
            let stamp = Stamp::at(instant);
            // Rounded down by less than a quarter of a nanosecond.
            prop_assert!(stamp.earliest() <= instant && instant <= stamp.latest());
            prop_assert!(stamp.latest().unix_nanos() - stamp.earliest().unix_nanos() <= 1);
        }

        #[test]
        fn differences_are_right_over_the_turn_of_an_era(
            nanos in WINDOW_BEGINS * 1_000_000_000..(WINDOW_ENDS - 100) * 1_000_000_000,
            span in -90_000_000_000_i64..90_000_000_000,
        ) {
            let (from, to) = (
                Stamp::at(Timestamp::from_unix_nanos(nanos)),
                Stamp::at(Timestamp::from_unix_nanos(nanos + span)),
            );
            prop_assert!((floor_nanos(to.since(from)) - span).abs() <= 1);
        }
    }

    #[test]
    fn the_window_begins_where_it_says() {
        let first = Stamp::at(Timestamp::from_unix_secs(WINDOW_BEGINS).unwrap());
        assert_eq!(first.earliest().unix_nanos(), WINDOW_BEGINS * 1_000_000_000);
        let before = Stamp::from_bits(first.to_bits() - 1);
        assert_eq!(before.latest().unix_nanos(), WINDOW_ENDS * 1_000_000_000);
    }
}
