//! What is said of each server before it is asked, and of all of them together.

use core::convert::Infallible;
use core::time::Duration;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use thiserror::Error;

use super::timescale::{self, Timescale};

/// NTP's port.
const PORT: u16 = 123;

/// How often another operator's server is asked at most, and the default: ntpd's and chrony's
/// `minpoll 6`. The pool's terms ask for no more.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(64);

/// And where the server is one's own.
const SHORTEST_OWN_INTERVAL: Duration = Duration::from_secs(1);

/// ntpd's and chrony's `maxpoll 10`.
pub(super) const LONGEST_INTERVAL: Duration = Duration::from_secs(1_024);

/// How much more a server may be off, per second since it was last corrected, than it says: root
/// dispersion is a forecast from that moment on. As much as is charged of a local chronyd.
const DEFAULT_WANDER_PPB: u32 = 15_000;

/// The most that may be charged: 10 %, as of `max_drift_ppb`.
const WANDER_LIMIT_PPB: u32 = 100_000_000;

/// One server: where it is, and what is to be believed of it.
///
/// ```
/// use epsilon_clock::source::NtpServer;
/// use std::time::Duration;
///
/// let server = NtpServer::at("192.0.2.1:123".parse()?)
///     .own() // ours to ask as often as we like
///     .interval(Duration::from_secs(2));
/// # drop(server);
/// let server: NtpServer = "ntp1.example.net".try_into()?;
/// # drop(server);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a server that is given to no `NtpSource` is not asked"]
pub struct NtpServer {
    pub(super) host: Host,
    pub(super) own: bool,
    pub(super) accept_local: bool,
    pub(super) interval: Option<Duration>,
    pub(super) wander_ppb: u32,
    pub(super) dispersion_factor: u32,
    pub(super) operator: Option<String>,
    pub(super) timescale: Timescale,
    #[cfg(feature = "nts")]
    pub(super) nts: Option<super::nts::Settings>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    At(SocketAddr),
    Named { name: String, port: u16 },
}

/// Why a server, or a set of them, cannot be used as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NtpSettingsError {
    /// The text names no host.
    #[error(
        "{given:?} is no host: give a name or an address, and a port after a colon if it is not 123"
    )]
    Host {
        /// What was given.
        given: String,
    },
    /// No server was named.
    #[error(
        "no NTP server was named: add one with `server`; there is no default, and never will be"
    )]
    NoServer,
    /// More servers than a source remembers.
    #[error("{given} NTP servers were named; a source asks at most {limit}")]
    TooManyServers {
        /// How many were named.
        given: usize,
        /// How many it can ask.
        limit: usize,
    },
    /// If so many may be false, nothing follows from the rest.
    #[error(
        "max_faulty is {max_faulty}, but with {votes} votes it must be less than half of them: name \
         more servers, or allow for fewer false ones"
    )]
    TooManyFaulty {
        /// How many may be false.
        max_faulty: usize,
        /// How many servers have a vote, each operator counting once.
        votes: usize,
    },
    /// The servers are about different axes.
    #[error(
        "some of the NTP servers smear leap seconds and some step, or they smear differently: they \
         are up to a second apart around one; name servers of one kind, or say `smeared()` of one \
         that does smear, or `allow_mixed_timescales()`"
    )]
    MixedTimescales,
    /// Another operator's server is charged too little.
    #[error("wander_ppb below {least} is for servers of one's own: say `own()`, or charge it")]
    WanderNotCharged {
        /// The least that may be charged.
        least: u32,
    },
    /// A text that was to hold root certificates does not.
    #[error("no certificate can be read from what was given to `nts_roots`: it takes PEM")]
    #[cfg(feature = "nts")]
    NoCertificate,
    /// The machine cannot tell a suspend from a step.
    #[error(
        "this machine's clocks do not tell a suspend from a step of the clock, and may be slewed unseen, so \
         an NTP reply cannot be carried on: run on Linux, name another source, or vouch that the machine never \
         sleeps with `NtpSource::assume_never_suspended`"
    )]
    NoSuspendClock,
}

impl From<Infallible> for NtpSettingsError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl NtpServer {
    /// Names a server by its address; loopback and link-local ones are taken for one's own.
    pub fn at(address: SocketAddr) -> Self {
        let host = Host::At(address);
        let timescale = timescale::of_host(&address.ip().to_string());
        Self::new(host, is_own(address.ip()), timescale)
    }

    fn named(name: &str, port: u16) -> Self {
        let host = Host::Named {
            name: name.to_owned(),
            port,
        };
        Self::new(host, false, timescale::of_host(name))
    }

    const fn new(host: Host, own: bool, timescale: Timescale) -> Self {
        Self {
            host,
            own,
            accept_local: false,
            interval: None,
            wander_ppb: DEFAULT_WANDER_PPB,
            dispersion_factor: 1,
            operator: None,
            timescale,
            #[cfg(feature = "nts")]
            nts: None,
        }
    }

    /// Lets the server be asked up to once a second, because it is one's own.
    ///
    /// Another operator's server is asked once in 64 s at most, after the first four times.
    pub const fn own(mut self) -> Self {
        self.own = true;
        self
    }

    /// Believes a server that serves its own clock: that clock is then what UTC is taken for.
    pub const fn accept_local(mut self) -> Self {
        self.accept_local = true;
        self
    }

    /// Sets how often the server is asked at most, clamped to 64 s (one's own: 1 s) ..= 1024 s.
    ///
    /// By default 64 s. The source asks less often by itself where nothing would be gained.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Charges so much for each second since the server was last corrected, in ppb; by default
    /// 15 000.
    ///
    /// Its root dispersion is a forecast from that moment on, and a server whose oscillator warms up
    /// leaves it. Less than the default is only for servers of one's [`own`](Self::own).
    pub const fn wander_ppb(mut self, ppb: u32) -> Self {
        self.wander_ppb = if ppb > WANDER_LIMIT_PPB {
            WANDER_LIMIT_PPB
        } else {
            ppb
        };
        self
    }

    /// Multiplies the dispersion that the server reports; clamped to 1 ..= 1000.
    ///
    /// For servers that run ntpd-rs, which report one standard deviation: 6.
    pub const fn dispersion_factor(mut self, factor: u32) -> Self {
        self.dispersion_factor = if factor < 1 {
            1
        } else if factor > 1_000 {
            1_000
        } else {
            factor
        };
        self
    }

    /// Says who runs the server: all servers of one operator have one vote.
    pub fn operator(mut self, operator: impl Into<String>) -> Self {
        self.operator = Some(operator.into());
        self
    }

    /// Says that the server smears leap seconds over the 24 hours from noon to noon.
    ///
    /// Known of Google's and Amazon's.
    pub const fn smeared(mut self) -> Self {
        self.timescale = Timescale::SmearsNoonToNoon;
        self
    }

    /// Asks the server in NTS alone (RFC 8915): it has to prove that it has this name.
    ///
    /// Keys are exchanged over TCP, at port 4460 unless [`nts_port`](Self::nts_port) says another, and its
    /// certificate must lead to a root that this machine trusts. A server that cannot prove its name, or a
    /// reply that is not sealed by it, is refused ([`NtsRefusal`](super::NtsRefusal)): there is no way back
    /// to plain NTP. The port of the server itself is the one that is agreed on with the keys.
    ///
    /// ```
    /// use epsilon_clock::source::NtpServer;
    ///
    /// let server = NtpServer::try_from("nts1.example.net")?.nts();
    /// # drop(server);
    /// # Ok::<(), epsilon_clock::source::ntp::NtpSettingsError>(())
    /// ```
    #[cfg(feature = "nts")]
    pub fn nts(mut self) -> Self {
        self.nts_settings();
        self
    }

    /// Asks in NTS, with keys from this TCP port.
    #[cfg(feature = "nts")]
    pub fn nts_port(mut self, port: u16) -> Self {
        self.nts_settings().port = port;
        self
    }

    /// Asks in NTS, and trusts these root certificates alone, in PEM.
    #[cfg(feature = "nts")]
    pub fn nts_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.nts_settings().roots = super::nts::Roots::Pem(pem.into());
        self
    }

    /// Asks in NTS, and takes a certificate of any date; its name and its signature count all the same.
    ///
    /// For a machine whose clock no daemon sets, so that every certificate seems to be of the future: until
    /// this clock has an interval, certificates are dated by the machine's clock, or by 2025-01-01 if that
    /// is later. What is given up: a stolen certificate goes on being believed after its end.
    #[cfg(feature = "nts")]
    pub fn accept_certificate_dates(mut self) -> Self {
        self.nts_settings().accepts_dates = true;
        self
    }

    #[cfg(feature = "nts")]
    fn nts_settings(&mut self) -> &mut super::nts::Settings {
        self.nts.get_or_insert_default()
    }

    pub(super) fn shortest_interval(&self) -> Duration {
        let least = if self.own {
            SHORTEST_OWN_INTERVAL
        } else {
            SHORTEST_INTERVAL
        };
        self.interval
            .unwrap_or(SHORTEST_INTERVAL)
            .clamp(least, LONGEST_INTERVAL)
    }

    /// Returns the server's name as it was given, without the port.
    pub(super) fn name(&self) -> String {
        match &self.host {
            Host::At(address) => address.ip().to_string(),
            Host::Named { name, .. } => name.clone(),
        }
    }

    pub(super) fn check(&self) -> Result<(), NtpSettingsError> {
        if self.wander_ppb < DEFAULT_WANDER_PPB && !self.own {
            return Err(NtpSettingsError::WanderNotCharged {
                least: DEFAULT_WANDER_PPB,
            });
        }
        #[cfg(feature = "nts")]
        if self.nts.as_ref().is_some_and(|nts| !nts.has_roots()) {
            return Err(NtpSettingsError::NoCertificate);
        }
        Ok(())
    }
}

impl TryFrom<&str> for NtpServer {
    type Error = NtpSettingsError;

    /// Reads `host`, `host:port`, an address, `address:port` or `[address]:port`.
    fn try_from(text: &str) -> Result<Self, Self::Error> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Ok(Self::at(SocketAddr::new(address, PORT)));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::at(address));
        }
        let no_host = || NtpSettingsError::Host {
            given: text.to_owned(),
        };
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().map_err(|_| no_host())?),
            None => (text, PORT),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(no_host());
        }
        Ok(Self::named(name, port))
    }
}

impl From<SocketAddr> for NtpServer {
    fn from(address: SocketAddr) -> Self {
        Self::at(address)
    }
}

/// Amazon's server in its IPv6 networks, as near as the link-local one.
const AWS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x123);

/// Returns true for addresses that no packet leaves the host or its link for.
fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6 == AWS_V6,
    }
}

/// How the votes of the servers are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Votes {
    /// The vote of each server, in the order in which they were named; servers of one operator have
    /// one.
    pub(super) of: Vec<usize>,
    pub(super) count: usize,
}

impl Votes {
    pub(super) fn of(servers: &[NtpServer]) -> Self {
        let mut of: Vec<usize> = Vec::with_capacity(servers.len());
        let mut count = 0;
        for (index, server) in servers.iter().enumerate() {
            let operated_alike =
                |other: &NtpServer| server.operator.is_some() && other.operator == server.operator;
            let earlier = servers.iter().take(index).position(operated_alike);
            match earlier.and_then(|earlier| of.get(earlier).copied()) {
                Some(vote) => of.push(vote),
                None => {
                    of.push(count);
                    count += 1;
                }
            }
        }
        Self { of, count }
    }

    /// Returns how many may be false if nothing was said: the largest number below half.
    pub(super) const fn default_faulty(&self) -> usize {
        self.count.saturating_sub(1) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_every_spelling() {
        let at = |text: &str| NtpServer::try_from(text).unwrap();
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:123"),
            ("192.0.2.1:1123", "192.0.2.1:1123"),
            ("2001:db8::1", "[2001:db8::1]:123"),
            ("[2001:db8::1]", "[2001:db8::1]:123"),
            ("[2001:db8::1]:1123", "[2001:db8::1]:1123"),
        ] {
            assert_eq!(at(text), NtpServer::at(address.parse().unwrap()), "{text}");
        }
        let named = |name: &str, port| NtpServer::named(name, port);
        assert_eq!(at("ntp1.example.net"), named("ntp1.example.net", 123));
        assert_eq!(at("ntp1.example.net:1123"), named("ntp1.example.net", 1123));
        for text in ["", ":123", "a b", "ntp:port", "ntp:70000", "http://ntp/"] {
            assert!(NtpServer::try_from(text).is_err(), "{text}");
        }
    }

    #[test]
    fn servers_within_reach_are_ones_own() {
        for (address, own) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("169.254.169.123", true),
            ("fe80::1", true),
            ("fd00:ec2::123", true),
            ("192.0.2.1", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(NtpServer::try_from(address).unwrap().own, own, "{address}");
        }
    }

    #[test]
    fn servers_of_one_operator_have_one_vote() {
        let server = |text: &str| NtpServer::try_from(text).unwrap();
        let votes = Votes::of(&[
            server("a.example"),
            server("b.example").operator("x"),
            server("c.example"),
            server("d.example").operator("x"),
        ]);
        assert_eq!((votes.of.as_slice(), votes.count), (&[0, 1, 2, 1][..], 3));
        assert_eq!(votes.default_faulty(), 1);
    }

    #[test]
    fn the_interval_is_kept_decent() {
        let server = NtpServer::try_from("ntp1.example.net").unwrap();
        let second = Duration::from_secs(1);
        let polite = server.clone().interval(second).shortest_interval();
        assert_eq!(polite, SHORTEST_INTERVAL);
        assert_eq!(server.own().interval(second).shortest_interval(), second);
    }
}
