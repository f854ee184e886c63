//! What one exchange proves of UTC, and when it proves that something stood still or jumped.

use super::exchange::Exchange;
use super::stamp::floor_nanos;
use crate::time::{Claim, Interval, RateBounds, Timestamp};

const BILLION: i128 = 1_000_000_000;

/// Returns where UTC was when the reply had come in: from T3 − E to T3 + E and all that may have
/// passed since the request was sent. `None` where that leaves the range of timestamps.
///
/// The reply left the server before it came here, and not before the request had left. That is all:
/// no midpoint, no symmetric path, and nothing that the server says of when the request arrived (T2).
/// E is about T3, and a server may be set right between the two.
pub(super) fn claim(exchange: &Exchange, rate: RateBounds) -> Option<Claim> {
    let sent = exchange.reply.sent;
    let distance = i128::from(exchange.distance_ns);
    let lower = i128::from(sent.earliest().unix_nanos()) - distance;
    let upper = i128::from(sent.latest().unix_nanos()) + distance + round_trip(exchange, rate);
    let instant = |nanos| i64::try_from(nanos).ok().map(Timestamp::from_unix_nanos);
    let interval = Interval::new(instant(lower)?, instant(upper)?).ok()?;
    Some(Claim::new(exchange.clocks.received, interval, rate))
}

/// Returns the most that may have passed between sending and receiving, in ns: what raw time counted,
/// at the fastest that true time may run, and what a suspend may have hidden from it.
fn round_trip(exchange: &Exchange, rate: RateBounds) -> i128 {
    let clocks = &exchange.clocks;
    let raw = (i128::from(clocks.received) - i128::from(clocks.sent)).max(0);
    let fastest = BILLION + i128::from(rate.hi_ppb());
    let counted = -(-(raw * fastest)).div_euclid(BILLION);
    counted + i128::from(clocks.hidden_ns)
}

/// Returns by how much the server says to have had the request longer than the whole exchange took,
/// in ns; `None` if that is possible.
///
/// Then its clock jumped in between, or raw time here did not count.
pub(super) fn beyond_round_trip(exchange: &Exchange, rate: RateBounds) -> Option<u64> {
    let reply = &exchange.reply;
    let held = i128::from(floor_nanos(reply.sent.since(reply.received)));
    let blur = 2 * i128::from(exchange.precision_ns);
    let beyond = held - round_trip(exchange, rate) - blur;
    u64::try_from(beyond).ok().filter(|beyond| *beyond > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::exchange::Clocks;
    use super::super::exchange::tests::exchange_of;
    use super::super::packet::Reply;
    use super::super::packet::tests::any_reply;
    use super::super::stamp::Stamp;
    use super::*;

    proptest! {
        /// P1, the arithmetic alone: the server is up to E off at T3, jumps by any amount between T2
        /// and T3, and the round trip is split in any way. (The order of reads is tested in
        /// `exchange`.)
        #[test]
        fn p1_an_exchange_contains_utc(
            sent_at in 1_780_000_000_000_000_000_i64..1_900_000_000_000_000_000,
            there in 0_i64..2_000_000_000,
            held in 0_i64..1_000_000_000,
            back in 0_i64..2_000_000_000,
            distance in 0_i64..1_000_000_000,
            off_share in -1_000_i64..=1_000,
            off_before in -1_000_000_000_i64..1_000_000_000,
            drift in -200_000_i64..=200_000,
        ) {
            let off = distance * off_share / 1_000;
            let (arrived, left) = (sent_at + there, sent_at + there + held);
            let came = left + back;
            let span = i128::from(came - sent_at);
            // Raw seconds per true second, the other way round.
            let raw = span * BILLION / (BILLION + i128::from(drift));
            let mut exchange = exchange_of(Clocks {
                sent: 500,
                received: 500 + i64::try_from(raw).unwrap(),
                ..Clocks::default()
            });
            exchange.distance_ns = distance.unsigned_abs();
            exchange.reply.received = Stamp::at(Timestamp::from_unix_nanos(arrived + off_before));
            // Truncated to the stamp's unit; a nanosecond of it is charged as precision.
            exchange.distance_ns += 1;
            exchange.reply.sent = Stamp::at(Timestamp::from_unix_nanos(left + off));
            let rate = RateBounds::symmetric(200_000);
            let claim = claim(&exchange, rate).unwrap();
            prop_assert!(claim.interval().contains(Timestamp::from_unix_nanos(came)));
            prop_assert_eq!(claim.raw(), exchange.clocks.received);
            // A server that keeps time is never said to contradict the round trip.
            exchange.precision_ns = 1;
            exchange.reply.received = Stamp::at(Timestamp::from_unix_nanos(arrived + off));
            prop_assert_eq!(beyond_round_trip(&exchange, rate), None);
        }

        /// P3: whatever was received and read, the ends are in order or there is no claim.
        #[test]
        fn p3_no_exchange_panics(
            reply in any_reply(),
            sent in any::<i64>(),
            received in any::<i64>(),
            hidden_ns in any::<u64>(),
            distance_ns in any::<u64>(),
            precision_ns in any::<u64>(),
            drift in any::<u32>(),
        ) {
            let clocks = Clocks { sent, received, hidden_ns, ..Clocks::default() };
            let exchange = Exchange { reply, distance_ns, precision_ns, ..exchange_of(clocks) };
            let rate = RateBounds::symmetric(drift);
            if let Some(claim) = claim(&exchange, rate) {
                prop_assert!(claim.interval().earliest() <= claim.interval().latest());
            }
            let _ = beyond_round_trip(&exchange, rate);
        }
    }

    /// The run that T2 would falsify: 15 ms slow, corrected forward while the request was queued.
    #[test]
    fn p1_a_server_set_right_while_it_holds_the_request() {
        let ms = 1_000_000;
        let base = 1_795_153_800_000_000_000;
        let mut exchange = exchange_of(Clocks {
            sent: 0,
            received: 20_100_000,
            ..Clocks::default()
        });
        exchange.distance_ns = 1_000_000;
        let stamp = |nanos: i64| Stamp::at(Timestamp::from_unix_nanos(base + nanos));
        exchange.reply = Reply {
            received: stamp(-5 * ms),
            sent: stamp(10_100_000),
            ..exchange.reply
        };
        let rate = RateBounds::symmetric(200_000);
        assert_eq!(beyond_round_trip(&exchange, rate), None);
        let claim = claim(&exchange, rate).unwrap();
        let truth = Timestamp::from_unix_nanos(base + 20_100_000);
        assert!(claim.interval().contains(truth));
    }
}
