# SPDX-License-Identifier: Apache-2.0
"""A test as the runner sees it, and the paths of the tree."""

import dataclasses
import pathlib

TESTS = pathlib.Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
DEBUG, ASAN, FUZZ, TSAN = (ROOT / f"build-{kind}" for kind in ("debug", "asan", "fuzz", "tsan"))

# Resources that a job uses while it runs. Labs mostly wait for their peers; other jobs compute.
A_CORE, ALL_CORES, A_LAB = "a core", "all cores", "a lab"
# When a job runs: in parallel with others; after those and alone; after their second tries, because it reads what they recorded; or at
# the very end, alone and only with --timing, because its result depends on time.
BESIDE, LAST, READER, TIMED = "beside others", "last", "reader", "timed"


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
    after: tuple = ()  # names of jobs that must end first, if this run contains them
    must_fail: bool = False  # runs a broken program: exit status 0 means that no check detected it
    seeds: range = range(0)  # of the simulator; each failing seed is a result of its own
    drawn: bool = False  # draws random inputs: it may pass although tests/expected_failures lists it


def table(name, fields):
    """The lines of tests/NAME as {name: [other fields]}; verdict.check_tables() compares the names with the jobs."""
    out = {}
    for line in (TESTS / name).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        row = [field.strip() for field in line.split(" | ")]
        if len(row) != fields:
            raise SystemExit(f"tests/{name}: a line needs a test and {fields - 1} more fields: {line}")
        if row[0] in out:
            raise SystemExit(f"tests/{name}: {row[0]} has two lines; write one line with both texts")
        out[row[0]] = row[1:]
    return out
