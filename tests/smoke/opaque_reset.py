#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opaque TCP: a reset by either side reaches the other as a reset, and a refused connection does too."""

import time

from meltemi_lab import Lab, check, main, streams
from meltemi_lab.documents import service

VIP = "240.240.2.1"


def was_reset(sock, seconds=5):
    sock.settimeout(seconds)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        return True
    return False


def resets_after_hello(sock):
    sock.recv(5)
    streams.reset(sock)


def body():
    seen = []
    with Lab(servers=1) as lab, lab.listening("server1", 7000, resets_after_hello), \
            lab.listening("server1", 7001, lambda sock: seen.append(was_reset(sock))):
        daemon = lab.meltemi()
        for port in (7000, 7001, 7002):
            daemon.write(f"{port}.yaml", service(f"reset{port}.test", VIP, port, "tcp", [(lab.server(1), port, {})]))
        daemon.start()

        sock = lab.connect("client", VIP, 7000)
        sock.sendall(b"hello")
        check(was_reset(sock), "the server's reset did not reach the client")

        sock = lab.connect("client", VIP, 7001)
        sock.sendall(b"hello")
        time.sleep(0.3)
        streams.reset(sock)
        streams.until(lambda: seen, 5)
        check(seen == [True], f"the client's reset did not reach the server: {seen}")

        try:
            ended = was_reset(lab.connect("client", VIP, 7002))
        except ConnectionResetError:  # so soon that the connect itself reports it
            ended = True
        check(ended, "a server that refuses did not end the client")


main(body)
