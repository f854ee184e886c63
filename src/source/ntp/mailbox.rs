//! Where the thread that asks leaves what it heard, and where looks leave what they wish.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use super::exchange::{Transport, ask};
use super::server::{Heard, Moment, Outcome, Round, Server, Target};
use super::settings::NtpServer;
use super::status::NtpServerStatus;
use crate::machine::Machine;
#[cfg(feature = "nts")]
use crate::time::{Claim, Timestamp};
use crate::time::{DEFAULT_MAX_DRIFT_PPB, RateBounds};

/// How often the thread that asks tries to get at the mailbox, a tenth of a millisecond apart. Not
/// for ever: in a forked child it may be held by a thread that is not there.
const PATIENCE: u32 = 50;

/// What was heard of all servers; replaced whole, never changed.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) servers: Vec<Heard>,
    /// How many exchanges were begun.
    pub(super) serial: u64,
}

/// What looks tell the thread that asks, and what they tell of the servers.
#[derive(Debug)]
struct Wishes {
    /// The rate at which the last look carried exchanges.
    rate: RateBounds,
    /// The serial number of the exchanges that were in doubt, until it is acted on.
    in_doubt: Option<u64>,
    /// The one that was acted on last.
    asked_again: Option<u64>,
    report: Vec<NtpServerStatus>,
    /// The claim in force at the last look.
    #[cfg(feature = "nts")]
    in_force: Option<Claim>,
}

/// What a look found.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) report: Vec<NtpServerStatus>,
    /// The rate at which exchanges are carried.
    pub(super) rate: RateBounds,
    /// The serial number of exchanges that are in doubt.
    pub(super) in_doubt: Option<u64>,
    #[cfg(feature = "nts")]
    pub(super) in_force: Option<Claim>,
}

/// The mailbox; a look never waits for it.
#[derive(Debug)]
pub(super) struct Mailbox {
    contents: Mutex<Arc<Contents>>,
    wishes: Mutex<Wishes>,
    asking: Mutex<Asking>,
}

/// The state of the thread that asks.
#[derive(Debug, Default)]
struct Asking {
    servers: Vec<Server>,
    serial: u64,
    round: u64,
}

/// What every round goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) margin_ns: u64,
    pub(super) max_distance_ns: u64,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            contents: Mutex::default(),
            wishes: Mutex::new(Wishes {
                rate: RateBounds::symmetric(DEFAULT_MAX_DRIFT_PPB),
                in_doubt: None,
                asked_again: None,
                report: Vec::new(),
                #[cfg(feature = "nts")]
                in_force: None,
            }),
            asking: Mutex::default(),
        }
    }
}

fn try_lock<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    // What the lock guards is whole at any time, and nothing panics with it.
    match lock.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn lock_patiently<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    for _ in 0..PATIENCE {
        if let Some(guard) = try_lock(lock) {
            return Some(guard);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    None
}

impl Mailbox {
    /// Returns what is in it; `None` if something is just being put in.
    pub(super) fn open(&self) -> Option<Arc<Contents>> {
        try_lock(&self.contents).map(|contents| Arc::clone(&contents))
    }

    /// Notes what a look found; left out if another look is just doing so.
    pub(super) fn note_look(&self, looked: Looked) {
        let Some(mut wishes) = try_lock(&self.wishes) else {
            return;
        };
        wishes.rate = looked.rate;
        wishes.report = looked.report;
        #[cfg(feature = "nts")]
        {
            wishes.in_force = looked.in_force;
        }
        // Once for each state of affairs: what asking again did not settle is asked on schedule.
        if looked.in_doubt.is_some() && looked.in_doubt != wishes.asked_again {
            wishes.in_doubt = looked.in_doubt;
        }
    }

    /// Returns what the last look knew of each server.
    pub(super) fn report(&self) -> Vec<NtpServerStatus> {
        lock_patiently(&self.wishes).map_or_else(Vec::new, |wishes| wishes.report.clone())
    }

    /// Asks the servers whose turn it is, all at once, and puts in what they say.
    pub(super) fn refresh(
        &self,
        servers: &[NtpServer],
        limits: Limits,
        transport: &Arc<dyn Transport>,
        machine: &dyn Machine,
    ) {
        // Another thread is asking.
        let Some(mut asking) = try_lock(&self.asking) else {
            return;
        };
        let asking = &mut *asking;
        let raw = machine.sample().raw;
        if asking.servers.is_empty() {
            let Ok(randoms) = randoms(transport.as_ref(), servers.len()) else {
                return;
            };
            let new =
                |(settings, random): (&NtpServer, u64)| Server::new(settings.clone(), raw, random);
            asking.servers = servers.iter().zip(randoms).map(new).collect();
        }
        let mut rate = RateBounds::symmetric(DEFAULT_MAX_DRIFT_PPB);
        #[cfg(feature = "nts")]
        let mut in_force = None;
        if let Some(mut wishes) = lock_patiently(&self.wishes) {
            rate = wishes.rate;
            #[cfg(feature = "nts")]
            {
                in_force = wishes.in_force;
            }
            if let Some(in_doubt) = wishes.in_doubt.take() {
                wishes.asked_again = Some(in_doubt);
                for server in &mut asking.servers {
                    server.hurry(raw);
                }
            }
        }
        let moment = Moment {
            raw,
            #[cfg(feature = "nts")]
            utc: utc_for_certificates(machine, raw, in_force),
        };
        let due: Vec<_> = asking
            .servers
            .iter_mut()
            .enumerate()
            .filter_map(|(index, server)| Some((index, server.due(&moment, transport)?)))
            .collect();
        // Keys that are not to be had are news as well.
        let said = try_lock(&self.contents).map(|contents| Arc::clone(&contents));
        let is_as_said = said.is_some_and(|said| {
            let mut pairs = asking.servers.iter().zip(&said.servers);
            pairs.all(|(server, said)| server.refusal() == said.refusal)
        });
        if due.is_empty() && asking.round > 0 && is_as_said {
            return;
        }
        asking.round += 1;
        let outcomes = ask_all(machine, transport.as_ref(), &due);
        let round = Round {
            number: asking.round,
            raw: machine.sample().raw,
            margin_ns: limits.margin_ns,
            max_distance_ns: limits.max_distance_ns,
            rate,
        };
        for ((index, Target { address, .. }), outcome) in due.into_iter().zip(outcomes) {
            asking.serial += 1;
            let random = transport.random_bits().unwrap_or(u64::MAX / 2);
            if let Some(server) = asking.servers.get_mut(index) {
                server.note(address, outcome, asking.serial, &round, random, transport);
            }
        }
        let contents = Arc::new(Contents {
            servers: asking.servers.iter().map(Server::heard).collect(),
            serial: asking.serial,
        });
        if let Some(mut place) = lock_patiently(&self.contents) {
            *place = contents;
        }
    }
}

/// Returns the instant by which certificates are dated: the middle of the interval in force; where there is
/// none the machine's own clock, or this release's earliest date if that is later.
///
/// A machine that believes to be in 1970 would otherwise find every certificate to be of the future, and
/// never get the time that would tell it better.
#[cfg(feature = "nts")]
fn utc_for_certificates(machine: &dyn Machine, raw: i64, in_force: Option<Claim>) -> Timestamp {
    let interval = in_force.and_then(|claim| claim.carry(raw).ok());
    interval.map_or_else(
        || Timestamp::from_unix_nanos(machine.sandwich().real).max(super::stamp::earliest_date()),
        |interval| interval.midpoint(),
    )
}

fn randoms(transport: &dyn Transport, count: usize) -> std::io::Result<Vec<u64>> {
    (0..count).map(|_| transport.random_bits()).collect()
}

fn ask_all(
    machine: &dyn Machine,
    transport: &dyn Transport,
    due: &[(usize, Target)],
) -> Vec<Outcome> {
    // At once only where several threads can wait on the transport.
    if !transport.is_concurrent() || due.len() < 2 {
        let one = |(_, to): &(usize, Target)| ask(machine, transport, to.address, &to.seal);
        return due.iter().map(one).collect();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = due
            .iter()
            .map(|(_, to)| {
                let thread = std::thread::Builder::new().name("epsilon-ntp".into());
                thread.spawn_scoped(scope, move || ask(machine, transport, to.address, &to.seal))
            })
            .collect();
        // One that could not be started asked no server.
        let lost = || Err(super::exchange::Loss::Disturbed);
        threads
            .into_iter()
            .map(|thread| thread.ok().and_then(|t| t.join().ok()).unwrap_or_else(lost))
            .collect()
    })
}

#[cfg(all(test, feature = "nts"))]
mod tests {
    use super::super::world::{MORNING, World};
    use super::*;
    use crate::time::Interval;

    #[test]
    fn f5_certificates_are_dated_by_the_interval_else_by_what_is_later() {
        // Real time of this machine is of November 2026.
        let world = World::new(0);
        let machine = Timestamp::from_unix_nanos(MORNING);
        let dated = utc_for_certificates(&world, 0, None);
        assert!(dated >= machine && dated.abs_diff(machine) < Duration::from_secs(1));
        let year = Duration::from_secs(365 * 86_400);
        let interval = Interval::around(machine.saturating_add(year), Duration::from_secs(1));
        let claim = Claim::new(0, interval.unwrap(), RateBounds::symmetric(0));
        let later = utc_for_certificates(&world, 1_000, Some(claim));
        assert_eq!(later.abs_diff(machine), year + Duration::from_micros(1));
        let in_1970 = crate::testing::ScriptedMachine::new(Timestamp::UNIX_EPOCH);
        let release = super::super::stamp::earliest_date();
        assert_eq!(utc_for_certificates(&in_1970, 0, None), release);
    }
}
