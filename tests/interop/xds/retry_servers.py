# SPDX-License-Identifier: Apache-2.0
"""
Servers and clients for the comparison of retries with Envoy's. A request specifies itself how it fails: its path or argument contains
"plan=FAULTxN:CALL;", a fault and the number of first attempts that have it. The server speaks HTTP/1.1 and Dubbo, and records each
attempt by its own clock, so Envoy and Meltemi have the same server and the same plans.
"""

import collections
import http.client
import re
import socket
import struct
import threading
import time

from meltemi_lab import check, dubbo, equal

PLAN = re.compile(rb"plan=([a-z]+)x(\d+):(\d+);")
ALWAYS = 99
# Error replies, as an HTTP status with its headers, and the Dubbo status of the same class.
ERRORS = {"overload": (503, "", 100), "internal": (500, "", 80), "deadline": (504, "", 31), "caller": (400, "", 40),
          "grpcunavailable": (200, "grpc-status: 14\r\n", 35), "grpcexhausted": (200, "grpc-status: 8\r\n", 100),
          "grpclate": (200, "grpc-status: 4\r\n", 31), "grpcinternal": (200, "grpc-status: 13\r\n", 80)}
ERRORS["stays"] = ERRORS["overload"]  # at the first attempt; the next one has no reply before release()
OK = (200, "", 20)
# Requests that are read and get no reply, with the statuses of the proxies.
LOST = {"reset": (503, 35), "fin": (503, 35), "hang": (504, 31)}
HELD = ("held", "stays")


def plan(fault, times, call):
    return f"plan={fault}x{times}:{call};"


class Attempts:
    """What the server has read."""

    def __init__(self):
        self.lock, self.released = threading.Lock(), threading.Event()
        self.came, self.ended = collections.defaultdict(list), collections.defaultdict(list)  # seconds, of each call's attempts
        self.again = self.peak = self.held = 0  # further attempts at this moment, their maximum, and calls until release()

    def begins(self, call):
        """The number of the attempt, from 1."""
        with self.lock:
            self.came[call].append(time.monotonic())
            number = len(self.came[call])
            self.again += number > 1
            self.peak = max(self.peak, self.again)
        return number

    def ends(self, call, number):
        with self.lock:
            self.again -= number > 1
            self.ended[call].append(time.monotonic())

    def holds(self):
        with self.lock:
            self.held += 1
        check(self.released.wait(120), "a call was held too long")

    def of(self, text):
        with self.lock:
            return len(self.came[text.encode()])

    def gaps(self, number):
        """Seconds between the end of that attempt and the next one, of each call that had both."""
        with self.lock:
            return [came[number] - self.ended[call][number - 1] for call, came in self.came.items() if len(came) > number]


class Lost(ConnectionError):
    """The connection ends."""


class Server:
    """A handler for Lab.listening()."""

    def __init__(self):
        self.attempts = Attempts()

    def renew(self):
        """Forgets all calls."""
        self.attempts = Attempts()
        return self.attempts

    def __call__(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        try:
            while more := sock.recv(1 << 16):
                data += more
                while whole := (self._http if data[:1] == b"G" else self._dubbo)(sock, data):
                    data = data[whole:]
        except ConnectionError:
            pass
        sock.close()

    def _http(self, sock, data):
        """Bytes of the first request; 0: there is no whole one."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        self._call(sock, data[:end], lambda code, headers, _: f"HTTP/1.1 {code} x\r\n{headers}content-length: 0\r\n\r\n".encode())
        return end + 4

    def _dubbo(self, sock, data):
        if len(data) < 16 or len(data) < (whole := 16 + int.from_bytes(data[12:16], "big")):
            return 0
        ident, body = int.from_bytes(data[4:12], "big"), data[16:whole]

        def reply(_code, _headers, status):
            return dubbo.reply(ident, "yes") if status == 20 else dubbo.frame(2, status, ident, b"\x03why")

        if data[2] & 0x20:
            sock.sendall(dubbo.frame(0x20, 20, ident, b"N"))
        elif PLAN.search(body).group(1).decode() in HELD:  # other calls of the connection go on
            threading.Thread(target=self._call, args=(sock, body, reply), daemon=True).start()
        else:
            self._call(sock, body, reply)
        return whole

    def _call(self, sock, text, reply):
        attempts, found = self.attempts, PLAN.search(text)
        fault, times, call = found.group(1).decode(), int(found.group(2)), found.group(0)
        number = attempts.begins(call)
        if fault in HELD and number > times:
            attempts.holds()
        attempts.ends(call, number)
        if number > times or fault not in LOST:
            sock.sendall(reply(*(ERRORS[fault] if number <= times else OK)))
        elif fault == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Lost
        elif fault == "fin":
            raise Lost


class HttpClient:
    """One request at a time on a connection."""

    def __init__(self, sock):
        sock.settimeout(120)
        self.connection = http.client.HTTPConnection("retries")
        self.connection.sock = sock

    def __call__(self, text):
        self.connection.request("GET", f"/{text}")
        response = self.connection.getresponse()
        response.read()
        return response.status


class DubboClient:
    """The same; 200 stands for its status of success."""

    def __init__(self, sock):
        sock.settimeout(120)
        self.sock, self.ident = sock, 0

    def __call__(self, text):
        self.ident += 1
        self.sock.sendall(dubbo.request(self.ident, "sayHello", [text], interface="retries"))
        head = self.sock.recv(16, socket.MSG_WAITALL)
        equal((len(head), int.from_bytes(head[4:12], "big")), (16, self.ident), "the head of a reply")
        self.sock.recv(int.from_bytes(head[12:16], "big"), socket.MSG_WAITALL)
        return head[3]
