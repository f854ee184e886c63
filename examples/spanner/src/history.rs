//! What clients saw, in the driver's time; and the way Jepsen writes it down.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::types::{How, Key, Nanos, Seen, TxnId, Value};

/// Never: an operation without an answer.
pub const NEVER: u64 = u64::MAX;

/// One operation of one client, in ns since the run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Op {
    pub client: usize,
    pub call: u64,
    pub ret: u64,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// A transaction that was acknowledged.
    Commit {
        id: TxnId,
        at: Nanos,
        read: Vec<Seen>,
        writes: Vec<(Key, Value)>,
    },
    /// One of which nothing was ever heard.
    Open {
        id: TxnId,
        writes: Vec<(Key, Value)>,
    },
    Read {
        how: How,
        at: Nanos,
        seen: Vec<Seen>,
        /// Whether it was read while no operation was open: the next window begins with it.
        cut: bool,
    },
}

impl Op {
    pub fn is_cut(&self) -> bool {
        matches!(self.what, What::Read { cut: true, .. })
    }

    /// Whether it has to see whatever was acknowledged before it was called.
    pub fn is_strong(&self) -> bool {
        match &self.what {
            What::Read { how, .. } => !matches!(how, How::Snapshot(_)),
            _ => true,
        }
    }
}

/// The history as Elle reads it: one line for each call and each answer, of writes and reads of registers.
pub fn edn(history: &[Op]) -> String {
    let mut lines: Vec<(u64, String)> = Vec::new();
    for op in history.iter().filter(|op| op.is_strong()) {
        let (reads, writes): (Vec<Seen>, Vec<(Key, Value)>) = match &op.what {
            What::Commit { read, writes, .. } => (read.clone(), writes.clone()),
            What::Open { writes, .. } => (Vec::new(), writes.clone()),
            What::Read { seen, .. } => (seen.clone(), Vec::new()),
        };
        let value = |known: bool| {
            let mut text = String::new();
            for Seen { key, value, .. } in &reads {
                let value = match value {
                    0 => "nil".to_owned(),
                    value if known => value.to_string(),
                    _ => "nil".to_owned(),
                };
                let _ = write!(text, "[:r {key} {value}] ");
            }
            for (key, value) in &writes {
                let _ = write!(text, "[:w {key} {value}] ");
            }
            text
        };
        let line = |kind: &str, known: bool, time: u64| {
            format!(
                "{{:type :{kind}, :f :txn, :value [{}], :process {}, :time {time}}}",
                value(known).trim_end(),
                op.client
            )
        };
        lines.push((op.call, line("invoke", false, op.call)));
        match op.ret {
            NEVER => lines.push((NEVER, line("info", false, op.call))),
            ret => lines.push((ret, line("ok", true, ret))),
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut text = String::new();
    for (_, line) in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_is_called_and_answered_once() {
        let seen = vec![Seen {
            key: 3,
            value: 0,
            version: 0,
        }];
        let commit = Op {
            client: 1,
            call: 10,
            ret: 30,
            what: What::Commit {
                id: 7,
                at: 1,
                read: seen,
                writes: vec![(4, 5)],
            },
        };
        let open = Op {
            client: 2,
            call: 20,
            ret: NEVER,
            what: What::Open {
                id: 8,
                writes: vec![(4, 6)],
            },
        };
        let expected = "\
{:type :invoke, :f :txn, :value [[:r 3 nil] [:w 4 5]], :process 1, :time 10}
{:type :invoke, :f :txn, :value [[:w 4 6]], :process 2, :time 20}
{:type :ok, :f :txn, :value [[:r 3 nil] [:w 4 5]], :process 1, :time 30}
{:type :info, :f :txn, :value [[:w 4 6]], :process 2, :time 20}
";
        assert_eq!(edn(&[commit, open]), expected);
    }
}
