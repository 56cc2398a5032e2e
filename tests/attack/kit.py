# SPDX-License-Identifier: Apache-2.0
"""
Calls of two protocols (Dubbo; Thrift, framed and binary) written and read by hand, for peers that do what no library lets
them do. A call is text, "TOKEN MILLISECONDS BYTES": the server answers after that time with so many bytes, of which the token is
the first word.
"""

import collections
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop" / "dubbo"))

import hessian2  # noqa: E402
import wire  # noqa: E402

CALL, REPLY, ERROR, EVENT, ONE_WAY = "call", "reply", "error", "event", "one-way"
Message = collections.namedtuple("Message", "kind ident text")
PATIENCE = 30  # seconds, as of the labs' within()


def long_string(text):
    """Of ASCII; hessian2.string() copies what is left of a long one for each of its pieces."""
    pieces = [text[at:at + 0x8000] for at in range(0, len(text), 0x8000)] or [""]
    return b"".join([*(b"R\x80\x00" + piece.encode() for piece in pieces[:-1]), hessian2.string(pieces[-1])])


class Dubbo:
    port, head = 20880, wire.HEADER.size

    @staticmethod
    def body_bytes(head):
        magic, _, _, _, length = wire.HEADER.unpack(head)
        if magic != wire.MAGIC:
            raise ValueError(f"not a Dubbo frame: {head.hex()}")
        return length

    @staticmethod
    def parse(head, body):
        _, flags, status, ident, _ = wire.HEADER.unpack(head)
        if flags & wire.EVENT:
            return Message(EVENT, ident, "")
        if flags & wire.REQUEST:
            kind = CALL if flags & wire.TWO_WAY else ONE_WAY
            return Message(kind, ident, wire.parse_request(body)[2][0])
        text = wire.parse_reply(status, body)
        return Message(REPLY, ident, text) if status == wire.OK else Message(ERROR, ident, f"status {status}: {text}")

    @staticmethod
    def call(ident, text, one_way=False):
        if len(text) <= 0x8000:
            return wire.request(ident, "work", [text], two_way=not one_way)
        short = wire.request(ident, "work", ["@"], two_way=not one_way)[wire.HEADER.size:]
        before, after = short.split(hessian2.string("@"))
        flags = wire.REQUEST | (0 if one_way else wire.TWO_WAY)
        return wire.frame(flags, 0, ident, before + long_string(text) + after)

    @staticmethod
    def reply(ident, text):
        return wire.frame(0, wire.OK, ident, b"\x91" + long_string(text))

    @staticmethod
    def event(ident):
        return wire.frame(wire.EVENT, wire.OK, ident, b"N")


class Thrift:
    """The strict binary protocol in frames: version and kind, method, id, a struct of one string."""

    port, head = 9090, 4
    KINDS = {1: CALL, 2: REPLY, 3: ERROR, 4: ONE_WAY}
    VERSION = 0x80010000

    @staticmethod
    def body_bytes(head):
        return struct.unpack(">I", head)[0]

    @classmethod
    def parse(cls, _head, body):
        word, length = struct.unpack_from(">II", body)
        at = 8 + length
        ident, field, _, size = struct.unpack_from(">IBhI", body, at) if len(body) >= at + 11 else (*struct.unpack_from(">I", body, at), 0, 0, 0)
        text = body[at + 11:at + 11 + size].decode() if field == 11 else ""
        return Message(cls.KINDS[word & 0xFF], ident, text)

    @classmethod
    def message(cls, kind, ident, text, field, method=b"work"):
        value = text.encode()
        body = struct.pack(">II", cls.VERSION | kind, len(method)) + method + struct.pack(">IBhI", ident, 11, field, len(value)) + value + b"\0"
        return struct.pack(">I", len(body)) + body

    @classmethod
    def call(cls, ident, text, one_way=False, method=b"work"):
        return cls.message(4 if one_way else 1, ident, text, 1, method)

    @classmethod
    def reply(cls, ident, text):
        return cls.message(2, ident, text, 0)


PROTOCOLS = {"dubbo": Dubbo, "thrift": Thrift}


def order(token, millis=0, size=0):
    return f"{token} {millis} {size}"


def answer(text):
    """(seconds until the answer, the answer) to the text of a call."""
    token, millis, size = text.split(" ")[:3]
    return int(millis) / 1000, f"{token} ".ljust(int(size), "x")


def answers(text, token, size=0):
    return text.startswith(f"{token} ") and len(text) == max(size, len(token) + 1)


class Splitter:
    """Takes bytes as they come and gives whole messages."""

    def __init__(self, proto):
        self.proto, self.buffer, self.need = proto, bytearray(), proto.head

    def feed(self, data):
        self.buffer += data
        out, head = [], self.proto.head
        while len(self.buffer) >= self.need:
            if self.need == head:
                self.need += self.proto.body_bytes(bytes(self.buffer[:head]))
                continue
            out.append(self.proto.parse(bytes(self.buffer[:head]), bytes(self.buffer[head:self.need])))
            del self.buffer[:self.need]
            self.need = head
        return out


class Caller:
    """A connection that calls when it is told to and reads when it is told to."""

    def __init__(self, sock, proto):
        self.sock, self.proto, self.splitter = sock, proto, Splitter(proto)
        self.open, self.wrong, self.refused, self.answered = {}, [], [], 0
        self.closed = None

    def calls(self, *orders):
        """orders: (millis, size, bytes more in the request). Sends them at once."""
        out = b""
        for millis, size, more in orders:
            ident = len(self.open) + self.answered + len(self.refused) + 1
            self.open[ident] = (f"t{ident}", size)
            out += self.proto.call(ident, order(f"t{ident}", millis, size) + " " + "y" * more)
        self.sock.sendall(out)

    def read(self, seconds, rate=None):
        """
        Reads until nothing is owed any more, or the connection ends, or nothing came for so long, at least PATIENCE; how many calls are
        still owed.
        """
        self.sock.settimeout(max(seconds, PATIENCE))
        while self.open:
            try:
                data = self.sock.recv(1 << 18 if rate is None else rate // 50)
            except TimeoutError:
                break
            except OSError as error:
                self.closed = str(error)
                break
            if not data:
                self.closed = "end of stream"
                break
            self._take(data)
            if rate is not None:
                import time
                time.sleep(len(data) / rate)
        return len(self.open)

    def _take(self, data):
        for message in self.splitter.feed(data):
            if message.kind == EVENT:
                continue
            token, size = self.open.pop(message.ident, ("none", 0))
            if message.kind == ERROR:
                self.refused.append(message.text)
                continue
            self.answered += 1
            if not answers(message.text, token, size):
                self.wrong.append(f"{token}: {message.text[:40]}")

    def verdict(self):
        """What became of the calls, for a comparison with what should have."""
        return {"unanswered": len(self.open), "refused": self.refused, "wrong": self.wrong, "closed": self.closed}


GOOD = {"unanswered": 0, "refused": [], "wrong": [], "closed": None}


def attachments(ident, text, number):
    """A Dubbo call with so many attachments."""
    full = wire.request(ident, "work", [text])
    pairs = b"".join(hessian2.string(f"k{n:06}") + hessian2.string(f"value{n:019}") for n in range(number))
    body = full[wire.HEADER.size:-1] + pairs + b"Z"
    return wire.frame(wire.REQUEST | wire.TWO_WAY, 0, ident, body)
