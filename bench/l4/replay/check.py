#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Replays captures of UDP, TCP and ICMP errors, IPv4 and IPv6, in each mode of layer 4, and compares each frame that leaves byte by byte
with what rewriter.py computes. First packets of flows come first; what leaves for them shows which endpoint and source the node chose.

  check.py L4_REPLAY [MODE...]
"""
import random
import struct
import subprocess
import sys
import tempfile

from frames import (ICMP, ICMP6, NODE, TCP, UDP, Packet, address, ethernet, hello, icmp, ip, read_capture, station, tcp, udp,
                    write_capture)
from rewriter import ENDPOINTS, PORT, PORT_BEHIND, ROUTERS, VIPS, Flow, Rewriter

MODES = ("nat", "nat-full", "dsr", "tunnel-ipip", "tunnel-gue")
FLOWS, PACKETS, STEP = 12, 1200, 4000  # of each family and protocol; in all; microseconds
FIN, SYN, PSH, ACK = 1, 2, 8, 16
ERRORS = {True: ((3, 1), (3, 3), (3, 4), (11, 0)), False: ((1, 0), (1, 4), (2, 0), (3, 0))}
# Addresses of routers that send errors.
HOPS = {True: address("10.200.0.1"), False: address("2001:db8:c:99::1")}


class Conversations:
    """Frames that the node receives, with what must leave for each."""

    def __init__(self, mode, seed):
        self.rnd, self.mode, self.rewriter = random.Random(seed), mode, Rewriter(mode)
        self.flows = [Flow(proto, self._client(v4), self.rnd.randrange(1024, 65536))
                      for v4 in (True, False) for proto in (UDP, TCP) for _ in range(FLOWS)]
        self.openings = [self._opening(flow) for flow in self.flows]
        self.sent = []  # (flow, packet as it was received, packet as it left, by the client)

    def _client(self, v4):
        return address("10.0.0.0")[:1] + self.rnd.randbytes(3) if v4 else address("2001:db8:c::")[:6] + self.rnd.randbytes(10)

    def _header(self, v4):
        """Fields of an IP header that are kept."""
        rnd = self.rnd
        have = {"hops": rnd.choice((2, 64, 255, rnd.randrange(2, 256))), "tos": rnd.choice((0, rnd.randrange(256))),
                "flow": rnd.randrange(1 << 20), "ident": rnd.randrange(65536), "df": rnd.random() < 0.5}
        if v4 and rnd.random() < 0.1:
            have["options"] = b"\1" * 4 * rnd.randrange(1, 11)
        if not v4 and rnd.random() < 0.1:
            have["extension"] = rnd.choice((0, 60))
        return have

    def _bytes(self):
        return self.rnd.randbytes(self.rnd.choice((0, 1, 7, 18, 64, 500, 1399, self.rnd.randrange(1400))))

    def _packet(self, flow, ends, ports, flags):
        wrong = self.rnd.randrange(1, 0xFFFF) if self.rnd.random() < 0.05 else 0
        if flow.proto == UDP:
            body = udp(*ends, ports, self._bytes(), not flow.v4 or self.rnd.random() > 0.1, wrong)
        else:
            stamp = b"\1\1\x08\x0a" + self.rnd.randbytes(8)
            options = b"\2\4\5\xb4" + stamp if flags & SYN else self.rnd.choice((b"", stamp))
            numbers = (self.rnd.randrange(1 << 32), self.rnd.randrange(1 << 32) if flags & ACK else 0)
            body = tcp(*ends, ports, numbers, flags, b"" if flags & SYN else self._bytes(), options, wrong)
        return Packet(ip(*ends, flow.proto, body, **self._header(flow.v4)))

    def _of_client(self, flow, flags):
        return self._packet(flow, (flow.client, VIPS[flow.v4]), (flow.port, PORT), flags)

    def _of_endpoint(self, flow, flags):
        ends = (flow.endpoint, flow.source)
        return self._packet(flow, ends, (PORT_BEHIND, flow.source_port), flags)

    def _frame(self, packet, sender):
        frame = ethernet(NODE, station(sender), packet.data)
        return frame + bytes(self.rnd.randrange(1, 20)) if self.rnd.random() < 0.1 else frame

    def _opening(self, flow):
        packet = self._of_client(flow, SYN)
        return packet, self._frame(packet, ROUTERS[flow.v4])

    def opened(self):
        """What must leave for the first packets, after all flows have learned."""
        return [self.rewriter.from_client(flow, packet) for flow, (packet, _) in zip(self.flows, self.openings)]

    def _client_sends(self, flow, flags=ACK):
        packet = self._of_client(flow, flags)
        out = self.rewriter.from_client(flow, packet)
        self.sent.append((flow, packet, Packet(out[14:]), True))
        return self._frame(packet, ROUTERS[flow.v4]), out

    def _endpoint_sends(self, flow, flags=ACK):
        packet = self._of_endpoint(flow, flags)
        out = self.rewriter.from_endpoint(flow, packet)
        self.sent.append((flow, packet, Packet(out[14:]), False))
        return self._frame(packet, flow.endpoint), out

    def _error_about(self, flow, about, out, by_client):
        """A router's error about `out`, which the node or, in a one-way mode, the endpoint sent."""
        passed = out.with_hops(max(1, out.hops() - self.rnd.randrange(4)))
        quote = passed.data[:max(len(out.headers) + 8, self.rnd.choice((28, 48, 80, 112, 128, 548)))]
        kind = self.rnd.choice(ERRORS[flow.v4])
        word = struct.pack("!I", 1400 if kind in ((3, 4), (2, 0)) else 0)
        body = icmp(HOPS[flow.v4], out.src, kind, word + quote)
        packet = Packet(ip(HOPS[flow.v4], out.src, ICMP if flow.v4 else ICMP6, body, hops=self.rnd.randrange(2, 256), tos=0xC0))
        return self._frame(packet, ROUTERS[flow.v4]), self.rewriter.error(flow, packet, about, by_client)

    def _error(self, flow):
        if not self.mode.startswith("nat"):
            reply = self._packet(flow, (VIPS[flow.v4], flow.client), (PORT, flow.port), ACK)
            if len(reply.headers) > 40 and not flow.v4:
                return self._client_sends(flow)
            return self._error_about(flow, reply, reply, False)
        # Errors about packets with extension headers are for nobody.
        known = [s for s in self.sent[-60:] if s[2].v4 or len(s[2].headers) == 40]
        return self._error_about(*self.rnd.choice(known)) if known else self._client_sends(flow)

    def rest(self):
        """Pairs of a received frame and the frame that must leave."""
        nat = self.mode.startswith("nat")
        tcp_flows = [flow for flow in self.flows if flow.proto == TCP]
        pairs = [self._endpoint_sends(flow, SYN | ACK) for flow in tcp_flows] if nat else []
        pairs += [self._client_sends(flow) for flow in tcp_flows]
        steps = [self._client_sends, self._client_sends, self._error] + [self._endpoint_sends] * 2 * nat
        pairs += [self.rnd.choice(steps)(self.rnd.choice(self.flows)) for _ in range(PACKETS)]
        pairs += [self._client_sends(flow, PSH | FIN | ACK) for flow in tcp_flows]
        pairs += [self._endpoint_sends(flow, FIN | ACK) for flow in tcp_flows] if nat else []
        return pairs + [self._client_sends(flow) for flow in tcp_flows]


def neighbours():
    ours = {True: (address("192.0.2.1"), address("198.51.100.254")), False: (address("2001:db8::1"), address("2001:db8:1::ff"))}
    return [hello(own, ours[v4][own in ENDPOINTS[v4]]) for v4 in (True, False) for own in (ROUTERS[v4], *ENDPOINTS[v4])]


def replayed(program, mode, groups):
    """Groups of frames that leave; each of `groups` is received at a time of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_capture(f"{folder}/in.pcap", [(STEP * (i + 1), frame) for i, group in enumerate(groups) for frame in group])
        ran = subprocess.run([program, mode, f"{folder}/in.pcap", f"{folder}/out.pcap"], capture_output=True, text=True, timeout=100, check=False)
        if ran.returncode:
            sys.exit(f"{ran.stderr}\n{program} failed")
        return read_capture(f"{folder}/out.pcap"), ran.stderr


def plain(frame):
    """A frame without the identification of a tunnel's IPv4 header, which depends on the order within a burst."""
    return frame[:18] + bytes(2) + frame[20:24] + bytes(2) + frame[26:] if frame[14] >> 4 == 4 and frame[23] in (4, UDP) else frame


def differ(what, got, want, counters):
    print(f"{what}:\n  left {got.hex() if got else 'nothing'}\n  want {want.hex() if want else 'nothing'}\n{counters}")
    return False


def same(mode, got, want, counters):
    """True if each burst of one packet left as it must."""
    for i, frame in enumerate(want):
        left = got[i][0] if i < len(got) else b""
        if left != frame or len(got[i]) != 1:
            return differ(f"{mode}: packet {i}", left, frame, counters)
    return len(got) == len(want) or differ(f"{mode}: one packet too many", got[len(want)][0], b"", counters)


def same_bursts(mode, got, want, counters):
    """The same of bursts, in which packets may change their order."""
    for i, frames in enumerate(want):
        left = sorted(map(plain, got[i] if i < len(got) else []))
        for one, other in zip(left + [b""] * len(frames), sorted(map(plain, frames))):
            if one != other:
                return differ(f"{mode}: burst {i}", one, other, counters)
        if len(left) != len(frames):
            return differ(f"{mode}: burst {i}, one packet too many", left[-1], b"", counters)
    return len(got) == len(want) or differ(f"{mode}: one burst too many", got[len(want)][0], b"", counters)


def in_bursts(pairs, rnd):
    """Pairs in groups of up to 32."""
    groups = []
    while pairs:
        n = rnd.randrange(1, 33)
        groups.append(pairs[:n])
        pairs = pairs[n:]
    return groups


def passes(program, mode):
    talk = Conversations(mode, seed=f"l4 {mode}")
    first = [neighbours(), *([frame] for _, frame in talk.openings)]
    got, counters = replayed(program, mode, first)
    if len(got) != len(talk.flows):
        return differ(f"{mode}: {len(got)} of {len(talk.flows)} first packets left", b"", b"", counters)
    for flow, frames in zip(talk.flows, got):
        impossible = flow.learn(mode, frames[0])
        if impossible:
            return differ(f"{mode}: {impossible}", frames[0], b"", counters)
    opened, rest = talk.opened(), talk.rest()
    groups = in_bursts(rest, talk.rnd)
    alone = replayed(program, mode, [*first, *([frame] for frame, _ in rest)])
    together = replayed(program, mode, [*first, *([frame for frame, _ in group] for group in groups)])
    print(f"{mode}: {len(opened)} flows, {len(rest)} packets, one at a time and in {len(groups)} bursts")
    return same(mode, alone[0], opened + [out for _, out in rest], alone[1]) and same_bursts(
        mode, together[0], [[out] for out in opened] + [[out for _, out in group] for group in groups], together[1])


def main():
    failed = [mode for mode in sys.argv[2:] or MODES if not passes(sys.argv[1], mode)]
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
