# SPDX-License-Identifier: Apache-2.0
"""A strict reader of pcapng (draft-ietf-opsawg-pcapng), as far as captures need it: what is wrong in a file raises."""

import ipaddress
import struct

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
ETHERNET = 1


class Broken(Exception):
    """The file is not pcapng, or not whole."""


def require(ok, words):
    if not ok:
        raise Broken(words)


def blocks(data):
    """(type, body) of each block; both of its lengths are compared."""
    at = 0
    while at < len(data):
        require(len(data) - at >= 12, f"{len(data) - at} bytes behind the last block")
        kind, size = struct.unpack_from("<II", data, at)
        require(size >= 12 and size % 4 == 0 and at + size <= len(data), f"a block of {size} bytes at {at}")
        require(struct.unpack_from("<I", data, at + size - 4)[0] == size, f"the block at {at} ends with another length")
        yield kind, data[at + 8:at + size - 4]
        at += size


def options(data):
    """Values by code; a code that comes twice is an error here."""
    found, at = {}, 0
    while at < len(data):
        code, size = struct.unpack_from("<HH", data, at)
        at += 4
        if code == 0:
            require(size == 0 and at == len(data), "bytes behind the end of options")
            return found
        require(at + size <= len(data) and code not in found, f"option {code} of {size} bytes")
        found[code] = data[at:at + size]
        at += (size + 3) & ~3
    require(not found, "options without an end")
    return found


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Segment:
    """The TCP segment of a packet. `whole`: all its bytes are there, and its checksums are right."""

    def __init__(self, ip):
        version = ip[0] >> 4
        head = (ip[0] & 15) * 4 if version == 4 else 40
        if version == 4:
            self.size = struct.unpack_from(">H", ip, 2)[0]
            self.proto, (src, dst) = ip[9], (ip[12:16], ip[16:20])
            require(checksum(ip[:head]) == 0xFFFF, "an IPv4 header's checksum")
        else:
            self.size = 40 + struct.unpack_from(">H", ip, 4)[0]
            self.proto, (src, dst) = ip[6], (ip[8:24], ip[24:40])
        self.src, self.dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
        self.there = len(ip) >= self.size
        tcp = ip[head:self.size]
        self.payload = b""
        self.flags = 0
        if self.proto != 6:
            return
        self.sport, self.dport, self.seq, self.ack = struct.unpack_from(">HHII", tcp, 0)
        self.flags = tcp[13]
        self.payload = tcp[(tcp[12] >> 4) * 4:]
        pseudo = src + dst + struct.pack(">II", len(tcp), 6)
        self.sum_right = self.there and checksum(pseudo + tcp) == 0xFFFF


class Packet:
    def __init__(self, body, interfaces):
        number, high, low, snap, self.len = struct.unpack_from("<IIIII", body, 0)
        require(number < len(interfaces), f"interface {number} is not told before its packet")
        require(snap <= self.len and 20 + snap <= len(body), f"{snap} bytes of {self.len}")
        self.interface = interfaces[number]
        self.ns = high << 32 | low
        self.data = body[20:20 + snap]
        more = options(body[20 + ((snap + 3) & ~3):])
        self.comment = more.get(1, b"").decode()
        self.direction = {1: "rx", 2: "tx"}.get(struct.unpack("<I", more[2])[0] & 3)

    def facts(self):
        """What the comment says as name=value."""
        return dict(word.split("=", 1) for word in self.comment.split() if "=" in word)

    def segment(self):
        """Its TCP segment; None: it is no IP."""
        if self.data[12:14] not in (b"\x08\x00", b"\x86\xdd"):
            return None
        return Segment(self.data[14:])


class Capture:
    """A whole file: packets, interfaces by name, how many each gave, and what was lost."""

    def __init__(self, data):
        self.packets, self.received, self.lost = [], {}, 0
        interfaces = []
        for i, (kind, body) in enumerate(blocks(data)):
            require((kind == SECTION) == (i == 0), f"block {i} of type {kind:#x}")
            if kind == SECTION:
                require(struct.unpack_from("<IHHq", body) == (0x1A2B3C4D, 1, 0, -1), "the section's header")
                self.comment = options(body[16:]).get(1, b"").decode()
            elif kind == INTERFACE:
                more = options(body[8:])
                require(more[9] == b"\x09", "time stamps are not in ns")
                require(struct.unpack_from("<H", body)[0] == ETHERNET, "another link type")
                interfaces.append(more[2].decode())
            elif kind == PACKET:
                self.packets.append(Packet(body, interfaces))
            elif kind == STATISTICS:
                more = options(body[12:])
                self.received[interfaces[struct.unpack_from("<I", body)[0]]] = struct.unpack("<Q", more[4])[0]
                self.lost += struct.unpack("<Q", more[5])[0]
        self.interfaces = interfaces
        self.ended = len(self.received) == len(interfaces)

    def at(self, interface, direction=None):
        return [p for p in self.packets if p.interface == interface and direction in (None, p.direction)]
