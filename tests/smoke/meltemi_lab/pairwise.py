# SPDX-License-Identifier: Apache-2.0
"""Few cases in which each value of each factor meets each value of every other one, and all cases in a seeded order."""

import itertools
import random

TRIES = 60


def _pairs(case):
    return set(itertools.combinations(enumerate(case), 2))


def product(factors, seed=1):
    """Every combination, shuffled."""
    cases = list(itertools.product(*factors.values()))
    random.Random(seed).shuffle(cases)
    return [dict(zip(factors, case)) for case in cases]


def covering(factors, seed=1):
    """Greedy: of some random cases that hold a pair which is still missing, the one that adds most pairs."""
    values, source = list(factors.values()), random.Random(seed)
    missing = set().union(*(_pairs(case) for case in itertools.product(*values)))
    cases = []
    while missing:
        (first, a), (second, b) = source.choice(sorted(missing, key=repr))
        best = None
        for _ in range(TRIES):
            case = [source.choice(v) for v in values]
            case[first], case[second] = a, b
            gain = len(_pairs(tuple(case)) & missing)
            if best is None or gain > best[0]:
                best = (gain, tuple(case))
        cases.append(dict(zip(factors, best[1])))
        missing -= _pairs(best[1])
    return cases
