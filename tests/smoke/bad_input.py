#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Bad input: random bytes, oversized lengths, headers and then silence, one byte per segment, again and again. Meltemi answers
or closes and counts the offender; the calls of others all succeed meanwhile, and memory comes back.
"""

import os
import struct

from meltemi_lab import TESTS, Lab, beside, check, dubbo, main, streams, within

DUBBO, THRIFT = ("240.240.0.10", 20880), ("240.240.0.20", 9090)
COUNTED = ("malformed", "oversized", "message_truncated")
HEAD = struct.pack(">HBBqI", 0xDABB, 0xC2, 0, 1, 200)
HUGE = struct.pack(">HBBqI", 0xDABB, 0xC2, 0, 1, 0x7FFFFFFF)
SILENT = 20
THRIFT_HUGE = struct.pack(">I", 0x7FFFFFFF) + b"\x80\x01\x00\x01"


def refused(lab, target, data, what):
    sock = lab.connect("client", *target)
    sock.sendall(data)
    check(streams.ended(sock, 60), f"{what}: the connection was not closed")


def one_byte_segments(lab):
    """A good request, one byte to a segment, is a good request."""
    sock = lab.connect("client", *DUBBO)
    streams.nodelay(sock)
    for byte in dubbo.request(77, "sayHello", ["bytewise"]):
        sock.sendall(bytes([byte]))
    reply = sock.recv(4096)
    check(reply[4:12] == struct.pack(">q", 77) and b"hello bytewise" in reply, f"answer {reply.hex()}")
    sock.close()


def everything(lab):
    """All of it, once; the silent ones stay until the end."""
    silent = [lab.connect("client", *DUBBO) for _ in range(SILENT)]
    for sock, length in zip(silent, range(1, SILENT + 1)):
        sock.sendall((HEAD + b"\x052.0.2")[:length])
    for target in (DUBBO, THRIFT):
        refused(lab, target, b"\xff" + os.urandom(4096), "random bytes")
    refused(lab, DUBBO, HUGE, "a Dubbo length of 2 GB")
    refused(lab, THRIFT, THRIFT_HUGE, "a Thrift length of 2 GB")
    one_byte_segments(lab)
    for sock in silent:
        sock.close()


def moved(daemon, before):
    after = daemon.counters()
    return [after[f"proxy_{name}"] - before[f"proxy_{name}"] for name in COUNTED]


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        lab.dubbo_client("240.240.0.10:20880", count=500).result()
        idle, before = daemon.in_use(), daemon.counters()
        attacks = []
        beside.all_answered(lab, "240.240.0.10:20880", lambda: attacks.append(everything(lab)))
        want = [3 * len(attacks), len(attacks), SILENT * len(attacks)]
        within(10, lambda: moved(daemon, before) == want, f"counted: {COUNTED}, {want} each")
        daemon.memory_returns(idle)


main(body)
