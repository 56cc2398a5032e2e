# SPDX-License-Identifier: Apache-2.0
"""
Single calls of the test's own, by Dubbo, Thrift and bytes, in clear text or by the mesh's mutual TLS, and servers that note what comes to
them: what one caller gets, in one word.
"""

import collections
import contextlib
import socket
import ssl
import struct

from . import dubbo as _dubbo  # noqa: F401  (makes wire known)
from . import netns
from .check import PATIENCE

import wire  # noqa: E402

DUBBO, THRIFT, BYTES = 20880, 9090, (9000, 9001, 9002)
# What a caller gets.
ANSWERED, DENIED, RESET, REFUSED, CLOSED, SILENT, NO_TLS = "answered", "denied", "reset", "refused", "closed", "silent", "no-tls"
VERSION_1, CALL, REPLY = 0x80010000, 1, 2
TCP_CLOSE = 7


def read(sock, length):
    out = b""
    while len(out) < length:
        data = sock.recv(length - len(out))
        if not data:
            raise EOFError
        out += data
    return out


# ---- one call on a connection -------------------------------------------------------------------------------------------

def _said(text):
    return DENIED if "denied by policy" in text or "unauthenticated: " in text else f"error: {text}"


def dubbo(sock, method, attachments=None, **options):
    sock.sendall(wire.request(7, method, ["x"], attachments, **options))
    return reply(sock)


def reply(sock):
    """Of Dubbo's; heartbeats are passed over."""
    while True:
        _, flags, status, _, length = wire.HEADER.unpack(read(sock, wire.HEADER.size))
        body = read(sock, length)
        if not flags & wire.EVENT:
            text = wire.parse_reply(status, body)
            return ANSWERED if status == wire.OK else _said(text)


def _thrift_message(kind, method, body):
    name = method.encode()
    message = struct.pack(f">II{len(name)}sI", VERSION_1 | kind, len(name), name, 7) + body
    return struct.pack(">I", len(message)) + message


def _thrift_read(sock):
    message = read(sock, struct.unpack(">I", read(sock, 4))[0])
    kind, length = struct.unpack_from(">II", message)
    return kind & 0xff, message[8:8 + length].decode(), message[12 + length:]


def thrift(sock, method, _attachments=None):
    sock.sendall(_thrift_message(CALL, method, b"\x0b\0\1\0\0\0\1x\0"))
    kind, _, body = _thrift_read(sock)
    return ANSWERED if kind == REPLY else _said(body.decode("latin-1"))


def stream(sock, _method=None, _attachments=None):
    sock.sendall(b"hello")
    return ANSWERED if read(sock, 5) == b"hello" else "other bytes"


# ---- servers ------------------------------------------------------------------------------------------------------------

class Servers:
    """with Servers(lab, "server1") as s: what came, by the address and port that it came to, in s.seen."""

    def __init__(self, lab, role):
        self.lab, self.role, self.seen = lab, role, collections.Counter()

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        for port, handler in ((DUBBO, self.dubbo), (THRIFT, self._thrift), *((port, self._bytes) for port in BYTES)):
            self.stack.enter_context(self.lab.listening(self.role, port, handler))
        return self

    def __exit__(self, *_):
        self.stack.close()

    def _note(self, sock):
        address, port = sock.getsockname()[:2]
        self.seen[address.removeprefix("::ffff:"), port] += 1

    def dubbo(self, sock):
        with contextlib.suppress(EOFError):
            while True:
                _, flags, _, ident, length = wire.HEADER.unpack(read(sock, wire.HEADER.size))
                read(sock, length)
                if flags & wire.EVENT:
                    sock.sendall(wire.frame(wire.EVENT, wire.OK, ident, b"N"))
                    continue
                self._note(sock)
                sock.sendall(wire.reply(ident, "hello"))

    def _thrift(self, sock):
        with contextlib.suppress(EOFError):
            while True:
                message = read(sock, struct.unpack(">I", read(sock, 4))[0])
                length = struct.unpack_from(">I", message, 4)[0]
                self._note(sock)
                answer = struct.pack(">I", VERSION_1 | REPLY) + message[4:12 + length] + b"\0"
                sock.sendall(struct.pack(">I", len(answer)) + answer)

    def _bytes(self, sock):
        data = sock.recv(4096)
        if data:
            self._note(sock)
        while data:
            sock.sendall(data)
            data = sock.recv(4096)


# ---- callers ------------------------------------------------------------------------------------------------------------

def _is_closed(sock):
    """By RST, which OpenSSL tells as an end: a connection that was ended by FIN is not closed until we end it, too."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_CLOSE


class Callers:
    """Who asks: in clear text, or by the mesh's mutual TLS as "NAMESPACE/ACCOUNT" of a trust domain."""

    def __init__(self, lab, authority):
        self.lab, self.authority, self.contexts = lab, authority, {}

    def tls(self, who, domain="cluster.local", alpn="istio", authority=None, **more):
        key = who, domain, alpn, authority, tuple(more.items())
        if key not in self.contexts:
            self.contexts[key] = self._context(who, domain, alpn, authority or self.authority, more)
        return self.contexts[key]

    def _context(self, who, domain, alpn, authority, more):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.check_hostname = False
        c.load_verify_locations(self.authority.roots)
        c.set_alpn_protocols([alpn])
        if who:
            namespace, account = who.split("/")
            name = f"URI:spiffe://{domain}/ns/{namespace}/sa/{account}"
            c.load_cert_chain(*authority.sign(f"caller-{len(self.contexts)}", name, **more))
        return c

    def connect(self, target, tls=None, source=None, sni=None, patience=PATIENCE):
        """A connection to (address, port); ConnectionRefusedError and the like are the caller's."""
        with self.lab.inside("client"):
            sock = socket.create_connection(target, PATIENCE, (source, 0) if source else None)
        sock.settimeout(patience)
        return tls.wrap_socket(sock, server_hostname=sni, suppress_ragged_eofs=False) if tls else sock

    def ask(self, call, target, method=None, attachments=None, **how):
        """What the caller gets: one of the words above."""
        sock = None
        try:
            sock = self.connect(target, **how)
            return call(sock, method, attachments)
        except ConnectionRefusedError:
            return REFUSED
        except (ConnectionResetError, BrokenPipeError):
            return RESET
        except ssl.SSLError as error:
            if "ALERT" in str(error.reason):
                return f"alert {error.reason}"
            return RESET if sock and _is_closed(sock) else NO_TLS
        except EOFError:
            return CLOSED
        except TimeoutError:
            return SILENT
        finally:
            if sock:
                sock.close()


def addresses(lab, role, iface, all_of_them):
    """More of a namespace's own."""
    for address in all_of_them:
        netns.run("ip", "-n", lab.namespace(role), "addr", "add", f"{address}/24", "dev", iface)
