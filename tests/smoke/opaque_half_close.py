#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opaque TCP: a client that ends its half still gets the answer; a server that ends its half still gets the rest."""

import socket

from meltemi_lab import Lab, equal, main, streams
from meltemi_lab.documents import service

VIP = "240.240.2.1"


def answers_after_the_end(sock):
    """Server: reads to the client's end of stream, then answers how much that was."""
    _, length = streams.digest_of(sock)
    sock.sendall(b"took %d" % length)
    sock.close()


def ends_first(got):
    def handler(sock):
        sock.sendall(b"all I say")
        sock.shutdown(socket.SHUT_WR)
        got.append(streams.digest_of(sock)[1])

    return handler


def body():
    got = []
    with Lab(servers=1) as lab, lab.listening("server1", 7000, answers_after_the_end), \
            lab.listening("server1", 7001, ends_first(got)):
        daemon = lab.meltemi()
        for port in (7000, 7001):
            daemon.write(f"{port}.yaml", service(f"half{port}.test", VIP, port, "tcp", [(lab.server(1), port, {})]))
        daemon.start()

        sock = lab.connect("client", VIP, 7000)
        sock.sendall(b"x" * 100000)
        sock.shutdown(socket.SHUT_WR)
        equal(sock.recv(100), b"took 100000", "answer after the client's end")

        sock = lab.connect("client", VIP, 7001)
        equal(sock.recv(100), b"all I say", "what the server said")
        equal(sock.recv(100), b"", "the server's end of stream")
        sock.sendall(b"y" * 50000)
        sock.close()
        streams.until(lambda: got, 5)
        equal(got, [50000], "bytes after the server's end")


main(body)
