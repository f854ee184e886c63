//! chronyd's command port: what a simulated daemon reports of itself, and the way to it and back.

use std::io;
use std::sync::Arc;

use super::daemon::{Host, Manner, RunningDaemon};
use super::kernel::SECOND;
use super::regression::whole;
use super::world::Hub;
use crate::source::chrony::exchange::Asker;
use crate::source::chrony::reply::{float, reply};
use crate::source::chrony::report::{Figure, Leap, Report};
use crate::time::Timestamp;

/// What a datagram takes on the loopback interface, either way, in ns.
const WAY: (i64, i64) = (5_000, 60_000);
/// How long a source waits for an answer.
const TIMEOUT: i64 = 100_000_000;
/// The address of a server, as a reference id.
const REFERENCE: u32 = 0x0a00_0001;

/// What a daemon remembers of its last update, for its report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update {
    pub(super) raw: i64,
    /// By its own clock, after the update.
    pub(super) own_time: i64,
    pub(super) interval: i64,
    /// By how much its clock was found ahead.
    pub(super) ahead: i64,
    pub(super) delay: i64,
    /// Half of the root delay and the root dispersion at the update.
    pub(super) bound: i64,
    pub(super) disturbances: u64,
}

impl RunningDaemon {
    /// Its tracking report now; `None` if it has no command port.
    ///
    /// A [`Manner::Forecasting`] one forecasts. The others' are as narrow as they can be and true: the
    /// dispersion grows by as little as covers the true error.
    /// Once somebody else moved the clock, of which the daemon knows nothing before its next update,
    /// it grows as an honest daemon's would that believes its clock undisturbed.
    pub(super) fn tracking(&self, host: &Host<'_>) -> Option<Report> {
        let manner = self.config.manner;
        if !matches!(
            manner,
            Manner::Chrony | Manner::Forecasting | Manner::Grudging | Manner::Careless { .. }
        ) {
            return None;
        }
        let Some(update) = self.updated else {
            return Some(Report {
                reference_id: 0,
                stratum: 0,
                leap: Leap::Unsynchronized,
                reference_time: Timestamp::UNIX_EPOCH,
                correction: Figure::default(),
                last_offset: Figure::default(),
                frequency_ppb: 0,
                root_delay_ns: SECOND.unsigned_abs(),
                root_dispersion_ns: SECOND.unsigned_abs(),
                update_interval_ns: 0,
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
                let real = error - correction;
                let margin = i64::try_from(self.config.margin.as_nanos()).unwrap_or(0);
                (real.abs() - margin - correction.abs()).max(0)
            }
            _ => update.bound.max(error.abs()),
        };
        let delay = update.delay.min(2 * bound);
        Some(Report {
            reference_id: REFERENCE,
            stratum: 2,
            leap: self.leap_due(host).map_or(Leap::None, Leap::Due),
            reference_time: Timestamp::from_unix_nanos(update.own_time),
            correction: figure(correction),
            last_offset: figure(update.ahead),
            frequency_ppb: -self.base_ppb(),
            root_delay_ns: delay.unsigned_abs(),
            root_dispersion_ns: (bound - delay / 2).unsigned_abs(),
            update_interval_ns: update.interval.unsigned_abs(),
        })
    }
}

/// Where a tracking reply has the residual frequency and the skew.
const RATES: usize = 84;

impl RunningDaemon {
    /// The residual frequency and the skew as its reports have them, in ppm; zeros of a daemon that
    /// does not estimate them.
    fn rates(&self) -> [u8; 8] {
        let field = |rate: f64| {
            // In millionths of a ppm.
            let number = whole(rate * 1e12);
            float(number < 0, number.unsigned_abs(), 1_000_000)
        };
        let fields = self
            .reference
            .map(|known| [field(-known.residual), field(known.skew)]);
        let [residual, skew] = fields.unwrap_or_default();
        let mut bytes = [0; 8];
        for (place, byte) in bytes.iter_mut().zip(residual.into_iter().chain(skew)) {
            *place = byte;
        }
        bytes
    }
}

fn figure(ns: i64) -> Figure {
    Figure {
        negative: ns < 0,
        magnitude: ns.unsigned_abs(),
    }
}

fn scaled(span: i64, rate_ppb: i64) -> i64 {
    i64::try_from(i128::from(span) * i128::from(rate_ppb) / 1_000_000_000 + 1).unwrap_or(i64::MAX)
}

/// Asks the daemon of a node.
#[derive(Debug)]
pub(super) struct SimulatedAsker {
    pub(super) hub: Arc<Hub>,
    pub(super) node: usize,
}

impl Asker for SimulatedAsker {
    fn ask(&self, request: &[u8], answer: &mut [u8]) -> io::Result<usize> {
        drop(self.hub.read(self.node, WAY.0, WAY.1));
        let mut core = self.hub.lock();
        if core.daemon_is_frozen(self.node) {
            let to = core.now.saturating_add(TIMEOUT);
            core.advance(to);
            core.wait_while_busy(self.node);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let report = core.with_daemon(self.node, |daemon, host| {
            Some((daemon.tracking(host)?, daemon.rates()))
        });
        drop(core);
        let Some((report, rates)) = report.flatten() else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        drop(self.hub.read(self.node, WAY.0, WAY.1));
        let sequence = request.get(8..12).and_then(|bytes| bytes.try_into().ok());
        let mut datagram = reply(u32::from_be_bytes(sequence.unwrap_or_default()), &report);
        for (place, byte) in datagram.iter_mut().skip(RATES).zip(rates) {
            *place = byte;
        }
        for (place, byte) in answer.iter_mut().zip(datagram) {
            *place = byte;
        }
        Ok(datagram.len().min(answer.len()))
    }
}
