#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Two nodes are replaced one after the other, several times, under a stated share of the capacity that was measured, and no call fails.
Calls go where /ready says 200, as a balancer with health checks sends them; a node is told to be not ready, left by the load, and
then stopped with slow calls under way, which it answers; or it is just stopped, under the load, and the balancer learns so by /ready. The
next one's turn comes when /ready says 200 again. A call has failed
when it was made and not answered with what belongs to it, whatever the reason; nothing is tried again.

New documents that would close what is served stop at the first node: it waits, names the host, and gets no call; the other one goes
on with the whole load. That a node with a control plane is never ready early is tests/interop/xds/test_ready.py.
"""

import json
import os
import shutil

from meltemi_lab import PATIENCE, Failure, Lab, check, equal, main, streams, within
from meltemi_lab.balancer import Balancer
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.documents import service

BLAST = MELTEMID.parent.parent.parent / "bench/blast/meltemi-blast"
HOST, VIP, PORT = "orders.example", "240.240.1.1", 20880
SLOW, SLOW_VIP = "reports.example", "240.240.1.2"
LEDGER, LEDGER_VIP, LEDGER_PORT = "ledger.example", "240.240.1.3", 7000
# Of two nodes each. Every second one by SIGTERM alone, the others after `ready off`; with the node's state kept, and without it.
ROUNDS = 20 if os.environ.get("MELTEMI_LONG") else 2
SLOW_CALLS, SLOW_MS = 16, "4000-5000"  # so that they are still under way at the SIGTERM on a machine with much other work
SHARE = 0.3  # of what one node takes, and while the other one is replaced one node takes it all
CLOSED_LOOP = ("-c", 8, "-o", 4, "-d", "1s", "-w", "200ms")


def ledger(protocol="TCP"):
    text = service(LEDGER, LEDGER_VIP, LEDGER_PORT, "tcp", [("198.51.100.11", LEDGER_PORT, {"app": "ledger"})])
    return text.replace("protocol: TCP", f"protocol: {protocol}")


# Nobody knows what it allows, so what it selects is closed.
POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: who-may-book}
spec:
  selector: {matchLabels: {app: ledger}}
  action: ALOW
"""


class Node:
    """One of the two, and the client in front of it."""

    def __init__(self, lab, number):
        self.lab, self.number, self.serial = lab, number, 0
        suffix = "" if number == 1 else str(number)
        self.client, self.name = f"client{suffix}", f"node {number}"
        settings = {"ports": lab.beside(number), "role": f"mesh{number}", "name": f"node{number}"} if number > 1 else {}
        self.daemon = lab.meltemi(mb=192, **settings)
        self.daemon.write("orders.yaml", service(HOST, VIP, PORT, "tcp-metaprotocol-dubbo",
                                                 [(lab.server(n), PORT, {}) for n in (1, 2)]))
        self.daemon.write("reports.yaml", service(SLOW, SLOW_VIP, PORT, "tcp-metaprotocol-dubbo", [(lab.server(3), PORT, {})]))
        self.daemon.write("ledger.yaml", ledger())
        self.daemon.leaves("errors", "a policy that nobody can evaluate", "policy.yaml")

    def blast(self, *options):
        self.serial += 1
        run = self.lab.run(self.client, f"blast{self.number}-{self.serial}", [BLAST, "--json", *options, f"{VIP}:{PORT}"])
        report = run.result()
        self.lab.processes.remove(run)
        return report

    def ready(self):
        return self.daemon.ready()

    def clients(self):
        return json.loads(self.daemon.shell("--json", "show", "connections", "where", "side=client"))["connections"]

    def slow_calls(self):
        """They are on their way when this returns."""
        load = self.lab.python(self.client, f"slow{self.number}", "interop/dubbo/pydubbo_client.py", "--target",
                               f"{SLOW_VIP}:{PORT}", "--count", SLOW_CALLS, "--outstanding", SLOW_CALLS, "--timeout-ms", 15000)
        within(10, lambda: self.waiting() == SLOW_CALLS, "slow calls are under way", step=0.02)
        return load

    def waiting(self):
        """Calls that wait for the slow server."""
        return sum(row["waiting"] for row in self.daemon.show("endpoints")["endpoints"] if row["endpoint"] == f"{self.lab.server(3)}:{PORT}")


def served_by(balancer, node, lots=1):
    began = balancer.lots[node]
    within(20, lambda: balancer.lots[node] >= began + lots, f"{node.name} gets calls")


def take_out(balancer, node, at_once):
    """
    The first half of a replacement: out of the balancer, stopped when nobody but the slow calls is there, which are answered. at_once:
    stopped first.
    """
    if not at_once:
        node.daemon.shell("ready", "off")
        within(10, lambda: balancer.left(node), "the load goes elsewhere")
        within(10, lambda: not node.clients(), f"{node.name}: clients leave")
    slow = node.slow_calls()
    equal(node.daemon.stop(), 0, f"{node.name}: exit status")
    report = slow.result()
    equal((report["answered"], report["failed"]), (SLOW_CALLS, 0), f"{node.name}: slow calls that were under way: {report}")
    check("msg=\"drained after " in node.daemon.process.errors(), f"{node.name} did not drain: {node.daemon.process.tail()}")


def roll(balancer, nodes, change=lambda node: None, at_once=False, seconds=PATIENCE):
    """Returns the nodes that were replaced and are ready; one that is not ready after so many seconds ends it."""
    done = []
    for node in nodes:
        take_out(balancer, node, at_once)
        change(node)
        node.daemon.start()
        try:
            within(seconds, node.daemon.ready, "ready", exact=True)
        except Failure:
            return done
        served_by(balancer, node)
        done.append(node)
    return done


def forget(node):
    """Another machine takes its place, which has never run."""
    shutil.rmtree(node.daemon.directory / "state")


def replaced(balancer, nodes):
    for turn in range(ROUNDS):
        change = forget if turn % 4 in (1, 2) else lambda node: None
        equal(roll(balancer, nodes, change, at_once=turn % 2 == 0), nodes, "nodes that were replaced")
    check(not balancer.bad, f"calls failed: {balancer.bad[:2]}")


def stopped(balancer, nodes, change, words):
    """Neither the first node nor the second one closes anything to anybody."""
    first, second = nodes
    equal(roll(balancer, nodes, change, seconds=8), [], "nodes that were replaced")
    status, text = first.daemon.http("/ready")
    equal(status, 503, "status of /ready")
    check(text.startswith("not ready: waits for 1\n") and f"host {LEDGER} (documents): " in text and words in text,
          f"what it says: {text}")
    lots = balancer.lots[first]
    served_by(balancer, second, lots=3)
    equal((balancer.lots[first], first.daemon.ready()), (lots, False), "what a node gets that is not ready")
    ask_ledger(second)
    first.daemon.write("ledger.yaml", ledger())
    (first.daemon.services / "policy.yaml").unlink(missing_ok=True)
    served_by(balancer, first)
    ask_ledger(first)


def ask_ledger(node):
    sock = node.lab.connect(node.client, LEDGER_VIP, LEDGER_PORT)
    sock.sendall(b"book")
    equal(sock.recv(4), b"book", f"{node.name}: what the ledger says")
    sock.close()


def servers(lab):
    for number in (1, 2):
        lab.run(f"server{number}", f"echo{number}", [BLAST, "--server", PORT]).wait_line("ready")
    lab.dubbo_server(3, "v1", delay=SLOW_MS).wait_line("ready")


def body():
    with Lab(servers=3) as lab, lab.listening("server1", LEDGER_PORT, streams.echo):
        servers(lab)
        nodes = [Node(lab, 1), Node(lab, 2)]
        for node in nodes:
            node.daemon.start()
        report = nodes[0].blast(*CLOSED_LOOP)
        equal(report["sent"], report["answered"], "calls of the closed loop")
        with Balancer(nodes, max(100, int(SHARE * report["answered"]))) as balancer:
            replaced(balancer, nodes)
            stopped(balancer, nodes, lambda node: node.daemon.write("ledger.yaml", ledger("UDP")), "is ")
            stopped(balancer, nodes, lambda node: node.daemon.write("policy.yaml", POLICY), "AuthorizationPolicy default/who-may-book closes it to all clients")
        print(f"capacity {report['answered']} calls a second; {balancer.sent} calls at {balancer.rate} a second in "
              f"{sum(balancer.lots.values())} lots, {balancer.answered} answered ({balancer.unsent} more were due while 64 were under "
              f"way on a connection, and not made); {2 * ROUNDS} replacements", flush=True)
        check(not balancer.bad, f"calls failed: {balancer.bad[:2]}")
        equal((balancer.sent - balancer.answered, balancer.nowhere), (0, 0), "calls that failed, and lots that found no node")


main(body)
