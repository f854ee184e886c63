//! Reads one node's clock, holds each reading against the truth, and keeps the books.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::checker::{Checker, SlopeLimits, Subject, Testimony};
use crate::hub::Mark;
use crate::kernel::SECOND;
use crate::node::Node;
use crate::reader::Reader;
use crate::tally::{Tally, epsilon_ns};
use epsilon_clock::clock::{ClockError, ClockState, Status};
use epsilon_clock::hlc::{HlcTimestamp, HybridClock};
use epsilon_clock::machine::Disturbance;
use epsilon_clock::source::Refusal;
use epsilon_clock::time::{Interval, Timestamp};

/// Readings within so many ns of a fault or a write count as near it.
pub(crate) const NEAR: i64 = 20_000_000;
/// How often the thread of a clock lets its sources ask.
const REFRESH_INTERVAL: i64 = SECOND;
/// How long a clock may take to see the first write: a look's interval, and a bit.
const TIME_TO_LOOK: i64 = 300_000_000;

/// What all observers of one run share.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) checker: Checker,
    pub(crate) tally: Tally,
    /// The last stamp that some node sent to the one that stamps next.
    wire: Option<HlcTimestamp>,
    /// True instants of readings which may yet turn out to be near a happening.
    pending: VecDeque<i64>,
    happenings: u64,
}

impl Ledger {
    fn count_near(&mut self, mark: &Mark) {
        if mark.happenings != self.happenings {
            self.happenings = mark.happenings;
            let since = mark.last_happening - NEAR;
            let near = self.pending.iter().filter(|at| **at >= since).count();
            self.tally.near += u64::try_from(near).unwrap_or(0);
            self.pending.clear();
        }
        if mark.now - mark.last_happening <= NEAR {
            self.tally.near += 1;
            return;
        }
        while self.pending.front().is_some_and(|at| *at < mark.now - NEAR) {
            self.pending.pop_front();
        }
        self.pending.push_back(mark.now);
    }
}

/// How many readings lie between the steps of a commit: beginning, and asking whether it is past.
const COMMIT_EVERY: u64 = 6;

/// A reading under a claim, to measure slopes by.
#[derive(Clone, Copy)]
struct Probe {
    called: Timestamp,
    raw: [i64; 2],
    interval: Interval,
    key: Key,
    held: bool,
    counts: bool,
}

/// One clock on one node.
pub(crate) struct Observer {
    node: Node,
    reader: Box<dyn Reader>,
    hybrid: Option<HybridClock>,
    subject: Subject,
    ledger: Arc<Mutex<Ledger>>,
    context: Arc<str>,
    leap: bool,
    progress: Mutex<Progress>,
}

/// What an observer remembers from one reading to the next.
#[derive(Default)]
struct Progress {
    last: i64,
    /// Since when the clock has been in a position to see a write: since it was built, or since its
    /// first reading after the machine slept.
    since: i64,
    sleeps: u64,
    eligible_after: Option<i64>,
    probe: Option<Probe>,
    was_available: bool,
    contradicted: bool,
    /// The commit that waits to be past, and the last timestamp that was given out.
    waiting: Option<Timestamp>,
    last_commit: Option<Timestamp>,
    readings: u64,
    /// When the clock's own thread asks again.
    next_refresh: i64,
}

impl Observer {
    pub(crate) fn new(
        node: Node,
        reader: Box<dyn Reader>,
        ledger: Arc<Mutex<Ledger>>,
        context: Arc<str>,
    ) -> Self {
        let subject = lock(&ledger)
            .checker
            .subject(&format!("node {}", node.index()));
        let mark = node.mark();
        Self {
            leap: mark.leap,
            hybrid: reader.hybrid(),
            node,
            reader,
            subject,
            ledger,
            context,
            progress: Mutex::new(Progress {
                last: mark.now,
                since: mark.now,
                sleeps: mark.sleeps,
                ..Progress::default()
            }),
        }
    }

    /// Lets the clock's own thread do what it does once a second, if that is due.
    pub(crate) fn refresh(&self) {
        let now = self.node.mark().now;
        {
            let mut progress = lock(&self.progress);
            if now < progress.next_refresh {
                return;
            }
            progress.next_refresh = now.saturating_add(REFRESH_INTERVAL);
        }
        self.reader.refresh();
    }

    /// Plays another thread while a reading is interrupted.
    pub(crate) fn interrupt(&self, look: bool) {
        if look {
            self.reader.disturb();
        }
        self.observe();
    }

    /// Takes one reading and checks it; the interval if there was one and it was true.
    pub(crate) fn observe(&self) -> Option<(Subject, Interval, i64, i64)> {
        let before = self.node.mark();
        let call = lock(&self.ledger)
            .checker
            .call(self.subject, Timestamp::from_unix_nanos(before.unix));
        let outcome = self.reader.now();
        let after = self.node.mark();
        let returned = Timestamp::from_unix_nanos(after.unix);
        let mut ledger = lock(&self.ledger);
        ledger.count_near(&after);
        let ledger = &mut *ledger;
        if before.leap_to_come || after.leap_to_come {
            // Nothing can know (A5): neither true nor held against the clock.
            ledger.tally.unknowable += 1;
            return None;
        }
        let is_true = ledger
            .checker
            .returned(call, returned, &outcome, || self.testimony(&outcome));
        self.account(&mut ledger.tally, &before, &after, &outcome);
        if let (Ok(interval), true) = (&outcome, is_true) {
            self.acknowledge(&mut ledger.checker, interval);
        }
        let interval = outcome.ok().filter(|_| is_true)?;
        Some((self.subject, interval, before.unix, after.unix))
    }

    fn acknowledge(&self, checker: &mut Checker, interval: &Interval) {
        let mut progress = lock(&self.progress);
        if let Some(timestamp) = progress
            .waiting
            .filter(|timestamp| interval.after(*timestamp))
        {
            checker.acknowledged(timestamp);
            progress.waiting = None;
        }
    }

    /// Begins a commit now and then, where none waits; the readings that follow release it.
    pub(crate) fn commit(&self) {
        let last = {
            let mut progress = lock(&self.progress);
            progress.readings += 1;
            if progress.readings % COMMIT_EVERY != 0 || progress.waiting.is_some() {
                return;
            }
            progress.last_commit
        };
        if self.node.mark().leap_to_come {
            return;
        }
        let began = self.true_time();
        let commit = lock(&self.ledger).checker.commit(self.subject, began);
        let outcome = self.reader.begin_commit(last);
        let Ok(timestamp) = outcome else {
            return;
        };
        let mark = self.node.mark();
        if mark.leap_to_come {
            return;
        }
        let now = Timestamp::from_unix_nanos(mark.unix);
        lock(&self.ledger)
            .checker
            .committed(commit, timestamp, now, || {
                self.testimony(&Ok(Interval::point(timestamp))).detail
            });
        let mut progress = lock(&self.progress);
        progress.waiting = Some(timestamp);
        progress.last_commit = Some(timestamp);
    }

    /// Takes note of the last node's stamp, stamps an event of its own, and sends that on.
    pub(crate) fn stamp(&self) {
        let Some(hybrid) = &self.hybrid else {
            return;
        };
        if self.node.mark().leap_to_come {
            return;
        }
        let received = lock(&self.ledger).wire;
        let known = hybrid.last();
        if let Some(remote) = received {
            // A clock that jumped refuses, and so does one whose peers did; nothing moves then.
            if let Ok(stamp) = hybrid.observe(remote) {
                let now = self.true_time();
                let checker = &mut lock(&self.ledger).checker;
                checker.stamped(self.subject, stamp, remote, now);
                checker.stamped(self.subject, stamp, known, now);
            }
        }
        let known = hybrid.last();
        let called = self.true_time();
        let Ok(stamped) = hybrid.tick_with_interval() else {
            return;
        };
        let mark = self.node.mark();
        if mark.leap_to_come {
            return;
        }
        let now = Timestamp::from_unix_nanos(mark.unix);
        let mut ledger = lock(&self.ledger);
        let ledger = &mut *ledger;
        ledger.wire = Some(stamped.timestamp);
        ledger
            .checker
            .stamped(self.subject, stamped.timestamp, known, now);
        ledger
            .checker
            .stamped_within(self.subject, &stamped, called, now, || {
                self.testimony(&Ok(stamped.interval)).detail
            });
    }

    fn true_time(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.node.mark().unix)
    }

    fn account(
        &self,
        tally: &mut Tally,
        before: &Mark,
        after: &Mark,
        outcome: &Result<Interval, ClockError>,
    ) {
        let mut progress = lock(&self.progress);
        tally.readings += 1;
        let elapsed = (after.now - progress.last).max(0);
        progress.last = after.now;
        if after.sleeps != progress.sleeps {
            progress.sleeps = after.sleeps;
            progress.since = after.now;
            progress.eligible_after = None;
        }
        let first_write = after.written_at.filter(|at| *at >= progress.since);
        if progress.eligible_after.is_none() {
            progress.eligible_after = first_write.map(|at| at + TIME_TO_LOOK);
        }
        let eligible = progress
            .eligible_after
            .is_some_and(|at| after.now - elapsed >= at);
        let healthy = eligible && after.healthy_since + TIME_TO_LOOK <= after.now - elapsed;
        let elapsed = u128::from(elapsed.unsigned_abs());
        tally.elapsed_ns += elapsed;
        if healthy {
            tally.healthy_ns += elapsed;
        }
        match outcome {
            Ok(interval) => {
                tally.answered += 1;
                tally.measure(interval, before.unix, after.unix);
                progress.was_available = true;
                progress.contradicted = false;
            }
            Err(error) => {
                tally.refused_ns += elapsed;
                if healthy {
                    tally.refused_healthy_ns += elapsed;
                    *tally.reasons.entry(reason(error)).or_default() += elapsed;
                }
                let contradicted = matches!(error, ClockError::Contradicted { .. });
                if contradicted && !progress.contradicted {
                    tally.noticed += 1;
                }
                progress.contradicted = contradicted;
            }
        }
    }

    fn testimony(&self, outcome: &Result<Interval, ClockError>) -> Testimony {
        let mut detail = format!("  {}\n", self.context);
        // The ledger is locked: no other thread's reading may come in between.
        let status = self.node.quietly(|| self.reader.status());
        if let Some(status) = &status {
            detail.push_str(&format!(
                "  state {}, source {:?}\n",
                status.state, status.source
            ));
            if let Some(bound) = &status.bound {
                detail.push_str(&format!("  bound {bound}, age {:?}\n", status.age));
            }
            detail.push_str(&format!(
                "  {:?}\n  refusal {:?}\n",
                status.counters, status.refusal
            ));
        }
        detail.push_str(&format!(
            "  outcome {outcome:?}\n  kernel {:?}, real time ahead by {} ns\n{}",
            self.node.ntp_status(),
            self.node.real_error_ns(),
            self.node.log(),
        ));
        Testimony {
            contradictions: status.map_or(0, |status| status.counters.contradictions),
            detail,
        }
    }

    /// Takes a reading with its terms, and measures slopes (T8) and growth.
    pub(crate) fn probe(&self) {
        // The interval comes from `now`, which is what users call and what the hot path answers; the
        // two reports about it only tell under which claim it was made.
        let Some(status) = self.reader.status() else {
            return;
        };
        let before = self.node.mark();
        let raw_before = self.node.raw();
        let outcome = self.reader.now();
        let raw_after = self.node.raw();
        let maxerror = self.node.ntp_status().maxerror;
        let truth_ppb = self.node.oscillator_ppb();
        let after = self.node.mark();
        let again = self.reader.status();
        let mut ledger = lock(&self.ledger);
        ledger
            .checker
            .released(self.subject, status.counters.contradictions);
        let settled = again.filter(|again| key(again) == key(&status));
        let mut progress = lock(&self.progress);
        let earlier = progress.probe.take();
        let later = settled.and_then(|again| again.bound);
        let terms = (outcome, status.bound, later, status.rate);
        let (Ok(interval), Some(bound), Some(later), Some(rate)) = terms else {
            return;
        };
        let called = Timestamp::from_unix_nanos(before.unix);
        ledger
            .checker
            .rate(self.subject, (called, interval), rate, truth_ppb);
        let total = bound.total();
        let epsilon = interval.epsilon();
        let maxerror_ns = maxerror.max(0).unsigned_abs() * 1_000;
        if let Some(age) = status.age {
            ledger.tally.held_over(age, &interval, maxerror_ns);
        }
        if status.state == ClockState::Synchronized {
            ledger.tally.kernel_epsilon.add(maxerror_ns);
            ledger.tally.epsilon_beside.add(epsilon_ns(&interval));
            // Of the same claim, so that what is left is what grew since.
            let at_sync = total.saturating_sub(Duration::from_nanos(bound.drift_ns));
            let written = after.written_at.zip(self.node.last_maxerror_us());
            if let Some((_, written)) = written.filter(|(at, _)| *at < before.now) {
                let grown = (maxerror - written).max(0).unsigned_abs() * 1_000;
                let mine = epsilon.saturating_sub(at_sync);
                ledger
                    .tally
                    .grew(u64::try_from(mine.as_nanos()).unwrap_or(u64::MAX), grown);
            }
        }
        let counts = [Some(status), again]
            .into_iter()
            .flatten()
            .any(|status| status.bound.is_some_and(|bound| bound.counter_ns > 0));
        // The counter's term is rounded up more than once.
        let rounded = if counts { 6 } else { 0 };
        let probe = Probe {
            called,
            raw: [raw_before, raw_after],
            interval,
            key: key(&status),
            counts,
            // Of the terms after the reading: they have only grown since.
            held: epsilon + Duration::from_nanos(2 + rounded) < later.total(),
        };
        // What is assumed is assumed anew at looks, which nothing in the key tells.
        let is_one_claim = |earlier: &Probe| {
            earlier.key == probe.key && status.state != ClockState::Assumed && !self.leap
        };
        if let Some(earlier) = earlier.filter(is_one_claim) {
            let advanced = [probe.raw[0] - earlier.raw[1], probe.raw[1] - earlier.raw[0]];
            let readings = [
                (earlier.called, earlier.interval),
                (Timestamp::from_unix_nanos(after.unix), interval),
            ];
            let limits = SlopeLimits {
                rate,
                held: earlier.held || probe.held,
                redrawn_ns: if counts || earlier.counts { 400 } else { 0 },
            };
            ledger
                .checker
                .slope(self.subject, readings, advanced, limits);
        }
        progress.probe = Some(probe);
    }
}

fn reason(error: &ClockError) -> &'static str {
    match error {
        ClockError::Unvouched(refusal) => match refusal {
            Refusal::Unsynchronized { .. } => "unsynchronised",
            Refusal::UnsyncFlag { .. } => "unsync flag",
            Refusal::NoBound { .. } => "no bound",
            Refusal::AwaitingWrite { .. } => "awaiting a write",
            Refusal::Status(_) => "status refused",
            Refusal::Chrony(_) => "chrony refused",
            Refusal::Ntp(_) => "ntp refused",
            Refusal::Phc(_) => "phc refused",
            _ => "refused",
        },
        ClockError::TooOld { .. } => "too old",
        ClockError::TooWide { .. } => "too wide",
        ClockError::Contradicted { .. } => "contradicted",
        ClockError::Disturbed { cause } => match cause {
            Disturbance::Suspended => "suspended",
            Disturbance::Stepped => "stepped",
            Disturbance::RawBackwards => "raw time backwards",
            Disturbance::Moved => "moved",
            Disturbance::UnexplainedSecond => "unexplained second",
            Disturbance::Disrupted => "disrupted",
            Disturbance::CounterDeparted => "counter departed",
            Disturbance::Interrupted => "interrupted",
            _ => "disturbed",
        },
        ClockError::AssumptionBroken { .. } => "assumption broken",
        ClockError::OutOfRange => "out of range",
        _ => "another error",
    }
}

/// What changes when a claim is replaced: also by one of another source, or inherited anew.
type Key = ([u64; 4], Option<&'static str>, Option<[u64; 3]>);

fn key(status: &Status) -> Key {
    let counters = &status.counters;
    let inherited = u64::from(status.state == ClockState::Inherited);
    let events = [
        counters.writes,
        counters.suspends,
        counters.contradictions,
        inherited,
    ];
    let bound = status.bound;
    let terms = bound.map(|b| [b.reported_ns, b.unseen_ns, b.bracket_ns]);
    (events, status.source, terms)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
