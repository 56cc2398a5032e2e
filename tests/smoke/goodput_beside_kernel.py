#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Bulk over a wire that loses 1 %, both directions: Meltemi's TCP beside the kernel's own on the same wire, alternating.

The wire is c0-p0; p0 is the kernel's in one turn and Meltemi's (an opaque service to a server behind it) in the next.
Both have CUBIC and room for all that is in flight. A short run (two turns each, 5 ms each way, IPv4) has a loose floor;
--long does five turns at 20 ms over IPv4 and IPv6 (--family 4 or 6: one of them) and holds the medians to 80 %.
"""

import argparse
import json
import os
import socket
import statistics
import time

from meltemi_lab import BUILD, Lab, check, main, netns, streams
from meltemi_lab.documents import service

PORT = 7000
VIP = {4: "240.240.2.1", 6: "2001:db8:f::1"}
SERVER = {4: "198.51.100.11", 6: '"2001:db8:2::11"'}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", default=bool(os.environ.get("MELTEMI_LONG")))
    parser.add_argument("--family", type=int, choices=(4, 6), action="append")
    parser.add_argument("--json", default=str(BUILD / "goodput_beside_kernel.json"))
    parser.add_argument("-v", action="store_true")
    return parser.parse_args()


ARGS = arguments()
TURNS, DELAY_US, SIZE, FLOOR = (5, 20000, 4 << 20, 0.8) if ARGS.long else (2, 5000, 6 << 20, 0.6)


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


def kernel(turn, family):
    with Lab(servers=0, ipv6=True, impair=hurt(turn)) as lab:
        mesh = lab.namespace("mesh")
        netns.run("ip", "netns", "exec", mesh, "sysctl", "-qw", "net.ipv6.conf.p0.disable_ipv6=0")
        netns.kernel_end(mesh, "p0", "192.0.2.1/24", "2001:db8:1::1/64")
        with lab.listening("mesh", PORT, sink), lab.listening("mesh", PORT + 1, source):
            return both(lab, "192.0.2.1" if family == 4 else "2001:db8:1::1")


def meltemi(turn, family):
    with Lab(servers=1, ipv6=True, impair=hurt(turn)) as lab:
        netns.run("ip", "-n", lab.namespace("client"), "-6", "route", "add", "2001:db8:f::/48", "via", "2001:db8:1::1")
        with lab.listening("server1", PORT, sink), lab.listening("server1", PORT + 1, source):
            daemon = lab.meltemi()
            for name, port in (("sink", PORT), ("source", PORT + 1)):
                daemon.write(f"{name}.yaml",
                             service(f"{name}.test", f'"{VIP[family]}"', port, f"tcp-{name}", [(SERVER[family], port, {})]))
            daemon.start()
            return both(lab, VIP[family])


def compare(family):
    """Alternating turns over one family; the ratios of the medians, up and down."""
    found = {"kernel": [], "meltemi": []}
    for turn in range(TURNS):
        for name, run in (("kernel", kernel), ("meltemi", meltemi)):
            rates, counts = run(turn, family)
            check(counts["lost"] > 20, f"the wire hardly hurt: {counts}")
            found[name].append(rates)
            print(f"IPv{family} {name}: up {rates[0] / 1e6:.2f} MB/s, down {rates[1] / 1e6:.2f} MB/s over {counts}", flush=True)
    ratios = []
    for way, words in enumerate(("from the kernel to Meltemi", "from Meltemi to the kernel")):
        median = {name: statistics.median(rates[way] for rates in turns) for name, turns in found.items()}
        ratios.append(round(median["meltemi"] / median["kernel"], 3))
        print(f"IPv{family} {words}: {median['meltemi'] / 1e6:.2f} MB/s, {ratios[-1]:.2f} of the kernel's own", flush=True)
    return {"family": family, "turns": found, "up": ratios[0], "down": ratios[1]}


def body():
    families = ARGS.family or ([4, 6] if ARGS.long else [4])
    results = [compare(family) for family in families]
    with open(ARGS.json, "w", encoding="utf-8") as file:
        json.dump({"loss": 0.01, "delay_ms": DELAY_US / 1000, "bytes": SIZE, "floor": FLOOR, "results": results}, file, indent=1)
    for result in results:
        for way in ("up", "down"):
            check(result[way] >= FLOOR, f"IPv{result['family']} {way}: {result[way]} of the kernel's own, the floor is {FLOOR}")


main(body)
