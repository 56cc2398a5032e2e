#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A Thrift client whose library sends one-way methods as ordinary calls, beside a server that answers none of them (Apache's Python
server): a call behind 20 of them gets its own answer; while 300 of them wait on another connection others are answered.
"""

import time

import kit
from others import Others, check, equal, main, service, unharmed, report
from meltemi_lab import netns

NOTES, MORE, PORT = 20, 300, 9090


def notes(caller, number):
    """One-way calls as type CALL, as Apache's library for Go writes them."""
    caller.sock.sendall(b"".join(kit.Thrift.call(n + 1000, f"note {n}", method=b"note") for n in range(number)))


def hello(caller, ident):
    caller.sock.sendall(kit.Thrift.call(ident, "me", method=b"sayHello"))
    caller.sock.settimeout(kit.PATIENCE)
    splitter, messages = kit.Splitter(kit.Thrift), []
    try:
        while not messages:
            data = caller.sock.recv(65536)
            check(data, "the connection of the one-way calls was closed")
            messages = splitter.feed(data)
    except TimeoutError:
        check(False, "no reply to the call behind one-way calls")
    equal([(m.kind, m.ident, m.text.split(" ")[:2]) for m in messages], [(kit.REPLY, ident, ["hello", "me"])], "the reply")


def body():
    with Others(proto="thrift", servers=2) as lab:
        lab.peers[1].stop()
        lab.thrift_server(2, "v1").wait_line("ready")
        lab.daemon.write("notes.yaml", service("notes.test", "240.240.3.2", PORT, "tcp-metaprotocol-thrift",
                                               [(lab.server(2), PORT, {})]))
        lab.daemon.shell("reload")
        lone = lab.caller(vip="240.240.3.2")
        notes(lone, NOTES)
        hello(lone, 7)
        greedy = lab.caller(vip="240.240.3.2")
        notes(greedy, MORE)
        time.sleep(1)
        found = lab.thrift_client(f"240.240.3.2:{PORT}", connections=4, count=50, timeout_ms=30_000).result()
        equal((found["answered"], found["errors"], found["crossed"]), (200, {}, 0), "calls of others beside one-way ones")


main(body)
