#!/usr/bin/env python3
"""Tries mutants of the library: all of them built at once, each tried with the tests that reach it.

    scripts/mutants.py build             lists them, writes them into a copy behind switches, builds it
    scripts/mutants.py cover             runs every test once by itself: what it reaches, how long it takes
    scripts/mutants.py try [FILE…]       tries the mutants of these files, or of all; goes on where it stopped
    scripts/mutants.py again             forgets the verdict on survivors, to try them with newer tests
    scripts/mutants.py table             tells the results, as docs/mutants.md has them
    scripts/mutants.py sum               adds up the rows of docs/mutants.md, and writes the sums there

Which mutants there are, cargo-mutants says; scripts/mutants/ writes them into the copy. Everything is kept in
target/mutants, or in the folder that EPSILON_CLOCK_MUTANTS names. `build` begins anew, and keeps the verdicts
on mutants whose name and surroundings are as they were.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASE = Path(os.environ.get("EPSILON_CLOCK_MUTANTS", ROOT / "target" / "mutants")).resolve()
COPY = BASE / "copy"
# Where a wrong line costs data, and what the tests reach at all. Not `testing`, which tests the tests, nor
# what is compiled for other platforms, nor the system calls, which no scripted machine makes.
EXCEPT = re.compile(r"src/(testing|interop|engine|guide)|loom_model|portable|/nts/|machine/sys")
# Tests that measure, or that need minutes: no verdict of theirs is worth that.
LEFT_OUT = re.compile(r"^(architecture|readme|programs|labels|dates|commit_wait_example)")
LONGEST_TEST = 20.0
# How many seconds of tests a mutant has to live through, the quickest of those that reach it.
BUDGET = float(os.environ.get("EPSILON_CLOCK_MUTANTS_SECONDS", "60"))


def sh(command, **options):
    return subprocess.run(command, check=True, **options)


def build_environment():
    """Of the copy: the compiler that builds the tests, with its own unstable features let in."""
    environment = dict(os.environ, RUSTC_BOOTSTRAP="1")
    environment["CARGO_TARGET_DIR"] = os.environ.get("EPSILON_CLOCK_MUTANTS_TARGET", str(BASE / "target"))
    environment.setdefault("CARGO_PROFILE_DEV_DEBUG", "0")
    environment.setdefault("CARGO_PROFILE_TEST_DEBUG", "0")
    return environment


def fresh_copy(tool, dropped):
    files = sh(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True)
    for name in files.stdout.decode().split("\0"):
        source, to = ROOT / name, COPY / name
        if name and source.is_file():
            to.parent.mkdir(parents=True, exist_ok=True)
            data = source.read_bytes()
            if name.endswith("Cargo.toml"):
                data = re.sub(rb"(?ms)^\[(workspace\.)?lints.*?(?=^\[(?!workspace\.lints)|\Z)", b"", data)
            # What is as it was keeps its date, and is not built again.
            if not name.startswith("src/") and to.exists() and to.read_bytes() == data:
                continue
            to.write_bytes(data)
    sh([tool, BASE / "list.json", COPY, dropped])


def charged(message):
    """The mutants or expressions that an error of the compiler lies in, the innermost first."""
    for span in sorted(message["spans"], key=lambda span: not span["is_primary"]):
        path = COPY / span["file_name"]
        if not path.is_file():
            continue
        text = path.read_text()
        lines = text.split("\n")
        at = sum(len(line) + 1 for line in lines[: span["line_start"] - 1]) + span["column_start"] - 1
        open_now = []
        for mark in re.finditer(r"/\*(?:<(g?\d+)|(g?\d+)>)\*/", text):
            if mark.start() > at:
                break
            if mark.group(1):
                open_now.append(mark.group(1))
            elif mark.group(2) in open_now:
                open_now.remove(mark.group(2))
        if open_now:
            return open_now[::-1]
    return []


def build():
    BASE.mkdir(parents=True, exist_ok=True)
    target = ["--target-dir", str(BASE / "tool")]
    sh(["cargo", "build", "--release", "--quiet", "--manifest-path", ROOT / "scripts/mutants/Cargo.toml", *target])
    tool = BASE / "tool/release/epsilon-clock-mutants"
    listed = sh(["cargo", "mutants", "--list", "--json"], cwd=ROOT, capture_output=True).stdout
    mutants = [m for m in json.loads(listed) if not EXCEPT.search(m["file"])]
    old = load_state()
    (BASE / "list.json").write_text(json.dumps(mutants))
    dropped_path = BASE / "dropped"
    dropped = set()
    for turn in range(40):
        dropped_path.write_text("".join(f"{number}\n" for number in sorted(dropped)))
        fresh_copy(tool, dropped_path)
        checked = subprocess.run(
            ["cargo", "check", "--test", "it", "--message-format=json"],
            cwd=COPY, env=build_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        errors = [json.loads(line) for line in checked.stdout.splitlines() if '"compiler-message"' in line]
        errors = [e["message"] for e in errors if e["message"]["level"] == "error" and e["message"]["spans"]]
        found = set()
        for error in errors:
            inside = charged(error)
            if inside:
                found.add(inside[0])
            else:
                print("not charged:", error["rendered"][:400])
        print(f"turn {turn}: {len(errors)} errors, {len(found)} left out", flush=True)
        if checked.returncode == 0:
            break
        if not found - dropped:
            sys.exit("the copy does not compile")
        dropped |= found
    built = sh(
        ["cargo", "test", "--no-run", "--lib", "--test", "it", "--message-format=json"],
        cwd=COPY, env=build_environment(), stdout=subprocess.PIPE, text=True,
    )
    found = [json.loads(line) for line in built.stdout.splitlines()]
    binaries = [f["executable"] for f in found if f.get("executable") and "src/bin" not in f["target"]["src_path"]]
    (BASE / "binaries.json").write_text(json.dumps(binaries))
    # Verdicts are kept by name: places move, and a name has its line in it, so by what it is in.
    keep = {name: verdict for name, verdict in old.items() if name in {key(m) for m in mutants}}
    save_state(keep)
    print(f"{len(mutants)} mutants, {len(dropped)} left out, {len(keep)} verdicts kept")


def key(mutant):
    """A name that does not change when lines are put in elsewhere in the file."""
    return f"{mutant['file']}: {mutant['name'].split(': ', 1)[1]} @{offset(mutant)}"


SOURCES = {}


def offset(mutant):
    """How far into its function it is, in lines and columns."""
    function = mutant.get("function") or {"span": {"start": {"line": 0}}}
    start = mutant["span"]["start"]
    return f"{start['line'] - function['span']['start']['line']}:{start['column']}"


def load_state():
    path = BASE / "verdicts.json"
    return json.loads(path.read_text()) if path.exists() else {}


def save_state(state):
    path = BASE / "verdicts.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(state, indent=0))
    fresh.replace(path)


def run(binary, arguments, environment, seconds):
    """Runs a test binary: its code, or `None` where it had to be ended. All that it started ends with it."""
    process = subprocess.Popen(
        [binary, *arguments], cwd=COPY, env=dict(os.environ, **environment), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def cover():
    tests = []
    only = sys.argv[2:]
    old = json.loads((BASE / "cover.json").read_text()) if only and (BASE / "cover.json").exists() else []
    for binary in json.loads((BASE / "binaries.json").read_text()):
        listed = sh([binary, "--list", "--format=terse"], cwd=COPY, capture_output=True, text=True).stdout
        for line in listed.splitlines():
            name, _, kind = line.rpartition(": ")
            if kind == "test" and not LEFT_OUT.match(name) and (not only or any(o in name for o in only)):
                tests.append((binary, name))
    result = [o for o in old if (o["binary"], o["name"]) not in set(tests)]
    path = BASE / "reached"
    for binary, name in tests:
        path.unlink(missing_ok=True)
        began = time.monotonic()
        code = run(binary, ["--exact", name, "--test-threads=1"], {"EC_COVER": str(path)}, 60)
        took = time.monotonic() - began
        if code != 0:
            print(f"not used, fails or takes too long without a mutant: {name}")
            continue
        reached = sorted({int(n) for n in path.read_text().split()}) if path.exists() else []
        result.append({"binary": binary, "name": name, "seconds": took, "reached": reached})
    (BASE / "cover.json").write_text(json.dumps(result))
    print(f"{len(result)} tests, {sum(r['seconds'] for r in result):.0f} s in all")


def attempt(number, mutant, tests):
    """Runs the tests that reach a mutant, the quick ones first, until one fails."""
    environment = {"EC_MUTANT": str(number), "PROPTEST_MAX_SHRINK_ITERS": "0"}
    left, spent = [], 0.0
    # Those first whose names share the most words with what was mutated, then the quick ones.
    words = set(re.findall("[a-z]{4,}", mutant["file"] + " " + mutant["name"].split(" in ")[-1].lower()))
    short = [t for t in tests if t["seconds"] < LONGEST_TEST]

    def order(test):
        return -len(words & set(re.findall("[a-z]{4,}", test["name"]))), test["seconds"]

    for test in sorted(short, key=order):
        spent += test["seconds"]
        if left and spent > BUDGET:
            break
        left.append(test)
    if not left:
        return "missed", "no test reaches it"
    tried = len(left)
    while left:
        # As many at a time as take about a second, of one binary, in that order.
        binary, batch, seconds = left[0]["binary"], [], 0.0
        for test in left:
            if test["binary"] == binary and (not batch or seconds + test["seconds"] < 1.0):
                batch.append(test)
                seconds += test["seconds"]
        left = [test for test in left if test not in batch]
        names = [test["name"] for test in batch]
        arguments = ["--exact", "--test-threads=1", "-Zunstable-options", "--fail-fast", *names]
        code = run(binary, arguments, dict(environment, RUSTC_BOOTSTRAP="1"), 10 + 6 * seconds)
        if code is None:
            return "timeout", ", ".join(names[:3])
        if code != 0:
            return "caught", ", ".join(names[:3])
    return "missed", f"{len(tests)} tests reach it, {tried} were run"


def attempts():
    mutants = json.loads((BASE / "list.json").read_text())
    dropped = set((BASE / "dropped").read_text().split())
    written = set()
    for path in (COPY / "src").rglob("*.rs"):
        written |= {int(n) for n in re.findall(r"__m\((\d+)\)", path.read_text())}
    by_mutant = defaultdict(list)
    for test in json.loads((BASE / "cover.json").read_text()):
        for number in test["reached"]:
            by_mutant[number].append(test)
    files = sys.argv[2:]
    state = load_state()
    order = {file: place for place, file in enumerate(files)}
    for number, mutant in sorted(
        enumerate(mutants), key=lambda pair: (order.get(pair[1]["file"], 0), pair[0])
    ):
        if files and mutant["file"] not in files or key(mutant) in state:
            continue
        if str(number) in dropped:
            state[key(mutant)] = ["unviable", ""]
        elif mutant["function"] is None:
            # Worked out by the compiler, where no switch can be.
            state[key(mutant)] = ["not tried", "a constant"]
        elif number not in written:
            state[key(mutant)] = ["not tried", "could not be put behind a switch"]
        else:
            state[key(mutant)] = list(attempt(number, mutant, by_mutant[number]))
            if state[key(mutant)][0] == "missed":
                print(f"missed: {mutant['name']}: {state[key(mutant)][1]}", flush=True)
            save_state(state)
    save_state(state)
    table()


def again():
    save_state({name: verdict for name, verdict in load_state().items() if verdict[0] in ("caught", "timeout", "unviable")})


def table():
    verdicts = defaultdict(Counter)
    for name, (verdict, _) in load_state().items():
        verdicts[name.split(": ")[0]][verdict] += 1
    kinds = ["caught", "timeout", "missed", "unviable", "not tried"]
    print("| file | tried | " + " | ".join(kinds) + " |")
    print("|---|" + "--:|" * (len(kinds) + 1))
    total = Counter()
    for file, counts in sorted(verdicts.items()):
        total += counts
        tried = sum(counts[kind] for kind in kinds[:3])
        print(f"| `{file}` | {tried} | " + " | ".join(str(counts[kind]) for kind in kinds) + " |")
    tried = sum(total[kind] for kind in kinds[:3])
    print(f"| all | {tried} | " + " | ".join(str(total[kind]) for kind in kinds) + " |")
    if tried:
        print(f"{100 * (tried - total['missed']) / tried:.1f} % caught")


def add_up():
    """Writes the sums of the rows into docs/mutants.md, which must list as many mutants as the rows count."""
    path = ROOT / "docs" / "mutants.md"
    text = path.read_text()
    rows = re.findall(r"^\| `src/[^`]*` \|((?: \d+ \|){7})$", text, re.M)
    sums = [sum(column) for column in zip(*([int(n) for n in re.findall(r"\d+", row)] for row in rows))]
    tried, caught, endless, equivalent, is_open, _, _ = sums
    if tried != caught + endless + equivalent + is_open:
        sys.exit("the columns do not add up to what was tried")
    listed = text.partition("\n# Equivalent\n")[2].partition("\n# Open\n")
    for part, count in ((listed[0], equivalent), (listed[2], is_open)):
        found = len(re.findall(r"^\| `src/", part, re.M))
        if found != count:
            sys.exit(f"the rows count {count} where {found} are listed")
    text = re.sub(r"^\| all \|.*$", f"| all | {' | '.join(map(str, sums))} |", text, flags=re.M)
    told = (
        f"**{tried}\nmutants, {caught + endless} caught ({endless} of them by never ending), {equivalent} "
        f"equivalent, {is_open} open.** That is {100 * (caught + endless) / tried:.1f} % of all,\n"
        f"and {100 * (caught + endless) / (tried - equivalent):.1f} % of those that change what the library does."
    )
    text, found = re.subn(r"\*\*\d+\s+mutants,.*? library does\.", lambda _: told, text, flags=re.S)
    if found != 1:
        sys.exit("the sentence with the sums is not there")
    path.write_text(text)


COMMANDS = {"build": build, "cover": cover, "try": attempts, "again": again, "table": table, "sum": add_up}

if __name__ == "__main__":
    # So that a test which runs is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]]()
