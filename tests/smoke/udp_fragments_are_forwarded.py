#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Datagrams that are longer than the links' MTU are forwarded at layer 4 as fragments, over TAP ports, with 1 and 3 workers, IPv4 and IPv6, `nat`
and `nat-full`: each is answered with its own bytes by the endpoint of its flow, which also gets the short ones. Fragments in reverse order
wait for the first one, and those without a first one are dropped and counted. (A packet socket puts fragments together, so it cannot show this.)
"""

import hashlib
import random
import socket
import struct
import threading

from meltemi_lab import PATIENCE, Lab, check, equal, main, netns, within

PORT = 5353
SERVICES = {  # VIPs, and what endpoints see as the source
    "nat": (("240.240.5.1", "192.0.2.2"), ("2001:db8:f::1", "2001:db8:1::2")),
    "full": (("240.240.5.2", "198.51.100.50"), ("2001:db8:f::2", "2001:db8:2::50")),
}
LENGTHS = (100, 1472, 4_000, 60_000)
FLOWS, ALL = 24, 8  # endpoints are drawn at random; the last flows, of short datagrams only, are there so that none has all of them
TAPS = ('name: t0, device: "net_tap0,iface=mt0", profile: tap, addresses: [192.0.2.1/24, "2001:db8:1::1/64"]',
        'name: t1, device: "net_tap1,iface=mt1", profile: tap, addresses: [198.51.100.1/24, "2001:db8:2::1/64"]')

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: net, annotations: {{meltemi.io/forwarding: "{mode}"}}}}
spec:
  hosts: [{name}.example]
  addresses: [{vip4}, "{vip6}"]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 5353, name: udp-echo}}]
  endpoints: [{{address: 198.51.100.11}}, {{address: 198.51.100.12}}, {{address: "2001:db8:2::11"}}, {{address: "2001:db8:2::12"}}]
"""


def echo(lab, number, family):
    """Answers each datagram with itself, and the server's number and what it sees as the source in front."""
    with lab.inside(f"server{number}"):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("", PORT))
    lab.sockets.append(sock)

    def run():
        while True:
            try:
                data, peer = sock.recvfrom(65536)
                sock.sendto(f"{number} {peer[0]} {peer[1]} ".encode() + data[:-60], peer[:2])
            except OSError:
                return

    threading.Thread(target=run, daemon=True).start()


def client(lab, family):
    with lab.inside("client"):
        sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind(("192.0.2.2" if family == socket.AF_INET else "2001:db8:1::2", 0))
    sock.settimeout(5)
    lab.sockets.append(sock)
    return sock


def exchange(sock, vip, length, tries=4):
    """Server, source and port that it saw, for a datagram of random bytes; UDP may lose it."""
    data = random.Random(length).randbytes(length)
    for _ in range(tries):
        sock.sendto(data, (vip, PORT))
        try:
            answer, peer = sock.recvfrom(65536)
        except TimeoutError:
            continue
        equal(peer[:2], (vip, PORT), "the sender of the answer")
        server, source, port, rest = answer.split(b" ", 3)
        equal(hashlib.sha256(rest).hexdigest(), hashlib.sha256(data[:-60]).hexdigest(), f"{length} bytes to {vip}")
        return server, source.decode(), port
    return None


def flows(lab):
    for name, ends in SERVICES.items():
        for vip, source in ends:
            servers = set()
            for number in range(FLOWS):
                sock = client(lab, socket.AF_INET6 if ":" in vip else socket.AF_INET)
                seen = {exchange(sock, vip, length) for length in (LENGTHS if number < ALL else LENGTHS[:1])}
                check(None not in seen and len(seen) == 1, f"{name} {vip}, flow {number}: {seen}")
                server, address, _port = seen.pop()
                equal(address, source, f"{name} {vip}: the source that the endpoint sees")
                servers.add(server)
            equal(len(servers), 2, f"{name} {vip}: endpoints that were used")


def fragment(sport, ident, offset, part, more):
    """An IPv4 fragment of a datagram to the first VIP."""
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), ident, (0x2000 if more else 0) | offset // 8, 64, 17, 0,
                       socket.inet_aton("192.0.2.2"), socket.inet_aton(SERVICES["nat"][0][0])) + part


def reversed_order(lab, daemon):
    sock = client(lab, socket.AF_INET)
    with lab.inside("client"):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    lab.sockets.append(raw)
    data = random.Random(1).randbytes(3000)
    whole = struct.pack("!HHHH", sock.getsockname()[1], PORT, 8 + len(data), 0) + data
    parts = [(at, whole[at:at + 1000], at + 1000 < len(whole)) for at in range(0, len(whole), 1000)]
    vip = SERVICES["nat"][0][0]
    for at, part, more in reversed(parts):
        raw.sendto(fragment(sock.getsockname()[1], 7, at, part, more), (vip, 0))
    sock.settimeout(PATIENCE)
    answer, peer = sock.recvfrom(65536)
    equal((peer, answer.split(b" ", 3)[3]), ((vip, PORT), data[:-60]), "the answer to fragments in reverse order")
    check(counted(daemon, "fragments_kept") >= 3, "no fragment has waited")
    for at, part, more in parts[1:]:
        raw.sendto(fragment(sock.getsockname()[1], 8, at, part, more), (vip, 0))
    within(5, lambda: counted(daemon, "fragments_expired") == 3, "fragments without a first one")


def counted(daemon, reason):
    for line in daemon.http("/metrics")[1].splitlines():
        if reason in line and not line.startswith("#"):
            return float(line.rsplit(" ", 1)[1])
    return 0


def bridge(lab):
    """The TAPs and the links of the lab are ports of bridges, which pass fragments as they are."""
    mesh = lab.namespace("mesh")
    for number in (0, 1):
        netns.bridge(mesh, f"tb{number}")
        # A bridge keeps frames for the address of one of its ports, and the TAP has Meltemi's.
        netns.run("ip", "-n", mesh, "link", "set", f"mt{number}", "address", f"02:00:00:00:77:0{number}")
        for iface in (f"p{number}", f"mt{number}"):
            netns.run("ip", "-n", mesh, "link", "set", iface, "master", f"tb{number}")
        netns.run("ip", "-n", mesh, "link", "set", f"mt{number}", "up")
        netns.run("ip", "-n", mesh, "link", "set", f"tb{number}", "up")


def forwarded(workers):
    with Lab(servers=2, ipv6=True) as lab:
        for number in (1, 2):
            echo(lab, number, socket.AF_INET)
            echo(lab, number, socket.AF_INET6)
            server = lab.namespace(f"server{number}")
            netns.run("ip", "-n", server, "route", "add", "192.0.2.0/24", "via", "198.51.100.1")
            netns.run("ip", "-n", server, "-6", "route", "add", "2001:db8:1::/64", "via", "2001:db8:2::1")
        netns.run("ip", "-n", lab.namespace("client"), "-6", "route", "add", "2001:db8:f::/48", "via", "2001:db8:1::1")
        daemon = lab.meltemi(ports=TAPS, workers=workers)
        daemon.node.write_text(daemon.node.read_text() + '  nat: {addresses: [198.51.100.50, "2001:db8:2::50"]}\n')
        for name, mode in (("nat", "nat"), ("full", "nat-full")):
            daemon.write(f"{name}.yaml", ENTRY.format(name=name, mode=mode, vip4=SERVICES[name][0][0], vip6=SERVICES[name][1][0]))
        daemon.start()
        bridge(lab)
        within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 4, "four forwarded rows")
        flows(lab)
        reversed_order(lab, daemon)
        print(f"{workers} worker(s): {(len(LENGTHS) * ALL + FLOWS - ALL) * 4} datagrams", flush=True)


def body():
    forwarded(workers=1)
    forwarded(workers=3)


main(body)
