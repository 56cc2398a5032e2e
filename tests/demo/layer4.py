# SPDX-License-Identifier: Apache-2.0
"""The scene about layer 4: two servers of UDP and TCP, and a client of both, on kernel sockets."""

import collections
import contextlib
import hashlib
import os
import socket
import threading

VIP, NAMES, DATA = "240.240.0.40", 5353, 5432
SOURCE = "198.51.100.60"  # of connections and flows that are forwarded
BULK = 20_000_000


def names_server(lab, number):
    """Answers each datagram with its own name and the datagram, until the lab closes its socket."""
    with lab.inside(f"server{number}"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", NAMES))
    lab.sockets.append(sock)

    def answer():
        with contextlib.suppress(OSError):
            while True:
                data, peer = sock.recvfrom(2048)
                sock.sendto(f"s{number} ".encode() + data, peer)

    threading.Thread(target=answer, daemon=True).start()


def ask(lab, word):
    """The server that answers a datagram from a new port. None: no answer to three of them."""
    with lab.inside("client"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(2)
        for _ in range(3):
            sock.sendto(word, (VIP, NAMES))
            with contextlib.suppress(TimeoutError):
                server, _, echoed = sock.recv(2048).partition(b" ")
                return server.decode() if echoed == word else None
    return None


def download(lab):
    """(bytes, SHA-256) of all that the server sends."""
    sock = lab.connect("client", VIP, DATA)
    sock.settimeout(20)
    digest, count = hashlib.sha256(), 0
    while data := sock.recv(262144):
        digest.update(data)
        count += len(data)
    return count, digest.hexdigest()


def forwarded(stage):
    stage.scene("9. TCP and UDP forwarded at layer 4, by flow: nothing is terminated")
    lab, sent = stage.lab, os.urandom(BULK)
    for number in (1, 2):
        names_server(lab, number)
    by_server = collections.Counter(ask(lab, f"question {n}".encode()) for n in range(200))
    stage.fact("200 UDP flows", f"{200 - by_server[None]} answered, {dict(sorted((k, v) for k, v in by_server.items() if k))}",
               not by_server[None] and len(by_server) == 2)

    def give(sock):
        with sock:
            sock.sendall(sent)

    with lab.listening("server1", DATA, give), lab.listening("server2", DATA, give):
        got = [download(lab) for _ in range(4)]
    whole = (BULK, hashlib.sha256(sent).hexdigest())
    stage.fact("4 TCP downloads of 20 MB", f"{sum(g == whole for g in got)} with the right SHA-256", all(g == whole for g in got))
    stage.say("  > show flows")
    for line in stage.daemon.shell("show", "flows").rstrip().splitlines():
        stage.say(f"    {line[:160]}")
