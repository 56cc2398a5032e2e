#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opaque TCP: readers that take 200 KB/s hold their senders back through Meltemi, and harm nobody beside them."""

import time

from meltemi_lab import Lab, check, equal, main, streams
from meltemi_lab.documents import service

VIP, SIZE = "240.240.2.1", 64 << 20


def pours(sock):
    sock.sendall(b"z" * SIZE)
    sock.close()


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, pours), lab.listening("server1", 7001, streams.echo):
        daemon = lab.meltemi()
        for port in (7000, 7001):
            daemon.write(f"{port}.yaml", service(f"slow{port}.test", VIP, port, "tcp", [(lab.server(1), port, {})]))
        daemon.start()
        idle = daemon.in_use()
        slow = [lab.connect("client", VIP, 7000) for _ in range(8)]
        began, taken, worst = time.monotonic(), 0, 0.0
        while time.monotonic() - began < 3:
            taken += sum(len(sock.recv(20000)) for sock in slow)
            time.sleep(0.05)
            start = time.monotonic()
            check(streams.exchange(lab.connect("client", VIP, 7001), 1, 20000), "an echo beside the slow readers")
            worst = max(worst, time.monotonic() - start)
        held = daemon.held_back(idle)
        print(f"8 slow readers took {taken >> 10} KB, {held >> 20} MB held in Meltemi, slowest echo beside them {worst:.3f} s",
              flush=True)
        check(held < 64 << 20, f"Meltemi holds {held} bytes for readers that do not read")
        equal(streams.digest_of(slow[0])[1] > 0, True, "the slow reader goes on")
        for sock in slow:
            sock.close()
        daemon.memory_returns(idle)


main(body)
