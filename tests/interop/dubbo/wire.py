# SPDX-License-Identifier: Apache-2.0
"""Dubbo frames (dubbo protocol, hessian2), and an asyncio connection that splits its stream into them."""

import asyncio
import struct

import hessian2

HEADER = struct.Struct(">HBBqI")
MAGIC = 0xDABB
REQUEST, TWO_WAY, EVENT, HESSIAN2 = 0x80, 0x40, 0x20, 0x02
OK, SERVER_TIMEOUT, OVER_LIMIT = 20, 31, 100
INTERFACE = "org.apache.dubbo.samples.basic.api.DemoService"
MOST = 16 << 20


def frame(flags, status, ident, body):
    return HEADER.pack(MAGIC, flags | HESSIAN2, status, ident, len(body)) + body


def request(ident, method, args, attachments=None, interface=INTERFACE, version="0.0.0", two_way=True):
    types = "".join("I" if isinstance(a, int) else "Ljava/lang/String;" for a in args)
    values = [b"\x052.0.2", *(hessian2.string(t) for t in (interface, version, method, types)),
              *(hessian2.encode(a) for a in args), hessian2.encode({"path": interface, **(attachments or {})})]
    return frame(REQUEST | (TWO_WAY if two_way else 0), 0, ident, b"".join(values))


def heartbeat(ident):
    return frame(REQUEST | TWO_WAY | EVENT, 0, ident, b"N")


def reply(ident, text):
    return frame(0, OK, ident, b"\x91" + hessian2.string(text))


def parse_request(body):
    """(interface, method, arguments, attachments) of a request's body."""
    reader = hessian2.Reader(body)
    _, interface, _, method, types = (reader.value() for _ in range(5))
    count = types.count(";") + sum(1 for t in types.split(";") for c in t.split("L")[0] if c in "IJZ")
    args = [reader.value() for _ in range(count)]
    return interface, method, args, reader.value() or {}


def parse_reply(status, body):
    """The text that came back: the value of a good reply, the error text of another."""
    reader = hessian2.Reader(body)
    if status != OK:
        return reader.value()
    kind = reader.value()
    if kind in (2, 5):
        return None
    return reader.value() if kind in (1, 4) else "<exception>"


def reply_attachments(body):
    """The attachments of a good reply."""
    reader = hessian2.Reader(body)
    kind = reader.value()
    if kind in (0, 1, 3, 4):
        reader.value()
    return reader.value() if kind >= 3 else {}


class Frames(asyncio.Protocol):
    """Calls frame(flags, status, id, body) for each message and lost() at the end."""

    def __init__(self):
        self.buffer = bytearray()
        self.transport = None
        self.closed = False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        at = 0
        while len(self.buffer) - at >= HEADER.size:
            magic, flags, status, ident, length = HEADER.unpack_from(self.buffer, at)
            if magic != MAGIC or length > MOST:
                self.transport.abort()
                raise hessian2.Malformed(f"not a Dubbo frame: {bytes(self.buffer[at:at + 16]).hex()}")
            if len(self.buffer) - at < HEADER.size + length:
                break
            body = bytes(self.buffer[at + HEADER.size:at + HEADER.size + length])
            at += HEADER.size + length
            self.frame(flags, status, ident, body)
        del self.buffer[:at]

    def connection_lost(self, exc):
        self.closed = True
        self.lost(exc)

    def frame(self, flags, status, ident, body):
        raise NotImplementedError

    def lost(self, exc):
        pass
