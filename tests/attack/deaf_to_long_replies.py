#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Six clients ask for replies of 15 MB each and read nothing, in 256 MB of memory: the others are all answered, and not only when these are
given up."""

from others import Others, check, main, report, unharmed, within

CLIENTS, SIZE = 6, 15_000_000
MEANWHILE = 100  # calls of the others, before the deaf clients are given up after 10 s


def answered(lab):
    return lab.daemon.counters()["proxy_exchange_answered"]


def body():
    with Others(mb=256) as lab:
        load = lab.others(connections=4, gap_ms="5-15", seconds=10)
        attackers = [lab.caller(receive_buffer=8192) for _ in range(CLIENTS)]
        for attacker in attackers:
            attacker.calls((0, SIZE, 0))
        within(20, lambda: lab.daemon.held_back(lab.idle) > 1 << 20, "replies that nobody reads are held")
        before = answered(lab)
        within(20, lambda: answered(lab) >= before + MEANWHILE, "calls of the others meanwhile")
        held = lab.daemon.held_back(lab.idle)
        print(f"{CLIENTS} deaf clients, {held >> 20} MB are held", flush=True)
        check(held > 1 << 20, "the others were answered only when the deaf clients had been given up")
        unharmed(report(load), 3)
        for attacker in attackers:
            attacker.sock.close()
        lab.daemon.memory_returns(lab.idle)


main(body)
