#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Four clients begin requests of 16 MB in segments of 300 bytes, which only the last byte would let go, and stop before it: nobody
else is refused for it.
"""

import time

from others import BY_ATTACHMENT, Others, check, main, report, unharmed

CLIENTS = 4


def body():
    with Others(documents={"route.yaml": BY_ATTACHMENT}) as lab:
        load = lab.others(connections=4, gap_ms="5-15", seconds=9)
        attackers, sent = lab.stopped_uploads(CLIENTS)
        print(f"{len(attackers)} clients sent {sent >> 20} MB, {lab.daemon.held_back(lab.idle) >> 20} MB are held for them", flush=True)
        check(sent > 1 << 17, f"the attackers sent only {sent} bytes")
        time.sleep(1)
        unharmed(report(load), 200)
        for attacker in attackers:
            attacker.sock.close()
        lab.daemon.memory_returns(lab.idle)


main(body)
