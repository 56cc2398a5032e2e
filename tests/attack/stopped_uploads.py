#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Four clients begin requests of 16 MB in segments of 300 bytes, which only the last byte would let go, and stop before it: nobody
else is refused for it, and `show memory` names who it is.
"""

import time

from others import BY_ATTACHMENT, Others, check, equal, every_column_selects, main, report, unharmed, within

CLIENTS = 4


def settled(lab):
    """What is told of memory when no eviction is under way: giving back its buffers takes a while, and the numbers are read meanwhile."""
    def consistent():
        told = lab.daemon.show("memory")
        receiving = next(row for row in told["classes"] if row["class"] == "receiving")
        largest = told["holders"][0]
        return (largest["held_bytes"] <= receiving["held_bytes"] <= receiving["share_bytes"]
                and largest["connections"] <= CLIENTS - receiving["evicted"] and (told, receiving, largest))

    return within(20, consistent, "memory when no eviction is under way", step=0.1)


def body():
    with Others(documents={"route.yaml": BY_ATTACHMENT}) as lab:
        load = lab.others(connections=4, gap_ms="5-15", seconds=9)
        attackers, sent = lab.stopped_uploads(CLIENTS)
        print(f"{len(attackers)} clients sent {sent >> 20} MB, {lab.daemon.held_back(lab.idle) >> 20} MB are held for them", flush=True)
        check(sent > 1 << 17, f"the attackers sent only {sent} bytes")
        told, receiving, largest = settled(lab)
        print(f"held: {receiving}, most by {largest}", flush=True)
        every_column_selects(lab.daemon, ["show memory"], {("show memory", "sources")})
        equal((largest["class"], largest["side"], largest["connections"]), ("receiving", "client", CLIENTS - receiving["evicted"]),
              "who holds most")
        check(sent // 2 < largest["held_bytes"] <= receiving["share_bytes"], f"what is held: {told['holders']}")
        time.sleep(1)
        unharmed(report(load), 20)
        for attacker in attackers:
            attacker.sock.close()
        lab.daemon.memory_returns(lab.idle)


main(body)
