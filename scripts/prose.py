#!/usr/bin/env python3
"""Counts how the prose of src/ reads; run from the root of the repository.

    scripts/prose.py                 figures per storey and in all
    scripts/prose.py -v [PATH…]      with every line that falls short, under these paths

verb      Of the documented public functions and methods (`pub`, `pub(crate)`, and those of public
          traits), and of all documented public items, the share whose first sentence begins with a
          third-person verb: its first word is capitalised, ends in -s and is no noun, adverb or
          pronoun that does (NOT_VERBS below).
long      First sentences of public items with more than 12 words.
whoever   Lines with whoever, somebody, nobody or anybody.
captions  Private functions and methods (no `pub` of any kind, no trait's) with a doc comment.
why       Words of `//` comments inside function bodies per line of code in them.

Test modules, loom models and `#[test]` functions are left out.
"""
import re
import sys
from collections import defaultdict
from pathlib import Path

NOT_VERBS = set("""Always Its This Thus As Nanoseconds Microseconds Milliseconds Seconds Minutes Bits
Bytes Has Is Was Does Settings Terms Bounds Rates Plus Less Minus Us Yes Across Perhaps Besides Clocks
Sources Leases Sometimes Errors Leaps Parts Words Times Counters Details Figures""".split())
FIGURES = ("functions", "fn_verb", "items", "verb", "long", "whoever", "private", "captions", "code", "why")
FUNCTION = re.compile(r"(?:pub(?:\([^)]*\))?\s+)?(?:const\s+|async\s+|unsafe\s+|extern\s+\S+\s+)*fn\s+(\w+)")
ITEM = re.compile(r"pub(?:\(crate\))?\s+(?:struct|enum|trait|const|static|type|mod|union|macro|\w+:)|#\[macro_export\]")


def first_sentence(doc):
    text = " ".join(doc).split("  ")[0]
    sentence = re.split(r"(?<=[.:;])\s", text)[0]
    return sentence.strip()


def has_verb(sentence):
    word = (sentence.split() or [""])[0].rstrip(",:;.")
    return bool(re.fullmatch(r"[A-Z][a-z]+s", word)) and word not in NOT_VERBS and not word.endswith("ss")


def without_tests(lines):
    """The lines that are not inside a test module; those become empty."""
    kept, depth, skipping, pending = [], 0, None, False
    for line in lines:
        bare = re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', '""', line.split("//")[0])
        if re.match(r"\s*#\[(cfg\((all\()?test|test\b|cfg\(loom\))", line):
            pending = True
        if pending and skipping is None and ("{" in bare or ";" in bare) and not bare.strip().startswith("#["):
            pending = False
            if "{" in bare:
                skipping = depth
        depth += bare.count("{") - bare.count("}")
        kept.append("" if skipping is not None or pending else line)
        if skipping is not None and depth <= skipping and "}" in bare:
            skipping = None
    return kept


def measure(path, say):
    count = defaultdict(int)
    doc, depth, body, trait, public_trait = [], 0, None, None, False
    for number, line in enumerate(without_tests(path.read_text().splitlines()), 1):
        bare = line.strip()
        if re.search(r"\b(whoever|somebody|nobody|anybody)\b", line, re.I):
            count["whoever"] += 1
            say("whoever", number, bare)
        if bare.startswith("///"):
            doc.append(bare[3:].strip())
            continue
        if bare.startswith("//"):
            if body is not None and not bare.startswith("//!"):
                count["why"] += len(bare.lstrip("/").split())
            continue
        if not bare:
            continue
        if bare.startswith("#[") or (doc and re.match(r"^[\w\s:=,\"'.()-]*\)?\]$", bare)) or (doc and not re.match(r"\w|\{", bare)):
            continue
        function, item = FUNCTION.match(bare), ITEM.match(bare)
        paragraph = doc[: doc.index("")] if "" in doc else doc
        sentence = first_sentence(paragraph)
        public = bare.startswith("pub") or bare.startswith("fn") and trait == "trait" and public_trait
        if (function or item) and public and doc and body is None:
            kinds = ("items", "verb"), ("functions", "fn_verb")
            for total, verb in kinds if function else kinds[:1]:
                count[total] += 1
                count[verb] += has_verb(sentence)
            if function and not has_verb(sentence):
                say("no verb", number, sentence)
            if len(sentence.split()) > 12:
                count["long"] += 1
                say("long", number, sentence)
        if function and not public and trait not in ("impl-trait", "trait") and body is None:
            count["private"] += 1
            count["captions"] += bool(doc)
            if doc:
                say("caption", number, sentence)
        doc = []
        code = re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', '""', bare.split(" //")[0])
        if body is not None:
            count["code"] += 1
            if " //" in bare:
                count["why"] += len(bare.split(" //", 1)[1].split())
        block = re.match(r"(pub(?:\(\w+\))?\s+)?(?:unsafe\s+)?(trait|impl)\b", bare)
        if block and depth == 0:
            public_trait = bool(block.group(1))
            trait = "trait" if block.group(2) == "trait" else "impl"
            if trait == "impl" and re.search(r"\bfor\s+[&(\w\[]", re.sub(r"for<[^>]*>", "", bare)):
                trait = "impl-trait"
        if function and body is None and not code.endswith(";"):
            body = depth
        depth += code.count("{") - code.count("}")
        if body is not None and depth <= body and ("}" in code or code.endswith(";")):
            body = None
        if depth == 0 and code.startswith("}"):
            trait = None
    return count


def main():
    loud = "-v" in sys.argv
    paths = [Path(p) for p in sys.argv[1:] if p != "-v"] or [Path("src")]
    files = [f for p in paths for f in ([p] if p.is_file() else sorted(p.rglob("*.rs")))]
    files = [f for f in files if "loom_model" not in f.name]
    storeys, everything = defaultdict(lambda: defaultdict(int)), defaultdict(int)
    for file in files:
        def say(what, line, text, file=file):
            if loud:
                print(f"{file}:{line}: {what}: {text}")
        storey = file.parts[1].removesuffix(".rs") if len(file.parts) > 1 else file.stem
        for figure, value in measure(file, say).items():
            storeys[storey][figure] += value
            everything[figure] += value
    print(f"{'storey':<10} {'fn verb':>15} {'item verb':>15} {'long':>5} {'whoever':>8} {'captions':>14} {'why':>6}")
    for name, c in [*sorted(storeys.items()), ("all", everything)]:
        def share(part, whole, c=c):
            return f"{c[part]}/{c[whole]} {100 * c[part] / max(c[whole], 1):3.0f} %"
        print(f"{name:<10} {share('fn_verb', 'functions'):>15} {share('verb', 'items'):>15} {c['long']:>5} "
              f"{c['whoever']:>8} {share('captions', 'private'):>14} {c['why'] / max(c['code'], 1):>6.2f}")


main()
