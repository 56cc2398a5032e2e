#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Ways round a policy (tests/interop/dubbo/ways_round.py), each under its own: the caller is told no, or nothing if he waits for nothing, and
no request comes to a server; what the policies allow does. Which of them real servers fall for is tests/interop/dubbo/test_ways_round.py's.
And names of Thrift's that servers take apart in their own ways.
"""

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.asking import ANSWERED, CLOSED, DENIED, DUBBO, SILENT, THRIFT, Callers, Servers, dubbo, reply, thrift

import ways_round
from meltemi_lab.documents import service

# A service and a method in one name, as Apache's servers in C++ find them in it: empty parts count for nothing there.
NAMES = ("get", ":get", "A::get", "::get", "get:", ":get:", "A:get:", ":A:get", "A:B:get")
CALC = {"method": "methods: [get]", "path": "paths: [/calc.path/get]"}
MANY = "error: more metadata than are read"
BAD = "error: dubbo: a request string is malformed"


POLICY = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: %s}
spec: %s
---
"""


def behind(host, ns, address, port, codec, policy):
    entry = service(host, address, port, f"tcp-metaprotocol-{codec}", [("198.51.100.11", port, {})])
    return entry.replace("metadata:\n", f"metadata:\n  namespace: {ns}\n", 1) + POLICY % (ns, policy)


def documents():
    calc = "".join(behind(f"calc.{ns}", ns, f"240.240.2.{number}", THRIFT, "thrift", f"{{action: DENY, rules: [{{to: [{{operation: {{{words}}}}}]}}]}}")
                   for number, (ns, words) in enumerate(CALC.items(), 1))
    return calc + "".join(behind(f"s.{ns}", ns, f"240.240.1.{number}", DUBBO, "dubbo", policy)
                          for number, (ns, policy) in enumerate(ways_round.POLICIES.items(), 1))


def told(sock, data):
    sock.sendall(data)
    return reply(sock)


def body():
    with Lab(servers=1) as lab, Servers(lab, "server1") as servers:
        callers = Callers(lab, None)
        daemon = lab.meltemi()
        daemon.write("ways.yaml", documents())
        daemon.start()
        for name, policy, _, data in ways_round.WAYS:
            target = f"240.240.1.{list(ways_round.POLICIES).index(policy) + 1}", DUBBO
            quiet = name.startswith(("one way", "as an event"))
            found = callers.ask(lambda sock, *_: told(sock, data), target, patience=0.05 if quiet else 5)
            check(found in ((SILENT,) if quiet else (DENIED, CLOSED, MANY, BAD)), f"{policy}: {name}: {found}")
            equal(dict(servers.seen), {}, f"{policy}: {name}: what came to servers")
        for name in NAMES:
            for address in ("240.240.2.1", "240.240.2.2"):
                equal(callers.ask(thrift, (address, THRIFT), name), DENIED, f"{name}, at {address}")
        equal(dict(servers.seen), {}, "what came to servers of Thrift")
        equal([callers.ask(thrift, (f"240.240.2.{at}", THRIFT), "A:get") for at in (1, 2)], [DENIED, ANSWERED], "another service's")
        last = f"240.240.1.{len(ways_round.POLICIES)}", DUBBO
        equal(callers.ask(dubbo, last, "sayHello"), ANSWERED, "a call that is allowed")
        equal(sum(servers.seen.values()), 2, "calls that came to servers")


main(body)
