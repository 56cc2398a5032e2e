# SPDX-License-Identifier: Apache-2.0
"""One test as the runner knows it, and the paths of the tree."""

import dataclasses
import pathlib

TESTS = pathlib.Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
DEBUG, ASAN, FUZZ, TSAN = (ROOT / f"build-{kind}" for kind in ("debug", "asan", "fuzz", "tsan"))

# What a job takes of the machine while it runs. Labs mostly wait for their peers; the others compute.
A_CORE, ALL_CORES, A_LAB = "a core", "all cores", "a lab"
# When it runs: side by side with others; after those, with no other job at the same time; at the very end and only with --timing,
# with no other job either, because time judges it: only such a job has a second try.
BESIDE, LAST, TIMED = "beside others", "last", "timed"


@dataclasses.dataclass
class Job:
    name: str
    argv: list
    seconds: int  # time limit
    env: dict = dataclasses.field(default_factory=dict)
    root: bool = False
    cwd: pathlib.Path = ROOT
    build: pathlib.Path = DEBUG
    targets: tuple = ()  # of `build`; ninja makes them first
    takes: str = A_CORE
    stage: str = BESIDE
    after: tuple = ()  # names of jobs that must end first, if they are part of this run
    must_fail: bool = False  # runs a broken program: exit status 0 means that no check noticed
    seeds: range = range(0)  # of the simulator; each failing one is a verdict of its own
    drawn: bool = False  # draws inputs at random: it may pass although tests/expected_failures lists it


def table(name, fields):
    """The lines of tests/NAME as {name: [its other fields]}; verdict.check_tables() compares the names with the jobs."""
    out = {}
    for line in (TESTS / name).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        row = [field.strip() for field in line.split(" | ")]
        if len(row) != fields:
            raise SystemExit(f"tests/{name}: not a test and {fields - 1} more fields: {line}")
        if row[0] in out:
            raise SystemExit(f"tests/{name}: {row[0]} has two lines; one counts, with both texts in it")
        out[row[0]] = row[1:]
    return out
