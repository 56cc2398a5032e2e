#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Clients that number their calls alike, beside one whose one-way calls the server answers.

  strangers.py --target address:port --callers 6 --count 300 --pace 2 (ms between one-way calls)
Framed, strict binary. The calls of type ONEWAY are of methods that return something, so servers of Apache's libraries answer them.
Prints how many calls were answered, and which replies were wrong or missing.
"""

import argparse
import json
import socket
import struct
import threading

CALL, REPLY, ONEWAY = 1, 2, 4
ID = 77


def string(text):
    return struct.pack(">I", len(text)) + text.encode()


def message(kind, name, body):
    whole = struct.pack(">I", 0x80010000 | kind) + string(name) + struct.pack(">i", ID) + body
    return struct.pack(">I", len(whole)) + whole


def echo(kind, text):
    return message(kind, "echo", b"\x0b\x00\x01" + string(text) + b"\x00")


def slow(kind, millis):
    return message(kind, "slow", b"\x08\x00\x01" + struct.pack(">i", millis) + b"\x00")


def receive(connection, size):
    got = b""
    while len(got) < size:
        part = connection.recv(size - len(got))
        if not part:
            raise OSError("closed")
        got += part
    return got


class Callers:
    def __init__(self, target, count, pace):
        host, port = target.rsplit(":", 1)
        self.address, self.count, self.pace = (host, int(port)), count, pace / 1000
        self.answered, self.wrong, self.failed, self.oneway, self.over = 0, [], [], 0, threading.Event()
        self.lock = threading.Lock()

    def connect(self):
        connection = socket.create_connection(self.address, 30)
        connection.settimeout(30)
        return connection

    def call(self, number):
        connection = self.connect()
        for each in range(self.count):
            text = f"caller {number} call {each}"
            want = message(REPLY, "echo", b"\x0b\x00\x00" + string(text) + b"\x00")
            try:
                connection.sendall(echo(CALL, text))
                head = receive(connection, 4)
                got = head + receive(connection, *struct.unpack(">I", head))
            except OSError as error:
                with self.lock:
                    self.failed.append(str(error))
                return
            with self.lock:
                self.answered += got == want
                if got != want:
                    self.wrong.append(got.hex())

    def notify(self):
        connection = self.connect()
        connection.settimeout(0)
        while not self.over.wait(self.pace):
            connection.sendall(slow(ONEWAY, 5) if self.oneway % 2 else echo(ONEWAY, "SECRET"))
            self.oneway += 1
            try:
                self.wrong.append(connection.recv(4096).hex())  # a one-way call has no reply
                break
            except BlockingIOError:
                pass

    def run(self, callers):
        notifier = threading.Thread(target=self.notify)
        threads = [threading.Thread(target=self.call, args=(number,)) for number in range(callers)]
        for thread in (notifier, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        self.over.set()
        notifier.join()
        return {"answered": self.answered, "wrong": self.wrong[:5], "failed": self.failed[:5], "oneway": self.oneway}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--callers", type=int, default=6)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--pace", type=float, default=2)
    args = parser.parse_args()
    print(json.dumps(Callers(args.target, args.count, args.pace).run(args.callers)))


main()
