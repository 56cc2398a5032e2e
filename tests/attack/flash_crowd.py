#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A flash crowd: ten times as many calls as the server can answer, which works on one call after the other for 2 ms each. The
server is kept busy, at half its own pace at least, with calls of which four in five are answered within the callers' second; the
rest is refused at once, by the protocol's own error, and counted. So with a crowd of connections that each make
one call. Afterwards nobody is refused any more.
"""

import asyncio
import threading
import time

from attack_lab import LONG, OTHER, PORT, Attack, Figures, Peak, check, dubbo, row, within

from meltemi_lab import equal, main
from meltemi_lab.documents import service

SERVICE = 0.002
CAPACITY, TIMES = 1 / SERVICE, 10
SECONDS = 60 if LONG else 5
# The simulator's flash_crowd holds 95 % of the capacity and 0.9 s, on virtual time. Here the server's own pace, measured before
# the crowd comes, is the control.
GOODPUT = 0.5
SLOW_PORT = 20990
TIMEOUT = """\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: crowd}
spec:
  hosts: [crowd.test]
  http:
  - name: all
    timeout: 1s
    route:
    - destination: {host: crowd.test}
"""


class OneByOne:
    """A Dubbo server in a thread of the test: each call takes SERVICE, and begins when the one before has ended."""

    def __init__(self, lab):
        self.answered, self.busy_until, self.ready = 0, 0.0, threading.Event()
        with lab.inside("server1"):
            self.loop = asyncio.new_event_loop()
            self.server = self.loop.run_until_complete(self.loop.create_server(lambda: Calls(self), "0.0.0.0", SLOW_PORT))
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def take(self, transport, ident):
        now = self.loop.time()
        self.busy_until = max(self.busy_until, now) + SERVICE
        self.loop.call_at(self.busy_until, self.answer, transport, ident)

    def answer(self, transport, ident):
        self.answered += 1
        transport.write(dubbo.reply(ident, "done"))

    def queue(self):
        return max(0.0, self.busy_until - self.loop.time())


class Calls(dubbo.Frames):
    def __init__(self, server):
        super().__init__()
        self.server = server

    def frame(self, flags, _status, ident, _body):
        if flags & 0x20:
            self.transport.write(dubbo.frame(0x20, 20, ident, b"N"))
        elif flags & 0x80:
            self.server.take(self.transport, ident)


def alone(lab, server):
    """Calls a second that the server answers when it is busy and no call is refused."""
    began, before = time.monotonic(), server.answered
    lab.run("client", f"alone{time.monotonic_ns()}", [*lab.blast(8, 2), "-w", "0s", f"{OTHER}:{PORT}"]).result()
    return (server.answered - before) / (time.monotonic() - began)


def crowd(lab, server, what, **options):
    figures, peak = Figures(lab.daemon), Peak(lab.daemon)
    quiet = lab.calls(seconds=1, rate=CAPACITY / 4, target=f"{OTHER}:{PORT}", verify="id").result()
    equal(quiet["answered"], quiet["sent"], f"{what}: calls before the crowd")
    pace = alone(lab, server)
    load = lab.calls(seconds=SECONDS, rate=CAPACITY * TIMES, target=f"{OTHER}:{PORT}", verify="id", **options)
    began, before = time.monotonic(), server.answered
    time.sleep(SECONDS - 0.5)
    took, done = time.monotonic() - began, server.answered - before
    report = load.result()
    served = server.answered - before
    moved = figures.moved("proxy_reply_overload", "proxy_reply_timeout", "proxy_endpoint_overloaded")
    ended = time.monotonic()
    after = within(60, lambda: lab.calls(seconds=1, rate=CAPACITY / 4, target=f"{OTHER}:{PORT}", verify="id").result(), "calls")
    row(what, f"{report['sent']} calls, {report['sent'] / SECONDS / pace:.1f} times the server's pace", f"{report['answered']} answered",
        f"native_error {report['native_error']}, " + figures.words(*moved), peak,
        f"{100 * done / took / pace:.1f} % of its pace alone, p99 {report['service']['p99_us'] / 1000:.0f} ms",
        f"{time.monotonic() - ended - 1.2:.2f} s")
    check(report["sent"] > TIMES / 2 * pace * SECONDS / 2, f"{what}: no crowd: {report}, {pace:.0f} calls/s alone")
    check(done / took >= GOODPUT * pace, f"{what}: the server answered {done} in {took:.1f} s, and {pace:.0f}/s alone")
    check(report["answered"] >= 0.8 * served, f"{what}: the server answered {served}, of which {report['answered']} reached their callers in time")
    check(moved["proxy_reply_overload"] > report["answered"], f"{what}: refusals that were not counted: {moved}")
    equal(report["answered"] + report["native_error"] + report["timeout"] + report["abandoned"], report["sent"], f"{what}: calls without an end {report}")
    equal(after["answered"], after["sent"], f"{what}: calls after the crowd")


def body():
    slow = service("crowd.test", OTHER, PORT, "tcp-metaprotocol-dubbo", [("198.51.100.11", SLOW_PORT, {})])
    with Attack(documents={"crowd.yaml": slow, "timeout.yaml": TIMEOUT}) as lab:
        server = OneByOne(lab)
        within(5, lambda: lab.one_call(OTHER), "the slow server answers")
        crowd(lab, server, "flash crowd of calls", connections=32, outstanding=128)
        crowd(lab, server, "flash crowd of connections", connections=512, calls_per_connection=1, close="reset")
        lab.daemon.memory_returns(lab.idle)


if __name__ == "__main__":
    main(body)
