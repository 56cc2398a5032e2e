#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Istio's metrics have the calls of a canary apart: each call has the workload where it ended. Calls without an endpoint have none. A server that becomes
another workload begins at 0, and keeps no calls of the one before; calls that were under way count for that one. Workloads without series of their own
(workloadSeries) are `other`.
"""

import re
import struct
import subprocess

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.documents import service, subsets
from meltemi_lab.dubbo import reply, request

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
NOWHERE, NOWHERE_AT = "nowhere.example", "240.240.1.2"
PROTOCOL, CALLS = "tcp-metaprotocol-dubbo", 8
FAMILIES = {"istio_requests_total": "", "istio_request_duration_milliseconds": "_count", "istio_request_bytes": "_count", "istio_response_bytes": "_count"}


class Server:
    """Answers at once, or when it is told to."""

    def __init__(self):
        self.held = None

    def __call__(self, sock):
        data = b""
        while more := sock.recv(65536):
            data += more
            while len(data) >= 16 and len(data) >= 16 + (length := struct.unpack(">i", data[12:16])[0]):
                answer = reply(struct.unpack(">q", data[4:12])[0], "done")
                if b"hang" in data[:16 + length]:
                    self.held = lambda answer=answer: sock.sendall(answer)
                else:
                    sock.sendall(answer)
                data = data[16 + length:]


def scraped(daemon, host=HOST, family="istio_requests_total"):
    """{version: calls} of a family's series of the host, as a client's proxy reports them."""
    found = {}
    for labels, value in re.findall(rf"^{family}{FAMILIES[family]}{{(.*)}} (\d+)$", daemon.http("/metrics")[1], re.M):
        if f'destination_service="{host}"' in labels and 'reporter="source"' in labels and int(value):
            version = re.search(r'destination_version="([^"]*)"', labels).group(1)
            found[version] = found.get(version, 0) + int(value)
    return found


def call(sock, ident):
    sock.sendall(request(ident, "sayHello", ["a"]))
    return sock.recv(1000)


def lint(daemon):
    text = daemon.http("/metrics")[1]
    series = re.findall(r"^([a-z_]+(?:\{.*?\})?) \S+$", text, re.M)
    equal(len(series), len(set(series)), "series, each once")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    words = [line for line in (done.stdout + done.stderr).splitlines()
             if line and not line.startswith("istio_request_duration_milliseconds ")]
    equal(words, [], "what promtool says of the metrics")


def publish(lab, daemon, *versions):
    daemon.write("rule.yaml", subsets(HOST, [], "simple: ROUND_ROBIN"))
    daemon.write("service.yaml", service(HOST, VIP, 20880, PROTOCOL,
                                         [(lab.server(i + 1), 20880, {"app": "demo", "version": v}) for i, v in enumerate(versions)]))


def canary():
    servers = Server(), Server()
    with Lab(servers=2) as lab, lab.listening("server1", 20880, servers[0]), lab.listening("server2", 20880, servers[1]):
        daemon = lab.meltemi()
        publish(lab, daemon, "v1", "v2")
        daemon.write("nowhere.yaml", service(NOWHERE, NOWHERE_AT, 20880, PROTOCOL, []))
        daemon.start()
        sock, nowhere = lab.connect("client", VIP, 20880), lab.connect("client", NOWHERE_AT, 20880)
        for ident in range(CALLS):
            call(sock, ident)
        call(nowhere, 1)
        for family in FAMILIES:
            equal(scraped(daemon, HOST, family), {"v1": CALLS // 2, "v2": CALLS // 2}, family)
        equal(scraped(daemon, NOWHERE), {"unknown": 1}, "a call without an endpoint")
        # One call is under way at each server while the second one becomes another workload.
        for ident in range(2):
            sock.sendall(request(100 + ident, "sayHello", ["hang"]))
        within(5, lambda: all(server.held for server in servers), "a call at each server")
        publish(lab, daemon, "v1", "v3")
        daemon.shell("reload")
        within(10, lambda: scraped(daemon) == {"v1": CALLS // 2}, "the old workload is gone")
        for server in servers:
            server.held()
            sock.recv(1000)
        for ident in range(CALLS):
            call(sock, 200 + ident)
        after = scraped(daemon)
        equal(after, {"v1": CALLS + 1, "v3": CALLS // 2}, "calls of the new workload")
        # The old one comes back with its calls, among them the one that was under way.
        publish(lab, daemon, "v1", "v2")
        daemon.shell("reload")
        within(10, lambda: scraped(daemon) == {"v1": CALLS + 1, "v2": CALLS // 2 + 1}, f"the old workload again: {scraped(daemon)}")
        check("meltemi_series_folded{kind=\"workload\"} 0" in daemon.http("/metrics")[1], "all of them have series of their own")
        lint(daemon)


def others():
    """The node has fewer series than there are workloads."""
    with Lab(servers=2) as lab, lab.listening("server1", 20880, Server()), lab.listening("server2", 20880, Server()):
        daemon = lab.meltemi()
        daemon.admin(workloadSeries=1)
        publish(lab, daemon, "v1", "v2")
        daemon.start()
        with lab.connect("client", VIP, 20880) as sock:
            for ident in range(CALLS):
                call(sock, ident)
        equal((sum(scraped(daemon).values()), scraped(daemon, "other")), (CALLS // 2, {"unknown": CALLS // 2}), "calls with series of their own, and others")
        check("meltemi_series_folded{kind=\"workload\"} 1" in daemon.http("/metrics")[1], "one workload is among the others")
        lint(daemon)


def body():
    canary()
    others()


main(body)
