#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Certificates and roots of two nodes are replaced again and again under up to 20,000 calls a second between them by the mesh's mutual TLS: memif all the way, no
kernel in it. The first node speaks for callers in clear text, the second one ends TLS in front of a server in clear text. Roots that are added end nobody's
connection at the node that ends TLS; those that are taken away end the connections that only they have signed, in order. No call is lost.
"""

import os
import signal
import time

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.authority import Authority
from meltemi_lab.check import within
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.documents import service
from meltemi_lab.files import put_together

BLAST = MELTEMID.parent.parent.parent / "bench/blast/meltemi-blast"
RATE, SECONDS, ROUNDS = 20000, 24, 3
# Of each of the 32 connections: where the machine is too busy for the rate, calls are not made, instead of refused by queues that are full.
OUTSTANDING, CALLS = 8, 24000
NEAR_VIP, FAR_VIP, PORT = "240.240.3.1", "240.241.3.1", 20880
DUBBO, HOST = "tcp-metaprotocol-dubbo", "com.example.Echo"
MESHED = {"security.istio.io/tlsMode": "istio"}


class Node:
    """A node with an identity in a directory of its own."""

    def __init__(self, lab, name, role, ports, more):
        self.name, self.folder = name, lab.directory / f"identity-{name}"
        self.folder.mkdir()
        self.daemon = lab.meltemi(mb=256, role=role, name=name, ports=ports)
        text = self.daemon.node.read_text().replace("spec:\n", f"spec:\n  identity: {{directory: {self.folder}}}\n{more}", 1)
        self.daemon.node.write_text(text)

    def put(self, name, text):
        scratch = self.folder / f".{name}"
        scratch.write_text(text)
        os.chmod(scratch, 0o600)
        os.rename(scratch, self.folder / name)

    def leaf(self, authority):
        """A new certificate, and the time until it is in use."""
        was = self.serial()
        cert, key = authority.sign(f"{self.name}-{os.urandom(4).hex()}", f"URI:spiffe://cluster.local/ns/default/sa/{self.name}")
        put_together(self.folder, **{"key.pem": key, "cert-chain.pem": cert})
        if self.daemon.process:
            within(10, lambda: self.serial() not in (None, was), f"the new certificate of {self.name} is in use")

    def roots(self, *authorities):
        self.put("root-cert.pem", "".join(a.roots.read_text() for a in authorities))
        if self.daemon.process:
            within(10, lambda: len(self.daemon.show("identity")["roots"]) == len(authorities), f"the roots of {self.name} are in use")

    def serial(self):
        rows = self.daemon.show("identity")["identity"] if self.daemon.process else []
        return rows[0]["serial"] + rows[0]["issuer"] if rows else None


def memif(lab, number, name, role):
    return f"net_memif{number},role={role},socket={lab.directory}/{name}.sock,socket-abstract=no"


def nodes(lab, authorities):
    far = Node(lab, "far", "server1", [f'name: between, device: "{memif(lab, 0, "between", "server")}", addresses: [10.77.0.2/24]',
                                       f'name: up, device: "{memif(lab, 1, "up", "server")}", addresses: [10.72.0.1/24]'], "")
    near = Node(lab, "near", "mesh", [f'name: down, device: "{memif(lab, 0, "down", "server")}", addresses: [10.71.0.1/24]',
                                      f'name: between, device: "{memif(lab, 1, "between", "client")}", addresses: [10.77.0.1/24]'],
                f"  routes: [{{to: {FAR_VIP}/32, via: 10.77.0.2}}]\n  mesh: {{namespace: default, nodeIdentityUse: {{clients: [10.71.0.0/24]}}}}\n")
    far.daemon.write("echo.yaml", service(HOST, FAR_VIP, PORT, DUBBO, [("10.72.0.2", PORT, {})]))
    near.daemon.write("echo.yaml", service(HOST, NEAR_VIP, PORT, DUBBO, [(FAR_VIP, PORT, MESHED)]).replace("    labels:", "    serviceAccount: far\n    labels:"))
    for node in (far, near):
        node.roots(authorities[0])
        node.leaf(authorities[0])
    return near, far


def outdated(node):
    return node.daemon.counters().get("proxy_down_tls_outdated", 0)


def rotate(near, far, old, new):
    """As a mesh changes its authority: both are trusted, then leaves are the new one's, then the old one is trusted no more. And once more a leaf."""
    before = outdated(far)
    for node in (near, far):
        node.roots(old, new)
    time.sleep(0.5)
    equal(outdated(far), before, "connections that end because there is one root more")
    for node in (near, far):
        node.leaf(new)
    far.roots(new)
    within(10, lambda: outdated(far) > before, "connections that only the old authority has signed end")
    near.roots(new)
    near.leaf(new)


def body():
    with Lab(servers=1) as lab:
        authorities = [Authority(lab.directory / f"ca{i}", f"root{i}") for i in range(ROUNDS + 1)]
        near, far = nodes(lab, authorities)
        far.daemon.start()
        echo = lab.run("server1", "echo", [BLAST, "--server", "--device", memif(lab, 0, "up", "client"), "--address", "10.72.0.2/24", str(PORT)])
        echo.wait_line("ready", 30)
        near.daemon.start()
        within(60, lambda: all(row["link"] == "up" for row in near.daemon.show("ports")["ports"] if row["name"] == "between"), "the link between the nodes")
        calls = lab.run("mesh", "calls", [BLAST, "--json", "--device", memif(lab, 0, "down", "client"), "--address", "10.71.0.2/24", "--gateway", "10.71.0.1",
                                          "-c", "32", "-o", str(OUTSTANDING), "-r", str(RATE), "-d", f"{SECONDS}s", "-w", "1s", "--timeout", "10s", f"{NEAR_VIP}:{PORT}"])
        within(20, lambda: far.daemon.counters().get("tls_accepted", 0) > 0, "mutual TLS between the nodes")
        begun, handshakes = time.monotonic(), []
        for i in range(ROUNDS):
            rotate(near, far, authorities[i], authorities[i + 1])
            handshakes.append(near.daemon.counters()["tls_opened"])
        check(calls.running(), f"the calls were over before the last of the rotations, which took {time.monotonic() - begun:.1f} s")
        report = calls.result(120)
        counters = far.daemon.counters()
        print(f"{report['answered']} of {report['sent']} calls answered, p99 {report['latency']['p99_us']} us; handshakes so far, behind each rotation: {handshakes}; "
              f"at the far node { {k: v for k, v in counters.items() if v and k.startswith(('proxy_down_', 'tcp_late', 'proxy_reply_'))} }; "
              f"rotations in {time.monotonic() - begun:.1f} s", flush=True)
        equal(report["sent"], report["answered"], "calls answered")
        equal(sorted(handshakes), handshakes, "handshakes")
        check(handshakes[-1] > handshakes[0], "nobody made a handshake with what was new")
        # The callers' stack went with its process: nobody is left to answer a FIN, and a drain would take its whole time.
        for node in (near, far):
            node.daemon.process.popen.send_signal(signal.SIGTERM)
            node.daemon.wait_log("draining")
            equal(node.daemon.stop(), 0, f"exit status of {node.name}")
        check(report["answered"] >= CALLS, f"{report['answered']} calls in {SECONDS} s")


main(body)
