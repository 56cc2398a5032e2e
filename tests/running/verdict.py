# SPDX-License-Identifier: Apache-2.0
"""What becomes of a test's exit status and words."""

import dataclasses
import os
import re

from .job import table

SKIPPED = 77
EXPECTED = table("expected_failures", 3)  # {name: (words, reason)}
WALL_CLOCK = table("wall_clock", 2)       # {name: (reason)}
# In CI what is skipped has failed, but for what needs something that tests/packages does not install.
MAY_SKIP = {"lint/ansible": "ansible-lint"}


@dataclasses.dataclass
class Tally:
    passed: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)
    skipped: list = dataclasses.field(default_factory=list)
    again: list = dataclasses.field(default_factory=list)
    expected: list = dataclasses.field(default_factory=list)

    def line(self):
        more = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{len(self.passed)} passed, {len(self.failed)} failed{more}"

    def close(self, seconds):
        for name in self.again:
            print(f"needed a second try: {name}")
        if self.expected:
            print(f"failed as expected (tests/expected_failures): {len(self.expected)}")
        for name in self.failed:
            print(f"failed: {name}")
        print(f"in {seconds:.0f} s\n{self.line()}", flush=True)
        return 1 if self.failed else 0


def quote(output):
    return "\n".join("      | " + line for line in output.strip().splitlines()[-40:])


def _as_expected(job, status, output, tally):
    """The verdict on a test that should fail, or None: then it is judged as any other."""
    words, why = EXPECTED[job.name]
    if status == 1 and any(re.search(words, line) for line in output.splitlines() if line.startswith("FAILED: ")):
        tally.expected.append(job.name)
        return f"failed as expected: {why}"
    if status == 0:
        tally.failed.append(job.name)
        return "FAILED: it passed; its line in tests/expected_failures must go"
    return None


def judge(job, status, output, tally):
    """The verdict in words, and noted."""
    last = output.strip().splitlines()[-1] if output.strip() else ""
    found = _as_expected(job, status, output, tally) if job.name in EXPECTED else None
    if found:
        return found
    if status == SKIPPED and (os.environ.get("CI") != "true" or job.name in MAY_SKIP):
        tally.skipped.append(job.name)
        return f"skipped: {last.removeprefix('SKIPPED: ')}"
    if status == 0:
        tally.passed.append(job.name)
        return "passed"
    tally.failed.append(job.name)
    print(quote(output), flush=True)
    return "FAILED (too slow)" if status is None else f"FAILED (exit {status})"
