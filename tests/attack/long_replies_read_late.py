#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two hundred calls with replies of 64 KB each, sent at once and read half a second later: all answered, seven times over."""

import time

import kit
from others import Others, equal, main

CALLS, SIZE, ROUNDS = 200, 65_536, 7


def body():
    with Others() as lab:
        for number in range(ROUNDS):
            late = lab.caller()
            late.calls(*[(0, SIZE, 0)] * CALLS)
            time.sleep(0.5)
            late.read(10)
            print(f"round {number}: {late.answered} of {CALLS} answered", flush=True)
            equal(late.verdict(), kit.GOOD, "calls whose replies are read late")
            late.sock.close()
        lab.daemon.memory_returns(lab.idle)


main(body)
