#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Istio's metrics of opaque TCP have each connection with the response flags of its access log: one that gets no server is opened and closed with the reason,
and one that was served has none. A host with ports of both kinds has its calls and its connections apart.
"""

import re
import socket
import struct

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.documents import service
from meltemi_lab.dubbo import reply, request
from meltemi_lab.streams import echo, reset

PORT, CALLS, SERVED = 7000, 3, 2
BOTH, BOTH_AT = "both.example", "240.240.1.1"
# Services by the flags that their connections get. The server of `full` takes no connection, and the client leaves.
FAILING = {"UF": ("dead.example", "240.240.1.2"), "UH": ("empty.example", "240.240.1.3"), "RL": ("limited.example", "240.240.1.4"),
           "DC": ("full.example", "240.240.1.5")}
FULL = 7009
POLICY = """\
apiVersion: meltemi.io/v1
kind: TrafficPolicy
metadata: {name: limit}
spec:
  targetRefs: [{kind: ServiceEntry, group: networking.istio.io, name: limited-example}]
  rateLimit: {local: {rules: [{limit: {requests: 1, unit: Hour}, clientSelectors: [{sourceCIDR: {value: 0.0.0.0/0, type: Distinct}}]}]}}
"""
FAMILIES = {"opened": "istio_tcp_connections_opened_total", "closed": "istio_tcp_connections_closed_total",
            "received": "istio_tcp_received_bytes_total", "calls": "istio_requests_total"}


def scraped(daemon, host, family, reporter="source"):
    """{flags: value} of a family's series of the host."""
    text = daemon.http("/metrics")[1]
    kind = f'request_protocol="{"dubbo" if family == "calls" else "tcp"}"'
    found = {}
    for labels, value in re.findall(rf"^{FAMILIES[family]}{{(.*)}} (\d+)$", text, re.M):
        if f'destination_service="{host}"' in labels and f'reporter="{reporter}"' in labels and kind in labels:
            flags = re.search(r'response_flags="([^"]*)"', labels).group(1)
            found[flags] = found.get(flags, 0) + int(value)
    return found


def refused(lab, address):
    """A connection that is reset, or closed, without a byte."""
    try:
        with lab.connect("client", address, PORT) as sock:
            sock.sendall(b"12345")
            return sock.recv(5) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


def served(lab, address):
    with lab.connect("client", address, PORT) as sock:
        sock.sendall(b"12345")
        return sock.recv(5) == b"12345"


def takes_none(lab):
    """Sockets of server 1 that leave no room for another connection: a SYN is dropped."""
    with lab.inside("server1"):
        socks = [socket.create_server((lab.server(1), FULL), backlog=0), *(socket.socket() for _ in range(3))]
    for sock in socks[1:]:
        sock.setblocking(False)
        sock.connect_ex((lab.server(1), FULL))
    return socks


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


def reasons(lab, daemon):
    """A connection without a server is in both series, with the reason; that with one has none."""
    full = takes_none(lab)
    check(served(lab, FAILING["RL"][1]), "the connection within the limit is not served")
    for flags in ("UF", "UH", "RL"):
        check(refused(lab, FAILING[flags][1]), f"a connection that should get {flags} is served")
    client = lab.connect("client", FAILING["DC"][1], PORT)
    within(10, lambda: daemon.show("connections side=client")["connections"], "a connection that waits for its server")
    reset(client)
    for flags, (host, _) in FAILING.items():
        served_too = {"-": 1 if flags == "RL" else 0}
        for family in ("opened", "closed"):
            within(10, lambda host=host, family=family, want={**served_too, flags: 1}: scraped(daemon, host, family) == want,
                   f"{family} of {host}")
        equal(set(scraped(daemon, host, "received")), {"-"}, f"flags of bytes of {host}")
        equal(scraped(daemon, host, "calls"), {}, f"calls of {host}")
    for sock in full:
        sock.close()


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 20880, serve), lab.listening("server1", PORT, echo):
        daemon = lab.meltemi()
        server = lab.server(1)
        both = service(BOTH, BOTH_AT, PORT, "tcp", [(server, PORT, {})])
        daemon.write("both.yaml", both.replace("  ports:\n", "  ports:\n  - {number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}\n"))
        for flags, (host, address) in FAILING.items():
            port = {"UF": 7001, "RL": PORT, "DC": FULL}.get(flags)
            daemon.write(f"{host}.yaml", service(host, address, PORT, "tcp", [(server, port, {})] if port else []))
        daemon.write("limit.yaml", POLICY)
        daemon.start()
        kinds_apart(lab, daemon)
        reasons(lab, daemon)


main(body)
