# SPDX-License-Identifier: Apache-2.0
"""
Which seventh of the rotating tests a run contains. The date of the tested commit chooses it, so that a run can be repeated;
--part chooses another one, --long all.
"""

import datetime
import subprocess

from .job import ROOT

PARTS = 7
FIXED_SEEDS = range(1, 501)
SANITIZED_SEEDS = 60  # of one part
FRESH = 500  # seeds of one day
FIRST_FRESH = 1_000_000
LONG_SEEDS = range(1, 50_001)


def _day():
    """The UTC day of the tested commit, in days since 1970; today where there is no commit. And which of both it is."""
    try:
        # safe.directory: git tells root nothing of another user's clone otherwise, and the day would be today.
        words = ["git", "-c", "safe.directory=*", "-C", ROOT, "log", "-1", "--format=%ct"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return int(done.stdout) // 86400, "commit of"
    except (OSError, subprocess.CalledProcessError, ValueError):
        return int(datetime.datetime.now(datetime.timezone.utc).timestamp()) // 86400, "no commit, today is"


class Part:
    def __init__(self, number=None, whole=False):
        """number: 1 to PARTS; None: by date. whole: all parts at once."""
        self.day, self.whose = _day()
        self.whole = whole
        # Shifted by one each week, so that a project that rests on some days of the week has all parts in seven weeks.
        self.number = number or (self.day + self.day // PARTS) % PARTS + 1

    def of(self, items):
        """This part's share of a list; the shares of all parts make the list."""
        return list(items) if self.whole else list(items)[self.number - 1::PARTS]

    @property
    def block(self):
        """A number that no other part has, in this week or another: what is drawn follows from it."""
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
            return f"all {PARTS} parts"
        seeds = self.fresh_seeds()
        return f"part {self.number} of {PARTS}, {self.whose} {date}, fresh seeds {seeds[0]}-{seeds[-1]} " \
               f"(to repeat: --part {self.number} on a commit of that week)"
