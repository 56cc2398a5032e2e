#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A host with ports of opaque TCP and of messages has its connections and its calls apart in Istio's metrics, and both in Meltemi's own."""

import re
import struct

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.documents import service
from meltemi_lab.dubbo import reply, request
from meltemi_lab.streams import echo

PORT, CALLS, SERVED = 7000, 3, 2
BOTH, BOTH_AT = "both.example", "240.240.1.1"
FAMILIES = {"opened": "istio_tcp_connections_opened_total", "closed": "istio_tcp_connections_closed_total",
            "received": "istio_tcp_received_bytes_total", "calls": "istio_requests_total"}


def scraped(daemon, host, family, reporter="source"):
    """{flags: value} of a family's series of the host."""
    text = daemon.http("/metrics")[1]
    found = {}
    for labels, value in re.findall(rf"^{FAMILIES[family]}{{(.*)}} (\d+)$", text, re.M):
        if f'destination_service="{host}"' in labels and f'reporter="{reporter}"' in labels:
            flags = re.search(r'response_flags="([^"]*)"', labels).group(1)
            found[flags] = found.get(flags, 0) + int(value)
    return found


def served(lab, address):
    with lab.connect("client", address, PORT) as sock:
        sock.sendall(b"12345")
        return sock.recv(5) == b"12345"


def calls(lab):
    with lab.connect("client", BOTH_AT, 20880) as sock:
        for ident in range(CALLS):
            sock.sendall(request(ident, "sayHello", ["a"]))
            equal(struct.unpack(">q", sock.recv(1000)[4:12])[0], ident, "the call that is answered")


def serve(sock):
    data = b""
    while more := sock.recv(65536):
        data += more
        while len(data) >= 16 and len(data) >= 16 + (length := struct.unpack(">i", data[12:16])[0]):
            sock.sendall(reply(struct.unpack(">q", data[4:12])[0], "done"))
            data = data[16 + length:]


def kinds_apart(lab, daemon):
    """Calls and connections of a host with ports of both kinds, for both reporters."""
    calls(lab)
    for _ in range(SERVED):
        check(served(lab, BOTH_AT), "a connection is not served")
    within(10, lambda: scraped(daemon, BOTH, "closed") == {"-": SERVED}, "connections that ended")
    for reporter in ("source", "destination"):
        equal([scraped(daemon, BOTH, family, reporter) for family in ("calls", "opened", "received")],
              [{"-": CALLS}, {"-": SERVED}, {"-": 5 * SERVED}], f"calls and connections as {reporter}")
    check(f'meltemi_service_requests_total{{service="{BOTH}"}} {CALLS + SERVED}\n' in daemon.http("/metrics")[1], "the sum of both")


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 20880, serve), lab.listening("server1", PORT, echo):
        daemon = lab.meltemi()
        server = lab.server(1)
        both = service(BOTH, BOTH_AT, PORT, "tcp", [(server, PORT, {})])
        daemon.write("both.yaml", both.replace("  ports:\n", "  ports:\n  - {number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}\n"))
        daemon.start()
        kinds_apart(lab, daemon)


main(body)
