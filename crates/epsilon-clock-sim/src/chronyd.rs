//! chronyd's command port: what a simulated daemon reports of itself, and the way to it and back.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use crate::daemon::{Host, Manner, RunningDaemon};
use crate::hub::Hub;
use crate::kernel::SECOND;
use crate::network::ns;
use crate::regression::whole;
use epsilon_clock::source::ChronyTransport;
use epsilon_clock::testing::ChronyReport;
use epsilon_clock::{TimeDelta, Timestamp};

/// What a datagram takes on the loopback interface, either way, in ns.
const WAY: (i64, i64) = (5_000, 60_000);
/// The address of a server, as a reference id.
const REFERENCE: u32 = 0x0a00_0001;

impl RunningDaemon {
    /// Its tracking report now; `None` if it has no command port.
    ///
    /// A [`Manner::Forecasting`] one forecasts. The others' are as narrow as they can be and true: the
    /// dispersion grows by as little as covers the true error.
    /// Once somebody else moved the clock, of which the daemon knows nothing before its next update,
    /// it grows as an honest daemon's would that believes its clock undisturbed.
    pub(crate) fn tracking(&self, host: &Host<'_>) -> Option<ChronyReport> {
        let manner = self.config.manner;
        if !matches!(
            manner,
            Manner::Chrony | Manner::Forecasting | Manner::Grudging | Manner::Careless { .. }
        ) {
            return None;
        }
        let Some(update) = self.updated else {
            return Some(ChronyReport {
                root_delay: nanos(SECOND),
                root_dispersion: nanos(SECOND),
                ..ChronyReport::default()
            });
        };
        let correction = self.remaining(host);
        let raw = host.kernel.raw(host.now);
        let elapsed = raw.saturating_sub(update.raw).max(0);
        let error = self.own_time(host) - host.axis.stepped(host.now);
        let believed = update.bound + scaled(elapsed, host.oscillator_ppb + self.base_ppb().abs());
        let undisturbed = update.disturbances == host.disturbances && !host.rogue;
        let forecast = self
            .reference
            .map(|known| known.delay / 2 + known.dispersion(raw));
        let bound = match manner {
            Manner::Forecasting => forecast.unwrap_or(believed),
            _ if !undisturbed => believed,
            // All that A2 lets it leave out.
            Manner::Grudging => {
                let margin = i64::try_from(self.config.margin.as_nanos()).unwrap_or(0);
                (error.abs() - margin).max(0)
            }
            _ => update.bound.max(error.abs()),
        };
        let delay = update.delay.min(2 * bound);
        let (residual_ppb, skew_ppb) = self
            .reference
            .map_or((0, 0), |known| (-ppb(known.residual), ppb(known.skew)));
        Some(ChronyReport {
            reference_id: REFERENCE,
            stratum: 2,
            synchronized: true,
            leap: self.leap_due(host),
            reference_time: Timestamp::from_unix_nanos(update.own_time),
            correction: TimeDelta::from_nanos(correction),
            last_offset: TimeDelta::from_nanos(update.ahead),
            frequency_ppb: -self.base_ppb(),
            residual_ppb,
            skew_ppb: skew_ppb.unsigned_abs(),
            root_delay: nanos(delay),
            root_dispersion: nanos(bound - delay / 2),
            update_interval: nanos(update.interval),
        })
    }
}

/// A rate as whole ppb, rounded away from zero.
fn ppb(rate: f64) -> i64 {
    let rate = rate * 1e9;
    whole(if rate < 0.0 {
        rate.floor()
    } else {
        rate.ceil()
    })
}

fn nanos(ns: i64) -> Duration {
    Duration::from_nanos(ns.unsigned_abs())
}

fn scaled(span: i64, rate_ppb: i64) -> i64 {
    i64::try_from(i128::from(span) * i128::from(rate_ppb) / 1_000_000_000 + 1).unwrap_or(i64::MAX)
}

/// Asks the daemon of a node.
#[derive(Debug)]
pub(crate) struct SimulatedTransport {
    pub(crate) hub: Arc<Hub>,
    pub(crate) node: usize,
}

impl ChronyTransport for SimulatedTransport {
    fn exchange(&self, request: &[u8], answer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        drop(self.hub.read(self.node, WAY.0, WAY.1));
        let mut core = self.hub.lock();
        if core.daemon_is_frozen(self.node) {
            let to = core.now.saturating_add(ns(timeout));
            core.advance(to);
            core.wait_while_busy(self.node);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let report = core.with_daemon(self.node, |daemon, host| daemon.tracking(host));
        drop(core);
        let Some(report) = report.flatten() else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        drop(self.hub.read(self.node, WAY.0, WAY.1));
        let Some(datagram) = report.reply(request) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        for (place, byte) in answer.iter_mut().zip(datagram) {
            *place = byte;
        }
        Ok(datagram.len().min(answer.len()))
    }
}
