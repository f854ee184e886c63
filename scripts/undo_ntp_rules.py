#!/usr/bin/env python3
"""Undoes rules of the NTP source one by one, in a copy, and sees the tests named for them fail.

    python3 scripts/undo_ntp_rules.py [RULE ...]

Each rule stands with the lines that it is undone by and the tests that must fail then. A rule whose lines
are not found, or whose tests pass without it, ends the run with 1. The copy is below the target directory.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
COPY = TARGET / "undone"
NTP = "src/source/ntp/"
# Whose tests are run.
PACKAGE = "epsilon-clock"

# Rule, file, what stands there, what is to stand there, where the tests are, the tests that must fail.
RULES = [
    ("X1", NTP + "proof.rs",
     "i128::from(sent.latest().unix_nanos()) + distance",
     "i128::from(exchange.reply.received.latest().unix_nanos()) + distance",
     "--lib", ["p1_a_server_set_right_while_it_holds_the_request",
               "p1_an_exchange_that_counts_contains_utc"]),
    ("X3", NTP + "exchange.rs",
     "    let after = sharp(machine);\n",
     "    let after = sharp(machine);\n    let received = received.max(after.raw);\n",
     "--lib", ["p1_a_suspend_before_any_read"]),
    ("X4", NTP + "server.rs",
     "clocks.sent > self.barrier",
     "clocks.received > i64::MIN",
     "--lib", ["x4_an_exchange_that_began_before_a_void_does_not_count"]),
    ("X6", NTP + "judgement.rs",
     "is_alone || (rules.max_faulty >= 1 && servers > rules.max_faulty)",
     "servers >= 1",
     "--lib", ["x6_one_server_that_held_a_request_for_too_long_is_at_fault_itself"]),
    ("X8", NTP + "exchange.rs",
     ".filter(|at| sent <= at.lo && at.hi <= received)",
     "",
     "--lib", ["p1_a_suspend_before_any_read", "p1_an_exchange_that_counts_contains_utc"]),
    ("X8 at its late end", NTP + "exchange.rs",
     ".map_or(received, |at| at.hi)",
     ".map_or(received, |at| at.lo)",
     "--lib", ["p1_a_suspend_before_any_read",
               "x8_a_stamp_of_the_kernels_takes_off_what_the_reader_was_late"]),
    ("G1", NTP + "judgement.rs",
     "agreement(&carried, rules.max_faulty)",
     "agreement(&carried, (carried.len() + rules.max_faulty).saturating_sub(rules.votes.count))",
     "--lib", ["p4_p5_the_agreement_contains_utc_whoever_is_silent",
               "p5_silencing_honest_servers_makes_no_claim_false"]),
    ("G4", NTP + "judgement.rs",
     "member.exchange.server == exchange.server || vote(member.server) == vote(server)",
     "vote(member.server) == vote(server)",
     "--lib", ["g4_two_names_of_one_address_have_one_vote"]),
    ("R1", NTP + "server.rs",
     "pub(super) const OLDEST: i64 = WINDOW;",
     "pub(super) const OLDEST: i64 = 100 * WINDOW;",
     "--lib", ["p11_r4_a_rate_that_changed_before_the_window"]),
    ("R2", NTP + "server.rs",
     "if kept.iter().any(excludes) {",
     "if false && kept.iter().any(excludes) {",
     "--lib", ["r2_a_server_that_contradicts_itself_has_no_vote_until_two_agree"]),
    ("R4", NTP + "server.rs",
     "if is_in_the_window && is_of_this_counter && clocks.sent > self.learned.since {",
     "if is_in_the_window || is_of_this_counter || clocks.sent > self.learned.since {",
     "--lib", ["p11_r4_a_rate_that_changed_before_the_window",
               "r4_what_is_forgotten_is_forgotten_of_the_exchanges_too"]),
    ("R5", NTP + "server.rs",
     "            self.learned.rate\n",
     "            self.guess\n",
     "--lib", ["r5_exchanges_are_carried_with_what_was_learned"]),
    ("R6", NTP + "judgement.rs",
     "if anew.count() <= rules.max_faulty {",
     "if anew.count() == 0 {",
     "--lib", ["p11_one_server_that_answers_makes_no_claim_of_old_exchanges_new"]),
    ("S1 by one of several", NTP + "leap.rs",
     "match (inserted > max_faulty, deleted > max_faulty) {",
     "match (inserted > 0, deleted > 0) {",
     "--lib", ["s1_a_lone_announcement_is_nobodys_leap_second",
               "s1_more_than_may_be_false_must_announce_it_on_a_months_last_day"]),
    ("S2", NTP + "leap.rs",
     "Timestamp::day_begins_a_half_year(day)\n",
     "false\n",
     "--lib", ["s2_one_announcement_is_enough_to_count_nothing_near_it"]),
    ("S3", NTP + "judgement.rs",
     "&& !fits_before(&claim, &leap, known)",
     "&& false",
     "--lib", ["s3_a_majority_that_leaps_late_is_not_believed"]),
    ("F1", NTP + "bucket.rs",
     "let granted = after <= empty;",
     "let granted = true;",
     "--lib", ["p6_no_stretch_holds_more_requests_than_the_budget",
               "p6_no_server_is_asked_beyond_the_budget"]),
    ("M1", "src/source/ntp.rs",
     "self.never_suspended || machine.tells_suspends()",
     "true",
     "--lib", ["m1_a_machine_that_cannot_tell_a_suspend_has_no_claim_to_sleep_through"]),
    ("M3", "src/clock/state/guard.rs",
     "if policy.steps_may_be_suspends && self",
     "if false && self",
     "--test it", ["m3_a_sleep_in_spite_of_the_users_word_leaves_no_interval_in_force",
                   "m3_a_step_may_have_been_a_sleep_and_a_slew_was_none"]),
    ("R7", "src/clock/policy.rs",
     "pub(crate) fn rate_of(&self, index: usize) -> usize {\n",
     "pub(crate) fn rate_of(&self, index: usize) -> usize {\n        if index < 9 { return 0; }\n",
     "--test it", ["r7_what_one_source_teaches_narrows_no_other_sources_claims",
                   "p9_p10_a_helper_changes_no_bit_of_what_a_judge_answers"]),
    ("S1 by a helper", "src/clock/state/look.rs",
     "policy.is_judge(index).then_some(look)",
     "Some(look).filter(|_| index < 9)",
     "--test it", ["s1_a_helpers_leap_second_is_on_no_other_scale"]),
    ("V1", "src/clock/policy.rs",
     "self.sources.get(index).is_some_and(role) || !self.sources.iter().any(role)",
     "self.sources.get(index).is_some() || !self.sources.iter().any(role)",
     "--test it", ["p9_p10_a_helper_changes_no_bit_of_what_a_judge_answers",
                   "a_helper_that_contradicts_a_judge_is_refused_by_name_and_size"]),
]


def copy() -> None:
    """Copies what is committed or new, but nothing that did not change: its builds are kept."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        source, place = ROOT / name, COPY / name
        if not source.is_file():
            continue
        if not place.exists() or place.read_bytes() != source.read_bytes():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)


def failures(where: str, tests: list[str]) -> set[str]:
    """Runs these tests in the copy; which of them failed."""
    command = ["cargo", "test", "--locked", "--quiet", "--package", PACKAGE, *where.split(), "--"]
    environment = dict(os.environ, CARGO_TARGET_DIR=str(TARGET / "undone-build"), RUSTFLAGS="-A warnings",
                       RUST_BACKTRACE="0", PROPTEST_DISABLE_FAILURE_PERSISTENCE="1")
    run = subprocess.run(command + tests, cwd=COPY, env=environment, capture_output=True, text=True)
    if "test result" not in run.stdout:
        sys.exit("error: does not build:\n" + run.stderr[-3000:])
    failed = re.findall(r"^---- (\S+) stdout", run.stdout, re.MULTILINE)
    return {name.rsplit("::", 1)[-1] for name in failed}


def main() -> int:
    wanted = sys.argv[1:]
    wrong = 0
    for rule, name, there, instead, where, tests in RULES:
        if wanted and rule.split()[0] not in wanted:
            continue
        copy()
        path = COPY / name
        text = path.read_text()
        if text.count(there) != 1:
            print(f"{rule}: its lines stand {text.count(there)} times in {name}", flush=True)
            wrong = 1
            continue
        path.write_text(text.replace(there, instead))
        failed = failures(where, tests)
        passed = [test for test in tests if test not in failed]
        if passed:
            wrong = 1
            print(f"{rule}: undone, and still passed: {', '.join(passed)}", flush=True)
        else:
            print(f"{rule}: undone, and seen by {', '.join(tests)}", flush=True)
    copy()
    return wrong


if __name__ == "__main__":
    sys.exit(main())
