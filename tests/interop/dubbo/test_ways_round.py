#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Ways round a policy, with real Java servers of 2.7 and 3.2 behind it: each request of ways_round.py is sent to the server itself, where most
of them have the method run, and through the node, where none does and none comes to a server.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import Lab, check, equal, main, within  # noqa: E402
from meltemi_lab.asking import ANSWERED, dubbo, read  # noqa: E402

import wire  # noqa: E402
from ways_round import DEMO, IDENT, POLICIES, WAYS  # noqa: E402

VERSIONS = ("2.7.23", "3.2.16")
TOLD = ("70: meltemi: denied by policy", "40: more metadata than are read", "40: dubbo: a request string is malformed", "closed")
SILENT = [name for name, *_ in WAYS if name.startswith(("one way", "as an event"))]  # nobody waits for an answer to them
SERVICE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: s%(server)d, namespace: %(ns)s}
spec:
  hosts: [s%(server)d.%(ns)s]
  addresses: [240.240.%(server)d.%(number)d]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}]
  endpoints: [{address: 198.51.100.1%(server)d}]
---
"""
POLICY = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: %s}
spec: %s
---
"""


def documents():
    out = ""
    for number, (ns, policy) in enumerate(POLICIES.items(), 1):
        out += "".join(SERVICE % {"server": server, "ns": ns, "number": number} for server in (1, 2)) + POLICY % (ns, policy)
    return out


class Counting:
    """How often the method ran at a server, of all the services that have it."""

    def __init__(self, lab, server):
        self.sock = lab.connect("client", lab.server(server), 20880, 20)
        self.total = 0

    def ran(self):
        total = 0
        for attached, version in (({}, "0.0.0"), ({"group": "g1"}, "1.0.0"), ({"group": "g2"}, "2.0.0")):
            self.sock.sendall(wire.request(5, "notes", [], attached, version=version))
            status, body = answer(self.sock, 5)
            total += int(wire.parse_reply(status, body).split(" ")[0])
        self.total = total
        return total


def answer(sock, ident):
    """The reply to that request; heartbeats and lines of telnet are passed over."""
    while True:
        head = read(sock, 2)
        while head != b"\xda\xbb":
            head = head[1:] + read(sock, 1)
        _, flags, status, found, length = wire.HEADER.unpack(head + read(sock, wire.HEADER.size - 2))
        body = read(sock, length)
        if not flags & (wire.REQUEST | wire.EVENT) and found == ident:
            return status, body


def told(sock, data, seconds):
    """What the caller is told."""
    try:
        sock.settimeout(seconds)
        sock.sendall(data)
        status, body = answer(sock, IDENT)
        return ANSWERED if status == wire.OK else f"{status}: {wire.parse_reply(status, body)[:60]}"
    except EOFError:
        return "closed"
    except TimeoutError:
        return "silent"
    except OSError:
        return "reset"


def opened(daemon):
    """Calls that were ever given to servers' endpoints."""
    return sum(row["requests"] or 0 for row in daemon.show("clusters")["clusters"] if "|20880|" in row["cluster"])


def tried(lab, counting, server, way):
    """Once at the server itself, once through the node."""
    name, policy, runs, data = way
    what, had = f"{VERSIONS[server - 1]}, {policy}: {name}", counting.total
    wanted = had + (VERSIONS[server - 1][0] in runs)
    with lab.connect("client", lab.server(server), 20880) as sock:
        told(sock, data, 0.1)
        within(5, lambda: counting.ran() == wanted, f"{what}: at the server itself: it ran {counting.total - had} times")
    with lab.connect("client", f"240.240.{server}.{list(POLICIES).index(policy) + 1}", 20880) as sock:
        found = told(sock, data, 0.1 if name in SILENT else 30)
    check(found in (("silent",) if name in SILENT else TOLD), f"{what}: the caller is told {found}")
    equal(counting.ran(), wanted, f"{what}: how often it ran, through the node")


def body():
    with Lab(servers=2) as lab:
        providers = [lab.java(f"server{n}", f"provider{n}", version, "Provider", "--tag", f"v{n}", "--id", f"s{n}") for n, version in enumerate(VERSIONS, 1)]
        daemon = lab.meltemi()
        daemon.write("ways.yaml", documents())
        daemon.start()
        for provider in providers:
            provider.wait_line('"ready"', 30)
        for server in (1, 2):
            counting = Counting(lab, server)
            counting.ran()
            for way in WAYS:
                tried(lab, counting, server, way)
        equal(opened(daemon), 0, "calls that came to a server")
        for number in (1, 2):  # what the policy allows is served
            with lab.connect("client", f"240.240.{number}.{list(POLICIES).index('only-hello') + 1}", 20880) as sock:
                equal(dubbo(sock, "sayHello"), ANSWERED, f"a call that may be made, of {VERSIONS[number - 1]}")
        print(f"{len(WAYS)} ways, at {' and '.join(VERSIONS)}")


main(body)
