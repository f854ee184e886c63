#!/usr/bin/env python3
"""Undoes rules of leases, safe time and elapsed time one by one, in a copy, and sees the simulated world show it.

    python3 scripts/undo_engine_rules.py [RULE ...]

As scripts/undo_ntp_rules.py, with the tests of crates/epsilon-clock-sim. What the library cannot do for an engine (bind
an append to its term, check before the state is read) is broken by the drivers of those tests themselves.
"""

import sys

import undo_ntp_rules as undone

LOG = "src/lease/log.rs"
SAFE = "src/engine/safe_time.rs"
ELAPSED = "src/lease/elapsed.rs"
OBSERVED = "src/lease/observed.rs"

LEASES = "l1_to_l16_no_read_under_a_lease_in_the_log_is_stale"
STAMPS = "q1_to_q6_no_read_under_stamps_is_stale"
SNAPSHOTS = "t1_to_t9_what_was_read_at_a_timestamp_is_read_there_for_ever"
SPANS = "e1_to_e4_a_waiter_never_counts_too_much_and_a_holder_never_too_little"
RECORDS = "o1_to_o4_no_process_holds_what_another_one_took"

# Rule, file, what stands there, what is to stand there, the tests that must fail then.
RULES = [
    ("L2", LOG, "Some((expiry, _)) if expiry > entry.expiry => {}",
     "Some((expiry, _)) if false && expiry > entry.expiry => {}", [STAMPS]),
    ("L3", LOG, "if entry.holder != self.holder || entry.term != log_term {",
     "if entry.holder != self.holder {", [STAMPS]),
    ("L4 a", LOG, "if !lead.noop_applied {", "if false {", [STAMPS]),
    ("L4 b", LOG, "if holder == Some(self.holder) || now.after(expiry) {", "if true {", [LEASES, STAMPS]),
    ("L4 b, surely", LOG, "if holder == Some(self.holder) || now.after(expiry) {",
     "if holder == Some(self.holder) || now.latest() > expiry {", [LEASES]),
    ("L4 d", LOG, "            None => Err(GateClosed::LeaseNotApplied),\n",
     "            None => Ok(Admission { term: lead.term }),\n", [LEASES, STAMPS]),
    ("L6", LOG, "lease.check(clock).map_err(", "Ok::<(), NotHeld>(()).map_err(", [LEASES, STAMPS]),
    ("L7", LOG, "        self.opened >= term\n", "        self.opened >= term || true\n", [LEASES, STAMPS]),
    ("L7, by its own", LOG, "        if entry.term == log_term {\n", "        if true {\n", [STAMPS]),
    ("L9", LOG, "if holder == Some(self.holder) || now.after(expiry) {",
     "if holder.map(|one| one.node) == Some(self.holder.node) || now.after(expiry) {", [LEASES, STAMPS]),
    ("L10", LOG, "        lead.stopped = true;\n", "        lead.stopped = false;\n", [LEASES]),
    ("L10, its own", LOG, "if release.term == log_term && self.holder() == Some(release.holder) {",
     "if true {", [STAMPS]),
    ("Q2", LOG, "(end(now.earliest())?, end(now.latest())?)", "(end(now.latest())?, end(now.earliest())?)",
     [STAMPS]),
    ("T-2", SAFE, "if timestamp <= closed {", "if timestamp < Timestamp::MIN {",
     ["t1_and_t2_a_log_in_another_order_is_caught"]),
    ("T-4", SAFE, "            state.replica.floor = state.replica.floor.max(timestamp);\n        });\n    }\n\n    /// Applies the abort",
     "        });\n    }\n\n    /// Applies the abort", [SNAPSHOTS]),
    ("T-5", SAFE, "Some(&prepared) if prepared <= timestamp => Err(", "Some(&prepared) if prepared > Timestamp::MAX => Err(",
     [SNAPSHOTS]),
    ("T-5, collected", SAFE, "        self.change(|state| state.replica.oldest = state.replica.oldest.max(oldest));\n",
     "        let _ = oldest;\n", [SNAPSHOTS]),
    ("T-8", SAFE, "        if timestamp >= expiry {\n", "        if timestamp > Timestamp::MAX {\n",
     [SNAPSHOTS]),
    ("T-8, in flight", SAFE, "filter(|drawn| **drawn <= timestamp)", "filter(|drawn| **drawn > Timestamp::MAX)",
     [SNAPSHOTS]),
    ("T-8, floor", SAFE,
     "        state.none_prepared(timestamp)?;\n        state.replica.floor = state.replica.floor.max(timestamp);\n",
     "        state.none_prepared(timestamp)?;\n", [SNAPSHOTS]),
    ("C-1", SAFE, "let timestamp = latest.max(above);", "let timestamp = latest.max(above.min(latest));",
     [SNAPSHOTS]),
    ("E-1, waiters", ELAPSED, "u128::from(elapsed) * slowest / BILLION;",
     "u128::from(elapsed) * slowest / slowest.max(1);", [SPANS]),
    ("E-1, holders", ELAPSED, "(u128::from(elapsed) * fastest).div_ceil(BILLION);",
     "(u128::from(elapsed) * fastest).div_ceil(fastest);", [SPANS]),
    ("E-2", ELAPSED, "if before.slept_until(&after) {", "if false && before.slept_until(&after) {", [SPANS]),
    ("E-3", ELAPSED, "checked_mul(BILLION)?.div_ceil(slowest);", "checked_mul(BILLION)?.div_ceil(BILLION.max(slowest));",
     [SPANS]),
    ("O-2", OBSERVED, "if seen.version == version && seen.term >= term", "if seen.term >= term", [RECORDS]),
    ("O-4", OBSERVED, "|drift| term.saturating_add(drift)", "|_| term", [RECORDS]),
]

if __name__ == "__main__":
    undone.PACKAGE = "epsilon-clock-sim"
    undone.RULES = [(rule, name, there, instead, "--test it", tests)
                    for rule, name, there, instead, tests in RULES]
    sys.exit(undone.main())
