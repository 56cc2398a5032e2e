#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The shipped codec file for bRPC, with brpc-java: routes by each kind of metadata, calls of one connection split over servers, clients with
equal ids on one server connection, user fields that a route adds, errors as the client reports them, authentication data, and retries when
a server is killed. What brpc-java cannot send, such as user fields, is sent and read by brpc_wire.py.
"""

import concurrent.futures
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import ROOT, TESTS, Lab, Skip, check, equal, main, within  # noqa: E402
from meltemi_lab.daemon import SHELL  # noqa: E402
from meltemi_lab.documents import service, subsets, weights  # noqa: E402

import brpc_wire as wire  # noqa: E402

CODEC = ROOT / "codecs/brpc.yaml"
DEMO, DEMO_VIP = TESTS / "documents/real/metaprotocol-brpc", "240.240.10.100"
PORT, DEAD_PORT, OWN_PORT = 8000, 8001, 8002
REPLY = {"no_route": 1001, "no_cluster": 1001, "no_endpoint": 1009, "over_limit": 2004, "overload": 2004, "timeout": 1008, "conn_lost": 1009,
         "bad_request": 1003, "bad_reply": 2001, "unsupported": 1003, "denied": 1004, "too_large": 1003, "no_upgrade": 2001}
OF_SERVER = "3: "  # the client's own number for any error that a server replies
NAMES = {"echo": ("example.EchoService", "Echo"), "again": ("example.EchoService", "Again"), "none": ("example.NoService", "None")}
REFUSED = ("over_limit", "overload", "denied")

# Hosts and the rules of their VirtualServices; {} is the host.
MATCHES = {"service": "example.OtherService", "method": "Again", "log_id": "7", "user": "u2"}
TO = "route: [{{destination: {{host: {0}, subset: %s}}}}]"
HOSTS = {
    "routes.test": "".join(f"  - {{{{match: [{{{{headers: {{{{{key}: {{{{exact: '{value}'}}}}}}}}}}}}], {TO % 'v2'}}}}}\n" for key, value in
                           MATCHES.items()) + f"  - {{{{{TO % 'v1'}}}}}\n",
    "none.test": "  - {{match: [{{headers: {{user: {{exact: nobody}}}}}}], route: [{{destination: {{host: {0}}}}}]}}\n",
    "slow.test": f"  - {{{{timeout: 300ms, {TO % 'v1'}}}}}\n",
    "dead.test": f"  - {{{{{TO % 'v1'}}}}}\n",
    "retry.test": "  - {{timeout: 10s, retries: {{attempts: 2, retryOn: 'reset,connect-failure'}}, route: [{{destination: {{host: {0}}}}}]}}\n",
}
ADDS = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: own}
spec:
  hosts: [own.test]
  http: [{headers: {request: {set: {added: by-route, user: changed}}}, route: [{destination: {host: own.test}}]}]
"""
LIMIT = """apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {name: limit}
spec:
  hosts: [limit.test]
  localRateLimit: {tokenBucket: {maxTokens: 3, tokensPerFill: 3, fillInterval: 100s}}
"""
POLICY = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny}
spec:
  selector: {matchLabels: {app: guarded}}
  action: DENY
  rules: [{to: [{operation: {methods: [Again]}}], when: [{key: "request.headers[user]", values: [mallory]}]}]
"""


class Client:
    """A process of the library's client, with one connection to each target."""

    def __init__(self, lab, name):
        self.process = lab.run("client", name, [HERE / "peer.sh", "Client"], stdin=subprocess.PIPE)

    def ready(self):
        self.process.wait_line('"ready"', 30)

    def ask(self, target, **order):
        self.process.ask(json.dumps({"target": target, **order}))
        return self.process.answer(60)

    def errors(self, target, **order):
        """The errors of calls of which none is answered."""
        got = self.ask(target, **order)
        equal(got["from"], {}, f"answers of {target} {order}")
        return got["errors"]


class Scene:
    def __init__(self, lab, daemon):
        self.lab, self.daemon, self.vips = lab, daemon, {}

    def host(self, name, endpoints=None, rules=None, port=PORT):
        vip = self.vips[name] = f"240.240.10.{1 + len(self.vips)}"
        ends = endpoints or [(self.lab.server(n), port, {"version": f"v{n}", "app": name.partition(".")[0]}) for n in (1, 2)]
        self.daemon.write(f"{name}.yaml", service(name, vip, PORT, "tcp-metaprotocol-brpc", ends))
        if rules:
            self.daemon.write(f"{name}-rules.yaml", "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
                              f"metadata: {{name: {name.replace('.', '-')}}}\nspec:\n  hosts: [{name}]\n  http:\n{rules.format(name)}")
            self.daemon.write(f"{name}-subsets.yaml", subsets(name, ("v1", "v2")))

    def at(self, name):
        return f"{self.vips[name]}:{PORT}"

    def raw(self, name):
        return self.lab.connect("client", self.vips[name], PORT, 20)


def build():
    done = subprocess.run([HERE / "build.sh"], text=True, capture_output=True, timeout=500, check=False)
    if done.returncode:
        raise Skip(f"no bRPC peers: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")


def documents(scene):
    for name, rules in HOSTS.items():
        scene.host(name, rules=rules, port=DEAD_PORT if name == "dead.test" else PORT)
    for name in ("split.test", "limit.test", "guarded.test", "lost.test"):
        scene.host(name)
    scene.host("shared.test", [(scene.lab.server(1), PORT, {})])
    scene.host("own.test", [(scene.lab.server(1), OWN_PORT, {})])
    scene.daemon.write("split-subsets.yaml", subsets("split.test", ("v1", "v2")))
    scene.daemon.write("split-weights.yaml", weights("split.test", {"v1": 50, "v2": 50}))
    scene.daemon.write("adds.yaml", ADDS)
    scene.daemon.write("limit.yaml", LIMIT)
    scene.daemon.write("deny.yaml", POLICY)


def routes(scene, client):
    for order, server in (({}, "s1"), ({"method": "other"}, "s2"), ({"method": "again"}, "s2"), ({"log": 7}, "s2"), ({"log": 8}, "s1")):
        got = client.ask(scene.at("routes.test"), count=3, **order)
        equal((got["from"], got["errors"]), ({server: 3}, {}), f"calls with {order}")
    told = json.loads(scene.daemon.shell("--json", "explain", f"listener={scene.at('routes.test')}", "protocol=brpc", "method=Echo", "user=u2"))
    equal([row["endpoint"] for row in told["endpoints"]], [f"{scene.lab.server(2)}:{PORT}"], "what explain tells")
    sock = scene.raw("routes.test")
    for user, server in (((), "s1"), ((("user", "u1"),), "s1"), ((("other", "x"), ("user", "u2")), "s2"), ((("user", "u2"), ("user", "u1")), "s1")):
        sock.sendall(wire.request(1 << 40, "a", user=user))
        number, code, body = wire.outcome(sock)
        equal((number, code, dict(wire.fields(body))[2].decode()), (1 << 40, 0, server), f"a call with user fields {user}")


def changes(scene):
    sock = scene.raw("own.test")
    sock.sendall(wire.request(300, "a", user=(("user", "u1"), ("kept", "k"))))
    number, code, body = wire.outcome(sock)
    read = json.loads(dict(wire.fields(body))[2])
    equal((number, code, read), (300, 0, {"user": "changed", "kept": "k", "added": "by-route"}), "user fields that the server has read")


def split(scene, clients):
    """Two clients with the same ids, each with one connection: their calls are split, and in another service share a server connection."""
    def load(client, host):
        return client.ask(scene.at(host), count=150, at_once=10)

    for host, ends in (("split.test", 2), ("shared.test", 1)):
        before = scene.daemon.counters()["proxy_down_accepted"]
        with concurrent.futures.ThreadPoolExecutor(2) as both:
            found = list(both.map(load, clients, (host, host)))
        for got in found:
            equal((sum(got["from"].values()), len(got["from"]), got["errors"], got["crossed"]), (150, ends, {}, 0), f"calls to {host}: {got['from']}")
        equal(scene.daemon.counters()["proxy_down_accepted"] - before, 2, f"connections of the clients to {host}")
    rows = [row for row in scene.daemon.show("endpoints")["endpoints"] if "shared.test" in row["cluster"]]
    equal([row["connections_opened"] for row in rows], [1], "connections to the server that two clients shared")


def refused(scene, client):
    """Requests that would change the state of a shared connection."""
    before = scene.daemon.counters()["proxy_up_opened"]
    equal(client.errors(scene.at("shared.test"), auth="secret"), {OF_SERVER + "meltemi: denied": 1}, "a request with authentication data")
    sock = scene.raw("shared.test")
    for more, want in ((wire.field(7, b""), 1004), (wire.field(8, wire.field(1, 5)), 1003), (b"", 0)):
        sock.sendall(wire.request(9, "a", more=more))
        equal(wire.outcome(sock)[:2], (9, want), f"a request with {more}")
    sock.sendall(wire.request(9, "a", more=b"\x3a\x7f") + wire.request(10, "a"))
    equal(wire.outcome(sock)[:2], (9, 1003), "a head that breaks its format")
    equal(wire.outcome(sock)[:2], (10, 0), "the request behind it")
    equal(scene.daemon.counters()["proxy_up_opened"], before, "connections to servers")
    sock.sendall(b"STRM" + bytes(8))
    equal(sock.recv(1), b"", "a frame of a stream ends the connection")


def fails(scene, client, name, code, text="", method="echo", said=None):
    """A call by the client, which reports the text of the error with a number of its own, and the same call by hand, which reads the code."""
    (error,) = client.errors(scene.at(name), method=method, **({"text": text} if text else {}))
    check(error.startswith(OF_SERVER) and (said is None or error == OF_SERVER + said), f"{name}, {method}: {error}")
    sock = scene.raw(name)
    sock.sendall(wire.request(5, text, *NAMES[method]))
    equal(wire.outcome(sock)[:2], (5, code), f"{name}, {method}: {error}")


def local_errors(scene, client):
    fails(scene, client, "none.test", 1001, said="no route matches")
    fails(scene, client, "dead.test", 1009)
    fails(scene, client, "slow.test", 1008, "hang.s1.1")
    fails(scene, client, "slow.test", 1008, method="none")  # brpc-java replies without an id
    fails(scene, client, "shared.test", 2001, "error.s1.1", said="as asked")
    got = client.ask(scene.at("limit.test"), count=5)
    equal((sum(got["from"].values()), got["errors"]), (3, {OF_SERVER + "meltemi: over limit": 2}), "calls over a limit")
    fails(scene, client, "limit.test", 2004)


def guarded(scene, client):
    """A method that a policy denies may also be executed under another name: the rest of the rule decides."""
    equal(client.ask(scene.at("guarded.test"), method="again")["errors"], {}, "a call that the rest of the rule does not match")
    sock = scene.raw("guarded.test")
    for user, want in (("mallory", 1004), ("ann", 0)):
        for method in ("echo", "again"):
            sock.sendall(wire.request(5, "a", *NAMES[method], user=(("user", user),)))
            equal(wire.outcome(sock)[:2], (5, want), f"{method} of {user}")


def written(scene, client):
    """The client reports each local reply that `meltemi codec test` shows, sent to it by a server of our own."""
    for reason in REPLY:
        equal(client.errors(scene.at("own.test"), text=reason), {OF_SERVER + ("meltemi: " if reason in REFUSED else ""): 1}, f"the reply for {reason}")


def replies(lab):
    text = lab.directory / "request.txt"
    text.write_text(f"client: {wire.request(5, 'a').hex()}\n")
    done = subprocess.run([SHELL, "--json", "codec", "test", "--all", CODEC, text], text=True, capture_output=True, timeout=30, check=True)
    asked = next(m for m in json.loads(done.stdout)["messages"] if m["input"] == str(text))
    found = {one["reason"]: one["hex"] for one in asked["local_replies"]}
    codes = {reason: dict(wire.fields(dict(wire.fields(bytes.fromhex(hexed)[12:]))[2]))[1] for reason, hexed in found.items()}
    equal(codes, REPLY, "codes of local replies")
    (lab.directory / "replies.json").write_text(json.dumps(found))


def demo(client):
    """Aeraki's demonstration: a split by weights."""
    got = client.ask(f"{DEMO_VIP}:{PORT}", count=100)
    equal((sum(got["from"].values()), got["errors"]), (100, {}), "calls of the demonstration")
    check(0 < got["from"].get("s1", 0) < got["from"].get("s2", 0), f"20 of 100 to the first: {got['from']}")


def killed(scene, clients, servers):
    """A server is killed: calls are sent again by a policy, and end with an error without one."""
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        load = both.submit(clients[0].ask, scene.at("retry.test"), count=120, at_once=6, text="slow.s1s2.1")
        lost = both.submit(clients[1].ask, scene.at("lost.test"), count=8, at_once=8, text="hang.s1.2")
        within(10, lambda: servers[0].output().count('"slow.') > 10 and '"hang.s1.2"' in servers[0].output(), "calls at the server", step=0.02)
        servers[0].kill()
        got, ended = load.result(), lost.result()
    equal((sum(got["from"].values()), got["errors"]), (120, {}), f"calls while a server was killed: {got['from']}")
    check(len(ended["errors"]) == 1 and next(iter(ended["errors"])).startswith(OF_SERVER), f"calls without a retry: {ended}")
    within(10, lambda: not clients[0].ask(scene.at("retry.test"))["errors"], "calls afterwards", step=0.1)


def body():
    build()
    with Lab(servers=2) as lab:
        servers = [lab.run(f"server{n}", f"brpc{n}", [HERE / "peer.sh", "Server", PORT, f"s{n}"]) for n in (1, 2)]
        clients = [Client(lab, f"client{n}") for n in (1, 2)]
        replies(lab)
        own = lab.python("server1", "own", HERE.relative_to(TESTS) / "replier.py", OWN_PORT, lab.directory / "replies.json")
        daemon = lab.meltemi(DEMO)
        daemon.node.write_text(daemon.node.read_text().rstrip("\n") + f"\n  codecs: [{CODEC.parent}]\n")
        daemon.leaves("errors", "a policy by a method", "fails closed:")
        scene = Scene(lab, daemon)
        documents(scene)
        for server in servers:
            server.wait_line('"ready"', 30)
        own.wait_line("ready")
        for client in clients:
            client.ready()
        daemon.start()
        split(scene, clients)
        routes(scene, clients[0])
        changes(scene)
        refused(scene, clients[0])
        local_errors(scene, clients[0])
        guarded(scene, clients[0])
        written(scene, clients[0])
        demo(clients[0])
        killed(scene, clients, servers)


main(body)
