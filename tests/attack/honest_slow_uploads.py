#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Two hundred honest uploads of 48 KB, each over three to seven seconds and from an address of its own, beside three clients that begin
requests of 16 MB in segments of 300 bytes and stop: every upload is answered.
"""

import random
import time

import kit
from others import BY_ATTACHMENT, Others, equal, main, netns

UPLOADS, BYTES, STEP = 200, 48_000, 0.1


def uploads(callers):
    """Each in its own time; then the answers."""
    rand, began = random.Random(5), time.monotonic()
    plan = []
    for caller in callers:
        data = kit.Dubbo.call(1, kit.order("t1") + " " + "y" * BYTES)
        caller.open[1] = ("t1", 0)
        plan.append([caller, data, 0, rand.uniform(3, 7)])
    while plan:
        for entry in list(plan):
            caller, data, at, seconds = entry
            until = min(len(data), int(len(data) * (time.monotonic() - began) / seconds) + 1)
            try:
                entry[2] += caller.sock.send(data[at:until]) if until > at else 0
            except TimeoutError:
                continue
            except OSError as error:
                caller.closed = str(error)
            if entry[2] >= len(data) or caller.closed:
                plan.remove(entry)
        time.sleep(STEP)
    for caller in callers:
        if not caller.closed:
            caller.read(5)


def body():
    with Others(documents={"route.yaml": BY_ATTACHMENT}) as lab:
        for number in range(UPLOADS):
            netns.run("ip", "-n", lab.namespace("client"), "addr", "add", f"192.0.2.{20 + number}/32", "dev", "c0")
        callers = [lab.caller(source=f"192.0.2.{20 + number}") for number in range(UPLOADS)]
        for caller in callers:
            caller.sock.settimeout(0.5)
        attackers, _ = lab.stopped_uploads()
        uploads(callers)
        refused = sum(bool(caller.refused) for caller in callers)
        ended = sum(bool(caller.closed) for caller in callers)
        good = sum(caller.answered for caller in callers)
        print(f"{good} of {UPLOADS} uploads answered, {refused} refused, {ended} cut off", flush=True)
        ends = {name: value for name, value in lab.daemon.counters().items() if value and ("evicted" in name or "proxy_down_" in name)}
        print(f"cut off: {sorted({caller.closed for caller in callers if caller.closed})}; {ends}", flush=True)
        equal((good, refused, ended), (UPLOADS, 0, 0), "uploads answered, refused, cut off")
        for caller in attackers + callers:
            caller.sock.close()
        lab.daemon.memory_returns(lab.idle)


main(body)
