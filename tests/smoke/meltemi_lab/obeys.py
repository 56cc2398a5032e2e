# SPDX-License-Identifier: Apache-2.0
"""A Dubbo client that does what a drain asks of it."""

import select
import threading

from . import dubbo
from .check import Failure, equal

HEADER, EVENT = 16, 0x20


class Obeys(threading.Thread):
    """Makes a call every 20 ms. Told by READONLY or an end of the connection, it connects again, and makes a lost call again once."""

    def __init__(self, lab, role, address, port, interface):
        super().__init__(daemon=True)
        self.open, self.interface, self.over = lambda: lab.connect(role, address, port), interface, threading.Event()
        self.sock, self.rest, self.told = None, b"", False
        self.calls = self.opened = self.notified = self.again = 0
        self.failed = []

    def connect(self):
        self.sock = self.open()
        self.rest, self.told = b"", False
        self.opened += 1

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None

    def frames(self):
        """The whole frames that have come, at least one; waits for that."""
        while len(self.rest) < HEADER or len(self.rest) < HEADER + int.from_bytes(self.rest[12:16]):
            data = self.sock.recv(1 << 16)
            if not data:
                raise ConnectionResetError("closed")
            self.rest += data
        while len(self.rest) >= HEADER and len(self.rest) >= (size := HEADER + int.from_bytes(self.rest[12:16])):
            whole, self.rest = self.rest[:size], self.rest[size:]
            yield whole

    def heard(self):
        """Frames that have come by themselves: READONLY."""
        while self.sock and select.select([self.sock], [], [], 0)[0]:
            try:
                self.told |= any([whole[2] & EVENT for whole in self.frames()])
            except OSError:
                self.close()

    def call(self, ident):
        if not self.sock:
            self.connect()
        self.sock.sendall(dubbo.request(ident, "echo", ["x"], interface=self.interface))
        while True:
            for whole in self.frames():
                if whole[2] & EVENT:
                    self.told = True
                elif int.from_bytes(whole[4:12]) == ident:
                    return whole[3]

    def one(self, ident):
        for attempt in range(2):
            try:
                equal(self.call(ident), 20, "status of the reply")
                return
            except OSError:
                self.close()
                if attempt:
                    raise
                self.again += 1

    def run(self):
        while not self.over.wait(0.02):
            self.heard()
            if self.told:
                self.notified += 1
                self.close()
            self.calls += 1
            try:
                self.one(self.calls)
            except (OSError, Failure) as error:
                self.failed.append(str(error))
        self.close()
