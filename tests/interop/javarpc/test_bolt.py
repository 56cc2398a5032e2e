#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
SOFARPC and the bare SOFABolt library through the installed codec file bolt: routes by metadata split the calls of one client connection, clients with equal ids
share a server connection, heartbeats, one-way calls, version 2 with checksums, a pair that a route adds, each native error as the client reports it, and a call that is
repeated when its server is killed.
"""

import time

from session import VIP, Client, build, check, codecs, connections, equal, rule, server, service, within

from meltemi_lab import Lab, main
from meltemi_lab.documents import subsets

SPLIT, BARE, KILLED, QUICK, GONE, DENIED, CLOSED, LIMITED, SHARED, CHANGED, KEYS = range(12200, 12211)
REFUSED = 9  # no server listens there
CALLERS = 12
MORE = """\
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: by-address}
spec:
  selector: {matchLabels: {app: denied}}
  rules: [{from: [{source: {ipBlocks: [203.0.113.0/24]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: by-method}
spec:
  selector: {matchLabels: {app: closed}}
  rules: [{to: [{operation: {methods: [hello]}}]}]
---
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {name: limit}
spec:
  hosts: [limited.test]
  localRateLimit:
    conditions:
    - tokenBucket: {fillInterval: 600s, maxTokens: 1, tokensPerFill: 1}
      match: {attributes: {method: {exact: hello}}}
"""


def documents(lab, daemon):
    def put(name, port, endpoints):
        daemon.write(f"{name}.yaml", service(f"{name}.test", VIP, port, "tcp-metaprotocol-bolt", endpoints))

    def both(target):
        return [(lab.server(n), target, {"version": f"s{n}"}) for n in (1, 2)]

    first = both(12200)[:1]
    put("split", SPLIT, both(12200))
    put("bare", BARE, both(12201)[:1])
    put("killed", KILLED, both(12200))
    put("quick", QUICK, first)
    put("gone", GONE, [(lab.server(1), REFUSED, {"version": "s1"})])
    put("denied", DENIED, [(lab.server(1), 12200, {"app": "denied"})])
    put("closed", CLOSED, [(lab.server(1), 12200, {"app": "closed"})])
    put("limited", LIMITED, first)
    put("shared", SHARED, first)
    put("changed", CHANGED, both(12201))
    put("keys", KEYS, both(12200))
    daemon.write("subsets.yaml", "---\n".join(subsets(f"{name}.test", ("s1", "s2")) for name in ("split", "killed", "quick", "keys", "changed")))
    rules = [rule("split.test", *[(f'match: [{{headers: {{interface: {{exact: io.meltemi.interop.bolt.Hello}}, version: {{exact: "{n}.0"}}}}}}]', n) for n in (1, 2)]),
             rule("quick.test", ("timeout: 300ms", 1)),
             # By keys that have a place, and by one of the header.
             rule("keys.test", *[(f"match: [{{headers: {{{key}: {{exact: {value}}}}}}}]", 2) for key, value in (("method", "slow"), ("uniqueId", "unique"), ("team", "red"))],
                  ("match: [{headers: {version: {exact: \"1.0\"}}}]", 1)),
             rule("changed.test", ("match: [{headers: {class: {exact: java.lang.Integer}}}]", 2),
                  ("match: [{headers: {class: {exact: java.lang.String}}}], headers: {request: {set: {added: by-route}}}", 1)),
             # The first server has the calls until it is killed.
             rule("killed.test", ("timeout: 20s, retries: {attempts: 2, retryOn: reset}", None))]
    daemon.write("rules.yaml", "---\n".join(rules))
    daemon.write("more.yaml", MORE)


def errors(client):
    """What the client reports for each error reply: the exception, the number of its type, and the causes."""
    at = VIP + ":"
    for what, words, want in (
            ("no route", ("3.0", f"{at}{SPLIT}", "hello", "a"), ("SofaRpcException 299 ", "NO_PROCESSOR")),
            ("a timeout", ("1.0", f"{at}{QUICK}", "slow", "a", 2000), ("SofaTimeOutException 200 ",)),
            ("no endpoint", ("1.0", f"{at}{GONE}", "hello", "a"), ("SofaRpcException 250 ",)),
            ("a denied call", ("1.0", f"{at}{DENIED}", "hello", "a"), ("SofaRpcException 299 ", "exception: ERROR,")),
            ("a connection to a closed service", ("1.0", f"{at}{CLOSED}", "hello", "a"), ("SofaRouteException 210 ",)),
            ("a call within the limit", ("1.0", f"{at}{LIMITED}", "hello", "a"), ("s1 a",)),
            ("a call over the limit", ("1.0", f"{at}{LIMITED}", "hello", "a"), ("SofaRpcException 100 ",)),
            ("two services", ("1.0", f"{at}{SPLIT}", "hello", "a", "service=other:1.0"), ("SofaRpcException 299 ", "CodecException")),
            ("more metadata than are read", ("1.0", f"{at}{KEYS}", "hello", "a", *(f"key{n}=a" for n in range(129))), ("SofaRpcException 299 ", "CodecException")),
            ("a malformed reply", ("bare", f"{at}{BARE}", "true", "broken"), ("CodecException ",)),
            ("an exception of the service", ("1.0", f"{at}{SPLIT}", "fail", "boom"), ("IllegalStateException boom",))):
        found = client.ask(*words)
        check(all(part in found for part in want), f"{what}: {found!r}, without {want}")


def split(lab, client, servers):
    before = lab.daemon.counters()
    for n in (1, 2, 1, 2):
        equal(client.ask(f"{n}.0", f"{VIP}:{SPLIT}", "hello", "a"), f"s{n} a", f"a call of version {n}.0")
    equal(client.ask("2.0", f"{VIP}:{SPLIT}", "note", "seen"), "sent", "a one-way call")
    for what, words, name in (
            ("its method", ("1.0", "slow", 0), "s2"), ("its unique id", ("1.0:unique", "hello"), "s2"), ("a key of its header", ("1.0", "hello", "team=red"), "s2"),
            ("another value of the key", ("1.0", "hello", "team=blue"), "s1")):
        equal(client.ask(words[0], f"{VIP}:{KEYS}", words[1], "a", *words[2:]), f"{name} a", f"a call by {what}")
    within(10, lambda: "note seen" in servers[1].output(), "the one-way call at the second server")
    after = lab.daemon.counters()
    equal(after["proxy_down_accepted"] - before.get("proxy_down_accepted", 0), 2, "connections of the client to two ports")


def bare(lab, client, first):
    for crc in ("true", "false", "true"):
        equal(client.ask("bare", f"{VIP}:{BARE}", crc, f"crc.{crc}"), f"s1 crc.{crc}", f"a call of the bare library, checksum {crc}")
    equal(client.ask("note", f"{VIP}:{BARE}", "true", "bare"), "sent", "a one-way call of the bare library")
    within(10, lambda: "note bare" in first.output(), "the bare library's one-way call")
    equal(connections(lab, 1, 12201), 1, "connections with version 2")


def changed(client, first):
    """A route by the class adds a pair to the header of messages with and without a checksum."""
    for number, crc in enumerate(("true", "false"), 1):
        equal(client.ask("bare", f"{VIP}:{CHANGED}", crc, "a"), "s1 a", f"a call that is changed, checksum {crc}")
        equal(first.output().count("header added=by-route\n"), number, "changed headers that the server has read")


def shared(lab, clients):
    """Both clients count their ids from 1."""
    for client in clients:
        client.order("many", f"{VIP}:{SHARED}", CALLERS, 400)
    equal([client.answer() for client in clients], [str(CALLERS)] * 2, "calls with their own answer")
    rows = [row for row in lab.daemon.show("endpoints")["endpoints"] if "shared.test" in row["cluster"]]
    equal([row["connections_opened"] for row in rows], [1], "connections to the server of both clients")


def heartbeats(lab, client):
    """A client that is silent for half a second sends one, and would close its connection after three without an answer."""
    before = lab.daemon.counters()
    time.sleep(2.5)
    equal(client.ask("1.0", f"{VIP}:{SPLIT}", "hello", "a"), "s1 a", "a call after a silence")
    after = lab.daemon.counters()
    check(after["proxy_heartbeat_answered"] - before.get("proxy_heartbeat_answered", 0) >= 3, "heartbeats were not answered")
    equal(after["proxy_down_accepted"], before["proxy_down_accepted"], "connections of clients after a silence")


def lost(lab, client, before):
    """The client reports the same when its own connection ends, so that the reply is counted, too."""
    found = client.answer()
    check("SofaRpcException 250 " in found and "ConnectionClosedException" in found, f"a call without a policy: {found}")
    equal(lab.daemon.counters().get("proxy_reply_conn_lost", 0) - before, 1, "replies to calls that are lost with their server")


def killed(lab, client, other, servers):
    """The call that the server has read when it dies is answered by the other one. Without a policy it gets an error."""
    before = lab.daemon.counters().get("proxy_reply_conn_lost", 0)
    other.order("1.0", f"{VIP}:{SHARED}", "slow", "lost", 7000)
    within(20, lambda: "slow lost\n" in servers[0].output(), "the server has the call without a policy")
    for number in range(8):
        client.order("1.0", f"{VIP}:{KILLED}", "slow", f"call{number}", 1000)
        within(20, lambda n=number: any(f"slow call{n}\n" in one.output() for one in servers), "a server has the call")
        if f"slow call{number}\n" in servers[0].output():
            servers[0].kill()
            equal(client.answer(), f"s2 call{number}", "the call of the killed server")
            lost(lab, other, before)
            return
        equal(client.answer(), f"s2 call{number}", "a call")
    check(False, "the first server has no call of 8")


def body():
    build("bolt")
    with Lab(servers=2) as lab:
        servers = [server(lab, "bolt", n) for n in (1, 2)]
        clients = [Client(lab, "bolt", f"client{n}") for n in (1, 2)]
        daemon = lab.meltemi()
        daemon.leaves("errors", "a policy closes a service", "fails closed:")
        codecs(daemon)
        documents(lab, daemon)
        daemon.start()
        for one in servers:
            one.wait_line('"ready"')
        for one in clients:
            one.ready()
        split(lab, clients[0], servers)
        bare(lab, clients[0], servers[0])
        changed(clients[0], servers[0])
        errors(clients[0])
        heartbeats(lab, clients[0])
        shared(lab, clients)
        killed(lab, *clients, servers)


main(body)
