//! NTP servers that the command asks itself: how they are named, and what is told of each.

use std::time::{Duration, Instant};

use epsilon_clock::Clock;
use epsilon_clock::source::ntp::{NtpServerState, NtpServerStatus};
use epsilon_clock::source::{NtpServer, NtpSource};

use crate::args::{set_once, value};
use crate::command::Flag;
use crate::json::Json;
use crate::units::{age, nanos, rounded};

/// The first request to a server goes out within two seconds, so that a fleet that starts at once does
/// not knock at once; a server of which two are lost in a row is as good as silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is refused for longer than this will not be put right while a person waits.
const STILL_REFUSED: Duration = Duration::from_secs(5);

/// The port of NTS's key exchange (RFC 8915, section 7.5).
const KEYS_AT: u16 = 4460;

/// The servers that `--ntp` and `--nts` name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Servers {
    named: Vec<Named>,
    accept_local: bool,
    /// Root certificates in PEM.
    roots: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Named {
    server: NtpServer,
    /// The port that keys are to be had at; `None` if it is asked in plain NTP.
    keys_at: Option<u16>,
}

impl Servers {
    pub(crate) const FLAGS: &'static [Flag] = &[
        Flag::taking(
            "ntp",
            "HOST[:PORT]",
            "ask this NTP server, without root; given more than once, all of them, and of three or \
             more one may be wrong and is named",
        ),
        Flag::taking(
            "nts",
            "HOST[:PORT]",
            "likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys \
             [4460] (in builds with --features nts)",
        ),
        Flag::taking(
            "nts-roots",
            "FILE",
            "root certificates in PEM, which alone are trusted to sign those of --nts [the system's]",
        ),
        Flag::switch(
            "accept-local",
            "believe NTP servers that serve their own clock",
        ),
    ];

    /// Takes an option of this name, and its value; returns false if it is none of these.
    pub(crate) fn take(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<bool, String> {
        match name {
            "ntp" => self.named.push(value("--ntp", parser, host)?),
            "nts" => self.named.push(value("--nts", parser, sealed_host)?),
            "nts-roots" => {
                let roots = value("--nts-roots", parser, |path| {
                    std::fs::read(path).map_err(|error| error.to_string())
                })?;
                set_once("--nts-roots", &mut self.roots, roots)?;
            }
            "accept-local" => self.accept_local = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn are_named(&self) -> bool {
        !self.named.is_empty()
    }

    /// Returns a source that asks them; `None` if none was named.
    pub(crate) fn source(&self) -> Result<Option<NtpSource>, String> {
        if self.accept_local && self.named.is_empty() {
            let message = "--accept-local is about the servers that --ntp names; there is none";
            return Err(message.to_owned());
        }
        let is_sealed = |named: &Named| named.keys_at.is_some();
        if self.roots.is_some() && !self.named.iter().any(is_sealed) {
            let message = "--nts-roots is about the servers that --nts names; there is none";
            return Err(message.to_owned());
        }
        if self.named.is_empty() {
            return Ok(None);
        }
        let mut source = NtpSource::new();
        for Named { server, keys_at } in self.named.clone() {
            let server = if self.accept_local {
                server.accept_local()
            } else {
                server
            };
            let server = match keys_at {
                Some(port) => sealed(server, port, self.roots.as_deref())?,
                None => server,
            };
            source = source.server(server).map_err(|error| error.to_string())?;
        }
        Ok(Some(source))
    }
}

#[cfg(feature = "nts")]
#[allow(
    clippy::unnecessary_wraps,
    reason = "as that of a build without the feature"
)]
fn sealed(server: NtpServer, port: u16, roots: Option<&[u8]>) -> Result<NtpServer, String> {
    let server = server.nts_port(port);
    Ok(match roots {
        Some(pem) => server.nts_roots(pem),
        None => server,
    })
}

#[cfg(not(feature = "nts"))]
fn sealed(_: NtpServer, _: u16, _: Option<&[u8]>) -> Result<NtpServer, String> {
    let message = "this build has no NTS: cargo install epsilon-clock-cli --features nts";
    Err(message.to_owned())
}

/// Parses a name or an address, with a port or without.
fn host(text: &str) -> Result<Named, String> {
    let server = NtpServer::try_from(text);
    let server = server.map_err(|_| "give a host, or host:port".to_owned())?;
    Ok(Named {
        server,
        keys_at: None,
    })
}

/// Parses a name or an address, with the port of its keys or without.
fn sealed_host(text: &str) -> Result<Named, String> {
    // What has two colons and no bracket is an address without a port.
    let split = text.rsplit_once(':');
    let split = split.filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let (name, port) = match split {
        Some((name, port)) => (name, port.parse().map_err(|_| "the port is none")?),
        None => (text, KEYS_AT),
    };
    let keys_at = Some(port);
    host(name).map(|named| Named { keys_at, ..named })
}

/// Waits until each server was heard, or is silent, and there is an interval; for ten seconds at most.
pub(crate) fn wait_for(clock: &Clock, source: &NtpSource) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let known = clock.now().is_ok();
        let servers = source.servers();
        let all_heard = !servers.is_empty() && servers.iter().all(is_heard);
        if all_heard && (known || begun.elapsed() > STILL_REFUSED) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_heard(server: &NtpServerStatus) -> bool {
    server.state != NtpServerState::Waiting || server.losses > 1
}

/// Returns what a person is told of each server: its name, and the rest.
pub(crate) fn in_words(servers: &[NtpServerStatus]) -> Vec<(String, String)> {
    let words = |server: &NtpServerStatus| {
        let name = match server.address {
            Some(address) if address.ip().to_string() == server.name => address.to_string(),
            Some(address) => format!("{} ({address})", server.name),
            None => server.name.clone(),
        };
        let mut words = state_in_words(server, servers);
        for (what, span) in [
            ("round trip", server.round_trip),
            ("root distance", server.root_distance),
        ] {
            if let Some(span) = span {
                words.push_str(&format!("; {what} {}", rounded(span)));
            }
        }
        if let (Some(stratum), Some(ago)) = (server.stratum, server.age) {
            words.push_str(&format!("; stratum {stratum}; {} ago", age(ago)));
        }
        (name, words)
    };
    servers.iter().map(words).collect()
}

fn state_in_words(server: &NtpServerStatus, servers: &[NtpServerStatus]) -> String {
    match server.state {
        NtpServerState::Agreeing => "agrees".to_owned(),
        NtpServerState::Falseticker(found) => format!(
            "FALSE: {} by {} or more, if no more servers are than is allowed for",
            found.direction,
            rounded(found.by)
        ),
        NtpServerState::Undecided => "heard, but the servers do not agree".to_owned(),
        NtpServerState::Duplicate { of } => {
            let other = servers.get(of).map_or("another", |other| &other.name);
            format!("one vote with {other}")
        }
        NtpServerState::Refused(why) => why.to_string(),
        NtpServerState::Waiting if server.address.is_none() => {
            "its name is not resolved".to_owned()
        }
        NtpServerState::Waiting if server.losses > 0 => {
            format!("silent: {} requests without a reply", server.losses)
        }
        _ => "not heard yet".to_owned(),
    }
}

pub(crate) fn as_json(server: &NtpServerStatus) -> Json {
    let state = match server.state {
        NtpServerState::Waiting => "waiting",
        NtpServerState::Agreeing => "agreeing",
        NtpServerState::Falseticker(_) => "falseticker",
        NtpServerState::Undecided => "undecided",
        NtpServerState::Duplicate { .. } => "duplicate",
        NtpServerState::Refused(_) => "refused",
        _ => "unknown",
    };
    let off = match server.state {
        NtpServerState::Falseticker(found) => Some(found),
        _ => None,
    };
    let refusal = match server.state {
        NtpServerState::Refused(why) => Some(why.to_string()),
        _ => None,
    };
    Json::object([
        ("name", server.name.as_str().into()),
        (
            "address",
            server.address.map(|address| address.to_string()).into(),
        ),
        ("state", state.into()),
        ("off_by_ns", off.map(|found| nanos(found.by)).into()),
        (
            "direction",
            off.map(|found| found.direction.to_string()).into(),
        ),
        ("refusal", refusal.into()),
        ("round_trip_ns", server.round_trip.map(nanos).into()),
        ("root_distance_ns", server.root_distance.map(nanos).into()),
        ("stratum", server.stratum.map(i64::from).into()),
        ("reference_id", server.reference_id.map(i64::from).into()),
        ("age_ns", server.age.map(nanos).into()),
        ("interval_ns", nanos(server.interval).into()),
        ("losses", i64::from(server.losses).into()),
    ])
}
