//! What clients saw, and two judges of it: a counter of ours, and a checker that others wrote.

use std::time::Duration;

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

/// One request of one client, in time since the run began.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub client: usize,
    pub node: u64,
    pub key: u8,
    pub call: Duration,
    /// Never, if it was not answered.
    pub answer: Option<Duration>,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Write(u64),
    Read(u64),
    /// A read that was refused, or not answered in time.
    Refused,
}

/// The ns that reads took in the server, and what of it the state took.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    pub took: Vec<u64>,
    pub state: Vec<u64>,
}

/// Reads that began after a write was acknowledged and returned what was acknowledged before that
/// write had begun. Never too many: values of writes without an answer are left to the other judge.
pub fn stale(history: &[Seen]) -> Vec<Seen> {
    let writes: Vec<(u8, u64, Duration, Duration)> = history
        .iter()
        .filter_map(|seen| match (seen.what, seen.answer) {
            (What::Write(value), Some(answer)) => Some((seen.key, value, seen.call, answer)),
            _ => None,
        })
        .collect();
    let is_stale = |seen: &&Seen| {
        let What::Read(value) = seen.what else {
            return false;
        };
        let own = writes
            .iter()
            .find(|(key, written, ..)| (*key, *written) == (seen.key, value));
        // 0 is what was there before any write.
        let known = match (value, own) {
            (0, _) => Duration::ZERO,
            (_, Some((_, _, _, answer))) => *answer,
            (_, None) => return false,
        };
        writes.iter().any(|(key, _, call, answer)| {
            *key == seen.key && *answer < seen.call && (value == 0 || *call > known)
        })
    };
    history.iter().filter(is_stale).copied().collect()
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Read(u64),
    Write(u64),
}

struct Register;

impl Specification for Register {
    type State = u64;
    type Operation = Operation;

    fn init() -> u64 {
        0
    }

    fn apply(operation: &Operation, state: &u64) -> (bool, u64) {
        match operation {
            Operation::Read(value) => (value == state, *state),
            Operation::Write(value) => (true, *value),
        }
    }
}

/// Whether the history of each register is linearizable, says `todc-utils`.
pub fn linearizable(history: &[Seen]) -> bool {
    let mut keys: Vec<u8> = history.iter().map(|seen| seen.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().all(|key| {
        let end = Duration::from_secs(3_600);
        let mut events = Vec::new();
        let mut open = 100;
        for seen in history.iter().filter(|seen| seen.key == key) {
            let operation = match seen.what {
                What::Write(value) => Operation::Write(value),
                What::Read(value) => Operation::Read(value),
                What::Refused => continue,
            };
            // A write that was never answered ends after all else, in a process of its own.
            let client = match seen.answer {
                Some(_) => seen.client,
                None => {
                    open += 1;
                    open
                }
            };
            events.push((seen.call, client, Action::Call(operation)));
            events.push((
                seen.answer.unwrap_or(end),
                client,
                Action::Response(operation),
            ));
        }
        events.sort_by_key(|(at, client, _)| (*at, *client));
        if events.is_empty() {
            return true;
        }
        let actions = events
            .into_iter()
            .map(|(_, client, action)| (client, action))
            .collect();
        WGLChecker::<Register>::is_linearizable(History::from_actions(actions))
    })
}

pub fn quantile(values: &mut [u64], percent: usize) -> u64 {
    values.sort_unstable();
    values
        .get(values.len() * percent / 100)
        .copied()
        .unwrap_or(0)
}
