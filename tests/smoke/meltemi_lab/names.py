# SPDX-License-Identifier: Apache-2.0
"""DNS from the outside: a client that says what it got in words, a server that others are asked at, resolv.conf."""

import contextlib
import random
import socket
import struct
import subprocess
import threading
import time

from . import netns
from .check import PATIENCE, equal

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "OPT": 41}
CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def query(name, kind, edns=0):
    message = struct.pack(">6H", random.randrange(65536), 0x0100, 1, 0, 0, 1 if edns else 0) + encode(name)
    message += struct.pack(">2H", TYPES[kind], 1)
    return message + (b"\0" + struct.pack(">2HIH", 41, edns, 0, 0) if edns else b"")


def name_at(message, at):
    labels, end = [], None
    for _ in range(200):
        length = message[at]
        if length >= 0xc0:
            end = end or at + 2
            at = struct.unpack_from(">H", message, at)[0] & 0x3fff
        elif length == 0:
            return ".".join(labels), end or at + 1
        else:
            labels.append(message[at + 1:at + 1 + length].decode("latin-1"))
            at += 1 + length
    raise ValueError("a name without end")


class Answer:
    """code, truncated, records as "A 240.240.0.1" and "CNAME x.y"; those of the authority in `authority`."""

    def __init__(self, message, asked):
        if message[:2] != asked[:2]:
            raise ValueError("an answer to another question")
        flags, questions, answers, authority, _ = struct.unpack_from(">5H", message, 2)
        self.code, self.truncated = CODES[flags & 15], bool(flags & 0x200)
        self.records, self.authority = [], []
        at = 12
        for _ in range(questions):
            self.name, at = name_at(message, at)
            at += 4
        for number in range(answers + authority):
            _, at = name_at(message, at)
            kind, _, self.ttl, length = struct.unpack_from(">2HIH", message, at)
            at += 10
            (self.records if number < answers else self.authority).append(self._text(message, kind, at, length))
            at += length

    @staticmethod
    def _text(message, kind, at, length):
        word = next((word for word, number in TYPES.items() if number == kind), str(kind))
        if kind in (1, 28):
            return f"{word} {socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, message[at:at + length])}"
        return f"{word} {name_at(message, at)[0]}" if kind in (5, 6) else word

    @property
    def addresses(self):
        return [record.split()[1] for record in self.records if record.startswith("A")]

    def __repr__(self):
        return f"{self.code}{' truncated' if self.truncated else ''} {self.records}"


def ask(namespace, server, name, kind="A", port=53, edns=0, tcp=False, seconds=PATIENCE, source=""):
    """One question from that namespace, asked once; source: the address that asks."""
    message = query(name, kind, edns)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with netns.inside(namespace):
        sock = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(seconds)
        if source:
            sock.bind((source, 0))
        sock.connect((server, port))
        if not tcp:
            sock.send(message)
            return Answer(sock.recv(65535), message)
        sock.sendall(struct.pack(">H", len(message)) + message)
        with sock.makefile("rb") as stream:
            return Answer(stream.read(struct.unpack(">H", stream.read(2))[0]), message)


# Of queries by which the daemon finds servers that send its queries back.
PROBE = b"\x0aloop-check\x07meltemi"


class Server:
    """
    Another server, for names that are not the mesh's: NAME.example has the address of its first label ("a1" 192.0.2.1 and so
    on), "none.example" does not exist, "big.example" is too long for datagrams, all else is refused. Counts who asked how, but for
    probes of loops.
    `known`: addresses of other names, which are asked for again in a second.
    """

    def __init__(self, namespace, address, port):
        with netns.inside(namespace):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((address, port))
            self.tcp = socket.create_server((address, port))
        self.by_udp = self.by_tcp = 0
        self.ports = set()
        self.silent = False
        self.known = {}
        for target in (self._datagrams, self._streams):
            threading.Thread(target=target, daemon=True).start()

    def _reply(self, message, datagram):
        name, end = name_at(message, 12)
        kind = struct.unpack_from(">H", message, end)[0]
        if name.lower() in self.known:
            found = self.known[name.lower()] if kind == TYPES["A"] else []
            head = message[:2] + struct.pack(">5H", 0x8180, 1, len(found), 0, 0)
            return head + message[12:end + 4] + b"".join(
                b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 1, 4) + socket.inet_aton(address) for address in found)
        label = name.split(".")[0].lower()
        code, count = 0, 0
        if not name.lower().endswith(".example"):
            code = 5
        elif label == "none":
            code = 3
        elif kind == TYPES["A"]:
            count = 200 if label == "big" else 1
        cut = count > 20 and datagram
        count = 0 if cut else count
        head = message[:2] + struct.pack(">5H", 0x8180 | code | (0x200 if cut else 0), 1, count, 0, 0)
        number = int(label[1:]) if label[1:].isdigit() else 99
        record = b"\xc0\x0c" + struct.pack(">2HIH4B", 1, 1, 60, 4, 192, 0, 2, number)
        return head + message[12:end + 4] + record * count

    def _datagrams(self):
        with contextlib.suppress(OSError):
            while True:
                message, peer = self.udp.recvfrom(65535)
                if PROBE in message:
                    continue
                self.by_udp += 1
                self.ports.add(peer[1])
                if not self.silent:
                    self.udp.sendto(self._reply(message, True), peer)

    def _streams(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.tcp.accept()
                with connection, connection.makefile("rb") as stream:
                    reply = self._reply(stream.read(struct.unpack(">H", stream.read(2))[0]), False)
                    self.by_tcp += 1
                    connection.sendall(struct.pack(">H", len(reply)) + reply)

    def stop(self):
        """From now on nobody answers, and nobody refuses either."""
        self.silent = True


def program(lab, server, search, *argv):
    """The words that a program of the client's namespace prints, whose /etc/resolv.conf names that server."""
    path = lab.directory / "resolv.conf"
    path.write_text(f"nameserver {server}\nsearch {search}\noptions timeout:2 attempts:2\n")
    command = ["ip", "netns", "exec", lab.namespace("client"), "sh", "-c",
               f'mount --bind {path} /etc/resolv.conf && exec "$@"', "sh", *argv]
    done = subprocess.run(command, text=True, capture_output=True, timeout=30, check=False)
    equal(done.returncode, 0, f"{' '.join(argv)}: {done.stdout} {done.stderr}")
    return done.stdout.split()


def echo(lab, server, search, host):
    """What an ordinary program hears from an echo at that host's port 7000, and the address that it came to."""
    return program(lab, server, search, "python3", "-c",
                   "import socket, sys; s = socket.create_connection((sys.argv[1], 7000), 30); peer = s.getpeername()[0]; "
                   "s.sendall(b'by name'); s.shutdown(socket.SHUT_WR); print(s.makefile().read(), peer)", host)


def shower(namespace, server, count, seed, port=53):
    """So many datagrams of random bytes, some of which begin like queries; answers are not read."""
    rnd = random.Random(seed)
    with netns.inside(namespace):
        sock = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
    good = query("echo.default.svc.cluster.local", "A", 1232)
    with sock:
        sock.connect((server, port))
        sock.setblocking(False)
        for number in range(count):
            bad = bytearray(good) if number % 2 else bytearray(rnd.randbytes(rnd.randrange(1, 200)))
            for _ in range(3):
                bad[rnd.randrange(len(bad))] = rnd.randrange(256)
            with contextlib.suppress(OSError):
                sock.send(bad)
            if number % 64 == 0:
                time.sleep(0)
