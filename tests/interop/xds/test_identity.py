#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Discovery over mutual TLS, routes from a second server as Aeraki's (its empty answer keeps what is there), and servers
that are not who they should be, whose certificate ran out, who send more than the bound: calls go on, and `show xds` says
what is wrong.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main, within  # noqa: E402

V1, V2 = "v1/s1", "v2/s2"


def begin(w):
    server = w.server(tls=True, rds="198.18.0.2:15011")
    subsets = {"v1": [w.endpoint(1)], "v2": [w.endpoint(2)]}
    resources = mesh.split(HOST, VIP, PORT, "dubbo", subsets, {"v1": 100, "v2": 0}, source=mesh.AERAKI)
    carried = [r for r in resources if "virtualHosts" in r]
    server.apply(*(r for r in resources if r not in carried))
    # As istiod, which knows nothing of them: an answer, with an empty set of routes.
    server.apply({**carried[0], "virtualHosts": []})
    server.apply(*carried, plane="rds")
    w.meltemi(tls={"certs": w.certs, "client": "client", "name": "istiod.istio-system.svc"},
              aeraki={"certs": w.certs, "client": "client", "name": "aeraki.istio-system"}).start()
    w.serves([V1], seconds=20)
    for plane in ("ads", "rds"):
        equal(server.report(plane)["peer"], ["spiffe://cluster.local/ns/meta/sa/default"], f"who the server {plane} sees")
    equal(server.seen("rds")["names"], [], "routes asked for at the wrong server")
    return server


def aeraki(w, server):
    """Routes follow Aeraki's server; its empty answer, and its absence, change nothing."""
    server.apply(mesh.shares_of(HOST, PORT, {"v1": 0, "v2": 100}), plane="rds")
    w.serves([V2])
    server.faults(plane="rds", empty=True)
    before = server.seen("rds", "rds")["responses"]
    time.sleep(1)
    server.apply(plane="rds")
    within(20, lambda: server.seen("rds", "rds")["responses"] > before, "an empty answer is sent")
    time.sleep(1)  # what it could change would be changed by then
    w.serves([V2])
    server.faults(plane="rds")
    time.sleep(1)
    server.apply(mesh.shares_of(HOST, PORT, {"v1": 100, "v2": 0}), plane="rds")
    w.serves([V1])


def strangers(w, server):
    """A wrong name, an old certificate, another root: refused and told; the renewed one is taken."""
    for identity, word in (("wrong-name", "somebody.else"), ("expired", "expired"), ("stranger", "issuer")):
        server.faults(identity=identity)
        server.drop("connections")
        time.sleep(0.3)
        server.apply(mesh.cluster(f"never-{identity}.example"))
        print(f"    {identity}: {w.stream(reason=word)['reason']}", flush=True)
    server.faults()
    server.apply(mesh.assignment(mesh.name_of(HOST, PORT, "v1"), [w.endpoint(2)]))
    w.serves([V2], seconds=35)


def huge(w, server):
    """More than the bound in one message: told, in words, and tried less and less often."""
    before = server.report()["streams_opened"]
    server.apply(huge=70 << 20)
    print(f"    {w.stream(reason='bytes', seconds=20)['reason']}", flush=True)
    time.sleep(3)
    opened = server.report()["streams_opened"] - before
    print(f"    {opened} streams opened while the answer is too large", flush=True)
    check(opened <= 15, f"{opened} streams")
    server.apply(mesh.assignment(mesh.name_of(HOST, PORT, "v1"), [w.endpoint(1)]), remove=[("cds", "huge.example")])
    w.serves([V1], seconds=35)


def body():
    with world() as w:
        w.peers(thrift=0)
        server = begin(w)
        with w.traffic(thrift=False) as reports:
            for case in (aeraki, strangers, huge):
                began = time.monotonic()
                case(w, server)
                print(f"  {case.__name__}: {time.monotonic() - began:.1f} s", flush=True)
        print(f"{reports['dubbo']['answered']} calls {reports['dubbo']['by_server']}, none failed", flush=True)
        equal(w.daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    main(body)
