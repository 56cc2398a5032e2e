#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Bulk over a wire that loses 1 %, both directions: Meltemi's TCP beside the kernel's own on the same wire, alternating.

The wire is c0-p0; p0 is the kernel's in one turn and Meltemi's (an opaque service to a server behind it) in the next.
A short run (two turns each, 5 ms each way) has a loose floor; --long does five turns at 20 ms and holds 80 %.
"""

import os
import socket
import statistics
import sys
import time

from meltemi_lab import Lab, check, main, netns, streams
from meltemi_lab.documents import service

VIP, PORT = "240.240.2.1", 7000
LONG = "--long" in sys.argv or bool(os.environ.get("MELTEMI_LONG"))
TURNS, DELAY_US, SIZE, FLOOR = (5, 20000, 6 << 20, 0.8) if LONG else (2, 5000, 6 << 20, 0.6)


def hurt(turn):
    return {"seed": 40 + turn, "loss": 100, "delay_us": DELAY_US}


def cubic(sock):
    """Meltemi's congestion control; the kernel may have another one as its default."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    return sock


def sink(sock):
    """Says how much it got when the other side has ended."""
    _, length = streams.digest_of(sock)
    sock.sendall(str(length).encode())
    sock.close()


def source(sock):
    cubic(sock).sendall(streams.content(5, SIZE))
    sock.close()


def up(sock):
    """Bytes per second from the client on."""
    cubic(sock)
    data, began = streams.content(5, SIZE), time.monotonic()
    sock.sendall(data)
    sock.shutdown(1)
    check(int(sock.recv(100)) == SIZE, "the sink did not get all")
    return SIZE / (time.monotonic() - began)


def down(sock):
    began = time.monotonic()
    _, length = streams.digest_of(sock)
    check(length == SIZE, "the source's bytes did not all come")
    return SIZE / (time.monotonic() - began)


def both(lab, address):
    rates = (up(lab.connect("client", address, PORT, timeout=100)), down(lab.connect("client", address, PORT + 1, timeout=100)))
    return rates, lab.hurt()


def kernel(turn):
    with Lab(servers=0, impair=hurt(turn)) as lab:
        netns.kernel_end(lab.namespace("mesh"), "p0", "192.0.2.1/24")
        with lab.listening("mesh", PORT, sink), lab.listening("mesh", PORT + 1, source):
            return both(lab, "192.0.2.1")


def meltemi(turn):
    with Lab(servers=1, impair=hurt(turn)) as lab:
        with lab.listening("server1", PORT, sink), lab.listening("server1", PORT + 1, source):
            daemon = lab.meltemi()
            for name, port in (("sink", PORT), ("source", PORT + 1)):
                daemon.write(f"{name}.yaml", service(f"{name}.test", VIP, port, f"tcp-{name}", [(lab.server(1), port, {})]))
            daemon.start()
            return both(lab, VIP)


def body():
    found = {"kernel": [], "meltemi": []}
    for turn in range(TURNS):
        for name, run in (("kernel", kernel), ("meltemi", meltemi)):
            rates, counts = run(turn)
            check(counts["lost"] > 20, f"the wire hardly hurt: {counts}")
            found[name].append(rates)
            print(f"{name}: up {rates[0] / 1e6:.2f} MB/s, down {rates[1] / 1e6:.2f} MB/s over {counts}", flush=True)
    for way, words in enumerate(("from the kernel to Meltemi", "from Meltemi to the kernel")):
        median = {name: statistics.median(rates[way] for rates in turns) for name, turns in found.items()}
        ratio = median["meltemi"] / median["kernel"]
        print(f"{words}: {ratio:.2f} of the kernel's own", flush=True)
        check(ratio >= FLOOR, f"{words}: {ratio:.2f} of the kernel's own, the floor is {FLOOR}")


main(body)
