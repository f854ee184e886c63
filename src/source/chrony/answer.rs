//! One report with the clocks that were read around it, and what it says beside the ones before.
#![forbid(unsafe_code)]

use super::report::{Leap, Report};
use crate::bound::ErrorBound;
use crate::claim::{Claim, RateBounds};
use crate::interval::Interval;
use crate::machine::Sandwich;
use crate::source::{ChronyRefusal, LookContext, SyncClaim};
use crate::timestamp::Timestamp;

/// chronyd's own clock, `local` in its configuration: it reports no error at all.
const LOCAL_REFERENCE: u32 = 0x7f7f_0101;

/// After so many update intervals a reference is stale.
const STALE_AFTER: u64 = 8;

/// Reference times closer together than this, in ns, are one: chronyd moves its own by what it slews.
const SAME_REFERENCE: u64 = 1_000_000;

/// How far ahead of real time a reference time may be beyond what is left to correct, in ns.
const AHEAD: i64 = 1_000_000_000;

const BILLION: i128 = 1_000_000_000;

/// A report that parsed, with the clocks before and after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) report: Report,
    pub(super) asked: Sandwich,
    pub(super) received: Sandwich,
    /// How far real time departed, since the last update, from where chronyd's own rate takes it.
    strayed_ns: u64,
}

impl Answer {
    /// Why this report is not to be believed, if it is not.
    pub(super) fn refusal(&self) -> Option<ChronyRefusal> {
        let report = &self.report;
        if report.leap == Leap::Unsynchronized || report.stratum == 0 {
            return Some(ChronyRefusal::Unsynchronized);
        }
        if report.reference_id == LOCAL_REFERENCE {
            return Some(ChronyRefusal::LocalReference);
        }
        let Some(bound) = report.bound_ns() else {
            return Some(ChronyRefusal::TooWide);
        };
        let age = i128::from(self.received.real) - i128::from(report.reference_time.unix_nanos());
        let seconds = |ns: i128| i64::try_from(ns / BILLION).unwrap_or(i64::MAX);
        if -age > i128::from(AHEAD) + i128::from(bound) {
            return Some(ChronyRefusal::FutureReference {
                by_s: seconds(-age),
            });
        }
        if age > i128::from(report.update_interval_ns) * i128::from(STALE_AFTER) {
            return Some(ChronyRefusal::StaleReference {
                age_s: seconds(age),
            });
        }
        None
    }

    /// The claim that the report makes; `None` if it leaves the range of timestamps.
    pub(super) fn claim(&self, context: &LookContext<'_>) -> Option<SyncClaim> {
        let bound = ErrorBound {
            reported_ns: self.report.bound_ns()?,
            rounding_ns: self.report.rounding_ns(),
            margin_ns: u64::try_from(context.daemon_margin.as_nanos()).unwrap_or(u64::MAX),
            unseen_ns: self.strayed_ns,
            bracket_ns: self.asked.bracket().checked_add(self.wander(context))?,
            ..ErrorBound::default()
        };
        let real = Timestamp::from_unix_nanos(self.asked.real);
        let interval = Interval::around(real, bound.total()).ok()?;
        let rate = RateBounds::symmetric(context.max_drift_ppb);
        Some(SyncClaim {
            claim: Claim::new(self.asked.raw, interval, rate),
            bound,
        })
    }

    /// How far real time may have moved against UTC from the asking to the instant that the report is
    /// about, which was any until its arrival: 12.5 % is the fastest slew there is.
    fn wander(&self, context: &LookContext<'_>) -> u64 {
        let span = self.received.raw.abs_diff(self.asked.raw);
        let drift = u128::from(span) * u128::from(context.max_drift_ppb);
        let drift = u64::try_from(drift.div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
        span.div_ceil(8).saturating_add(drift)
    }
}

/// What the reports before the last one said, as far as it counts for the next.
#[derive(Debug, Default)]
pub(super) struct History {
    updates: i64,
    last: Option<Past>,
}

/// Where the corrected clock was in raw time, and where it ought to be.
#[derive(Clone, Copy, Debug)]
struct Past {
    reference: Timestamp,
    raw: i64,
    /// Corrected time less raw time at the first report with this reference.
    began_at: i128,
    /// By how much the clocks were blurred then: they are not read at one instant.
    blur: u64,
    /// What the reported rate has added to that since.
    expected: i128,
}

impl History {
    /// How often chronyd's reference time has changed.
    pub(super) const fn updates(&self) -> i64 {
        self.updates
    }

    /// Takes note of a report: how far the clock strayed since the first one with its reference.
    ///
    /// Between two updates what is left to correct shrinks by what is slewed, so real time together
    /// with it runs evenly, at the rate that chronyd reports. What it departs from that was done by
    /// somebody else, and chronyd does not know of it before the next update.
    pub(super) fn note(&mut self, report: Report, asked: &Sandwich, received: &Sandwich) -> Answer {
        let corrected =
            i128::from(asked.real) + i128::from(report.correction.signed()) - i128::from(asked.raw);
        let reference = report.reference_time;
        let same = |past: &Past| {
            let apart = past.reference.unix_nanos().abs_diff(reference.unix_nanos());
            apart <= SAME_REFERENCE && past.raw <= asked.raw
        };
        let mut now = Past {
            reference,
            raw: asked.raw,
            began_at: corrected,
            blur: asked.bracket(),
            expected: 0,
        };
        match self.last.filter(same) {
            Some(past) => {
                let elapsed = i128::from(asked.raw) - i128::from(past.raw);
                let by_rate = elapsed * i128::from(report.frequency_ppb) / BILLION;
                now.reference = past.reference;
                now.began_at = past.began_at;
                now.blur = past.blur;
                now.expected = past.expected - by_rate;
            }
            None => self.updates = self.updates.saturating_add(1),
        }
        self.last = Some(now);
        let strayed = (corrected - now.began_at - now.expected).unsigned_abs();
        let strayed = u64::try_from(strayed).unwrap_or(u64::MAX);
        // What the clocks are blurred by now is in what was seen, and charged as the bracket already;
        // what they were blurred by then may hide as much.
        let hidden = strayed.saturating_add(now.blur);
        Answer {
            report,
            asked: *asked,
            received: *received,
            strayed_ns: hidden.saturating_sub(asked.bracket()),
        }
    }
}
