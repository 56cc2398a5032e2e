#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A MetaRouter's globalRateLimit: a rate limit service is queried about Dubbo calls over gRPC. What it is told of a call, which calls
reach the server, what it adds to calls and replies, and what becomes of calls when it refuses, is silent, fails, or is away, by denyOnFail; that the node's own limit
comes first, that what is over its limit is not queried about again and again, and that calls pass by quotas and leases without a query.
"""

import pathlib
import re
import subprocess
import sys
import threading
import time

GRANTED = "global_granted"  # calls that pass without a query
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "smoke"), str(HERE.parent / "dubbo")]

from meltemi_lab import Lab, check, equal, main, within  # noqa: E402
from meltemi_lab.asking import ANSWERED, read  # noqa: E402

import wire  # noqa: E402
from demo import AT, HOST, LIMIT, PORT, SERVICES, VIP, Server, write  # noqa: E402
from stand_in import OK, OVER, Service, answer, field  # noqa: E402

REFUSED, FAILED = "meltemi: over limit", "meltemi: the rate limit service gave no answer"


class Caller:
    def __init__(self, lab, server):
        self.lab, self.server, self.attachments = lab, server, {}  # of the last reply

    def ask(self, method="sayHello", **attachments):
        sock = self.lab.connect("client", VIP, PORT)
        sock.settimeout(15)
        try:
            sock.sendall(wire.request(7, method, ["x"], attachments))
            _, _, status, _, length = wire.HEADER.unpack(read(sock, wire.HEADER.size))
            body = read(sock, length)
            text = wire.parse_reply(status, body)
            self.attachments = wire.reply_attachments(body) if status == wire.OK else {}
            return ANSWERED if status == wire.OK else text
        finally:
            sock.close()

    def gets(self, expected, what, **more):
        before = len(self.server.calls)
        equal(self.ask(**more), expected, what)
        equal(len(self.server.calls) - before, 1 if expected == ANSWERED else 0, f"{what}: calls at the server")
        return self.server.calls[-1] if self.server.calls else {}


def decide(domain, descriptors):
    """By the user: `bad` is over its limit for an hour, `mute` gets no answer, `broken` an error."""
    user = next((d["u"] for d in descriptors if "u" in d), "")
    if user == "mute":
        return None
    if user == "broken":
        return 2
    return answer([OVER if user == "bad" and "u" in d else OK for d in descriptors], 3600, [("x-limited", "no")],
                  of_reply=[("x-remaining", "9")])


def verdicts(daemon, caller, service):
    write(daemon)
    got = caller.gets(ANSWERED, "one within its limit", user="joe")
    equal(got.get("x-limited"), "no", "what the service adds to the call")
    equal(caller.attachments, {"x-remaining": "9"}, "what the service adds to the reply")
    equal(service.queries[-1], ("shop", [{"m": "sayHello"}, {"u": "joe"}]), "the query")
    caller.gets(ANSWERED, "one without the property")
    equal(service.queries[-1][1], [{"m": "sayHello"}, {"u": ""}], "its query")
    before = len(service.queries)
    begin = time.monotonic()
    while time.monotonic() - begin < 2:
        caller.gets(REFUSED, "one over its limit", user="bad")
    n = len(service.queries) - before
    check(1 <= n <= 2 * 50 * 2, f"{n} queries in two seconds about what is over its limit")
    # Autoscalers see the refusals, with the rule.
    metrics = daemon.http("/metrics")[1]
    limited = re.search(rf'^meltemi_service_limited_total{{service="{re.escape(HOST)}"}} (\d+)$', metrics, re.M)[1]
    by_rule = re.search(rf'^meltemi_rate_limit_refused_total{{service="{re.escape(HOST)}:{PORT}",kind="global",rule="shop: u"}} (\d+)$', metrics, re.M)
    check(int(limited) > 0 and by_rule and by_rule[1] == limited, f"{limited} refusals, by rule: {by_rule}")
    write(daemon, match={"attributes": {"method": {"exact": "sayHello"}}})
    before = len(service.queries)
    caller.gets(ANSWERED, "one that the match does not apply to", user="bad", method="sayGoodbye")
    equal(len(service.queries), before, "queries about it")
    check("global" in daemon.shell("show", "coverage"), "show coverage does not have the limit")
    told = daemon.shell("explain", "protocol=dubbo", f"service={HOST}", "method=sayHello")
    check("waits" in told and "outbound|8081||limits.test" in told, f"explain: {told}")
    counters = daemon.counters()
    equal([n for n in ("filter_global_limited", "filter_global_waited") if not counters[n]], [], "what was not counted")


def failures(daemon, caller):
    for user in ("mute", "broken"):
        write(daemon)
        begin = time.monotonic()
        caller.gets(ANSWERED, f"a call of {user}", user=user)
        check(time.monotonic() - begin < 5, f"a call of {user} waited for {time.monotonic() - begin} s")
        write(daemon, denyOnFail=True)
        caller.gets(FAILED, f"a call of {user} with denyOnFail", user=user)
    check(daemon.counters()["filter_global_failed"] >= 4, "failures are not counted")


def away(daemon, caller, service):
    write(daemon, denyOnFail=True)
    caller.gets(ANSWERED, "before it goes")
    service.stop()
    within(10, lambda: caller.ask() == FAILED, "calls are refused when it is away", step=0.1)
    within(20, lambda: all(words in daemon.shell("doctor", fail=False) for words in ("limits.test", "cannot be queried", "denyOnFail")),
           "doctor names it", step=0.3)
    write(daemon)
    caller.gets(ANSWERED, "a call that passes when it is away", user="bad")
    service.start()
    within(15, lambda: caller.ask(user="bad") == REFUSED, "it is queried again when it is back", step=0.2)


def unknown(daemon, caller):
    for deny, expected, words in ((False, ANSWERED, "nothing is limited"), (True, FAILED, "calls under the limit are refused")):
        write(daemon, rateLimitService="outbound|8081||nowhere.test", denyOnFail=deny)
        caller.gets(expected, f"a call with an unknown service, denyOnFail {deny}", user="bad")
        told = daemon.check()[1]
        check("spec.globalRateLimit.rateLimitService" in told and words in told, f"--check: {told}")


def local_first(daemon, caller, service):
    write(daemon, local={"tokenBucket": {"maxTokens": 1, "tokensPerFill": 1, "fillInterval": "3600s"}})
    caller.gets(ANSWERED, "the only token")
    before = len(service.queries)
    caller.gets(REFUSED, "a call over the node's own limit")
    equal(len(service.queries), before, "queries about it")


def exact(lab, daemon, service, server):
    """Of calls under load so many pass as the service says, and each is queried about once."""
    left = [500]
    lock = threading.Lock()

    def count(domain, descriptors):
        with lock:
            left[0] -= 1
            return answer([OK if left[0] >= 0 else OVER])

    write(daemon, descriptors=LIMIT["descriptors"][:1])
    service.decide = count
    before = len(service.queries)
    report = lab.dubbo_client(f"{VIP}:{PORT}", connections=4, outstanding=8, count=500).result()
    equal((report["answered"], report["failed"], report["crossed"], report["strays"]), (500, 0, 0, 0), f"within the limit: {report}")
    equal(len(service.queries) - before, 500, "queries")
    calls = len(server.calls)
    lab.dubbo_client(f"{VIP}:{PORT}", connections=4, outstanding=8, count=500).result()
    equal(len(server.calls), calls, "calls over the limit at the server")
    service.decide = decide


def quotas(daemon, caller, service):
    """A quota of five: one query, four calls of both workers without one, then refusals until it ends."""
    def grant(domain, descriptors):
        return answer([OK], quota=field(1, 5) + field(2, field(1, int(time.time()) + 4)), of_reply=[("x-queried", "yes")])

    write(daemon, descriptors=LIMIT["descriptors"][1:])
    service.decide = grant
    before, granted = len(service.queries), daemon.counters()[f"filter_{GRANTED}"]
    for i in range(5):
        caller.gets(ANSWERED, "a call within the quota", user="ann")
        equal(caller.attachments, {} if i else {"x-queried": "yes"}, f"attachments of reply {i}")
    caller.gets(REFUSED, "a call over the quota", user="ann")
    equal(len(service.queries) - before, 1, "queries")
    equal(daemon.counters()[f"filter_{GRANTED}"] - granted, 4, "calls without a query")
    within(8, lambda: caller.ask(user="ann") == ANSWERED, "the quota ends", step=0.2)
    equal(len(service.queries) - before, 2, "queries after its end")
    service.decide = decide


WINDOW = 300


def leases(lab, daemon, service, server):
    """A window of 300: the service counts each call that passes, within nine hits, by far fewer queries."""
    left = [WINDOW]
    lock = threading.Lock()

    def count(domain, descriptors):
        with lock:
            left[0] -= service.hits[-1][0]
            return answer([OK if left[0] >= 0 else OVER], 3600, remaining=max(left[0], 0))

    daemon.stop()
    daemon.node.write_text(daemon.node.read_text().replace("spec:\n", "spec:\n  limits: {lease: 10}\n", 1))
    daemon.start()
    write(daemon, descriptors=LIMIT["descriptors"][:1])
    service.decide = count
    before, calls = len(service.queries), len(server.calls)
    report = lab.dubbo_client(f"{VIP}:{PORT}", connections=1, outstanding=4, count=WINDOW // 2).result()
    equal((report["answered"], report["failed"]), (WINDOW // 2, 0), f"within the limit: {report}")
    queries = len(service.queries) - before
    check(queries <= WINDOW // 4, f"{queries} queries about {WINDOW // 2} calls")
    check(0 <= WINDOW - left[0] - WINDOW // 2 <= 9, f"{WINDOW - left[0]} hits counted of {WINDOW // 2} calls")
    check(max(hits[0] for hits in service.hits[before:]) == 10, "no query leases ten hits")
    lab.dubbo_client(f"{VIP}:{PORT}", connections=4, outstanding=8, count=WINDOW).result()
    passed = len(server.calls) - calls
    check(WINDOW - 9 <= passed <= WINDOW, f"{passed} calls passed, the limit is {WINDOW}")
    service.decide = decide


def body():
    server = Server()
    with Lab(servers=1) as lab, lab.listening("server1", PORT, server.handle):
        daemon = lab.meltemi(workers=2)
        daemon.write("services.yaml", SERVICES)
        daemon.start()
        subprocess.run(["ip", "-n", daemon.namespace, "address", "add", f"{AT[0]}/32", "dev", "lo"], check=True)
        caller = Caller(lab, server)
        service = Service(daemon.namespace, AT, decide)
        verdicts(daemon, caller, service)
        failures(daemon, caller)
        away(daemon, caller, service)
        unknown(daemon, caller)
        local_first(daemon, caller, service)
        exact(lab, daemon, service, server)
        quotas(daemon, caller, service)
        leases(lab, daemon, service, server)


main(body)
