#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Handshakes and records of lib/tls with Envoy, configured as Istio configures a sidecar: as client (SNI outbound_.PORT_._.HOST, ALPN
istio-peer-exchange and istio, sessions kept) and as server of a PERMISSIVE port, which asks for a certificate.
"""

import json
import pathlib
import socket
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "xds"))

import environment  # noqa: E402
from envoy_words import ISTIO_CIPHERS, VERSIONS, address, chain, cluster, common, permissive, socket_of  # noqa: E402
from meltemi_lab import Skip, check, equal, main  # noqa: E402
from tls_lab import (ALICE, BOB, OURS, SEEN, SUITES, Server, call, expect, free_port, make_pki, our_result, ours, run,  # noqa: E402
                     wait_for_port)

SNI = "outbound_.9090_._.bob.shop.svc.cluster.local"


class Echo(threading.Thread):
    """Plain text, sent back."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            conn, _ = self.socket.accept()
            threading.Thread(target=self.echo, args=(conn,), daemon=True).start()

    @staticmethod
    def echo(conn):
        with conn:
            while data := conn.recv(65536):
                conn.sendall(data)


def ask(port, lines=5, length=3000):
    """A plain client of Envoy's."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as conn:
        back = conn.makefile("rb")
        for number in range(lines):
            line = bytes([97 + number]) * length + b"\n"
            conn.sendall(line)
            equal(back.readline(), line, f"line {number} by Envoy")
    return lines * (length + 1)


def row_of(version, cipher, port):
    """Envoy as client of that version and cipher (1.2): its listener, and its cluster."""
    named = {"cipher_suites": [cipher]} if version == "0303" else {}
    tls = common(ROW["identity"], {"exact": BOB}, ["istio-peer-exchange", "istio"], tls_minimum_protocol_version=VERSIONS[version],
                 tls_maximum_protocol_version=VERSIONS[version], **named)
    name = f"{version}-{cipher}"
    return ({"name": name, "address": address(port), "filter_chains": [chain(name)]},
            cluster(name, ROW["to"], socket_of("UpstreamTlsContext", tls, sni=SNI)))


ROW = {}


def with_envoy(pki, server, at):
    rows = [("0304", None, None), *(("0303", number, name) for number, name in enumerate(SUITES["0303"]))]
    ROW.update(identity=pki["alice"], to=server.port)
    ports = {row: free_port() for row in rows}
    parts = [row_of(version, name, ports[version, number, name]) for version, number, name in rows]
    inbound, echo = free_port(), Echo()
    config = {"static_resources": {"listeners": [part[0] for part in parts] + [permissive(inbound, pki["bob"])],
                                   "clusters": [part[1] for part in parts] + [cluster("echo", echo.port)]}}
    path = pathlib.Path(at) / "envoy.json"
    path.write_text(json.dumps(config))
    with Server(environment.envoy(), "--concurrency", "1", "--disable-hot-restart", "--use-dynamic-base-id", "-l", "error", "-c", path):
        wait_for_port(inbound)
        for row in rows:
            envoy_calls(server, row, ports[row])
        envoy_serves(pki, inbound)


def envoy_calls(server, row, port):
    version, cipher, name = row
    for number in range(3):
        said = ask(port)
        found = our_result(server)
        expect(found, f"Envoy calls {version} {name}", version, cipher, ALICE, said, number > 0, end=found["end"])
        equal((found["sni"], found["alpn"]), (SNI, "istio"), "what Envoy asks for")
        check(found["end"] in ("closed", "left"), f"the end: {found}")


def envoy_serves(pki, port):
    for version, suites in SUITES.items():
        for cipher, suite in enumerate(suites):
            if suite.startswith("ECDHE") and suite not in ISTIO_CIPHERS:
                continue
            call(port, pki["alice"], f"Envoy serves {suite}", version, cipher, lines=5, length=20000, sni=SNI,
                 **{"suites" if version == "0304" else "ciphers": suite})
    ask(port)  # plain, beside
    # It says no to who is of another trust domain, after a handshake that was good for us (TLS 1.3).
    done = run(OURS, "client", port, pki["stranger"], f"san={BOB}", f"sni={SNI}")
    found = json.loads(done.stdout)
    check(found["echoed"] == 0 and found["end"].startswith("alert "), f"a stranger: {found}")


def body():
    if not OURS.exists():
        raise Skip(f"{OURS} is not built")
    with tempfile.TemporaryDirectory() as at:
        pki = make_pki(pathlib.Path(at))
        with ours(pki["bob"], "tickets=1") as server:
            with_envoy(pki, server, at)
    print(f"{len(SEEN)} connections")


main(body)
