//! The judge that is not ours: `todc-utils`' linearizability checker, with the whole database as one object.
//!
//! It knows nothing of timestamps. That an object whose operations are whole transactions is linearizable is
//! what strict serializability means. It judges window by window: the workload pauses until nothing is open, the
//! state is read, and the next window begins with it.

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

use crate::history::{Op, What};
use crate::types::{KEYS, Key, Value};

/// The most transactions that a window may have: the checker's time grows faster than they do.
pub const WINDOW: usize = 4_000;

type State = [Value; KEYS as usize];

#[derive(Clone, Debug)]
enum Operation {
    /// The state that the window begins with.
    Begin(State),
    Transact(Vec<(Key, Value)>, Vec<(Key, Value)>),
}

struct Database;

impl Specification for Database {
    type State = State;
    type Operation = Operation;

    fn init() -> State {
        [0; KEYS as usize]
    }

    fn apply(operation: &Operation, state: &State) -> (bool, State) {
        match operation {
            Operation::Begin(state) => (true, *state),
            Operation::Transact(reads, writes) => {
                let right = |(key, value): &(Key, Value)| state[usize::from(*key)] == *value;
                let valid = reads.iter().all(right);
                let mut next = *state;
                if valid {
                    for (key, value) in writes {
                        next[usize::from(*key)] = *value;
                    }
                }
                (valid, next)
            }
        }
    }
}

fn operation(op: &Op) -> Operation {
    let values =
        |seen: &[crate::types::Seen]| seen.iter().map(|seen| (seen.key, seen.value)).collect();
    match &op.what {
        What::Commit { read, writes, .. } => Operation::Transact(values(read), writes.clone()),
        // What it read is not known. At the end of all it is as if it had not happened.
        What::Open { writes, .. } => Operation::Transact(Vec::new(), writes.clone()),
        What::Read { seen, .. } => Operation::Transact(values(seen), Vec::new()),
    }
}

/// The windows of a history: what was called since one cut and until the next, that one included.
pub fn windows(history: &[Op]) -> Vec<(State, Vec<&Op>)> {
    let mut ops: Vec<&Op> = history.iter().filter(|op| op.is_strong()).collect();
    ops.sort_by_key(|op| op.call);
    let mut windows = vec![(Database::init(), Vec::new())];
    for op in ops {
        if let Some((_, window)) = windows.last_mut() {
            window.push(op);
        }
        if let (true, What::Read { seen, .. }) = (op.is_cut(), &op.what) {
            let mut state = Database::init();
            for seen in seen {
                state[usize::from(seen.key)] = seen.value;
            }
            windows.push((state, Vec::new()));
        }
    }
    windows
}

fn linearizable(start: State, ops: &[&Op]) -> bool {
    if ops.is_empty() {
        return true;
    }
    let begin = Operation::Begin(start);
    let mut events = vec![
        (0, 0, 0, Action::Call(begin.clone())),
        (0, 1, 0, Action::Response(begin)),
    ];
    for (index, op) in ops.iter().enumerate() {
        let operation = operation(op);
        // Each in a process of its own: one that is open does not hold up its client's next.
        let process = index + 1;
        events.push((op.call + 1, 2, process, Action::Call(operation.clone())));
        let ret = op.ret.saturating_add(1);
        events.push((ret, 3, process, Action::Response(operation)));
    }
    events.sort_by_key(|(at, order, process, _)| (*at, *order, *process));
    let actions = events
        .into_iter()
        .map(|(_, _, process, action)| (process, action))
        .collect();
    WGLChecker::<Database>::is_linearizable(History::from_actions(actions))
}

/// Returns how many windows are rejected, and how many were too large to be judged.
pub fn judge(history: &[Op]) -> (usize, usize) {
    let (mut rejected, mut unjudged) = (0, 0);
    for (start, window) in windows(history) {
        if window.len() > WINDOW {
            unjudged += 1;
        } else if !linearizable(start, &window) {
            rejected += 1;
        }
    }
    (rejected, unjudged)
}
