#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
AUTO_PASSTHROUGH, as an east-west gateway: TLS of a mesh's client goes on unread to the sidecar of the service, port and subset that its server
name is made of, end to end by both certificates; who names another port, subset or service, what no proxy is in front of, or another protocol than
the mesh's gets nobody, which is counted; a policy of addresses at the gateway is asked first.
"""

import json
import ssl
import subprocess

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.meshed import CALLER, QUOTES, Mesh

EAST_WEST, PORT = "192.0.2.1", 15443
GATEWAY = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: east-west, namespace: edge}
spec:
  selector: {zone: lab}
  servers:
  - port: {number: 15443, name: tls, protocol: TLS}
    tls: {mode: AUTO_PASSTHROUGH}
    hosts: ["com.shop.quotes", "*.example"]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: quotes, namespace: shop}
spec:
  host: com.shop.quotes
  subsets: [{name: meshed, labels: {security.istio.io/tlsMode: istio}}, {name: none, labels: {app: other}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bare, namespace: shop}
spec:
  hosts: [bare.example]
  addresses: [240.240.1.9]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp}]
  endpoints: [{address: 198.51.100.12}]
"""
CLOSED = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: edge}
spec: {selector: {matchLabels: {zone: lab}}, action: DENY, rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}
"""
SNI = "outbound_.20880_.%s_.com.shop.quotes"


def rows(process):
    return [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]


def through(m, port, sni):
    """Calls of a client by its sidecar, whose server is the gateway."""
    with m.lab.inside("client"):
        out = m.sidecar("client", "client", CALLER, listen=f"127.0.0.1:{port}", to=f"{EAST_WEST}:{PORT}", alpn="istio", sni=sni)
    return out, m.calls(10, f"127.0.0.1:{port}")


def passed(m, port, sni):
    before = len(rows(m.inbound))
    out, report = through(m, port, sni)
    equal((report["failed"], set(report["by_server"])), (0, {"v1/s1"}), f"calls by {sni}: {report['error_samples']}")
    equal(rows(out)[0]["peer"], [QUOTES], f"whom the client sees by {sni}")
    seen = rows(m.inbound)[before:]
    equal({(tuple(row["peer"]), row["sni"], row["alpn"]) for row in seen}, {((CALLER,), sni, "istio")}, f"whom the server sees by {sni}")


def refused(m, sni, alpn="istio"):
    """No chain takes a hello like that: the connection is refused for that reason, and not for its age."""
    before, seen = m.daemon.counters().get("proxy_chain_unmatched", 0), len(rows(m.inbound))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    try:
        with context.wrap_socket(m.lab.connect("client", EAST_WEST, PORT), server_hostname=sni):
            check(False, f"somebody answers {sni}")
    except (ConnectionError, ssl.SSLError):
        pass
    within(30, lambda: m.daemon.counters().get("proxy_chain_unmatched", 0) == before + 1, f"{sni} is counted", step=0.05)
    equal(len(rows(m.inbound)), seen, f"connections to the server by {sni}")


def written(sni):
    """A ClientHello with those bytes for a server name, and no others changed: as many as the name that the library writes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["istio"])
    out, plain = ssl.MemoryBIO(), ("a." * len(sni))[:len(sni) - 1] + "a"
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=plain)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    data = out.read()
    equal(data.count(plain.encode()), 1, f"names in the hello for {sni}")
    return data.replace(plain.encode(), sni)


def odd(m):
    """Names that are the service's for who takes them for texts that end, or whatever their end."""
    name = (SNI % "").encode()
    for sni in (name + b"\0", name + b"\0.example", b"\0" + name, name + b"..", b"*" + name[1:], name.replace(b"com.", b"com\0"), name.replace(b"_.com", b"_._.com"),
                b" " + name, name + b"\xc3\xa9", b"a." * 60 + name, b"*.quotes", b"outbound_.20880_._.*"):
        before, seen = m.daemon.counters().get("proxy_chain_unmatched", 0), len(rows(m.inbound))
        with m.lab.connect("client", EAST_WEST, PORT) as sock:
            sock.sendall(written(sni))
            try:
                equal(sock.recv(1), b"", f"what {sni} is answered")
            except ConnectionError:
                pass
        within(5, lambda: m.daemon.counters().get("proxy_chain_unmatched", 0) == before + 1, f"{sni} is counted", step=0.05)
        equal(len(rows(m.inbound)), seen, f"connections to the server by {sni}")
    for sni, why in ((name.upper(), "whatever its case (RFC 4343 section 3)"), (name + b".", "with the root's dot (RFC 1034 section 3.1)")):
        with m.lab.connect("client", EAST_WEST, PORT) as sock:
            sock.sendall(written(sni))
            equal(sock.recv(1), b"\x16", f"what the name is answered {why}")


def by_openssl(m):
    """Another library's client, and its own words on what it was shown."""
    cert, key = m.authority.sign("other-client", f"URI:{CALLER}")
    done = subprocess.run(["ip", "netns", "exec", m.lab.namespace("client"), "openssl", "s_client", "-connect", f"{EAST_WEST}:{PORT}", "-servername", SNI % "",
                           "-alpn", "istio", "-cert", cert, "-key", key, "-CAfile", m.authority.roots, "-verify_return_error"], input="", text=True,
                          capture_output=True, timeout=30, check=False)
    check("Verify return code: 0 (ok)" in done.stdout and "ALPN protocol: istio" in done.stdout, f"openssl: {done.stdout[-600:]} {done.stderr[-300:]}")


def told(m):
    said = json.loads(m.daemon.shell("--json", "analyse", fail=False))
    check("passes-everything" not in json.dumps(said), "analyse tells of a port that names its services")
    m.daemon.write("gateway.yaml", GATEWAY.replace('"com.shop.quotes", "*.example"', '"*"'))
    m.daemon.shell("reload")
    said = json.dumps(json.loads(m.daemon.shell("--json", "analyse", fail=False)))
    check("passes-everything" in said and "port 15443 routes to all 2 ports of services" in said, f"analyse of a port for everything: {said[:800]}")


def body():
    with Lab(servers=2) as lab:
        m = Mesh(lab)
        m.daemon.write("gateway.yaml", GATEWAY)
        m.daemon.start()
        passed(m, 20971, SNI % "")
        passed(m, 20972, SNI % "meshed")
        by_openssl(m)
        for sni in (SNI % "none", SNI % "other", "outbound_.20881_._.com.shop.quotes", "outbound_.020880_._.com.shop.quotes", "outbound_.20880_._.com.shop.other",
                    "outbound_.20880_._.bytes.shop", "outbound_.20880_._.bare.example", "com.shop.quotes"):
            refused(m, sni)
        refused(m, None)
        refused(m, SNI % "", alpn="h2")
        refused(m, SNI % "", alpn=None)
        odd(m)
        told(m)
        passed(m, 20973, "outbound_.20880_._.bytes.shop")
        m.daemon.write("closed.yaml", CLOSED)
        m.daemon.shell("reload")
        _out, report = through(m, 20974, SNI % "")
        equal(report["answered"], 0, "calls of addresses that a policy at the gateway denies")


main(body)
