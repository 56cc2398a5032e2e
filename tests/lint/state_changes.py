#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Changes of state of exchanges, attempts and connections (lib/proxy/mt_states.h). Only the functions of that header change a state. Each
change that a table allows is made by some test: unit tests and seeds of the simulator write the changes that they make
(tests/states_seen.h) to files in the directory MELTEMI_OUTCOMES_OF, which tests/run sets. The file state_changes_never lists the others.

  tests/lint/state_changes.py             fails if a change is never made and not listed, or listed and made
  tests/lint/state_changes.py --update    removes the lines of changes that are made; it never adds one
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROXY = ROOT / "lib/proxy"
KEPT = pathlib.Path(__file__).with_name("state_changes_never")
DIRECT = re.compile(r"\b(?:ex|copy|a|u|d)->(?:attempt\.)?(?:state|receive|ending) = \S")
HEAD = """\
# Changes of state that the tables of lib/proxy allow and no test makes: object, from, to. This list only shrinks
# (tests/lint/state_changes.py --update).
"""


def direct():
    return [f"{path.relative_to(ROOT)}:{number}: changes a state without the functions of mt_states.h: {line.strip()}"
            for path in sorted(PROXY.rglob("*.[ch]")) if path.name != "mt_states.h"
            for number, line in enumerate(path.read_text().splitlines(), 1) if DIRECT.search(line)]


def noted(folder):
    """({changes that the tables allow}, {changes that were made}), each "object from to"."""
    rows = [line.split(maxsplit=1) for path in folder.iterdir() for line in path.read_text().splitlines()]
    return tuple({text for word, text in rows if word == wanted} for wanted in ("may", "was"))


def kept():
    return {line for line in KEPT.read_text().splitlines() if line and not line.startswith("#")}


def main():
    faults = direct()
    if "MELTEMI_OUTCOMES_OF" not in os.environ:
        print("\n".join(faults) or "SKIPPED: reads what other tests of a run do; run it with all others, or with `tests/run --quick`")
        sys.exit(1 if faults else 77)
    may, was = noted(pathlib.Path(os.environ["MELTEMI_OUTCOMES_OF"]))
    if "--update" in sys.argv:
        KEPT.write_text(HEAD + "".join(f"{row}\n" for row in sorted(kept() & may - was)))
    faults += [f"{row}: no test makes this change; add a test, or take it out of the table" for row in sorted(may - was - kept())]
    faults += [f"{KEPT.relative_to(ROOT)}: {row}: a test makes it, or no table has it; run tests/lint/state_changes.py --update"
               for row in sorted(kept() - (may - was))]
    print("\n".join(faults) or f"{len(may)} changes of state: {len(was)} are made by tests")
    sys.exit(bool(faults) or not may)


main()
