#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Modes `tunnel-ipip` and `tunnel-gue`, with 1 and 3 workers, IPv4 and IPv6: packets reach servers as IP in IP, or as GUE at UDP port 6080, which a
program unpacks to a TUN device of theirs, because not every kernel has the device. GUE has one source port for each flow. The servers answer clients past the node. Bytes of TCP arrive whole (SHA-256) although a full packet
does not fit, because the client learns the path's MTU from the node; datagrams that are too long are refused by the node's error.
"""

import errno
import fcntl
import json
import os
import socket
import struct
import threading

from meltemi_lab import Lab, check, equal, main, netns, within
from meltemi_lab.direct import SERVERS, VIP4, VIP6, bulk, datagrams, entry, too_long, wire

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
IPV6_IN_IP = 41
GUE_PORT = 6080


class Unpacker:
    """Gives the payload of each tunnel packet of a server to its kernel, and remembers outer headers of IPv4."""

    def __init__(self, lab, number):
        server = lab.namespace(f"server{number}")
        self.outer = set()
        self.ports = {}  # of inner (source, port): source ports of GUE
        with netns.inside(server):
            self.tun = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(self.tun, TUNSETIFF, struct.pack("16sH", b"tunl0", IFF_TUN | IFF_NO_PI))
            self.socks = [socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IPIP),
                          socket.socket(socket.AF_INET6, socket.SOCK_RAW, IPV6_IN_IP)]
            self.gue = [gue_socket(socket.AF_INET), gue_socket(socket.AF_INET6)]
        netns.run("ip", "-n", server, "link", "set", "tunl0", "up")
        netns.sysctl(server, net__ipv4__conf__tunl0__rp_filter=0)
        for sock in self.socks + self.gue:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
            lab.sockets.append(sock)
            threading.Thread(target=self.unpack_gue if sock in self.gue else self.unpack, args=(sock,), daemon=True).start()

    def unpack(self, sock):
        while True:
            try:
                data, peer = sock.recvfrom(65536)
                if sock.family == socket.AF_INET:
                    self.outer.add((peer[0], data[1] == data[21], data[6] & 0x40 == data[26] & 0x40, data[8]))
                    data = data[20:]
                os.write(self.tun, data)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.EIO):
                    continue
                return


    def unpack_gue(self, sock):
        while True:
            try:
                data, peer = sock.recvfrom(65536)
                inner = 4 if sock.family == socket.AF_INET else IPV6_IN_IP
                equal(data[:4], bytes([0, inner, 0, 0]), "the header of GUE")
                data = data[4:]
                at = 20 if inner == 4 else 40
                self.ports.setdefault((data[:at][-8 if inner == 4 else 8:], data[at:at + 2]), set()).add(peer[1])
                os.write(self.tun, data)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.EIO):
                    continue
                return


def gue_socket(family):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("", GUE_PORT))
    return sock


def listed(daemon, *words):
    return json.loads(daemon.shell("--json", "show", "flows", "list", *words))["list"]


def forwarded(workers, mode, over4, over6):
    with Lab(servers=2, ipv6=True) as lab:
        wire(lab)
        unpackers = [Unpacker(lab, number) for number in (1, 2)]
        daemon = lab.meltemi(workers=workers)
        daemon.write("direct.yaml", entry(mode, *SERVERS))
        daemon.start()
        within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 4, "four forwarded addresses")
        equal({(row["mode"], row["state"]) for row in daemon.show("forwarding")["forwarding"]}, {(mode, "forwarded")}, "`show forwarding`")
        for vip, over in ((VIP4, over4), (VIP6, over6)):
            sock, _ = bulk(lab, vip)
            row, = listed(daemon, f"sport={sock.getsockname()[1]}")
            equal((row["mode"], row["state"], row["packets_out"]), (mode, "established", 0), "an open flow")
            sock.close()
            datagrams(lab, vip)
            too_long(lab, vip, 1500 - over)
        for unpacker in unpackers:
            if mode == "tunnel-ipip":
                equal(unpacker.outer, {("198.51.100.1", True, True, 64)}, "outer source, DSCP and DF as the packet's, TTL")
            else:
                check(len(unpacker.ports) > 5 and all(len(ports) == 1 for ports in unpacker.ports.values()), "one source port for each flow")
                check(len({port for ports in unpacker.ports.values() for port in ports}) > 5, "many source ports")
        check(daemon.counters()["l4_too_big"] >= 2, "l4_too_big")
        print(f"{mode}, {workers} worker(s)", flush=True)


def body():
    for workers in (1, 3):
        forwarded(workers, "tunnel-ipip", 20, 40)
        forwarded(workers, "tunnel-gue", 32, 52)


main(body)
