#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Meltemi fed by a discovery server (go-control-plane) while real Dubbo and Thrift calls run through it: they follow weights,
endpoints and routes, and not one fails, whatever the server sends or stops sending. Half of it in the state of the world,
half by delta; MELTEMI_LONG: all of it in both.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import ADS, HOST, PORT, THRIFT, THRIFT_PORT, THRIFT_VIP, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main, within  # noqa: E402
from meltemi_lab.columns import every_column_selects  # noqa: E402
from meltemi_lab.daemon import SHELL  # noqa: E402

V1, V2 = "v1/s1", "v2/s2"
LONG = bool(os.environ.get("MELTEMI_LONG"))


def everything(w, shares):
    """Dubbo split over two subsets, with a TypedStruct as Istio sends it; Thrift with the message itself."""
    return (mesh.split(HOST, VIP, PORT, "dubbo", {"v1": [w.endpoint(1)], "v2": [w.endpoint(2)]}, shares) +
            mesh.service(THRIFT, THRIFT_VIP, THRIFT_PORT, "thrift", [w.endpoint(1, THRIFT_PORT)], kind=mesh.meta_binary))


def begin(w, delta):
    server = w.server()
    server.apply(*everything(w, {"v1": 100, "v2": 0}))
    w.meltemi(delta=delta).start()
    w.serves([V1])
    equal(server.report()["delta"], delta, "the kind of requests")
    report = w.lab.thrift_client(f"{THRIFT_VIP}:{THRIFT_PORT}", scenario="load", count=50).result()
    equal((report["answered"], report["failed"]), (50, 0), "Thrift calls")
    return server


def weights(w, server):
    """Twenty flips; the last one holds."""
    for turn in range(1, 21):
        server.apply(mesh.shares_of(HOST, PORT, {"v1": 100 - 5 * turn, "v2": 5 * turn}))
        time.sleep(0.05)
    w.serves([V2], count=200)
    server.apply(mesh.shares_of(HOST, PORT, {"v1": 50, "v2": 50}))
    w.serves([V1, V2])


def endpoints(w, server):
    """Endpoints come and go under load; who is gone gets no new call."""
    v1 = mesh.name_of(HOST, PORT, "v1")
    server.apply(mesh.shares_of(HOST, PORT, {"v1": 100, "v2": 0}))
    w.serves([V1])
    for _ in range(10):
        server.apply(mesh.assignment(v1, [w.endpoint(1), w.endpoint(2)]))
        time.sleep(0.05)
        server.apply(mesh.assignment(v1, [w.endpoint(2)]))
        time.sleep(0.05)
    w.serves([V2])
    server.apply(mesh.assignment(v1, [w.endpoint(1)]))
    w.serves([V1])


def bad_resources(w, server):
    """One bad resource of each kind: told by name, field and reason; what is good beside it goes live."""
    host = mesh.name_of("late.example", 7000)
    bad = [mesh.cluster("bad-cluster", type="STATIC", loadAssignment=mesh_of("bad-cluster", [("no-address", 1)])),
           mesh.routes("bad-routes", ([{"name": "user", "stringMatch": {"safeRegex": {"regex": "a(b"}}}], host)),
           mesh.listener("bad-listener", "240.240.1.9", 7000, mesh.meta_struct("no-such-protocol", "late.example", 7000))]
    good = mesh.service("late.example", "240.240.1.3", PORT, "dubbo", [w.endpoint(2)])
    server.apply(*bad, *good, unreadable=["unreadable-cluster"])
    server.refused("cds", "bad-cluster: ", "unreadable-cluster: ")
    server.refused("lds", 'bad-listener: filter_chains: unknown codec "aeraki.meta_protocol.codec.no-such-protocol"')
    w.serves([V2], target=f"240.240.1.3:{PORT}")
    out_of_place(w, server)
    for name in ("bad-cluster", "unreadable-cluster", "bad-listener", "second-listener"):
        row = w.problem(name)
        print(f"    {name}: {row['state']}: {row['reason']}", flush=True)
    every_column_selects(w.daemon, ["show xds"], {("show xds", "accepted_not_used")})
    named(w, "bad-listener", "no-such-protocol")
    glance = w.daemon.show("mesh")
    check(glance["mesh"][0]["last_nack"] and " s ago: " in glance["mesh"][0]["last_nack"], f"the mesh at a glance: {glance['mesh']}")
    check(sum(row["nacks"] for row in glance["versions"] if row["type"] == "CDS") > 0, f"versions at a glance: {glance['versions']}")
    named(w, "bad-cluster", "CDS refused (NACK): load_assignment")
    before = server.report()["types"]
    server.faults(resend=True)
    server.apply(mesh.shares_of(HOST, PORT, {"v1": 0, "v2": 100}), mesh.assignment(host, [w.endpoint(1)]))
    w.serves([V2])
    time.sleep(2 if not LONG else 60)
    after = server.report()["types"]
    server.faults()
    nacks = {kind: after[kind]["nacks"] - before[kind]["nacks"] for kind in after}
    print(f"    NACKs of a server that sends again at once: {nacks}", flush=True)
    check(max(nacks.values()) <= (20 if LONG else 4), f"a loop: {nacks}")
    server.apply(remove=[("cds", "bad-cluster"), ("cds", "unreadable-cluster"), ("rds", "bad-routes"), ("lds", "bad-listener"),
                         ("lds", "second-listener")])


def named(w, about, words):
    """`meltemi doctor` says so within seconds, in these words, and what to do."""
    def told():
        argv = [SHELL, "-s", w.daemon.directory / "admin.sock", "--json", "doctor"]
        rows = json.loads(subprocess.run(argv, text=True, capture_output=True, timeout=30, check=False).stdout)["findings"]
        return next((row for row in rows if about in row["about"] and words in row["words"] and row["state"] in ("warning", "fault")), None)

    row = within(10, told, f"doctor names {about}: {words}", step=0.3)
    check(row["remedy"], f"no remedy: {row}")
    print(f"    doctor: {row['about']}: {row['words']}", flush=True)


def turned_away(w, server):
    """A control plane that wants nothing to do with us: its words reach the operator, what it said last goes on."""
    server.faults(refuse=7, words="this node may not subscribe")
    server.drop("streams")
    named(w, ADS, "this node may not subscribe")
    w.serves([V2])
    server.faults()
    w.stream("up", seconds=20)


def out_of_place(w, server):
    """Sound by themselves, and refused by the compiler: an address in use, and one that nobody can have; the last good serves."""
    late = f"240.240.1.3_{PORT}"
    server.apply(mesh.listener("second-listener", VIP, PORT, mesh.meta_struct("dubbo", "late.example", PORT)))
    print(f"    {server.refused('lds', 'second-listener: address: ', 'in use')}", flush=True)
    server.apply(mesh.listener(late, "224.0.0.9", PORT, mesh.meta_struct("dubbo", "late.example", PORT)))
    server.refused("lds", f"{late}: address: 224.0.0.9:{PORT} cannot be served")
    equal(w.problem(late)["state"], "refused, the last good one is in force", "a listener that moved where nobody can be")
    w.serves([V2], target=f"240.240.1.3:{PORT}")
    server.apply(mesh.listener(late, "240.240.1.3", PORT, mesh.meta_struct("dubbo", "late.example", PORT)))


def mesh_of(name, endpoints_of):
    out = mesh.assignment(name, endpoints_of)
    del out["@type"]
    return out


def interruptions(w, server):
    """Ended streams, reset connections, spoilt and late answers; each time the next change arrives."""
    shares = [{"v1": 100, "v2": 0}, {"v1": 0, "v2": 100}]
    faults = [lambda: server.drop("streams"), lambda: server.drop("connections"), lambda: server.faults(garbage=1),
              lambda: server.faults(truncate=1), lambda: server.faults(cut=50), lambda: server.faults(rate=3000)]
    for turn, fault in enumerate(faults):
        fault()
        server.apply(mesh.shares_of(HOST, PORT, shares[turn % 2]))
        w.serves([[V1, V2][turn % 2]], seconds=15)
    server.faults()


def versions(w, server):
    """A version that goes back is a version."""
    server.apply(mesh.shares_of(HOST, PORT, {"v1": 100, "v2": 0}), version="900")
    w.serves([V1])
    server.apply(mesh.shares_of(HOST, PORT, {"v1": 0, "v2": 100}), version="3")
    w.serves([V2])


def removal(w, server):
    """A service leaves while its calls are under way: each of them ends properly, and so do the connections."""
    host, vip = "leaving.example", "240.240.1.4"
    server.apply(*mesh.service(host, vip, PORT, "dubbo", [w.endpoint(1, 20881)]))
    w.serves(["slow/s1"], count=4, target=f"{vip}:{PORT}")
    load = w.lab.dubbo_client(f"{vip}:{PORT}", outstanding=8, count=8)
    load.wait_line("calling")  # other calls are under way, too
    within(5, lambda: len(w.daemon.show("exchanges")["exchanges"]) >= 8, "the calls are under way", step=0.02)
    name = mesh.name_of(host, PORT)
    server.apply(remove=[("lds", f"{vip}_{PORT}"), ("rds", f"{host}_{PORT}"), ("cds", name), ("eds", name)])
    report = load.result()
    equal((report["answered"], report["failed"]), (8, 0), f"calls under way {report['errors']}")


def play(delta, cases):
    with world() as w:
        w.peers()
        w.lab.python("server1", "slow", "interop/dubbo/pydubbo_server.py", "--tag", "slow", "--id", "s1", "--port", 20881,
                     "--delay", "1500").wait_line("ready")
        server = begin(w, delta)
        idle = w.daemon.in_use()
        with w.traffic() as reports:
            for case in cases:
                began = time.monotonic()
                case(w, server)
                print(f"  {case.__name__}: {time.monotonic() - began:.1f} s", flush=True)
        print(f"{'delta' if delta else 'state of the world'}: {reports['dubbo']['answered']} Dubbo calls "
              f"{reports['dubbo']['by_server']}, {reports['thrift']['answered']} Thrift calls, none failed", flush=True)
        w.daemon.memory_returns(idle)
        equal(w.daemon.stop(), 0, "exit status")


def body():
    everything_there_is = (weights, endpoints, bad_resources, turned_away, interruptions, versions, removal)
    play(False, everything_there_is if LONG else (weights, bad_resources, turned_away, versions))
    play(True, everything_there_is if LONG else (endpoints, interruptions, removal))


if __name__ == "__main__":
    main(body)
