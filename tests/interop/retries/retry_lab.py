# SPDX-License-Identifier: Apache-2.0
"""
Two real servers of a kind behind Meltemi, retry policies, and calls that specify how the servers fail: "FAULT.SERVERS.NUMBER", where
"hang.s1s2.7" hangs at both. Each execution is counted at the servers, and compared with what the policy allows.
"""

import collections
import concurrent.futures
import dataclasses
import itertools
import json
import pathlib
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import check, equal, netns, within  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402

ATTEMPTS = 2
TRY_MS = 1500
OK = "ok"
FIRST, BOTH, NONE = "s1", "s1s2", "s0"  # servers that fail
_serial = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Policy:
    """covers: faults that cause another attempt."""
    name: str
    retries: str
    covers: frozenset = frozenset()
    hangs: bool = False  # an attempt has a time limit, so calls that hang are judged


def _policy(name, fields, *covers, hangs=False):
    return Policy(name, f"retries: {{attempts: {ATTEMPTS}{fields}}}", frozenset(covers), hangs)


POLICIES = (Policy("none", "retries: {attempts: 0}"),
            _policy("default", "", "overload"),
            _policy("reset", ", retryOn: reset", "reset"),
            _policy("5xx", ", retryOn: 5xx", "reset", "error", "overload"),
            _policy("internal", ", retryOn: internal", "error"),
            _policy("try", f", retryOn: reset, perTryTimeout: {TRY_MS}ms", "hang", "reset", hangs=True),
            _policy("once", f", retryOn: unavailable, perTryTimeout: {TRY_MS}ms", "overload", hangs=True))


def rule(host, retries, name="all", match=""):
    """One rule of a VirtualService, as lines."""
    return f"  - {{name: {name}, timeout: 60s, {match}{retries}, route: [{{destination: {{host: {host}}}}}]}}\n"


def virtual_service(host, rules):
    return f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {host.replace('.', '-')}}}\n" \
           f"spec:\n  hosts: [{host}]\n  http:\n{rules}"


def name_of(fault, servers):
    return f"{fault}.{servers}.{next(_serial)}"


class Scene:
    """
    servers: the processes of s1 and s2; port: where they listen; ask(policy, name): the answer that a client got, OK or a word for the
    error; never: faults that no policy covers in this protocol.
    """

    def __init__(self, lab, kind, servers, port, ask, never=()):
        self.lab, self.kind, self.servers, self.port, self.ask, self.never = lab, kind, servers, port, ask, never
        self.wrong, self.calls, self.repeated, self.lock = [], 0, 0, threading.Lock()

    def executed(self, name):
        """Executions of a call by s1 and by s2."""
        line = json.dumps({"executed": name})
        return [server.output().split("\n").count(line) for server in self.servers]

    def _resets(self, number):
        """The server's kernel resets the connections of the program, as if it had been closed with unread data."""
        netns.run("ip", "netns", "exec", self.lab.namespace(f"server{number}"), "ss", "-K", "state", "established",
                  "sport", "=", f":{self.port}")

    def call(self, policy, name):
        """The answer; each execution of a "reset" at a server that fails has its connection reset."""
        fault, servers, _ = name.split(".")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.ask, policy.name, name)
            done = [0, 0]
            while not answer.done():
                concurrent.futures.wait([answer], 0.02)
                for at, count in enumerate(self.executed(name) if fault == "reset" else ()):
                    if count > done[at] and f"s{at + 1}" in servers:
                        self._resets(at + 1)
                    done[at] = count
            return answer.result()

    def expect(self, condition, policy, name, found):
        if not condition:
            self.wrong.append(f"{self.kind}, {policy.name}, {name}: {found}")

    def judged(self, policy, name):
        """One call. Returns True if a server that fails has executed it."""
        fault, servers, _ = name.split(".")
        answer = self.call(policy, name)
        counts = self.executed(name)
        failed = sum(count for at, count in enumerate(counts) if f"s{at + 1}" in servers)
        total, covered = sum(counts), fault in policy.covers and fault not in self.never
        found = f"executions {counts}, answer {answer}"
        self.calls += 1
        self.repeated += total > 1
        self.expect(total <= 1 + (ATTEMPTS if covered else 0), policy, name, found)
        self.expect((answer == OK) == (total > failed), policy, name, found)
        if servers == BOTH:
            self.expect(total == (1 + ATTEMPTS if covered else 1), policy, name, found)
        else:  # the other server is tried next
            self.expect(failed <= 1 and total - failed == (1 if covered or not failed else 0), policy, name, found)
        return failed > 0

    def settle(self, policy):
        """Calls until both servers have answered: then neither has failures, and the method is known to answer."""
        seen = set()

        def both():
            name = name_of("good", NONE)
            equal(self.ask(policy.name, name), OK, f"{self.kind}, {policy.name}: a call without a fault")
            seen.update(at for at, count in enumerate(self.executed(name)) if count)
            return len(seen) == 2

        within(30, both, f"{self.kind}, {policy.name}: both servers have calls", step=0)

    def faults(self, policy, faults):
        """Each fault at both servers, and at the first one until it has a call."""
        for fault in faults:
            if fault == "hang" and not policy.hangs:
                continue
            self.settle(policy)
            self.judged(policy, name_of(fault, BOTH))
            self.settle(policy)
            check(any(self.judged(policy, name_of(fault, FIRST)) for _ in range(40)),
                  f"{self.kind}, {policy.name}, {fault}: the first server has no call of 40")
        self.settle(policy)

    def dies(self, lost, repeats):
        """
        s1 is killed while it executes a call, which only the policy `repeats` sends to s2. From then on it refuses connections: each call
        is answered by s2, by every policy, and executed once.
        """
        self.settle(repeats)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            begun = [(policy, *self._hits_first(pool, policy)) for policy in (lost, repeats)]
            self.servers[0].kill()
            for policy, name, future in begun:
                answer, counts, again = future.result(), self.executed(name), policy == repeats
                self.expect((answer == OK, counts) == (again, [1, int(again)]), policy, name, f"killed: answer {answer}, executions {counts}")
        for policy in POLICIES:
            for _ in range(4):
                name = name_of("good", NONE)
                answer, counts = self.ask(policy.name, name), self.executed(name)
                self.expect((answer, counts) == (OK, [0, 1]), policy, name, f"refused: answer {answer}, executions {counts}")

    def _hits_first(self, pool, policy):
        """Calls until one hangs at s1: its name, and the answer to come."""
        for _ in range(40):
            name = name_of("hang", FIRST)
            answer = pool.submit(self.ask, policy.name, name)
            within(30, lambda n=name: sum(self.executed(n)), f"{self.kind}, {policy.name}: a call is executed", step=0.01)
            if self.executed(name)[0]:
                return name, answer
            answer.result()
        raise Failure(f"{self.kind}, {policy.name}: the first server has no call of 40")

    def stops(self, policy):
        """
        s1 is stopped, with its kernel's acknowledgements: calls that it may have read go to s2 when the time of the attempt is over.
        When it runs again it executes some of them: no call more often than allowed.
        """
        self.settle(policy)
        self.servers[0].pause()
        names = [name_of("good", NONE) for _ in range(6)]
        for name in names:
            answer, counts = self.ask(policy.name, name), self.executed(name)
            self.expect((answer, counts) == (OK, [0, 1]), policy, name, f"stopped: answer {answer}, executions {counts}")
        self.servers[0].kill(signal.SIGCONT)
        self.settle(policy)
        late = collections.Counter(sum(self.executed(name)) for name in names)
        self.expect(max(late) <= 1 + ATTEMPTS, policy, names[0], f"executions after a stop {dict(late)}")
        print(f"{self.kind}: calls to a stopped server by their executions in the end: {dict(late)}", flush=True)

    def ends(self):
        within(30, lambda: self.lab.daemon.show("exchanges")["exchanges"] == [], "no call is left")

    def report(self, more=""):
        print(f"{self.kind}: {self.calls} calls with faults, {self.repeated} executed more than once{more}, {len(self.wrong)} wrong", flush=True)
