# SPDX-License-Identifier: Apache-2.0
"""The part of Hessian 2.0 that Dubbo calls with strings, numbers, lists and maps need. Bounded; no classes."""

import struct


class Malformed(Exception):
    pass


def _surrogates(char):
    """Java's way: characters outside the BMP as two surrogates of three bytes each."""
    if ord(char) < 0x10000:
        return char
    rest = ord(char) - 0x10000
    return chr(0xD800 + (rest >> 10)) + chr(0xDC00 + (rest & 0x3FF))


def string(text):
    wide = text if text.isascii() else "".join(_surrogates(c) for c in text)
    out = b""
    while len(wide) > 0x8000:
        out += b"R\x80\x00" + wide[:0x8000].encode("utf-8", "surrogatepass")
        wide = wide[0x8000:]
    body, units = wide.encode("utf-8", "surrogatepass"), len(wide)
    if units <= 0x1F:
        return out + bytes([units]) + body
    if units <= 0x3FF:
        return out + bytes([0x30 | units >> 8, units & 0xFF]) + body
    return out + b"S" + struct.pack(">H", units) + body


def encode(value):
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"T" if value else b"F"
    if isinstance(value, int):
        return bytes([0x90 + value]) if -16 <= value <= 47 else b"I" + struct.pack(">i", value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, dict):
        return b"H" + b"".join(encode(k) + encode(v) for k, v in value.items()) + b"Z"
    raise TypeError(f"cannot encode {type(value).__name__}")


class Reader:
    """Decodes values in turn from one message's body."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed("value runs past the message")
        self.at += count
        return self.data[self.at - count:self.at]

    def _text(self, units):
        start, at, data = self.at, self.at, self.data
        for _ in range(units):
            if at >= len(data):
                raise Malformed("string runs past the message")
            first = data[at]
            at += 1 if first < 0x80 else 2 if first < 0xE0 else 3
        self.take(at - start)
        return data[start:at].decode("utf-8", "surrogatepass")

    def value(self, depth=0):
        if depth > 32:
            raise Malformed("nested too deep")
        tag = self.take(1)[0]
        if tag <= 0x1F:
            return self._text(tag)
        if 0x30 <= tag <= 0x33:
            return self._text((tag & 3) << 8 | self.take(1)[0])
        if tag in (ord("R"), ord("S")):
            return self._long_text(tag)
        if tag in b"NTF":
            return {ord("N"): None, ord("T"): True, ord("F"): False}[tag]
        if tag == ord("H"):
            return self._map(depth)
        return self._number(tag)

    def _long_text(self, tag):
        text = self._text(int.from_bytes(self.take(2), "big"))
        while tag == ord("R"):
            tag = self.take(1)[0]
            if tag <= 0x1F:
                return text + self._text(tag)
            if 0x30 <= tag <= 0x33:
                return text + self._text((tag & 3) << 8 | self.take(1)[0])
            text += self._text(int.from_bytes(self.take(2), "big"))
        return text

    def _map(self, depth):
        out = {}
        while self.data[self.at:self.at + 1] != b"Z":
            key = self.value(depth + 1)
            out[key] = self.value(depth + 1)
        self.take(1)
        return out

    def _number(self, tag):
        if 0x80 <= tag <= 0xBF:
            return tag - 0x90
        if 0xC0 <= tag <= 0xCF:
            return (tag - 0xC8) << 8 | self.take(1)[0]
        if 0xD0 <= tag <= 0xD7:
            return (tag - 0xD4) << 16 | int.from_bytes(self.take(2), "big")
        if tag == ord("I"):
            return struct.unpack(">i", self.take(4))[0]
        if tag == ord("L"):
            return struct.unpack(">q", self.take(8))[0]
        if 0xD8 <= tag <= 0xEF:
            return tag - 0xE0
        if tag == ord("Y"):
            return struct.unpack(">i", self.take(4))[0]
        raise Malformed(f"unexpected tag {tag:#04x}")
