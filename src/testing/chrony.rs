//! chronyd's answers, for those who play one.

use core::time::Duration;

use crate::source::chrony::reply::{reply, sequence_asked};
use crate::source::chrony::report::{Figure, Leap, REPLY_LEN, Report};
use crate::time::{LeapKind, TimeDelta, Timestamp};

/// What a chronyd that a test plays reports of itself.
///
/// [`reply`](Self::reply) makes the datagram in which chronyd 2.0 and later says so; a
/// [`ChronyTransport`](crate::source::ChronyTransport) hands it to a
/// [`ChronySource`](crate::source::ChronySource).
///
/// ```
/// use epsilon_clock::source::{ChronySource, ChronyTransport};
/// use epsilon_clock::testing::{ChronyReport, ScriptedMachine};
/// use std::io;
/// use std::time::Duration;
///
/// /// A chronyd whose answers never come.
/// #[derive(Debug)]
/// struct Mute;
///
/// impl ChronyTransport for Mute {
///     fn exchange(&self, _: &[u8], _: &mut [u8], _: Duration) -> io::Result<usize> {
///         Err(io::ErrorKind::TimedOut.into())
///     }
/// }
///
/// /// One that is right to within a tenth of a millisecond.
/// #[derive(Debug)]
/// struct Synchronized(ScriptedMachine);
///
/// impl ChronyTransport for Synchronized {
///     fn exchange(&self, request: &[u8], answer: &mut [u8], _: Duration) -> io::Result<usize> {
///         let report = ChronyReport {
///             reference_id: 0x0a00_0001,
///             stratum: 2,
///             synchronized: true,
///             reference_time: self.0.real_time(),
///             root_dispersion: Duration::from_micros(100),
///             update_interval: Duration::from_secs(16),
///             ..ChronyReport::default()
///         };
///         let datagram = report.reply(request).ok_or(io::ErrorKind::InvalidInput)?;
///         answer[..datagram.len()].copy_from_slice(&datagram);
///         Ok(datagram.len())
///     }
/// }
///
/// let machine = ScriptedMachine::default();
/// let clock = |transport: ChronySource| machine.builder().source(transport.by_hand()).build();
/// assert!(clock(ChronySource::new().transport(Mute))?.refresh().is_err());
/// // So that its first report may be inherited from before this clock.
/// machine.write_maxerror(1_003);
/// let honest = ChronySource::new().transport(Synchronized(machine.clone())).with_kernel_status();
/// assert!(clock(honest)?.refresh()?.epsilon() < Duration::from_millis(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChronyReport {
    /// The server followed: its address, or the name of a reference clock, in 32 bits.
    pub reference_id: u32,
    /// How many servers lie between it and a reference clock; from 1 to 15, or 0 for none.
    pub stratum: u16,
    /// Whether chronyd follows anything; `false` by default.
    pub synchronized: bool,
    /// The leap second announced for the end of the day.
    pub leap: Option<LeapKind>,
    /// When a server's time was last taken over, on the clock as chronyd corrects it.
    pub reference_time: Timestamp,
    /// What is left to correct: real time plus this is chronyd's idea of UTC.
    pub correction: TimeDelta,
    /// How far chronyd's idea of UTC was ahead of its servers at the last update.
    pub last_offset: TimeDelta,
    /// How fast the uncorrected clock runs against UTC, in ppb.
    pub frequency_ppb: i64,
    /// By how much the latest samples would have the frequency be another, in ppb.
    pub residual_ppb: i64,
    /// How well chronyd knows the frequency, in ppb.
    pub skew_ppb: u64,
    /// The whole way to the reference clock and back.
    pub root_delay: Duration,
    /// What chronyd adds for jitter and drift, up to the reference clock.
    pub root_dispersion: Duration,
    /// The time between the last two updates.
    pub update_interval: Duration,
}

impl ChronyReport {
    /// Returns chronyd's answer to this request; `None` if it asks for no tracking report.
    ///
    /// Figures are rounded to the 24 bits of the protocol's floats, as chronyd rounds them, and a
    /// span beyond 584 years is told as that.
    #[must_use]
    pub fn reply(&self, request: &[u8]) -> Option<[u8; REPLY_LEN]> {
        let leap = match self.leap {
            _ if !self.synchronized => Leap::Unsynchronized,
            Some(kind) => Leap::Due(kind),
            None => Leap::None,
        };
        let report = Report {
            reference_id: self.reference_id,
            stratum: self.stratum,
            leap,
            reference_time: self.reference_time,
            correction: figure(self.correction),
            last_offset: figure(self.last_offset),
            frequency_ppb: self.frequency_ppb,
            residual_ppb: self.residual_ppb,
            skew_ppb: self.skew_ppb,
            root_delay_ns: nanos(self.root_delay),
            root_dispersion_ns: nanos(self.root_dispersion),
            update_interval_ns: nanos(self.update_interval),
        };
        Some(reply(sequence_asked(request)?, &report))
    }
}

/// A chronyd that follows nothing: every figure is 0.
impl Default for ChronyReport {
    fn default() -> Self {
        Self {
            reference_id: 0,
            stratum: 0,
            synchronized: false,
            leap: None,
            reference_time: Timestamp::UNIX_EPOCH,
            correction: TimeDelta::ZERO,
            last_offset: TimeDelta::ZERO,
            frequency_ppb: 0,
            residual_ppb: 0,
            skew_ppb: 0,
            root_delay: Duration::ZERO,
            root_dispersion: Duration::ZERO,
            update_interval: Duration::ZERO,
        }
    }
}

fn figure(span: TimeDelta) -> Figure {
    Figure {
        negative: span.nanos() < 0,
        magnitude: span.nanos().unsigned_abs(),
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
