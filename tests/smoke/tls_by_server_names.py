#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
TLS that is passed through, end to end between Python's ssl and the servers: a Gateway of Istio and one of Gateway API send connections by
the server name of their ClientHello, a service's own address as well; who asks for another name, or for none, gets nobody's server.
"""

import json
import ssl

from meltemi_lab import Lab, equal, main
from meltemi_lab.authority import Authority
from meltemi_lab.documents import service

VIP, SERVERS = "240.240.2.{}", {1: "one.shop.example", 2: "two.shop.example"}
ISTIO = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {zone: lab}
  servers:
  - port: {number: 8443, name: tls, protocol: TLS}
    hosts: ["*.shop.example"]
    tls: {mode: PASSTHROUGH}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shops}
spec:
  hosts: ["*.shop.example"]
  gateways: [edge, mesh]
  tls:
  - match: [{sniHosts: [one.shop.example]}]
    route: [{destination: {host: server1.test}}]
  - match: [{sniHosts: ["*.shop.example"]}]
    route: [{destination: {host: server2.test}}]
"""
GATEWAY_API = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: api}
spec:
  gatewayClassName: istio
  listeners: [{name: tls, port: 9443, protocol: TLS, hostname: "*.shop.example", tls: {mode: Passthrough}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: two}
spec:
  parentRefs: [{name: api}]
  hostnames: [two.shop.example]
  rules: [{backendRefs: [{group: networking.istio.io, kind: Hostname, name: server2.test, port: 8443}]}]
"""
OWN = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: own}
spec:
  hosts: [server1.test]
  tls:
  - match: [{sniHosts: [two.shop.example]}]
    route: [{destination: {host: server2.test}}]
"""


def serves(number, certificate, key):
    """Says who it is, over TLS of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def handler(sock):
        try:
            with context.wrap_socket(sock, server_side=True) as tls:
                tls.recv(1)
                tls.sendall(b"server%d" % number)
        except (OSError, ssl.SSLError):
            sock.close()

    return handler


def asks(lab, host, port, name):
    """Who answers to that server name; None: nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with context.wrap_socket(lab.connect("client", host, port), server_hostname=name) as tls:
            tls.sendall(b"?")
            return tls.recv(10).decode()
    except OSError:
        return None


def body():
    with Lab(servers=2) as lab:
        authority = Authority(lab.directory / "ca")
        paths = authority.sign("server")
        with lab.listening("server1", 8443, serves(1, *paths)), lab.listening("server2", 8443, serves(2, *paths)):
            daemon = lab.meltemi()
            daemon.node.write_text(daemon.node.read_text().replace("zone: lab", "zone: lab, gateway.networking.k8s.io/gateway-name: api"))
            for n in (1, 2):
                daemon.write(f"server{n}.yaml", service(f"server{n}.test", VIP.format(n), 8443, "tls", [(lab.server(n), 8443, {})]))
            for name, text in (("istio", ISTIO), ("api", GATEWAY_API), ("own", OWN)):
                daemon.write(f"{name}.yaml", text)
            daemon.start()
            for host, port, name, expected in (
                    ("192.0.2.1", 8443, "one.shop.example", "server1"), ("192.0.2.1", 8443, "TWO.shop.example", "server2"),
                    ("192.0.2.1", 8443, "one.example", None), ("192.0.2.1", 8443, None, None),
                    ("192.0.2.1", 9443, "two.shop.example", "server2"), ("192.0.2.1", 9443, "one.shop.example", None),
                    (VIP.format(1), 8443, "two.shop.example", "server2"), (VIP.format(1), 8443, "one.shop.example", "server1"),
                    (VIP.format(1), 8443, None, "server1")):
                equal(asks(lab, host, port, name), expected, f"who answers {name} at {host}:{port}")
            found = {(o["kind"], o["name"]): o["status"] for o in json.loads(daemon.shell("--json", "show", "objects"))["objects"]}
            equal([found["Gateway", "edge"], found["Gateway", "api"], found["TLSRoute", "two"], found["VirtualService", "own"]],
                  ["in-force"] * 4, "statuses")


main(body)
