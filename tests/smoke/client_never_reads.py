#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A client that sends requests and never reads: Meltemi holds it back, then resets it. The calls of others on the same service,
and with one deaf client after the other on a service beside theirs, all succeed; memory comes back.
"""

import socket
import time

from meltemi_lab import TESTS, Lab, beside, check, dubbo, equal, main
from meltemi_lab.documents import service

TALKS, DEAF = ("240.240.0.10", 20880), ("240.240.1.7", 20880)
REQUESTS = b"".join(dubbo.request(n, "sayHello", ["x" * 4000]) for n in range(200))
HELD = 16 << 20  # far below what a client could make Meltemi hold that did not count


def stuff(sock, until):
    """Sends echo-sized requests as long as they are taken; how many bytes went out."""
    sent = 0
    sock.settimeout(0.2)
    while time.monotonic() < until:
        try:
            sent += sock.send(REQUESTS[sent % len(REQUESTS):])
        except TimeoutError:
            continue
        except OSError:
            break
    return sent


def deaf_for_a_while(lab, target, until):
    """Its own kernel takes little in its place, so that it is deaf after some 100 calls, and not just a busy client."""
    sock = lab.connect("client", *target)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    stuff(sock, until)
    sock.close()


def held_back(lab, daemon, idle):
    """On the very service of others: the same servers, the same connections to them."""
    load = lab.dubbo_client("240.240.0.10:20880", seconds=6, connections=2)
    load.wait_line("calling")
    deaf = lab.connect("client", *TALKS)
    sent = stuff(deaf, time.monotonic() + 4)
    held = daemon.held_back(idle)
    report = load.result()
    print(f"the deaf client sent {sent >> 10} KB, {held >> 10} KB held; beside it {report['answered']} answered", flush=True)
    equal((report["failed"], report["crossed"]), (0, 0), "calls beside it that failed")
    check(held < HELD, f"{held} bytes are held for one client")
    deaf.close()
    daemon.memory_returns(idle)


def body():
    with Lab(servers=3) as lab:
        for number in (1, 2, 3):
            server = lab.dubbo_server(number, f"v{number}")
            server.wait_line("ready")
        beside.gives_way(server.pid)  # the deaf one's, as the deaf client itself
        daemon = lab.meltemi(TESTS / "documents/talks")
        daemon.write("deaf.yaml", service("deaf.test", DEAF[0], DEAF[1], "tcp-metaprotocol-dubbo", [(lab.server(3), 20880, {})]))
        daemon.start()
        lab.dubbo_client("240.240.0.10:20880", count=500).result()
        idle = daemon.in_use()
        held_back(lab, daemon, idle)
        beside.all_answered(lab, "240.240.0.10:20880", lambda: deaf_for_a_while(lab, DEAF, time.monotonic() + 1))
        daemon.memory_returns(idle)


main(body)
