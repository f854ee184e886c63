//! Leases and fences, held against the truth (T7, W1).

use core::time::Duration;

use super::{Checker, Law, RESOLUTION, Subject, Taken, miss};
use epsilon_clock::lease::FencingToken;
use epsilon_clock::time::{Interval, Timestamp};

impl Checker {
    /// From this true instant on, `by` is the holder of a lease: whoever decides about it let it in.
    ///
    /// `lease` is any number that tells leases apart.
    pub fn took_over(&mut self, lease: u64, by: Subject, now: Timestamp) {
        self.holders.insert(lease, Taken { by, at: now });
    }

    /// `subject` was told that it holds a lease, by a call that began at true time `called`: T7,
    /// against `until`, the true instant at which it ends, and against whoever took over before.
    ///
    /// `detail` is what belongs in a report.
    pub fn held(
        &mut self,
        subject: Subject,
        lease: u64,
        until: Option<Timestamp>,
        called: Timestamp,
        detail: impl FnOnce() -> String,
    ) {
        let overstayed = until.map_or(Duration::ZERO, |until| miss(called, until));
        let usurped = self
            .holders
            .get(&lease)
            .filter(|taken| taken.by != subject && taken.at <= called)
            .map(|taken| called.abs_diff(taken.at));
        let by = match usurped {
            Some(by) => by.max(overstayed),
            None if overstayed > RESOLUTION => overstayed,
            None => return,
        };
        self.report_at(Law::T7, subject, called, by, detail());
    }

    /// `subject` was told that a lease until `expiry` is surely over, by a call that returned at true
    /// time `now`: T7.
    pub fn expired(
        &mut self,
        subject: Subject,
        expiry: Timestamp,
        now: Timestamp,
        detail: impl FnOnce() -> String,
    ) {
        let early = miss(expiry, now);
        if early > RESOLUTION {
            self.report_at(Law::T7, subject, now, early, detail());
        }
    }

    /// A resource accepted a write with this token: W1; whether it was not stale.
    ///
    /// `resource` is any number that tells resources apart.
    pub fn accepted(
        &mut self,
        resource: u64,
        subject: Subject,
        token: FencingToken,
        now: Timestamp,
        detail: impl FnOnce() -> String,
    ) -> bool {
        let highest = self.accepted.get(&resource).copied();
        self.accepted
            .insert(resource, highest.unwrap_or(token).max(token));
        let Some(highest) = highest.filter(|highest| token < *highest) else {
            return true;
        };
        let detail = format!("  {token} was accepted after {highest}\n{}", detail());
        self.report_at(Law::W1, subject, now, Duration::ZERO, detail);
        false
    }

    fn report_at(
        &mut self,
        law: Law,
        subject: Subject,
        at: Timestamp,
        by: Duration,
        detail: String,
    ) {
        let call = self.call(subject, at);
        self.report(law, &call, at, Interval::point(at), by, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_unix_nanos(nanos)
    }

    #[test]
    fn t7_nobody_holds_what_somebody_else_took_or_what_is_over() {
        let mut checker = Checker::new();
        let (one, other) = (checker.subject("one"), checker.subject("other"));
        checker.took_over(7, one, at(10));
        checker.held(one, 7, Some(at(100)), at(99), String::new);
        checker.held(one, 7, Some(at(100)), at(102), String::new);
        assert_eq!(checker.violations(), 0);
        checker.held(one, 7, Some(at(100)), at(103), String::new);
        assert_eq!(checker.broken(Law::T7), 1);
        checker.took_over(7, other, at(120));
        // Called before that; and another lease.
        checker.held(one, 7, None, at(119), String::new);
        checker.held(one, 8, None, at(121), String::new);
        checker.held(other, 7, None, at(121), String::new);
        assert_eq!(checker.broken(Law::T7), 1);
        checker.held(one, 7, None, at(120), String::new);
        assert_eq!(checker.broken(Law::T7), 2);
        checker.expired(other, at(100), at(98), String::new);
        assert_eq!(checker.broken(Law::T7), 2);
        checker.expired(other, at(100), at(97), String::new);
        assert_eq!((checker.broken(Law::T7), checker.violations()), (3, 3));
    }

    #[test]
    fn w1_a_token_older_than_one_accepted_is_stale() {
        let mut checker = Checker::new();
        let subject = checker.subject("one");
        let token = |number| FencingToken::new(number).unwrap();
        let mut accept = |resource, number| {
            checker.accepted(resource, subject, token(number), at(1), String::new)
        };
        assert!(accept(1, 33) && accept(1, 33) && accept(1, 34));
        assert!(accept(2, 33));
        assert!(!accept(1, 33) && !accept(1, 33));
        assert_eq!((checker.broken(Law::W1), checker.violations()), (2, 2));
        assert!(
            checker
                .first()
                .unwrap()
                .detail
                .contains("token 33 was accepted after token 34")
        );
    }
}
