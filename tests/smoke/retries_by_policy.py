#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
`retries` of a VirtualService, with kernel TCP on both sides: one of two servers reads each call and resets its connection, or reads calls
and never answers, or replies with an error. With the policy each call is answered once and executed at most as often as it allows; without
it the client gets the error of a lost call, or the server's own. `explain`, `show routes` and the counters tell of it, and a reload changes the policy.
If both servers fail at once, a retry budget of the DestinationRule limits what they get.
"""

import collections
import socket
import struct
import threading
import time

from meltemi_lab import Lab, check, dubbo, equal, main, within
from meltemi_lab.documents import service

HOST, VIP, PORT = "com.shop.books", "240.240.1.1", 20880
CALLS, ATTEMPTS = 40, 3
OK, FULL, BAD_REQUEST = 20, 100, 40  # statuses of Dubbo

RULE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: books}}
spec:
  hosts: [{host}]
  http:
  - name: all
    timeout: 60s
    {retries}
    route: [{{destination: {{host: {host}}}}}]
"""


LIMIT = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: books}}
spec: {{host: {host}, trafficPolicy: {{connectionPool: {{http: {{maxRetries: 1}}}}}}}}
"""


class AtOnce:
    """Counts the calls of both servers that came before, while they have no reply. Each of them takes 20 ms."""

    def __init__(self):
        self.lock, self.seen, self.now, self.peak = threading.Lock(), set(), 0, 0

    def again(self, body):
        """True if the call came before, to either server."""
        with self.lock:
            before = body in self.seen
            self.seen.add(body)
            return before

    def __enter__(self):
        with self.lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
        time.sleep(0.02)

    def __exit__(self, *error):
        with self.lock:
            self.now -= 1


class Server:
    """Reads Dubbo calls, counts each by its body, and does with them what `way` names: answers, resets, keeps silent, or replies with an error of that status."""

    def __init__(self, way):
        self.way, self.seen, self.lock, self.at_once = way, collections.Counter(), threading.Lock(), None

    def __call__(self, sock):
        rest = b""
        try:
            while data := sock.recv(1 << 16):
                rest = self._read(sock, rest + data)
        except ConnectionError:
            pass
        sock.close()

    def _read(self, sock, data):
        while len(data) >= 16 and len(data) >= 16 + (length := int.from_bytes(data[12:16], "big")):
            flags, ident, body = data[2], int.from_bytes(data[4:12], "big"), data[16:16 + length]
            data = data[16 + length:]
            if flags & 0x20:
                sock.sendall(dubbo.frame(0x20, OK, ident, b"N"))
                continue
            with self.lock:
                self.seen[body] += 1
            if self.at_once and self.at_once.again(body):
                with self.at_once:
                    pass
            if self.way == "answers":
                sock.sendall(dubbo.reply(ident, "hello"))
            elif isinstance(self.way, int):
                sock.sendall(dubbo.frame(0x02, self.way, ident, b"\x03why"))
            elif self.way == "resets":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise ConnectionResetError
        return data

    def clear(self):
        with self.lock:
            self.seen.clear()


def documents(lab, retries):
    lab.daemon.write("service.yaml", service(HOST, VIP, PORT, "tcp-metaprotocol-dubbo", [(lab.server(1), PORT, {}), (lab.server(2), PORT, {})]))
    lab.daemon.write("rule.yaml", RULE.format(host=HOST, retries=retries))


def call(sock, ident):
    """The status of a call."""
    sock.sendall(dubbo.request(ident, "sayHello", [f"n{ident}"], interface=HOST))
    head = sock.recv(16, socket.MSG_WAITALL)
    equal(len(head), 16, "bytes of an answer's head")
    equal(int.from_bytes(head[4:12], "big"), ident, "id of the answer")
    sock.recv(int.from_bytes(head[12:16], "big"), socket.MSG_WAITALL)
    return head[3]


def ask(lab):
    """Statuses of so many calls, one after another."""
    with lab.connect("client", VIP, PORT) as sock:
        sock.settimeout(60)
        return collections.Counter(call(sock, ident) for ident in range(CALLS))


def executed(bad, good):
    """How often the call that was executed most was."""
    both = bad.seen + good.seen
    equal(len(both), CALLS, "calls that servers have read")
    return max(both.values())


def counted(lab):
    return lab.daemon.counters()["proxy_retry_by_policy"]


def lost(lab, bad, good):
    """A server that reads and resets, with a policy and without."""
    told = lab.daemon.shell("explain", "protocol=dubbo", f"service={HOST}", "method=sayHello")
    check(f"up to {ATTEMPTS} further attempts" in told and "reset" in told, f"explain says\n{told}")
    equal(lab.daemon.show("routes")["routes"][0]["retries"], ATTEMPTS, "retries in `show routes`")
    equal(ask(lab), {OK: CALLS}, "statuses with a policy")
    attempts = counted(lab)
    print(f"{sum(bad.seen.values())} calls were read and lost, {attempts} further attempts", flush=True)
    equal(attempts, sum(bad.seen.values()), "attempts by policy, and calls that were lost")
    check(attempts > 0, "no call was lost")
    check(executed(bad, good) <= 1 + ATTEMPTS, "a call was executed more often than the policy allows")

    bad.clear()
    documents(lab, "retries: {attempts: 3}")
    lab.daemon.shell("reload")
    statuses = ask(lab)
    equal(counted(lab), attempts, "attempts by a policy that has no word for lost calls")
    equal(CALLS - statuses[OK], sum(bad.seen.values()), "errors, and calls that were lost")


def silent(lab, bad, good):
    """A server that reads and does not answer: the time of an attempt passes."""
    equal(ask(lab), {OK: CALLS}, "statuses with a policy")
    equal(counted(lab), sum(bad.seen.values()), "attempts by policy, and calls without an answer")
    check(sum(bad.seen.values()) > 0, "no call went to the silent server")
    check(executed(bad, good) <= 1 + ATTEMPTS, "a call was executed more often than the policy allows")
    equal(lab.daemon.counters().get("proxy_reply_timeout", 0), 0, "calls that timed out")


def full(lab, bad, good):
    """A server that replies with an error of a class that the policy names, and then of one that it does not name."""
    equal(ask(lab), {OK: CALLS}, "statuses with a policy for 503")
    attempts = counted(lab)
    equal(attempts, sum(bad.seen.values()), "attempts by policy, and errors")
    check(attempts > 0, "no call went to the full server")
    check(executed(bad, good) <= 1 + ATTEMPTS, "a call was executed more often than the policy allows")
    services = lab.daemon.show("services")["services"]
    equal([s["protocol_errors"] for s in services if s["service"] == HOST], [0], "errors that clients got")
    for status, retries in ((FULL, "retryOn: reset"), (BAD_REQUEST, "retryOn: 5xx")):
        bad.clear()
        bad.way = status
        documents(lab, f"retries: {{attempts: {ATTEMPTS}, {retries}}}")
        lab.daemon.shell("reload")
        statuses = ask(lab)
        check(sum(bad.seen.values()) > 0, "no call went to the server that replies with errors")
        equal(statuses, {OK: CALLS - sum(bad.seen.values()), status: sum(bad.seen.values())}, f"statuses with {retries}")
        equal(counted(lab), attempts, f"attempts with {retries}")


def ask_at_once(lab):
    """Statuses of so many calls, all sent before the first reply is read."""
    with lab.connect("client", VIP, PORT) as sock:
        sock.settimeout(60)
        sock.sendall(b"".join(dubbo.request(ident, "sayHello", [f"n{ident}"], interface=HOST) for ident in range(CALLS)))
        statuses = {}
        while len(statuses) < CALLS:
            head = sock.recv(16, socket.MSG_WAITALL)
            equal(len(head), 16, "bytes of a reply's head")
            statuses[int.from_bytes(head[4:12], "big")] = head[3]
            sock.recv(int.from_bytes(head[12:16], "big"), socket.MSG_WAITALL)
        return collections.Counter(statuses.values())


def storm(lab, bad, good):
    """Both servers are full: without a budget each call comes to them 1 + ATTEMPTS times, with a budget of one few come again."""
    good.way = FULL
    equal(ask_at_once(lab), {FULL: CALLS}, "statuses without a budget")
    equal(sum(bad.seen.values()) + sum(good.seen.values()), CALLS * (1 + ATTEMPTS), "calls at servers without a budget")
    attempts = counted(lab)
    equal(attempts, CALLS * ATTEMPTS, "attempts by policy")
    equal(lab.daemon.counters().get("proxy_retry_over_budget", 0), 0, "refused attempts without a budget")

    at_once = AtOnce()
    for server in (bad, good):
        server.clear()
        server.at_once = at_once
    lab.daemon.write("limit.yaml", LIMIT.format(host=HOST))
    lab.daemon.shell("reload")
    equal(ask_at_once(lab), {FULL: CALLS}, "statuses with a budget")
    again, refused = counted(lab) - attempts, lab.daemon.counters()["proxy_retry_over_budget"]
    print(f"with a budget {again} further attempts, {refused} refused", flush=True)
    equal(sum(bad.seen.values()) + sum(good.seen.values()), CALLS + again, "calls at servers with a budget")
    equal(at_once.peak, 1, "further attempts at servers at the same time")
    check(0 < again < CALLS * ATTEMPTS and refused > 0, "the budget does not limit attempts")

    good.way = "answers"
    attempts = counted(lab)
    bad.clear()
    equal(ask(lab), {OK: CALLS}, "statuses of one call at a time, with one full server and a budget")
    equal(counted(lab) - attempts, sum(bad.seen.values()), "attempts, and errors")


def scene(way, retries, what):
    bad, good = Server(way), Server("answers")
    with Lab(servers=2) as lab, lab.listening("server1", PORT, bad), lab.listening("server2", PORT, good):
        lab.meltemi()
        documents(lab, retries)
        lab.daemon.start()
        what(lab, bad, good)
        within(5, lambda: lab.daemon.show("exchanges")["exchanges"] == [], "no call is left")


def body():
    scene("resets", f"retries: {{attempts: {ATTEMPTS}, retryOn: reset}}", lost)
    scene("is silent", f"retries: {{attempts: {ATTEMPTS}, retryOn: reset, perTryTimeout: 300ms}}", silent)
    scene(FULL, f"retries: {{attempts: {ATTEMPTS}, retryOn: '503'}}", full)
    scene(FULL, f"retries: {{attempts: {ATTEMPTS}, retryOn: '503'}}", storm)


main(body)
