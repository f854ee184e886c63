//! Where the thread that asks chronyd leaves the answer for the thread that looks.

use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::answer::{Answer, Clocks, History};
use super::exchange::ChronyTransport;
use super::refusal::ChronyRefusal;
use super::report::{BUFFER_LEN, Malformed, Report, request};
use crate::machine::{Machine, Sandwich};

/// How often the thread that asks tries to get at the mailbox, a tenth of a millisecond apart: a
/// looker holds it while it copies what is in it. Not for ever: in a forked child it may be held by
/// a thread that is not there.
const PATIENCE: u32 = 50;

/// How often the clocks are read before asking, until they are as sharp as this, in ns: what blurs
/// them is charged until the next report.
const TRIES: usize = 8;
const SHARP: i64 = 2_000;

/// How often chronyd is asked at a time, until the exchange costs no more than this, in ns: what blurs
/// its clocks, and an eighth of the way there and back, are charged until the next answer. 10 µs are
/// usual.
const QUESTIONS: usize = 4;
const CHEAP: u64 = 25_000;

/// What the count of questions in vain says once there was an answer.
const ANSWERED: u32 = u32::MAX;

/// What was last heard, and how much has been heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contents {
    /// The last answer, whole; `None` until there is one.
    pub(super) last: Option<Received>,
    /// How many answers were put in.
    pub(super) serial: i64,
}

/// One answer: a report with its clocks, or why it is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    /// Raw time when it had come in.
    pub(super) raw: i64,
    pub(super) outcome: Result<Answer, ChronyRefusal>,
}

/// The mailbox; a look never waits for it.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    contents: Mutex<Inner>,
    /// Makes sequence numbers that cannot be guessed.
    sequences: RandomState,
    /// How often chronyd was asked in vain before its first answer; [`ANSWERED`] since then.
    in_vain: AtomicU32,
}

/// What is kept from one answer to the next.
#[derive(Debug, Default)]
struct Inner {
    contents: Contents,
    history: History,
}

impl Mailbox {
    /// Returns what is in it; `None` while an answer is being put in.
    pub(super) fn open(&self) -> Option<Contents> {
        Some(self.try_lock()?.contents)
    }

    /// Keeps it shut for as long as what is returned lives.
    #[cfg(test)]
    pub(super) fn hold(&self) -> impl Drop + '_ {
        self.contents.lock().unwrap()
    }

    fn has_answered(&self) -> bool {
        self.in_vain.load(Ordering::Relaxed) == ANSWERED
    }

    /// Returns how long to wait before chronyd is asked again, usually after `interval`.
    ///
    /// Twice as long after each question until the first answer, up to `longest`: most machines without a
    /// chronyd never get one.
    pub(super) fn next_in(&self, interval: Duration, longest: Duration) -> Duration {
        if self.has_answered() {
            return interval;
        }
        // The first question, when the clock is built, is followed by the second at the usual time.
        let doubled = self.in_vain.load(Ordering::Relaxed).saturating_sub(1);
        let factor = 1_u32.checked_shl(doubled).unwrap_or(u32::MAX);
        interval.saturating_mul(factor).min(longest.max(interval))
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Inner>> {
        match self.contents.try_lock() {
            Ok(inner) => Some(inner),
            // No holder panics with it in hand, and what is in it is whole at any time.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn lock_with_retries(&self) -> Option<MutexGuard<'_, Inner>> {
        for _ in 0..PATIENCE {
            if let Some(inner) = self.try_lock() {
                return Some(inner);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        None
    }

    /// Asks, and keeps the cheapest of a few answers, if nothing happened to the clocks meanwhile.
    pub(super) fn refresh(
        &self,
        transport: &dyn ChronyTransport,
        timeout: Duration,
        machine: &dyn Machine,
    ) {
        let mut cheapest: Option<Exchange> = None;
        for attempt in 0..QUESTIONS {
            let Some(exchange) = self.exchange(attempt, transport, timeout, machine) else {
                break;
            };
            let cost = exchange.cost();
            if cheapest.as_ref().is_none_or(|best| cost <= best.cost()) {
                cheapest = Some(exchange);
            }
            if cost <= CHEAP {
                break;
            }
        }
        let Some(exchange) = cheapest else {
            // No answer leaves the last one to grow old.
            if !self.has_answered() {
                let in_vain = self.in_vain.load(Ordering::Relaxed);
                self.in_vain.store(
                    in_vain.saturating_add(1).min(ANSWERED - 1),
                    Ordering::Relaxed,
                );
            }
            return;
        };
        self.in_vain.store(ANSWERED, Ordering::Relaxed);
        if let Some(mut inner) = self.lock_with_retries() {
            let inner = &mut *inner;
            inner.contents.serial = inner.contents.serial.saturating_add(1);
            let Exchange { clocks, report } = exchange;
            let outcome = report.map(|report| inner.history.note(report, &clocks));
            inner.contents.last = Some(Received {
                raw: clocks.received.raw,
                outcome,
            });
        }
    }

    fn exchange(
        &self,
        attempt: usize,
        transport: &dyn ChronyTransport,
        timeout: Duration,
        machine: &dyn Machine,
    ) -> Option<Exchange> {
        let serial = self.open().map_or(0, |contents| contents.serial);
        let hash = self.sequences.hash_one((serial, attempt));
        let sequence = u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0);
        let attempt = u16::try_from(attempt).unwrap_or(u16::MAX);
        let disruption = machine.disruption()?;
        let asked = sharp(machine);
        let mut datagram = [0; BUFFER_LEN];
        let length = transport
            .exchange(&request(sequence, attempt), &mut datagram, timeout)
            .ok()?;
        let received = machine.sandwich();
        let undisturbed = machine.disruption() == Some(disruption)
            && received.raw >= asked.raw
            && asked.real_offset().moved_to(&received.real_offset()) == 0
            && asked.boot_offset().moved_to(&received.boot_offset()) == 0;
        let datagram = datagram.get(..length).unwrap_or(&[]);
        let report = Report::parse(datagram, sequence).map_err(|malformed| match malformed {
            Malformed::Status(status) => ChronyRefusal::Denied {
                status: status.into(),
            },
            _ => ChronyRefusal::Malformed,
        });
        undisturbed.then_some(Exchange {
            clocks: Clocks {
                asked,
                received,
                disruption,
            },
            report,
        })
    }
}

/// What one question came to.
struct Exchange {
    clocks: Clocks,
    report: Result<Report, ChronyRefusal>,
}

impl Exchange {
    /// How much a claim from it is wider than what chronyd says, in ns.
    fn cost(&self) -> u64 {
        let Clocks {
            asked, received, ..
        } = &self.clocks;
        let span = received.raw.abs_diff(asked.raw);
        asked.bracket().saturating_add(span / 8)
    }
}

fn sharp(machine: &dyn Machine) -> Sandwich {
    // The last of equally narrow sandwiches is taken.
    let mut sharpest = machine.sandwich();
    for _ in 1..TRIES {
        if sharpest.width() <= SHARP {
            break;
        }
        let again = machine.sandwich();
        if again.width() <= sharpest.width() {
            sharpest = again;
        }
    }
    sharpest
}
