#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A small Dubbo client that checks what no real one shows: ids that are equal on every connection, many calls
outstanding, replies that belong to nobody. Prints one JSON line.

  pydubbo_client.py --target HOST:PORT --connections 2 --outstanding 64 --count 1000 (calls in all) | --seconds 5
                    --attach user=Jason --keys 200 (a user-id attachment from so many keys, in turn) --timeout-ms 3000
                    --deadline-ms 0 (sent as the timeout attachment) --method sayHello --size 0 (bytes added to the name)
                    --rate 0 (calls per second in all; 0: closed loop) --log FILE (a line for each answered call: when it
                    began, by the machine's monotonic clock, and how long it took, both in seconds)

SIGTERM ends the calls early; the report comes all the same.

Each call carries a token of its own; "crossed" counts replies with another's token, "strays" replies to nothing.
"""

import argparse
import asyncio
import collections
import json
import signal
import time

import wire


class Run:
    """What all connections share: the work left and the counts."""

    def __init__(self, options):
        self.options = options
        self.left = options.count if not options.seconds else 1 << 60
        self.end = time.monotonic() + options.seconds if options.seconds else None
        self.serial = 0
        self.counts = collections.Counter()
        self.servers, self.errors = collections.Counter(), collections.Counter()
        self.latencies, self.samples = [], []
        self.log = []  # when each of the latencies began
        self.keys = {}
        self.slowest_error = 0.0
        self.first_error = self.last_error = None
        self.began = time.monotonic()

    def take(self):
        if self.left <= 0 or (self.end and time.monotonic() >= self.end):
            return None
        self.left -= 1
        self.serial += 1
        return self.serial

    def stop(self):
        self.left = 0

    def error(self, kind, began, text):
        now = time.monotonic()
        self.errors[kind] += 1
        self.slowest_error = max(self.slowest_error, now - began)
        self.first_error = self.first_error or now - self.began
        self.last_error = now - self.began
        if len(self.samples) < 3:
            self.samples.append(text)


class Caller(wire.Frames):
    def __init__(self, run, number):
        super().__init__()
        self.run, self.number = run, number
        self.ident = 0
        self.pending = {}
        self.done = asyncio.get_running_loop().create_future()
        self.idle = True

    def call(self):
        serial = self.run.take()
        if serial is None:
            return self.finish()
        options = self.run.options
        token = f"c{self.number}-{serial}" + "x" * options.size
        attachments = dict(options.attach)
        key = None
        if options.keys:
            key = f"key-{serial % options.keys}"
            attachments["user-id"] = key
        if options.deadline_ms:
            attachments["timeout"] = str(options.deadline_ms)
        self.pending[self.ident] = (token, time.monotonic(), key)
        self.transport.write(wire.request(self.ident, options.method, [token], attachments, options.interface))
        self.ident += 1
        return None

    def finish(self):
        if not self.pending and not self.done.done():
            self.done.set_result(None)

    def frame(self, flags, status, ident, body):
        if flags & wire.EVENT:
            if flags & wire.REQUEST and flags & wire.TWO_WAY:
                self.transport.write(wire.frame(wire.EVENT, wire.OK, ident, b"N"))
            return
        run, now = self.run, time.monotonic()
        if ident not in self.pending:
            run.counts["strays"] += 1
            return
        token, began, key = self.pending.pop(ident)
        text = wire.parse_reply(status, body)
        if status != wire.OK:
            run.error(f"status-{status}", began, text)
        elif not text.startswith(f"hello {token} from "):
            run.counts["crossed"] += 1
        else:
            server = text.rsplit(" from ", 1)[1]
            run.servers[server] += 1
            run.latencies.append(now - began)
            run.log.append(began)
            if key:
                run.keys.setdefault(key, set()).add(server)
        if not run.options.rate:
            self.call()
        elif self.run.left <= 0:
            self.finish()

    def lost(self, exc):
        for token, began, _ in self.pending.values():
            self.run.error("closed", began, f"connection closed: {exc}")
        self.pending.clear()
        self.finish()

    def expire(self, seconds):
        """Gives up calls that are older than that: nobody answered them at all."""
        limit = time.monotonic() - seconds
        for ident in [i for i, (_, began, _) in self.pending.items() if began < limit]:
            _, began, _ = self.pending.pop(ident)
            self.run.error("unanswered", began, "no reply at all")
            self.call()


async def paced(run, callers):
    """Open loop: calls leave at their scheduled times whatever happened to those before."""
    gap, number = 1 / run.options.rate, 0
    start = time.monotonic()
    while run.left > 0 and not (run.end and time.monotonic() >= run.end):
        late = start + number * gap - time.monotonic()
        if late > 0:
            await asyncio.sleep(late)
        callers[number % len(callers)].call()
        number += 1
    run.left = 0
    for caller in callers:
        caller.finish()


async def work(run):
    host, port = run.options.target.rsplit(":", 1)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, run.stop)
    made = [loop.create_connection(lambda n=n: Caller(run, n), host, int(port)) for n in range(run.options.connections)]
    callers = [protocol for _, protocol in await asyncio.gather(*made)]
    print(json.dumps({"calling": True}), flush=True)
    run.began = time.monotonic()
    if run.options.rate:
        pacer = asyncio.ensure_future(paced(run, callers))
    else:
        for _ in range(run.options.outstanding):
            for caller in callers:
                caller.call()
    waiting = [caller.done for caller in callers]
    while any(not w.done() for w in waiting):
        await asyncio.wait([w for w in waiting if not w.done()], timeout=0.25)
        for caller in callers:
            caller.expire(run.options.timeout_ms / 1000)
            if run.left <= 0 or (run.end and time.monotonic() >= run.end):
                caller.finish()
    if run.options.rate:
        await pacer
    elapsed = time.monotonic() - run.began
    await asyncio.sleep(run.options.linger_ms / 1000)
    return elapsed


def report(run, seconds):
    if run.options.log:
        with open(run.options.log, "w", encoding="utf-8") as file:
            file.writelines(f"{began:.6f} {took:.6f}\n" for began, took in zip(run.log, run.latencies))
    latencies = sorted(run.latencies)

    def at(share):
        return round(latencies[min(len(latencies) - 1, int(share * len(latencies)))] * 1e6) if latencies else 0

    out = {"answered": len(latencies), "failed": sum(run.errors.values()), "by_server": dict(sorted(run.servers.items())),
           "errors": dict(run.errors), "error_samples": run.samples, "slowest_error_us": round(run.slowest_error * 1e6),
           "first_error_s": run.first_error, "last_error_s": run.last_error,
           "crossed": run.counts["crossed"], "strays": run.counts["strays"], "seconds": round(seconds, 3),
           "latency_us": {"p50": at(0.5), "p99": at(0.99), "max": at(1)}}
    if run.options.keys:
        out["keys"] = {key: sorted(servers) for key, servers in run.keys.items()}
    return out


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--outstanding", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--attach", action="append", default=[], type=lambda text: tuple(text.split("=", 1)))
    parser.add_argument("--keys", type=int, default=0)
    parser.add_argument("--timeout-ms", type=int, default=5000)
    parser.add_argument("--deadline-ms", type=int, default=0)
    parser.add_argument("--linger-ms", type=int, default=0)
    parser.add_argument("--method", default="sayHello")
    parser.add_argument("--interface", default=wire.INTERFACE)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--log")
    return parser.parse_args()


if __name__ == "__main__":
    RUN = Run(arguments())
    print(json.dumps(report(RUN, asyncio.run(work(RUN)))), flush=True)
