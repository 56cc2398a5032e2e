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
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import CONTROL, PORT, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import Skip, check, equal, main, within  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
HOST, VIP = "org.example.demo", "240.240.0.1"
TCP_HOST, TCP_VIP = "org.example.bytes", "240.240.0.2"
ISTIOD = f"{CONTROL}:15012"
V1, V2 = "v1/s1", "v2/s2"

MESH = """\
rootNamespace: istio-system
trustDomain: cluster.local
accessLogFile: ""
configSources:
- address: fs://{config}
defaultConfig:
  discoveryAddress: {istiod}
"""
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
metadata: {{name: demo, namespace: meta}}
spec:
  host: {host}
  trafficPolicy:
    loadBalancer: {{simple: ROUND_ROBIN}}
    connectionPool: {{tcp: {{maxConnections: 100, connectTimeout: 2s}}}}
    outlierDetection: {{consecutive5xxErrors: 3, interval: 5s}}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
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
WORKLOAD = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: demo-v{number}, namespace: meta}}
spec: {{address: {address}, labels: {{app: demo, version: v{number}, security.istio.io/tlsMode: disabled}}, serviceAccount: demo}}
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
              routeConfigName: {host}_{port}
              configSource:
                resourceApiVersion: V3
                apiConfigSource: {{apiType: GRPC, transportApiVersion: V3, grpcServices: [{{envoyGrpc: {{clusterName: aeraki-xds}}}}]}}
            metaProtocolFilters: [{{name: aeraki.meta_protocol.filters.router}}]
"""


def binary():
    done = subprocess.run([HERE / "istiod" / "build.sh"], text=True, capture_output=True, timeout=1100, check=False)
    if done.returncode:
        raise Skip(f"no istiod: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")
    return max((pathlib.Path.home() / ".cache/meltemi/istiod").glob("pilot-discovery-*"))


class Istiod:
    """Its documents, and the process in the control namespace."""

    def __init__(self, w):
        self.w = w
        self.config = w.lab.directory / "istio"
        self.config.mkdir()

    def write(self, name, text):
        scratch = self.config.parent / f".{name}"
        scratch.write_text(text)
        scratch.rename(self.config / name)

    def documents(self, v1=100, v2=0):
        names = {"host": HOST, "vip": VIP, "port": PORT, "tcp_host": TCP_HOST, "tcp_vip": TCP_VIP}
        self.write("services.yaml", SERVICES.format(**names))
        for number in (1, 2):
            self.workload(number)
        self.weights(v1, v2)
        self.write("filter.yaml", FILTER.format(**names))

    def workload(self, number, at=None):
        self.write(f"workload{number}.yaml", WORKLOAD.format(number=number, address=self.w.lab.server(at or number)))

    def weights(self, v1, v2):
        self.write("virtual.yaml", VIRTUAL.format(host=TCP_HOST, port=PORT, v1=v1, v2=v2))

    def start(self, program):
        directory, certs = self.w.lab.directory, self.w.certs
        authority = directory / "cacerts"
        authority.mkdir(exist_ok=True)
        for name, source in (("ca-cert", "root.pem"), ("cert-chain", "root.pem"), ("root-cert", "root.pem"), ("ca-key", "root.key")):
            (authority / f"{name}.pem").write_bytes((certs / source).read_bytes())
        (directory / "mesh.yaml").write_text(MESH.format(config=self.config, istiod=ISTIOD))
        env = {"POD_NAME": "istiod-lab", "POD_NAMESPACE": "istio-system", "REVISION": "default", "PILOT_CERT_PROVIDER": "istiod",
               "ENABLE_CA_SERVER": "true", "ROOT_CA_DIR": str(authority), "HOME": str(directory), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
        argv = [program, "discovery", "--registries=", "--meshConfig", directory / "mesh.yaml", "--networksConfig", directory / "none",
                "--httpAddr", "127.0.0.1:18080", "--httpsAddr", "", "--grpcAddr", "127.0.0.1:15010", "--secureGRPCAddr", ISTIOD,
                "--monitoringAddr", "127.0.0.1:15014", "--tlsCertFile", certs / "server.pem", "--tlsKeyFile", certs / "server.key",
                "--caCertFile", certs / "root.pem"]
        self.process = self.w.lab.run("control", f"istiod-{time.monotonic_ns()}", argv, env=env)

        def listens():
            if not self.process.running():
                raise Failure(f"istiod ended: {self.process.tail()}")
            try:
                self.w.lab.connect("control", CONTROL, 15012).close()
                return True
            except OSError:
                return False

        within(30, listens, "istiod listens", step=0.1)


def body():
    program = binary()
    with world() as w:
        w.peers(thrift=0)
        istiod = Istiod(w)
        istiod.documents()
        istiod.start(program)
        server = w.server(rds="198.18.0.2:15011")
        shares = lambda v1, v2: mesh.shares_of(HOST, PORT, {"v1": v1, "v2": v2})  # noqa: E731
        server.apply(shares(100, 0), plane="rds")
        w.meltemi(target=ISTIOD, tls={"certs": w.certs, "client": "client", "name": "istiod.istio-system.svc"},
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
        istiod.process.stop()
        time.sleep(2)
        w.serves([V2], target=f"{VIP}:{PORT}")
        istiod.start(program)
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
