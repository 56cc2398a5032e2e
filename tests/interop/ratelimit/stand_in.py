# SPDX-License-Identifier: Apache-2.0
"""
A rate limit service (envoy.service.ratelimit.v3) of one thread for each connection. It speaks as much of HTTP/2 and gRPC as a client
needs: it answers each DATA frame that ends a stream, and reads no headers. The test tells it what to answer.
"""

import contextlib
import socket
import threading

from meltemi_lab import netns

DATA, HEADERS, SETTINGS, PING, END_STREAM, ACK = 0, 1, 4, 6, 1, 1
OK, OVER = 1, 2


def frame(kind, flags, stream, payload=b""):
    """RFC 9113 section 4.1."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    """A field that no table keeps (RFC 7541 section 6.2.2)."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def field(number, value):
    """Of protobuf: bytes, or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes((value & 0x7f | 0x80,))
        value >>= 7
    return out + bytes((value,))


def fields(data):
    """[(number, bytes or number)] of a message."""
    out, at = [], 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        out.append((tag >> 3, value))
    return out


def read_query(data):
    """(domain, [{key: value} of each descriptor])."""
    domain, descriptors = "", []
    for number, value in fields(data):
        if number == 1:
            domain = value.decode()
        elif number == 2:
            entries = [dict(fields(entry)) for n, entry in fields(value) if n == 1]
            descriptors.append({e[1].decode(): e.get(2, b"").decode() for e in entries})
    return domain, descriptors


def read_hits(data):
    """The hits of each descriptor."""
    message = fields(data)
    of_query = dict(message).get(3, 1)
    return [dict(fields(dict(fields(value)).get(3, field(1, of_query))))[1] for number, value in message if number == 2]


def answer(codes, reset=0, headers=(), remaining=0, quota=b"", of_reply=()):
    """
    A RateLimitResponse with these codes of the descriptors. `reset`: seconds until their windows end; `remaining`: hits left in them;
    `quota`: of each; `headers`, `of_reply`: (key, value) to add to the call, and to the server's reply.
    """
    over = OVER in codes
    status = [field(1, code) + (field(3, remaining) if remaining else b"") + (field(4, field(1, reset)) if reset else b"")
              + (field(5, quota) if quota else b"") for code in codes]
    return (field(1, OVER if over else OK) + b"".join(field(2, one) for one in status)
            + b"".join(field(number, field(1, key.encode()) + field(2, value.encode()))
                       for number, pairs in ((3, of_reply), (4, headers)) for key, value in pairs))


class Service:
    """`decide(domain, descriptors)` returns the bytes of an answer, an int as gRPC's status, or None: no answer."""

    def __init__(self, namespace, at, decide):
        self.namespace, self.at, self.decide = namespace, at, decide
        self.queries, self.hits, self.sockets, self.listener = [], [], [], None
        self.lock = threading.Lock()
        self.start()

    def start(self):
        with netns.inside(self.namespace):
            self.listener = socket.create_server(self.at, reuse_port=True)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for sock in self.sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            self.sockets.clear()

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.sockets.append(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            sock.sendall(frame(SETTINGS, 0, 0))
            self.read(sock, 24)  # the client's preface
            streams = {}
            while True:
                head = self.read(sock, 9)
                length, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
                payload = self.read(sock, length)
                if kind == SETTINGS and not flags & ACK:
                    sock.sendall(frame(SETTINGS, ACK, 0))
                elif kind == PING and not flags & ACK:
                    sock.sendall(frame(PING, ACK, 0, payload))
                elif kind == DATA:
                    streams[stream] = streams.get(stream, b"") + payload
                    # Both windows stay open (WINDOW_UPDATE).
                    if length:
                        sock.sendall(frame(8, 0, 0, length.to_bytes(4, "big")))
                    if flags & END_STREAM:
                        sock.sendall(self.reply(stream, streams.pop(stream)))
        except (OSError, EOFError):
            pass
        finally:
            sock.close()

    def reply(self, stream, message):
        query = read_query(message[5:])
        self.queries.append(query)
        self.hits.append(read_hits(message[5:]))
        said = self.decide(*query)
        if said is None:
            return b""
        begin = frame(HEADERS, 4, stream, b"\x88" + literal(b"content-type", b"application/grpc"))
        if isinstance(said, int):
            return begin + frame(HEADERS, 5, stream, literal(b"grpc-status", str(said).encode()))
        return (begin + frame(DATA, 0, stream, b"\0" + len(said).to_bytes(4, "big") + said)
                + frame(HEADERS, 5, stream, literal(b"grpc-status", b"0")))

    @staticmethod
    def read(sock, length):
        out = b""
        while len(out) < length:
            data = sock.recv(length - len(out))
            if not data:
                raise EOFError
            out += data
        return out
