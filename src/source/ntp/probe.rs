//! One exchange by itself, for tests on loopback.

use super::exchange::{Answer, Exchange, Seal, ask};
use super::proof;
use super::refusal::NtpRefusal;
use super::scrutiny::examine;
use super::settings::{Host, NtpServer};
use super::udp::Udp;
use super::{DEFAULT_MARGIN, DEFAULT_MAX_ROOT_DISTANCE, nanos};
use crate::machine::Machine;
use crate::time::{Claim, DEFAULT_MAX_DRIFT_PPB, RateBounds};

/// Asks a server once and at once, by no schedule and no budget; returns what the exchange proves.
///
/// For tests with servers on loopback alone: nothing here keeps a server from being asked a thousand
/// times a second. `None` where no reply came, or the machine's clocks were disturbed meanwhile, or the
/// server was given by name.
///
/// # Errors
///
/// Why the reply is not believed.
pub fn probe(machine: &dyn Machine, server: &NtpServer) -> Result<Option<Claim>, NtpRefusal> {
    let Host::At(address) = server.host else {
        return Ok(None);
    };
    let Ok(Answer { reply, clocks, .. }) = ask(machine, &Udp, address, &Seal::Plain) else {
        return Ok(None);
    };
    let limit_ns = nanos(DEFAULT_MAX_ROOT_DISTANCE);
    let believed = examine(&reply, server, nanos(DEFAULT_MARGIN), limit_ns)?;
    let exchange = Exchange {
        serial: 1,
        round: 1,
        server: address,
        clocks,
        reply,
        distance_ns: believed.distance_ns,
        precision_ns: believed.precision_ns,
    };
    let rate = RateBounds::symmetric(DEFAULT_MAX_DRIFT_PPB);
    if let Some(beyond) = proof::beyond_round_trip(&exchange, rate) {
        let by_us = i64::try_from(beyond / 1_000).unwrap_or(i64::MAX);
        return Err(NtpRefusal::BeyondRoundTrip { by_us });
    }
    Ok(proof::claim(&exchange, rate))
}
