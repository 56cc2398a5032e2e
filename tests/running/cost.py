# SPDX-License-Identifier: Apache-2.0
"""Times of the jobs: printed as a table by class at the end of a run, and used to order the jobs of the next run."""

import json

from .job import DEBUG

LAST = DEBUG / "seconds.json"
CLASSES = ("build", "smoke", "attack", "interop", "unit", "sim", "asan/sim", "asan", "tsan", "mutants", "differential", "conntrack", "fuzz",
           "bench", "lint", "running", "documents")


class Costs:
    def __init__(self):
        self.took = {}  # name: (wall seconds, CPU seconds)
        try:
            self.last = json.loads(LAST.read_text())
        except (OSError, ValueError):
            self.last = {}

    def add(self, name, seconds, cpu):
        self.took[name] = (seconds, cpu)

    def longest_first(self, jobs):
        """The jobs sorted by their last times; a job that never ran counts as a tenth of its time limit."""
        return sorted(jobs, key=lambda job: -self.last.get(job.name, job.seconds / 10))

    def keep(self):
        self.last.update({name: round(seconds, 1) for name, (seconds, _) in self.took.items()})
        try:
            LAST.write_text(json.dumps(self.last, indent=0, sort_keys=True))
        except OSError:
            pass  # only the order of the next run depends on it

    def table(self):
        sums = {}
        for name, (seconds, cpu) in self.took.items():
            kind = next((kind for kind in sorted(CLASSES, key=len, reverse=True) if name.startswith(kind + "/")), "other")
            n, wall, used = sums.get(kind, (0, 0, 0))
            sums[kind] = (n + 1, wall + seconds, used + cpu)
        rows = sorted(sums.items(), key=lambda row: -row[1][1])
        lines = [f"  {'class':<14}{'jobs':>6}{'seconds':>9}{'CPU':>9}"]
        return "\n".join(lines + [f"  {kind:<14}{n:>6}{wall:>9.0f}{used:>9.0f}" for kind, (n, wall, used) in rows])
