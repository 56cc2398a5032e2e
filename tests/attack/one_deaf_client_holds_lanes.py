#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A client makes 40 calls with long requests and long replies and reads nothing for seven seconds: another one's long calls, one at a
time, are all answered, and before that client reads again.
"""

import threading
import time

import kit
from others import Others, check, equal, main, report


def body():
    with Others() as lab:
        deaf = lab.caller(receive_buffer=8192)
        # Who does not read is not read on either: its last calls wait in its own socket meanwhile.
        threading.Thread(target=deaf.calls, args=[(0, 200_000, 66_000)] * 40, daemon=True).start()
        time.sleep(0.5)
        load = lab.others(connections=1, gap_ms="50", seconds=4, size=70_000, reply=70_000)
        time.sleep(4)
        waiting = load.running()
        deaf_until = time.monotonic()
        time.sleep(2)
        found = report(load)
        print(f"{found['answered']} long calls beside it, longest wait {found['worst_ms']} ms", flush=True)
        meanwhile = sum(what == "answered" and began + took < deaf_until for began, took, what in found["log"])
        deaf.read(20)
        print(f"the deaf one: {deaf.answered} of 40 answered", flush=True)
        equal((found["refused"], found["closed"], found["unanswered"], found["wrong"]), ({}, 0, 0, []), "long calls beside a deaf client")
        check(waiting is not None and meanwhile >= 10, f"long calls answered while the other was deaf: {meanwhile}")
        deaf.sock.close()
        lab.daemon.memory_returns(lab.idle)


main(body)
