# SPDX-License-Identifier: Apache-2.0
"""
Which calls may have been read by a server, as the packets at Meltemi's port show it: a program that is asked here judges by what has come
to Meltemi, because packets may be lost or overtake each other on the way.

 - A call of which a part was acknowledged may lie in the server's queue, or be read.
 - A reset that has no ACK, and no FIN before it, tells nothing of the calls on its connection. It is what the kernel answers to data
   for a closed socket. A reset with an ACK comes first unless it is lost or overtaken, or unless Meltemi may not believe it because
   a reply before it has not come yet (RFC 5961).
 - Any other call was not read, and is sent again, twice at most.

Prints {"ready": true}; on SIGTERM, once nothing more comes, the tokens of the calls that came, of the others on connections whose end
told nothing, and of those that were sent three times.
"""

import argparse
import collections
import json
import signal
import socket
import struct
import time

import kit

ETHERTYPE_IP4, TCP = 0x0800, 6
FIN, SYN, RST, ACK = 1, 2, 4, 16
MOD = 1 << 32
STRAGGLERS = 5  # seconds for what waits in the socket


class Flow:
    """What a client sent on one connection, how much of that was acknowledged, and how the server's side ended."""

    def __init__(self, first):
        self.first, self.pieces, self.acked = first, {}, 0
        self.next, self.ahead, self.fin = None, {}, None  # of the server's numbers
        self.over = False
        self.silent = False  # ended by a reset that tells nothing of what was read

    def answered(self, seq, flags, length):
        """Follows the server's numbers, as far as Meltemi has its bytes without a gap."""
        if flags & SYN:
            self.next = (seq + 1) % MOD
            return
        if flags & FIN:
            self.fin = (seq + length) % MOD
        if length:
            self.ahead[seq] = max(length, self.ahead.get(seq, 0))
        while self.next is not None and (seq := next(filter(self._reached, self.ahead), None)) is not None:
            end = (seq + self.ahead.pop(seq)) % MOD
            self.next = end if (end - self.next) % MOD < MOD // 2 else self.next

    def _reached(self, seq):
        return (self.next - seq) % MOD < MOD // 2

    def reset(self, seq, flags):
        """The first reset that Meltemi may believe ends the connection."""
        if seq == self.next and not self.over:
            self.silent = not flags & ACK and self.fin != self.next
            self.over = True

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

    def sent(self, frame):
        found = segment(frame)
        if found and found[1][1] == self.port:
            source, destination, seq, _, flags, data = found
            self.of_client((source, destination), seq, flags, data)

    def came(self, frame):
        found = segment(frame)
        if not found or found[0][1] != self.port or found[1::-1] not in self.flows:
            return
        flow, (_, _, seq, ack, flags, data) = self.flows[found[1::-1]], found
        if flags & ACK:
            flow.acknowledged(ack)
        if flags & RST:
            flow.reset(seq, flags)
        else:
            flow.answered(seq, flags, len(data))

    def of_client(self, ends, seq, flags, data):
        if flags & SYN:
            if ends not in self.flows or self.flows[ends].first != (seq + 1) % MOD:
                self.flows[ends] = Flow((seq + 1) % MOD)
                self.all.append(self.flows[ends])
        elif ends in self.flows:
            self.flows[ends].sent(seq, data)

    def calls(self, proto):
        """(tokens that came, others on connections whose end told nothing, those sent three times)"""
        came, untold, times = set(), set(), collections.Counter()
        for flow in self.all:
            splitter = kit.Splitter(proto)
            acked, behind = flow.bytes()
            first = splitter.feed(acked)
            cut = 1 if splitter.buffer else 0  # a call of which a part was acknowledged
            more = splitter.feed(behind)
            first, more = tokens(first + more[:cut]), tokens(more[cut:])
            times.update({*first, *more})
            came |= first
            untold |= more if flow.silent else set()
        return came, untold - came, {token for token, n in times.items() if n > 2}


def tokens(messages):
    return {message.text.split(" ")[0] for message in messages if message.kind == kit.CALL}


def read(sock, take):
    """Takes all frames that the socket has."""
    try:
        while True:
            take(sock.recv(1 << 17, socket.MSG_DONTWAIT))
    except BlockingIOError:
        return


def watch(wire, to_servers, from_servers, over):
    """Until nothing has come for a while after the signal."""
    from_servers.settimeout(0.1)
    while not over or time.monotonic() < over[0]:
        try:
            frame = from_servers.recv(1 << 17)
        except socket.timeout:
            if over:
                break
            continue
        read(to_servers, wire.sent)  # what it answers was sent before
        wire.came(frame)
    read(to_servers, wire.sent)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--proto", choices=tuple(kit.PROTOCOLS), default="dubbo")
    parser.add_argument("--fds", type=int, nargs=2, help="packet sockets that see frames to the servers, and those that have come from them")
    args = parser.parse_args()
    proto = kit.PROTOCOLS[args.proto]
    wire, over = Wire(proto.port), []
    signal.signal(signal.SIGTERM, lambda *_: over.append(time.monotonic() + STRAGGLERS))
    to_servers, from_servers = (socket.socket(fileno=fd) for fd in args.fds)
    print(json.dumps({"ready": True}), flush=True)
    watch(wire, to_servers, from_servers, over)
    came, untold, thrice = map(sorted, wire.calls(proto))
    print(json.dumps({"came": came, "untold": untold, "thrice": thrice}), flush=True)


if __name__ == "__main__":
    main()
