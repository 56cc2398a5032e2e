#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Retries beside Envoy: both have the same RouteConfigurations and Clusters of one discovery server, Envoy for HTTP, Meltemi for Dubbo.
Servers fail as each call specifies, and count. Each reason of retry_on with each fault has the same attempts and the same last error;
the means of 2,000 back-offs differ by at most 10 %; circuit breakers and budgets give the same number of retries at the same time.
"""

import concurrent.futures
import contextlib
import dataclasses
import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from oracle import ENVOY, MELTEMI, NAMES, SIDES, assignment, endpoint, http_listener, listener, locality, oracle  # noqa: E402, I001
from retry_servers import ALWAYS, ERRORS, LOST, DubboClient, HttpClient, Server, plan  # noqa: E402
from meltemi_lab import check, main, within  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402

SERVER, CLOSED = 9500, 9501  # ports; no server listens at the second
RETRIES, TRY_TIME = 2, "1s"
CALLS, AT_ONCE, BASE, MOST, BACK_OFFS = 2000, 100, 0.1, 0.3, 3
FAULTS = ("overload", "internal", "deadline", "caller", "reset", "fin", "hang")
CLIENTS = {ENVOY: HttpClient, MELTEMI: DubboClient}
serial = itertools.count(1)


@dataclasses.dataclass
class Policy:
    words: str
    faults: tuple = FAULTS
    statuses: tuple = ()
    retries: int = RETRIES
    fields: dict = dataclasses.field(default_factory=dict)      # more of the RetryPolicy
    thresholds: dict = dataclasses.field(default_factory=dict)  # of the Cluster
    port: int = SERVER
    differs: dict = dataclasses.field(default_factory=dict)     # {fault: why}, known differences
    number: int = 0

    def at(self):
        """The port of its listener."""
        return 10000 + self.number

    def routes(self):
        return f"s{self.at()}.example_{self.at()}"

    def resources(self):
        name = f"c{self.number}"
        policy = {"retryOn": self.words, "numRetries": self.retries, "retriableStatusCodes": list(self.statuses), **self.fields}
        route = {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "100s", "retryPolicy": policy}}
        yield mesh.cluster(name, **({"circuitBreakers": {"thresholds": [self.thresholds]}} if self.thresholds else {}))
        yield assignment(name, [locality("a", [endpoint(0, ports=(self.port,))])])
        yield {"@type": mesh.TYPE + "envoy.config.route.v3.RouteConfiguration", "name": self.routes(),
               "virtualHosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}
        yield listener(self.at(), mesh.meta_struct("dubbo", f"s{self.at()}.example", self.at()))

    def __str__(self):
        return f"retry_on {self.words!r} {list(self.statuses) or ''}".strip()


QUICK = {"retryBackOff": {"baseInterval": "0.001s", "maxInterval": "0.002s"}}
TIMED = {**QUICK, "perTryTimeout": TRY_TIME}
GRPC = tuple(name for name in ERRORS if name.startswith("grpc"))
ISTIO = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
BY_REASON = [
    *(Policy(words, fields=TIMED) for words in ("5xx", "gateway-error", "reset", "connect-failure", "refused-stream",
                                                "reset-before-request", "connect-failure,reset")),
    *(Policy("retriable-status-codes", statuses=found, fields=TIMED) for found in ((503,), (500, 504))),
    Policy("retriable-status-codes", FAULTS, (400,), fields=TIMED, differs={"caller": "other servers would reply the same"}),
    Policy("", fields=TIMED), Policy("5xx", retries=0, fields=TIMED),
    Policy(ISTIO, statuses=(503,), fields=TIMED),
    Policy("unavailable", GRPC, fields=TIMED, differs={"grpcexhausted": "an overloaded server is unavailable here"}),
    *(Policy(words, GRPC, fields=TIMED) for words in ("resource-exhausted", "deadline-exceeded", "internal")),
    Policy("5xx", retries=5, fields=TIMED)]
REFUSED = [Policy(words, port=CLOSED, fields=QUICK) for words in (
    "5xx", "gateway-error", "reset", "connect-failure", "reset-before-request", "refused-stream", "")]
BACK_OFF = Policy("5xx", retries=BACK_OFFS, thresholds={"maxRetries": 1000},
                  fields={"retryBackOff": {"baseInterval": f"{BASE}s", "maxInterval": f"{MOST}s"}})


@dataclasses.dataclass
class Limit:
    """Thresholds of a Cluster, so many outstanding calls, and the number of retries that are allowed beside them."""
    what: str
    thresholds: dict
    held: int
    retries: int
    together: bool = False  # the calls that fail come at once, otherwise one after another
    policy: Policy = None

    def __post_init__(self):
        self.policy = Policy("5xx", thresholds=self.thresholds, fields=QUICK)


def budget(percent, least):
    return {"retryBudget": {"budgetPercent": {"value": percent}, "minRetryConcurrency": least}}


# A budget counts the failed call itself, and retries, as outstanding: 12 < 20 % of 50 + 11 + 1, but not 13 < 20 % of 50 + 12 + 1.
LIMITS = [Limit("max_retries 5", {"maxRetries": 5}, 0, 5), Limit("max_retries 5, all at once", {"maxRetries": 5}, 0, 5, True),
          Limit("max_retries 0", {"maxRetries": 0}, 0, 0), Limit("no threshold", {}, 0, 3), Limit("a budget of 20 %", budget(20, 3), 50, 12),
          Limit("a budget of 12.5 %", budget(12.5, 0), 40, 5), Limit("the least of a budget", budget(1, 4), 0, 4),
          Limit("an empty budget", {"retryBudget": {}}, 30, 7)]
POLICIES = [*BY_REASON, *REFUSED, BACK_OFF, *(limit.policy for limit in LIMITS)]


class Retries:
    def __init__(self, o, server):
        self.o, self.server = o, server

    @contextlib.contextmanager
    def clients(self, side, policy, count=1):
        with contextlib.ExitStack() as stack:
            yield [CLIENTS[side](stack.enter_context(contextlib.closing(self.o.connect(side, policy.at())))) for _ in range(count)]

    def retried(self, side):
        """Retries that the proxy has counted."""
        if side == MELTEMI:
            return self.o.w.daemon.counters().get("proxy_retry_by_policy", 0)
        lines = self.o.envoy_admin("/stats?filter=upstream_rq_retry$").splitlines()
        return sum(int(line.rpartition(" ")[2]) for line in lines)


def last_error(side, fault):
    """The status of a call that has no attempt left."""
    known = LOST[fault] if fault in LOST else (ERRORS[fault][0], ERRORS[fault][2])
    return known[side == MELTEMI]


def plans(policy):
    times = sorted({1, policy.retries, ALWAYS} - {0})
    return [(fault, n) for fault in policy.faults for n in times]


def by_reason_of(r, client, policy):
    """{plan: (attempts at the server, status)}, one call after another."""
    found = {}
    for fault, times in plans(policy):
        text = plan(fault, times, next(serial))
        status = client(text)
        found[fault, times] = r.server.attempts.of(text), status
    return found


def told(policy, side, one, attempts, status):
    fault, times = one
    return f"{policy}, {policy.retries} retries, {fault} {'always' if times == ALWAYS else f'{times} times'}, {NAMES[side]}: " \
           f"{attempts} attempts, status {status}"


def judge_reason(policy, found):
    """Texts of what differs. A call without an attempt left has the last error, any other one success."""
    wrong = []
    for one in plans(policy):
        fault, times = one
        for side in SIDES:
            attempts, status = found[side][one]
            want = {ENVOY: 200, MELTEMI: 20}[side] if attempts > times else last_error(side, fault)
            if status != want or attempts > 1 + policy.retries:
                wrong.append(told(policy, side, one, attempts, status))
        both = [found[side][one][0] for side in SIDES]
        if (both[0] != both[1]) != (fault in policy.differs):
            wrong += [told(policy, side, one, *found[side][one]) for side in SIDES]
    return wrong


def by_reason(r):
    """Listeners at the same time, because calls that hang take seconds."""
    r.server.renew()
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(2 * len(BY_REASON)) as pool:
        begun = {(policy.number, side): pool.submit(by_reason_of, r, stack.enter_context(r.clients(side, policy))[0], policy)
                 for policy in BY_REASON for side in SIDES}
        found = {one: future.result() for one, future in begun.items()}
    wrong = [text for policy in BY_REASON
             for text in judge_reason(policy, {side: found[policy.number, side] for side in SIDES})]
    calls = sum(len(plans(policy)) for policy in BY_REASON)
    attempts = {side: sum(n for number, other in found if other == side for n, _ in found[number, other].values()) for side in SIDES}
    print(f"  {calls} calls by {len(BY_REASON)} policies: {attempts[ENVOY]} attempts by Envoy, {attempts[MELTEMI]} by Meltemi", flush=True)
    return wrong


def refused(r):
    wrong = []
    for policy in REFUSED:
        found = {}
        for side in SIDES:
            before = r.retried(side)
            with r.clients(side, policy) as (client,):
                status = client(plan("refused", 0, next(serial)))
            found[side] = r.retried(side) - before
            check(status not in (200, 20), f"{policy}: a call without a server has status {status}")
        print(f"  {policy}, connections refused: {found[ENVOY]} retries by Envoy, {found[MELTEMI]} by Meltemi", flush=True)
        if found[ENVOY] != found[MELTEMI]:
            wrong.append(f"{policy}, connections refused: {found[ENVOY]} retries by Envoy, {found[MELTEMI]} by Meltemi")
    return wrong


def at_once(clients, texts):
    """The status of each call; each client takes the next one when it has a reply."""
    left, out = iter(list(texts)), {}

    def work(client):
        for text in left:
            out[text] = client(text)

    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        for future in [pool.submit(work, client) for client in clients]:
            future.result()
    return out


def back_off(r):
    means = {}
    for side in SIDES:
        attempts = r.server.renew()
        with r.clients(side, BACK_OFF, AT_ONCE) as clients:
            at_once(clients, [plan("overload", ALWAYS, next(serial)) for _ in range(CALLS)])
        gaps = [attempts.gaps(n) for n in range(1, BACK_OFFS + 1)]
        check(all(len(one) == CALLS for one in gaps), f"{NAMES[side]}: {[len(one) for one in gaps]} back-offs, expected {CALLS} each")
        means[side] = [sum(one) / CALLS for one in gaps]
    wrong = []
    for n in range(BACK_OFFS):
        both = [means[side][n] for side in SIDES]
        print(f"  mean of {CALLS} back-offs {n + 1}: {both[0] * 1000:.1f} ms by Envoy, {both[1] * 1000:.1f} ms by Meltemi", flush=True)
        if abs(both[1] - both[0]) > 0.1 * both[0]:
            wrong.append(f"the means of back-off {n + 1} differ: {both[0] * 1000:.1f} ms by Envoy, {both[1] * 1000:.1f} ms by Meltemi")
    return wrong


def outstanding(r, pool, side, limit, attempts, stack):
    """Calls that stay outstanding while others fail."""
    clients = stack.enter_context(r.clients(side, limit.policy, limit.held)) if limit.held else []
    begun = [pool.submit(client, plan("held", 0, next(serial))) for client in clients]
    within(30, lambda: attempts.held == limit.held, f"{limit.held} outstanding calls")
    return begun


def retries_beside(r, side, limit, calls=20):
    """
    (most retries at the same time, calls with the error, calls that were answered at last). Calls fail at their first attempt, and their
    retries stay outstanding until no other call does.
    """
    attempts = r.server.renew()
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(limit.held + calls) as pool:
        try:
            held = outstanding(r, pool, side, limit, attempts, stack)
            failing = []
            for client in stack.enter_context(r.clients(side, limit.policy, calls)):
                failing.append(pool.submit(client, plan("stays", 1, next(serial))))
                if len(failing) == calls or not limit.together:
                    within(30, lambda: attempts.held - limit.held + sum(one.done() for one in failing) == len(failing),
                           "a retry or an error of each call", step=0.005)
        finally:
            attempts.released.set()
        statuses = [one.result() for one in failing]
        check({one.result() for one in held} <= {200, 20}, "an outstanding call failed")
    answered = sum(status in (200, 20) for status in statuses)
    return attempts.peak, calls - answered, answered


def limits(r):
    wrong = []
    for limit in LIMITS:
        found = {side: retries_beside(r, side, limit) for side in SIDES}
        print(f"  {limit.what}, {limit.held} outstanding calls: at most {found[ENVOY][0]} retries by Envoy, {found[MELTEMI][0]} by Meltemi", flush=True)
        want = (limit.retries, 20 - limit.retries, limit.retries)
        wrong += [f"{limit.what}, {NAMES[side]}: (most retries, errors, answered) {found[side]}, expected {want}"
                  for side in SIDES if found[side] != want]
    return wrong


def body():
    for number, policy in enumerate(POLICIES):
        policy.number = number
    server = Server()
    with oracle() as o, o.lab.listening("server1", SERVER, server):
        o.start([one for policy in POLICIES for one in policy.resources()], [http_listener(p.at(), p.routes()) for p in POLICIES],
                admin=True)
        o.listens(*(policy.at() for policy in POLICIES))
        r = Retries(o, server)
        wrong = by_reason(r) + refused(r) + limits(r) + back_off(r)
    if wrong:
        raise Failure(f"{len(wrong)} differences:\n  " + "\n  ".join(wrong))


main(body)
