# SPDX-License-Identifier: Apache-2.0
"""Frames of Ethernet, IP, UDP, TCP and ICMP as bytes, and captures."""
import ipaddress
import struct

UDP, TCP, ICMP, ICMP6 = 17, 6, 1, 58
NODE = bytes.fromhex("020000000001")


def address(text):
    return ipaddress.ip_address(text).packed


def station(addr):
    """The Ethernet address of a neighbour."""
    return bytes((2, 0 if len(addr) == 4 else 6)) + addr[-4:]


def fold(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def words(data):
    """Sum of 16-bit words."""
    data += b"\0" * (len(data) % 2)
    return fold(sum(struct.unpack(f"!{len(data) // 2}H", data)))


def pseudo(src, dst, proto, length):
    return words(src + dst + struct.pack("!II", length, proto))


def put(data, at, new):
    return data[:at] + new + data[at + len(new):]


def ip_checksum(header):
    header = put(header, 10, b"\0\0")
    return put(header, 10, struct.pack("!H", 0xFFFF - words(header)))


class Packet:
    """An IP packet, taken apart. `headers` is all up to the transport header, `body` the rest."""

    def __init__(self, data):
        self.v4 = data[0] >> 4 == 4
        if self.v4:
            at, self.proto = (data[0] & 15) * 4, data[9]
            self.src, self.dst, end = data[12:16], data[16:20], struct.unpack("!H", data[2:4])[0]
        else:
            at, self.proto = 40, data[6]
            self.src, self.dst, end = data[8:24], data[24:40], 40 + struct.unpack("!H", data[4:6])[0]
            while self.proto in (0, 60):
                self.proto, at = data[at], at + 8 + 8 * data[at + 1]
        self.headers, self.body = data[:at], data[at:end]

    @property
    def ports(self):
        return struct.unpack("!HH", self.body[:4])

    @property
    def data(self):
        return self.headers + self.body

    def hops(self):
        return self.headers[8 if self.v4 else 7]

    def with_hops(self, hops):
        """The same with a TTL or hop limit."""
        headers = put(self.headers, 8 if self.v4 else 7, bytes((hops,)))
        return Packet((ip_checksum(headers) if self.v4 else headers) + self.body)


def ip(src, dst, proto, body, **have):
    """An IP packet; have: hops, tos, ident, flow, df, options, and extension, the number of an IPv6 options header."""
    if len(src) == 4:
        options = have.get("options", b"")
        header = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, have.get("tos", 0), 20 + len(options) + len(body), have.get("ident", 0),
                             0x4000 if have.get("df") else 0, have.get("hops", 64), proto, 0) + src + dst + options
        return ip_checksum(header) + body
    extension = have.get("extension")
    if extension is not None:
        body = bytes((proto, 0, 1, 4, 0, 0, 0, 0)) + body
        proto = extension
    first = 6 << 28 | have.get("tos", 0) << 20 | have.get("flow", 0)
    return struct.pack("!IHBB", first, len(body), proto, have.get("hops", 64)) + src + dst + body


def summed(src, dst, proto, body, at, wrong=0):
    """The transport header and its data with the checksum at an offset, to which `wrong` is added."""
    right = 0xFFFF - fold(pseudo(src, dst, proto, len(body)) + words(put(body, at, b"\0\0")))
    found = fold(right + wrong)
    if proto == UDP and found == 0:
        found = 0xFFFF
    return put(body, at, struct.pack("!H", found))


def udp(src, dst, ports, data, checksum=True, wrong=0):
    body = struct.pack("!HHHH", *ports, 8 + len(data), 0) + data
    return summed(src, dst, UDP, body, 6, wrong) if checksum else body


def tcp(src, dst, ports, numbers, flags, data=b"", options=b"", wrong=0):
    body = struct.pack("!HHIIBBHHH", *ports, *numbers, (20 + len(options)) << 2, flags, 4096, 0, 0) + options + data
    return summed(src, dst, TCP, body, 16, wrong)


def icmp(src, dst, kind, rest):
    """ICMP of the family of src; kind: type and code; rest: all after the checksum."""
    body = bytes(kind) + b"\0\0" + rest
    total = words(body) if len(src) == 4 else fold(words(body) + pseudo(src, dst, ICMP6, len(body)))
    return put(body, 2, struct.pack("!H", 0xFFFF - total))


def ethernet(to, sender, packet):
    return to + sender + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def hello(own, ours):
    """A request by which the node learns the station of a neighbour."""
    if len(own) == 4:
        return b"\xff" * 6 + station(own) + bytes.fromhex("0806000108000604 0001") + station(own) + own + bytes(6) + ours
    rest = bytes(4) + ours + b"\1\1" + station(own)
    return ethernet(NODE, station(own), ip(own, ours, ICMP6, icmp(own, ours, (135, 0), rest), hops=255))


def is_of_neighbours(frame):
    return frame[12:14] == b"\x08\x06" or (frame[12:14] == b"\x86\xdd" and frame[20] == ICMP6 and 133 <= frame[54] <= 137)


def write_capture(path, timed):
    """timed: pairs of microseconds and frame."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for when, frame in timed:
            f.write(struct.pack("<IIII", when // 1000000, when % 1000000, len(frame), len(frame)) + frame)


def read_capture(path):
    """Frames other than those of ARP and ND, in groups of one time."""
    with open(path, "rb") as f:
        data = f.read()
    at, groups = 24, {}
    while at < len(data):
        seconds, micros, length, _ = struct.unpack("<IIII", data[at:at + 16])
        frame = data[at + 16:at + 16 + length]
        if not is_of_neighbours(frame):
            groups.setdefault((seconds, micros), []).append(frame)
        at += 16 + length
    return list(groups.values())
