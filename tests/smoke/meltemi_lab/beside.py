# SPDX-License-Identifier: Apache-2.0
"""
What an attack does to the calls of others. Time is cut into short windows, with and without the attack in turn, and the
median of the windows' p99 with it is held against the median without. A machine that is busy with something else delays
both kinds of window alike, and a pause of its own spoils one window, not the median. The offender runs when nobody else
wants a core: on two of them, callers and servers would wait for it and not for Meltemi otherwise. Where that is not enough,
because the kernel and a server work for it, too, the windows without the attack have it pass Meltemi by.
"""

import contextlib
import os
import statistics
import time

from .check import check, equal

RATE = 800           # calls per second: far from what two cores can do, so that only waiting is measured
WINDOW, REST = 1.0, 0.2
PAIRS, ROUNDS = 6, 3  # more rounds only if the first ones leave a doubt
FEWEST = RATE * WINDOW / 4


def gives_way(pid):
    """From now on the process runs only when no other one wants to."""
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


@contextlib.contextmanager
def _giving_way():
    gives_way(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _windows(attack, decoy):
    """Plays PAIRS pairs of windows: (begin, end, whether under attack) of each."""
    out = []
    for number in range(2 * PAIRS):
        begin = time.monotonic()
        with _giving_way():
            if number % 2:
                attack(begin + WINDOW)
            elif decoy:
                decoy(begin + WINDOW)
        time.sleep(max(0, begin + WINDOW - time.monotonic()))
        out.append((begin, begin + WINDOW, bool(number % 2)))
        time.sleep(REST)
    return out


def _p99(calls, begin, end):
    """None if the machine stood still for most of the window."""
    took = sorted(latency for began, latency in calls if begin <= began < end)
    return took[int(len(took) * 0.99)] if len(took) > FEWEST else None


def _round(lab, target, attack, decoy, found):
    path = lab.directory / f"calls-{time.monotonic_ns()}"
    load = lab.dubbo_client(target, rate=RATE, connections=4, seconds=2 * PAIRS * (WINDOW + REST) + 1, log=path)
    load.wait_line("calling")
    windows = _windows(attack, decoy)
    report = load.result()
    equal((report["failed"], report["crossed"], report["strays"]), (0, 0, 0), f"calls beside it that went wrong {report['errors']}")
    calls = [tuple(map(float, line.split())) for line in path.read_text().splitlines()]
    for begin, end, attacked in windows:
        p99 = _p99(calls, begin, end)
        if p99 is not None:
            found[attacked].append(p99)
    return report


def at_most_doubles(lab, target, attack, decoy=None):
    """
    attack(until): does its worst until that monotonic time; decoy(until): the same, not through Meltemi. Returns how many
    calls of others were answered.
    """
    found, answered = {False: [], True: []}, 0
    for _ in range(ROUNDS):
        answered += _round(lab, target, attack, decoy, found)["answered"]
        quiet, attacked = (statistics.median(found[kind]) for kind in (False, True))
        print(f"beside it: {answered} answered; median of p99 in {len(found[False])} windows without {quiet * 1e6:.0f} us, in "
              f"{len(found[True])} with it {attacked * 1e6:.0f} us", flush=True)
        if attacked <= 2 * quiet or os.environ.get("MELTEMI_SLOW"):  # a sanitized build: nothing is said of its time
            return answered
    check(False, f"the p99 of others went from {quiet * 1e6:.0f} to {attacked * 1e6:.0f} us")
    return answered
