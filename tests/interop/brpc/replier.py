#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A bRPC server: replier.py PORT FILE. A call whose text is a reason is answered with the message of the file for it and the call's id, all
others with their user fields as the name of the server.
"""

import json
import pathlib
import socket
import sys

import brpc_wire as wire


def reply(meta, body, replies):
    number, call = dict(meta).get(4, 0), dict(wire.fields(body))[1].decode()
    if call not in replies:
        user = {key.decode(): value.decode() for key, value in ([v for _, v in wire.fields(entry)] for n, entry in meta if n == 9)}
        return wire.message(wire.field(2, wire.field(1, 0)) + wire.field(4, number), wire.text(call, json.dumps(user, sort_keys=True)))
    written = bytes.fromhex(replies[call])[12:]
    return wire.message(b"".join(wire.field(n, number if n == 4 else value) for n, value in wire.fields(written)))


def main():
    replies = json.loads(pathlib.Path(sys.argv[2]).read_text())
    with socket.create_server(("0.0.0.0", int(sys.argv[1]))) as door:
        print("ready", flush=True)
        while True:
            sock, _ = door.accept()
            with sock:
                try:
                    while True:
                        sock.sendall(reply(*wire.receive(sock), replies))
                except EOFError:
                    pass


main()
