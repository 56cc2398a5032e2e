# SPDX-License-Identifier: Apache-2.0
"""Pearson's chi-square test, as far as the standard library takes it."""

import math

FAMILY = 1e-6  # how often a whole family of tests may fail although all is well


def upper(half, x):
    """The regularised upper incomplete gamma function Q(half, x) for a whole or half-whole first argument."""
    a, q = (1.0, math.exp(-x)) if half == int(half) else (0.5, math.erfc(math.sqrt(x)))
    while a < half:
        q += math.exp(a * math.log(x) - x - math.lgamma(a + 1)) if x > 0 else 0.0
        a += 1
    return q


def p_value(counts, shares):
    """
    How likely such counts, or less likely ones, are when the shares are true. shares: {answer: share}, in any unit. An answer whose
    share is 0, or that has none, is impossible.
    """
    total, unit = sum(counts.values()), sum(shares.values())
    if any(n and not shares.get(answer) for answer, n in counts.items()):
        return 0.0
    expected = {answer: total * share / unit for answer, share in shares.items() if share}
    if min(expected.values()) < 5:
        raise ValueError(f"too few picks for shares like {min(expected.values()) / total:.2%}")
    if len(expected) == 1:
        return 1.0
    chi = sum((counts.get(answer, 0) - wanted) ** 2 / wanted for answer, wanted in expected.items())
    return upper((len(expected) - 1) / 2, chi / 2)


def least(tests):
    """What p may be at least in each of so many tests (Bonferroni)."""
    return FAMILY / tests
