#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What `explain` says of a message is what a client then gets: 200 random Dubbo and Thrift messages against random routes,
limits and balancers; the server that answers, or the refusal with its words.
"""

import collections
import json
import random
import socket
import sys

from meltemi_lab import PATIENCE, TESTS, Failure, Lab, check, dubbo, equal, main, netns
from meltemi_lab.documents import service, weights

sys.path.insert(0, str(TESTS / "interop" / "thrift"))

SEED, ROUNDS, MESSAGES = 7, 10, 20
VIP, HOSTS, STRANGER = "240.240.1.1", ["com.example.alpha", "com.example.beta"], "com.example.unknown"
THRIFT_VIP, THRIFT_HOST = "240.240.2.1", "thrift.example.com"
SOURCES = ["192.0.2.2", "192.0.2.3", "192.0.2.4"]
SUBSETS = {"v1": [1, 2], "v2": [3]}
KEYS = {"user": ["Jason", "Jasmin", "jason", "Ada"], "region": ["eu-1", "eu-2", "us-1"], "stage": ["1", "22", "x"]}
METHODS = ["sayHello", "sayGoodbye", "echo"]
CONDITIONS = [("exact", "Jason"), ("prefix", "Jas"), ("regex", "J.*n"), ("exact", "eu-1"), ("prefix", "eu"), ("regex", "[0-9]+"),
              ("regex", "*")]


def random_match(rand, methods):
    """Some conditions on metadata, as the documents write them."""
    words = []
    if rand.random() < 0.4:
        words.append(f"method: {{exact: {rand.choice(methods)}}}")
    for key in rand.sample(sorted(KEYS), rand.randint(0 if words else 1, 2)):
        kind, value = rand.choice(CONDITIONS)
        words.append(f'{key}: {{{kind}: "{value}"}}')
    return "{" + ", ".join(words) + "}"


def random_destination(rand, host):
    if rand.random() < 0.5:
        return f"    route: [{{destination: {{host: {host}, subset: {rand.choice(sorted(SUBSETS))}}}}}]\n"
    share = rand.choice([0, 10, 50, 100])
    return (f"    route:\n    - {{destination: {{host: {host}, subset: v1}}, weight: {share}}}\n"
            f"    - {{destination: {{host: {host}, subset: v2}}, weight: {100 - share}}}\n")


def random_router(rand, host, methods):
    """A MetaRouter: routes of which the last may or may not take everything, and limits that some calls will meet."""
    text = f"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: {{name: {host.replace('.', '-')}}}\nspec:\n  hosts: [{host}]\n"
    if rand.random() < 0.6:
        text += "  localRateLimit:\n"
        if rand.random() < 0.5:
            text += f"    tokenBucket: {{fillInterval: 3600s, maxTokens: {rand.randint(2, 6)}, tokensPerFill: 1}}\n"
        text += (f"    conditions:\n    - tokenBucket: {{fillInterval: 3600s, maxTokens: {rand.randint(1, 3)}, tokensPerFill: 1}}\n"
                 f"      match: {{attributes: {random_match(rand, methods)}}}\n")
    text += "  routes:\n"
    for place in range(rand.randint(1, 6)):
        text += f"  - name: r{place}\n    match: {{attributes: {random_match(rand, methods)}}}\n" + random_destination(rand, host)
    if rand.random() < 0.7:
        text += "  - name: rest\n" + random_destination(rand, host)
    return text


def random_rule(rand, host):
    balancer = rand.choice(["{simple: ROUND_ROBIN}", "{simple: RANDOM}", "{simple: LEAST_REQUEST}",
                            "{consistentHash: {httpHeaderName: user}}", "{consistentHash: {useSourceIp: true}}"])
    text = f"apiVersion: networking.istio.io/v1alpha3\nkind: DestinationRule\nmetadata: {{name: {host.replace('.', '-')}}}\nspec:\n  host: {host}\n  subsets:\n"
    for name in SUBSETS:
        text += f"  - {{name: {name}, labels: {{version: {name}}}, trafficPolicy: {{loadBalancer: {balancer}}}}}\n"
    return text


def instances(lab, port):
    return [(lab.server(n), port, {"version": name}) for name, numbers in SUBSETS.items() for n in numbers]


def random_message(rand, methods):
    said = {key: rand.choice(values) for key, values in KEYS.items() if rand.random() < 0.6}
    return rand.choice(methods), rand.choice(SOURCES), said


class Dubbo:
    """One call on a connection of its own: ("answered", server) or ("refused", words)."""

    port, vip, methods = 20880, VIP, METHODS

    def call(self, lab, host, method, source, said):
        with lab.inside("client"), socket.create_connection((VIP, 20880), PATIENCE, (source, 0)) as sock:
            sock.sendall(dubbo.request(1, method, ["me"], said, host))
            data = b""
            while len(data) < 16 or len(data) < 16 + int.from_bytes(data[12:16], "big"):
                more = sock.recv(65536)
                check(more, f"the connection ended behind {data!r}")
                data += more
        text = dubbo.parse_reply(data[3], data[16:])
        return ("answered", text.rsplit(" from ", 1)[1]) if data[3] == 20 else ("refused", text.removeprefix("meltemi: "))

    def explain_words(self, host):
        return ["protocol=dubbo", f"service={host}", "version=0.0.0"]


class Thrift:
    port, vip, methods = 9090, THRIFT_VIP, METHODS[:2]

    def call(self, lab, host, method, source, said):
        import common  # needs what thrift_server() has generated
        from hello import Hello
        from thrift.Thrift import TApplicationException
        from thrift.transport import TSocket

        sock = TSocket.TSocket(THRIFT_VIP, 9090)
        with lab.inside("client"):
            sock.setHandle(socket.create_connection((THRIFT_VIP, 9090), PATIENCE, (source, 0)))
        protocol = common.protocol_factory("header", "binary").getProtocol(sock)
        for key, value in said.items():
            protocol.trans.set_header(key.encode(), value.encode())
        try:
            return "answered", getattr(Hello.Client(protocol), method)("me").rsplit(" from ", 1)[1]
        except TApplicationException as error:
            return "refused", error.message.removeprefix("meltemi: ")
        finally:
            sock.close()

    def explain_words(self, host):
        return ["protocol=thrift", f"listener={THRIFT_VIP}:9090"]


def one(lab, daemon, kind, host, message, seen):
    method, source, said = message
    words = kind.explain_words(host) + [f"method={method}", f"src={source}"] + [f"{k}={v}" for k, v in said.items()]
    # One that no listener has: by its address, it is refused there.
    if host == STRANGER:
        words.append(f"listener={VIP}:20880")
    told = json.loads(daemon.shell("--json", "explain", *words))
    outcome, detail = kind.call(lab, host, method, source, said)
    what = f"explain {' '.join(words)}: {json.dumps(told)}; the client got {outcome} {detail}"
    if outcome == "refused":
        check(detail in told["result"], what)
        seen[detail] += 1
        return
    check(told["result"].startswith("sent"), what)
    number = int(detail.rsplit("/s", 1)[1])
    may = {row["endpoint"]: row["percent"] for row in told["endpoints"] if row["percent"] > 0}
    check(f"{lab.server(number)}:{kind.port}" in may, what)
    taken = [route for route in told["routes"] if route["verdict"] == "taken"]
    equal(len(taken), 1, f"routes that are taken: {what}")
    check(".yaml:" in taken[0]["origin"], what)
    seen["one endpoint" if len(may) == 1 else "several endpoints"] += 1
    seen["earlier routes explained"] += len(told["routes"]) - 1


def play(lab, daemon, rand, number, seen):
    kind, hosts = (Thrift(), [THRIFT_HOST]) if number % 4 == 3 else (Dubbo(), HOSTS)
    for place, host in enumerate(hosts):
        daemon.write(f"service{place}.yaml", service(host, kind.vip, kind.port,
                                                     f"tcp-metaprotocol-{type(kind).__name__.lower()}", instances(lab, kind.port)))
        daemon.write(f"rule{place}.yaml", random_rule(rand, host))
        # Another name of the service's bucket would be another bucket: limits begin anew with each round.
        daemon.write(f"router{place}.yaml", random_router(rand, host, kind.methods))
    for place in range(len(hosts), 2):
        for name in ("service", "rule", "router"):
            (daemon.services / f"{name}{place}.yaml").unlink(missing_ok=True)
    daemon.shell("reload")
    for _ in range(MESSAGES):
        host = rand.choice(hosts + [STRANGER] * (len(hosts) - 1)) if rand.random() < 0.3 else rand.choice(hosts)
        one(lab, daemon, kind, host, random_message(rand, kind.methods), seen)


def refusal(daemon, *words):
    try:
        daemon.shell(*words)
    except Failure as failure:
        return str(failure)
    return ""


LIMIT = """\
---
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {{name: limit}}
spec:
  hosts: [{host}]
  localRateLimit:
    conditions:
    - tokenBucket: {{fillInterval: 3600s, maxTokens: 2, tokensPerFill: 1}}
      match: {{attributes: {{method: {{exact: echo}}}}}}
"""


def limits_beside_routes(lab, daemon):
    """A MetaRouter without routes adds its limit to the routes of the VirtualService; with routes it replaces them, with a warning."""
    host, kind, seen = HOSTS[0], Dubbo(), collections.Counter()
    split = weights(host, {"v2": 100})
    daemon.write("router0.yaml", split + LIMIT.format(host=host))
    daemon.shell("reload")
    equal([o["status"] for o in daemon.show("objects")["objects"] if o["file"].endswith("router0.yaml")], ["in-force"] * 2,
          "statuses of a VirtualService and of a MetaRouter without routes")
    for _ in range(3):
        one(lab, daemon, kind, host, ("echo", SOURCES[0], {}), seen)
    equal((seen["one endpoint"], seen["over limit"]), (2, 1), "calls by the VirtualService's routes and the MetaRouter's limit")
    told = json.loads(daemon.shell("--json", "explain", f"service={host}", "method=sayHello"))
    equal((told["protocol"], told["service"]), ("dubbo", host), "explain finds the protocol of a service")
    check("no listener has the service" in refusal(daemon, "explain", "service=com.example.nobody"), "explain of a service that nothing has")
    answers = {kind.call(lab, host, "sayHello", SOURCES[0], {}) for _ in range(12)}
    equal({int(server.rsplit("/s", 1)[1]) for _, server in answers}, set(SUBSETS["v2"]), "servers of the subset that the VirtualService names")
    daemon.write("router0.yaml", split + LIMIT.format(host=host) + f"  routes: [{{name: own, route: [{{destination: {{host: {host}, subset: v1}}}}]}}]\n")
    daemon.shell("reload")
    _, server = kind.call(lab, host, "sayHello", SOURCES[0], {})
    check(int(server.rsplit("/s", 1)[1]) in SUBSETS["v1"], f"{server} is not of the subset that the MetaRouter's own routes name")
    notes = [n["text"] for o in daemon.show("objects")["objects"] if o["name"] == "limit" for n in o["notes"]]
    check(any("the routes and timeouts of VirtualService default/weights are not in force" in text for text in notes), f"notes: {notes}")


def body():
    rand, seen = random.Random(SEED), collections.Counter()
    with Lab(servers=3) as lab:
        for source in SOURCES[1:]:
            netns.run("ip", "-n", lab.namespace("client"), "address", "add", f"{source}/24", "dev", "c0")
        for name, numbers in SUBSETS.items():
            for number in numbers:
                lab.dubbo_server(number, name).wait_line("ready")
                lab.thrift_server(number, name, transport="header").wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.start()
        for number in range(ROUNDS):
            play(lab, daemon, rand, number, seen)
        limits_beside_routes(lab, daemon)
        print(f"{ROUNDS * MESSAGES} messages, as explained: {dict(seen)}", flush=True)
        for outcome in ("one endpoint", "several endpoints", "over limit", "no route matches", "no such service at this address",
                        "earlier routes explained"):
            check(seen[outcome] >= 3, f"too few of {outcome}: {dict(seen)}")


main(body)
