#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The cluster that docs/tutorials/istio-mesh.md takes for granted, in a directory: the bundle of a machine, what adsd serves and its
certificate, and a certificate for a sidecar. Then it signs certificates, as istiod does, until it is killed.

  page_control.py DIRECTORY ADDRESS (istiod's: discovery is at port 15012, the authority at 15013)
"""

import json
import pathlib
import sys
import threading
import types

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
import test_join  # noqa: E402
from istiod_peer import Authority, Issuer, Istiod  # noqa: E402

HOST, ADDRESS, PORT, POD = "tcp-echo.shop.svc.cluster.local", "10.96.0.20", 9000, "10.244.1.5"
SERVER = "spiffe://cluster.local/ns/shop/sa/default"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def secret(name):
    return {"name": name, "sdsConfig": mesh.ADS}


def cluster(name):
    """As istiod's for a service with sidecars: mutual TLS to endpoints that it marks."""
    context = {"@type": TLS, "sni": f"outbound_.{PORT}_._.{HOST}", "commonTlsContext": {
        "alpnProtocols": ["istio-peer-exchange", "istio"], "tlsCertificateSdsSecretConfigs": [secret("default")],
        "combinedValidationContext": {"defaultValidationContext": {"matchTypedSubjectAltNames": [{"sanType": "URI", "matcher": {"exact": SERVER}}]},
                                      "validationContextSdsSecretConfig": secret("ROOTCA")}}}
    socket = {"name": "envoy.transport_sockets.tls", "typedConfig": context}
    return mesh.cluster(name, transportSocketMatches=[{"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transportSocket": socket}])


def resources():
    name = mesh.name_of(HOST, PORT)
    endpoints = mesh.assignment(name, [(POD, PORT)])
    endpoints["endpoints"][0]["lbEndpoints"][0]["metadata"] = {"filterMetadata": {
        "envoy.transport_socket_match": {"tlsMode": "istio"}, "istio": {"workload": "tcp-echo;shop;tcp-echo;v1;Kubernetes"}}}
    return [cluster(name), endpoints, mesh.listener(f"{ADDRESS}_{PORT}", ADDRESS, PORT, mesh.tcp_proxy(name, name))]


def pair(authority, place, *names):
    key = ec.generate_private_key(ec.SECP256R1())
    place.with_suffix(".pem").write_text(authority.sign(key.public_key(), list(names)))
    place.with_suffix(".key").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def main():
    directory, address = pathlib.Path(sys.argv[1]), sys.argv[2]
    authority, issuer = Authority(), Issuer()
    (directory / "root.pem").write_text(authority.pem())
    pair(authority, directory / "server", x509.DNSName(test_join.HOST))
    pair(authority, directory / "sidecar", x509.UniformResourceIdentifier(SERVER))
    (directory / "resources.json").write_text(json.dumps({"plane": "ads", "set": resources()}))
    bundle = test_join.Bundle(directory / "bundle", authority, issuer, types.SimpleNamespace(port=15012))
    bundle.env.update(CA_ADDR=f"{test_join.HOST}:15013", ISTIO_META_NETWORK="", ISTIO_SVC_IP="192.0.2.77")
    bundle.files["hosts"] = f"{address} {test_join.HOST}\n"
    bundle.dir.mkdir()
    bundle.write()
    server = Istiod(authority, issuer, address=(address, 15013))
    (directory / "ready").write_text(str(server.port))
    threading.Event().wait()


if __name__ == "__main__":
    main()
