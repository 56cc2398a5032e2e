#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A mesh of which a gateway holds only what it uses: clusters and endpoints are fetched when the first call leads to them, that
call succeeds, and they leave when none does any more. A name that does not exist, and a discovery server that is away,
cost one wait, and the calls after it nothing. By delta, with route tables on demand as well; then, in short, in the state of
the world.
"""

import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import PORT, THRIFT_PORT, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import becomes, check, equal, main, within  # noqa: E402

ONE, TWO, BYTES, GHOST, LATER, THRIFT = [f"{name}.example" for name in ("one", "two", "bytes", "ghost", "later", "thrift")]
VIPS = {name: f"240.240.2.{number}" for number, name in enumerate((ONE, TWO, BYTES, GHOST, LATER, THRIFT), 1)}
OTHERS = 50
BOUND_MS = 2000
# Long enough that several clients start and end within them on a busy machine.
ON_DEMAND = "{timeout: 3s, idle: 10s, absent: 20s, routes: %s}"
REMEMBERED = 20  # seconds: `absent` of it
UNCALLED = "other7.example"


def everything(w):
    """Services that are called, one whose cluster is not there, and many that nobody calls."""
    out = []
    for host, server in ((ONE, 1), (TWO, 2), (LATER, 1)):
        out += mesh.service(host, VIPS[host], PORT, "dubbo", [w.endpoint(server)])
    out += mesh.service(THRIFT, VIPS[THRIFT], THRIFT_PORT, "thrift", [w.endpoint(1, THRIFT_PORT)], kind=mesh.meta_binary)
    out += mesh.service(BYTES, VIPS[BYTES], PORT, "tcp", [w.endpoint(2)])
    out += mesh.service(GHOST, VIPS[GHOST], PORT, "dubbo", [w.endpoint(2)])[2:]
    for number in range(OTHERS):
        out += mesh.service(f"other{number}.example", f"240.240.4.{number + 1}", PORT, "dubbo", [w.endpoint(1)])
    return out


def calls(w, host, count=1, **options):
    return w.lab.dubbo_client(f"{VIPS[host]}:{PORT}", count=count, **options).result()


def thrift_calls(w, **options):
    return w.lab.thrift_client(f"{VIPS[THRIFT]}:{THRIFT_PORT}", scenario="load", **options).result()


def succeeded(report, count, what):
    equal((report["answered"], report["failed"]), (count, 0), f"{what} {report['errors']}")


def refused(report, count, what):
    """Answered natively, each of them: not one was left without an answer."""
    equal((report["answered"], report["failed"]), (0, count), what)
    check(all(error.startswith("status-") for error in report["errors"]), f"{what}: {report['errors']}")


def state(w, host, kind="CDS"):
    name = mesh.name_of(host, PORT) if kind == "CDS" else f"{host}_{PORT}"
    return next((row["state"] for row in w.daemon.show("resources")["resources"]
                 if (row["type"], row["name"]) == (kind, name)), "not there")


def source(w):
    return w.xds()["sources"][0]


def moved(w, before, name):
    return w.daemon.counters()[name] - before[name]


def requests(server):
    """For clusters, when each answer has its acknowledgement."""
    def settled():
        seen = server.seen("cds")
        return seen["acks"] + seen["nacks"] == seen["responses"] and [seen["requests"]]

    return within(20, settled, "acknowledgements of all answers with clusters")[0]


def names(server, kind):
    return set(server.seen(kind)["names"] or [])


def begin(w, delta):
    server = w.server()
    server.apply(*everything(w))
    w.meltemi(on_demand=ON_DEMAND % str(delta).lower(), delta=delta).start()
    within(10, lambda: source(w)["on_demand_named"] == OTHERS + 6, "the names are known")
    equal((names(server, "cds"), names(server, "eds")), (set(), set()), "clusters and endpoints that are asked for")
    check(not delta or not names(server, "rds"), f"route tables that are asked for: {names(server, 'rds')}")
    equal(source(w)["on_demand_asked"], 0, "clusters that are held")
    return server


def first_calls(w, server):
    """The first call of each protocol succeeds; the second one asks nobody."""
    before = w.daemon.counters()
    succeeded(calls(w, ONE), 1, "the first Dubbo call")
    succeeded(thrift_calls(w, count=1), 1, "the first Thrift call")
    succeeded(calls(w, BYTES), 1, "the first byte stream")
    equal(moved(w, before, "proxy_demand_waited"), 3, "what waited")
    asked = requests(server)
    succeeded(calls(w, ONE, count=100), 100, "the calls after it")
    succeeded(calls(w, BYTES), 1, "the second byte stream")
    equal(moved(w, before, "proxy_demand_waited"), 3, "what waited by then")
    equal(requests(server), asked, "requests for clusters by then")
    equal(names(server, "eds"), {mesh.name_of(ONE, PORT), mesh.name_of(THRIFT, THRIFT_PORT), mesh.name_of(BYTES, PORT)},
          "endpoints that are asked for")
    equal(state(w, ONE), "active", "its state")
    equal((state(w, UNCALLED), state(w, UNCALLED, "RDS")), ("not there", "on demand"), "the state of one that nobody called")


def many_at_once(w, server):
    """A hundred calls at once for a cluster that is not there are one question."""
    questions, asked = source(w)["on_demand_questions"], requests(server)
    before = w.daemon.counters()
    server.faults(delay_ms=500)
    succeeded(calls(w, TWO, count=100, connections=10, outstanding=10), 100, "calls at once")
    server.faults()
    equal(source(w)["on_demand_questions"] - questions, 2, "questions: its routes and its cluster")
    equal(requests(server) - asked, 2, "requests: the question and its acknowledgement")
    check(moved(w, before, "proxy_demand_waited") >= 100, "all of them waited")


def misses(w, server):
    """A cluster that does not exist: said at once, remembered, and taken when it appears."""
    before = w.daemon.counters()
    refused(calls(w, GHOST), 1, "the first miss")
    equal(state(w, GHOST), "absent", "its state")
    print(f"  a miss: {w.problem('ghost')['reason']}", flush=True)
    asked, began = requests(server), time.monotonic()
    refused(calls(w, GHOST, count=50, outstanding=5), 50, "the misses after it")
    equal((moved(w, before, "proxy_demand_absent"), moved(w, before, "proxy_demand_late")), (51, 0), "misses")
    equal(moved(w, before, "proxy_demand_waited"), 1, "misses that waited")
    again = requests(server) - asked
    check(again <= 1 + (time.monotonic() - began) // REMEMBERED, f"{again} requests for clusters meanwhile")
    server.apply(*mesh.service(GHOST, VIPS[GHOST], PORT, "dubbo", [w.endpoint(2)])[:2])
    within(5, lambda: state(w, GHOST) == "active", "it is taken without a question")
    succeeded(calls(w, GHOST), 1, "a call when it is there")


def leaves_and_returns(w, server):
    """One that is called stays, the others leave; a call brings them back."""
    busy = w.lab.dubbo_client(f"{VIPS[TWO]}:{PORT}", rate=20, seconds=600)
    busy.wait_line("calling")
    within(30, lambda: names(server, "cds") == {mesh.name_of(TWO, PORT)}, "what nobody uses leaves", step=0.2)
    becomes(lambda: (state(w, ONE), state(w, TWO)), ("not there", "active"), "states")
    becomes(lambda: (state(w, ONE, "RDS"), state(w, TWO, "RDS")), ("on demand", "active"), "states of their routes")
    within(5, lambda: names(server, "eds") == {mesh.name_of(TWO, PORT)}, "and its endpoints")
    succeeded(calls(w, ONE), 1, "the call that brings it back")
    busy.kill(signal.SIGTERM)
    report = busy.result(30)
    check(report["answered"] > 0 and report["failed"] == 0, f"calls of the one that stayed: {report}")


def away(w, server):
    """The discovery server is away: what is used goes on; what is not there costs one wait of so long at most."""
    busy = w.lab.dubbo_client(f"{VIPS[TWO]}:{PORT}", rate=50, seconds=600)
    busy.wait_line("calling")
    server.process.kill(signal.SIGKILL)
    before = w.daemon.counters()
    report = calls(w, LATER, timeout_ms=10000)
    refused(report, 1, "the call that leads to a cluster nobody tells")
    equal(moved(w, before, "proxy_demand_late"), 1, "calls that were too late")
    refused(calls(w, LATER, count=20), 20, "the calls after it")
    equal((moved(w, before, "proxy_demand_late"), moved(w, before, "proxy_demand_absent")), (1, 20), "what they cost")
    busy.kill(signal.SIGTERM)
    found = busy.result(30)
    check(found["answered"] > 0 and found["failed"] == 0, f"calls of what was there: {found}")
    return report


def restart(w):
    """What was in use is there again, without the server; the rest is a name."""
    succeeded(calls(w, TWO), 1, "before the restart")
    within(10, lambda: "bytes are kept" in source(w)["state_file_words"], "the state is kept", step=0.2)
    w.daemon.stop()
    w.daemon.start()
    succeeded(calls(w, TWO), 1, "after the restart, without a server")
    equal(state(w, UNCALLED, "RDS"), "on demand", "the state of one that nobody called")
    server = w.server()
    server.apply(*everything(w))
    within(40, lambda: state(w, TWO) in ("active", "not there"), "a server has said it again", step=0.2)
    within(40, lambda: calls(w, LATER)["failed"] == 0, "the cluster that nobody told", step=0.2)


def by_delta():
    with world() as w:
        w.peers()
        server = begin(w, delta=True)
        for case in (first_calls, many_at_once, misses, leaves_and_returns, away):
            case(w, server)
            print(f"  {case.__name__}", flush=True)
        restart(w)


def whole():
    """In the state of the world nobody says that there is none: the wait does."""
    with world() as w:
        w.peers(thrift=0)
        server = begin(w, delta=False)
        before = w.daemon.counters()
        succeeded(calls(w, ONE), 1, "the first call")
        succeeded(calls(w, TWO, count=20, outstanding=20), 20, "calls of another one")
        refused(calls(w, GHOST), 1, "the first miss")
        refused(calls(w, GHOST, count=20), 20, "the misses after it")
        equal((moved(w, before, "proxy_demand_late"), moved(w, before, "proxy_demand_absent")), (1, 20), "what they cost")
        within(30, lambda: not names(server, "eds"), "what nobody uses leaves", step=0.2)
        succeeded(calls(w, ONE), 1, "the call that brings it back")


def body():
    by_delta()
    print("state of the world", flush=True)
    whole()


if __name__ == "__main__":
    main(body)
