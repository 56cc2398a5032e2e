# SPDX-License-Identifier: Apache-2.0
"""
Servers that answer clients past the node: they have the VIPs on lo and a link of their own to the client. TCP and UDP at PORT, IPv4 and IPv6,
and clients that check each byte, each address, and that a flow stays with its server.
"""

import errno
import hashlib
import os
import socket
import struct
import threading

from . import netns
from .check import PATIENCE, check, equal, within

PORT = 5353
VIP4, VIP6 = "203.0.113.7", "2001:db8:77::1"
CLIENT = {VIP4: "192.0.2.2", VIP6: "2001:db8:1::2"}
SERVERS = ["198.51.100.11", "198.51.100.12", "2001:db8:2::11", "2001:db8:2::12"]
BULK = 2_000_000

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: direct, namespace: net, annotations: {{meltemi.io/forwarding: {mode}}}}}
spec:
  hosts: [direct.example]
  addresses: ["{vip4}", "{vip6}"]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: tcp-bytes, protocol: TCP}}, {{number: {port}, name: udp-bytes, protocol: UDP}}]
  endpoints: [{endpoints}]
"""


def entry(mode, *endpoints):
    listed = ", ".join(f'{{address: "{address}"}}' for address in endpoints)
    return ENTRY.format(mode=mode, vip4=VIP4, vip6=VIP6, port=PORT, endpoints=listed)


def direct_link(lab, number):
    """The server has the VIPs, tells no neighbour of them, and a link to the client."""
    server, client = lab.namespace(f"server{number}"), lab.namespace("client")
    netns.veth(server, "back", client, f"back{number}")
    for ns, device, host in ((server, "back", 1), (client, f"back{number}", 2)):
        netns.run("ip", "-n", ns, "addr", "add", f"10.77.{number}.{host}/24", "dev", device)
        netns.run("ip", "-n", ns, "addr", "add", f"fd77:{number}::{host}/64", "dev", device, "nodad")
        netns.sysctl(ns, net__ipv4__conf__all__rp_filter=0, **{f"net__ipv4__conf__{device}__rp_filter": 0})
    netns.sysctl(server, net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__arp_announce=2)
    netns.run("ip", "-n", server, "addr", "add", f"{VIP4}/32", "dev", "lo")
    netns.run("ip", "-n", server, "addr", "add", f"{VIP6}/128", "dev", "lo", "nodad")
    netns.run("ip", "-n", server, "route", "replace", f"{CLIENT[VIP4]}/32", "via", f"10.77.{number}.2")
    netns.run("ip", "-n", server, "-6", "route", "replace", f"{CLIENT[VIP6]}/128", "via", f"fd77:{number}::2")


def received(sock, size):
    data = bytearray()
    while len(data) < size:
        got = sock.recv(min(65536, size - len(data)))
        if not got:
            break
        data += got
    return bytes(data)


def serve(sock, number):
    """One connection: the server's number, both addresses that it sees, then an upload's sum, then as many bytes with their own."""
    sock.sendall(f"{number} {sock.getpeername()[0]} {sock.getsockname()[0]}".ljust(128).encode())
    size, = struct.unpack("!Q", received(sock, 8))
    sock.sendall(hashlib.sha256(received(sock, size)).digest())
    data = os.urandom(size)
    sock.sendall(hashlib.sha256(data).digest() + data)
    while more := sock.recv(4096):
        sock.sendall(more)


class Server:
    """TCP and UDP of one family at all addresses of a server."""

    def __init__(self, lab, number, vip):
        self.number = number
        self.family = socket.AF_INET6 if ":" in vip else socket.AF_INET
        with lab.inside(f"server{number}"):
            self.stream = socket.socket(self.family, socket.SOCK_STREAM)
            self.datagrams = socket.socket(self.family, socket.SOCK_DGRAM)
        for sock in (self.stream, self.datagrams):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((vip, PORT))
            lab.sockets.append(sock)
        self.stream.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()
        threading.Thread(target=self.answer, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.stream.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(sock,), daemon=True).start()

    def one(self, sock):
        try:
            serve(sock, self.number)
        except (OSError, struct.error):
            pass
        finally:
            sock.close()

    def answer(self):
        while True:
            try:
                data, peer = self.datagrams.recvfrom(4096)
                self.datagrams.sendto(f"{self.number} {peer[0]} ".encode() + data, peer)
            except OSError:
                return


def connected(lab, vip):
    """(socket, number of its server)."""
    sock = lab.connect("client", vip, PORT)
    sock.settimeout(20)
    number, client, own = received(sock, 128).decode().split()
    equal((client, own), (CLIENT[vip], vip), "the connection's addresses as the server sees them")
    return sock, int(number)


def bulk(lab, vip):
    sock, number = connected(lab, vip)
    data = os.urandom(BULK)
    sock.sendall(struct.pack("!Q", BULK) + data)
    equal(received(sock, 32), hashlib.sha256(data).digest(), f"{vip}: the upload at the server")
    digest = received(sock, 32)
    equal(hashlib.sha256(received(sock, BULK)).digest(), digest, f"{vip}: the download")
    return sock, number


def datagrams(lab, vip):
    """Each flow stays with its server; both servers are used."""
    seen = set()
    for _ in range(24):
        with lab.inside("client"):
            sock = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((CLIENT[vip], 0))
        sock.settimeout(8)  # four tries
        numbers = set()
        for text in (b"one", b"", os.urandom(1400)):
            for _ in range(4):
                sock.sendto(text, (vip, PORT))
                try:
                    answer, peer = sock.recvfrom(4096)
                    break
                except TimeoutError:
                    continue
            else:
                check(False, f"{vip}: no answer to a datagram")
            number, client, data = answer.split(b" ", 2)
            equal((peer[:2], client.decode(), data), ((vip, PORT), CLIENT[vip], text), "an answer")
            numbers.add(int(number))
        equal(len(numbers), 1, f"{vip}: servers of one flow")
        seen |= numbers
        sock.close()
    equal(seen, {1, 2}, f"{vip}: servers of 24 flows")


def too_long(lab, vip, fits):
    """Datagrams with DF: one byte more than what fits is refused by the node, which names the MTU."""
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    headers = 48 if family == socket.AF_INET6 else 28
    with lab.inside("client"):
        sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # the same of IPv6
    sock.bind((CLIENT[vip], 0))
    sock.connect((vip, PORT))
    sock.settimeout(PATIENCE)
    sock.send(bytes(fits - headers))
    check(len(sock.recv(4096)) > 1000, f"{vip}: the answer to a datagram that fits")
    sock.settimeout(2)

    def refused():
        try:
            sock.send(bytes(fits - headers + 1))
            sock.recv(4096)
        except TimeoutError:
            return False
        except OSError as error:
            return error.errno == errno.EMSGSIZE
        return False

    within(10, refused, f"{vip}: a datagram of one byte more is refused")
    mtu = sock.getsockopt(socket.IPPROTO_IPV6, 24) if family == socket.AF_INET6 else sock.getsockopt(socket.IPPROTO_IP, 14)
    equal(mtu, fits, f"{vip}: the MTU that the client learned")
    sock.close()


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def too_big(vip, port, mtu):
    """An ICMP error about a datagram of the service to that port of the client; of IPv6, the socket adds the sum."""
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    addresses = socket.inet_pton(family, vip) + socket.inet_pton(family, CLIENT[vip])
    udp = struct.pack("!HHHH", PORT, port, 1480, 0)
    if family == socket.AF_INET6:
        return struct.pack("!BBHI", 2, 0, 0, mtu) + struct.pack("!IHBB", 6 << 28, 1480, socket.IPPROTO_UDP, 64) + addresses + udp
    quote = struct.pack("!BBHHHBBH", 0x45, 0, 1500, 0, 0x4000, 64, socket.IPPROTO_UDP, 0) + addresses + udp
    error = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quote
    return error[:2] + struct.pack("!H", checksum(error)) + error[4:]


def path_mtu(lab, vip, route):
    """A router on the way from the server to the client sends its error to the VIP. route(number): `ip route get` of the server, to the client."""
    family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if ":" in vip else (socket.AF_INET, socket.IPPROTO_ICMP)
    with lab.inside("client"):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        raw = socket.socket(family, socket.SOCK_RAW, protocol)
    sock.bind((CLIENT[vip], 0))
    sock.settimeout(PATIENCE)
    sock.sendto(b"x", (vip, PORT))
    number = int(sock.recv(100).split()[0])
    raw.sendto(too_big(vip, sock.getsockname()[1], 1300), (vip, 0))
    within(5, lambda: "mtu 1300" in route(number), f"{vip}: the server of the flow learns the path's MTU")
    check("mtu 1300" not in route(3 - number), f"{vip}: the other server learns it, too")
    sock.close()
    raw.close()


def wire(lab):
    """Both servers of the lab, and the client's routes to the VIPs."""
    client = lab.namespace("client")
    netns.run("ip", "-n", client, "route", "replace", f"{VIP4}/32", "via", "192.0.2.1")
    netns.run("ip", "-n", client, "-6", "route", "replace", f"{VIP6}/128", "via", "2001:db8:1::1")
    for number in (1, 2):
        direct_link(lab, number)
        Server(lab, number, VIP4)
        Server(lab, number, VIP6)
