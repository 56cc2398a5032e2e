# SPDX-License-Identifier: Apache-2.0
"""
Servers that close connections which were idle for 50 ms, as many do after minutes, under calls that come about as often, over wires
of 2 ms: what never came to a server is sent again, so it does not fail, and none is executed twice.
"""

from others import Others, check, equal, report

CALLS, CONNECTIONS = 2000, 16


def idle_closing(proto):
    with Others(proto=proto, servers=2, serving={"idle_ms": 50}, far_us=2000, watched=True) as lab:
        found = report(lab.others(connections=CONNECTIONS, beat_ms=56, count=CALLS // CONNECTIONS))
        closed = lab.daemon.counters()["proxy_up_closed"]
        twice, lost = lab.fates(found)
        check(closed > 10, f"only {closed} connections were closed: nothing was tried")
        equal((twice, found["unanswered"], found["closed"], found["wrong"]), ([], 0, 0, []), "executed twice, unanswered, cut off, wrong")
        check(not lost, f"calls failed that never came to a server: {len(lost)} of {found['made']}")
