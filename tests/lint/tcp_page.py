#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks docs/internals/tcp-rfcs.md: it has every row of RFC 9293, appendix B; named code and tests exist; named breaks make the test fail."""

import functools
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build-debug")) / "tests/tcpscript/run"
PAGE = ROOT / "docs/internals/tcp-rfcs.md"
ROWS = {f"{kind}-{i}" for kind, last in (("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)) for i in range(1, last + 1)}
STATES = ("held, with a limit:", "held", "not held:", "does not apply:")


@functools.lru_cache(None)
def text(path):
    return (ROOT / path).read_text(errors="replace") if (ROOT / path).is_file() else ""


@functools.lru_cache(None)
def all_text(pattern):
    return "\n".join(text(p.relative_to(ROOT)) for p in sorted(ROOT.glob(pattern)))


def missing_source(name):
    path, _, call = name.partition(" ")
    body = text(f"lib/{path}" if "/" in path else f"lib/tcp/{path}")
    if not body:
        return f"no file {path}"
    # A definition: the name at the begin of a call that no semicolon ends before its body.
    if call and not re.search(r"\b" + re.escape(call[:-2]) + r"\([^;{}]*\)\s*\{", body):
        return f"{path} has no function {call}"
    return None


def missing_unit(room, name):
    return None if f'{{"{name}", ' in all_text(f"tests/unit/{room}/*.c") else f'tests/unit/{room} has no test "{name}"'


def missing_scenario(name):
    sources = all_text("tests/sim/scenario_*.c")
    # In full, or by a macro that makes it from its first argument.
    found = re.search(rf'\bscenario_{name}\b|SCENARIO\(\s*{name},|\bGOODPUT\(\s*{name.removeprefix("goodput_")},', sources)
    return None if found else f"the simulator has no scenario {name}"


def missing_row(kind, name):
    macro, path = {"break": ("MT_BREAK", "lib/base/breaks.def"), "mutant": ("MT_MUTANT", "lib/base/mutants.def")}[kind]
    return None if f"{macro}({name}," in text(path) else f"{path} has no {name}"


def missing(span):
    """What is wrong with something in backquotes; None: it exists."""
    if re.fullmatch(r"\w+\.tcp", span):
        return None if text(f"tests/tcpscript/cases/{span}") else f"no packet script {span}"
    if m := re.fullmatch(r'unit_(\w+) "(.+)"', span):
        return missing_unit(*m.groups())
    if m := re.fullmatch(r"sim (\w+)", span):
        return missing_scenario(m[1])
    if m := re.fullmatch(r"(break|mutant) (\w+)", span):
        return missing_row(*m.groups())
    if re.fullmatch(r"(\w+/)?\w+\.[ch]( \w+\(\))?", span):
        return missing_source(span)
    return f"`{span}` is neither code nor a test"


def rows(page):
    """(line number, cells) of each row of a table that has a state, where and test."""
    width = 0
    for n, line in enumerate(page.split("\n"), 1):
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            width = 0
        elif cells[-3:] == ["state", "where", "test"]:
            width = len(cells)
        elif width and not set(line) <= set("|- "):
            yield n, cells, width


def row_faults(cells, width):
    if len(cells) != width:
        yield f"{len(cells)} cells, not {width}"
        return
    state, where, test = cells[-3:]
    if not state.startswith(STATES):
        yield f"the state is none: {state}"
    spans = re.findall(r"`([^`]+)`", where), re.findall(r"`([^`]+)`", test)
    if not spans[0]:
        yield "names no code"
    for span in spans[0] + spans[1]:
        if why := missing(span):
            yield why
    if not spans[1] and test != "no test":
        yield "names no test and does not say so"
    if cells[0].startswith("MUST-") and state.startswith("held") and not spans[1]:
        yield "a MUST that is held without a test"


def faults(page):
    seen = []
    for n, cells, width in rows(page):
        for fault in row_faults(cells, width):
            yield f"line {n}: {cells[0]}: {fault}"
        if width == 5:
            seen.append(cells[0])
    for name in sorted(ROWS - set(seen)):
        yield f"no row {name}"
    for name in sorted({r for r in seen if seen.count(r) > 1 or r not in ROWS}):
        yield f"{name} is there twice, or is no row of the appendix"


def unnoticed(page):
    """Rules broken on purpose that no script of their row notices."""
    if not SCRIPTS.exists():
        yield f"{SCRIPTS} is not built: breaks cannot be tried"
        return
    for n, cells, _ in rows(page):
        cases = re.findall(r"`(\w+)\.tcp`", cells[-1])
        for rule in re.findall(r"`break (\w+)`", cells[-1]):
            if not cases or subprocess.run([SCRIPTS, "--break", rule, *cases], capture_output=True, timeout=60).returncode != 1:
                yield f"line {n}: {cells[0]}: none of its scripts fails with --break {rule}"


def blind_to(page):
    """Faults that were made on purpose and not found."""
    for old, new in ((" `karn.tcp`", " `no_such.tcp`"), ('"CUBIC"', '"no such"'), ("sim tcp_death", "sim no_such"),
                     ("break paws_off", "break no_such"), ("mutant lost_fin", "mutant no_such"), ("ack.c advance()", "ack.c nosuch()"),
                     ("in.c miss()", "no_such.c miss()"), ("| MUST-40 |", "| MUST-41 |"), ("| `checksum.tcp`", "| no test `x"),
                     ("| held, or by", "| fine, or by")):
        if old not in page or not list(faults(page.replace(old, new))):
            yield f"this check is not known to notice {old.strip()} -> {new.strip()}"


def main():
    page = PAGE.read_text()
    found = list(faults(page)) or list(blind_to(page)) + list(unnoticed(page))
    for fault in found:
        print(f"docs/internals/tcp-rfcs.md: {fault}", file=sys.stderr)
    states = [cells[-3] for _, cells, width in rows(page) if width == 5]
    for state in STATES:
        count = sum(next(s for s in STATES if t.startswith(s)) == state for t in states if t.startswith(STATES))
        print(f"  {count:3} rows of RFC 9293 {state.rstrip(':')}")
    return 1 if found else 0


sys.exit(main())
