#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
awesomeRPC, the private protocol of the talks: a server and a client. The client prints one JSON line.

  awesome.py server --port 9200 --tag v1 --id s1
  awesome.py client --target HOST:PORT --count 100 --outstanding 8 --meta user=Jason (repeat for more)

Big-endian: u8 version, u32 id, u32 length of header and body, u16 command, u16 result, then the body; in version 2
the body begins with u16 length and that many bytes of key=value lines.
"""

import argparse
import collections
import json
import socket
import socketserver
import struct
import sys

HEADER = struct.Struct(">BIIHH")
SAY_HELLO = 1


def read_frame(file):
    """(version, id, command, result, body) or None at the end of the stream."""
    head = file.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    version, ident, length, command, result = HEADER.unpack(head)
    return version, ident, command, result, file.read(length - HEADER.size)


def frame(version, ident, command, result, body):
    return HEADER.pack(version, ident, HEADER.size + len(body), command, result) + body


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while got := read_frame(self.rfile):
            _, ident, command, _, body = got
            meta_len = struct.unpack_from(">H", body)[0] if got[0] == 2 else 0
            name = body[2 + meta_len:] if got[0] == 2 else body
            answer = b"hello " + name + f" from {self.server.named}".encode()
            self.wfile.write(frame(1, ident, command, 0, answer))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def serve(options):
    with Server(("0.0.0.0", options.port), Handler) as server:
        server.named = f"{options.tag}/{options.id}"
        print(json.dumps({"ready": True, "server": server.named}), flush=True)
        server.serve_forever()


def call(options):
    host, port = options.target.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout=30)
    file = sock.makefile("rb")
    meta = "".join(f"{pair}\n" for pair in options.meta).encode()
    servers, errors = collections.Counter(), collections.Counter()
    pending, sent = {}, 0
    while sent < options.count or pending:
        while sent < options.count and len(pending) < options.outstanding:
            name = f"call-{sent}".encode()
            pending[sent] = name
            sock.sendall(frame(2, sent, SAY_HELLO, 0, struct.pack(">H", len(meta)) + meta + name))
            sent += 1
        got = read_frame(file)
        if not got:
            errors["closed"] += len(pending)
            break
        _, ident, _, result, body = got
        name = pending.pop(ident)
        if result:
            errors[f"result-{result}"] += 1
        elif not body.startswith(b"hello " + name + b" from "):
            errors["crossed"] += 1
        else:
            servers[body.rsplit(b" from ", 1)[1].decode()] += 1
    print(json.dumps({"answered": sum(servers.values()), "failed": sum(errors.values()), "by_server": dict(servers),
                      "errors": dict(errors)}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("server", "client"))
    parser.add_argument("--port", type=int, default=9200)
    parser.add_argument("--tag", default="v1")
    parser.add_argument("--id", default="s1")
    parser.add_argument("--target")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--outstanding", type=int, default=8)
    parser.add_argument("--meta", action="append", default=[])
    options = parser.parse_args()
    serve(options) if options.role == "server" else call(options)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
