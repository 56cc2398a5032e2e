#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
One Dubbo message of 2 MB with 60,000 attachments, in segments of 300 bytes, to a service whose route asks for an attachment that
is not there: the others are answered meanwhile, and the sender gets an answer of his own, whatever it says.
"""

import time

import kit
from others import BY_ATTACHMENT, Others, check, main, report, unharmed

ATTACHMENTS = 60_000


def body():
    with Others(documents={"route.yaml": BY_ATTACHMENT}) as lab:
        load = lab.others(connections=4, gap_ms="5-15", seconds=8)
        attacker = lab.caller(segments=300)
        message = kit.attachments(1, kit.order("t1"), ATTACHMENTS)
        check(len(message) > 1_900_000, f"a message of {len(message)} bytes only")
        attacker.open[1] = ("t1", 0)
        time.sleep(1)
        began = time.monotonic()
        attacker.sock.settimeout(20)
        attacker.sock.sendall(message)
        left = attacker.read(20)
        print(f"its sender waited {time.monotonic() - began:.2f} s: {attacker.verdict()}", flush=True)
        unharmed(report(load), 3)
        check(not left and not attacker.closed, f"the sender has no answer: {attacker.verdict()}")
        lab.daemon.memory_returns(lab.idle)


main(body)
