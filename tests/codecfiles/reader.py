#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Reads messages with changed ids without the code and the files of codecs: each protocol by hand, after its specification. Lengths and
checksums must be right, the id the new one, and all else as before. Runs the unit tests of codec files, which write the messages.
"""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / os.environ.get("MELTEMI_BUILD", "build-debug") / "tests/unit/unit_codecfile"


def u(b, at, size, order="big"):
    assert at + size <= len(b), "too short"
    return int.from_bytes(b[at:at + size], order)


def cut(b, at, size):
    assert at + size <= len(b), "too short"
    return b[at:at + size]


def varint(b, i):
    value = shift = 0
    while True:
        byte = b[i]
        value |= (byte & 127) << shift
        i += 1
        shift += 7
        if byte < 128:
            return value, i


def protobuf(b):
    """The fields of a message in their order, as (number, type, value)."""
    i, fields = 0, []
    while i < len(b):
        tag, i = varint(b, i)
        kind = tag & 7
        if kind == 0:
            value, i = varint(b, i)
        else:
            size, i = varint(b, i) if kind == 2 else ({1: 8, 5: 4}[kind], i)
            value = cut(b, i, size)
            i += size
        fields.append((tag >> 3, kind, value))
    return fields


def without(fields, number):
    """The last value of a field, and all other fields. A missing field is zero."""
    return next((v for n, _, v in reversed(fields) if n == number), 0), [f for f in fields if f[0] != number]


def jce(b, i=0, until=None):
    """The elements of a struct, as (tag, type, value); integers are (tag, "int", value) whatever their width."""
    out = []
    while i < len(b):
        tag, kind = b[i] >> 4, b[i] & 15
        i += 1
        if tag == 15:
            tag = b[i]
            i += 1
        if kind == 11:
            assert until == 11
            return out, i
        if kind in (0, 1, 2, 3, 12):
            size = {0: 1, 1: 2, 2: 4, 3: 8, 12: 0}[kind]
            value = int.from_bytes(cut(b, i, size), "big", signed=True)
            kind, i = "int", i + size
        elif kind in (4, 5):
            value, i = cut(b, i, 4 * (kind - 3)), i + 4 * (kind - 3)
        elif kind in (6, 7):
            wide = 1 if kind == 6 else 4
            value = cut(b, i + wide, u(b, i, wide))
            i += wide + len(value)
        elif kind in (8, 9):
            (_, _, n), i = one_jce(b, i)
            value = []
            for _ in range(2 * n if kind == 8 else n):
                element, i = one_jce(b, i)
                value.append(element)
        elif kind == 10:
            value, i = jce(b, i, 11)
        else:
            assert kind == 13 and b[i] == 0
            (_, _, n), i = one_jce(b, i + 1)
            value, i = cut(b, i, n), i + n
        out.append((tag, kind, value))
        if until == 1:
            return out, i
    assert until is None
    return out, i


def one_jce(b, i):
    out, i = jce(b, i, 1)
    return out[0], i


def fixed(at, size, order="big"):
    """An id of constant size: all other bytes are as before."""
    return lambda b, side: (u(b, at, size, order), b[:at] + b[at + size:])


def brpc(b, _):
    assert b[:4] == b"PRPC" and u(b, 4, 4) == len(b) - 12
    size = u(b, 8, 4)
    number, rest = without(protobuf(cut(b, 12, size)), 4)
    return number, (rest, b[12 + size:])


def trpc(b, _):
    assert u(b, 0, 2) == 0x0930 and u(b, 4, 4) == len(b)
    size = u(b, 8, 2)
    number, rest = without(protobuf(cut(b, 16, size)), 3)
    assert u(b, 10, 4) == number, "the two ids differ"
    return number, (b[2:4], b[14:16], rest, b[16 + size:])


def tars(b, side):
    assert u(b, 0, 4) == len(b)
    elements, tag = jce(b[4:])[0], 4 if side == "client" else 3
    at = [element[0] for element in elements].index(tag)  # of a repeated tag the first counts
    return elements[at][2], elements[:at] + elements[at + 1:]


def videopacket(b, _):
    assert b[0] == 0x26 and b[-1] == 0x28 and u(b, 1, 4) == len(b)
    (tag, kind, head), *rest = jce(b[16:-1])[0]
    assert (tag, kind) == (0, 10)
    number, inner = without(head, 6)
    return number, (b[5:16], inner, rest)


def bolt(b, _):
    if b[0] == 1:
        fields = [12, 14, 16, 20] if b[1] == 0 else [14, 16, 18, 22]
        assert len(b) == fields[3] + u(b, fields[0], 2) + u(b, fields[1], 2) + u(b, fields[2], 4)
        return u(b, 5, 4), (b[:5], b[9:])
    fields = [14, 16, 18, 22] if b[2] == 0 else [16, 18, 20, 24]
    crc = 4 if b[1] == 2 and b[11] & 1 else 0
    assert len(b) == fields[3] + u(b, fields[0], 2) + u(b, fields[1], 2) + u(b, fields[2], 4) + crc
    assert not crc or zlib.crc32(b[:-4]) == u(b, len(b) - 4, 4), "the checksum is wrong"
    return u(b, 6, 4), (b[:6], b[10:len(b) - crc])


def motan(b, _):
    if b[3] >> 3:
        return u(b, 5, 8), (b[:5], b[13:])
    assert u(b, 12, 4) == len(b) - 16
    ids = u(b, 4, 8), u(b, 20, 8)
    return ids[0] if ids[0] == ids[1] else ids, (b[:4], b[12:20], b[28:])


def thrift(b, _):
    assert u(b, 0, 4) == len(b) - 4
    at = 12 + u(b, 8, 4)
    return u(b, at, 4), (b[:at], b[at + 4:])


READERS = {"awesome": fixed(1, 4), "bolt": bolt, "brpc": brpc, "dubbo2": fixed(4, 8), "memcached_binary": fixed(12, 4), "motan": motan,
           "tars": tars, "thrift_framed_binary": thrift,
           "trpc": trpc, "videopacket": videopacket,
           "mongodb": lambda b, side: fixed(4 if side == "client" else 8, 4, "little")(b, side)}


def compare(lines):
    wrong, seen = 0, dict.fromkeys(READERS, 0)
    for line in lines:
        file, name, side, number, before, after = line.rstrip("\n").split("\t")
        if file not in READERS:
            continue
        seen[file] += 1
        try:
            _, old = READERS[file](bytes.fromhex(before), side)
            got, new = READERS[file](bytes.fromhex(after), side)
            assert got == int(number), f"the id is {got}, not {number}"
            assert old == new, "another part has changed"
        except (AssertionError, IndexError, KeyError, struct.error) as error:
            wrong += 1
            print(f"{file}: {name}: {error}\n  {before}\n  {after}")
    unseen = [file for file, n in seen.items() if not n]
    if unseen:
        print("no message of", *unseen)
    print(sum(seen.values()), "messages of", len(seen), "protocols,", wrong, "wrong")
    return not wrong and not unseen


def main():
    with tempfile.TemporaryDirectory() as place:
        out = pathlib.Path(place) / "messages"
        run = subprocess.run([UNIT, "round trips"], env={**os.environ, "MT_CODECFILES_OUT": str(out)}, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        if run.returncode:
            print(run.stdout)
            return 1
        return 0 if compare(out.read_text().splitlines()) else 1


if __name__ == "__main__":
    sys.exit(main())
