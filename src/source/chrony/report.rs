//! chronyd's tracking report: what to ask, and what may be taken for an answer.
//!
//! Everything here is integer arithmetic on bytes, and a datagram of whatever origin either becomes
//! a [`Report`] whose every figure is in its range, or a [`Malformed`]. All fields are big-endian.

use crate::time::{LeapKind, Timestamp};

/// Requests are padded to the length of their reply, so that they amplify no traffic.
pub(super) const REQUEST_LEN: usize = REPLY_LEN;

/// A header of 28 bytes, and the tracking report's 76.
pub(crate) const REPLY_LEN: usize = 104;

/// Larger than any answer that counts, so that a longer one is not taken for it cut short.
pub(super) const BUFFER_LEN: usize = 2 * REPLY_LEN;

/// The protocol's version since chrony 2.0 (`PROTO_VERSION_NUMBER`).
pub(super) const VERSION: u8 = 6;
pub(super) const REQUEST: u8 = 1;
pub(super) const REPLY: u8 = 2;
/// `REQ_TRACKING` and `RPY_TRACKING`.
pub(super) const ASK_TRACKING: u16 = 33;
pub(super) const TELL_TRACKING: u16 = 5;
pub(super) const SUCCESS: u16 = 0;

const BILLION: i128 = 1_000_000_000;

/// The kernel's own `maxerror` ends there.
const LONGEST_BOUND: u64 = 16 * 1_000_000_000;
/// No span in a report that makes sense is longer: the longest poll is 2²⁴ s in theory, 2¹⁷ in fact.
const LONGEST_INTERVAL: u64 = (1 << 24) * 1_000_000_000;

/// What chronyd says about its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) reference_id: u32,
    pub(crate) stratum: u16,
    pub(crate) leap: Leap,
    /// When a server's time was last taken over, on the scale of the corrected clock.
    pub(crate) reference_time: Timestamp,
    /// What is left to correct: real time plus this is chronyd's idea of UTC.
    pub(crate) correction: Figure,
    /// By how much chronyd's idea of UTC was ahead of its sources at the last update.
    pub(crate) last_offset: Figure,
    /// How fast the uncorrected clock runs against UTC, in ppb and rounded.
    pub(crate) frequency_ppb: i64,
    /// By how much the latest samples would have the frequency be another, in ppb.
    pub(crate) residual_ppb: i64,
    /// How well chronyd knows the frequency, in ppb.
    pub(crate) skew_ppb: u64,
    pub(crate) root_delay_ns: u64,
    pub(crate) root_dispersion_ns: u64,
    pub(crate) update_interval_ns: u64,
}

/// A leap second's announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leap {
    None,
    Due(LeapKind),
    /// The clock is not synchronised to anything.
    Unsynchronized,
}

/// A span of a report in ns: the sign, and the magnitude rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) negative: bool,
    pub(crate) magnitude: u64,
}

impl Figure {
    pub(crate) fn signed(self) -> i64 {
        let magnitude = i64::try_from(self.magnitude).unwrap_or(i64::MAX);
        if self.negative { -magnitude } else { magnitude }
    }
}

/// Why a datagram is no tracking report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Too short or too long.
    Length,
    /// Another version of the protocol, or no reply at all.
    Header,
    /// An answer to some other question.
    Sequence,
    /// chronyd refused to answer, with this status.
    Status(u16),
    /// A figure that no clock can have.
    Figure,
}

/// Writes the request for a tracking report.
pub(super) fn request(sequence: u32, attempt: u16) -> [u8; REQUEST_LEN] {
    let mut datagram = [0; REQUEST_LEN];
    let fields = [VERSION, REQUEST, 0, 0]
        .into_iter()
        .chain(ASK_TRACKING.to_be_bytes())
        .chain(attempt.to_be_bytes())
        .chain(sequence.to_be_bytes());
    for (place, byte) in datagram.iter_mut().zip(fields) {
        *place = byte;
    }
    datagram
}

/// Takes big-endian fields off the front of a datagram.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.take().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.take().map(u32::from_be_bytes)
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        /// What builds with a `time_t` of 32 bits say for the upper half (`TV_NOHIGHSEC`).
        const NO_UPPER_HALF: u32 = 0x7fff_ffff;
        let (high, low, nanos) = (self.u32()?, self.u32()?, self.u32()?);
        let high = if high == NO_UPPER_HALF { 0 } else { high };
        let secs = (i128::from(high) << 32) | i128::from(low);
        if i128::from(nanos) >= BILLION {
            return Err(Malformed::Figure);
        }
        i64::try_from(secs * BILLION + i128::from(nanos))
            .map(Timestamp::from_unix_nanos)
            .map_err(|_| Malformed::Figure)
    }

    /// A float times `unit`, rounded away from zero: a signed exponent of 7 bits over a signed
    /// coefficient of 25 bits, `coefficient × 2^(exponent − 25)`.
    ///
    /// There are no infinities in this format and nothing that is not a number, but its largest
    /// values are: whatever exceeds `limit` is refused.
    fn float(&mut self, unit: i128, limit: u64) -> Result<Figure, Malformed> {
        const COEFFICIENT_BITS: u32 = 25;
        let word = self.u32()?;
        let sign_extended = |value: u32, bits: u32| {
            let value = i128::from(value);
            if value >> (bits - 1) == 0 {
                value
            } else {
                value - (1 << bits)
            }
        };
        let exponent = sign_extended(word >> COEFFICIENT_BITS, 7) - 25;
        let coefficient = sign_extended(word & ((1 << COEFFICIENT_BITS) - 1), COEFFICIENT_BITS);
        let product = (coefficient * unit).unsigned_abs();
        // The product has less than 55 bits and the exponent lies in −89..=38: nothing is lost.
        let shift = u32::try_from(exponent.unsigned_abs()).unwrap_or(u32::MAX);
        let magnitude = if exponent >= 0 {
            product << shift
        } else {
            product.div_ceil(1_u128 << shift)
        };
        match u64::try_from(magnitude) {
            Ok(magnitude) if magnitude <= limit => Ok(Figure {
                negative: coefficient < 0,
                magnitude,
            }),
            _ => Err(Malformed::Figure),
        }
    }

    fn span(&mut self, limit: u64) -> Result<Figure, Malformed> {
        self.float(BILLION, limit)
    }

    fn length(&mut self, limit: u64) -> Result<u64, Malformed> {
        let figure = self.span(limit)?;
        // There is no negative zero.
        if figure.negative {
            return Err(Malformed::Figure);
        }
        Ok(figure.magnitude)
    }
}

impl Report {
    /// Reads an answer to the request with this sequence number.
    pub(super) fn parse(datagram: &[u8], sequence: u32) -> Result<Self, Malformed> {
        if datagram.len() != REPLY_LEN {
            return Err(Malformed::Length);
        }
        let mut fields = Fields(datagram);
        let (version, kind, _) = (fields.u8()?, fields.u8()?, fields.u16()?);
        let (command, reply, status) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let _padding: [u8; 6] = fields.take()?;
        let echoed = fields.u32()?;
        let _padding: [u8; 8] = fields.take()?;
        if (version, kind, command) != (VERSION, REPLY, ASK_TRACKING) {
            return Err(Malformed::Header);
        }
        if echoed != sequence {
            return Err(Malformed::Sequence);
        }
        if status != SUCCESS {
            return Err(Malformed::Status(status));
        }
        if reply != TELL_TRACKING {
            return Err(Malformed::Header);
        }
        Self::body(&mut fields)
    }

    fn body(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let reference_id = fields.u32()?;
        let _address: [u8; 20] = fields.take()?;
        let stratum = fields.u16()?;
        let leap = match fields.u16()? {
            0 => Leap::None,
            1 => Leap::Due(LeapKind::Inserted),
            2 => Leap::Due(LeapKind::Deleted),
            3 => Leap::Unsynchronized,
            _ => return Err(Malformed::Figure),
        };
        let reference_time = fields.time()?;
        // An unsynchronised chronyd may be far off, and says so: that is no malformed report.
        let any = LONGEST_INTERVAL;
        let correction = fields.span(any)?;
        let last_offset = fields.span(any)?;
        let _rms_offset: [u8; 4] = fields.take()?;
        // A tenth is as far as a kernel can be tuned.
        let frequency = fields.float(1_000, 100_000_000)?;
        // A chronyd that has just started knows nothing of either, and says 10⁶ ppm.
        let residual = fields.float(1_000, LONGEST_INTERVAL)?;
        let skew = fields.float(1_000, LONGEST_INTERVAL)?;
        let root_delay_ns = fields.length(any)?;
        let root_dispersion_ns = fields.length(any)?;
        let update_interval_ns = fields.length(any)?;
        Ok(Self {
            reference_id,
            stratum,
            leap,
            reference_time,
            correction,
            last_offset,
            frequency_ppb: frequency.signed(),
            residual_ppb: residual.signed(),
            skew_ppb: skew.magnitude,
            root_delay_ns,
            root_dispersion_ns,
            update_interval_ns,
        })
    }

    /// Returns how far corrected time may be from UTC, as chronyd says: half the root delay and the
    /// root dispersion; `None` where real time may be 16 s off, at which the kernel's figure ends too.
    pub(crate) fn bound_ns(&self) -> Option<u64> {
        let bound = self
            .root_dispersion_ns
            .checked_add(self.root_delay_ns.div_ceil(2))?;
        let of_real_time = bound.checked_add(self.correction.magnitude)?;
        (of_real_time < LONGEST_BOUND).then_some(bound)
    }

    /// Returns by how many ppb the residual frequency exceeds the skew, where it does so by over 1 ppm:
    /// the samples have left the line that chronyd fits through them.
    ///
    /// In 1.46 million reports of worlds without steps it never did. After a step by another hand it did
    /// by 30 to 3 604 ppm, and the bound beside it meant nothing.
    pub(crate) fn unsettled_by(&self) -> Option<i64> {
        const ALLOWANCE_PPB: i64 = 1_000;
        let skew = i64::try_from(self.skew_ppb).unwrap_or(i64::MAX);
        let beyond = self.residual_ppb.saturating_abs().saturating_sub(skew);
        (beyond > ALLOWANCE_PPB).then_some(beyond)
    }

    /// Returns what sending these figures as floats may have rounded away: they keep 24 bits, rounded
    /// to the nearest.
    pub(crate) fn rounding_ns(&self) -> u64 {
        let lost = |ns: u64| (ns >> 23) + 1;
        lost(self.correction.magnitude)
            + lost(self.root_dispersion_ns)
            + lost(self.root_delay_ns.div_ceil(2))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::chrony::reply::{float, reply};

    fn plausible() -> Report {
        Report {
            reference_id: 0x7f00_0001,
            stratum: 2,
            leap: Leap::None,
            reference_time: Timestamp::from_unix_nanos(1_795_153_800_123_456_789),
            correction: Figure {
                negative: true,
                magnitude: 4_000,
            },
            last_offset: Figure {
                negative: false,
                magnitude: 700,
            },
            frequency_ppb: -12_500,
            residual_ppb: -3,
            skew_ppb: 40,
            root_delay_ns: 1_000_000,
            root_dispersion_ns: 30_000,
            update_interval_ns: 4_000_000_000,
        }
    }

    /// How many hostile datagrams are tried.
    fn cases() -> u32 {
        match std::env::var("EPSILON_CLOCK_LONG") {
            Ok(_) => 1_000_000,
            Err(_) => 20_000,
        }
    }

    fn close(read: u64, told: u64) -> bool {
        read.abs_diff(told) <= (told >> 23) + 1
    }

    #[test]
    fn a_request_is_what_the_protocol_says() {
        let datagram = request(0x0102_0304, 7);
        assert_eq!(datagram.len(), 104);
        assert_eq!(
            datagram[..20],
            [6, 1, 0, 0, 0, 33, 0, 7, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        assert!(datagram[20..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_float_is_a_coefficient_times_a_power_of_two() {
        let read = |word: u32| Fields(&word.to_be_bytes()).span(u64::MAX);
        let figure = |negative, magnitude| {
            Ok(Figure {
                negative,
                magnitude,
            })
        };
        // 2^23 × 2^(2 − 25) is one second.
        assert_eq!(read((2 << 25) | (1 << 23)), figure(false, 1_000_000_000));
        // −2^24 × 2^(1 − 25) too, but for its sign.
        assert_eq!(read((1 << 25) | (1 << 24)), figure(true, 1_000_000_000));
        // The least there is rounds up to a nanosecond, and zero is zero.
        assert_eq!(read((0x40 << 25) | 1), figure(false, 1));
        assert_eq!(read(0), figure(false, 0));
        // The most there is does not fit.
        assert_eq!(read((0x3f << 25) | 0x00ff_ffff), Err(Malformed::Figure));
        assert_eq!(read((0x3f << 25) | 0x0100_0000), Err(Malformed::Figure));
    }

    #[test]
    fn what_was_told_is_what_is_read() {
        let told = plausible();
        let read = Report::parse(&reply(9, &told), 9).unwrap();
        assert_eq!(
            (
                read.reference_id,
                read.stratum,
                read.leap,
                read.reference_time
            ),
            (
                told.reference_id,
                told.stratum,
                told.leap,
                told.reference_time
            )
        );
        assert!(read.correction.negative);
        assert!(close(read.correction.magnitude, 4_000));
        assert!(!read.last_offset.negative && close(read.last_offset.magnitude, 700));
        assert!(close(read.root_delay_ns, 1_000_000));
        assert!(close(read.root_dispersion_ns, 30_000));
        assert!((read.frequency_ppb + 12_500).abs() <= 1);
        assert!((read.residual_ppb + 3).abs() <= 1 && read.skew_ppb.abs_diff(40) <= 1);
        let bound = read.bound_ns().unwrap();
        let true_bound = 30_000 + 500_000;
        assert!(bound + read.rounding_ns() >= true_bound && bound <= true_bound + 3);
    }

    #[test]
    fn headers_that_do_not_answer_the_question_are_refused() {
        let good = reply(9, &plausible());
        let with = |at: usize, byte: u8| {
            let mut bad = good;
            bad[at] = byte;
            Report::parse(&bad, 9)
        };
        assert_eq!(with(0, 5), Err(Malformed::Header));
        assert_eq!(with(1, 1), Err(Malformed::Header));
        assert_eq!(with(5, 34), Err(Malformed::Header));
        assert_eq!(with(7, 6), Err(Malformed::Header));
        assert_eq!(with(9, 2), Err(Malformed::Status(2)));
        assert_eq!(with(19, 8), Err(Malformed::Sequence));
        assert_eq!(with(55, 4), Err(Malformed::Figure));
        assert_eq!(Report::parse(&good[..103], 9), Err(Malformed::Length));
        assert_eq!(Report::parse(&[], 9), Err(Malformed::Length));
        let long: Vec<u8> = good.into_iter().chain([0]).collect();
        assert_eq!(Report::parse(&long, 9), Err(Malformed::Length));
    }

    #[test]
    fn negative_spans_are_refused_where_they_make_no_sense() {
        let mut bad = reply(9, &plausible());
        bad[92..96].copy_from_slice(&float(true, 1_000, 1_000_000_000));
        assert_eq!(Report::parse(&bad, 9), Err(Malformed::Figure));
    }

    #[test]
    fn lengths_end_at_their_limit_and_times_may_lack_their_upper_half() {
        let word = |word: u32| word.to_be_bytes();
        let length = |bytes: [u8; 4]| Fields(&bytes).length(1_000_000_000);
        assert_eq!(
            length(float(false, 1_000_000_000, 1_000_000_000)),
            Ok(1_000_000_000)
        );
        assert_eq!(
            length(word((2 << 25) | (1 << 23) | 1)),
            Err(Malformed::Figure)
        );
        assert_eq!(length(word(0)), Ok(0));
        let time = |words: [u32; 3]| {
            let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
            Fields(&bytes).time().map(Timestamp::unix_nanos)
        };
        assert_eq!(time([0, 7, 5]), Ok(7_000_000_005));
        assert_eq!(time([0x7fff_ffff, 7, 5]), Ok(7_000_000_005));
        assert_eq!(time([1, 7, 5]), Ok(((1 << 32) + 7) * 1_000_000_000 + 5));
        assert_eq!(time([0, 7, 999_999_999]), Ok(7_999_999_999));
        assert_eq!(time([0, 7, 1_000_000_000]), Err(Malformed::Figure));
        assert_eq!(time([3, 0, 0]), Err(Malformed::Figure));
    }

    #[test]
    fn a_bound_ends_short_of_sixteen_seconds_of_real_time() {
        let told = |dispersion, correction| Report {
            root_dispersion_ns: dispersion,
            root_delay_ns: 3,
            correction: Figure {
                negative: true,
                magnitude: correction,
            },
            ..plausible()
        };
        assert_eq!(told(7, 0).bound_ns(), Some(9));
        let rest = LONGEST_BOUND - 9;
        assert_eq!(told(7, rest - 1).bound_ns(), Some(9));
        assert_eq!(told(7, rest).bound_ns(), None);
    }

    #[test]
    fn a_report_is_unsettled_from_over_a_millionth_beyond_its_skew() {
        for (residual_ppb, beyond) in [
            (1_040, None),
            (1_041, Some(1_001)),
            (-1_040, None),
            (-1_041, Some(1_001)),
            (3_040, Some(3_000)),
        ] {
            let report = Report {
                residual_ppb,
                ..plausible()
            };
            assert_eq!(report.unsettled_by(), beyond, "{residual_ppb}");
        }
    }

    #[test]
    fn rounding_takes_no_more_than_the_last_of_24_bits_of_each_figure() {
        let unit = 1 << 23;
        let report = Report {
            correction: Figure {
                negative: false,
                magnitude: 2 * unit,
            },
            root_dispersion_ns: 3 * unit,
            root_delay_ns: 10 * unit,
            ..plausible()
        };
        assert_eq!(report.rounding_ns(), (2 + 1) + (3 + 1) + (5 + 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases()))]

        /// No datagram of any length does more than be refused.
        #[test]
        fn noise_never_panics(
            datagram in prop::collection::vec(any::<u8>(), 0..BUFFER_LEN),
            sequence in any::<u32>(),
        ) {
            prop_assert!(Report::parse(&datagram, sequence).is_err());
        }

        /// Nor does one with a header that is right and a hostile rest; what comes through is in range.
        #[test]
        fn hostile_figures_are_in_range_or_refused(
            rest in prop::collection::vec(any::<u8>(), 76),
            leap in 0..6_u8,
        ) {
            let mut datagram = reply(9, &plausible());
            datagram[28..].copy_from_slice(&rest);
            datagram[54] = 0;
            datagram[55] = leap;
            // Times of this century, or hardly any would come through.
            datagram[56..60].fill(0);
            if let Ok(report) = Report::parse(&datagram, 9) {
                prop_assert!(leap < 4);
                prop_assert!(report.correction.magnitude <= LONGEST_INTERVAL);
                prop_assert!(report.frequency_ppb.abs() <= 100_000_000);
                if let Some(bound) = report.bound_ns() {
                    prop_assert!(bound < LONGEST_BOUND && bound >= report.root_dispersion_ns);
                    prop_assert!(report.rounding_ns() < 10_000_000);
                }
            }
        }

        /// A bit that flipped on the way makes no report of a shorter one's: never a panic.
        #[test]
        fn a_flipped_bit_never_panics(at in 0..REPLY_LEN, bit in 0..8_u32, cut in 0..=REPLY_LEN) {
            let mut datagram = reply(9, &plausible());
            datagram[at] ^= 1 << bit;
            let read = Report::parse(&datagram[..cut], 9);
            prop_assert!(cut == REPLY_LEN || read == Err(Malformed::Length));
        }

        /// Whatever was told comes back within what rounding may do, and never outside of it.
        #[test]
        fn figures_come_back_within_their_rounding(
            correction in -15_000_000_000_i64..15_000_000_000,
            delay in 0..900_000_000_u64,
            dispersion in 0..900_000_000_u64,
            ppb in -99_000_000..99_000_000_i64,
        ) {
            let told = Report {
                correction: Figure { negative: correction < 0, magnitude: correction.unsigned_abs() },
                root_delay_ns: delay,
                root_dispersion_ns: dispersion,
                frequency_ppb: ppb,
                ..plausible()
            };
            let read = Report::parse(&reply(1, &told), 1).unwrap();
            let bound = dispersion + delay.div_ceil(2);
            let told_bound = read.bound_ns().map(|read_bound| read_bound + read.rounding_ns());
            prop_assert!(told_bound.is_none_or(|told_bound| told_bound >= bound));
            prop_assert!(close(read.correction.magnitude, correction.unsigned_abs()));
            prop_assert_eq!(read.correction.signed() < 0, correction < 0);
            prop_assert!(close(read.frequency_ppb.unsigned_abs(), ppb.unsigned_abs()));
        }
    }
}
