//! chronyd itself as a source of claims.
//!
//! The kernel's figure is coarse: it grows by 500 µs in each second. chronyd's own report says how
//! far off the clock is *now*, by what chronyd knows of the oscillator, and that is a hundred times
//! less a few seconds after a poll. It is had by a datagram to chronyd's command port.
//!
//! Only [`refresh`](Source::refresh) waits for that datagram; it puts the answer with the
//! clocks that were read around it into a [`Mailbox`]. A look finds it there, or finds none.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use super::{Look, LookContext, Source, SourceMemory};
use crate::machine::Machine;

mod answer;
mod exchange;
mod judgement;
mod mailbox;
mod memory;
mod refusal;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod reply;
pub(crate) mod report;

pub use exchange::ChronyTransport;
use exchange::Udp;
use mailbox::Mailbox;
pub use refusal::ChronyRefusal;

/// Where chronyd listens for commands by default (`cmdport 323`).
const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), ChronySource::PORT);

/// As often as the kernel lets its own figure grow; a report costs chronyd and us 20 µs.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// How long a chronyd that is started after the program may go unnoticed.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// A chronyd that runs answers within a millisecond.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);

/// After so many intervals without an answer chronyd is silent.
const SILENT_AFTER: u32 = 4;

/// chronyd's own tracking report as a [`Source`], over UDP on the loopback interface.
///
/// # Claims
///
/// Real time read just before asking, give or take what chronyd says (what it has yet to correct,
/// the root dispersion and half of the root delay), `daemon_margin`, and what real time may have
/// moved while the datagrams were under way. And by as much as real time, with what is left to
/// correct, departed since the last update from the course that chronyd set it (the rate, and at the
/// update the offset, that it reports): what others do to the clock is charged to the bound.
///
/// (Asked more often than chronyd updates, that is: of two updates between two reports only the last one
/// is told, and what the others may have done is charged in full.)
///
/// After a step, a suspend, a leap second or any other disturbance a report counts only if chronyd has taken over a
/// server's time since: it ignores jumps of less than ten seconds and goes on reporting a tiny error.
///
/// # What is not believed
///
/// See [`ChronyRefusal`]: an unsynchronised chronyd, one that follows its own clock (`local`), one
/// whose servers have been silent for eight update intervals, and answers that are none.
///
/// chronyd also reports how well it knows the oscillator's rate (its skew), in which a claim might be
/// carried on. That is an estimate from past samples, not a bound on what the oscillator does next,
/// so claims are carried at `max_drift`, or at the rate that the clock itself learned, like all others.
///
/// # Who asks
///
/// A thread of the clock, once a second; a look never waits. Under
/// [`RefreshPolicy::Manual`](crate::clock::RefreshPolicy::Manual), and in a forked child, it is
/// [`Clock::refresh`](crate::Clock::refresh). Without a question or an answer for four intervals
/// the source refuses, and another one serves. Until the first answer of all the thread asks ever less
/// often, at last once a minute, as most machines without a chronyd stay without.
///
/// ```no_run
/// use epsilon_clock::Clock;
/// use epsilon_clock::source::{ChronySource, KernelSource};
/// use std::time::Duration;
///
/// // What a clock with no source named has, spelt out.
/// let clock = Clock::builder()
///     .source(KernelSource::new())
///     .source(ChronySource::new().interval(Duration::from_secs(1)))
///     .build()?;
/// println!("{:?}", clock.status().source);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ChronySource {
    transport: Arc<dyn ChronyTransport>,
    interval: Duration,
    timeout: Duration,
    manual: bool,
    asks_kernel: bool,
    mailbox: Arc<Mailbox>,
}

impl ChronySource {
    /// chronyd's command port (`cmdport`).
    pub const PORT: u16 = 323;

    /// Creates a source of this machine's chronyd, at 127.0.0.1:323: it is asked once a second, and
    /// waited for a tenth of one at most.
    #[must_use]
    pub fn new() -> Self {
        Self {
            transport: Arc::new(Udp::new(DEFAULT_ADDRESS)),
            interval: DEFAULT_INTERVAL,
            timeout: DEFAULT_TIMEOUT,
            manual: false,
            asks_kernel: false,
            mailbox: Arc::default(),
        }
    }

    /// Asks by another way than datagrams; a later [`address`](Self::address) takes its place.
    ///
    /// The whole time that an exchange takes is charged to the bound, so the answer has to be made
    /// after the request was sent, and may not be kept.
    #[must_use]
    pub fn transport(self, transport: impl ChronyTransport + 'static) -> Self {
        Self {
            transport: Arc::new(transport),
            mailbox: Arc::default(),
            ..self
        }
    }

    /// Asks at another address: chronyd's `cmdport` and `bindcmdaddress`.
    ///
    /// chronyd answers any process of its own machine; elsewhere `cmdallow` has to let it. The answer's
    /// whole way is charged to the bound.
    #[must_use]
    pub fn address(self, address: SocketAddr) -> Self {
        self.transport(Udp::new(address))
    }

    /// Asks so often; from a millisecond to an hour, and what lies outside is brought in.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        let interval = interval.clamp(Duration::from_millis(1), Duration::from_secs(3_600));
        Self { interval, ..self }
    }

    /// Waits so long for an answer; from a millisecond to 10 s, and what lies outside is brought in.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        let timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(10));
        Self {
            timeout,
            mailbox: Arc::default(),
            ..self
        }
    }

    /// Lets the source ask the kernel for its NTP status.
    ///
    /// Beside a [`KernelSource`](crate::source::KernelSource) it does so anyway. Then the deviation that
    /// chronyd writes there is charged, a kernel that calls itself unsynchronised is heard, and a first
    /// report may be inherited (A4). By default no clock makes that system call unless it has a source
    /// that must: some filters kill a process for it.
    #[must_use]
    pub fn with_kernel_status(self) -> Self {
        Self {
            asks_kernel: true,
            ..self
        }
    }

    /// Leaves the asking to [`Clock::refresh`](crate::Clock::refresh), whatever the clock's policy.
    #[must_use]
    pub fn manual(self) -> Self {
        Self {
            manual: true,
            ..self
        }
    }
}

impl Default for ChronySource {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ChronySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChronySource")
            .field("transport", &self.transport)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl Source for ChronySource {
    fn name(&self) -> &'static str {
        "chrony"
    }

    fn follows_daemon(&self) -> bool {
        true
    }

    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look {
        let silence = self.interval.saturating_mul(SILENT_AFTER) + self.timeout;
        judgement::look(context, memory, &self.mailbox, silence)
    }

    fn refresh_interval(&self) -> Option<Duration> {
        (!self.manual).then(|| self.mailbox.next_in(self.interval, LONGEST_INTERVAL))
    }

    fn refresh(&self, machine: &dyn Machine) {
        self.mailbox
            .refresh(self.transport.as_ref(), self.timeout, machine);
    }

    fn asks_kernel(&self) -> bool {
        self.asks_kernel
    }

    /// A report announces a leap second, and is silent about one that is over.
    fn tells_of_leaps(&self) -> bool {
        false
    }
}
