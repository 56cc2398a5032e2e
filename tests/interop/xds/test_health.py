#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A mesh has more in it than this node serves, and documents say more than is enforced: that is noted, and `show health` is not yellow for
ever. What is left out is trouble and stays so; a service that a policy closes is told as closed, not as one without servers.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import becomes, check, equal, main, within  # noqa: E402

TLS = {"name": "envoy.transport_sockets.tls", "typedConfig": {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "locked.example", "commonTlsContext": {}}}
HTTP = {"name": "envoy.filters.network.http_connection_manager", "typedConfig": {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "statPrefix": "web"}}
DOCUMENTS = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: own, namespace: own}
spec:
  hosts: [own.example]
  addresses: [240.240.3.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 7000, name: tcp}]
  endpoints: [{address: 198.51.100.11}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: own, namespace: own}
spec: {host: own.example, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 5, maxRetries: 3}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: nobody, namespace: own}
spec: {host: nobody.example}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: own}
spec: {replicas: 2}
"""
POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: own}
spec: {action: CUSTOM, provider: {name: nobody}, rules: [{}]}
"""
OF_CONFIGURATION = ("state", "configuration", "endpoints", "control planes", "certificates", "names")


def rows(daemon, *states):
    return [row for row in daemon.show("health")["health"] if row["check"] in OF_CONFIGURATION and row["state"] in states]


def resources(w):
    """One that is served beside what is not: HTTP, encryption, nobody there at the moment."""
    locked, empty, web = (mesh.name_of(f"{name}.example", 443) for name in ("locked", "empty", "web"))
    return [*mesh.service(HOST, VIP, PORT, "dubbo", [w.endpoint(1)]),
            mesh.cluster(locked, transportSocket=TLS), mesh.assignment(locked, [w.endpoint(1)]),
            mesh.cluster(empty), mesh.assignment(empty, []),
            mesh.cluster(web), mesh.assignment(web, [w.endpoint(1)]),
            mesh.listener("240.240.1.9_443", "240.240.1.9", 443, mesh.tcp_proxy("empty", empty)),
            mesh.listener("240.240.1.8_80", "240.240.1.8", 80, HTTP)]


def body():
    with world() as w:
        server = w.server()
        w.peers(dubbo=1, thrift=0)
        server.apply(*resources(w))
        daemon = w.meltemi(files=True)
        daemon.leaves("errors", "a policy closes a service", "its provider cannot be queried")
        daemon.write("own.yaml", DOCUMENTS)
        daemon.start()
        w.serves(["v1/s1"], seconds=20)
        statuses = {row["status"] for row in daemon.show("objects")["objects"]}
        check({"in-force", "no-effect", "ignored"} <= statuses, f"statuses {statuses}")

        def unserved():
            return {row["resource"] if "resource" in row else row["name"] for row in daemon.show("resources")["resources"] if row["state"] == "not served"}

        becomes(lambda: len(unserved()), 2, "resources that are not served")
        becomes(lambda: rows(daemon, "warning", "fault"), [], "what is wrong with a node that does what it can", step=0.2)
        becomes(lambda: [words for words in ("not served", "locked.example", "empty.example") if words not in str(rows(daemon, "note"))], [],
                "what is not noted")

        server.apply(mesh.listener("twice", VIP, PORT, mesh.tcp_proxy("twice", mesh.name_of("web.example", 443))))
        within(10, lambda: any("left out" in row["words"] for row in rows(daemon, "warning")), "what is left out is trouble", step=0.2)
        server.apply(remove=[("lds", "twice")])
        within(10, lambda: not rows(daemon, "warning", "fault"), "it is over", step=0.2)

        daemon.write("policy.yaml", POLICY)
        within(10, lambda: any(row["about"] == "own.example" for row in rows(daemon, "warning")), "a closed service is a warning", step=0.2)
        told = [row for row in rows(daemon, "warning", "fault") if row["about"] == "own.example"]
        equal([(row["check"], row["state"]) for row in told], [("endpoints", "warning")], f"of the closed service: {rows(daemon, 'warning', 'fault')}")
        check("closed by AuthorizationPolicy own/nobody" in told[0]["words"] and "denied" in told[0]["words"], f"in words: {told}")
        check("no server" not in str(rows(daemon, "warning", "fault")), "a closed service is told as one without servers")
        w.serves(["v1/s1"])
        equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    main(body)
