#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A client makes 40 calls with long requests and long replies and reads nothing: another one's long calls, one at a time, are all
answered before that client reads again.
"""

import json
import threading

import kit
from others import Others, check, equal, main, within

CALLS = 12


def body():
    with Others() as lab:
        deaf = lab.caller(receive_buffer=8192)
        # Who does not read is not read on either: its last calls wait in its own socket meanwhile.
        threading.Thread(target=deaf.calls, args=[(0, 200_000, 66_000)] * 40, daemon=True).start()
        within(20, lambda: lab.daemon.held_back(lab.idle) > 1 << 17, "replies that nobody reads are held")
        load = lab.others(connections=1, gap_ms="50", count=CALLS, size=70_000, reply=70_000)
        found = load.result()
        there = json.loads(lab.daemon.shell("--json", "show", "connections", "where", f"sport={deaf.sock.getsockname()[1]}"))["connections"]
        print(f"{found['answered']} long calls beside it, longest wait {found['worst_ms']} ms", flush=True)
        deaf.read(20)
        print(f"the deaf one: {deaf.answered} of 40 answered", flush=True)
        equal((found["refused"], found["closed"], found["unanswered"], found["wrong"]), ({}, 0, 0, []), "long calls beside a deaf client")
        equal((found["answered"], len(there)), (CALLS, 1), "long calls beside it, and connections of the deaf client after them")
        deaf.sock.close()
        lab.daemon.memory_returns(lab.idle)


main(body)
