#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A client with a small receive buffer that reads nothing for two seconds gets every reply when it reads on: long requests with long
replies that take their server 0.6 s, and short requests with long replies behind them.
"""

import time

import kit
from others import Others, equal, main, report, unharmed


def body():
    with Others() as lab:
        load = lab.others(connections=2, gap_ms="10-30", seconds=7)
        for number in range(3):
            slow = lab.caller(receive_buffer=8192)
            slow.calls(*[(600, 66_000, 66_000)] * 2, *[(0, 50_000, 0)] * 6)
            time.sleep(2)
            slow.read(10)
            print(f"client {number}: {slow.answered} of 8 answered", flush=True)
            equal(slow.verdict(), kit.GOOD, "calls of a client that paused")
        unharmed(report(load), 10)
        lab.daemon.memory_returns(lab.idle)


main(body)
