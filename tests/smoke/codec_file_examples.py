#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The codec files of the tutorial, with servers and clients in Python: videopacket and a protocol of lines. Calls are served, routed by metadata, and
split over two servers although they share a connection and their ids; errors are the protocol's own.
"""

import collections
import contextlib
import struct

from meltemi_lab import ROOT, Lab, check, equal, main
from meltemi_lab.documents import service, subsets

VIP = "240.240.10.1"
VIDEO, LINES = 8000, 8100  # of servers, and first of three ports of a protocol
EXAMPLES = ROOT / "docs/tutorials/codecs"
CALLS = 200


def router(host, name, value, rest):
    """A route to v2 for a value, and one to v1 for all others."""
    text = f"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: {{name: {host}}}\nspec:\n  hosts: [{host}]\n  routes:\n" \
           f"  - {{name: new, match: {{attributes: {{{name}: {{exact: \"{value}\"}}}}}}, route: [{{destination: {{host: {host}, subset: v2}}}}]}}\n"
    return text + (f"  - {{name: rest, route: [{{destination: {{host: {host}, subset: v1}}}}]}}\n" if rest else "")


class Stream:
    """Messages of a connection: line() and take()."""

    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError
        self.data += piece

    def take(self, size):
        while len(self.data) < size:
            self.more()
        part, self.data = self.data[:size], self.data[size:]
        return part

    def line(self):
        while b"\r\n" not in self.data:
            self.more()
        return self.take(self.data.index(b"\r\n") + 2)[:-2].decode()


# ---- videopacket -----------------------------------------------------------------------------------

def jce(tag, number):
    """An integer of JCE, as small as it can be."""
    kind = 12 if not number else next(k for k in range(4) if -1 << (8 << k) - 1 <= number < 1 << (8 << k) - 1)
    return bytes([tag << 4 | kind]) + (number.to_bytes(1 << kind, "big", signed=True) if kind < 12 else b"")


def packet(command, sequence, result=0, text="", end=0x28):
    body = b"\x0a" + jce(1, command) + jce(2, 9) + jce(4, result) + jce(6, sequence) + b"\x0b" + b"\x16" + bytes([len(text)]) + text.encode()
    return b"\x26" + struct.pack(">I", 17 + len(body)) + b"\0\1" + struct.pack(">H", command) + bytes(7) + body + bytes([end])


def unpacked(stream):
    """The numbers of a message's first struct, by tag, and the text."""
    head = stream.take(5)
    rest = stream.take(struct.unpack(">I", head[1:])[0] - 5)
    equal((head[0], rest[-1], rest[10]), (0x26, 0x28, 0), "marks")
    check(rest[11] == 0x0a, f"no struct: {rest.hex()}")
    at, numbers = 12, {}
    while rest[at] != 0x0b:
        tag, kind = rest[at] >> 4, rest[at] & 15
        size = 0 if kind == 12 else 1 << kind
        numbers[tag] = int.from_bytes(rest[at + 1:at + 1 + size], "big", signed=True)
        at += 1 + size
    return numbers, rest[at + 3:-1].decode()


def video_server(name):
    def handle(sock):
        stream = Stream(sock)
        with contextlib.suppress(EOFError, OSError):
            while True:
                numbers, text = unpacked(stream)
                sock.sendall(packet(numbers[1], numbers[6], 0, f"{name} {text}"))
    return handle


def video_calls(lab, port, command):
    """Two clients send calls with equal numbers, all at once. Returns the calls of each server."""
    streams = [Stream(lab.connect("client", VIP, port)) for _ in range(2)]
    for client, stream in enumerate(streams):
        stream.sock.sendall(b"".join(packet(command, n, 0, f"{client}-{n}") for n in range(CALLS)))
    servers = collections.Counter()
    for client, stream in enumerate(streams):
        seen = {}
        for _ in range(CALLS):
            numbers, text = unpacked(stream)
            equal((numbers[1], numbers[4]), (command, 0), "command and result")
            server, seen[numbers[6]] = text.split(" ")
            servers[server] += 1
        equal(seen, {n: f"{client}-{n}" for n in range(CALLS)}, "texts by number")
    return servers


def video(lab):
    equal(video_calls(lab, VIDEO, 2), {"s2": 2 * CALLS}, "servers of command 2")
    equal(video_calls(lab, VIDEO, 300), {"s1": 2 * CALLS}, "servers of command 300")
    servers = video_calls(lab, VIDEO + 1, 1)
    check(min(servers["s1"], servers["s2"]) > CALLS / 2, f"calls by server: {servers}")
    stream = Stream(lab.connect("client", VIP, VIDEO + 2))
    for command, end, want in ((5, 0x28, (5, 1, 70000)), (2, 0x29, (2, 1, 70000)), (2, 0x28, (2, 0, 70000))):
        stream.sock.sendall(packet(command, 70000, 0, "x", end))
        numbers, _ = unpacked_error(stream) if want[1] else unpacked(stream)
        equal((numbers[1], numbers[4], numbers[6]), want, f"command, result and number of the reply to command {command}")


def unpacked_error(stream):
    """A reply of Meltemi has the request's first numbers, and no text."""
    numbers, text = unpacked(stream)
    equal((numbers[2], text), (9, ""), "type of service and text")
    return numbers, text


# ---- lines -----------------------------------------------------------------------------------------

def lines_server(name):
    def handle(sock):
        stream = Stream(sock)
        with contextlib.suppress(EOFError, OSError):
            while True:
                command, *words = stream.line().split()
                if command == "PING":
                    sock.sendall(b"PONG\r\n")
                    continue
                block = stream.take(int(words[2]) + 2)[:-2].decode() if command == "PUT" else ""
                text = f"{name} {words[1]} {block}\r\n"
                sock.sendall(f"OK {words[0]} 200 {len(text)}\r\n{text}\r\n".encode())
    return handle


def answer(stream):
    """Id, code, and the block or the words of an error."""
    command, ident, code, *words = stream.line().split(" ")
    return int(ident), int(code), stream.take(int(words[0]) + 2)[:-4].decode() if command == "OK" else " ".join(words)


def lines_calls(lab, port, shop):
    streams = [Stream(lab.connect("client", VIP, port)) for _ in range(2)]
    for client, stream in enumerate(streams):
        stream.sock.sendall("".join(f"GET {n} {shop}:{client}-{n}\r\n" if n % 2 else f"PUT {n} {shop}:{client}-{n} 6\r\nb\r\n\r\nk\r\n"
                                    for n in range(CALLS)).encode())
    servers = collections.Counter()
    for client, stream in enumerate(streams):
        seen = {}
        for _ in range(CALLS):
            ident, code, text = answer(stream)
            server, key, block = text.split(" ", 2)
            equal((code, block), (200, "" if ident % 2 else "b\r\n\r\nk"), "code and block")
            servers[server], seen[ident] = servers[server] + 1, key
        equal(seen, {n: f"{shop}:{client}-{n}" for n in range(CALLS)}, "keys by id")
    return servers


def lines(lab):
    equal(lines_calls(lab, LINES, "porto"), {"s2": 2 * CALLS}, "servers of the shop")
    equal(lines_calls(lab, LINES, "lisbon"), {"s1": 2 * CALLS}, "servers of other shops")
    servers = lines_calls(lab, LINES + 1, "lisbon")
    check(min(servers["s1"], servers["s2"]) > CALLS / 2, f"calls by server: {servers}")
    stream = Stream(lab.connect("client", VIP, LINES + 2))
    stream.sock.sendall(b"GET 7 lisbon:1\r\n")
    equal(answer(stream), (7, 404, "no route matches"), "an error of Meltemi's")
    stream.sock.sendall(b"PING\r\n")
    equal(stream.line(), "PONG", "the answer to a heartbeat")
    stream.sock.sendall(b"GET 8 porto:1\r\n")
    equal(answer(stream), (8, 200, "s2 porto:1 "), "a call after them")
    stream.sock.sendall(b"DEL 9 x\r\n")
    equal(stream.sock.recv(1), b"", "what follows a message that is none")


def documents(lab, daemon):
    endpoints = {port: [(lab.server(n), port, {"version": f"v{n}"}) for n in (1, 2)] for port in (VIDEO, LINES)}
    for word, port, name, value in (("videopacket", VIDEO, "command", 2), ("commands", LINES, "shop", "porto")):
        for number, kind in enumerate(("routed", "split", "strict")):
            host = f"{kind}.{word}.test"
            daemon.write(f"{host}.yaml", service(host, VIP, port + number, f"tcp-metaprotocol-{word}", endpoints[port]))
            daemon.write(f"{host}-subsets.yaml", subsets(host, ["v1", "v2"]))
            if kind != "split":
                daemon.write(f"{host}-routes.yaml", router(host, name, value, kind == "routed"))
    daemon.node.write_text(daemon.node.read_text().rstrip("\n") + f"\n  codecs: [{EXAMPLES}]\n")


def body():
    with Lab(servers=2) as lab, contextlib.ExitStack() as running:
        for number in (1, 2):
            running.enter_context(lab.listening(f"server{number}", VIDEO, video_server(f"s{number}")))
            running.enter_context(lab.listening(f"server{number}", LINES, lines_server(f"s{number}")))
        daemon = lab.meltemi()
        documents(lab, daemon)
        daemon.start()
        video(lab)
        lines(lab)


main(body)
