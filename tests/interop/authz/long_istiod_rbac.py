#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The same question as test_envoy_rbac.py's, with nothing of ours between Istio's documents and Envoy: a real istiod 1.31 is given the policies,
each set for a workload of its own, and tells that workload's sidecar its RBAC filters, which Envoy has then.
"""

import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "xds"))

from long_istiod_answers import inside  # noqa: E402

SETS, CALLS = 300, 20
HTTP_RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3."
ENTRY = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: a}
spec:
  hosts: [web.a]
  addresses: [240.240.9.9]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [%s]
  workloadSelector: {labels: {app: web}}
"""


def address(number):
    return f"10.1.{number // 250}.{1 + number % 250}"


def documents(sets, ports):
    out = [ENTRY % ", ".join(f"{{number: {port}, name: http-{port}, protocol: HTTP}}" for port in ports)]
    for number, policies in enumerate(sets):
        out.append(f"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: w{number}, namespace: a}}\n"
                   f"spec: {{address: {address(number)}, labels: {{app: web, set: s{number}}}, serviceAccount: web}}\n")
        for at, policy in enumerate(policies):
            spec = {"selector": {"matchLabels": {"set": f"s{number}"}}, **policy}
            out.append(f"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p{number}-{at}, namespace: a}}\n"
                       f"spec: {json.dumps(spec)}\n")
    return "---\n".join(out)


class Istiod:
    def __init__(self, directory, text, domains):
        from istiod_lab import built, free_port, until

        self.directory, self.port, config = directory, free_port(), directory / "config"
        config.mkdir()
        (config / "all.yaml").write_text(text)
        (directory / "mesh.yaml").write_text(json.dumps({
            "rootNamespace": "istio-system", "trustDomain": domains[0], "trustDomainAliases": domains[1:], "accessLogFile": "",
            "configSources": [{"address": f"fs://{config}"}]}))
        argv = [built("pilot-discovery"), "discovery", "--registries=", "--meshConfig", "mesh.yaml", "--networksConfig", "none", "--httpAddr",
                f"127.0.0.1:{free_port()}", "--httpsAddr", "", "--grpcAddr", f"127.0.0.1:{self.port}", "--secureGRPCAddr", "",
                "--monitoringAddr", f"127.0.0.1:{free_port()}"]
        self.log = open(directory / "istiod.log", "wb")
        self.process = subprocess.Popen(argv, cwd=directory, stdout=self.log, stderr=self.log, env={
            "POD_NAME": "istiod", "POD_NAMESPACE": "istio-system", "REVISION": "default", "HOME": str(directory), "PATH": "/usr/bin:/bin",
            "PILOT_CERT_PROVIDER": "istiod", "ENABLE_CA_SERVER": "false", "INJECT_ENABLED": "false"})
        until(60, self._listens, "istiod listens")

    def _listens(self):
        if self.process.poll() is not None:
            raise SystemExit("istiod ended: " + (self.directory / "istiod.log").read_text()[-2000:])
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


class Reader:
    """What a sidecar is told, of which RBAC filters its inbound chains of HTTP have."""

    def __init__(self, target):
        import grpc
        from envoy.service.discovery.v3 import ads_pb2_grpc

        self.channel = grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)])
        self.stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(self.channel)

    def listeners(self, number):
        import istiod_reading as reading
        from envoy.config.core.v3 import base_pb2
        from envoy.config.listener.v3 import listener_pb2
        from envoy.service.discovery.v3 import discovery_pb2

        node = base_pb2.Node(id=f"sidecar~{address(number)}~w{number}.a~a.svc.cluster.local", cluster="web")
        node.metadata.update({"NAMESPACE": "a", "LABELS": {"app": "web", "set": f"s{number}"}, "ISTIO_VERSION": "1.31.0",
                              "CLUSTER_ID": "Kubernetes", "INSTANCE_IPS": address(number), "SERVICE_ACCOUNT": "web"})
        request = discovery_pb2.DiscoveryRequest(node=node, type_url=reading.LDS)
        for response in self.stub.StreamAggregatedResources(iter([request]), timeout=20):
            return [listener_pb2.Listener.FromString(any_.value) for any_ in response.resources]
        raise SystemExit("istiod tells no listeners")

    def filters(self, number, port):
        """DENY's and ALLOW's, as JSON."""
        from envoy.extensions.filters.http.rbac.v3 import rbac_pb2
        from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http_pb2
        from google.protobuf import json_format

        for listener in self.listeners(number):
            for chain in listener.filter_chains:
                if listener.name != "virtualInbound" or chain.filter_chain_match.destination_port.value != port:
                    continue
                managers = [f for f in chain.filters if f.typed_config.type_url.endswith("HttpConnectionManager")]
                http = http_pb2.HttpConnectionManager.FromString(managers[0].typed_config.value)
                found = {"DENY": {"@type": HTTP_RBAC + "RBACPerRoute"}, "ALLOW": {"@type": HTTP_RBAC + "RBACPerRoute"}}
                for one in (f for f in http.http_filters if f.typed_config.type_url.endswith("rbac.v3.RBAC")):
                    rules = json_format.MessageToDict(rbac_pb2.RBAC.FromString(one.typed_config.value)).get("rules", {})
                    action = rules.get("action", "ALLOW")
                    if "rbac" in found[action]:
                        raise SystemExit(f"two filters of {action}: {http.http_filters}")
                    found[action]["rbac"] = {"rules": rules}
                return found["DENY"], found["ALLOW"]
        raise SystemExit(f"no chain of HTTP for port {port}, of {[one.name for one in self.listeners(number)]}")


def body():
    import istiod_lab
    from rbac_lab import DOMAINS, OURS, by_chance, compared, free_port
    from meltemi_lab import Skip

    if not OURS.exists():
        raise Skip(f"{OURS} is not built")
    ports = [free_port(), free_port()]
    sets, calls = by_chance(SETS, CALLS, ports)
    with tempfile.TemporaryDirectory(prefix="istiod") as at:
        try:
            istiod = Istiod(pathlib.Path(at), documents(sets, ports), DOMAINS)
        except istiod_lab.Missing as e:
            raise Skip(str(e)) from None
        try:
            time.sleep(1)
            reader = Reader(f"127.0.0.1:{istiod.port}")
            filters = [reader.filters(number, ports[0]) for number in range(SETS)]
        finally:
            istiod.close()
    print(f"{sum('rbac' in one for pair in filters for one in pair)} filters of istiod's")
    compared(sets, calls, ports, filters)


if __name__ == "__main__":
    inside(__file__)
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))
    from meltemi_lab import main

    main(body)
