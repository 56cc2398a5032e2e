#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A client's 66 slow calls are out at one server while another client makes 1,100 quick ones there, eleven at a time: each is
answered before any of the slow ones.
"""

import time

import kit
from others import Others, check, equal, main, within

SLOW, QUICK, AT_ONCE, MILLIS = 66, 1100, 11, 17_000


def body():
    with Others() as lab:
        slow = lab.caller()
        slow.calls(*[(MILLIS, 0, 0)] * SLOW)
        within(20, lambda: len(lab.daemon.show("exchanges")["exchanges"]) == SLOW, "slow calls are out")
        began = time.monotonic()
        quick, others = lab.caller(), 0
        while others < QUICK and time.monotonic() < began + MILLIS / 1000 - 1:
            quick.calls(*[(0, 0, 0)] * AT_ONCE)
            left = quick.read(6)
            equal((left, quick.refused, quick.wrong), (0, [], []), "quick calls beside slow ones that wait")
            others += AT_ONCE
        check(others >= QUICK and time.monotonic() < began + MILLIS / 1000, "the machine was too slow to see anything")
        slow.read(MILLIS / 1000 + 5)
        equal(slow.verdict(), kit.GOOD, "slow calls")


main(body)
