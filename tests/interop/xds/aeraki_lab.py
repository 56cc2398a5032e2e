# SPDX-License-Identifier: Apache-2.0
"""
A real Aeraki beside a real istiod, an API server and etcd: MetaRouters are in the API server, Istio's objects come to Aeraki from
istiod, and its own server of routes is asked, over mutual TLS.
"""

import os
import pathlib
import subprocess
import time

import grpc
import yaml
from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import discovery_pb2
from envoy.service.route.v3 import rds_pb2_grpc

import istiod_lab
from istiod_reading import RDS, asked, weighted

ROUTERS = "/apis/metaprotocol.aeraki.io/v1alpha1/namespaces/{ns}/metarouters"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PLAIN = 15010  # the only port at which Aeraki takes an istiod without TLS
SECONDS = 60
NAME = "aeraki.istio-system"


def istio_definitions():
    module = subprocess.run(["go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio@v0.0.0-20260827124520-eed52ebb66ad"], text=True,
                            capture_output=True, check=False, cwd="/", env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/local/go/bin"})
    path = pathlib.Path(module.stdout.strip() or "/none") / "manifests/charts/base/files/crd-all.gen.yaml"
    if not path.exists():
        raise istiod_lab.Missing("no definitions of Istio's kinds: its module is not in Go's cache")
    return path


class Lab(istiod_lab.Lab):
    def __init__(self, directory):
        if os.geteuid():
            raise istiod_lab.Missing("not root: Aeraki reads a file below /var/run")
        self.program = istiod_lab.built("aeraki")
        definitions = [istio_definitions(), istiod_lab.CACHE / "definitions-of-aeraki.yaml"]
        super().__init__(directory, "istiod-for-aeraki")
        for path in definitions:
            for one in yaml.safe_load_all(path.read_text()):
                if one:
                    self.call("POST", DEFINITIONS, one)
        time.sleep(3)
        self._certificates()

    def _certificates(self):
        """An authority of RSA, which is what Aeraki can read, and a client's certificate by it."""
        shell = ("mkdir ca && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca/ca-key.pem -out ca/ca-cert.pem -days 2 -subj /O=cluster.local "
                 "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign && "
                 "cp ca/ca-cert.pem ca/root-cert.pem && cp ca/ca-cert.pem ca/cert-chain.pem && "
                 "openssl req -newkey rsa:2048 -nodes -keyout c.key -out c.csr -subj /O=x && "
                 "echo subjectAltName=URI:spiffe://cluster.local/ns/shop/sa/x >c.ext && "
                 "openssl x509 -req -in c.csr -CA ca/ca-cert.pem -CAkey ca/ca-key.pem -CAcreateserial -out c.pem -days 1 -extfile c.ext")
        subprocess.run(["sh", "-c", shell], cwd=self.directory, check=True, capture_output=True)

    def routers(self, text):
        """Serves the documents; the answers are for those who ask then."""
        istio = []
        for one in yaml.safe_load_all(text):
            if one and one["kind"] == "MetaRouter":
                self.namespace(one["metadata"]["namespace"])
                self.call("POST", ROUTERS.format(ns=one["metadata"]["namespace"]), one)
            elif one:
                istio.append(one)
        target = self.scene(yaml.safe_dump_all(istio), PLAIN, ENABLE_XDS_API_GENERATOR_AUTH="false")
        self.rds, web, http = (istiod_lab.free_port() for _ in range(3))
        # Its own /run, where the authority has to be.
        shell = (f"mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/istio && cp ca/root-cert.pem /run/secrets/istio/ && exec {self.program} "
                 f"--istiod-address {target} --aeraki-xds-address 127.0.0.1 --aeraki-xds-port :{self.rds} --root-namespace istio-system "
                 f"--cluster-id Kubernetes --server-id a --election-id a --httpsAddr 127.0.0.1:{web} --httpAddr 127.0.0.1:{http}")
        self.processes.append(self._run("aeraki", ["unshare", "-m", "sh", "-c", shell], KUBECONFIG=str(self.kubeconfig), POD_NAME="aeraki",
                                        ROOT_CA_DIR=str(self.directory / "ca"), AERAKI_NAMESPACE="istio-system"))

    def tables(self, names):
        """{name: its routes}, once all of them are there."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                for found in self._stream(names):
                    if set(names) <= set(found):
                        return found
            except grpc.RpcError:
                time.sleep(1)
        raise SystemExit("Aeraki does not tell all routes: " + (self.directory / "aeraki.log").read_text()[-2000:])

    def _stream(self, names):
        read = lambda name: (self.directory / name).read_bytes()  # noqa: E731
        channel = grpc.secure_channel(f"127.0.0.1:{self.rds}",
                                      grpc.ssl_channel_credentials(read("ca/ca-cert.pem"), read("c.key"), read("c.pem")),
                                      options=[("grpc.ssl_target_name_override", NAME)])
        node = base_pb2.Node(id="sidecar~10.0.0.1~asker.shop~shop.svc.cluster.local", cluster="asker")

        def requests():
            yield discovery_pb2.DiscoveryRequest(node=node, type_url=RDS, resource_names=names)
            time.sleep(SECONDS)

        for response in rds_pb2_grpc.RouteDiscoveryServiceStub(channel).StreamRoutes(requests(), timeout=SECONDS / 3):
            yield {one.name: one for one in (route_pb2.RouteConfiguration.FromString(any_.value) for any_ in response.resources)}


def matches(route):
    for header in route.match.headers:
        kind = header.WhichOneof("header_match_specifier").removesuffix("_match")
        value = header.safe_regex_match.regex if kind == "safe_regex" else getattr(header, f"{kind}_match")
        yield f"{header.name} {kind.removeprefix('safe_')} {value}"


def answer(table):
    """As run.py of tests/documents/istiod has it of Meltemi."""
    out = []
    for route in table.virtual_hosts[0].routes:
        mirrors = [f"{m.runtime_fraction.default_value.numerator} of a million to {m.cluster}" for m in route.route.request_mirror_policies]
        out.append({"name": route.name, "match": sorted(matches(route)), "to": asked.shares(weighted(route.route)), "mirror": mirrors,
                    "request": [f"{h.header.key}={h.header.value}" for h in route.request_headers_to_add],
                    "reply": [f"{h.header.key}={h.header.value}" for h in route.response_headers_to_add],
                    "hash": [p.header.header_name for p in route.route.hash_policy]})
    return out
