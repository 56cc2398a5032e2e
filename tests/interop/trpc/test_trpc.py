#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The shipped codec file for tRPC, with tRPC's library for Go: routes by each kind of metadata, calls of one connection split over servers,
clients with equal ids on one server connection, metadata that a route adds, one-way calls, limits, stickiness, policies, errors as the
client reports them, retries when a server is killed, and documents in the shape of Aeraki's demonstration.
"""

import concurrent.futures
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab.asking import read  # noqa: E402, I001
from meltemi_lab import ROOT, TESTS, Lab, Skip, check, equal, main, within  # noqa: E402
from meltemi_lab.daemon import SHELL  # noqa: E402
from meltemi_lab.documents import service, subsets, weights  # noqa: E402
from meltemi_lab.paths import INTEROP  # noqa: E402

PEER, CODEC = INTEROP / "trpc/trpcpeer", ROOT / "codecs/trpc.yaml"
DEMO, DEMO_VIP = TESTS / "documents/real/metaprotocol-trpc", "240.240.9.100"
GREETER = "trpc.test.helloworld.Greeter"
HELLO, OTHER = f"/{GREETER}/Hello", "/test/Other"
PORT, V1, V2 = 8000, "v1/s1", "v2/s2"
REPLY = {"no_route": 11, "no_cluster": 11, "no_endpoint": 131, "over_limit": 23, "overload": 22, "timeout": 21, "conn_lost": 141, "bad_request": 1,
         "bad_reply": 31, "unsupported": 31, "denied": 41, "too_large": 1, "no_upgrade": 31}
REFUSED = ("over_limit", "overload", "denied")

# Hosts and the rules of their VirtualServices; {} is the host.
MATCHES = {"caller": "trpc.app.other.Caller", "callee": "trpc.test.other.Greeter", "func": OTHER, "service": "test", "method": "Other", "user": "u2"}
TO = "route: [{{destination: {{host: {0}, subset: %s}}}}]"
HOSTS = {
    "routes.test": "".join(f"  - {{{{match: [{{{{headers: {{{{{key}: {{{{exact: {value}}}}}}}}}}}}}], {TO % 'v2'}}}}}\n" for key, value in
                           MATCHES.items()) + f"  - {{{{{TO % 'v1'}}}}}\n",
    "adds.test": f"  - {{{{headers: {{{{request: {{{{set: {{{{added: by-route, user: changed}}}}}}}}}}}}, {TO % 'v1'}}}}}\n",
    "none.test": "  - {{match: [{{headers: {{user: {{exact: nobody}}}}}}], route: [{{destination: {{host: {0}}}}}]}}\n",
    "subset.test": f"  - {{{{{TO % 'v3'}}}}}\n",
    "slow.test": f"  - {{{{timeout: 300ms, {TO % 'v1'}}}}}\n",
    "dead.test": f"  - {{{{{TO % 'v1'}}}}}\n",
    "retry.test": "  - {{timeout: 10s, retries: {{attempts: 2, retryOn: 'reset,connect-failure'}}, route: [{{destination: {{host: {0}}}}}]}}\n",
    "busy.test": "  - {{timeout: 10s, retries: {{attempts: 2}}, route: [{{destination: {{host: {0}}}}}]}}\n",
}
LIMIT = """apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {name: limit}
spec:
  hosts: [limit.test]
  localRateLimit: {conditions: [{match: {attributes: {func: {exact: %s}}}, tokenBucket: {maxTokens: 3, tokensPerFill: 3, fillInterval: 100s}}]}
""" % OTHER
POLICIES = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny}
spec:
  selector: {matchLabels: {app: guarded}}
  action: DENY
  rules: [{to: [{operation: {paths: [%s]}}]}, {to: [{operation: {methods: [Note]}}]}, {when: [{key: "request.headers[user]", values: [mallory]}]}]
""" % OTHER
DEAD_PORT = 8001
REQUEST = next(line for line in (TESTS / "codecfiles/messages/trpc.tsv").read_text().splitlines() if line.startswith("trpc-request\t")).split("\t")[-1]


def build():
    done = subprocess.run([HERE / "build.sh"], text=True, capture_output=True, timeout=500, check=False)
    if done.returncode:
        raise Skip(f"no tRPC peers: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")


class Client:
    """A process of the library's client, with one connection to each target."""

    def __init__(self, lab, name):
        self.process = lab.run("client", name, [PEER], stdin=subprocess.PIPE)
        self.process.wait_line('"ready"', 30)

    def ask(self, target, **order):
        self.process.ask(json.dumps({"target": target, **order}))
        return self.process.answer(40)

    def errors(self, target, **order):
        """The errors of calls of which none is answered."""
        got = self.ask(target, **order)
        equal(got["from"], {}, f"answers of {target} {order}")
        return got["errors"]


class Scene:
    def __init__(self, lab, daemon):
        self.lab, self.daemon, self.vips = lab, daemon, {}

    def host(self, name, endpoints=None, rules=None, port=PORT):
        vip = self.vips[name] = f"240.240.9.{1 + len(self.vips)}"
        ends = endpoints or [(self.lab.server(n), port, {"version": f"v{n}", "app": name.partition(".")[0]}) for n in (1, 2)]
        self.daemon.write(f"{name}.yaml", service(name, vip, PORT, "tcp-metaprotocol-trpc", ends))
        if rules:
            self.daemon.write(f"{name}-rules.yaml", "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
                              f"metadata: {{name: {name.replace('.', '-')}}}\nspec:\n  hosts: [{name}]\n  http:\n{rules.format(name)}")
            self.daemon.write(f"{name}-subsets.yaml", subsets(name, ("v1", "v2")))

    def at(self, name):
        return f"{self.vips[name]}:{PORT}"


def documents(scene):
    for name, rules in HOSTS.items():
        scene.host(name, rules=rules, port=DEAD_PORT if name == "dead.test" else PORT)
    for name in ("split.test", "sticky.test", "limit.test", "guarded.test", "lost.test"):
        scene.host(name)
    scene.host("shared.test", [(scene.lab.server(1), PORT, {})])
    scene.host("written.test", [(scene.lab.server(1), 8002, {})])
    scene.daemon.write("split-subsets.yaml", subsets("split.test", ("v1", "v2")))
    scene.daemon.write("split-weights.yaml", weights("split.test", {"v1": 50, "v2": 50}))
    scene.daemon.write("sticky.yaml", subsets("sticky.test", (), "consistentHash: {httpHeaderName: user}"))
    scene.daemon.write("limit.yaml", LIMIT)
    scene.daemon.write("deny.yaml", POLICIES)


def routes(scene, client):
    for key, value in {None: None, **MATCHES}.items():
        order = {"meta": {"user": "u1"}}
        if key in ("service", "method", "func"):
            order["func"] = OTHER
        elif key in ("caller", "callee"):
            order[key] = value
        elif key:
            order["meta"] = {key: value}
        got = client.ask(scene.at("routes.test"), count=3, **order)
        equal((got["from"], got["errors"]), ({V2 if key else V1: 3}, {}), f"calls with {key} {value}")
    told = json.loads(scene.daemon.shell("--json", "explain", f"listener={scene.at('routes.test')}", "protocol=trpc", f"func={HELLO}", "user=u2"))
    equal([row["endpoint"] for row in told["endpoints"]], [f"{scene.lab.server(2)}:{PORT}"], "what explain tells")


def changes(scene, client):
    got = client.ask(scene.at("adds.test"), meta={"user": "u1", "kept": "k"})
    equal((got["meta"], got["errors"]), ([{"user": "changed", "kept": "k", "added": "by-route"}], {}), "metadata that the server has read")
    got = client.ask(scene.at("adds.test"))
    equal((got["meta"], got["errors"]), ([{"user": "changed", "added": "by-route"}], {}), "metadata of a call that had none")


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


def one_way(scene, client):
    got = client.ask(scene.at("shared.test"), func=f"/{GREETER}/Note", oneway=True, count=20)
    equal((got["from"], got["errors"]), ({"-": 20}, {}), "one-way calls")
    within(10, lambda: client.ask(scene.at("shared.test"), func=f"/{GREETER}/Count")["from"] == {"20": 1}, "20 one-way calls arrive", step=0.1)


def sticky(scene, client):
    servers = set()
    for user in range(12):
        got = client.ask(scene.at("sticky.test"), count=5, meta={"user": f"user{user}"})
        equal((len(got["from"]), got["errors"]), (1, {}), f"servers of one user: {got}")
        servers |= got["from"].keys()
    equal(servers, {V1, V2}, "servers of all users")


def limit(scene, client):
    got = client.ask(scene.at("limit.test"), count=5, func=OTHER)
    equal((sum(got["from"].values()), got["errors"]), (3, {"callee 23: meltemi: over limit": 2}), "calls over a limit")
    equal(client.ask(scene.at("limit.test"), count=5)["errors"], {}, "calls of another function")


def guarded(scene, client):
    denied = {"callee 41: meltemi: denied by policy": 1}
    at = scene.at("guarded.test")
    equal(client.ask(at)["errors"], {}, "a call that no policy denies")
    equal(client.errors(at, func=OTHER), denied, "a call that is denied by its path")
    equal(client.errors(at, func=OTHER, callee="trpc.test.helloworld.Greeter", meta={"service": "x", "method": "y", "func": "z"}), denied,
          "the same with other names in its metadata")
    equal(client.errors(at, func=f"/{GREETER}/Note"), denied, "a call that is denied by its method")
    equal(client.errors(at, func="alias"), denied, "a function without a method in its name")
    equal(client.errors(at, meta={"user": "mallory"}), denied, "a call that is denied by its metadata")


def local_errors(scene, client):
    equal(client.errors(scene.at("none.test")), {"callee 11: no route matches": 1}, "no route")
    equal(list(client.errors(scene.at("subset.test")))[0].partition(":")[0] in ("callee 11", "callee 131"), True, "no subset")
    equal(list(client.errors(scene.at("dead.test")))[0].partition(":")[0], "callee 131", "no server")
    equal(list(client.errors(scene.at("slow.test"), text="hang.s1.1"))[0].partition(":")[0], "callee 21", "a time-out")
    equal(client.errors(scene.at("shared.test"), text="error.s1.1"), {"business 10001: as asked": 1}, "an error of the service")
    equal(client.errors(scene.at("shared.test"), func="/none/None", callee="x"), {
        f"callee 12: service handle: rpc name /none/None invalid, current service:{GREETER}": 1}, "an error of the library")
    equal(client.errors(scene.at("shared.test"), stream=True, func=f"/{GREETER}/Chat", millis=2000), {"callee 12: unsupported": 1}, "a stream")


def hostile(scene):
    """Broken messages get an error, or end their connection; those behind them are answered if it goes on."""
    sock = scene.lab.connect("client", scene.vips["shared.test"], PORT, 20)
    good, stream = bytes.fromhex(REQUEST), b"\0\0" + (77).to_bytes(4, "big") + b"\1\0"

    def reply():
        head = read(sock, 16)
        return head[:4].hex(), int.from_bytes(head[10:14], "big"), read(sock, int.from_bytes(head[4:8], "big") - 16)

    for bad, want in ((good[:8] + b"\xff\xff" + good[10:], ("09300000", 0, b"\x18\0\x20\1")),  # a head that exceeds the message
                      (good[:21] + b"\x2f" + good[22:], ("09300000", 1, b"\x18\1\x20\1")),  # a field of no type
                      (b"\x09\x30\1\1" + (16).to_bytes(4, "big") + stream, ("09300101", 77, b"\x12\x0f\x08\x0c")),
                      (b"\x09\x30\1\2" + (20).to_bytes(4, "big") + stream + b"data", None)):
        sock.sendall(bad + good)
        if want:
            kind, number, body = reply()
            equal((kind, number, body[:len(want[2])]), want, f"the error for {bad.hex()}")
        kind, number, body = reply()
        equal((kind, number, body[:2]), ("09300000", 1, b"\x18\1"), f"the answer behind {bad.hex()}")
    for bad in (b"\x09\x31" + good[2:], good[:2] + b"\2" + good[3:], good[:4] + (15).to_bytes(4, "big") + good[8:], good[:4] + b"\x7f" + good[5:]):
        with scene.lab.connect("client", scene.vips["shared.test"], PORT, 20) as other:
            other.sendall(bad)
            equal(other.recv(1), b"", f"the end of a connection with {bad[:16].hex()}")


def written(scene, client):
    """The client reports each local reply that `meltemi codec test` shows, sent to it by a server of our own."""
    text = scene.lab.directory / "request.txt"
    text.write_text(f"client: {REQUEST}\n")
    done = subprocess.run([SHELL, "--json", "codec", "test", "--all", CODEC, text], text=True, capture_output=True, timeout=30, check=True)
    asked = next(m for m in json.loads(done.stdout)["messages"] if m["input"] == str(text))
    replies = {one["reason"]: one["hex"] for one in asked["local_replies"]}
    equal(set(replies), set(REPLY), "reasons")
    (scene.lab.directory / "replies.json").write_text(json.dumps(replies))
    scene.lab.python("server1", "written", HERE.relative_to(TESTS) / "replier.py", 8002, scene.lab.directory / "replies.json").wait_line("ready")
    for reason, code in REPLY.items():
        said = "meltemi: " if reason in REFUSED else ""
        equal(client.errors(scene.at("written.test"), text=reason), {f"callee {code}: {said}": 1}, f"the reply for {reason}")


def demo(client):
    """Aeraki's demonstration: two versions by metadata, and a change of metadata."""
    ask = {"callee": "trpc.test.parrot", "func": HELLO}
    for version, server in (("v1", V1), ("v2", V2)):
        got = client.ask(f"{DEMO_VIP}:{PORT}", count=4, meta={"version": version}, **ask)
        equal((got["from"], got["errors"]), ({server: 4}, {}), f"calls of {version}")
        check(all(meta.get("colour") == "green" for meta in got["meta"]), f"the route adds metadata: {got['meta']}")
    equal(client.errors(f"{DEMO_VIP}:{PORT}", **ask), {"callee 11: no route matches": 1}, "calls without a version")


def killed(scene, clients, servers):
    """A server is killed: calls are sent again by a policy, and end with an error without one."""
    got = clients[0].ask(scene.at("busy.test"), count=10, text="busy.s1.1")
    equal((got["from"], got["errors"]), ({V2: 10}, {}), "calls that a server was too busy for")
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        load = both.submit(clients[0].ask, scene.at("retry.test"), count=120, at_once=6, text="slow.s1s2.1")
        lost = both.submit(clients[1].ask, scene.at("lost.test"), count=8, at_once=8, text="hang.s1.2")
        within(10, lambda: servers[0].output().count('"slow.') > 10 and '"hang.s1.2"' in servers[0].output(), "calls at the server", step=0.02)
        servers[0].kill()
        got, ended = load.result(), lost.result()
    equal((sum(got["from"].values()), got["errors"]), (120, {}), f"calls while a server was killed: {got['from']}")
    equal([text.partition(":")[0] for text in ended["errors"]], ["callee 141"], f"calls without a retry: {ended}")
    within(10, lambda: not clients[0].ask(scene.at("retry.test"))["errors"], "calls afterwards", step=0.1)


def body():
    build()
    with Lab(servers=2) as lab:
        servers = [lab.run(f"server{n}", f"trpc{n}", [PEER, "-port", PORT, "-tag", f"v{n}", "-id", f"s{n}"]) for n in (1, 2)]
        daemon = lab.meltemi(DEMO)
        daemon.node.write_text(daemon.node.read_text().rstrip("\n") + f"\n  codecs: [{CODEC.parent}]\n")
        scene = Scene(lab, daemon)
        documents(scene)
        for server in servers:
            server.wait_line('"ready"', 30)
        daemon.start()
        clients = [Client(lab, f"client{n}") for n in (1, 2)]
        split(scene, clients)
        one_way(scene, clients[0])
        for step in (routes, changes, sticky, limit, guarded, local_errors, written):
            step(scene, clients[0])
        hostile(scene)
        demo(clients[0])
        killed(scene, clients, servers)


main(body)
