//! NTP servers as a source of claims: an honest interval where no daemon vouches for one.
//!
//! Each exchange with a server is a proof: when its reply has come in, UTC lies between what the
//! server said less what it may be off, and that plus the round trip. Several servers are combined by
//! [`agreement`](crate::fleet::agreement), and those that are false are named.

use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use super::{Look, LookContext, Source, SourceMemory};
use crate::machine::Machine;

mod bucket;
mod cookie;
mod exchange;
mod judgement;
mod leap;
mod mailbox;
mod memory;
mod names;
mod packet;
mod proof;
mod refusal;
mod schedule;
mod scrutiny;
mod server;
mod settings;
mod stamp;
mod status;
mod timescale;
mod udp;
#[cfg(test)]
mod world;

pub use bucket::Budget;
pub use exchange::{Channel, Transport};
use judgement::Rules;
use mailbox::{Limits, Mailbox};
use memory::MAX_SERVERS;
pub use packet::Reply;
pub use refusal::NtpRefusal;
use settings::Votes;
pub use settings::{NtpServer, NtpSettingsError};
pub use stamp::Stamp;
pub use status::{NtpServerState, NtpServerStatus};

/// What a server's own figure may fall short by: as much as `daemon_margin` allows a local daemon.
const DEFAULT_MARGIN: Duration = Duration::from_micros(200);

/// How far a server may be off, by what it says. RFC 5905 allows 16 s, which sorts out nothing;
/// ntpd 1.5 s (`tos maxdist`).
const DEFAULT_MAX_ROOT_DISTANCE: Duration = Duration::from_millis(1_500);

/// How often it is seen whose turn it is; each server has an interval of its own.
const TICK: Duration = Duration::from_secs(1);

/// NTP servers as a [`Source`]: asks them itself, from raw time, without root, and sets no clock.
///
/// For hosts where nobody reports an honest bound: systemd-timesyncd, containers, ntpd-rs. Where
/// chronyd runs its own report is ten times narrower: [`ChronySource`](super::ChronySource).
///
/// There are no default servers: name your own, your provider's, or some of the pool's as its terms
/// allow. With one or two each has to be true; with three, one may be false, and is named.
///
/// ```no_run
/// use epsilon_clock::Clock;
/// use epsilon_clock::source::{NtpServer, NtpSource};
/// use std::time::Duration;
///
/// let clock = Clock::builder()
///     .source(
///         NtpSource::new()
///             .server("ntp1.example.net")?
///             .server("ntp2.example.net:123")?
///             .server(NtpServer::at("192.0.2.1:123".parse()?).own())?
///             .max_faulty(1),
///     )
///     .build()?;
/// clock.wait_until_synchronized(Duration::from_secs(10))?;
/// println!("UTC lies in {}", clock.now()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is assumed
///
/// - **N1, server distance.** Each server that is counted as true was, when it sent its reply, no
///   further from UTC than it says (root delay, root dispersion, precision), plus
///   [`margin`](Self::margin) and [`wander_ppb`](NtpServer::wander_ppb) since its last correction,
///   and did not send the reply before that, to its precision. This speaks of whoever answered: a
///   middlebox that answers for a server is the server.
/// - **N2, rate.** A1 over the round trip, and while an exchange is carried on.
/// - **N3, few liars.** At any instant at most [`max_faulty`](Self::max_faulty) of the named servers
///   have a false exchange in memory (the last eight, up to 2000 s old). A forged or redirected reply
///   is a false one: nobody on the path, nor the resolver, forges more than that many.
/// - **N4, raw time counts.** A3 between request and reply, and after.
/// - **N5, one timescale.** A5, for all servers and all clocks that are compared; an announced leap
///   second takes place.
/// - **N6, chance.** The operating system's random bits are not guessed.
///
/// Delay, loss, asymmetry, queues, duplicated or reordered packets, steps and slews of a server that
/// says so in its root distance, and the silence of any set of servers need no assumption: they widen
/// the interval or end it, and never make it false.
///
/// # What is not believed
///
/// See [`NtpRefusal`].
///
/// # How often servers are asked
///
/// Four times at first, two seconds apart, then once an interval: 64 s, doubled up to 1024 s while a
/// claim grows by no more than its own half width. A server is never sent more than four requests and
/// one more each 64 s, by all clocks of a process together; one's [own](NtpServer::own) each second.
#[derive(Clone)]
pub struct NtpSource {
    servers: Vec<NtpServer>,
    max_faulty: Option<usize>,
    margin: Duration,
    max_root_distance: Duration,
    mixed_timescales: bool,
    veto: Veto,
    is_manual: bool,
    transport: Arc<dyn Transport>,
    mailbox: Arc<Mailbox>,
}

/// Whether the source may stand against others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Veto {
    /// Where more servers would have to lie than is allowed for.
    IfOutvotable,
    Always,
    Never,
}

impl NtpSource {
    /// Makes a source without servers, which is refused when a clock is built with it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            servers: Vec::new(),
            max_faulty: None,
            margin: DEFAULT_MARGIN,
            max_root_distance: DEFAULT_MAX_ROOT_DISTANCE,
            mixed_timescales: false,
            veto: Veto::IfOutvotable,
            is_manual: false,
            transport: Arc::new(udp::Udp),
            mailbox: Arc::default(),
        }
    }

    /// Adds a server, up to eight: a name or an address as text, or an [`NtpServer`].
    ///
    /// A name is one server with one vote, however many addresses it has; it is resolved by a thread
    /// of its own, and one address is kept while it answers.
    ///
    /// # Errors
    ///
    /// [`NtpSettingsError`] if the text names no host, or the settings of the server exclude each
    /// other.
    pub fn server<S>(mut self, server: S) -> Result<Self, NtpSettingsError>
    where
        S: TryInto<NtpServer>,
        NtpSettingsError: From<S::Error>,
    {
        let server = server.try_into()?;
        server.check()?;
        self.servers.push(server);
        self.mailbox = Arc::default();
        Ok(self)
    }

    /// Sets how many of the named servers may be false at once (N3).
    ///
    /// By default the largest number below half of them: 0 of one or two, 1 of three or four. Half or
    /// more is refused when a clock is built. A larger number only widens intervals.
    #[must_use]
    pub const fn max_faulty(mut self, max_faulty: usize) -> Self {
        self.max_faulty = Some(max_faulty);
        self
    }

    /// Lets the source stand against others even where one server's lie can make it false.
    ///
    /// For those who trust one server of their own more than the host's daemon.
    #[must_use]
    pub const fn guard(mut self) -> Self {
        self.veto = Veto::Always;
        self
    }

    /// Keeps the source from standing against others: it serves where they do not, no more.
    ///
    /// For hosts whose chronyd authenticates its servers while these here are asked in plain NTP,
    /// which an attacker at the gateway can forge all at once.
    #[must_use]
    pub const fn never_vetoes(mut self) -> Self {
        self.veto = Veto::Never;
        self
    }

    /// Sets what a server's own figure may fall short by, up to a second; by default 200 µs.
    #[must_use]
    pub const fn margin(mut self, margin: Duration) -> Self {
        let second = Duration::from_secs(1);
        self.margin = if margin.as_nanos() > second.as_nanos() {
            second
        } else {
            margin
        };
        self
    }

    /// Sets how far a server may be off, all margins included, to be believed; by default 1.5 s.
    #[must_use]
    pub const fn max_root_distance(mut self, distance: Duration) -> Self {
        self.max_root_distance = distance;
        self
    }

    /// Accepts servers of which some are known to smear leap seconds and some to step.
    ///
    /// They are up to a second apart around one, and the fewer are then taken for false.
    #[must_use]
    pub const fn allow_mixed_timescales(mut self) -> Self {
        self.mixed_timescales = true;
        self
    }

    /// Leaves asking to [`Clock::refresh`](crate::Clock::refresh), whatever the clock's policy.
    #[must_use]
    pub const fn manual(mut self) -> Self {
        self.is_manual = true;
        self
    }

    /// Asks by other means than UDP: a simulated world that plays servers.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = transport;
        self.mailbox = Arc::default();
        self
    }

    /// Returns the standing of each server as of the last look, in the order in which they were
    /// named; empty before the first one.
    #[must_use]
    pub fn servers(&self) -> Vec<NtpServerStatus> {
        self.mailbox.report()
    }

    /// Returns true if the source may stand against others: if more than one server would have to
    /// lie to make it false, or where [`guard`](Self::guard) says so.
    #[must_use]
    pub fn can_veto(&self) -> bool {
        match self.veto {
            Veto::IfOutvotable => self.rules().max_faulty >= 1,
            Veto::Always => true,
            Veto::Never => false,
        }
    }

    fn rules(&self) -> Rules {
        let votes = Votes::of(&self.servers);
        Rules {
            max_faulty: self.max_faulty.unwrap_or(votes.default_faulty()),
            votes,
            margin_ns: nanos(self.margin),
        }
    }

    fn check_settings(&self) -> Result<(), NtpSettingsError> {
        let given = self.servers.len();
        if given == 0 {
            return Err(NtpSettingsError::NoServer);
        }
        if given > MAX_SERVERS {
            return Err(NtpSettingsError::TooManyServers {
                given,
                limit: MAX_SERVERS,
            });
        }
        let rules = self.rules();
        let votes = rules.votes.count;
        if rules.max_faulty >= votes.div_ceil(2) {
            return Err(NtpSettingsError::TooManyFaulty {
                max_faulty: rules.max_faulty,
                votes,
            });
        }
        let mut timescales = self.servers.iter().map(|server| server.timescale);
        let first = timescales.next();
        if !self.mixed_timescales && timescales.any(|other| Some(other) != first) {
            return Err(NtpSettingsError::MixedTimescales);
        }
        Ok(())
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for NtpSource {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for NtpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NtpSource")
            .field("servers", &self.servers)
            .field("max_faulty", &self.max_faulty)
            .field("veto", &self.veto)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl Source for NtpSource {
    fn name(&self) -> &'static str {
        "ntp"
    }

    fn check(&self, machine: &dyn Machine) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.check_settings()?;
        if !machine.tells_suspends() {
            return Err(NtpSettingsError::NoSuspendClock.into());
        }
        Ok(())
    }

    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look {
        judgement::look(context, memory, &self.mailbox, &self.rules(), &self.servers)
    }

    fn refresh_interval(&self) -> Option<Duration> {
        (!self.is_manual).then_some(TICK)
    }

    fn refresh(&self, machine: &dyn Machine) {
        if !machine.tells_suspends() {
            return;
        }
        let limits = Limits {
            margin_ns: nanos(self.margin),
            max_distance_ns: nanos(self.max_root_distance),
        };
        self.mailbox
            .refresh(&self.servers, limits, &self.transport, machine);
    }

    /// A reply announces a leap second, and is silent about one that is over.
    fn tells_of_leaps(&self) -> bool {
        false
    }
}
