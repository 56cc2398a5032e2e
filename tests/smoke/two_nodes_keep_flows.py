#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Two nodes behind a router with the script of docs/how-to/two-nodes.md that keeps open flows at their node. A node is drained and restarted
under load: Thrift clients connect to the other node without a failed call, and an opaque connection goes on at its node, also if a poll of
its /ready is lost. When a node is killed, its flows are reset by the other one.
"""

import signal
import time

from meltemi_lab import PATIENCE, Lab, equal, main, netns, streams, two_nodes, within
from meltemi_lab.documents import service

THRIFT, OPAQUE = ("hello.example", "240.240.1.2", 9090), ("bytes.example", "240.240.1.3", 7000)
CLIENTS = 4


def router(lab):
    """The lab's client becomes the router; the callers are one hop behind it."""
    inner, outer = lab.namespace("client"), lab._add("caller")
    netns.veth(outer, "e0", inner, "r0")
    netns.kernel_end(outer, "e0", "10.50.0.2/24")
    netns.kernel_end(inner, "r0", "10.50.0.1/24")
    netns.run("ip", "-n", outer, "route", "add", "default", "via", "10.50.0.1")
    netns.run("ip", "netns", "exec", inner, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def node(lab, number):
    via = two_nodes.HOPS[number - 1][:-1] + "2"
    documents = {"hello.yaml": service(*THRIFT, "tcp-metaprotocol-thrift", [(lab.server(2), THRIFT[2], {})]),
                 "bytes.yaml": service(*OPAQUE, "tcp", [(lab.server(1), OPAQUE[2], {})])}
    return two_nodes.node(lab, number, documents, f"  routes: [{{to: 10.50.0.0/24, via: {via}}}]\n  drain: {{time: 6s}}\n")


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


def ends(thrift, what):
    thrift.kill(signal.SIGTERM)
    report = thrift.result()
    print(f"{what}: {report['answered']} calls, {report['reopened']} connections again", flush=True)
    equal((report["failed"], report["errors"], report["crossed"]), (0, {}, 0), f"{what}: calls that failed: {report['error_samples']}")


def drained(lab, first, second):
    """The first node is drained and restarted; the load, and a connection at each node, go on."""
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
    ends(thrift, "a drain and a restart")


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
        router(lab)
        first, second = node(lab, 1), node(lab, 2)
        two_nodes.follow(lab, "keep-flows")
        within(PATIENCE, lambda: netns.run("ip", "-n", lab.namespace("client"), "route", "show", two_nodes.RANGE), "the route of new flows")
        drained(lab, first, second)
        poll_is_lost(lab, first)
        killed(lab, first, second)


main(body)
