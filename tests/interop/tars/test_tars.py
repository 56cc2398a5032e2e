#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
TARS by the installed codec file, with servers and clients of TarsGo: routes by servant, function and context, calls of one client split over
two servers, clients with equal ids on one server connection, native errors as the client reports them, pings, one-way calls, messages of
1 MB, a server that stops and one that is killed. Without its codec a port is opaque.
"""

import collections
import json
import pathlib
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import ROOT, TESTS, Lab, Skip, check, equal, main, within  # noqa: E402
from meltemi_lab.documents import service, subsets  # noqa: E402

BUILT = ROOT / "build/interop/tars"
VIP, SERVED = "240.240.9.1", 9300
OPAQUE, ROUTED, SPLIT, SHARED, STRICT, GONE, LIMITED, RETRIED = range(9300, 9308)
STOCK, OTHER = "Shop.StockServer.StockObj", "Shop.OtherServer.OtherObj"
CODECS = f"\n  codecs: [{ROOT / 'codecs'}]\n"


def rule(host, subset, match=""):
    return f"  - {{{match}route: [{{destination: {{host: {host}, subset: {subset}}}}}]}}\n"


def header(name, value):
    return f"match: [{{headers: {{{name}: {{exact: {value}}}}}}}], "


def virtual_service(host, rules):
    return f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {host.replace('.', '-')}}}\n" \
           f"spec:\n  hosts: [{host}]\n  http:\n{rules}"


RULES = {
    "routed.test": rule("routed.test", "v2", header("servant", OTHER)) + rule("routed.test", "v2", header("func", "quiet")) +
    rule("routed.test", "v2", header("user", "ann")) + rule("routed.test", "v1"),
    "strict.test": "  - {match: [{headers: {func: {exact: wait}}}], timeout: 300ms, retries: {attempts: 0}, route: [{destination: {host: strict.test}}]}\n"
                   "  - {match: [{headers: {func: {exact: fail}}}], route: [{destination: {host: strict.test}}]}\n",
    "retried.test": "  - {timeout: 10s, retries: {attempts: 2, retryOn: reset}, route: [{destination: {host: retried.test}}]}\n"}
LIMIT = """\
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {name: limit}
spec:
  hosts: [limited.test]
  localRateLimit: {tokenBucket: {fillInterval: 600s, maxTokens: 2, tokensPerFill: 2}}
"""
# A request of TUP, whose replies cannot be read.
TUP = bytes.fromhex("0000003610032c3c400c561953686f702e53746f636b5365727665722e53746f636b4f626a6605636f756e747d000c810bb8980ca80c")


def build():
    done = subprocess.run([TESTS / "interop/tars/build.sh"], text=True, capture_output=True, timeout=350, check=False)
    if done.returncode:
        raise Skip(f"no TARS peers: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")


class Client:
    """A program with a connection for each object and port. Ids of its calls start with 1."""

    def __init__(self, lab, name):
        self.process = lab.run("client", name, [BUILT / "client"], stdin=subprocess.PIPE)

    def begin(self, port, function, texts, **more):
        self.process.ask(json.dumps({"address": f"{VIP}:{port}", "function": function, "texts": texts, **more}))

    def end(self):
        return self.process.answer(what='"answers"')["answers"]

    def __call__(self, port, function, *texts, **more):
        self.begin(port, function, texts, **more)
        return self.end()


def executed(servers, *texts):
    """Executions of each text by all servers."""
    lines = collections.Counter(line for server in servers for line in server.output().split("\n"))
    return [lines[json.dumps({"executed": text}, separators=(",", ":"))] for text in texts]


def documents(lab, daemon):
    both = [(lab.server(n), SERVED, {"version": f"v{n}"}) for n in (1, 2)]
    hosts = {"opaque.test": (OPAQUE, "tcp-tars", both[:1]), "routed.test": (ROUTED, None, both), "split.test": (SPLIT, None, both),
             "shared.test": (SHARED, None, both[:1]), "strict.test": (STRICT, None, both[:1]), "gone.test": (GONE, None, [(lab.server(1), 9999, {})]),
             "limited.test": (LIMITED, None, both[:1]), "retried.test": (RETRIED, None, [*both, (lab.server(3), SERVED, {})])}
    for host, (port, name, endpoints) in hosts.items():
        daemon.write(f"{host}.yaml", service(host, VIP, port, name or "tcp-metaprotocol-tars", endpoints))
    for host, rules in RULES.items():
        daemon.write(f"{host}-rules.yaml", virtual_service(host, rules))
    daemon.write("subsets.yaml", subsets("routed.test", ["v1", "v2"]))
    daemon.write("limit.yaml", LIMIT)
    daemon.node.write_text(daemon.node.read_text().rstrip("\n") + CODECS)


def opaque(daemon, client):
    before = daemon.counters()["proxy_exchange_answered"]
    equal(client(OPAQUE, "count", "a"), ["s1 a"], "a call to a port called tars")
    equal(daemon.counters()["proxy_exchange_answered"], before, "messages at that port")


def routes(client):
    equal(client(ROUTED, "count", "a"), ["s1 a"], "a call that no match is for")
    equal(client(ROUTED, "count", "a", object=OTHER), ["s2 a"], "a call of the other servant")
    equal(client(ROUTED, "quiet", "a"), ["s2 a"], "a call of the other function")
    equal(client(ROUTED, "user", "a", context={"user": "ann"}), ["s2 ann"], "a call with the context key, as the server reads it")
    equal(client(ROUTED, "user", "a", context={"user": "bob", "zone": "x"}), ["s1 bob"], "a call with another value of the key")


def own(texts, answers, number=None):
    """Each answer has the text of its call. Returns the calls of each server."""
    wrong = [(text, answer) for text, answer in zip(texts, answers) if answer.split(" ", 1)[1:] != [text]]
    check(not wrong and len(answers) == len(texts), f"{len(wrong)} of {len(texts)} answers: {wrong[:3]}")
    return collections.Counter(answer.split(" ", 1)[0] for answer in answers)


def split(client):
    texts = [f"{n % 7} {n}" for n in range(300)]
    servers = own(texts, client(SPLIT, "wait", *texts, at_once=16))
    check(min(servers["s1"], servers["s2"]) > 60, f"one connection's calls by server: {servers}")


def shared(lab, daemon, clients):
    """Equal ids are outstanding on one connection, because the programs start at the same time."""
    started = []
    for number, client in enumerate(clients):
        texts = [f"{(number + n) % 9} {number}-{n}" for n in range(150)]
        client.begin(SHARED, "wait", texts, at_once=8)
        started.append((client, texts))
    for client, texts in started:
        own(texts, client.end())
    opened = next(row["connections_opened"] for row in daemon.show("endpoints")["endpoints"]
                  if row["endpoint"] == f"{lab.server(1)}:{SERVED}" and "shared.test" in row["cluster"])
    check(1 <= opened <= 2, f"{len(clients)} clients share {opened} connections")


def errors(lab, client):
    def told(port, function, text, start):
        answer = client(port, function, text)[0]
        check(answer.startswith(start), f"{function} {text} at {port}: {answer!r}, not {start!r}...")

    for text in ("-3 no such function", "1 sold out", "-9 busy"):
        told(STRICT, "fail", text, text)
    told(STRICT, "wait", "3000", "-7 ")
    told(STRICT, "count", "a", "-4 no route matches")
    told(GONE, "count", "a", "-8 ")
    equal(client(LIMITED, "count", "a", "b"), ["s1 a", "s1 b"], "calls within the limit")
    told(LIMITED, "count", "c", "-9 meltemi: ")
    sock = lab.connect("client", VIP, ROUTED)
    for _ in range(2):  # the connection goes on
        sock.sendall(TUP)
        size = struct.unpack(">I", sock.recv(4, socket.MSG_WAITALL))[0]
        equal(sock.recv(size - 4, socket.MSG_WAITALL)[:11].hex(), "10032c320000000c4c50ff", "the reply to TUP, with id 12 and code -1")


def pings(daemon, client):
    before = daemon.counters()
    equal(client(SPLIT, "tars_ping", *[""] * 20), [""] * 20, "pings of the client")
    client(SPLIT, "tars_ping", *[""] * 5, oneway=True)
    now = daemon.counters()
    equal(now["proxy_heartbeat_answered"] - before["proxy_heartbeat_answered"], 20, "pings that were answered")
    equal(now["proxy_exchange_answered"], before["proxy_exchange_answered"], "calls that pings were taken for")
    within(20, lambda: daemon.counters()["proxy_heartbeat_sent"], "Meltemi has sent pings")


def one_way(client, servers):
    texts = [f"note {n}" for n in range(40)]
    equal(client(SPLIT, "note", *texts, oneway=True), [""] * 40, "one-way calls")
    within(20, lambda: executed(servers, *texts) == [1] * 40, "each one-way call is executed once")
    check(all(executed(servers[:2][at:at + 1], *texts) != [1] * 40 for at in (0, 1)), "one server has all one-way calls")


def long_messages(daemon, client):
    """A message of more than 64 KiB is not searched, and goes where nothing is."""
    text = "x" * 1000000
    equal(client(SPLIT, "quiet", text)[0][3:], text, "the answer of 1 MB")
    equal(client(ROUTED, "quiet", text)[0][:4], "-1 m", "where a route searches the context")
    check(daemon.ready(), "not ready")


def stops(daemon, client, servers):
    """A server that stops tells its clients, one that is killed does not: no call is lost where the policy names lost connections."""
    texts = [f"{n % 5} {n}" for n in range(3000)]
    client.begin(RETRIED, "wait", texts, at_once=8)
    within(20, lambda: any(executed(servers[2:], *texts[:500])), "the third server has calls", step=0.01)
    servers[2].kill(signal.SIGTERM)
    within(20, lambda: daemon.counters()["proxy_up_event_drain"] > 0, "a server tells that it stops", step=0.01)
    servers[0].kill()
    by_server = own(texts, client.end())
    check(all(by_server[name] for name in ("s1", "s2", "s3")), f"calls by server: {by_server}")
    print(f"calls by server: {dict(by_server)}", flush=True)


def body():
    build()
    with Lab(servers=3) as lab:
        servers = [lab.run(f"server{n}", f"tars{n}", [BUILT / "server", "-host", lab.server(n), "-port", SERVED, "-id", f"s{n}"]) for n in (1, 2, 3)]
        daemon = lab.meltemi()
        documents(lab, daemon)
        for server in servers:
            server.wait_line('"ready"', 30)
        daemon.start()
        clients = [Client(lab, f"client{n}") for n in range(4)]
        client = clients[0]
        opaque(daemon, client)
        routes(client)
        split(client)
        shared(lab, daemon, clients)
        errors(lab, client)
        pings(daemon, client)
        one_way(client, servers)
        long_messages(daemon, client)
        stops(daemon, client, servers)


main(body)
