# SPDX-License-Identifier: Apache-2.0
"""
Servers that end each connection behind its 20th call, with all answered that they executed: by closing it, by reset, by half-closing,
with calls unread, over wires of 1 ms. None is executed twice, none stays unanswered, none fails of which the packets that came to
Meltemi prove that no server has read it.
"""

from others import Others, check, equal, report

CALLS, CONNECTIONS = 960, 16


def ending(proto, fault):
    with Others(proto=proto, servers=3, serving={"fault": fault, "every": 20}, far_us=1000, watched=True) as lab:
        found = report(lab.others(connections=CONNECTIONS, gap_ms="1-10", count=CALLS // CONNECTIONS))
        print(f"{proto}, {fault}: ", end="")
        twice, lost = lab.fates(found)
        equal((twice, found["unanswered"], found["wrong"], found["closed"]), ([], 0, [], 0), "executed twice, unanswered, wrong, cut off")
        return len(lost), found["made"]


def endings(proto):
    out = {fault: ending(proto, fault) for fault in ("close", "reset", "half", "unread")}
    bad = {fault: f"{lost} of {made}" for fault, (lost, made) in out.items() if lost}
    check(not bad, f"calls failed that never came to a server: {bad}")
