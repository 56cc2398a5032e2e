#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Modes `tunnel-ipip` and `tunnel-gue`, with 1 and 3 workers, IPv4 and IPv6: devices of the Linux kernel (ipip, ip6_tunnel, fou) unpack the
packets. Two servers run in a virtual machine with Debian's kernel, because not every kernel has these devices. They are prepared by the
commands of docs/how-to/layer-4.md: server 1 takes tunnel packets of all senders, server 2 only those of the node. They answer clients by links
of their own, past the node. Bytes of TCP arrive whole in both directions (SHA-256), and those of UDP; a client learns the path's MTU from the
node, or the server's MSS makes that unnecessary; an ICMP error for the service's address reaches the server of its flow; echo requests show
that both servers are healthy.
"""

import collections
import json
import pathlib
import re
import socket
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import PATIENCE, ROOT, Lab, check, emulator, equal, main, netns, within  # noqa: E402
from meltemi_lab.direct import CLIENT, PORT, SERVERS, VIP4, VIP6, bulk, checksum, datagrams, entry, path_mtu, too_long  # noqa: E402
from meltemi_lab.page import blocks  # noqa: E402

from guest import Guest  # noqa: E402

PAGE = ROOT / "docs/how-to/layer-4.md"
OVER = {"tunnel-ipip": (20, 40), "tunnel-gue": (32, 52)}  # bytes of outer headers
# The page's addresses as the lab has them.
OF_THE_LAB = {"192.0.2.53": VIP4, "2001:db8::53": VIP6, "192.0.2.10": "198.51.100.1", "2001:db8::10": "2001:db8:2::1", "2001:db8:1::12": SERVERS[3]}
DEVICES = {1: ("tunl0", "ip6tnl0"), 2: ("node1", "node1v6")}
ETH_P_ALL, PACKET_OUTGOING = 3, 4
IP_IN_IP, IPV6_IN_IP, GUE_PORT = 4, 41, 6080


class Seen:
    """Counts what the wires of both servers carry: (IP version, kind of packet)."""

    def __init__(self, lab):
        self.packets, self.wrong = collections.Counter(), set()
        for number in (1, 2):
            with netns.inside(lab.namespace("net")):
                sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_000_000)
                sock.bind((f"g{number}", ETH_P_ALL))
            lab.sockets.append(sock)
            threading.Thread(target=self.read, args=(sock,), daemon=True).start()

    def read(self, sock):
        while True:
            try:
                data, peer = sock.recvfrom(128)
            except OSError:
                return
            version = data[0] >> 4
            if version not in (4, 6) or peer[1] not in (0x0800, 0x86dd):
                continue
            protocol, head = (data[9], 20) if version == 4 else (data[6], 40)
            if peer[2] == PACKET_OUTGOING:  # to the guest
                self.to_server(version, protocol, data[head:])
            elif VIP4 == socket.inet_ntoa(data[12:16]) if version == 4 else VIP6 == socket.inet_ntop(socket.AF_INET6, data[8:24]):
                self.packets[version, "reply"] += 1

    def to_server(self, version, protocol, payload):
        if protocol in (IP_IN_IP, IPV6_IN_IP):
            self.packets[version, "tunnel-ipip"] += 1
        elif protocol == socket.IPPROTO_UDP and payload[2:4] == GUE_PORT.to_bytes(2, "big"):
            self.packets[version, "tunnel-gue"] += 1
            # fou of Linux 6.1 takes a sum of 0 over IPv6, too; hosts need not.
            if (payload[6:8] == b"\0\0") != (version == 4) or payload[8:12] != bytes([0, IP_IN_IP if version == 4 else IPV6_IN_IP, 0, 0]):
                self.wrong.add((version, payload[6:12]))


def of_page(heading, at):
    """A block of commands of the page, with the lab's addresses."""
    text = [text for found, kind, _, text in blocks(PAGE.read_text()) if (found, kind) == (heading, "commands")][at]
    return re.sub(r"[\w.:]+", lambda word: OF_THE_LAB.get(word[0], word[0]), text)


def prepare(guest):
    every = of_page("IP in IP", 0).splitlines()
    guest.run(1, "\n".join([*every, of_page("GUE", 0)]))
    guest.run(2, "\n".join([*(line for line in every if "dev lo" in line), of_page("IP in IP", 1), of_page("GUE", 0)]))
    for number in (1, 2):
        guest.serve(number)


def advertise(guest, number, over4, over6):
    """The page's routes, by which the server announces an MSS that fits into the tunnel."""
    text = of_page("IP in IP", 2)
    for found, size in (("advmss 1440 ", 1460 - over4), ("advmss 1400 ", 1440 - over6)):
        check(found in text, f"the page has no {found}")
        text = text.replace(found, f"advmss {size} ")
    vias = iter((f"10.77.{number}.2", f"fd77:{number}::2"))
    guest.run(number, re.sub(r"via \S+", lambda _: f"via {next(vias)}", text))


def forget(lab, guest):
    """Routes without an MSS, and path MTUs that were learned."""
    for number in (1, 2):
        guest.run(number, f"ip route change default via 10.77.{number}.2; ip -6 route change default via fd77:{number}::2; ip route flush cache; ip -6 route flush cache")
    for family in ("-4", "-6"):
        netns.run("ip", "-n", lab.namespace("client"), family, "route", "flush", "cache")


def forged(lab):
    """Tunnel packets of another host of the network, for both servers; only server 1 takes them."""
    with lab.inside("client"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wires = {"IP in IP": (socket.socket(socket.AF_INET, socket.SOCK_RAW, IP_IN_IP), b"", 0),
                 "GUE": (socket.socket(socket.AF_INET, socket.SOCK_DGRAM), bytes([0, IP_IN_IP, 0, 0]), GUE_PORT)}
    sock.bind((CLIENT[VIP4], 0))
    sock.settimeout(PATIENCE)
    for name, (wire, head, port) in wires.items():
        for number in (2, 1):
            text = f"{name} {number}".encode()
            addresses = socket.inet_aton(CLIENT[VIP4]) + socket.inet_aton(VIP4)
            packet = struct.pack("!BBHHHBBH8s", 0x45, 0, 28 + len(text), 0, 0, 64, socket.IPPROTO_UDP, 0, addresses)
            packet = packet[:10] + struct.pack("!H", checksum(packet)) + packet[12:]
            packet += struct.pack("!HHHH", sock.getsockname()[1], PORT, 8 + len(text), 0) + text
            wire.sendto(head + packet, (SERVERS[number - 1], port))
        equal(sock.recv(100), f"1 {CLIENT[VIP4]} {name} 1".encode(), f"the answer to {name} of another sender")
        wire.close()
    sock.close()


def of_both(lab, vip):
    """Bytes of TCP with each of the servers."""
    seen = set()
    for _ in range(30):
        sock, number = bulk(lab, vip)
        sock.close()
        seen.add(number)
        if len(seen) == 2:
            return
    equal(seen, {1, 2}, f"{vip}: servers of 30 connections")


def counted(guest):
    """{device: packets received}, without errors."""
    found = {}
    for number, names in DEVICES.items():
        rows = {row["ifname"]: row["stats64"]["rx"] for row in json.loads(guest.run(number, "ip -j -s link"))}
        for name in names:
            equal((rows[name]["errors"], rows[name]["dropped"]), (0, 0), f"errors and drops of {name}")
            found[name] = rows[name]["packets"]
        udp = guest.run(number, "while read name value; do case $name in Udp6InCsumErrors|Udp6NoPorts) echo $value;; esac; done </proc/net/snmp6")
        equal(udp.split(), ["0", "0"], f"server {number}: datagrams of IPv6 with a wrong sum, or for no port")
    return found


def forwarded(lab, daemon, guest, seen, mode):
    before = counted(guest)
    seen.packets.clear()
    for vip, over in zip((VIP4, VIP6), OVER[mode]):
        of_both(lab, vip)
        datagrams(lab, vip)
        too_long(lab, vip, 1500 - over)
        path_mtu(lab, vip, lambda number, vip=vip: guest.run(number, f"ip route get {CLIENT[vip]} from {vip}"))
    forget(lab, guest)
    for number in (1, 2):
        advertise(guest, number, *OVER[mode])
    large = daemon.counters()["l4_too_big"]
    check(large >= 4, f"l4_too_big is {large}")
    for vip in (VIP4, VIP6):
        of_both(lab, vip)
    equal(daemon.counters()["l4_too_big"], large, "errors about segments of the MSS that servers announce")
    after = counted(guest)
    check(all(after[name] > before[name] + 100 for name in after), f"packets of the devices: {before}, then {after}")
    equal((set(seen.packets), seen.wrong), ({(4, mode), (6, mode)}, set()), "packets on the wires of the servers, and wrong sums and headers of GUE")
    equal({row["unhealthy"] for row in daemon.show("forwarding")["forwarding"]}, {0}, "endpoints that do not answer echo requests")
    forget(lab, guest)


def body():
    emulator.made()
    with Lab(servers=0, ipv6=True) as lab:
        client = lab.namespace("client")
        netns.run("ip", "-n", client, "route", "replace", f"{VIP4}/32", "via", "192.0.2.1")
        netns.run("ip", "-n", client, "-6", "route", "replace", f"{VIP6}/128", "via", "2001:db8:1::1")
        guest = Guest(lab)
        guest.boot()
        print(f"kernel {guest.release}", flush=True)
        prepare(guest)
        forged(lab)
        seen, daemon = Seen(lab), lab.meltemi()
        for workers in (1, 3):
            daemon.node.write_text(re.sub(r"workers: \d", f"workers: {workers}", daemon.node.read_text()))
            for mode in OVER:
                daemon.write("direct.yaml", entry(f"{mode}, meltemi.io/health-check: icmp", *SERVERS))
                daemon.start()
                within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 4, "four forwarded addresses")
                equal({(row["mode"], row["state"]) for row in daemon.show("forwarding")["forwarding"]}, {(mode, "forwarded")}, "`show forwarding`")
                forwarded(lab, daemon, guest, seen, mode)
                print(f"{mode}, {workers} worker(s): {dict(seen.packets)}", flush=True)
                if (workers, mode) != (3, "tunnel-gue"):
                    daemon.stop()


main(body)
