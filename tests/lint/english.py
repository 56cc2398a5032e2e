#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Plain English: counts phrases that make a reader stop (ODD below) in comments and messages of each library and program and in each
page, and comments beyond column 100. Each count has a ceiling in english_ceilings; ceilings are only lowered.

A guard against the return of these phrases. A low count does not show that a text reads well: of 27 sentences that a reader had to
read twice, one had such a phrase.

  tests/lint/english.py                  fails if a count exceeds its ceiling, and prints the places
  tests/lint/english.py --update         lowers the ceilings to the counts
  tests/lint/english.py --list NAME ...  prints every place in a library or page (lib/proxy, README.md)
  tests/lint/english.py --report         prints the counts per 1,000 sentences
  tests/lint/english.py --report DIR     the same for the C sources of another tree
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys

import prose
from files import tracked

ROOT = pathlib.Path(__file__).resolve().parents[2]
CEILINGS = pathlib.Path(__file__).with_name("english_ceilings")
KINDS = ("comments", "messages", "wide", "text")
PLACES_SHOWN = 30
GENERATED = ("docs/reference/metrics.md",)  # of others only a part, which has marks

# Words, as a regular expression, and what to write instead.
ODD = (
    (r"who|whom|whoever|whomever", "the actor: client, server, worker, caller, operator"),
    (r"whose", "\"of the ...\", \"with ...\", or another sentence"),
    (r"(?:some|no|any|every)body(?:'s)?|(?:some|any|every)one(?:'s)?|no\s+one", "the actor: \"no client\", \"each worker\""),
    (r"he|him|his|himself", "\"it\", or the actor"),
    (r"says?|said|saying", "\"specifies\", \"contains\", \"reports\", \"means\""),
    (r"tells?|told|telling", "\"reports\", \"notifies\", \"logs\", \"shows\""),
    (r"asks?|asked|asking", "\"queries\", \"requests\", \"checks\", \"requires\""),
    (r"aside", "\"ejected\""),
    (r"anew", "\"again\""),
    (r"mends?|mended", "\"fix\""),
    (r"(?:the|an?|its|their|each|every|at)\s+begins?(?!\s+to\b)|begins?\s+of", "\"start\" for the noun"),
    (r"behind", "\"after\""),
    (r"beside", "\"with\", \"next to\", \"in addition to\""),
    (r"(?<!there\s)(?<!here\s)(?:is|are|was|were)\s+no(?!\s+(?:longer|more|less|such)\b)", "\"is not a\""),
    (r"(?:of|by)\s+which", "two sentences, or \"with\""),
)
WORD = re.compile(r"(?<![\w/.<-])(?=[abehimnostw])(?:" + "|".join(f"({words})" for words, _ in ODD) + r")(?![\w(/]|[-.]\w)", re.I)
# A sentence that begins with a clause.
CLAUSE = re.compile(r"(?:what|whatever)\s(?!to\b|if\b|about\b)|whether\s|that\s+(?:an?|the|it|they|we|you|no|all|one|these|those|its|their|our|nothing|there)\s", re.I)
NO_CLAUSE = "the noun, or subject and verb first; \"True if\" for \"Whether\""

SAMPLES = (  # (text, phrases in it, number of sentences), to show that the lint works
    ("/* SPDX-License-Identifier: Apache-2.0 */\n", [], 0),
    ("/* What is sent goes first. Returns the bytes, e.g. 5 of them. */", ["What"], 2),
    ("/* Sends. `x`, what is lost. `y` */\n/* `x`: what is sent */\n/*\n * | who |\n */", [], 2),
    ("/*\n * It is\n * no error: who asks,\n * is told.\n */", ["is no", "who", "asks", "told"], 1),
    ("/* Frame of the message:\n *     what who said\n *\n * a   who   c\n * Sends `who` to mt_said(), ask() and ask.c. */", [], 2),
    ("int x; /* true if there is no endpoint */ // is no longer sent\n", [], 2),
    ("/* - behind the first\n * - beside the second\n */", ["behind", "beside"], 2),
    ("/* ---- who may call ------- */", ["who"], 1),
    ("f(\"told: one of %\" PRIu32\n\t\" others\", \"told\", \"a line\\nno end of it\", 'x');", ["told"], 2),
    ("# What he gets\n\nThe begin of `he`:\n\n    he said\n\n| a | by whom it is |\n|---|---|\n\n```\nhe\n```\n- Is this it? What is it?\n", ["he", "The begin", "whom"], 5),
)


def found_in(text):
    """(offset, words, what to write) of each odd phrase."""
    for sentence in text.sentences():
        if CLAUSE.match(sentence[0]) and not text.is_question(sentence) and not text.is_heading(sentence):
            yield sentence.start(), sentence[0].split()[0], NO_CLAUSE
    for match in WORD.finditer(text.text):
        yield match.start(), " ".join(match[0].split()), ODD[match.lastindex - 1][1]


class Counts:
    """The places in one library, program or page, by kind."""

    def __init__(self):
        self.places = {kind: [] for kind in KINDS}  # (path, line, what)
        self.sentences = collections.Counter()

    def add(self, path, kind, text):
        self.sentences[kind] += sum(1 for _ in text.sentences())
        self.places[kind] += [(path, text.line(at), f"\"{words}\": write {instead}") for at, words, instead in found_in(text)]

    def source(self, path, source):
        comments, messages, wide = prose.of_source(source)
        self.add(path, "comments", comments)
        self.add(path, "messages", messages)
        if path.endswith((".c", ".h")):
            self.places["wide"] += [(path, line, f"comment beyond column {prose.COLUMNS}") for line in wide]

    def of(self, kind):
        return len(self.places[kind])


def all_counts():
    found = collections.defaultdict(Counts)
    for path in tracked("lib/**.c", "lib/**.h", "lib/**.def", "app/**.c", "app/**.h", "app/**.def"):
        if (ROOT / path).is_file():
            found["/".join(path.split("/")[:2])].source(path, (ROOT / path).read_text(errors="replace"))
    for path in tracked(":(glob)*.md", "docs/**.md"):
        if path not in GENERATED and (ROOT / path).is_file():
            found[path].add(path, "text", prose.of_page((ROOT / path).read_text()))
    return found


def foreign_counts(folder):
    found = collections.defaultdict(Counts)
    for path in sorted(pathlib.Path(folder).rglob("*.[ch]")):
        found[folder].source(str(path), path.read_text(errors="replace"))
    return found


def ceilings():
    """{(name, kind): count}; none is 0. Of two sides of a merge that conflict, the lower one."""
    most = {}
    for line in CEILINGS.read_text().splitlines():
        name, *cells = line.split() or [""]
        for cell in cells if re.match(r"\w", name) else ():
            kind, count = cell.split("=")
            most[name, kind] = min(int(count), most.get((name, kind), int(count)))
    return most


HEAD = """\
# The most odd phrases (and comments beyond column 100) that each library, program and page may have: tests/lint/english.py says which they are.
# `tests/lint/english.py --update` lowers them to the counts, and resolves a conflict of a merge here. A library or page without a line may have none;
# one that is renamed takes its line along.
"""


def update(found, most):
    lines = []
    for name, counts in sorted(found.items()):
        least = {kind: min(counts.of(kind), most.get((name, kind), 0)) for kind in KINDS}
        if any(least.values()):
            lines.append(f"{name:36} " + " ".join(f"{kind}={count}" for kind, count in least.items() if count))
    CEILINGS.write_text(HEAD + "\n".join(lines) + "\n")


def changed_lines(name):
    """{(path, line)} that differ from the commit that changed the ceilings last."""
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout

    base, changed, path = git("log", "-1", "--format=%H", "--", str(CEILINGS)).strip(), set(), None
    for line in git("diff", "-U0", "--no-ext-diff", "--dst-prefix=b/", base or "HEAD", "--", name).split("\n"):
        if line.startswith("+++ "):
            path = line[6:]
        elif match := re.match(r"@@ .* \+(\d+)(?:,(\d+))? @@", line):
            changed |= {(path, int(match[1]) + i) for i in range(int(match[2] or 1))}
    return changed


def faults(found, most):
    for name, counts in sorted(found.items()):
        for kind in KINDS:
            ceiling = most.get((name, kind), 0)
            if counts.of(kind) <= ceiling:
                continue
            changed = changed_lines(name)
            places = [p for p in counts.places[kind] if p[:2] in changed] or counts.places[kind]
            what = "comments beyond column 100" if kind == "wide" else f"odd phrases in its {kind}"
            yield f"{name}: {counts.of(kind)} {what}, {ceiling} at most ({CEILINGS.relative_to(ROOT)}); {len(places)} of them may be new:"
            yield from (f"  {path}:{line}: {what}" for path, line, what in places[:PLACES_SHOWN])


def blind_to():
    """Samples in which other places are found than there are."""
    for text, wanted, sentences in SAMPLES:
        prose_of = (prose.of_page(text),) if text.startswith("#") else prose.of_source(text)[:2]
        words = [words for one in prose_of for _, words, _ in sorted(found_in(one))]
        count = sum(1 for one in prose_of for _ in one.sentences())
        if (words, count) != (wanted, sentences):
            yield f"this check finds {words} in {count} sentences, not {wanted} in {sentences}, in {text!r}"
    if prose.of_source("\n\t/*" + "x" * 95 + "*/\n/*" + "x" * 96 + "*/\n/* x\n" + "x" * 101 + "\n*/")[2] != [2, 5]:
        yield "this check does not find comments beyond column 100"


def report(found):
    print(f"{'for each 1,000 sentences':36} {'comments':>14} {'messages':>14} {'text':>14}   {'beyond column 100':>17}")
    total = Counts()
    for name, counts in [*sorted(found.items()), ("all", total)]:
        cells = []
        for kind in ("comments", "messages", "text"):
            n = counts.sentences[kind]
            cells.append(f"{1000 * counts.of(kind) / n:7.1f} {n:6}" if n else f"{'':14}")
        print(f"{name:36} {cells[0]} {cells[1]} {cells[2]}   {counts.of('wide') or '':>17}")
        for kind in KINDS:
            total.places[kind] += counts.places[kind] if name != "all" else []
        total.sentences += counts.sentences if name != "all" else collections.Counter()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--list", nargs="+", metavar="NAME")
    parser.add_argument("--report", nargs="?", const=ROOT, metavar="DIR")
    options = parser.parse_args()
    found = all_counts() if options.report in (None, ROOT) else foreign_counts(options.report)
    if options.report:
        report(found)
    for name in options.list or ():
        if name not in found:
            parser.error(f"there is no library or page {name}")
        for path, line, what in sorted(place for kind in KINDS for place in found[name].places[kind]):
            print(f"{path}:{line}: {what}")
    if options.report or options.list:
        return 0
    most = ceilings()
    if options.update:
        return update(found, most)
    bad = [*blind_to(), *faults(found, most)]
    lower = sum(counts.of(kind) < most.get((name, kind), 0) for name, counts in found.items() for kind in KINDS)
    print("\n".join(bad) or f"{sum(c.of(k) for c in found.values() for k in KINDS)} places, none above its ceiling"
          + (f"; {lower} counts fell: tests/lint/english.py --update" if lower else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
