# SPDX-License-Identifier: Apache-2.0
"""
Servers that close connections which were idle for 50 ms, as many do after minutes, under calls that come about as often, over wires
of 2 ms: what never came to a server is sent again, so it does not fail, and none is executed twice. First each call comes about when the
connections are closed; then 25 of each client one behind the other, so that most of 10,000 calls find a connection that is open.
"""

from others import Others, check, equal, report

CONNECTIONS, IDLE_MS = 16, 50
CROSSING = {"beat_ms": 56, "count": 2000 // CONNECTIONS}
BURSTS = {"burst": 25, "count": 10_000 // CONNECTIONS}
# Dubbo's connection to a server is idle until the first call of all behind the rest, Thrift's are for longer than the rest.
REST = {"dubbo": {"beat_ms": IDLE_MS - 4, "spread_ms": 8}, "thrift": {"beat_ms": IDLE_MS - 12, "spread_ms": 16}}
UNREAD = 1000  # of so many calls one at most was acknowledged by a server's machine and not read
FRESH = 10  # of so many calls one at most needs a new connection


def trial(proto, calls):
    """How often servers closed a connection, the connections opened, and what became of the calls."""
    with Others(proto=proto, servers=2, serving={"idle_ms": IDLE_MS}, far_us=2000, watched=True) as lab:
        found = report(lab.others(connections=CONNECTIONS, **calls), seconds=150)
        counters = lab.daemon.counters()
        closed, opened = counters["proxy_up_closed"], counters["proxy_up_opened"]
        twice, lost = lab.fates(found)
        print(f"{proto}: {opened} connections opened, {closed} closed", flush=True)
        check(closed > 10, f"only {closed} connections were closed: nothing was tried")
        equal((twice, found["unanswered"], found["closed"], found["wrong"]), ([], 0, 0, []), "executed twice, unanswered, cut off, wrong")
        check(not lost, f"calls failed that never came to a server: {len(lost)} of {found['made']}")
        return found["made"], len(found["failed"]), opened


def idle_closing(proto):
    trial(proto, CROSSING)
    made, failed, opened = trial(proto, {**BURSTS, **REST[proto]})
    equal(made, 10_000, "calls")
    check(failed * UNREAD <= made, f"{failed} of {made} calls were acknowledged and not answered")
    check(opened * FRESH <= made, f"{opened} connections for {made} calls")
