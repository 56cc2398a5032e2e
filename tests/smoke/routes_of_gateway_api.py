#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Connections to a Gateway of Gateway API, at the node's own address: they go to the Services of the TCPRoute by its shares, to another
namespace's only with its ReferenceGrant, not past a filter that names the Gateway or its class, and nowhere once the node's label is another Gateway's.
"""

import collections
import json
import socket

from meltemi_lab import Lab, check, equal, main, within

PORT, CONNECTIONS = 9000, 120
SERVICES = "".join(f"""\
---
apiVersion: v1
kind: Service
metadata: {{name: echo, namespace: {ns}}}
spec: {{clusterIP: 240.240.3.{n}, ports: [{{name: tcp-echo, port: 7000}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: echo-1, namespace: {ns}, labels: {{kubernetes.io/service-name: echo}}}}
addressType: IPv4
ports: [{{name: tcp-echo, port: 7000}}]
endpoints: [{{addresses: [198.51.100.1{n}]}}]
""" for n, ns in ((1, "near"), (2, "far")))
GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: near}
spec:
  gatewayClassName: istio
  listeners: [{name: raw, port: 9000, protocol: TCP}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: raw, namespace: near}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{name: echo, port: 7000, weight: 3}, {name: echo, namespace: far, port: 7000, weight: 1}]}]
"""
GRANT = """\
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: near, namespace: far}
spec:
  from: [{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: near}]
  to: [{group: "", kind: Service}]
"""


FILTER = """apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: rules, namespace: %s}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: %s, name: %s}]
  configPatches:
  - applyTo: NETWORK_FILTER
    match: {context: GATEWAY}
    patch:
      operation: INSERT_FIRST
      value:
        name: envoy.filters.network.rbac
        typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC}
"""
# Whose filter it is, whom it names, and whether that is this node.
FILTERS = [("near", "Gateway", "edge", True), ("near", "Gateway", "other", False), ("far", "Gateway", "edge", False),
           ("istio-system", "GatewayClass", "istio", True), ("istio-system", "GatewayClass", "other", False),
           ("near", "GatewayClass", "istio", False)]


def says(word):
    def handler(sock):
        sock.recv(1)
        sock.sendall(word)
        sock.close()

    return handler


def who_answers(lab):
    """{what was said: connections}; b"": ended without a word."""
    said = collections.Counter()
    for _ in range(CONNECTIONS):
        try:
            sock = lab.connect("client", "192.0.2.1", PORT)
            sock.sendall(b"?")
            said[sock.recv(10)] += 1
            sock.close()
        except ConnectionError:
            said[b""] += 1
    print(dict(said), flush=True)
    return said


def status(daemon, kind, name):
    found = json.loads(daemon.shell("--json", "show", "objects"))["objects"]
    return {(o["kind"], o["name"]): o["status"] for o in found}.get((kind, name))


def refused(lab):
    try:
        lab.connect("client", "192.0.2.1", PORT).close()
        return False
    except (ConnectionRefusedError, socket.timeout):
        return True


def filters(lab, daemon):
    """A filter that nobody runs closes the port of the Gateway, or of those of the class, that it names, and no other one."""
    daemon.leaves("errors", "what closes is told as one", "EnvoyFilter")
    for ns, kind, name, closes in FILTERS:
        daemon.write("filter.yaml", FILTER % (ns, kind, name))
        daemon.shell("reload", fail=False)
        equal((status(daemon, "EnvoyFilter", "rules"), refused(lab)), ("fail-closed", True) if closes else ("no-effect", False),
              f"a filter in {ns} for the {kind} {name}")
        if closes:
            found = daemon.show("objects")["closed_by_policy"]
            equal([(row["kind"], row["namespace"], row["refused"]) for row in found], [("EnvoyFilter", ns, 1)], "who has refused")
    daemon.write("filter.yaml", "# nothing\n")
    daemon.shell("reload")


def body():
    with Lab(servers=2) as lab, lab.listening("server1", 7000, says(b"near")), lab.listening("server2", 7000, says(b"far")):
        daemon = lab.meltemi()
        daemon.node.write_text(daemon.node.read_text().replace("zone: lab", "gateway.networking.k8s.io/gateway-name: edge"))
        daemon.write("services.yaml", SERVICES)
        daemon.write("gateway.yaml", GATEWAY)
        daemon.write("grant.yaml", GRANT)
        daemon.start()
        said = who_answers(lab)
        equal(said[b"near"] + said[b"far"], CONNECTIONS, "connections that were answered")
        check(60 < said[b"near"] < 115 and said[b"far"], f"3 to 1 is {dict(said)}")
        equal([status(daemon, "Gateway", "edge"), status(daemon, "TCPRoute", "raw")], ["in-force"] * 2, "statuses")
        filters(lab, daemon)
        # What nobody grants any more keeps its share, and fails: nothing goes to the other one in its place.
        daemon.write("grant.yaml", "# nothing\n")
        daemon.shell("reload")
        said = who_answers(lab)
        check(said[b"far"] == 0 and said[b""] and 60 < said[b"near"] < 115, f"without the grant: {dict(said)}")
        equal(status(daemon, "TCPRoute", "raw"), "in-force-with-notes", "the route without its grant")
        daemon.node.write_text(daemon.node.read_text().replace("gateway-name: edge", "gateway-name: other"))
        within(5, lambda: status(daemon, "Gateway", "edge") == "no-effect", "the Gateway is another node's", step=0.1)
        check(refused(lab), "its port is answered")


main(body)
