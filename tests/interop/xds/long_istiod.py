#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A real istiod (Istio 1.31, built from its module with one change so that it runs without Kubernetes) and a server of routes
as Aeraki's: ServiceEntry, WorkloadEntry, DestinationRule, VirtualService and the EnvoyFilter that Aeraki writes become a
service that real calls go through, over mutual TLS; edits of the documents arrive while calls run.
"""

import json
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from real_istiod import AT, Istiod  # noqa: E402
from world import PORT, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main  # noqa: E402

HOST, VIP = "org.example.demo", "240.240.0.1"
TCP_HOST, TCP_VIP = "org.example.bytes", "240.240.0.2"
LATER_VIP = "240.240.0.3"
V1, V2 = "v1/s1", "v2/s2"

SERVICES = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: demo, namespace: meta}}
spec:
  hosts: [{host}]
  addresses: [{vip}]
  ports: [{{number: {port}, name: tcp-metaprotocol-dubbo, protocol: TCP, targetPort: {port}}}]
  location: MESH_INTERNAL
  resolution: STATIC
  workloadSelector: {{labels: {{app: demo}}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: bytes, namespace: meta}}
spec:
  hosts: [{tcp_host}]
  addresses: [{tcp_vip}]
  ports: [{{number: {port}, name: tcp-bytes, protocol: TCP, targetPort: {port}}}]
  location: MESH_INTERNAL
  resolution: STATIC
  workloadSelector: {{labels: {{app: demo}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: bytes, namespace: meta}}
spec:
  host: {tcp_host}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"""
RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: demo, namespace: meta}}
spec:
  host: {host}
  trafficPolicy:
    loadBalancer: {{simple: ROUND_ROBIN}}
    connectionPool: {{tcp: {{maxConnections: 100, connectTimeout: 2s}}}}
    outlierDetection: {{consecutive5xxErrors: 3, interval: 5s}}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: {v2}}}}}
"""
LATER = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: later, namespace: meta}}
spec:
  hosts: [later.example]
  addresses: [{vip}]
  ports: [{{number: {port}, name: tcp-later, protocol: TCP, targetPort: {port}}}]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints: [{{address: {address}, labels: {{security.istio.io/tlsMode: disabled}}}}]
"""
VIRTUAL = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: bytes, namespace: meta}}
spec:
  hosts: [{host}]
  tcp:
  - route:
    - {{destination: {{host: {host}, subset: v1, port: {{number: {port}}}}}, weight: {v1}}}
    - {{destination: {{host: {host}, subset: v2, port: {{number: {port}}}}}, weight: {v2}}}
"""
FILTER = """\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: aeraki-outbound-demo, namespace: istio-system}}
spec:
  configPatches:
  - applyTo: NETWORK_FILTER
    match:
      listener:
        name: {vip}_{port}
        filterChain: {{filter: {{name: envoy.filters.network.tcp_proxy}}}}
    patch:
      operation: REPLACE
      value:
        name: envoy.filters.network.meta_protocol_proxy
        typed_config:
          "@type": type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: type.googleapis.com/aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy
          value:
            statPrefix: outbound|{port}||{host}
            applicationProtocol: dubbo
            codec: {{name: aeraki.meta_protocol.codec.dubbo}}
            rds:
              routeConfigName: {table}
              configSource:
                resourceApiVersion: V3
                apiConfigSource: {{apiType: GRPC, transportApiVersion: V3, grpcServices: [{{envoyGrpc: {{clusterName: aeraki-xds}}}}]}}
            metaProtocolFilters: [{{name: aeraki.meta_protocol.filters.router}}]
"""


class Demo(Istiod):
    """What is served: a service of messages by Aeraki's filter, and one of bytes by weights."""

    def __init__(self, w):
        authority = w.lab.directory / "cacerts"
        authority.mkdir()
        for name, source in (("ca-cert", "root.pem"), ("cert-chain", "root.pem"), ("root-cert", "root.pem"), ("ca-key", "root.key")):
            (authority / f"{name}.pem").write_bytes((w.certs / source).read_bytes())
        super().__init__(w.lab, authority, w.certs / "server", w.certs / "root.pem")

    def documents(self, v1=100, v2=0):
        names = {"host": HOST, "vip": VIP, "port": PORT, "tcp_host": TCP_HOST, "tcp_vip": TCP_VIP}
        self.write("services.yaml", SERVICES.format(**names))
        for number in (1, 2):
            self.workload(number)
        self.weights(v1, v2)
        self.rule("v2")
        self.filter(f"{HOST}_{PORT}")

    def rule(self, v2):
        """The DestinationRule, whose subset v2 has the workloads of that version."""
        self.write("rule.yaml", RULE.format(host=HOST, v2=v2))

    def filter(self, table):
        """The EnvoyFilter, which names that table of routes."""
        self.write("filter.yaml", FILTER.format(host=HOST, vip=VIP, port=PORT, table=table))

    def later(self, number):
        """A ServiceEntry that was not there before, at that server."""
        self.write("later.yaml", LATER.format(vip=LATER_VIP, port=PORT, address=self.lab.server(number)))

    def weights(self, v1, v2):
        self.write("virtual.yaml", VIRTUAL.format(host=TCP_HOST, port=PORT, v1=v1, v2=v2))


def edits(w, istiod, server):
    """A new service comes and moves; the rule's subset means others; the filter names another table of routes."""
    for number, tag in ((1, V1), (2, V2)):
        istiod.later(number)
        w.serves([tag], seconds=20, target=f"{LATER_VIP}:{PORT}")
    istiod.rule("v1")
    w.serves([V1], target=f"{VIP}:{PORT}")
    istiod.rule("v2")
    w.serves([V2], target=f"{VIP}:{PORT}")
    other = mesh.routes("other_table", mesh.name_of(HOST, PORT, "v1"))
    server.apply(other, plane="rds")
    istiod.filter("other_table")
    w.serves([V1], seconds=30, target=f"{VIP}:{PORT}")
    istiod.filter(f"{HOST}_{PORT}")
    w.serves([V2], seconds=30, target=f"{VIP}:{PORT}")


def body():
    with world() as w:
        w.peers(thrift=0)
        istiod = Demo(w)
        istiod.documents()
        istiod.start()
        server = w.server(rds="198.18.0.2:15011")
        shares = lambda v1, v2: mesh.shares_of(HOST, PORT, {"v1": v1, "v2": v2})  # noqa: E731
        server.apply(shares(100, 0), plane="rds")
        w.meltemi(target=AT, tls={"certs": w.certs, "client": "client", "name": "istiod.istio-system.svc"},
                  aeraki={"certs": w.certs, "client": "client", "name": "aeraki.istio-system"}).start()
        w.serves([V1], seconds=30, target=f"{VIP}:{PORT}")
        w.serves([V1], seconds=30, target=f"{TCP_VIP}:{PORT}")
        print(json.dumps(w.xds(), indent=1), flush=True)
        load = w.lab.dubbo_client(f"{VIP}:{PORT}", connections=2, rate=300, seconds=600)
        load.wait_line("calling")
        server.apply(shares(0, 100), plane="rds")
        w.serves([V2], target=f"{VIP}:{PORT}")
        istiod.weights(0, 100)
        w.serves([V2], target=f"{TCP_VIP}:{PORT}")
        istiod.workload(2, at=1)
        w.serves([V1], target=f"{VIP}:{PORT}")
        istiod.workload(2)
        w.serves([V2], target=f"{VIP}:{PORT}")
        edits(w, istiod, server)
        istiod.process.stop()
        time.sleep(2)
        w.serves([V2], target=f"{VIP}:{PORT}")
        istiod.start()
        istiod.workload(2, at=1)
        w.serves([V1], seconds=40, target=f"{VIP}:{PORT}")
        load.kill(signal.SIGTERM)
        report = load.result()
        equal((report["failed"], report["crossed"]), (0, 0), f"calls that failed {report['errors']}")
        check(report["answered"] > 0, "no call was answered")
        print(f"{report['answered']} calls {report['by_server']} through what istiod said, none failed", flush=True)
        equal(w.daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    main(body)
