# SPDX-License-Identifier: Apache-2.0
"""Decides the result of a test by its exit status and output."""

import dataclasses
import os
import re

from .job import table

SKIPPED = 77
# A check has detected the bug of a broken program if the output contains this, or if the program crashed (SIGILL, SIGABRT, SIGBUS,
# SIGFPE, SIGSEGV).
CAUGHT = re.compile(r"FAILED|^floor: |\b[1-9]\d* failed|^ *\d+\. .* - CU_ASSERT", re.M)
CRASHED = (-4, -6, -7, -8, -11)
EXPECTED = table("expected_failures", 3)  # {name: (words, reason)}
WALL_CLOCK = table("wall_clock", 2)       # {name: (reason)}
# CI counts a skipped test as failed, unless the test needs something that tests/packages does not install.
MAY_SKIP = {"lint/ansible": "ansible-lint", "interop/guest/test_guest": "Debian's kernel",
            **dict.fromkeys((f"interop/ansible/{name}" for name in ("long_ansible", "long_upgrade", "test_drain", "test_rights")), "ansible")}
SEED = "sim/seed-"
MOST_UNSTABLE = 5  # tests that may fail and pass alone afterwards
LAST_WORDS = 15    # lines of a failed test that the end of the run repeats
UNFINISHED = re.compile(r"^(floor: |stopped; )", re.M)
A_SEED_FAILED = re.compile(r"^seed (\d+) FAILED: (.*)$", re.M)


@dataclasses.dataclass
class Tally:
    passed: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)
    skipped: list = dataclasses.field(default_factory=list)
    expected: list = dataclasses.field(default_factory=list)
    unstable: list = dataclasses.field(default_factory=list)  # passed the second time; also in `passed`
    timed: list = dataclasses.field(default_factory=list)     # the same, of tests/wall_clock
    said: dict = dataclasses.field(default_factory=dict)      # {name of a failed test: the end of its output}

    def line(self):
        more = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{len(self.passed)} passed, {len(self.failed)} failed{more}"

    def add(self, other):
        for field in dataclasses.fields(self):
            mine, more = getattr(self, field.name), getattr(other, field.name)
            mine.update(more) if isinstance(mine, dict) else mine.extend(more)

    def close(self, seconds):
        for name in self.timed:
            print(f"needed a second try: {name}")
        for name in self.unstable:
            print(f"unstable: {name}")
        if self.expected:
            print(f"failed as expected (tests/expected_failures): {len(self.expected)}")
        if len(self.unstable) > MOST_UNSTABLE:
            self.failed.append(f"more than {MOST_UNSTABLE} unstable tests")
        for name in self.failed:
            print(f"failed: {name}")
            if name in self.said:
                print(quote(self.said[name], LAST_WORDS))
        print(f"in {seconds:.0f} s\n{self.line()}", flush=True)
        return 1 if self.failed else 0


def check_tables(names):
    """Ends the program if a line of a table names no job, or two jobs have one name. `names` is a list of all jobs' names."""
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SystemExit(f"two tests have the same name: {', '.join(sorted(twice))}")
    for file, rows in (("expected_failures", EXPECTED), ("wall_clock", WALL_CLOCK)):
        for name in rows:
            if name not in names and not re.fullmatch(rf"{SEED}\d+", name):
                raise SystemExit(f"tests/{file}: there is no test {name}; `tests/run --list --long --timing` prints their names")


def listed_seeds():
    return [int(name.removeprefix(SEED)) for name in EXPECTED if name.startswith(SEED)]


def quote(output, lines=40):
    return "\n".join("      | " + line for line in output.strip().splitlines()[-lines:])


def _failed(name, output, tally):
    tally.failed.append(name)
    tally.said[name] = output
    print(quote(output), flush=True)


def _as_expected(job, status, output, tally):
    """The result of a test that tests/expected_failures lists; None: decide it like any other test."""
    words, why = EXPECTED[job.name]
    faults = [line for line in output.splitlines() if line.startswith("FAILED: ")]
    if status == 1 and faults and all(re.search(words, line) for line in faults):  # another fault in addition is new
        tally.expected.append(job.name)
        return f"failed as expected: {why}"
    if status == 0 and not job.drawn:
        tally.failed.append(job.name)
        return "FAILED: it passed; remove its line from tests/expected_failures"
    return None


def _broken(job, status, output, tally):
    """The result of a program with a deliberate bug: a check must fail, or the program must crash."""
    if status != 0 and status not in CRASHED and not (status == 1 and CAUGHT.search(output)):
        _failed(job.name, output, tally)
        return f"FAILED: it ended before its checks (exit {status})"
    if status == 0 and job.name in EXPECTED:
        tally.expected.append(job.name)
        return f"not detected, as expected: {EXPECTED[job.name][1]}"
    if status == 0:
        tally.failed.append(job.name)
        return "FAILED: no check detected this bug"
    if job.name in EXPECTED:
        tally.failed.append(job.name)
        return "FAILED: it was detected; remove its line from tests/expected_failures"
    tally.passed.append(job.name)
    first = re.search(r"^.*(?:FAILED|\b[1-9]\d* failed).*$", output, re.M)
    return f"detected: {first.group(0).strip()[:100] if first else f'exit {status}'}"


def _seeds(job, status, output, tally):
    """Decides each failing seed on its own. None: no seed of the job fails or is listed, or the run is not complete."""
    found = {f"{SEED}{number}": why for number, why in A_SEED_FAILED.findall(output)}
    listed = {f"{SEED}{number}" for number in job.seeds} & set(EXPECTED)
    if (not found and not listed) or UNFINISHED.search(output):
        return None
    as_expected = [name for name in found if name in EXPECTED and re.search(EXPECTED[name][0], found[name])]
    passed = sorted(listed - set(found))
    wrong = sorted(set(found) - set(as_expected)) + passed
    tally.expected += as_expected
    tally.failed += wrong
    if wrong:
        tally.said[wrong[0]] = output
        print(quote(output), flush=True)
    else:
        tally.passed.append(job.name)
    words = [f"passes, remove its line from tests/expected_failures: {name}" for name in passed]
    return "; ".join([f"{len(found)} seeds failed, {len(as_expected)} of them as expected", *words])


def judge(job, status, output, tally):
    """Adds the result to the tally and returns its text."""
    if job.must_fail:
        return _broken(job, status, output, tally)
    found = _as_expected(job, status, output, tally) if job.name in EXPECTED else None
    if not found and job.seeds and status in (0, 1):
        found = _seeds(job, status, output, tally)
    if found:
        return found
    if status == SKIPPED and (os.environ.get("CI") != "true" or job.name in MAY_SKIP):
        tally.skipped.append(job.name)
        last = output.strip().splitlines()[-1] if output.strip() else ""
        return f"skipped: {last.removeprefix('SKIPPED: ')}"
    if status == 0:
        tally.passed.append(job.name)
        return "passed"
    _failed(job.name, output, tally)
    return "FAILED (too slow)" if status is None else f"FAILED (exit {status})"
