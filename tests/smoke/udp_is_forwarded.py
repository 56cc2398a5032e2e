#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
UDP services are forwarded at layer 4, with 1 and 3 workers: `nat` keeps the client's address, `nat-full` replaces it by an address of
spec.nat. Each datagram is answered by the endpoint of its flow, weights apply, and several flows use several endpoints. A policy that layer 4
cannot evaluate closes the port, and `show forwarding` names it; one with rules by address is enforced; a port of an endpoint that does not run is answered by nothing. TCP services
beside it are served.
"""

import collections
import json
import re
import socket
import threading

from meltemi_lab import TESTS, Lab, check, equal, main, netns, within
from meltemi_lab.columns import every_column_selects

NAT, FULL, CLOSED, TCP, MUTE = "240.240.5.1", "240.240.5.2", "240.240.5.3", "240.240.5.4", "240.240.5.5"
SOURCE = "198.51.100.50"  # of nat-full
PAGE = TESTS.parent / "docs/how-to/troubleshooting.md"
FLOWS = 80  # with weights 1 and 3 the heavier endpoint has less than half of them once in 700,000 times
PORT = 5353
SENT = collections.Counter()  # datagrams to each VIP

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: net{annotations}}}
spec:
  hosts: [{name}.example]
  addresses: [{vip}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: {kind}}}]
  endpoints: [{{address: 198.51.100.11, labels: {{app: {name}}}}}, {{address: 198.51.100.12, weight: 3, labels: {{app: {name}}}}}]
"""

POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: net}
spec:
  selector: {matchLabels: {app: closed}}
  action: ALLOW
  rules: [{from: [{source: {principals: [cluster.local/ns/net/sa/client]}}]}]
"""


def entry(name, vip, kind="udp-echo", mode=None):
    annotations = f', annotations: {{meltemi.io/forwarding: "{mode}"}}' if mode else ""
    return ENTRY.format(name=name, vip=vip, port=PORT, kind=kind, annotations=annotations)


class Echo(threading.Thread):
    """Answers each datagram with its own number and the address and port that it sees."""

    def __init__(self, lab, number):
        super().__init__(daemon=True)
        self.number = number
        with lab.inside(f"server{number}"):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.bind(("0.0.0.0", PORT))
        lab.sockets.append(self.sock)

    def run(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(2048)
                self.sock.sendto(f"{self.number} {peer[0]} {peer[1]} ".encode() + data, peer)
            except OSError:
                return


def client(lab):
    with lab.inside("client"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("192.0.2.2", 0))
    sock.settimeout(5)
    lab.sockets.append(sock)
    return sock


def ask(sock, vip, text, tries=4):
    """[server, address and port that it saw, data] of the answer to this datagram; UDP may lose it."""
    for _ in range(tries):
        SENT[vip] += 1
        sock.sendto(text.encode(), (vip, PORT))
        try:
            answer, peer = sock.recvfrom(4096)
        except TimeoutError:
            continue
        equal(peer, (vip, PORT), "the sender of the answer")
        return answer.decode().split(" ", 3)
    return None


def flows(lab, vip, source):
    """Each flow stays with its endpoint, and is answered with its own bytes."""
    seen = collections.Counter()
    ports = collections.Counter()
    for number in range(FLOWS):
        sock = client(lab)
        first = None
        for turn, text in enumerate(("one", "two " * 100, "")):
            got = ask(sock, vip, text)
            check(got is not None, f"{vip}: no answer to datagram {turn} of flow {number}")
            server, address, port, data = got
            equal((address, data), (source, text), f"{vip}: what the server saw and sent back")
            first = first or (server, port)
            equal((server, port), first, f"{vip}: endpoint and source port of the flow")
        seen[first[0]] += 1
        ports[first] += 1
    equal(max(ports.values()), 1, f"{vip}: flows that share an endpoint and a source port")
    check(set(seen) == {"1", "2"} and seen["2"] > seen["1"], f"{vip}: flows by server, weights 1 and 3: {dict(seen)}")


def listed(daemon, *words):
    return json.loads(daemon.shell("--json", "show", "flows", "list", *words))


def tables(daemon, workers):
    """`show flows`: one row for each worker; `show flows list`: one for each flow, all kept, because their endpoints have answered."""
    shown = daemon.show("flows")
    equal([row["worker"] for row in shown["workers"]], list(range(workers)), "rows of `show flows`")
    equal((shown["flows"], sum(row["kept"] for row in shown["workers"]), sum(row["made"] for row in shown["workers"])), (2 * FLOWS,) * 3, "flows")
    equal({(row["capacity"], row["evicted"], row["over_share"]) for row in shown["workers"]}, {(2048, 0, 0)}, "spec.flows")
    kept = {row["worker"]: (row["kept"], row["kept_max"]) for row in shown["workers"]}
    equal({row["worker"]: (row["in_use"], row["size"]) for row in daemon.show("tables")["tables"] if row["table"] == "kept flows"}, kept, "rows of `show tables`")
    every = listed(daemon)
    equal((every["flows"], every["shown"], len(every["list"])), (2 * FLOWS,) * 3, "rows of `show flows list`")
    equal({(row["service"], row["state"]) for row in every["list"]}, {("nat.example", "kept"), ("full.example", "kept")}, "services and states")
    # A datagram that the kernel lost on a busy machine was sent again.
    for vip in (NAT, FULL):
        packets = [(row["packets_in"], row["packets_out"]) for row in every["list"] if row["vip"] == f"{vip}:{PORT}"]
        check(all(taken >= given >= 3 for taken, given in packets), f"{vip}: packets of flows in and out: {packets}")
        check(sum(taken for taken, _ in packets) <= SENT[vip], f"{vip}: more packets than the {SENT[vip]} that were sent: {packets}")
        check(sum(pair == (3, 3) for pair in packets) >= FLOWS - 5, f"{vip}: flows with three datagrams each way: {packets}")
    one = every["list"][7]
    for words in ((f"where client={one['client']}",), (f"sport={one['client'].split(':')[1]}", f"dst={one['vip'].split(':')[0]}"),
                  (f"where source={one['source']} endpoint={one['endpoint']}",)):
        found = listed(daemon, *" ".join(words).split())["list"]
        check(one["client"] in [row["client"] for row in found] and len(found) < FLOWS / 2, f"{words}: {found}")
    equal(len(listed(daemon, "state=unanswered")["list"]), 0, "unanswered flows")
    idle = [row["idle_ms"] for row in listed(daemon, f"dst={NAT}", "top", "idle")["list"]]
    every_column_selects(daemon, ["show flows", "show flows list", "show forwarding"], {("show forwarding", "rules")})
    check(len(idle) == FLOWS and idle == sorted(idle, reverse=True), f"top idle: {idle}")


def counted(lab, daemon):
    """`show flows list` shows 512 flows, and `| count` counts all of them."""
    for _ in range(520):
        client(lab).sendto(b"one", (MUTE, PORT))
    within(10, lambda: daemon.show("flows")["flows"] > 520, "many flows")
    equal(len(listed(daemon)["list"]), 512, "rows of many flows")
    within(10, lambda: listed(daemon, "|", "count") == {"list": daemon.show("flows")["flows"]}, "`| count` of many flows")


def rows(daemon):
    return {row["address"]: row for row in daemon.show("forwarding")["forwarding"]}


def one_sum(daemon, row, samples):
    """`refused` has all reasons: in `show forwarding`, in `show topology`, and in the metric."""
    parts = [row[name] for name in ("limited", "denied", "no_endpoint", "no_nat_port", "no_route", "neighbour_unknown", "ttl_exceeded", "table_full")]
    equal(row["refused"], sum(parts), f"refused packets of {row['service']}, and their parts")
    forwarded = [one["refused"] for one in daemon.show("topology")["forwarded"] if one["service"] == row["service"]]
    equal(forwarded, [row["refused"]], "`show topology`")
    metric = re.findall(rf'^meltemi_forwarding_refused_total{{service="{row["service"]}",.*}} (\d+)$', samples, re.M)
    equal(sum(map(int, metric)), row["refused"], "meltemi_forwarding_refused_total")


def commands_of_page(daemon):
    """Each command of the section on forwarded ports is one that the shell knows, with columns that exist."""
    section = PAGE.read_text().partition("## A forwarded port does not work\n")[2].partition("\n## ")[0]
    commands = re.findall(r"`(show [^`]+)`", section) + re.findall(r"^    meltemi (show .*)$", section, re.M)
    check(len(commands) >= 8, f"commands of {PAGE.name}: {commands}")
    for command in commands:
        daemon.shell(*command.split())


def by_lists(lab, daemon):
    """`allow` and `deny` of the Node, followed without a restart, for new flows and for those that exist."""
    before = daemon.node.read_text()
    check(ask(client(lab), FULL, "hello") is not None, "an answer without lists")
    for lists, answered in (("deny: [192.0.2.0/25]", False), ("allow: [192.0.2.0/24, 2001:db8::/32], deny: [192.0.2.3]", True),
                            ("allow: [198.51.100.0/24]", False)):
        daemon.node.write_text(before + f"  forwarding: [{{host: full.example, port: {PORT}, mode: nat-full, {lists}}}]\n")
        within(20, lambda: rows(daemon)[FULL]["clients"] == "listed", f"{lists}: `show forwarding`")
        within(20, lambda want=answered: (ask(client(lab), FULL, "hello", tries=1) is not None) == want, f"{lists}: an answer: {answered}", step=0.2)
        if lists.startswith("deny"):
            counted = daemon.show("forwarding")["rules"]
            check(len(counted) == 1 and counted[0]["network"] == "192.0.2.0/25" and counted[0]["list"] == "deny" and counted[0]["matched"] > 0, f"packets of a network: {counted}")
            series = f'meltemi_forwarding_network_packets_total{{service="full.example",port="{PORT}",protocol="udp",list="deny",network="192.0.2.0/25"}} '
            check(series in daemon.http("/metrics")[1], "the metric of a network is missing")
            every_column_selects(daemon, ["show forwarding"], set())
            for place, n in ((FULL, 1), (f"{FULL}:{PORT}", 1), (NAT, 0), (f"{NAT}:{PORT}", 0)):
                own = json.loads(daemon.shell("--json", "show", "forwarding", place))
                equal(([row["address"] for row in own["forwarding"]], [row["addresses"] for row in own["rules"]]),
                      ([place.split(":")[0]], [[FULL]] * n), f"show forwarding {place}")
        if not answered:
            within(20, lambda: not listed(daemon, f"dst={FULL}")["list"], f"{lists}: the flows have ended")
    check(daemon.counters().get("l4_source_denied", 0) >= 2, "l4_source_denied counts too little")
    shown = rows(daemon)
    check(shown[FULL]["denied"] >= 2 and shown[NAT]["denied"] == 0, f"packets denied by port: {shown}")
    check(shown[FULL]["packets"] >= 2 * shown[FULL]["flows_made"] > 0, f"packets and flows of a port: {shown[FULL]}")
    samples = daemon.http("/metrics")[1]
    for name, labels, column in (("refused", ',reason="denied"', "denied"), ("flows", "", "flows_made"), ("bytes", "", "bytes")):
        sample = f'meltemi_forwarding_{name}_total{{service="full.example",port="{PORT}",protocol="udp"{labels}}} {shown[FULL][column]}\n'
        check(sample in samples, f"{sample} is not in /metrics")
    one_sum(daemon, shown[FULL], samples)
    commands_of_page(daemon)
    check(ask(client(lab), NAT, "hello") is not None, "an answer of a port without lists")
    daemon.node.write_text(before)
    within(20, lambda: rows(daemon)[FULL]["clients"] == "all", "no lists")


BY_ADDRESS = """\
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: callers, namespace: net}}
spec:
  selector: {{matchLabels: {{app: closed}}}}
  action: {action}
  rules: [{{from: [{{source: {{ipBlocks: [{block}]}}}}]}}]
"""


def by_policy(lab, daemon):
    """Rules by address of a policy, followed without a restart, for new flows and for those that exist."""
    for action, block, answered in (("DENY", "192.0.2.0/25", False), ("ALLOW", "192.0.2.0/24", True), ("ALLOW", "198.51.100.0/24", False)):
        daemon.write("closed.yaml", entry("closed", CLOSED) + BY_ADDRESS.format(action=action, block=block))
        within(20, lambda want=answered: (ask(client(lab), CLOSED, "hello", tries=1) is not None) == want, f"{action} {block}: {answered}", step=0.2)
        equal((rows(daemon)[CLOSED]["state"], rows(daemon)[CLOSED]["clients"]), ("forwarded", "listed"), f"{action} {block}: `show forwarding`")
        if not answered:
            within(20, lambda: not listed(daemon, f"dst={CLOSED}")["list"], f"{action} {block}: the flows have ended")
    check(daemon.counters().get("l4_policy_denied", 0) >= 2, "l4_policy_denied counts too little")
    check('service="closed.example",port="5353",protocol="udp",reason="policy_denied"' in daemon.http("/metrics")[1], "reason policy_denied")
    status, = [row["status"] for row in daemon.show("objects")["objects"] if row["name"] == "callers"]
    equal(status, "in-force", "the policy's status")


def without_replies(lab, daemon):
    """Endpoints of this service get datagrams and send none back through the node."""
    sock = client(lab)
    sock.settimeout(0.2)
    begins = not SENT[MUTE]
    check(ask(sock, MUTE, "hello") is None, "an answer of a port where nothing listens")
    if begins:
        return

    def is_named():
        """Only while clients go on to send."""
        check(ask(sock, MUTE, "hello", tries=1) is None, "an answer of a port where nothing listens")
        return "no reply has returned through this node" in (rows(daemon)[MUTE]["reason"] or "")

    within(60, is_named, "why nothing comes back", step=0.5)
    equal([row["reason"] for address, row in rows(daemon).items() if address != MUTE], [None] * 3, "the reasons of ports with replies")
    check("no reply of forwarded port" in daemon.shell("show", "health"), "health says nothing of the replies")


def forwarded(workers):
    SENT.clear()
    with Lab(servers=2) as lab:
        for number in (1, 2):
            Echo(lab, number).start()
            netns.run("ip", "-n", lab.namespace(f"server{number}"), "route", "add", "192.0.2.0/24", "via", "198.51.100.1")
        daemon = lab.meltemi(workers=workers)
        daemon.node.write_text(daemon.node.read_text() + f"  nat: {{addresses: [{SOURCE}]}}\n  flows: 2048\n")
        daemon.write("nat.yaml", entry("nat", NAT))
        daemon.write("full.yaml", entry("full", FULL, mode="udp-echo=nat-full"))
        daemon.write("tcp.yaml", entry("tcp", TCP, kind="tcp"))
        daemon.write("closed.yaml", entry("closed", CLOSED) + "---\n" + POLICY)
        daemon.write("mute.yaml", entry("mute", MUTE).replace(f"number: {PORT}", f"number: {PORT}, targetPort: 5999"))
        with lab.listening("server1", PORT, lambda sock: sock.sendall(sock.recv(100))), \
                lab.listening("server2", PORT, lambda sock: sock.sendall(sock.recv(100))):
            daemon.start()
            within(20, lambda: len(rows(daemon)) == 4, "four forwarded ports")
            equal({a: (row["mode"], row["state"]) for a, row in rows(daemon).items()},
                  {NAT: ("nat", "forwarded"), FULL: ("nat-full", "forwarded"), CLOSED: ("nat", "closed"), MUTE: ("nat", "forwarded")}, "`show forwarding`")
            check("callers" in rows(daemon)[CLOSED]["reason"], f"why it is closed: {rows(daemon)[CLOSED]}")
            flows(lab, NAT, "192.0.2.2")
            flows(lab, FULL, SOURCE)
            tables(daemon, workers)
            without_replies(lab, daemon)
            equal(ask(client(lab), CLOSED, "hello", tries=1), None, "an answer of the closed port")
            sock = lab.connect("client", TCP, PORT)
            sock.sendall(b"by TCP")
            equal(sock.recv(100), b"by TCP", "an answer of the TCP service")
        metrics = daemon.http("/metrics")[1]
        check('reason="closed_by_policy"' in metrics or "closed_by_policy" in metrics, "the closed port is not counted")
        daemon.write("closed.yaml", entry("closed", CLOSED))
        within(20, lambda: rows(daemon)[CLOSED]["state"] == "forwarded", "the port opens without its policy")
        check(ask(client(lab), CLOSED, "hello") is not None, "no answer of the port that was closed")
        by_lists(lab, daemon)
        by_policy(lab, daemon)
        without_replies(lab, daemon)
        counted(lab, daemon)
        daemon.leaves("errors", "a policy that cannot be evaluated closes a port", "it closes the forwarded port")
        print(f"{workers} worker(s): {2 * FLOWS} flows", flush=True)


def body():
    forwarded(workers=1)
    forwarded(workers=3)


main(body)
