#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Two nodes behind a router with the script of docs/how-to/two-nodes.md that keeps open flows at their node. A node is drained and restarted
under load: Thrift clients connect to the other node without a failed call, and an opaque connection goes on at its node, also if a poll of
its /ready is lost. When a node is killed, its flows are reset by the other one.

--long: 20 drains and restarts, each under a load of new clients.
"""

import os
import signal
import sys
import time

from meltemi_lab import PATIENCE, Lab, check, equal, main, netns, streams, two_nodes, within
from meltemi_lab.documents import service

THRIFT, OPAQUE = ("hello.example", "240.240.1.2", 9090), ("bytes.example", "240.240.1.3", 7000)
CLIENTS = 4
LONG = "--long" in sys.argv or bool(os.environ.get("MELTEMI_LONG"))
DRAINS = 20 if LONG else 1


def node(lab, number):
    documents = {"hello.yaml": service(*THRIFT, "tcp-metaprotocol-thrift", [(lab.server(2), THRIFT[2], {})]),
                 "bytes.yaml": service(*OPAQUE, "tcp", [(lab.server(1), OPAQUE[2], {})])}
    return two_nodes.node(lab, number, documents, f"{two_nodes.way_back(number)}  drain: {{time: 6s}}\n")


def clients(daemon, port):
    return daemon.shell("show", "connections", "where", "side=client", f"dport={port}").count(f":{port}")


def echoes(sock):
    sock.sendall(b"here")
    return sock.recv(4) == b"here"


def opaque(lab):
    return lab.connect("caller", *OPAQUE[1:])


def load(lab):
    argv = ["--target", f"{THRIFT[1]}:{THRIFT[2]}", "--connections", CLIENTS, "--count", 1 << 30, "--pause-ms", 20, "--again", 1,
            "--timeout-ms", 30000]
    thrift = lab.python("caller", "thrift-load", "interop/thrift/client.py", *argv)
    thrift.wait_line("calling")
    return thrift


def ends(thrift):
    """The calls of a load, none of which has failed."""
    thrift.kill(signal.SIGTERM)
    report = thrift.result()
    equal((report["failed"], report["errors"], report["crossed"]), (0, {}, 0), f"calls that failed: {report['error_samples']}")
    check(report["reopened"] >= CLIENTS, "the clients did not connect again")
    return report["answered"]


def drained(lab, first, second):
    """The first node is drained and restarted; the load, and a connection at each node, go on. Returns the calls of the load."""
    thrift, held = load(lab), opaque(lab)
    within(PATIENCE, lambda: clients(first, THRIFT[2]) == CLIENTS, "clients at the first node")
    equal(echoes(held), True, "an opaque connection")
    first.shell("drain")
    within(PATIENCE, lambda: clients(second, THRIFT[2]) == CLIENTS and not clients(first, THRIFT[2]), "clients go to the second node", step=0.1)
    equal(echoes(held), True, "the opaque connection at the drained node")
    equal(clients(first, OPAQUE[2]), 1, "opaque connections at the drained node")
    held.close()
    within(PATIENCE, lambda: "drained after" in first.process.errors(), "the drained node is left")
    equal(first.stop(), 0, "exit status")
    first.start()
    within(PATIENCE, first.ready, "ready again")
    within(PATIENCE, lambda: goes_to(lab, first), "new flows go to the first node", step=0.2)
    equal(clients(second, THRIFT[2]), CLIENTS, "clients that stay at the second node")
    return ends(thrift)


def goes_to(lab, daemon):
    sock = opaque(lab)
    try:
        return echoes(sock) and clients(daemon, OPAQUE[2]) > 0
    finally:
        sock.close()


def firewall(lab, *words):
    return netns.run("ip", "netns", "exec", lab.namespace("client"), "iptables", *words)


def lost_polls(lab):
    """Packets that the rule has dropped; a poll ends before it sends a second one."""
    return int(next(line for line in firewall(lab, "-vxnL", "OUTPUT").splitlines() if "DROP" in line).split()[0])


def poll_is_lost(lab, first):
    """One poll without an answer costs no open connection."""
    rule = ["OUTPUT", "-p", "tcp", "--syn", "-d", "10.9.1.2", "-j", "DROP"]
    with opaque(lab) as held:
        equal(echoes(held), True, "an opaque connection")
        within(PATIENCE, lambda: clients(first, OPAQUE[2]) == 1, "the opaque connection at the first node")
        firewall(lab, "-I", *rule)
        within(PATIENCE, lambda: echoes(held) and lost_polls(lab) > 0, "a poll is lost", step=0.02)
        firewall(lab, "-D", *rule)
        for _ in range(40):
            equal(echoes(held), True, "the opaque connection after a lost poll")
            time.sleep(0.05)
    within(PATIENCE, lambda: goes_to(lab, first), "new flows go to the first node", step=0.2)


def killed(lab, first, second):
    """Open connections of a dead node end at once, because the other node resets them."""
    held = opaque(lab)
    equal(echoes(held), True, "an opaque connection")
    within(PATIENCE, lambda: clients(first, OPAQUE[2]) == 1, "the opaque connection at the first node")
    first.process.popen.send_signal(signal.SIGKILL)
    within(PATIENCE, lambda: goes_to(lab, second), "new flows go to the second node", step=0.2)
    held.settimeout(PATIENCE)
    try:
        equal(echoes(held), False, "an opaque connection of the killed node")
    except ConnectionResetError:
        pass
    first.start()


def body():
    with Lab(servers=2) as lab, lab.listening("server1", OPAQUE[2], streams.echo):
        lab.thrift_server(2, "v1").wait_line("ready")
        two_nodes.callers(lab)
        first, second = node(lab, 1), node(lab, 2)
        two_nodes.follow(lab, "keep-flows")
        within(PATIENCE, lambda: netns.run("ip", "-n", lab.namespace("client"), "route", "show", two_nodes.RANGE), "the route of new flows")
        calls = [drained(lab, first, second) for _ in range(DRAINS)]
        print(f"{DRAINS} drains and restarts: {sum(calls)} calls, none failed", flush=True)
        poll_is_lost(lab, first)
        killed(lab, first, second)


main(body)
