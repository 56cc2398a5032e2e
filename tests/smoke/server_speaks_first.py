#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A service whose server speaks first (a database greeting) works: Meltemi connects before the client says a word."""

from meltemi_lab import Lab, equal, main
from meltemi_lab.documents import service

VIP = "240.240.2.1"
GREETING = b"\x4a\x00\x00\x00\x0a10.11.6-MariaDB\x00"


def greets(sock):
    sock.sendall(GREETING)
    while data := sock.recv(100):
        sock.sendall(b"you said " + data)
    sock.close()


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 3306, greets):
        daemon = lab.meltemi()
        daemon.write("db.yaml", service("db.test", VIP, 3306, "tcp-mysql", [(lab.server(1), 3306, {})]))
        daemon.start()
        for _ in range(20):
            sock = lab.connect("client", VIP, 3306)
            equal(sock.recv(100), GREETING, "greeting")
            sock.sendall(b"login")
            equal(sock.recv(100), b"you said login", "answer")
            sock.close()


main(body)
