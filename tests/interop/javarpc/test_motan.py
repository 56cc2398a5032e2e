#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Motan's Java library through the installed codec file motan, in versions 1 and 2: routes by metadata split the calls of one client connection, clients with equal ids
share a server connection, one-way calls, metadata that a route adds or changes, each native error of version 2 as the client reports it, the close that version 1 gets,
the heartbeats by which a client finds that its server is back, and a call that is repeated when its server is killed.
"""

import struct

from session import VIP, Client, build, check, codecs, equal, rule, server, service, within

from meltemi_lab import Lab, main
from meltemi_lab.documents import subsets

SPLIT, SPLIT1, KILLED, QUICK, QUICK1, GONE, DENIED, CLOSED, LIMITED, SHARED, CHANGED = range(8010, 8021)
REFUSED = 9  # no server listens there
HELLO = "io.meltemi.interop.motan.Hello"
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
        daemon.write(f"{name}.yaml", service(f"{name}.test", VIP, port, "tcp-metaprotocol-motan", endpoints))

    def both(target):
        return [(lab.server(n), target, {"version": f"s{n}"}) for n in (1, 2)]

    first = both(8002)[:1]
    put("split", SPLIT, both(8002))
    put("old", SPLIT1, both(8001))
    put("killed", KILLED, both(8002))
    put("quick", QUICK, first)
    put("quick-old", QUICK1, both(8001)[:1])
    put("gone", GONE, [(lab.server(1), REFUSED, {"version": "s1"})])
    put("denied", DENIED, [(lab.server(1), 8002, {"app": "denied"})])
    put("closed", CLOSED, [(lab.server(1), 8002, {"app": "closed"})])
    put("limited", LIMITED, first)
    put("shared", SHARED, first)
    put("changed", CHANGED, first)
    daemon.write("subsets.yaml", "---\n".join(subsets(f"{name}.test", ("s1", "s2")) for name in ("split", "old", "quick", "quick-old")))
    rules = [rule("split.test", *[(f'match: [{{headers: {{interface: {{exact: {HELLO}}}, group: {{exact: lab}}, version: {{exact: "{n}.0"}}}}}}]', n) for n in (1, 2)]),
             rule("old.test", (f"match: [{{headers: {{interface: {{exact: {HELLO}}}, method: {{exact: note}}}}}}]", 2), (f"match: [{{headers: {{method: {{exact: hello}}}}}}]", 1)),
             rule("quick.test", ("timeout: 300ms", 1)),
             rule("quick-old.test", ("timeout: 300ms", 1)),
             rule("changed.test", ("match: [{headers: {application: {exact: lab}}}], headers: {request: {set: {added: by-route}}}", None)),
             rule("killed.test", ("timeout: 20s, retries: {attempts: 2, retryOn: reset}", None))]
    daemon.write("rules.yaml", "---\n".join(rules))
    daemon.write("more.yaml", MORE)


def split(lab, client, servers):
    before = lab.daemon.counters().get("proxy_down_accepted", 0)
    for n in (1, 2, 1, 2):
        equal(client.ask("motan2", f"{n}.0", f"{VIP}:{SPLIT}", "hello", "a"), f"s{n} a", f"a call of version {n}.0")
    # The versions of a service have clients of their own.
    equal(lab.daemon.counters()["proxy_down_accepted"] - before, 2, "connections of the client")
    before += 2
    for _ in range(2):
        equal(client.ask("motan", "1.0", f"{VIP}:{SPLIT1}", "hello", "a"), "s1 a", "a call of Motan 1")
        equal(client.ask("motan", "1.0", f"{VIP}:{SPLIT1}", "note", "seen"), "noted", "a call of Motan 1 without a value")
    within(10, lambda: servers[1].output().count("note seen") == 2, "the call at the second server")
    equal(lab.daemon.counters()["proxy_down_accepted"] - before, 1, "connections of the client of Motan 1")


def changed(client):
    """Metadata that a route by an attachment adds or changes, as the service finds them."""
    for what, words in (("adds", ()), ("changes", ("added=by-client",))):
        equal(client.ask("motan2", "1.0", f"{VIP}:{CHANGED}", "hello", "added", *words), "s1 by-route", f"an attachment that a route {what}")


def errors(client):
    """What the client reports for each error reply."""
    at = VIP + ":"
    for what, words, want in (
            ("no route", ("motan2", "3.0", f"{at}{SPLIT}", "hello", "a"), ("MotanServiceException 10101 ", "no route matches")),
            ("a timeout", ("motan2", "1.0", f"{at}{QUICK}", "slow", "a", 2000), ("MotanServiceException 10003 ",)),
            ("no endpoint", ("motan2", "1.0", f"{at}{GONE}", "hello", "a"), ("MotanServiceException 10001 ",)),
            ("a denied call", ("motan2", "1.0", f"{at}{DENIED}", "hello", "a"), ("MotanServiceException 10001 ", "denied by policy")),
            ("a connection to a closed service", ("motan2", "1.0", f"{at}{CLOSED}", "hello", "a"), ("MotanServiceException 10001 ", "getChannel")),
            ("a call within the limit", ("motan2", "1.0", f"{at}{LIMITED}", "hello", "a"), ("s1 a",)),
            ("a call over the limit", ("motan2", "1.0", f"{at}{LIMITED}", "hello", "a"), ("MotanServiceException 10002 ", "over limit")),
            ("more metadata than are read", ("motan2", "1.0", f"{at}{CHANGED}", "hello", "a", *(f"key{n}=a" for n in range(129))), ("MotanServiceException 10201 ",)),
            ("an exception of the service", ("motan2", "1.0", f"{at}{SPLIT}", "fail", "boom"), ("MotanServiceException 10001 ", "biz exception cause is null"))):
        found = client.ask(*words)
        check(all(part in found for part in want), f"{what}: {found!r}, without {want}")


def request(kind, number, method, types, body):
    """As clients of other languages send it, with arguments in hessian."""
    meta = f"M_p\n{HELLO}\nM_m\n{method}\nM_md\n{types}\nM_g\nlab\ngroup\nlab\nversion\n1.0".encode()
    return b"\xf1\xf1" + bytes([kind, 8, 0]) + struct.pack(">QI", number, len(meta)) + meta + struct.pack(">I", len(body)) + body


def reply(sock):
    """Id and body."""
    got = b""
    while len(got) < 17 or len(got) < 21 + struct.unpack_from(">I", got, 13)[0]:
        got += sock.recv(4096)
    equal(got[:4], b"\xf1\xf1\x01\x08", f"a reply: {got}")
    return struct.unpack_from(">Q", got, 5)[0], got[21 + struct.unpack_from(">I", got, 13)[0]:]


def oneway(lab, first):
    """The reply of Java's server to it reaches nobody."""
    sock = lab.connect("client", VIP, SPLIT)
    sock.sendall(request(4, 5, "note", "java.lang.String", b"\x06oneway") + request(0, 6, "hello", "java.lang.String", b"\x05after"))
    equal(reply(sock), (6, b"\x08s1 after"), "the only reply")
    within(10, lambda: "note oneway" in first.output(), "the one-way call")
    sock.close()


def shared(lab):
    """Clients with equal ids on one connection of a server."""
    socks = [lab.connect("client", VIP, SHARED) for _ in range(3)]
    for number, sock in enumerate(socks):
        sock.sendall(request(0, 7, "slow", "java.lang.String,int", b"\x01%d\xc9\x90" % number))  # for 400 ms
    equal([reply(sock) for sock in socks], [(7, b"\x04s1 %d" % number) for number in range(3)], "replies to equal ids")
    for sock in socks:
        sock.close()
    rows = [row for row in lab.daemon.show("endpoints")["endpoints"] if "shared.test" in row["cluster"]]
    equal([row["connections_opened"] for row in rows], [1], "connections to the server of all clients")


def closed(lab, client):
    """Version 1 has no error replies: the connection ends. Two such calls make the client unavailable until heartbeats are answered."""
    for _ in range(2):
        found = client.ask("motan", "1.0", f"{VIP}:{QUICK1}", "slow", "a", 2000)
        check(found.startswith("MotanServiceException"), f"a call of Motan 1 that takes too long: {found}")
    within(20, lambda: client.ask("motan", "1.0", f"{VIP}:{QUICK1}", "hello", "a") == "s1 a", "the client is available again", step=0.2)
    check(lab.daemon.counters().get("proxy_heartbeat_answered", 0) > 0, "no heartbeat was answered")


def killed(client, servers):
    """The call that the server has read when it dies is answered by the other one."""
    for number in range(8):
        client.order("motan2", "1.0", f"{VIP}:{KILLED}", "slow", f"call{number}", 1000)
        within(20, lambda n=number: any(f"slow call{n}\n" in one.output() for one in servers), "a server has the call")
        if f"slow call{number}\n" in servers[0].output():
            servers[0].kill()
            equal(client.answer(), f"s2 call{number}", "the call of the killed server")
            return
        equal(client.answer(), f"s2 call{number}", "a call")
    check(False, "the first server has no call of 8")


def body():
    build("motan")
    with Lab(servers=2) as lab:
        servers = [server(lab, "motan", n) for n in (1, 2)]
        client = Client(lab, "motan", "client")
        daemon = lab.meltemi()
        daemon.leaves("errors", "a policy closes a service", "fails closed:")
        codecs(daemon)
        documents(lab, daemon)
        daemon.start()
        for one in servers:
            one.wait_line('"ready"')
        client.ready()
        split(lab, client, servers)
        changed(client)
        oneway(lab, servers[0])
        errors(client)
        shared(lab)
        closed(lab, client)
        killed(client, servers)


main(body)
