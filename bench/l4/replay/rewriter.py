# SPDX-License-Identifier: Apache-2.0
"""
What must leave the node for a packet, by RFC 2663 (NAT), 2003 and 2473 (IP in IP), draft-ietf-intarea-gue, 5508 (ICMP errors), and
docs/how-to/layer-4.md. Checksums are computed from all bytes, not from differences.
"""
import struct

from frames import (ICMP, ICMP6, NODE, TCP, UDP, Packet, address, ethernet, fold, icmp, ip, ip_checksum, pseudo, put, station, summed,
                    words)

PORT, PORT_BEHIND, GUE = 4000, 5000, 6080
QUOTE = 112  # bytes of a packet that an error of the node quotes
VIPS = {True: address("192.0.2.80"), False: address("2001:db8::80")}
NAT = {True: address("203.0.113.1"), False: address("2001:db8:2::1")}
NODES = {True: address("198.51.100.254"), False: address("2001:db8:1::ff")}
ROUTERS = {True: address("192.0.2.254"), False: address("2001:db8::fe")}
ENDPOINTS = {True: [address(f"198.51.100.{i}") for i in (1, 2, 3)], False: [address(f"2001:db8:1::{i}") for i in (1, 2, 3)]}
SUM_AT = {UDP: 6, TCP: 16}


def with_checksum(body, proto, old, new):
    """
    The transport header and its data, of which addresses (old to new) and ports have changed: its checksum is as right or as wrong as
    it was. `old` has the addresses and the body before.
    """
    src, dst, before = old
    at = SUM_AT[proto]
    if proto == UDP and before[at:at + 2] == b"\0\0":
        return body
    was = fold(pseudo(src, dst, proto, len(before)) + words(before))
    if was == 0xFFFF:
        return summed(*new, proto, body, at)
    without = fold(pseudo(*new, proto, len(body)) + words(put(body, at, b"\0\0")))
    return put(body, at, struct.pack("!H", fold(was + 0xFFFF - without)))


def readdressed(packet, src, dst, ports):
    """The packet with other ends, and one hop less."""
    body = struct.pack("!HH", *ports) + packet.body[4:]
    body = with_checksum(body, packet.proto, (packet.src, packet.dst, packet.body), (src, dst))
    headers = put(packet.headers, 12 if packet.v4 else 8, src + dst)
    if packet.v4:
        headers = ip_checksum(headers)
    return Packet(headers + body).with_hops(packet.hops() - 1)


class Flow:
    """What the node chose for a client: learned from the first packet that leaves, and the same for all others."""

    def __init__(self, proto, client, port):
        self.proto, self.client, self.port = proto, client, port
        self.v4 = len(client) == 4
        self.endpoint = self.source = self.source_port = self.gue_port = None

    def learn(self, mode, frame):
        """Returns a reason why the choice is impossible, or None."""
        out = Packet(frame[14:])
        if mode == "dsr":
            self.endpoint = next((e for e in ENDPOINTS[self.v4] if station(e) == frame[:6]), None)
        else:
            self.endpoint = out.dst
        if self.endpoint not in ENDPOINTS[self.v4]:
            return "it is for no endpoint"
        if mode == "tunnel-gue":
            self.gue_port = out.ports[0]
            if self.gue_port < 49152:
                return "a source port of GUE below 49152"
        if mode.startswith("nat"):
            self.source, self.source_port = out.src, out.ports[0]
            wanted = (self.client, self.port) if mode == "nat" else (NAT[self.v4], max(self.source_port, 1024))
            if (self.source, self.source_port) != wanted:
                return f"source port {self.source_port} or its address"
        return None


class Rewriter:
    def __init__(self, mode):
        self.mode, self.ident = mode, 0

    def _tunnel(self, flow, packet):
        inner, df = packet.data, packet.v4 and packet.headers[6] & 0x40
        ends = (NODES[flow.v4], flow.endpoint)
        proto = 4 if flow.v4 else 41
        if self.mode == "tunnel-gue":
            inner = struct.pack("!HHHHBBH", flow.gue_port, GUE, 12 + len(inner), 0, 0, proto, 0) + inner
            proto = UDP
            if not flow.v4:
                inner = summed(*ends, UDP, inner, 6)
        if not flow.v4:
            first = struct.unpack("!I", packet.headers[:4])[0]
            return ip(*ends, proto, inner, tos=first >> 20 & 0xFF, flow=first & 0xFFFFF)
        self.ident += 1
        return ip(*ends, proto, inner, tos=packet.headers[1], df=df, ident=(self.ident - 1) & 0xFFFF)

    def _to_endpoint(self, flow, packet):
        """In a one-way mode."""
        packet = packet.with_hops(packet.hops() - 1)
        return packet.data if self.mode == "dsr" else self._tunnel(flow, packet)

    def from_client(self, flow, packet):
        """The frame that leaves for a packet of the client."""
        if self.mode.startswith("nat"):
            out = readdressed(packet, flow.source, flow.endpoint, (flow.source_port, PORT_BEHIND)).data
        else:
            out = self._to_endpoint(flow, packet)
        return ethernet(station(flow.endpoint), NODE, out)

    def from_endpoint(self, flow, packet):
        out = readdressed(packet, VIPS[flow.v4], flow.client, (PORT, flow.port)).data
        return ethernet(station(ROUTERS[flow.v4]), NODE, out)

    def error(self, flow, packet, about, by_client):
        """
        The frame that leaves for an ICMP error about a packet that the node sent. `about` is the packet as the node received it, from
        the client or from the endpoint. In a one-way mode the endpoint sent it, and the error goes there.
        """
        if not self.mode.startswith("nat"):
            return ethernet(station(flow.endpoint), NODE, self._to_endpoint(flow, packet))
        quoted = packet.body[8:8 + QUOTE]
        restored = about.with_hops(quoted[8 if flow.v4 else 7]).data[:len(quoted)]
        ends = (VIPS[flow.v4], flow.client) if by_client else (flow.source, flow.endpoint)
        body = icmp(*ends, packet.body[:2], packet.body[4:8] + restored)
        out = ip(*ends, ICMP if flow.v4 else ICMP6, body, df=True)
        return ethernet(station(ROUTERS[flow.v4] if by_client else flow.endpoint), NODE, out)
