//! The judge that is ours: the timestamps as a witness of an order, replayed and held against real time.

use std::collections::BTreeMap;

use crate::history::{NEVER, Op, What};
use crate::types::{Key, Nanos, Seen, Value};

type Versions = BTreeMap<Key, BTreeMap<Nanos, Value>>;

/// Returns what contradicts the order of the timestamps; nothing, if the history is strictly serializable.
pub fn judge(history: &[Op]) -> Vec<String> {
    let mut wrong = Vec::new();
    let versions = versions(history, &mut wrong);
    for op in history {
        match &op.what {
            What::Commit { at, read, id, .. } => {
                for seen in read {
                    // What it read is as of just before it.
                    check(
                        &versions,
                        *seen,
                        *at - 1,
                        &format!("transaction {id}"),
                        &mut wrong,
                    );
                }
            }
            What::Read { at, seen, how, .. } => {
                for seen in seen {
                    check(&versions, *seen, *at, &format!("{how:?}"), &mut wrong);
                }
            }
            What::Open { .. } => {}
        }
    }
    real_time(history, &mut wrong);
    wrong
}

/// Each key's versions, as the transactions that were acknowledged wrote them, or were seen to have.
fn versions(history: &[Op], wrong: &mut Vec<String>) -> Versions {
    let mut seen_at: BTreeMap<(Key, Value), Nanos> = BTreeMap::new();
    for op in history {
        let (What::Commit { read: seen, .. } | What::Read { seen, .. }) = &op.what else {
            continue;
        };
        for seen in seen {
            seen_at.insert((seen.key, seen.value), seen.version);
        }
    }
    let mut versions = Versions::new();
    for op in history {
        let (at, writes) = match &op.what {
            What::Commit { at, writes, .. } => (*at, writes),
            What::Open { writes, .. } => {
                // One that no operation saw may as well not have happened.
                match writes.iter().find_map(|write| seen_at.get(write)) {
                    Some(at) => (*at, writes),
                    None => continue,
                }
            }
            What::Read { .. } => continue,
        };
        for (key, value) in writes {
            let before = versions.entry(*key).or_default().insert(at, *value);
            if before.is_some() {
                wrong.push(format!("key {key} was written twice at {at}"));
            }
        }
    }
    versions
}

fn check(versions: &Versions, seen: Seen, at: Nanos, who: &str, wrong: &mut Vec<String>) {
    let newest = versions
        .get(&seen.key)
        .and_then(|versions| versions.range(..=at).next_back());
    let (version, value) = newest.map_or((0, 0), |(at, value)| (*at, *value));
    if (version, value) != (seen.version, seen.value) {
        wrong.push(format!(
            "{who} at {at} saw {} of {} for key {}, where {value} of {version} is",
            seen.value, seen.version, seen.key
        ));
    }
}

/// What was called after an answer has to come after it in the order, too.
fn real_time(history: &[Op], wrong: &mut Vec<String>) {
    // At one instant calls come first: those two are concurrent.
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (index, op) in history.iter().enumerate() {
        events.push((op.call, false, index));
        if op.ret != NEVER {
            events.push((op.ret, true, index));
        }
    }
    events.sort_unstable();
    let mut floor = 0;
    for (_, answered, index) in events {
        let op = &history[index];
        match (&op.what, answered) {
            (What::Commit { at, id, .. }, false) if *at <= floor => wrong.push(format!(
                "transaction {id} has {at}, and was called after {floor} was answered"
            )),
            (What::Read { at, how, .. }, false) if op.is_strong() && *at < floor => {
                wrong.push(format!(
                    "{how:?} at {at}, and was called after {floor} was answered"
                ));
            }
            (What::Commit { at, .. }, true) => floor = floor.max(*at),
            (What::Read { seen, .. }, true) => {
                // Of the instant that it was read at, only what it saw is surely past.
                floor = seen.iter().map(|seen| seen.version).fold(floor, i64::max);
            }
            _ => {}
        }
    }
}
