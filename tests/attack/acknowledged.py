# SPDX-License-Identifier: Apache-2.0
"""
Which calls a server's machine has acknowledged, read off its wire: those may lie in its queue, unread, when the server closes, and
nobody can know from outside. So may one of which a part was acknowledged: no more is known of it. A call of which no byte was never came.

Prints {"ready": true}, and on SIGTERM, once nothing more comes, the tokens of the calls that came.
"""

import argparse
import collections
import json
import signal
import socket
import struct
import time

import kit

ETH_P_ALL, ETHERTYPE_IP4, TCP = 3, 0x0800, 6
SO_RCVBUFFORCE = 33  # Python does not name it
SYN, RST, ACK = 2, 4, 16
MOD = 1 << 32
STRAGGLERS = 5  # seconds for what waits in the socket


class Flow:
    """What a client sent on one connection, and how much of that was acknowledged."""

    def __init__(self, first):
        self.first, self.pieces, self.acked = first, {}, 0

    def sent(self, seq, data):
        at = (seq - self.first) % MOD
        if data and at < MOD // 2:
            self.pieces[at] = max(self.pieces.get(at, b""), data, key=len)

    def acknowledged(self, ack):
        at = (ack - self.first) % MOD
        if at < MOD // 2:
            self.acked = max(self.acked, at)

    def bytes(self):
        """What was acknowledged, and what was sent behind it."""
        out = bytearray()
        for at, data in sorted(self.pieces.items()):
            if at > len(out):
                break
            out[at:] = data if len(data) + at > len(out) else out[at:]
        return bytes(out[:self.acked]), bytes(out[self.acked:])


def segment(frame):
    """(source, destination, seq, ack, flags, payload); None: something else."""
    if struct.unpack_from("!H", frame, 12)[0] != ETHERTYPE_IP4 or frame[14 + 9] != TCP:
        return None
    length, = struct.unpack_from("!H", frame, 14 + 2)
    tcp = 14 + (frame[14] & 15) * 4
    sport, dport, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", frame, tcp)
    return (frame[26:30], sport), (frame[30:34], dport), seq, ack, flags, frame[tcp + (offset >> 4) * 4:14 + length]


class Wire:
    def __init__(self, port):
        self.port, self.flows, self.all = port, {}, collections.deque()

    def take(self, frame):
        found = segment(frame)
        if not found:
            return
        source, destination, seq, ack, flags, data = found
        if destination[1] == self.port:
            if flags & SYN:
                self.flows[source] = Flow((seq + 1) % MOD)
                self.all.append(self.flows[source])
            elif source in self.flows:
                self.flows[source].sent(seq, data)
        elif source[1] == self.port and flags & ACK and destination in self.flows:
            self.flows[destination].acknowledged(ack)

    def tokens(self, proto):
        for flow in self.all:
            splitter = kit.Splitter(proto)
            acked, behind = flow.bytes()
            came = splitter.feed(acked)
            came += splitter.feed(behind)[:1] if splitter.buffer else []
            for message in came:
                if message.kind == kit.CALL:
                    yield message.text.split(" ")[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--proto", choices=tuple(kit.PROTOCOLS), default="dubbo")
    args = parser.parse_args()
    proto = kit.PROTOCOLS[args.proto]
    wire, over = Wire(proto.port), []
    signal.signal(signal.SIGTERM, lambda *_: over.append(time.monotonic() + STRAGGLERS))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        sock.settimeout(0.1)
        print(json.dumps({"ready": True}), flush=True)
        while not over or time.monotonic() < over[0]:
            try:
                wire.take(sock.recv(1 << 17))
            except socket.timeout:
                if over:
                    break
    print(json.dumps({"came": sorted(set(wire.tokens(proto)))}), flush=True)


if __name__ == "__main__":
    main()
