//! What NTP servers say of the time, beside this machine's clock.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use epsilon_clock::fleet::{Contradiction, Direction};
use epsilon_clock::source::NtpSource;
use epsilon_clock::source::ntp::NtpServerStatus;
use epsilon_clock::{BuildError, Clock, ClockError, Interval, Timestamp};

use crate::ntp;
use crate::units::rounded;

/// Servers that are being asked, by a clock that asks none other.
pub(super) struct Asked {
    clock: Clock,
    source: NtpSource,
}

/// What they said, and how this machine's clock stands to it.
pub struct Compared {
    servers: Vec<NtpServerStatus>,
    /// Where they say that UTC is, or why they do not.
    interval: Result<Interval, ClockError>,
    /// How the interval of this machine's sources misses theirs; `None` if it does not, or there is none.
    sources_miss: Option<Contradiction>,
    /// How real time misses their interval, at least.
    real_misses: Option<Contradiction>,
}

impl Asked {
    pub(super) fn start(source: NtpSource) -> Result<Self, BuildError> {
        let clock = Clock::builder().source(source.clone()).build()?;
        Ok(Self { clock, source })
    }

    /// Waits for the servers, and holds the machine's clock against them.
    pub(super) fn compare(&self, clock: &Clock) -> Compared {
        ntp::wait_for(&self.clock, &self.source);
        let before = self.clock.now();
        let (sources, real) = (clock.now(), SystemTime::now());
        let after = self.clock.now();
        // All that they say while the machine's clock was being read: what misses it by that misses
        // it by more than the time between the readings.
        let interval = before.and_then(|before| after.map(|after| before.hull(&after)));
        let misses =
            |suspect: Option<Interval>| Contradiction::between(&suspect?, interval.as_ref().ok()?);
        Compared {
            servers: self.source.servers(),
            sources_miss: misses(sources.ok()),
            real_misses: misses(Timestamp::try_from(real).ok().map(Interval::point)),
            interval,
        }
    }
}

impl Compared {
    /// Returns the page's lines.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = ntp::in_words(&self.servers)
            .into_iter()
            .map(|(name, words)| format!("{name}: {words}."))
            .collect();
        lines.push(match self.interval {
            Ok(interval) => format!(
                "Together they put UTC within ±{}. {}",
                rounded(interval.epsilon()),
                self.verdict()
            ),
            Err(why) => format!("Together they give no interval: {why}."),
        });
        lines.extend(self.common_faults());
        lines
    }

    fn verdict(&self) -> String {
        let told = |found: Contradiction| {
            let side = match found.direction {
                Direction::Ahead => "ahead of",
                Direction::Behind => "behind",
            };
            format!("{side} that by {} or more", rounded(found.by))
        };
        match (self.sources_miss, self.real_misses) {
            (Some(found), _) => format!(
                "What this machine's own sources say excludes it: they are {}.",
                told(found)
            ),
            (None, Some(found)) => format!("This machine's real time is {}.", told(found)),
            (None, None) => "This machine's real time lies in that.".to_owned(),
        }
    }

    /// Returns what could make several of them false at once.
    fn common_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut by_reference: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for server in &self.servers {
            // A stratum 1's is the name of its kind of clock.
            if let (Some(reference), Some(2..)) = (server.reference_id, server.stratum) {
                by_reference
                    .entry(reference)
                    .or_default()
                    .push(&server.name);
            }
        }
        for names in by_reference.values().filter(|names| names.len() > 1) {
            faults.push(format!(
                "{} have their time from one and the same server, so they are wrong together: name \
                 servers that do not.",
                names.join(" and ")
            ));
        }
        let is_name = |server: &NtpServerStatus| server.name.parse::<IpAddr>().is_err();
        if self.servers.len() > 1 && self.servers.iter().all(is_name) {
            faults.push(
                "All of them are looked up by name, so the resolver's owner answers for \
                 all: name some by their addresses."
                    .to_owned(),
            );
        }
        faults
    }
}
