#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Istio's metrics have the calls of each client's workload apart: by its address, or with a certificate of the mesh by its service account, whatever address it
has. Clients that no document names, and addresses of two workloads, are the node's. A connection whose address becomes another workload's counts for that one
from then on, and the old one has its calls when it comes back.
"""

import re
import socket
import struct

from meltemi_lab import PATIENCE, Lab, check, equal, main, netns, within
from meltemi_lab.documents import service
from meltemi_lab.dubbo import reply, request
from meltemi_lab.meshed import ACCOUNT, CALLER, VIP as MESH_VIP, Mesh

HOST, VIP, CALLS = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1", 6
STRANGER, WEB, TWICE = "192.0.2.2", "192.0.2.3", "192.0.2.4"


def entry(name, address, account=None, labels="{}"):
    account = f", serviceAccount: {account}" if account else ""
    return (f"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, namespace: shop}}\n"
            f"spec: {{address: '{address}', labels: {labels}{account}}}\n---\n")


def serve(sock):
    data = b""
    while more := sock.recv(65536):
        data += more
        while len(data) >= 16 and len(data) >= 16 + (length := struct.unpack(">i", data[12:16])[0]):
            sock.sendall(reply(struct.unpack(">q", data[4:12])[0], "done"))
            data = data[16 + length:]


def sources(daemon, host, label="workload"):
    """{a label of the source: calls}, as a client's proxy reports them. Each series is there once."""
    found, seen = {}, set()
    for labels, value in re.findall(r"^istio_requests_total{(.*)} (\d+)$", daemon.http("/metrics")[1], re.M):
        check(labels not in seen, f"two series: {labels}")
        seen.add(labels)
        if f'destination_service="{host}"' in labels and 'reporter="source"' in labels and int(value):
            source = re.search(rf'source_{label}="([^"]*)"', labels).group(1)
            found[source] = found.get(source, 0) + int(value)
    return found


def connect(lab, address):
    with lab.inside("client"):
        sock = socket.create_connection((VIP, 20880), timeout=PATIENCE, source_address=(address, 0))
    lab.sockets.append(sock)
    return sock


def call(sock, first):
    for ident in range(first, first + CALLS):
        sock.sendall(request(ident, "sayHello", ["a"]))
        check(sock.recv(1000), "a reply")


def by_address():
    with Lab(servers=1) as lab, lab.listening("server1", 20880, serve):
        for address in (WEB, TWICE):
            netns.run("ip", "-n", lab.namespace("client"), "addr", "add", f"{address}/24", "dev", "c0")
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {"app": "demo"})]))
        daemon.write("workloads.yaml", entry("web", WEB, labels="{app: web, version: v1}") + entry("a", TWICE) + entry("b", TWICE))
        daemon.start()
        socks = {address: connect(lab, address) for address in (STRANGER, WEB, TWICE)}
        for sock in socks.values():
            call(sock, 0)
        equal(sources(daemon, HOST), {"web": CALLS, lab.id: 2 * CALLS}, "workloads by address")
        equal(sources(daemon, HOST, "version").get("v1"), CALLS, "their labels")
        # The address is another workload's now, and the connection stays.
        daemon.write("workloads.yaml", entry("desk", WEB))
        daemon.shell("reload")
        within(10, lambda: sources(daemon, HOST) == {lab.id: 2 * CALLS}, "the old workload is gone")
        call(socks[WEB], 100)
        equal(sources(daemon, HOST), {"desk": CALLS, lab.id: 2 * CALLS}, "the new workload")
        daemon.write("workloads.yaml", entry("web", WEB, labels="{app: web, version: v1}"))
        daemon.shell("reload")
        within(10, lambda: sources(daemon, HOST) == {"web": CALLS, lab.id: 2 * CALLS}, "the old workload again")
        check("meltemi_callers_left_out 0" in daemon.http("/metrics")[1], "there is room for all")


def by_certificate():
    with Lab(servers=2) as lab:
        m = Mesh(lab)
        m.daemon.write("callers.yaml", entry("caller", "192.0.2.77", "caller", "{app: c}") + entry("other", STRANGER, "other"))
        m.daemon.start()
        host = "com.shop.quotes"
        equal(m.calls(CALLS)["failed"], 0, "calls in clear text")
        equal(sources(m.daemon, host), {"other": CALLS}, "by the address")
        for port, who in ((20901, CALLER), (20902, ACCOUNT % ("shop", "nobody"))):
            with lab.inside("client"):
                m.sidecar("client", "client", who, listen=f"127.0.0.1:{port}", to=f"{MESH_VIP}:20880", alpn="istio",
                          sni="outbound_.20880_._.com.shop.quotes")
            equal(m.calls(CALLS, f"127.0.0.1:{port}")["failed"], 0, f"calls of {who}")
        equal(sources(m.daemon, host), {"other": CALLS, "caller": CALLS, "unknown": CALLS}, "by the account, from an address of another workload")
        equal(sources(m.daemon, host, "workload_namespace"), {"shop": 3 * CALLS}, "an account without workloads has a namespace")
        equal(sources(m.daemon, host, "principal"), {CALLER: CALLS, "unknown": 2 * CALLS}, "principals, of known accounts")


def body():
    by_address()
    by_certificate()


main(body)
