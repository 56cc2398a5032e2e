# SPDX-License-Identifier: Apache-2.0
"""One test as the runner knows it, and the places of the tree."""

import dataclasses
import pathlib

TESTS = pathlib.Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
DEBUG, ASAN, FUZZ, TSAN = (ROOT / f"build-{kind}" for kind in ("debug", "asan", "fuzz", "tsan"))

ALL_CORES = 1 << 20  # a weight: nothing runs beside it
A_CORE, WAITS = 2, 1  # what computes; a lab, which waits for its peers most of the time


@dataclasses.dataclass
class Job:
    name: str
    argv: list
    seconds: int
    env: dict = dataclasses.field(default_factory=dict)
    root: bool = False
    cwd: pathlib.Path = ROOT
    build: pathlib.Path = DEBUG
    targets: tuple = ()  # what ninja has to make first; ("all",): everything
    weight: int = A_CORE
    alone: bool = False  # with nothing beside it, at the end


def table(name, fields):
    """The lines of tests/NAME: {test: [its other fields]}. A line that names no test is an error: the list would rot."""
    out = {}
    for line in (TESTS / name).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        row = [field.strip() for field in line.split(" | ")]
        if len(row) != fields or not (TESTS / f"{row[0]}.py").exists():
            raise SystemExit(f"tests/{name}: not a test and {fields - 1} more fields: {line}")
        out[row[0]] = row[1:]
    return out
