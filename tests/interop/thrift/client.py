#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
An Apache Thrift client (Python library). Prints one JSON line.

  client.py --target HOST:PORT --scenario checks|load|notes|taken --transport ... --protocol ... --method sayHello
            --connections 1 --count 10 (per connection) | --seconds 5 --timeout-ms 5000 --size 0 (bytes in the argument)
            --header user=Jason (repeat for more; with --transport header)
            --notes 20 (notes: one-way calls, on one connection) --calls 5 (ordinary ones behind them)
            --pause-ms 0 (load: before each call) --again 0 (1: a call whose connection was closed is made again on a new one)
taken: how many one-way calls the server has executed.

The argument of each call is its own; "crossed" counts answers to another one. SIGTERM ends the load early; the report
comes all the same.
"""

import argparse
import collections
import json
import os
import signal
import socket
import sys
import threading
import time

import common
from hello import Hello
from hello.ttypes import Person, Refused
from thrift.Thrift import TApplicationException
from thrift.transport import TSocket, TTransport


def connect(options):
    host, port = options.target.rsplit(":", 1)
    sock = TSocket.TSocket(host, int(port), socket_family=socket.AF_INET)
    sock.setTimeout(options.timeout_ms)
    transport = common.transport_factory(options.transport).getTransport(sock)
    client = Hello.Client(common.protocol_factory(options.transport, options.protocol).getProtocol(transport))
    transport.open()
    sock.handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, transport


def kind(error):
    if isinstance(error, TApplicationException):
        return f"application-{error.type}"
    if isinstance(error, TTransport.TTransportException):
        return "timeout" if error.type == TTransport.TTransportException.TIMED_OUT else "closed"
    return type(error).__name__


class Load:
    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.servers, self.errors = collections.Counter(), collections.Counter()
        self.latencies, self.samples, self.slowest_error = [], [], 0.0
        self.reopened = self.crossed = 0
        self.error_times = []
        self.barrier = threading.Barrier(options.connections + 1)
        self.stopped = False
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, _number, _frame):
        self.stopped = True

    def work(self, number):
        options, connection = self.options, None
        try:
            connection = connect(options)
        except TTransport.TTransportException:
            pass  # the first call tries again, and counts
        self.barrier.wait()
        end = time.monotonic() + options.seconds if options.seconds else None
        made = 0
        while not self.stopped and ((time.monotonic() < end) if end else (made < options.count)):
            time.sleep(options.pause_ms / 1000)
            made += 1
            connection = self.one(connection, f"{options.name}-{os.getpid()}-{number}-{made}")
        if connection:
            connection[1].close()

    def one(self, connection, name):
        """One call, on a new connection if there is none; the connection if it can go on."""
        method = self.options.method
        began = time.monotonic()
        try:
            connection = connection or self.again()
            for pair in self.options.header:
                connection[0]._oprot.trans.set_header(*(part.encode() for part in pair))  # of the next message
            answer = getattr(connection[0], method)(self.options.slow_ms if method == "slow" else name)
            with self.lock:
                self.crossed += method != "slow" and name not in answer.split(" ")
                self.latencies.append(time.monotonic() - began)
                self.servers[str(answer).rsplit(" from ", 1)[-1] if method != "echo" else "echo"] += 1
            return connection
        except Exception as error:  # every failure is a count here
            if connection and not isinstance(error, TApplicationException):
                connection[1].close()
                connection = None
                if self.options.again and kind(error) == "closed":
                    return self.one(None, name)
            self.failed(error, time.monotonic() - began)
            return connection

    def again(self):
        with self.lock:
            self.reopened += 1
        return connect(self.options)

    def failed(self, error, took):
        with self.lock:
            self.errors[kind(error)] += 1
            self.error_times.append(time.monotonic())
            self.slowest_error = max(self.slowest_error, took)
            if len(self.samples) < 3:
                self.samples.append(str(error))

    def run(self):
        threads = [threading.Thread(target=self.work, args=(number,), daemon=True)
                   for number in range(self.options.connections)]
        for thread in threads:
            thread.start()
        self.barrier.wait()
        print(json.dumps({"calling": True}), flush=True)
        began = time.monotonic()
        for thread in threads:
            thread.join()
        return self.report(time.monotonic() - began)

    def report(self, seconds):
        latencies = sorted(self.latencies)

        def at(share):
            return round(latencies[min(len(latencies) - 1, int(share * len(latencies)))] * 1e6) if latencies else 0

        span = (self.error_times[-1] - self.error_times[0]) * 1000 if self.error_times else 0
        return {"answered": len(latencies), "failed": sum(self.errors.values()), "by_server": dict(sorted(self.servers.items())),
                "errors": dict(self.errors), "error_samples": self.samples, "reopened": self.reopened,
                "crossed": self.crossed,
                "error_span_ms": round(span), "slowest_error_us": round(self.slowest_error * 1e6),
                "seconds": round(seconds, 3), "latency_us": {"p50": at(0.5), "p99": at(0.99), "max": at(1)}}


def checks(options):
    """Each shape of call once: "ok" or what was found instead."""
    client, transport = connect(options)
    out = {}

    def check(name, body):
        try:
            verdict = body()
        except Exception as error:  # a verdict too
            verdict = f"{kind(error)}: {error}"
        out[name] = "ok" if verdict is True else f"found {str(verdict)[:80]}"

    def strings():
        return all(client.echo(text) == text for text in
                   ("", "a", "\u00e9\u4e2d\U0001f600" * 50, "x" * 1023, "y" * 65536, "z" * (1 << 20)))

    def person():
        # Every field is set: the C++ library sends also those that are not.
        friend = Person("Byron", 10, [], {}, None, 0.0, False, b"")
        sent = Person("Ada", 36, ["a", "b"] * 20, {"x": 1 << 40, "y": -7}, [friend], 1.7, True, bytes(range(256)))
        back = client.older(sent)
        sent.age = 37
        return back == sent or back

    def exception():
        try:
            return client.fail("as asked")
        except Refused as refused:
            return refused.reason == "as asked"

    def one_way():
        before = client.notes()
        for number in range(10):
            client.note(f"note {number}")
        end = time.monotonic() + 30
        while client.notes() < before + 10 and time.monotonic() < end:
            time.sleep(0.02)
        return client.notes() >= before + 10

    check("call", lambda: client.sayHello("me").startswith("hello me from "))
    check("strings-to-1MB", strings)
    check("struct", person)
    check("exception", exception)
    check("after-exception", lambda: client.echo("again") == "again")
    check("one-way", one_way)
    transport.close()
    return {"checks": out, "passed": all(verdict == "ok" for verdict in out.values())}


def notes(options):
    """One-way calls, then ordinary ones, whose own answers must come."""
    out = {"answered": 0, "wrong": [], "failed": []}
    try:
        client, transport = connect(options)
        for number in range(options.notes):
            client.note(f"note {number}")
        for number in range(options.calls):
            text = client.sayHello(f"{options.name}-{number}")
            if text.startswith(f"hello {options.name}-{number} from "):
                out["answered"] += 1
            else:
                out["wrong"].append(text)
        transport.close()
    except Exception as error:  # what failed is what is asked for
        out["failed"].append(f"{kind(error)}: {error}")
    return out


def taken(options):
    client, transport = connect(options)
    out = {"taken": client.notes()}
    transport.close()
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--scenario", choices=("checks", "load", "notes", "taken"), default="load")
    parser.add_argument("--transport", choices=common.TRANSPORTS, default="framed")
    parser.add_argument("--protocol", choices=common.PROTOCOLS, default="binary")
    parser.add_argument("--header", action="append", default=[], type=lambda text: tuple(text.split("=", 1)))
    parser.add_argument("--method", default="sayHello")
    parser.add_argument("--slow-ms", type=int, default=200)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--timeout-ms", type=int, default=5000)
    parser.add_argument("--pause-ms", type=int, default=0)
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--notes", type=int, default=20)
    parser.add_argument("--calls", type=int, default=5)
    options = parser.parse_args()
    options.name = "meltemi" + "x" * options.size
    out = {"checks": checks, "load": lambda o: Load(o).run(), "notes": notes, "taken": taken}[options.scenario](options)
    print(json.dumps(out), flush=True)
    sys.exit(0 if out.get("passed", True) else 1)


if __name__ == "__main__":
    main()
