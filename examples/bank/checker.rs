//! Whether what happened can be explained by the timestamps alone.
//!
//! The checker knows what the clients saw, in true time, and what the nodes have on disk in the end.
//! It reads no node's clock and believes no node's word on the order of things. Its rules:
//!
//! - **Real time.** What was done before something else was sent has the lesser timestamp: a transfer
//!   is above everything that was acknowledged or shown to anybody before it was sent, and an audit
//!   shows all of that.
//! - **Causality.** The same for the deeds of one client, which goes from node to node.
//! - **Total.** Money is neither made nor lost at any snapshot.
//! - **Snapshot.** An audit at `t` shows every balance as all commits up to `t` make it, those too
//!   that came to disk after the audit was over: there must be none.
//! - **Lost.** Every acknowledged transfer is on disk, as it was acknowledged.
//! - **Reissued.** No two commits of a node have the same timestamp.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use epsilon_clock::Timestamp;

use super::history::{ALL_ACCOUNTS, Commit, Deed, Event, OPENING};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    RealTime,
    Causality,
    Total,
    Snapshot,
    Lost,
    Reissued,
}

impl Rule {
    pub(crate) const ALL: [Self; 6] = [
        Self::RealTime,
        Self::Causality,
        Self::Total,
        Self::Snapshot,
        Self::Lost,
        Self::Reissued,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RealTime => "real time",
            Self::Causality => "causality",
            Self::Total => "total",
            Self::Snapshot => "snapshot",
            Self::Lost => "lost",
            Self::Reissued => "reissued",
        })
    }
}

/// What contradicts the rules, in words.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) told: String,
}

/// All that is wrong with what the clients did, given what each node has on disk.
pub(crate) fn check(events: &[Event], logs: &[Vec<Commit>]) -> Vec<Violation> {
    let mut commits: Vec<Commit> = logs.concat();
    commits.sort_by_key(|commit| commit.timestamp);
    let mut found = Violations(Vec::new());
    found.look_at_order(events, &commits);
    found.look_at_snapshots(events, &commits);
    found.look_for_lost(events, logs);
    found.look_for_reissued(logs);
    found.0
}

struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, rule: Rule, told: String) {
        self.0.push(Violation { rule, told });
    }

    fn look_at_order(&mut self, events: &[Event], commits: &[Commit]) {
        let all: Vec<Seen<'_>> = events
            .iter()
            .map(|event| Seen::new(event, commits))
            .collect();
        let mut by_client: BTreeMap<u32, Vec<Seen<'_>>> = BTreeMap::new();
        for seen in &all {
            by_client.entry(seen.event.client).or_default().push(*seen);
        }
        let clients = by_client.into_values().map(|own| (Rule::Causality, own));
        for (rule, deeds) in [(Rule::RealTime, all)].into_iter().chain(clients) {
            for (before, after) in out_of_order(&deeds) {
                let (first, second) = (before.event, after.event);
                let later = second.sent - first.done;
                let back = before.shows.abs_diff(after.timestamp());
                let told = format!("{first}; {later:?} after the answer, {second}: {back:?} back");
                self.add(rule, told);
            }
        }
    }

    /// Goes through all commits in the order of their timestamps, and stops at each snapshot.
    fn look_at_snapshots(&mut self, events: &[Event], commits: &[Commit]) {
        let mut audits: Vec<(Timestamp, &[i64], &Event)> = Vec::new();
        for event in events {
            if let Deed::Audited { at, balances } = &event.deed {
                audits.push((*at, balances, event));
            }
        }
        audits.sort_by_key(|(at, ..)| *at);
        let accounts = (0..ALL_ACCOUNTS).map(|account| (account, OPENING));
        let mut expected: BTreeMap<i64, i64> = accounts.collect();
        let mut commits = commits.iter().peekable();
        for (at, balances, event) in audits {
            while let Some(commit) = commits.next_if(|commit| commit.timestamp <= at) {
                for (account, change) in commit.transfer.changes() {
                    *expected.entry(account).or_default() += change;
                }
            }
            let (sum, right) = (balances.iter().sum::<i64>(), OPENING * ALL_ACCOUNTS);
            if sum != right {
                self.add(
                    Rule::Total,
                    format!("{event}: {sum} in all instead of {right}"),
                );
            }
            if !balances.iter().eq(expected.values()) {
                let pairs = balances.iter().zip(expected.values());
                let wrong = pairs.filter(|(found, right)| found != right).count();
                self.add(Rule::Snapshot, format!("{event}: {wrong} wrong balances"));
            }
        }
    }

    fn look_for_lost(&mut self, events: &[Event], logs: &[Vec<Commit>]) {
        let ids = |log: &[Commit]| {
            log.iter()
                .map(|commit| (commit.transfer.id, *commit))
                .collect()
        };
        let logs: Vec<HashMap<i64, Commit>> = logs.iter().map(|log| ids(log)).collect();
        for event in events {
            if let Deed::Transferred { node, commit } = &event.deed {
                match logs[*node].get(&commit.transfer.id) {
                    Some(found) if found == commit => {}
                    found => self.add(Rule::Lost, format!("{event}, which has {found:?} on disk")),
                }
            }
        }
    }

    fn look_for_reissued(&mut self, logs: &[Vec<Commit>]) {
        for (node, log) in logs.iter().enumerate() {
            let mut timestamps = HashSet::new();
            for Commit { timestamp, .. } in log {
                if !timestamps.insert(timestamp) {
                    self.add(Rule::Reissued, format!("{timestamp}, twice by node {node}"));
                }
            }
        }
    }
}

/// An event with the largest timestamp of a commit that the client learned of by it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    event: &'a Event,
    shows: Timestamp,
}

impl<'a> Seen<'a> {
    fn new(event: &'a Event, commits: &[Commit]) -> Self {
        let shows = match &event.deed {
            Deed::Transferred { commit, .. } => commit.timestamp,
            Deed::Audited { at, .. } => {
                let visible = commits.partition_point(|commit| commit.timestamp <= *at);
                let newest = commits[..visible].last();
                newest.map_or(Timestamp::MIN, |commit| commit.timestamp)
            }
        };
        Self { event, shows }
    }

    /// The timestamp that it was done at.
    fn timestamp(&self) -> Timestamp {
        match self.event.deed {
            Deed::Transferred { commit, .. } => commit.timestamp,
            Deed::Audited { at, .. } => at,
        }
    }

    /// Whether its timestamp explains that it came after something that showed `known`.
    fn is_after(&self, known: Timestamp) -> bool {
        match self.event.deed {
            Deed::Transferred { .. } => self.timestamp() > known,
            Deed::Audited { .. } => self.timestamp() >= known,
        }
    }
}

/// Each event that contradicts one that was done before it was sent, behind the worst of those.
fn out_of_order<'a>(events: &[Seen<'a>]) -> Vec<(Seen<'a>, Seen<'a>)> {
    let mut sent = events.to_vec();
    sent.sort_by_key(|seen| seen.event.sent);
    let mut done = events.to_vec();
    done.sort_by_key(|seen| seen.event.done);
    let mut done = done.into_iter().peekable();
    // Of those done so far, the one that shows the largest timestamp.
    let mut known: Option<Seen<'_>> = None;
    let mut wrong = Vec::new();
    for seen in sent {
        while let Some(before) = done.next_if(|before| before.event.done < seen.event.sent) {
            known = known
                .filter(|known| known.shows > before.shows)
                .or(Some(before));
        }
        wrong.extend(
            known
                .filter(|known| !seen.is_after(known.shows))
                .map(|known| (known, seen)),
        );
    }
    wrong
}
