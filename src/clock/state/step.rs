//! A step of real time out of the interval in force: explained, refuted or unknown.
//!
//! A step that ends inside the interval explains itself: the daemon came closer to what it had vouched
//! for. One that ends outside says that the stepper is wrong or that we are, since a pause that no clock
//! shows makes the claim in force false. Silence settles neither, so there is no interval until a write
//! does.
//!
//! - *Vindicated*: a write agrees with the claim from before. While the write is the wider of the two the
//!   hull of both serves; once it is the narrower one it serves alone and the matter is settled.
//! - *Anew*: updates of the sources agree among themselves for long enough, whatever they say of the
//!   claim from before. Then that claim, the learned rate and the floor are forgotten.
//!
//! A jump of one second near a UTC midnight is such a step with a second explanation: a leap second that
//! no source announced. The claim from before is then compared on both scales.

use core::time::Duration;

use super::open_step::{Evidence, OpenStep};
use super::record::Word;
use super::{Answering, State, Why, age, nanos};
use crate::clock::policy::Policy;
use crate::machine::{Disturbance, Sandwich};
use crate::source::{Finding, LeapNotice, Look, SyncClaim};
use crate::time::{Claim, ErrorBound, Interval, LeapKind, LeapSecond, Timestamp};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

impl State {
    /// Real time has jumped by `by` ns, and no leap second of the claim in force explains it.
    pub(super) fn step_out(&mut self, policy: &Policy, by: i64, seen_real: i64, clocks: &Sandwich) {
        let real = Timestamp::from_unix_nanos(clocks.real);
        if let Some(open) = &mut self.step {
            // Stepped again: what the updates had in common must hold real time, or they begin anew.
            let common = open.common.and_then(|common| common.carry(clocks.raw).ok());
            if common.is_some_and(|common| !common.contains(real)) {
                open.common = None;
                open.updates = 0;
            }
        }
        let Answering::From { .. } = self.answering else {
            return;
        };
        let Some(away) = self.distance(policy, real, clocks.raw) else {
            return;
        };
        let leap = unannounced_leap(by, seen_real, clocks.real);
        let cause = match leap {
            Some(_) => Disturbance::UnexplainedSecond,
            None => Disturbance::SteppedAway { by: away },
        };
        let before = self.in_force();
        match (&mut self.step, before) {
            // The claim from before the first step is still the one to be vindicated.
            (Some(open), _) => open.at = clocks.raw,
            (None, Some(before)) => {
                self.step = Some(OpenStep {
                    cause,
                    at: clocks.raw,
                    before,
                    leap,
                    common: None,
                    since: clocks.raw,
                    updates: 0,
                });
            }
            (None, None) => return,
        }
        if leap.is_some() {
            // It was promised on a scale that may not be the one that goes on.
            self.epoch = self.epoch.wrapping_add(1);
        }
        self.answering = Answering::nothing(Why::Disturbed(cause));
    }

    fn distance(&self, policy: &Policy, real: Timestamp, raw: i64) -> Option<Duration> {
        // The widest of the claims that agree decides: else a step of half a millisecond inside the
        // kernel's bound, but outside chronyd's report, would cost a poll and prevent nothing.
        let mut least = None::<Duration>;
        for record in self.in_use(policy) {
            let Some(SyncClaim { claim, .. }) = record.word.claim() else {
                continue;
            };
            if age(&claim, raw) > policy.max_age {
                continue;
            }
            let gap = claim.carry(raw).ok()?.gap(&Interval::point(real))?;
            least = Some(least.map_or(gap, |least| least.min(gap)));
        }
        least
    }

    /// Weighs a look's write while a step is open, and takes it into the record as far as it counts;
    /// returns true if it settled the matter.
    #[inline(never)]
    pub(super) fn weigh_write(&mut self, policy: &Policy, index: usize, look: &Look) -> bool {
        let (Some(mut open), Finding::Write(sync)) = (self.step, look.finding) else {
            return false;
        };
        let sync = match look.leap {
            LeapNotice::Pending(leap) => SyncClaim {
                claim: sync.claim.with_leap(Some(leap)),
                ..sync
            },
            LeapNotice::None | LeapNotice::Passed(_) => sync,
        };
        // A report that repeats an update says nothing that the update had not said.
        let settled_anew = (!look.repeats_update && open.count(&sync.claim))
            // A claim that old has no say, and so nothing was stepped out of.
            || age(&open.before.claim, sync.claim.raw()) > policy.max_age;
        let evidence = open.weigh(&sync.claim);
        self.step = Some(open);
        if settled_anew {
            self.start_anew(index, sync);
            return true;
        }
        match evidence {
            Evidence::Refutes => {
                // Whatever served since, one of the two is false.
                for record in &mut self.sources {
                    record.drop_if(|claim| open.precedes(claim));
                }
                if let Some(record) = self.sources.get_mut(index) {
                    record.word = Word::Voided;
                }
                false
            }
            Evidence::Vindicates(before) => {
                let hull = hull_of(&before, &open.before, &sync);
                let narrower = hull.is_none_or(|hull| hull.claim == sync.claim);
                if let Some(record) = self.sources.get_mut(index) {
                    record.word = Word::Own(hull.filter(|_| !narrower).unwrap_or(sync));
                }
                if narrower {
                    self.vindicate(&open, before);
                }
                narrower
            }
        }
    }

    /// The claim from before the step stands: what disagrees with it goes.
    #[inline(never)]
    fn vindicate(&mut self, open: &OpenStep, before: Claim) {
        if let Some(leap) = before.leap().filter(|leap| open.leap == Some(*leap)) {
            self.leapt = Some(leap.boundary);
            let rescale = |claim: Claim| {
                if open.precedes(&claim) {
                    claim
                } else {
                    claim.with_leap(Some(leap))
                }
            };
            for record in &mut self.sources {
                record.revise(rescale);
            }
            for rate in &mut self.rates {
                rate.revise(rescale);
            }
        }
        for record in &mut self.sources {
            record.drop_if(|claim| before.contradiction(claim).is_some());
        }
        self.step = None;
    }

    /// The updates since the step count by themselves: nothing from before it does.
    #[inline(never)]
    fn start_anew(&mut self, index: usize, sync: SyncClaim) {
        for (other, record) in self.sources.iter_mut().enumerate() {
            record.forget();
            if other == index {
                record.word = Word::Own(sync);
            }
        }
        self.forget_rates();
        self.epoch = self.epoch.wrapping_add(1);
        self.step = None;
    }
}

/// Returns the claim of both ends, or of the write alone where it lies within the claim from before.
fn hull_of(before: &Claim, of: &SyncClaim, sync: &SyncClaim) -> Option<SyncClaim> {
    let claim = sync.claim;
    let carried = before.carry(claim.raw()).ok()?;
    if claim.interval().width() <= carried.width() {
        return Some(*sync);
    }
    let interval = claim.interval().hull(&carried);
    let rate = claim.rate().hull(of.claim.rate());
    // What the write itself does not account for is what real time may have been off unseen.
    let more = nanos(interval.epsilon()).saturating_sub(sync.bound.total_ns());
    Some(SyncClaim {
        claim: Claim::new(claim.raw(), interval, rate).with_leap(claim.leap()),
        bound: ErrorBound {
            unseen_ns: sync.bound.unseen_ns.saturating_add(more),
            ..sync.bound
        },
    })
}

/// Returns the leap second that would explain a jump of `by` ns, if it happened around a UTC midnight.
fn unannounced_leap(by: i64, seen_real: i64, real: i64) -> Option<LeapSecond> {
    let is_a_second = (by.saturating_abs() - SECOND).abs() < SECOND / 2;
    let last_day = real.saturating_add(2 * SECOND).div_euclid(DAY);
    let first_day = seen_real.saturating_sub(2 * SECOND).div_euclid(DAY);
    (is_a_second && first_day != last_day).then(|| LeapSecond {
        boundary: Timestamp::from_unix_nanos(last_day.saturating_mul(DAY)),
        kind: if by < 0 {
            LeapKind::Inserted
        } else {
            LeapKind::Deleted
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{clocks, policy, served, sync};
    use super::*;

    const MILLI: i64 = 1_000_000;
    const HOUR: i64 = 3_600 * SECOND;

    fn leap_at(boundary: i64) -> LeapSecond {
        LeapSecond {
            boundary: Timestamp::from_unix_nanos(boundary),
            kind: LeapKind::Inserted,
        }
    }

    /// A second after the claim, which was in force, real time was stepped out of it.
    fn stepped_out_of(before: SyncClaim, leap: Option<LeapSecond>) -> State {
        let mut state = served(0, before);
        let cause = Disturbance::SteppedAway {
            by: Duration::from_secs(1),
        };
        let at = before.claim.raw() + SECOND;
        state.step = Some(OpenStep {
            cause,
            at,
            before,
            leap,
            common: None,
            since: at,
            updates: 0,
        });
        state.answering = Answering::nothing(Why::Disturbed(cause));
        state
    }

    fn weigh(state: &mut State, look: &Look) -> bool {
        state.weigh_write(&policy(), 0, look)
    }

    fn write(sync: SyncClaim) -> Look {
        Look::new(Finding::Write(sync))
    }

    /// UTC between so many ms ahead of raw time.
    fn ahead(raw: i64, ends: [i64; 2]) -> SyncClaim {
        sync(raw, raw + ends[0] * MILLI, raw + ends[1] * MILLI)
    }

    #[test]
    fn a_step_is_as_far_away_as_from_the_widest_claim_that_is_not_too_old() {
        let policy = policy();
        assert_eq!(policy.max_age, Duration::from_secs(3_600));
        let mut state = served(0, ahead(0, [0, 10]));
        for (raw, away) in [
            (HOUR - 1, Some(Duration::from_millis(90))),
            (HOUR, Some(Duration::from_millis(90))),
            (HOUR + 1, None),
        ] {
            let real = Timestamp::from_unix_nanos(raw + 100 * MILLI);
            assert_eq!(state.distance(&policy, real, raw), away, "{raw}");
        }
        state.sources[1] = served(1, ahead(0, [0, 70])).sources[1];
        let real = Timestamp::from_unix_nanos(HOUR + 100 * MILLI);
        let away = state.distance(&policy, real, HOUR);
        assert_eq!(away, Some(Duration::from_millis(30)));
    }

    #[test]
    fn real_time_stepped_again_keeps_the_updates_that_still_hold_it() {
        let common = ahead(2 * SECOND, [1_000, 1_010]).claim;
        // How many ms ahead of raw time real time is stepped to.
        for (to, kept) in [(1_000, true), (1_010, true), (999, false), (1_011, false)] {
            let mut state = stepped_out_of(ahead(0, [0, 10]), None);
            if let Some(open) = &mut state.step {
                (open.common, open.updates) = (Some(common), 3);
            }
            let raw = 10 * SECOND;
            let now = Sandwich {
                real: raw + to * MILLI,
                ..clocks(raw)
            };
            state.step_out(&policy(), MILLI, raw, &now);
            let left = state.step.map(|open| (open.common, open.updates));
            let expected = if kept { (Some(common), 3) } else { (None, 0) };
            assert_eq!(left, Some(expected), "{to}");
        }
    }

    #[test]
    fn four_updates_that_agree_over_two_minutes_count_by_themselves_and_repeats_do_not() {
        for repeats_update in [false, true] {
            let mut state = stepped_out_of(ahead(0, [0, 10]), None);
            let epoch = state.epoch;
            let mut settled = Vec::new();
            for secs in [40, 80, 120, 160] {
                let update = ahead(secs * SECOND, [1_000, 1_010]);
                let look = Look {
                    repeats_update,
                    ..write(update)
                };
                settled.push(weigh(&mut state, &look));
            }
            assert_eq!(settled, [false, false, false, !repeats_update]);
            assert_eq!(state.step.is_none(), !repeats_update);
            assert_eq!(state.epoch != epoch, !repeats_update);
        }
    }

    #[test]
    fn a_claim_that_was_too_old_to_answer_is_refuted_by_nothing() {
        for (raw, too_old) in [(HOUR - 1, false), (HOUR, false), (HOUR + 1, true)] {
            let mut state = stepped_out_of(ahead(0, [0, 10]), None);
            let other = ahead(raw, [1_000, 1_010]);
            assert_eq!(weigh(&mut state, &write(other)), too_old, "{raw}");
            assert_eq!(state.step.is_none(), too_old, "{raw}");
            let word = if too_old {
                Word::Own(other)
            } else {
                Word::Voided
            };
            assert_eq!(state.sources[0].word, word, "{raw}");
        }
    }

    #[test]
    fn a_wider_write_serves_with_the_claim_from_before_and_a_narrower_one_alone() {
        let mut state = stepped_out_of(ahead(0, [0, 10]), None);
        let raw = 60 * SECOND;
        assert!(!weigh(&mut state, &write(ahead(raw, [5, 25]))));
        let hull = state.sources[0].word.claim().map(|sync| sync.claim);
        assert_eq!(hull, Some(ahead(raw, [0, 25]).claim));
        assert!(state.step.is_some());
        let narrower = ahead(2 * raw, [6, 9]);
        assert!(weigh(&mut state, &write(narrower)));
        assert_eq!(state.sources[0].word, Word::Own(narrower));
        assert_eq!(state.step, None);
    }

    #[test]
    fn a_write_under_a_step_is_on_the_scale_of_the_leap_second_that_its_look_tells_of() {
        let leap = leap_at(10_000 * SECOND);
        let mut state = stepped_out_of(ahead(0, [0, 10]), None);
        let narrower = ahead(60 * SECOND, [6, 9]);
        let look = write(narrower).with_leap(LeapNotice::Pending(leap));
        assert!(weigh(&mut state, &look));
        let claim = state.sources[0].word.claim().map(|sync| sync.claim);
        assert_eq!(claim, Some(narrower.claim.with_leap(Some(leap))));
    }

    /// Real time fell back by a second at a midnight that no source had announced as a leap second's.
    #[test]
    fn a_write_that_fits_only_with_a_leap_second_tells_that_it_took_place() {
        let boundary = 100 * SECOND;
        for (ends, leapt) in [([-998, -993], true), ([2, 7], false)] {
            let mut state = stepped_out_of(ahead(0, [0, 10]), Some(leap_at(boundary)));
            let after = ahead(200 * SECOND, ends);
            assert!(weigh(&mut state, &write(after)), "{ends:?}");
            assert_eq!(state.sources[0].word, Word::Own(after));
            let seen = leapt.then(|| leap_at(boundary).boundary);
            assert_eq!(state.leapt, seen, "{ends:?}");
        }
        // One that was announced is none that a step was taken for.
        let announced = leap_at(HOUR);
        let before = ahead(0, [0, 10]);
        let before = SyncClaim {
            claim: before.claim.with_leap(Some(announced)),
            ..before
        };
        let mut state = stepped_out_of(before, None);
        assert!(weigh(&mut state, &write(ahead(200 * SECOND, [2, 7]))));
        assert_eq!(state.leapt, None);
    }
}
