//! NTP servers that the command asks itself: how they are named, and what is told of each.

use std::time::{Duration, Instant};

use epsilon_clock::Clock;
use epsilon_clock::source::ntp::{NtpServerState, NtpServerStatus};
use epsilon_clock::source::{NtpServer, NtpSource};

use crate::json::Json;
use crate::units::{age, nanos, rounded};

/// The first request to a server goes out within two seconds, so that a fleet that starts at once does
/// not knock at once; a server of which two are lost in a row is as good as silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is refused for longer than this will not be put right while a person waits.
const STILL_REFUSED: Duration = Duration::from_secs(5);

/// The servers that `--ntp` names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Servers {
    named: Vec<NtpServer>,
    accept_local: bool,
}

impl Servers {
    pub(crate) fn add(&mut self, server: NtpServer) {
        self.named.push(server);
    }

    pub(crate) const fn accept_local(&mut self) {
        self.accept_local = true;
    }

    pub(crate) fn are_named(&self) -> bool {
        !self.named.is_empty()
    }

    /// Returns a source that asks them; `None` if none was named.
    pub(crate) fn source(&self) -> Result<Option<NtpSource>, String> {
        if self.named.is_empty() {
            return if self.accept_local {
                Err(
                    "--accept-local is about the servers that --ntp names; there is none"
                        .to_owned(),
                )
            } else {
                Ok(None)
            };
        }
        let mut source = NtpSource::new();
        for server in self.named.clone() {
            let server = if self.accept_local {
                server.accept_local()
            } else {
                server
            };
            source = source.server(server).map_err(|error| error.to_string())?;
        }
        Ok(Some(source))
    }
}

/// Parses a name or an address, with a port or without.
pub(crate) fn host(text: &str) -> Result<NtpServer, String> {
    NtpServer::try_from(text).map_err(|_| "give a host, or host:port".to_owned())
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
