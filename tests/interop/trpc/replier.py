#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A tRPC server that answers each call with the message that its file has under the text of the call, and with the call's id, which has one byte
as a varint: replier.py PORT FILE
"""

import json
import pathlib
import socket
import sys


def read(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def reply_to(head, body, replies):
    """The reply's id of one byte becomes the call's: at 10, and behind the tag of the header's first field."""
    number, size = int.from_bytes(head[10:14], "big"), int.from_bytes(head[8:10], "big")
    written = bytes.fromhex(replies[body[size:].decode()])
    assert written[16:18] == b"\x18\x01", written.hex()
    field = b"\x18" + varint(number)
    header = field + written[18:]
    total = len(written) - 2 + len(field)
    return written[:4] + total.to_bytes(4, "big") + (int.from_bytes(written[8:10], "big") - 2 + len(field)).to_bytes(2, "big") + \
        number.to_bytes(4, "big") + written[14:16] + header


def main():
    replies = json.loads(pathlib.Path(sys.argv[2]).read_text())
    with socket.create_server(("0.0.0.0", int(sys.argv[1]))) as door:
        print("ready", flush=True)
        while True:
            sock, _ = door.accept()
            with sock:
                try:
                    while True:
                        head = read(sock, 16)
                        sock.sendall(reply_to(head, read(sock, int.from_bytes(head[4:8], "big") - 16), replies))
                except EOFError:
                    pass


main()
