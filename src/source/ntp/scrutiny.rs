//! What a reply must say to be believed, in the order of the checks, and how far off it then may be.

use super::packet::Reply;
use super::refusal::NtpRefusal;
use super::settings::NtpServer;
use super::stamp::{ceil_nanos, floor_nanos};

const SECOND: i64 = 1_000_000_000;

/// One unit of root delay and root dispersion, 2⁻¹⁶ s, in ns, rounded up. A server need not have
/// rounded its own figure up.
const UNIT: u64 = 15_259;

/// A clock coarser than an eighth of a second is none (Windows has had 2⁻⁶).
const COARSEST: i8 = -3;

/// Finer than the stamps themselves is not believed.
const FINEST: i8 = -32;

/// chrony's `MAX_SERVER_INTERVAL`, in 2⁻³² s: what was held for longer is of no use.
const LONGEST_HELD: i64 = 4 << 32;

/// For how long a server may go without its own servers, in s.
const STALEST: i64 = 36 * 3_600;

/// The highest stratum of a synchronised server (RFC 5905, figure 11).
const DEEPEST: u8 = 15;

/// ntpd's local clock and chrony's `local`.
const LOCAL_CLOCKS: [u8; 3] = [127, 127, 1];

/// Of these: chrony's `smoothtime`.
const SMOOTHED: u8 = 255;

/// What other servers call their own clock.
const LOCAL_NAMES: [u32; 2] = [u32::from_be_bytes(*b"LOCL"), u32::from_be_bytes(*b"LCL\0")];

/// The kisses that mean something (RFC 5905, 7.4).
const RATE: u32 = u32::from_be_bytes(*b"RATE");
const DENY: u32 = u32::from_be_bytes(*b"DENY");
const RESTRICTED: u32 = u32::from_be_bytes(*b"RSTR");

/// A believable reply, and how far the server may have been from UTC when it sent it, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Believed {
    pub(super) distance_ns: u64,
    /// One step of the server's clock, in ns.
    pub(super) precision_ns: u64,
}

/// Checks a reply to a request of ours; how far its server may be off, or why it is not believed.
pub(super) fn examine(
    reply: &Reply,
    server: &NtpServer,
    margin_ns: u64,
    limit_ns: u64,
) -> Result<Believed, NtpRefusal> {
    // Whatever the leap indicator: RFC 5905 says 3, servers differ.
    if reply.stratum == 0 {
        return Err(match reply.reference_id {
            RATE => NtpRefusal::RateLimited,
            DENY | RESTRICTED => NtpRefusal::Denied,
            // No letters: chronyd that has no server yet.
            0 => NtpRefusal::Unsynchronized,
            code => NtpRefusal::Kiss { code },
        });
    }
    if reply.leap == 3 {
        return Err(NtpRefusal::Unsynchronized);
    }
    if reply.stratum > DEEPEST {
        return Err(NtpRefusal::Unsynchronized);
    }
    let missing = [reply.received, reply.sent, reply.reference]
        .iter()
        .any(|stamp| stamp.is_none());
    let age = reply.sent.since(reply.reference);
    if missing || age < 0 {
        return Err(NtpRefusal::Inconsistent);
    }
    // Before eras are mapped: two stamps of one reply are never 68 years apart.
    let held = reply.sent.since(reply.received);
    if held < 0 {
        return Err(NtpRefusal::Inconsistent);
    }
    if held > LONGEST_HELD {
        return Err(NtpRefusal::HeldTooLong);
    }
    if reply.root_delay >> 31 != 0 || reply.precision > COARSEST {
        return Err(NtpRefusal::Inconsistent);
    }
    let precision_ns = precision_nanos(reply.precision);
    let age_ns = ceil_nanos(age);
    let distance_ns = distance(reply, server, precision_ns, age_ns).saturating_add(margin_ns);
    if distance_ns > limit_ns {
        return Err(NtpRefusal::TooDistant {
            distance_ms: i64::try_from(distance_ns / 1_000_000).unwrap_or(i64::MAX),
        });
    }
    let age_s = floor_nanos(age) / SECOND;
    if age_s > STALEST {
        return Err(NtpRefusal::StaleReference {
            age_h: age_s / 3_600,
        });
    }
    // Before the dispersion: chronyd's `local` reports none, at any stratum, and its clock is exact
    // where it is the one that counts.
    let is_local = is_local(reply.reference_id)?;
    if is_local && !server.accept_local {
        return Err(NtpRefusal::LocalReference);
    }
    // OpenNTPD never sets the field. Of a reference clock's own server zero can be honest.
    if reply.root_dispersion == 0 && reply.stratum >= 2 && !is_local {
        return Err(NtpRefusal::NoDispersion);
    }
    Ok(Believed {
        distance_ns,
        precision_ns,
    })
}

/// Returns true if the server's time is from its own clock; an error if it is off on purpose.
fn is_local(reference_id: u32) -> Result<bool, NtpRefusal> {
    let [network @ .., last] = reference_id.to_be_bytes();
    let is_local_clock = network == LOCAL_CLOCKS;
    // By an amount that is not in its distance: no switch makes that true.
    if is_local_clock && last == SMOOTHED {
        return Err(NtpRefusal::Smoothed);
    }
    Ok(is_local_clock || LOCAL_NAMES.contains(&reference_id))
}

/// Returns how far the server may be from UTC by what it says, in ns: half of the root delay, the
/// root dispersion, a unit of each, a step of its clock, and what it may have strayed from its
/// forecast since its last correction.
fn distance(reply: &Reply, server: &NtpServer, precision_ns: u64, age_ns: u64) -> u64 {
    let delay_ns = short_nanos(reply.root_delay);
    let dispersion_ns = short_nanos(reply.root_dispersion)
        .saturating_add(UNIT)
        .saturating_mul(server.dispersion_factor.into());
    let wander = (u128::from(age_ns) * u128::from(server.wander_ppb)).div_ceil(1_000_000_000);
    let wander_ns = u64::try_from(wander).unwrap_or(u64::MAX);
    delay_ns
        .div_ceil(2)
        .saturating_add(UNIT)
        .saturating_add(dispersion_ns)
        .saturating_add(precision_ns)
        .saturating_add(wander_ns)
}

fn short_nanos(units: u32) -> u64 {
    // A 16.16 figure in seconds, rounded up.
    (u64::from(units) * 1_000_000_000).div_ceil(1 << 16)
}

fn precision_nanos(precision: i8) -> u64 {
    // A power of two of seconds, rounded up; 2⁻³² s at least.
    let exponent = precision.clamp(FINEST, COARSEST).unsigned_abs();
    1_000_000_000_u64.div_ceil(1 << exponent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packet::tests::any_reply;
    use super::super::stamp::Stamp;
    use super::*;
    use crate::time::Timestamp;

    const LIMIT: u64 = 1_500_000_000;

    fn at(nanos: i64) -> Stamp {
        Stamp::at(Timestamp::from_unix_nanos(
            1_795_153_800_000_000_000 + nanos,
        ))
    }

    fn honest() -> Reply {
        Reply {
            leap: 0,
            stratum: 2,
            poll: 6,
            precision: -20,
            root_delay: 66,
            root_dispersion: 66,
            reference_id: 0xc000_0201,
            reference: at(-10 * SECOND),
            received: at(0),
            sent: at(50_000),
        }
    }

    fn server() -> NtpServer {
        NtpServer::try_from("ntp1.example.net").unwrap()
    }

    fn refused(reply: Reply) -> Option<NtpRefusal> {
        examine(&reply, &server(), 0, LIMIT).err()
    }

    #[test]
    fn the_distance_is_all_that_the_server_may_be_off() {
        let believed = examine(&honest(), &server(), 200_000, LIMIT).unwrap();
        // 66 units are 1.0071 ms.
        let (half_delay, dispersion) = (503_541, 1_007_081);
        let wander = 150_001; // 15 ppm of 10.00005 s, rounded up
        let exact = half_delay + UNIT + dispersion + UNIT + 954 + 200_000 + wander;
        assert_eq!(believed.distance_ns, exact);
        let sixfold = server().dispersion_factor(6);
        let more = examine(&honest(), &sixfold, 200_000, LIMIT).unwrap();
        assert_eq!(more.distance_ns - exact, 5 * (dispersion + UNIT));
        let ours = server().own().wander_ppb(0);
        let less = examine(&honest(), &ours, 200_000, LIMIT).unwrap();
        assert_eq!(exact - less.distance_ns, wander);
    }

    #[test]
    fn each_check_refuses_by_name_and_in_order() {
        assert_eq!(refused(honest()), None);
        let cases = [
            (
                Reply {
                    stratum: 0,
                    leap: 3,
                    reference_id: RATE,
                    ..honest()
                },
                NtpRefusal::RateLimited,
            ),
            (
                Reply {
                    stratum: 0,
                    reference_id: DENY,
                    ..honest()
                },
                NtpRefusal::Denied,
            ),
            (
                Reply {
                    stratum: 0,
                    reference_id: RESTRICTED,
                    ..honest()
                },
                NtpRefusal::Denied,
            ),
            (
                Reply {
                    stratum: 0,
                    reference_id: 7,
                    ..honest()
                },
                NtpRefusal::Kiss { code: 7 },
            ),
            (
                Reply {
                    stratum: 0,
                    leap: 3,
                    reference_id: 0,
                    ..honest()
                },
                NtpRefusal::Unsynchronized,
            ),
            // A kiss comes before the leap indicator, and that before everything else.
            (
                Reply {
                    leap: 3,
                    sent: at(-1),
                    ..honest()
                },
                NtpRefusal::Unsynchronized,
            ),
            (
                Reply {
                    stratum: 16,
                    ..honest()
                },
                NtpRefusal::Unsynchronized,
            ),
            (
                Reply {
                    received: Stamp::default(),
                    ..honest()
                },
                NtpRefusal::Inconsistent,
            ),
            (
                Reply {
                    sent: Stamp::default(),
                    ..honest()
                },
                NtpRefusal::Inconsistent,
            ),
            (
                Reply {
                    reference: Stamp::default(),
                    ..honest()
                },
                NtpRefusal::Inconsistent,
            ),
            (
                Reply {
                    reference: at(60_000),
                    ..honest()
                },
                NtpRefusal::Inconsistent,
            ),
            (
                Reply {
                    received: at(51_000),
                    ..honest()
                },
                NtpRefusal::Inconsistent,
            ),
            (
                Reply {
                    sent: at(5 * SECOND),
                    ..honest()
                },
                NtpRefusal::HeldTooLong,
            ),
            (
                Reply {
                    root_delay: 1 << 31,
                    ..honest()
                },
                NtpRefusal::Inconsistent,
            ),
            (
                Reply {
                    precision: -2,
                    ..honest()
                },
                NtpRefusal::Inconsistent,
            ),
            (
                Reply {
                    root_delay: 4 << 16,
                    ..honest()
                },
                NtpRefusal::TooDistant { distance_ms: 2_001 },
            ),
            // 15 ppm of 28 hours are more than 1.5 s.
            (
                Reply {
                    reference: at(-28 * 3_600 * SECOND),
                    ..honest()
                },
                NtpRefusal::TooDistant { distance_ms: 1_513 },
            ),
            (
                Reply {
                    root_dispersion: 0,
                    ..honest()
                },
                NtpRefusal::NoDispersion,
            ),
            (
                Reply {
                    reference_id: 0x7f7f_0101,
                    ..honest()
                },
                NtpRefusal::LocalReference,
            ),
            (
                Reply {
                    reference_id: 0x7f7f_0100,
                    ..honest()
                },
                NtpRefusal::LocalReference,
            ),
            (
                Reply {
                    reference_id: LOCAL_NAMES[0],
                    stratum: 1,
                    ..honest()
                },
                NtpRefusal::LocalReference,
            ),
            (
                Reply {
                    reference_id: LOCAL_NAMES[1],
                    stratum: 1,
                    ..honest()
                },
                NtpRefusal::LocalReference,
            ),
            (
                Reply {
                    reference_id: 0x7f7f_01ff,
                    ..honest()
                },
                NtpRefusal::Smoothed,
            ),
        ];
        for (reply, refusal) in cases {
            assert_eq!(refused(reply), Some(refusal), "{reply:?}");
        }
        let stale = Reply {
            reference: at(-37 * 3_600 * SECOND),
            ..honest()
        };
        let steady = server().own().wander_ppb(0);
        assert_eq!(
            examine(&stale, &steady, 0, LIMIT),
            Err(NtpRefusal::StaleReference { age_h: 37 })
        );
        let local = |id| {
            examine(
                &Reply {
                    reference_id: id,
                    ..honest()
                },
                &server().accept_local(),
                0,
                LIMIT,
            )
        };
        assert!(local(0x7f7f_0101).is_ok());
        // As chronyd's `local` sends it.
        let bare = Reply {
            reference_id: 0x7f7f_0101,
            root_delay: 0,
            root_dispersion: 0,
            ..honest()
        };
        assert_eq!(refused(bare), Some(NtpRefusal::LocalReference));
        assert!(examine(&bare, &server().accept_local(), 0, LIMIT).is_ok());
        assert_eq!(local(0x7f7f_01ff), Err(NtpRefusal::Smoothed));
    }

    #[test]
    fn what_just_meets_each_limit_is_believed_and_the_next_value_is_not() {
        let hours = |hours: i64| hours * 3_600 * SECOND;
        let stale = NtpRefusal::StaleReference { age_h: 36 };
        let steady = server().own().wander_ppb(0);
        for (reply, refusal) in [
            (
                Reply {
                    stratum: DEEPEST,
                    ..honest()
                },
                None,
            ),
            (
                Reply {
                    reference: at(50_000),
                    ..honest()
                },
                None,
            ),
            (
                Reply {
                    received: at(50_000),
                    ..honest()
                },
                None,
            ),
            (
                Reply {
                    sent: at(4 * SECOND),
                    ..honest()
                },
                None,
            ),
            (
                Reply {
                    sent: at(4 * SECOND + 1),
                    ..honest()
                },
                Some(NtpRefusal::HeldTooLong),
            ),
            (
                Reply {
                    precision: COARSEST,
                    ..honest()
                },
                None,
            ),
            (
                Reply {
                    reference: at(50_000 - hours(36)),
                    ..honest()
                },
                None,
            ),
            (
                Reply {
                    reference: at(50_000 - hours(36) - SECOND),
                    ..honest()
                },
                Some(stale),
            ),
            // Of a reference clock's own server no dispersion can be honest.
            (
                Reply {
                    stratum: 1,
                    root_dispersion: 0,
                    ..honest()
                },
                None,
            ),
        ] {
            let examined = examine(&reply, &steady, 0, LIMIT);
            assert_eq!(examined.err(), refusal, "{reply:?}");
        }
        let distance = examine(&honest(), &server(), 0, LIMIT).unwrap().distance_ns;
        assert!(examine(&honest(), &server(), 0, distance).is_ok());
        assert_eq!(
            examine(&honest(), &server(), 0, distance - 1),
            Err(NtpRefusal::TooDistant { distance_ms: 1 })
        );
    }

    proptest! {
        /// P3: no reply panics, and what is believed is within the limit.
        #[test]
        fn p3_no_reply_panics(reply in any_reply(), margin in any::<u64>(), limit in any::<u64>()) {
            if let Ok(believed) = examine(&reply, &server(), margin, limit) {
                prop_assert!(believed.distance_ns <= limit && believed.distance_ns >= margin);
            }
        }
    }
}
