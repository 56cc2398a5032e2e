#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Bad input: random bytes, oversized lengths, headers and then silence, one byte per segment, again and again. The offender
is answered or closed and counted; calls beside it all succeed, their p99 at most doubles, and memory comes back.
"""

import os
import struct
import time

from meltemi_lab import TESTS, Lab, beside, check, dubbo, equal, main, streams

DUBBO, THRIFT = ("240.240.0.10", 20880), ("240.240.0.20", 9090)
COUNTED = ("malformed", "oversized", "message_truncated")
HEAD = struct.pack(">HBBqI", 0xDABB, 0xC2, 0, 1, 200)
HUGE = struct.pack(">HBBqI", 0xDABB, 0xC2, 0, 1, 0x7FFFFFFF)
THRIFT_HUGE = struct.pack(">I", 0x7FFFFFFF) + b"\x80\x01\x00\x01"


def refused(lab, target, data, what):
    sock = lab.connect("client", *target)
    sock.sendall(data)
    check(streams.ended(sock), f"{what}: the connection was not closed")


def one_byte_segments(lab):
    """A good request, one byte to a segment, is a good request."""
    sock = lab.connect("client", *DUBBO)
    streams.nodelay(sock)
    for byte in dubbo.request(77, "sayHello", ["bytewise"]):
        sock.sendall(bytes([byte]))
    reply = sock.recv(4096)
    check(reply[4:12] == struct.pack(">q", 77) and b"hello bytewise" in reply, f"answer {reply.hex()}")
    sock.close()


def everything(lab, until):
    """All of it in turn; the silent ones stay until the end. How many turns."""
    silent = [lab.connect("client", *DUBBO) for _ in range(20)]
    for sock, length in zip(silent, range(1, 21)):
        sock.sendall((HEAD + b"\x052.0.2")[:length])
    turns = 0
    while time.monotonic() < until:
        for target in (DUBBO, THRIFT):
            refused(lab, target, b"\xff" + os.urandom(4096), "random bytes")
        refused(lab, DUBBO, HUGE, "a Dubbo length of 2 GB")
        refused(lab, THRIFT, THRIFT_HUGE, "a Thrift length of 2 GB")
        one_byte_segments(lab)
        time.sleep(0.02)  # the offender has no core of its own to burn
        turns += 1
    for sock in silent:
        sock.close()
    return turns


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        lab.dubbo_client("240.240.0.10:20880", count=500).result()
        idle, before = daemon.in_use(), daemon.counters()
        turns = []
        beside.at_most_doubles(lab, "240.240.0.10:20880", lambda until: turns.append(everything(lab, until)))
        after = daemon.counters()
        moved = [after[f"proxy_{name}"] - before[f"proxy_{name}"] for name in COUNTED]
        print(f"{sum(turns)} turns; {dict(zip(COUNTED, moved))}", flush=True)
        equal(moved, [3 * sum(turns), sum(turns), 20 * len(turns)], f"counted: {COUNTED}")
        daemon.memory_returns(idle)


main(body)
