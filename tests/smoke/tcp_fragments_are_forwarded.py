#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
TCP segments of kernels that send without DF, over a route with a smaller MTU, are forwarded at layer 4 as fragments, over TAP ports, with 1 and
3 workers, by `nat` and `nat-full`: uploads and downloads arrive whole (SHA-256), and their flows close. Fragments that divide the TCP
header are dropped and counted, and so are those for the terminated port beside them, which serves whole segments. IPv6 has its packets in unit/l4.
"""

import hashlib
import json
import os
import socket
import struct
import threading

from meltemi_lab import Lab, check, equal, main, netns, within

PORT = 5432
VIPS = {"nat": ("240.240.5.1", "192.0.2.2"), "full": ("240.240.5.2", "198.51.100.50")}  # and what endpoints see as the source
TERMINATED = "240.240.5.3"
BULK, MTU = 200_000, 576
TAPS = ('name: t0, device: "net_tap0,iface=mt0", profile: tap, addresses: [192.0.2.1/24]',
        'name: t1, device: "net_tap1,iface=mt1", profile: tap, addresses: [198.51.100.1/24]')

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: net{annotations}}}
spec:
  hosts: [{name}.example]
  addresses: [{vip}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 5432, name: tcp-sql}}]
  endpoints: [{{address: 198.51.100.11}}]
"""


def entry(name, vip, mode=None):
    annotations = f', annotations: {{meltemi.io/forwarding: "tcp-sql={mode}"}}' if mode else ""
    return ENTRY.format(name=name, vip=vip, annotations=annotations)


def received(sock, size):
    data = bytearray()
    while len(data) < size and (got := sock.recv(min(65536, size - len(data)))):
        data += got
    return bytes(data)


def serve(sock):
    """Reads BULK bytes; answers with the address it sees, their digest, and as many bytes and their digest."""
    with sock:
        digest, data = hashlib.sha256(received(sock, BULK)).digest(), os.urandom(BULK)
        sock.sendall(socket.inet_aton(sock.getpeername()[0]) + digest + data + hashlib.sha256(data).digest())
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)


def server(lab):
    with lab.inside("server1"):
        listener = socket.create_server(("0.0.0.0", PORT))
    lab.sockets.append(listener)

    def run():
        while True:
            try:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            except OSError:
                return

    threading.Thread(target=run, daemon=True).start()


def exchange(lab, vip, source):
    sock, data = lab.connect("client", vip, PORT), os.urandom(BULK)
    sock.settimeout(30)
    sock.sendall(data)
    seen, digest = received(sock, 4), received(sock, 32)
    equal((socket.inet_ntoa(seen), digest), (source, hashlib.sha256(data).digest()), f"{vip}: source and upload at the server")
    back = received(sock, BULK)
    equal(received(sock, 32), hashlib.sha256(back).digest(), f"{vip}: the download")
    equal(sock.recv(1), b"", f"{vip}: the server's FIN")
    sock.close()


def without_df(lab, role, router, match):
    """TCP of `match` in that namespace leaves without DF, in fragments: its sockets believe that the path takes 1,500 bytes."""
    name = lab.namespace(role)
    netns.sysctl(name, net__ipv4__ip_no_pmtu_disc=1)
    netns.run("ip", "-n", name, "route", "add", "default", "via", router, "mtu", "lock", str(MTU), "table", "77")
    netns.run("ip", "-n", name, "rule", "add", "fwmark", "7", "table", "77")
    netns.run("ip", "netns", "exec", name, "iptables", "-t", "mangle", "-A", "OUTPUT", "-p", "tcp", *match, "-m", "length", "--length", f"{MTU + 1}:",
              "-j", "MARK", "--set-mark", "7")


def joined(lab, role):
    """Packets that the namespace's kernel has put together."""
    names, values = (line.split() for line in netns.run("ip", "netns", "exec", lab.namespace(role), "cat", "/proc/net/snmp").splitlines()[:2])
    return int(dict(zip(names, values))["ReasmOKs"])


def counted(daemon, reason):
    for line in daemon.http("/metrics")[1].splitlines():
        if reason in line and not line.startswith("#"):
            return float(line.rsplit(" ", 1)[1])
    return 0


def fragment(vip, ident, offset, part):
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), ident, 0x2000 | offset // 8, 64, 6, 0,
                       socket.inet_aton("192.0.2.2"), socket.inet_aton(vip)) + part


def refused(lab, daemon):
    with lab.inside("client"):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    lab.sockets.append(raw)
    vip = VIPS["nat"][0]
    segment = struct.pack("!HHIIBBHHH", 999, PORT, 1, 0, 5 << 4, 2, 8192, 0, 0) + bytes(100)
    for ident, offset in ((1, 0), (1, 8), (2, 16)):
        raw.sendto(fragment(vip, ident, offset, segment[offset:offset + 8]), (vip, 0))
    within(5, lambda: counted(daemon, "l4_fragment_tiny") == 3, "fragments that divide the TCP header")
    before = counted(daemon, "net_ip_fragment_refused")
    for offset in (0, 40):
        raw.sendto(fragment(TERMINATED, 3, offset, segment[offset:offset + 40]), (TERMINATED, 0))
    within(5, lambda: counted(daemon, "net_ip_fragment_refused") == before + 2, "fragments for a terminated port")


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
    with Lab(servers=1) as lab:
        without_df(lab, "client", "192.0.2.1", ("!", "-d", TERMINATED))
        # Replies to the terminated service go to an address of the port.
        without_df(lab, "server1", "198.51.100.1", ("!", "-d", "198.51.100.1"))
        server(lab)
        netns.run("ip", "-n", lab.namespace("server1"), "route", "add", "192.0.2.0/24", "via", "198.51.100.1")
        daemon = lab.meltemi(ports=TAPS, workers=workers)
        daemon.node.write_text(daemon.node.read_text() + "  nat: {addresses: [198.51.100.50]}\n")
        daemon.write("nat.yaml", entry("nat", VIPS["nat"][0], "nat"))
        daemon.write("full.yaml", entry("full", VIPS["full"][0], "nat-full"))
        daemon.write("plain.yaml", entry("plain", TERMINATED))
        daemon.start()
        bridge(lab)
        within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 2, "two forwarded rows")
        for _name, (vip, source) in VIPS.items():
            for _ in range(4):
                exchange(lab, vip, source)
        sent = 8 * (BULK // 1460)
        for role in ("server1", "client"):
            check(joined(lab, role) >= sent, f"{role} has put together {joined(lab, role)} segments of at least {sent}")
        flows = json.loads(daemon.shell("--json", "show", "flows", "list"))["list"]
        check(all(flow["state"] in ("time_wait", "closing") for flow in flows), f"flows that did not close: {flows}")
        refused(lab, daemon)
        exchange(lab, TERMINATED, "198.51.100.1")
        print(f"{workers} worker(s): {joined(lab, 'server1')} and {joined(lab, 'client')} segments in fragments", flush=True)


def body():
    forwarded(workers=1)
    forwarded(workers=3)


main(body)
