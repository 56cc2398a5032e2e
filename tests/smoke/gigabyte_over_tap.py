#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A kernel's TCP sends to Meltemi over a TAP behind a wire that loses 1 % each way, and gets as much back, by sha256.

24 MB each way; --long: 1 GB each way.

    client c0 ─── p0 [wire, 1 % lost] TAP ─── Meltemi (opaque) ─── p1 ─── server1
"""

import hashlib
import os
import random
import sys
import threading
import time

from meltemi_lab import BUILD, Lab, check, equal, main, netns, within
from meltemi_lab.documents import service

VIP, PORT = "240.240.2.1", 7000
LONG = "--long" in sys.argv or bool(os.environ.get("MELTEMI_LONG"))
SIZE, SECONDS = (1 << 30, 900) if LONG else (24 << 20, 280)
BLOCK = 1 << 18
TAP = 'name: tap, device: "net_tap0,iface=mtap0", profile: tap, addresses: [192.0.2.1/24]'
P1 = 'name: p1, device: "net_af_packet1,iface=p1", profile: af_packet, addresses: [198.51.100.1/24]'


def blocks(seed):
    source = random.Random(seed)
    for _ in range(SIZE // BLOCK):
        yield source.randbytes(BLOCK)


def digest(seed):
    sha = hashlib.sha256()
    for block in blocks(seed):
        sha.update(block)
    return sha.hexdigest()


def send(sock, seed):
    for block in blocks(seed):
        sock.sendall(block)


def receive(sock):
    """sha256 of SIZE bytes."""
    sha, left = hashlib.sha256(), SIZE
    while left:
        data = sock.recv(min(BLOCK, left))
        check(data, f"the stream ended {left} bytes early")
        sha.update(data)
        left -= len(data)
    return sha.hexdigest()


def server(sock):
    """Says what it got, sends as much, and waits for the client's end."""
    sock.sendall(receive(sock).encode())
    send(sock, 2)
    sock.recv(1)
    sock.close()


def wire(lab):
    """Joins p0 and the TAP of the daemon; the kernel has no address on either."""
    mesh = lab.namespace("mesh")
    within(10, lambda: "mtap0" in netns.run("ip", "-n", mesh, "link"), "the TAP")
    netns.run("ip", "netns", "exec", mesh, "sysctl", "-qw", "net.ipv6.conf.mtap0.disable_ipv6=1")
    netns.run("ip", "-n", mesh, "link", "set", "mtap0", "up")
    lab.wire = lab.run("mesh", "impair", [BUILD / "tests/smoke/impair", "p0", "mtap0", 11, 100, 0, 0, 0, 0])
    lab.wire.wait_line("ready")


def measured(words, work):
    began = time.monotonic()
    work()
    seconds = time.monotonic() - began
    print(f"{words}: {SIZE >> 20} MB in {seconds:.1f} s, {SIZE / seconds / 1e6:.1f} MB/s", flush=True)


def body():
    want = {}
    adding = threading.Thread(target=lambda: want.update(up=digest(1), down=digest(2)))
    adding.start()
    with Lab(servers=1) as lab, lab.listening("server1", PORT, server):
        daemon = lab.meltemi(ports=[TAP, P1])
        daemon.write("bulk.yaml", service("bulk.test", VIP, PORT, "tcp", [(lab.server(1), PORT, {})]))
        daemon.start()
        wire(lab)
        adding.join()
        sock = lab.connect("client", VIP, PORT, timeout=SECONDS)

        def up():
            send(sock, 1)
            equal(sock.recv(64, 0x100).decode(), want["up"], "sha256 of what the server got")

        def down():
            equal(receive(sock), want["down"], "sha256 of what the client got")

        measured("to Meltemi", up)
        measured("from Meltemi", down)
        sock.close()
        counts = lab.hurt()
        print(f"the wire: {counts}", flush=True)
        check(counts["lost"] > SIZE // 1448 // 100, f"the wire hardly hurt: {counts}")


main(body)
