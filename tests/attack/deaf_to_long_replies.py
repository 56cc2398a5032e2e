#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Six clients ask for replies of 15 MB each and read nothing, in 256 MB of memory: the others are all answered."""

import time

from others import Others, main, report, unharmed, within

CLIENTS, SIZE = 6, 15_000_000
PATIENCE = 8  # of the others: less than the 10 s after which a client that reads nothing is given up


def body():
    with Others(mb=256) as lab:
        load = lab.others(connections=4, gap_ms="5-15", seconds=10, patience=PATIENCE)
        time.sleep(0.5)
        attackers = [lab.caller(receive_buffer=8192) for _ in range(CLIENTS)]
        for attacker in attackers:
            attacker.calls((0, SIZE, 0))
        within(20, lambda: lab.daemon.held_back(lab.idle) > 1 << 20, "replies that nobody reads are held")
        time.sleep(3)
        print(f"{CLIENTS} deaf clients, {lab.daemon.held_back(lab.idle) >> 20} MB are held", flush=True)
        unharmed(report(load), 3)
        for attacker in attackers:
            attacker.sock.close()
        lab.daemon.memory_returns(lab.idle)


main(body)
