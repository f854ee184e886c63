//! The other side: replies as chronyd makes them, for tests.

use super::report::{ASK_TRACKING, REPLY, REQUEST, SUCCESS, TELL_TRACKING, VERSION};
use super::report::{Leap, REPLY_LEN, Report};
use crate::time::LeapKind;

/// Returns the sequence number of a request for a tracking report; `None` for anything else.
#[cfg(feature = "test-util")]
pub(crate) fn sequence_asked(request: &[u8]) -> Option<u32> {
    let (header, rest) = request.split_first_chunk::<8>()?;
    let asks = header.starts_with(&[VERSION, REQUEST])
        && header.get(4..6) == Some(&ASK_TRACKING.to_be_bytes());
    let sequence = rest.first_chunk().copied().map(u32::from_be_bytes);
    sequence.filter(|_| asks)
}

/// A reply with these figures.
pub(crate) fn reply(sequence: u32, report: &Report) -> [u8; REPLY_LEN] {
    let secs = report.reference_time.unix_nanos().div_euclid(1_000_000_000);
    let nanos = report.reference_time.unix_nanos().rem_euclid(1_000_000_000);
    let (correction, offset) = (report.correction, report.last_offset);
    let negative = report.frequency_ppb < 0;
    let leap: u16 = match report.leap {
        Leap::None => 0,
        Leap::Due(LeapKind::Inserted) => 1,
        Leap::Due(LeapKind::Deleted) => 2,
        Leap::Unsynchronized => 3,
    };
    let mut datagram = [0; REPLY_LEN];
    let fields = [VERSION, REPLY, 0, 0]
        .into_iter()
        .chain(
            [ASK_TRACKING, TELL_TRACKING, SUCCESS]
                .map(u16::to_be_bytes)
                .concat(),
        )
        .chain([0; 6])
        .chain(sequence.to_be_bytes())
        .chain([0; 8])
        .chain(report.reference_id.to_be_bytes())
        .chain([0; 20])
        .chain(report.stratum.to_be_bytes())
        .chain(leap.to_be_bytes())
        .chain(secs.to_be_bytes())
        .chain(u32::try_from(nanos).unwrap_or(0).to_be_bytes())
        .chain(float(
            correction.negative,
            correction.magnitude,
            1_000_000_000,
        ))
        .chain(float(offset.negative, offset.magnitude, 1_000_000_000))
        .chain([0; 4])
        .chain(float(negative, report.frequency_ppb.unsigned_abs(), 1_000))
        .chain(float(
            report.residual_ppb < 0,
            report.residual_ppb.unsigned_abs(),
            1_000,
        ))
        .chain(float(false, report.skew_ppb, 1_000))
        .chain(float(false, report.root_delay_ns, 1_000_000_000))
        .chain(float(false, report.root_dispersion_ns, 1_000_000_000))
        .chain(float(false, report.update_interval_ns, 1_000_000_000));
    for (place, byte) in datagram.iter_mut().zip(fields) {
        *place = byte;
    }
    datagram
}

/// `numerator / unit` as a float of the protocol, rounded to the nearest as chronyd does.
pub(crate) fn float(negative: bool, numerator: u64, unit: u64) -> [u8; 4] {
    const LARGEST: u128 = (1 << 24) - 1;
    let (numerator, unit) = (u128::from(numerator), u128::from(unit));
    // The largest exponent whose coefficient still has to be cut off is too small by one.
    let coefficient = |exponent: i32| {
        let shift = 25 - exponent;
        if shift >= 0 {
            ((numerator << shift) + unit / 2) / unit
        } else {
            (numerator + (unit << (-shift)) / 2) / (unit << (-shift))
        }
    };
    let exponent = (-37..=63)
        .find(|e| coefficient(*e) <= LARGEST)
        .unwrap_or(63);
    let magnitude = i64::try_from(coefficient(exponent).min(LARGEST)).unwrap_or(0);
    let signed = if negative { -magnitude } else { magnitude };
    let word = (i64::from(exponent & 0x7f) << 25) | (signed & 0x01ff_ffff);
    u32::try_from(word).unwrap_or(0).to_be_bytes()
}
