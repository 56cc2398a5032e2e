#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Two nodes with the failover script of docs/how-to/two-nodes.md: the route of the services leads to the first node that is ready. It moves
when a node is taken out, when its daemon is killed and when its host is unreachable, and back afterwards; calls over new connections are
answered each time, by the node that the route leads to. An open connection follows the route, and the other node does not serve it.
"""

import re
import signal
import socket

from meltemi_lab import PATIENCE, Lab, equal, main, netns, two_nodes, within
from meltemi_lab.documents import service

HOST, VIP, PORT = "orders.example", "240.240.1.1", 20880
FIRST, SECOND = two_nodes.HOPS
CALLS = 200
HEARTBEAT = bytes.fromhex("dabbe200") + bytes(7) + b"\x01" + bytes(3) + b"\x01N"


def node(lab, number):
    return two_nodes.node(lab, number, {"orders.yaml": service(HOST, VIP, PORT, "tcp-metaprotocol-dubbo", [(lab.server(1), PORT, {})])})


def next_hop(lab):
    route = netns.run("ip", "-n", lab.namespace("client"), "route", "show", two_nodes.RANGE)
    found = re.search(r"via (\S+)", route)
    return found.group(1) if found else None


def requests(daemon):
    return sum(row["requests"] for row in daemon.show("services")["services"])


def moves(lab, hop, daemon, why):
    """The route leads to that node, which answers what comes by new connections."""
    within(15, lambda: next_hop(lab) == hop, f"the route leads to {hop}: {why}", step=0.05)
    before = requests(daemon)
    report = lab.dubbo_client(f"{VIP}:{PORT}", count=CALLS, outstanding=4).result()
    equal((report["answered"], report["failed"]), (CALLS, 0), f"calls: {why}")
    equal(requests(daemon) - before, CALLS, f"requests at {hop}: {why}")


def connection(lab):
    with netns.inside(lab.namespace("client")):
        return socket.create_connection((VIP, PORT), timeout=PATIENCE)


def is_served(sock):
    """A heartbeat is answered. After a move it is reset, or nothing comes: the wait only ends a test that passes."""
    try:
        sock.sendall(HEARTBEAT)
        return bool(sock.recv(64))
    except OSError:
        return False


def host_links(lab, state):
    for link in ("c0", "m1"):
        netns.run("ip", "-n", lab.namespace("client"), "link", "set", link, state)


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        first, second = node(lab, 1), node(lab, 2)
        two_nodes.follow(lab, "next-hop")
        moves(lab, FIRST, first, "both are ready")
        with connection(lab) as held:
            equal(is_served(held), True, "a connection before the route moves")
            first.shell("ready", "off")
            moves(lab, SECOND, second, "the first is taken out")
            held.settimeout(1)
            equal(is_served(held), False, "the connection after it has moved")
        first.shell("ready", "on")
        moves(lab, FIRST, first, "it is back")
        first.process.popen.send_signal(signal.SIGKILL)
        moves(lab, SECOND, second, "its daemon is killed")
        first.start()
        moves(lab, FIRST, first, "its daemon has started")
        host_links(lab, "down")
        moves(lab, SECOND, second, "its host is unreachable")
        host_links(lab, "up")
        moves(lab, FIRST, first, "its host is back")


main(body)
