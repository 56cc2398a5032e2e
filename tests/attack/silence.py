# SPDX-License-Identifier: Apache-2.0
"""
One of three endpoints falls silent: no FIN, no RST, no answer. Calls that were under way there are lost, but it is ejected for it:
from a few seconds on none is lost any more, and `show outliers` names it.
"""

import json
import signal
import time

from others import HOST, Others, balancer, check, equal, every_column_selects, report, route, within

LEARNT = 4.0   # seconds after which no call is sent there any more, but for a probe
PROBES = 3     # calls that may be lost to find out whether it is back


def silent(policy, timeout, what="machine", patience=20, fresh=False):
    """what falls silent: the whole machine, or a program whose kernel still takes connections and acknowledges."""
    with Others(servers=3, documents={"balancer.yaml": balancer(policy), "route.yaml": route([f"timeout: {timeout}"])}) as lab:
        load = lab.others(connections=16, gap_ms="60-100", seconds=12, patience=patience, **({"fresh": True} if fresh else {}))
        time.sleep(2)
        if what == "machine":
            lab.falls_silent(3)
        else:
            lab.peers[2].pause()
        since = time.monotonic() + LEARNT
        found = report(load)
        after = [what for began, _, what in found["log"] if began > since]
        lost, late = (sum(what != "answered" for what in whats) for whats in ([what for _, _, what in found["log"]], after))
        print(f"{policy}: {lost} of {found['made']} calls lost, {late} of {len(after)} from {LEARNT:.0f} s on", flush=True)
        every_column_selects(lab.daemon, ["show outliers"], set())
        outliers = json.loads(lab.daemon.shell("--json", "show", "outliers", HOST))["outliers"]
        equal((found["wrong"], len(after) > 50), ([], True), "wrong answers; enough calls to look at")
        check(late <= PROBES, f"calls are still lost: {late} of {len(after)} from {LEARNT:.0f} s on")
        equal({row["endpoint"] for row in outliers}, {f"{lab.server(3)}:{lab.port}"}, "ejected endpoints")


def recovers(proto):
    """The program of one of three endpoints stops for six seconds: what it costs, and that it is used again soon after it goes on."""
    documents = {"balancer.yaml": balancer("ROUND_ROBIN"), "route.yaml": route(["timeout: 1s"])}
    with Others(proto=proto, servers=3, documents=documents) as lab:
        load = lab.others(connections=16, gap_ms="60-100", seconds=22, patience=20)
        time.sleep(2)
        lab.peers[2].pause()
        since = time.monotonic() + LEARNT
        time.sleep(6)
        lab.peers[2].kill(signal.SIGCONT)
        within(8, lambda: outlier(lab)["now"] == "returned", "its return")
        before, returned = requests(lab), time.monotonic()
        within(20, lambda: requests(lab) > before + 20, "calls to the endpoint that has returned")
        took = time.monotonic() - returned
        found = report(load)
        after = [what for began, _, what in found["log"] if began > since]
        lost = sum(what != "answered" for what in after)
        print(f"{proto}: {lost} of {len(after)} calls lost from {LEARNT:.0f} s on, {took:.1f} s from its return to 20 calls", flush=True)
        equal((found["wrong"], len(after) > 50), ([], True), "wrong answers; enough calls to look at")
        check(lost <= 1, f"{lost} of {len(after)} calls lost from {LEARNT:.0f} s on")


def outlier(lab):
    """The last that was told of the third server, which alone is ejected."""
    rows = json.loads(lab.daemon.shell("--json", "show", "outliers", HOST))["outliers"]
    equal({row["endpoint"] for row in rows}, {f"{lab.server(3)}:{lab.port}"}, "ejected endpoints")
    return rows[0]


def requests(lab):
    rows = json.loads(lab.daemon.shell("--json", "show", "endpoints", HOST))["endpoints"]
    return sum(row["requests"] for row in rows if row["endpoint"] == f"{lab.server(3)}:{lab.port}")
