# SPDX-License-Identifier: Apache-2.0
"""Verdicts of one test: exit 0 passed, 1 failed, 77 skipped (with the reason)."""

import sys
import time
import traceback

SKIPPED = 77


class Failure(Exception):
    """What was expected did not happen."""


class Skip(Exception):
    """The test cannot run on this machine; the text says why."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def equal(found, expected, what):
    if found != expected:
        raise Failure(f"{what}: found {found!r}, expected {expected!r}")


PATIENCE = 30  # seconds; the least bound of a wait for something that must come


def within(seconds, condition, what, step=0.05, exact=False):
    """
    Waits until condition() is true and returns its value. The bound is there to end a test that hangs, so it is never less than
    PATIENCE: a machine that other programs share must not fail. exact: the caller goes on after just so many seconds.
    """
    seconds = seconds if exact else max(seconds, PATIENCE)
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(step)


def becomes(find, expected, what, step=0.05):
    """
    Waits until find() returns what is expected, for at most PATIENCE: for screens, logs and counters that another process fills. The
    failure shows what was found last.
    """
    end = time.monotonic() + PATIENCE
    while (found := find()) != expected:
        if time.monotonic() > end:
            raise Failure(f"{what}: found {found!r}, expected {expected!r}")
        time.sleep(step)


def main(body):
    """Runs one test. Its docstring says what it holds Meltemi to."""
    try:
        body()
    except Skip as reason:
        print(f"SKIPPED: {reason}")
        sys.exit(SKIPPED)
    except Failure as failure:
        print(f"FAILED: {failure}")
        if "-v" in sys.argv:
            traceback.print_exc()
        sys.exit(1)
    print("passed")
