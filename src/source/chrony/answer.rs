//! One report with the clocks that were read around it, and what it says beside the ones before.

use super::memory::SAME_REFERENCE;
use super::report::{Leap, Report};
use crate::machine::{Disruption, Sandwich};
use crate::source::{ChronyRefusal, LookContext, SyncClaim};
use crate::time::{Claim, ErrorBound, Interval, RateBounds, Timestamp};

/// chronyd's own clock, `local` in its configuration: it reports no error at all.
const LOCAL_REFERENCE: u32 = 0x7f7f_0101;

/// After so many update intervals a reference is stale.
const STALE_AFTER: u64 = 8;

/// How far ahead of real time a reference time may be beyond what is left to correct, in ns.
const AHEAD: i64 = 1_000_000_000;

const BILLION: i128 = 1_000_000_000;

/// The clocks around a question and its answer, between which nothing happened to them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) asked: Sandwich,
    pub(super) received: Sandwich,
    /// What the hypervisor said of pauses all the while.
    pub(super) disruption: Disruption,
}

/// A report that parsed, with the clocks before and after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) report: Report,
    pub(super) asked: Sandwich,
    pub(super) received: Sandwich,
    /// How far the clock is off the course that chronyd set it.
    strayed_ns: u64,
    /// What of that cannot be seen, because the course is not known any better.
    hidden_ns: u64,
    /// Whether chronyd was watched while it made its last update.
    pub(super) watched: bool,
}

impl Answer {
    /// Returns why this report is not to be believed, if it is not.
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
        let off = i128::from(bound) + i128::from(report.correction.magnitude);
        if -age > i128::from(AHEAD) + off {
            return Some(ChronyRefusal::FutureReference {
                by_s: seconds(-age),
            });
        }
        if age > i128::from(report.update_interval_ns) * i128::from(STALE_AFTER) {
            return Some(ChronyRefusal::StaleReference {
                age_s: seconds(age),
            });
        }
        report
            .unsettled_by()
            .map(|beyond_ppb| ChronyRefusal::Unsettled { beyond_ppb })
    }

    /// Makes the report's claim, `deviation_ns` being what the daemon wrote beside its bound; `None` if
    /// that leaves the range of timestamps.
    pub(super) fn claim(&self, context: &LookContext<'_>, deviation_ns: u64) -> Option<SyncClaim> {
        let bound = ErrorBound {
            reported_ns: self.report.bound_ns()?,
            rounding_ns: self.report.rounding_ns(),
            margin_ns: u64::try_from(context.daemon_margin.as_nanos()).unwrap_or(u64::MAX),
            deviation_ns,
            wander_ns: self.forecast_error(context),
            unseen_ns: self.strayed_ns,
            bracket_ns: self
                .asked
                .bracket()
                .checked_add(self.hidden_ns)?
                .checked_add(self.slewed(context))?,
            ..ErrorBound::default()
        };
        // What is left to correct has a sign: UTC is around corrected time, not around real time.
        let corrected = i64::try_from(self.corrected()).ok()?;
        let interval =
            Interval::around(Timestamp::from_unix_nanos(corrected), bound.total()).ok()?;
        let rate = RateBounds::symmetric(context.max_drift_ppb);
        Some(SyncClaim {
            claim: Claim::new(self.asked.raw, interval, rate),
            bound,
        })
    }

    /// Returns true if chronyd's last update was surely after this raw instant.
    ///
    /// The reference time is on the scale of the corrected clock, whatever real time says. What that
    /// clock has counted since then is compared with what raw time has counted since the instant.
    pub(super) fn updated_after(&self, raw: i64, context: &LookContext<'_>) -> bool {
        let report = &self.report;
        let age = self.corrected() - i128::from(report.reference_time.unix_nanos());
        let elapsed = i128::from(self.asked.raw) - i128::from(raw);
        // The corrected clock departs from raw time at the rate that chronyd reports, and by what
        // others did to it.
        let rate = u64::from(context.max_drift_ppb).max(report.frequency_ppb.unsigned_abs());
        let drift = age.max(0) * i128::from(rate) / BILLION + 1;
        let blur = [
            self.strayed_ns,
            self.hidden_ns,
            self.asked.bracket(),
            self.slewed(context),
        ];
        let latest = age + drift + blur.into_iter().map(i128::from).sum::<i128>();
        // Of an answer from before that instant nothing is later, whatever it says.
        elapsed > 0 && latest < elapsed
    }

    fn corrected(&self) -> i128 {
        i128::from(self.asked.real) + i128::from(self.report.correction.signed())
    }

    fn forecast_error(&self, context: &LookContext<'_>) -> u64 {
        // Between two updates chronyd lets its dispersion grow by its skew and 1 ppm. The skew is
        // what it does not know of the rate up to the update; how the rate moved since, it cannot
        // know.
        let age = self.corrected() - i128::from(self.report.reference_time.unix_nanos());
        // A reference time that lies ahead was moved by a step: then any time since the update before.
        let age = match u128::try_from(age) {
            Ok(age) => age + u128::from(SAME_REFERENCE),
            Err(_) => self.report.update_interval_ns.into(),
        };
        let error = age.saturating_mul(context.report_wander_ppb.into());
        u64::try_from(error.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
    }

    fn slewed(&self, context: &LookContext<'_>) -> u64 {
        // The report is about an instant between the asking and its arrival; 12.5 % is the fastest
        // slew there is.
        let span = self.received.raw.abs_diff(self.asked.raw);
        let drift = u128::from(span) * u128::from(context.max_drift_ppb);
        let drift = u64::try_from(drift.div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
        span.div_ceil(8).saturating_add(drift)
    }
}

/// What the reports before the last one said, as far as it counts for the next.
#[derive(Debug, Default)]
pub(super) struct History {
    last: Option<Past>,
}

/// The last report, and the course that the clock was on.
#[derive(Clone, Copy, Debug)]
struct Past {
    reference: Timestamp,
    disruption: Disruption,
    asked: Sandwich,
    /// Corrected time less raw time.
    corrected: i128,
    /// How far off it may have been; `None` if chronyd was not to be believed.
    off_ns: Option<u64>,
    frequency_ppb: i64,
    course: Course,
}

/// Where corrected time less raw time ought to be, by what chronyd itself did to the clock.
#[derive(Clone, Copy, Debug)]
struct Course {
    expected: i128,
    /// By how much it may be another: the clocks are not read at one instant, and what chronyd did
    /// at the update is known so well and no better.
    blur: u64,
    /// It began before the last update, so that what was done to the clock since is known.
    watched: bool,
}

impl Course {
    /// How far the clock is off it, and how much further it may be for all that can be seen.
    fn strayed(&self, corrected: i128, asked: &Sandwich) -> (u64, u64) {
        let apparent = (corrected - self.expected).unsigned_abs();
        let apparent = u64::try_from(apparent).unwrap_or(u64::MAX);
        // What blurs the clocks now is in what was seen, and charged already; what blurred them then
        // may hide as much.
        let charged = asked.bracket();
        let strayed = apparent.saturating_sub(charged);
        let in_all = apparent.saturating_add(self.blur).saturating_sub(charged);
        (strayed, in_all - strayed)
    }
}

impl Past {
    fn is_of_these_clocks(&self, now: &Sandwich) -> bool {
        self.asked.raw <= now.raw
            && self.asked.real_offset().moved_to(&now.real_offset()) == 0
            && self.asked.boot_offset().moved_to(&now.boot_offset()) == 0
    }

    fn has_reference(&self, reference: Timestamp) -> bool {
        let apart = self.reference.unix_nanos().abs_diff(reference.unix_nanos());
        apart <= SAME_REFERENCE
    }

    fn departure(&self, now: &Sandwich, frequency_ppb: i64) -> i128 {
        let elapsed = i128::from(now.raw) - i128::from(self.asked.raw);
        // A clock that is fast by itself is slowed.
        -elapsed * i128::from(frequency_ppb) / BILLION
    }

    fn course_at(&self, now: &Sandwich, frequency_ppb: i64) -> Course {
        Course {
            expected: self.course.expected + self.departure(now, frequency_ppb),
            ..self.course
        }
    }

    /// What updates that no report told of may have done to the clock; `None` if that is unknown.
    ///
    /// They moved the corrected clock from as far off as the last report allows to as far off as it was
    /// before the update that this one tells of.
    fn untold(&self, now: &Sandwich, report: &Report) -> Option<u64> {
        let elapsed = now.raw.abs_diff(self.asked.raw);
        // It is not measured by raw time: 12.5 % is the fastest slew there is.
        let interval = report.update_interval_ns;
        if elapsed <= interval - interval / 8 {
            return Some(0);
        }
        self.off_ns?
            .checked_add(report.bound_ns()?)?
            .checked_add(report.last_offset.magnitude)
    }

    fn course_after_update(
        &self,
        now: &Sandwich,
        report: &Report,
        corrected: i128,
    ) -> Option<Course> {
        // The course begins anew from where the clock was, whatever had been done to it before,
        // since chronyd has measured that.
        let untold = self.untold(now, report)?;
        let from = self.corrected - i128::from(report.last_offset.signed());
        // The rate may have changed with the update, which came at any time since.
        let rates = [self.frequency_ppb, report.frequency_ppb];
        let expected = rates.map(|rate| from + self.departure(now, rate));
        let [least, most] = [
            expected.iter().min().copied().unwrap_or(from),
            expected.iter().max().copied().unwrap_or(from),
        ];
        let between = u64::try_from(most - least).unwrap_or(u64::MAX);
        Some(Course {
            expected: corrected.clamp(least, most),
            // What was done between the two rates does not show, nor what an update that no report
            // told of did and another program undid.
            blur: self
                .asked
                .bracket()
                .saturating_add(between)
                .saturating_add(untold),
            watched: true,
        })
    }
}

impl History {
    /// Takes note of a report: how far the clock strayed from the course that chronyd set it.
    ///
    /// Between two updates what is left to correct shrinks by what is slewed, so real time together
    /// with it runs evenly, at the rate that chronyd reports; at an update it moves by the offset that
    /// chronyd reports. What departs from that was another program's doing, and chronyd does not know of
    /// it before its next update.
    pub(super) fn note(&mut self, report: Report, clocks: &Clocks) -> Answer {
        let Clocks {
            asked,
            received,
            disruption,
        } = clocks;
        // How the clock went on through a pause is unknown.
        self.last = self.last.filter(|past| past.disruption == *disruption);
        let real = i128::from(asked.real) + i128::from(report.correction.signed());
        let corrected = real - i128::from(asked.raw);
        let same = self
            .last
            .filter(|past| past.has_reference(report.reference_time));
        let past = self.last.filter(|past| past.is_of_these_clocks(asked));
        let course = past.and_then(|past| match same {
            Some(_) => Some(past.course_at(asked, report.frequency_ppb)),
            None => past.course_after_update(asked, &report, corrected),
        });
        let course = course.unwrap_or(Course {
            expected: corrected,
            blur: asked.bracket(),
            watched: false,
        });
        let (strayed_ns, hidden_ns) = course.strayed(corrected, asked);
        let answer = Answer {
            report,
            asked: *asked,
            received: *received,
            strayed_ns,
            hidden_ns,
            watched: course.watched,
        };
        let believed = report.bound_ns().filter(|_| answer.refusal().is_none());
        self.last = Some(Past {
            // The first one: chronyd moves its own by what it slews.
            reference: same.map_or(report.reference_time, |past| past.reference),
            disruption: *disruption,
            asked: *asked,
            corrected,
            off_ns: believed.and_then(|bound| bound.checked_add(strayed_ns)),
            frequency_ppb: report.frequency_ppb,
            course,
        });
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Figure;
    use super::*;
    use crate::machine::SystemMachine;

    const SECOND: i64 = 1_000_000_000;

    fn clocks(raw: i64, real: i64) -> Clocks {
        let sandwich = Sandwich {
            mono_before: raw,
            boot: raw,
            real,
            raw,
            mono_after: raw,
        };
        Clocks {
            asked: sandwich,
            received: sandwich,
            disruption: Disruption::default(),
        }
    }

    fn report(reference: i64, correction: i64) -> Report {
        Report {
            reference_id: 1,
            stratum: 2,
            leap: Leap::None,
            reference_time: Timestamp::from_unix_nanos(reference),
            correction: Figure {
                negative: correction < 0,
                magnitude: correction.unsigned_abs(),
            },
            last_offset: Figure::default(),
            frequency_ppb: 0,
            residual_ppb: -3,
            skew_ppb: 40,
            root_delay_ns: 0,
            root_dispersion_ns: 0,
            update_interval_ns: 16 * SECOND.unsigned_abs(),
        }
    }

    #[test]
    fn an_update_is_dated_by_the_corrected_clock() {
        let machine = SystemMachine::new().unwrap();
        let context = LookContext::new(&machine);
        let (raw, real) = (100 * SECOND, 1_000 * SECOND);
        for correction in [-SECOND, 0, SECOND / 3] {
            // Updated two seconds ago.
            let reference = real + correction - 2 * SECOND;
            let report = report(reference, correction);
            let answer = History::default().note(report, &clocks(raw, real));
            assert!(answer.updated_after(raw - 2 * SECOND - SECOND / 100, &context));
            // It may have been then, with an oscillator that drifts.
            assert!(!answer.updated_after(raw - 2 * SECOND - 1_000, &context));
            assert!(!answer.updated_after(raw - 2 * SECOND + 1, &context));
        }
    }

    /// It may land in the mailbox later, whatever time it tells.
    #[test]
    fn an_answer_from_before_an_instant_tells_of_no_update_after_it() {
        let machine = SystemMachine::new().unwrap();
        let context = LookContext::new(&machine);
        let (raw, real) = (100 * SECOND, 1_000 * SECOND);
        let ahead = report(real + SECOND, 0);
        let answer = History::default().note(ahead, &clocks(raw, real));
        assert!(answer.updated_after(raw - SECOND, &context));
        assert!(!answer.updated_after(raw, &context));
        assert!(!answer.updated_after(raw + SECOND / 2, &context));
    }

    #[test]
    fn an_update_that_was_watched_from_before_a_pause_was_not_watched() {
        let (raw, real) = (100 * SECOND, 1_000 * SECOND);
        for paused in [false, true] {
            let mut history = History::default();
            history.note(report(real - SECOND, 0), &clocks(raw, real));
            let mut later = clocks(raw + SECOND, real + SECOND);
            later.disruption.marker = u64::from(paused);
            let answer = history.note(report(real + SECOND / 2, 0), &later);
            assert_eq!(answer.watched, !paused);
        }
    }

    const MILLI: i64 = 1_000_000;

    /// Clocks at a raw instant: monotonic time is so far ahead of it, and read over `width` ns.
    fn at(raw: i64, ahead: i64, width: i64) -> Sandwich {
        let mono = raw + ahead;
        Sandwich {
            mono_before: mono,
            boot: mono,
            real: mono + 1_000 * SECOND,
            raw,
            mono_after: mono + width,
        }
    }

    fn asked_at(asked: Sandwich) -> Clocks {
        Clocks {
            asked,
            received: asked,
            disruption: Disruption::default(),
        }
    }

    /// A context of a kernel that a test asks nothing, with figures of its own.
    fn context(machine: &SystemMachine) -> LookContext<'_> {
        LookContext {
            max_drift_ppb: 200_000,
            report_wander_ppb: 1_000,
            daemon_margin: core::time::Duration::from_nanos(50),
            ..LookContext::new(machine)
        }
    }

    #[test]
    fn a_claim_is_made_of_all_that_corrected_time_may_be_off() {
        let machine = SystemMachine::new().unwrap();
        let context = context(&machine);
        let asked = at(100 * SECOND, 0, 700);
        let mut clocks = Clocks {
            received: at(asked.raw + 8_000, 0, 700),
            ..asked_at(asked)
        };
        let told = Report {
            root_delay_ns: 3_001,
            root_dispersion_ns: 5_000,
            ..report(asked.real - 2_000 - SECOND, -2_000)
        };
        let made = History::default().note(told, &clocks).claim(&context, 77);
        let bound = ErrorBound {
            reported_ns: 5_000 + 1_501,
            rounding_ns: 3,
            margin_ns: 50,
            deviation_ns: 77,
            // 1 ppm of the second since the update, and of what a reference may be moved by.
            wander_ns: 1_001,
            // What the clocks are read over; an eighth of what the answer took, and 200 ppm of it.
            bracket_ns: 800 + 1_000 + 2,
            ..ErrorBound::default()
        };
        let made = made.unwrap();
        assert_eq!(made.bound, bound);
        assert_eq!(made.claim.raw(), asked.raw);
        let corrected = Timestamp::from_unix_nanos(asked.real - 2_000);
        let around = Interval::around(corrected, bound.total()).unwrap();
        assert_eq!(made.claim.interval(), around);
        // Where a step moved the reference ahead, any time since the update before.
        clocks.received = clocks.asked;
        let ahead = report(asked.real + 1, 0);
        let made = History::default().note(ahead, &clocks).claim(&context, 0);
        assert_eq!(made.unwrap().bound.wander_ns, 16_000);
    }

    #[test]
    fn an_update_is_surely_later_from_the_nanosecond_on_in_which_it_cannot_be_earlier() {
        let machine = SystemMachine::new().unwrap();
        let context = context(&machine);
        let asked = at(100 * SECOND, 0, 700);
        let mut clocks = asked_at(asked);
        clocks.received.raw += 8_000;
        for (frequency_ppb, drift) in [(0, 400_001), (-300_000, 600_001), (300_000, 600_001)] {
            let told = Report {
                frequency_ppb,
                ..report(asked.real + SECOND - 2 * SECOND, SECOND)
            };
            let answer = History::default().note(told, &clocks);
            // Two seconds by the corrected clock; the clocks' width, and what the answer took.
            let latest = 2 * SECOND + drift + 800 + 1_002;
            assert!(answer.updated_after(asked.raw - latest - 1, &context));
            assert!(!answer.updated_after(asked.raw - latest, &context));
        }
    }

    #[test]
    fn between_two_updates_the_clock_strays_by_what_chronyd_did_not_do() {
        let first = at(100 * SECOND, 0, 700);
        for (ahead, width, strayed, hidden) in [
            // A second at 1 ppm takes it 1 000 ns back.
            (-1_000, 0, 0, 800),
            (500, 0, 1_500, 800),
            (-2_500, 0, 1_500, 800),
            // What the clocks are read over now is charged already.
            (500, 70, 1_420, 800),
            (-1_000, 70, 0, 720),
        ] {
            let told = Report {
                frequency_ppb: 1_000,
                ..report(first.real - SECOND, 0)
            };
            let mut history = History::default();
            history.note(told, &asked_at(first));
            let later = at(first.raw + SECOND, ahead, width);
            let answer = history.note(told, &asked_at(later));
            assert_eq!(
                (answer.strayed_ns, answer.hidden_ns),
                (strayed, hidden),
                "{ahead}"
            );
            assert!(!answer.watched);
        }
    }

    #[test]
    fn an_update_moves_the_clock_by_its_offset_at_one_of_two_rates() {
        let first = at(100 * SECOND, 0, 700);
        for (ahead, strayed) in [
            (-700 - 1_000, 0),
            (-700 - 2_000, 0),
            (-700 - 3_000, 0),
            (-700 - 1_000 + 50, 50),
            (-700 - 3_000 - 50, 50),
        ] {
            let mut history = History::default();
            let before = Report {
                frequency_ppb: 1_000,
                ..report(first.real - SECOND, 0)
            };
            history.note(before, &asked_at(first));
            let updated = Report {
                frequency_ppb: 3_000,
                last_offset: Figure {
                    negative: false,
                    magnitude: 700,
                },
                ..report(first.real, 0)
            };
            let later = at(first.raw + SECOND, ahead, 0);
            let answer = history.note(updated, &asked_at(later));
            let hidden = 800 + 2_000;
            assert_eq!(
                (answer.strayed_ns, answer.hidden_ns),
                (strayed, hidden),
                "{ahead}"
            );
            assert!(answer.watched);
        }
    }

    #[test]
    fn an_update_that_no_report_told_of_may_hide_what_both_reports_allow() {
        let first = at(100 * SECOND, 0, 0);
        // Of an interval of 16 s, at the fastest slew.
        for (elapsed, hidden) in [(14 * SECOND, 0), (14 * SECOND + 1, 5_000 + 6_000 + 700)] {
            let mut history = History::default();
            let told = |reference, root_dispersion_ns| Report {
                root_dispersion_ns,
                last_offset: Figure {
                    negative: true,
                    magnitude: 700,
                },
                ..report(reference, 0)
            };
            history.note(told(first.real - SECOND, 5_000), &asked_at(first));
            let later = at(first.raw + elapsed, 700, 0);
            let answer = history.note(told(later.real - SECOND, 6_000), &asked_at(later));
            assert_eq!(
                (answer.strayed_ns, answer.hidden_ns),
                (0, hidden),
                "{elapsed}"
            );
            assert!(answer.watched);
        }
    }

    #[test]
    fn a_reference_is_another_beyond_a_millisecond_and_watched_only_on_undisturbed_clocks() {
        let first = at(100 * SECOND, 0, 0);
        let reference = first.real - SECOND;
        let later = at(first.raw + SECOND, 0, 0);
        let moved = |edit: fn(&mut Sandwich)| {
            let mut later = later;
            edit(&mut later);
            later
        };
        for (later, moved_by, watched) in [
            (later, MILLI, false),
            (later, MILLI + 1, true),
            (later, SECOND, true),
            (first, SECOND, true),
            (moved(|later| later.real += MILLI), SECOND, false),
            (moved(|later| later.boot += MILLI), SECOND, false),
            (moved(|later| later.raw -= 2 * SECOND), SECOND, false),
        ] {
            let mut history = History::default();
            history.note(report(reference, 0), &asked_at(first));
            let answer = history.note(report(reference + moved_by, 0), &asked_at(later));
            assert_eq!(answer.watched, watched, "{later:?}, {moved_by}");
        }
    }

    #[test]
    fn a_reference_is_refused_from_where_no_clock_of_its_bound_can_have_it() {
        let asked = at(100 * SECOND, 0, 0);
        let refusal = |report| History::default().note(report, &asked_at(asked)).refusal();
        let told = |reference| Report {
            root_dispersion_ns: 5_000,
            ..report(reference, -2_000)
        };
        let furthest = asked.real + SECOND + 5_000 + 2_000;
        let future = ChronyRefusal::FutureReference { by_s: 1 };
        assert_eq!(refusal(told(furthest)), None);
        assert_eq!(refusal(told(furthest + 1)), Some(future));
        let oldest = asked.real - 8 * 16 * SECOND;
        let stale = ChronyRefusal::StaleReference { age_s: 128 };
        assert_eq!(refusal(told(oldest)), None);
        assert_eq!(refusal(told(oldest - 1)), Some(stale));
        let sound = told(asked.real);
        let unsynchronized = Some(ChronyRefusal::Unsynchronized);
        assert_eq!(
            refusal(Report {
                stratum: 0,
                ..sound
            }),
            unsynchronized
        );
        let leap = Leap::Unsynchronized;
        assert_eq!(refusal(Report { leap, ..sound }), unsynchronized);
        let local = Report {
            reference_id: LOCAL_REFERENCE,
            ..sound
        };
        assert_eq!(refusal(local), Some(ChronyRefusal::LocalReference));
    }
}
