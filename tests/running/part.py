# SPDX-License-Identifier: Apache-2.0
"""
Selects the seventh of the rotating tests that a run with --rotating contains: by the date of the tested commit, so that a run can be
repeated, or by --part; --long selects all.
"""

import datetime
import subprocess

from .job import ROOT

PARTS = 7
FIXED_SEEDS = range(1, 501)
SANITIZED_SEEDS = 60  # of one part
FIXED_SHUFFLE = 1  # the gate's seed of random orders and mixtures of documents
FRESH = 500  # seeds of one day
FIRST_FRESH = 1_000_000
LONG_SEEDS = range(1, 50_001)


def _day():
    """(The UTC day of the tested commit, in days since 1970, or today if there is no commit; words for which of both it is.)"""
    try:
        # Without safe.directory git refuses to read another user's clone for root, and the day would be today.
        words = ["git", "-c", "safe.directory=*", "-C", ROOT, "log", "-1", "--format=%ct"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return int(done.stdout) // 86400, "commit of"
    except (OSError, subprocess.CalledProcessError, ValueError):
        return int(datetime.datetime.now(datetime.timezone.utc).timestamp()) // 86400, "no commit, today is"


class Part:
    def __init__(self, number=None, whole=False):
        """number: 1 to PARTS; None: by date. whole: all parts together."""
        self.day, self.whose = _day()
        self.whole = whole
        # Shifted by one each week, so that all parts run within seven weeks even if some days of the week have no commits.
        self.number = number or (self.day + self.day // PARTS) % PARTS + 1

    def of(self, items):
        """This part's share of a list; all shares together are the list."""
        return list(items) if self.whole else list(items)[self.number - 1::PARTS]

    @property
    def block(self):
        """A number that no other part has, in this or another week; the seed of random inputs."""
        return self.day - self.day % PARTS + self.number - 1

    def fresh_seeds(self):
        first = FIRST_FRESH + self.block * FRESH
        return range(first, first + FRESH)

    def sanitized_seeds(self):
        """A block of the fixed seeds that no other part has."""
        first = 1 if self.whole else 1 + (self.number - 1) * SANITIZED_SEEDS
        return range(first, 1 + (PARTS if self.whole else self.number) * SANITIZED_SEEDS)

    def __str__(self):
        date = datetime.date(1970, 1, 1) + datetime.timedelta(days=self.day)
        if self.whole:
            return f"rotating tests, all {PARTS} parts"
        seeds = self.fresh_seeds()
        return f"rotating tests, part {self.number} of {PARTS}, {self.whose} {date}, fresh seeds {seeds[0]}-{seeds[-1]} " \
               f"(to repeat: --rotating --part {self.number} on a commit of that week)"
