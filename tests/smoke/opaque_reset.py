#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Opaque TCP: a reset by either side reaches the other as a reset, after all that was acknowledged; and a refused connection does too.
"""

import fcntl
import socket
import struct
import termios
import threading
import time

from meltemi_lab import PATIENCE, Lab, check, main, streams
from meltemi_lab.documents import service

VIP = "240.240.2.1"


def was_reset(sock):
    sock.settimeout(PATIENCE)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        return True
    return False


def resets_after_hello(sock):
    sock.recv(5)
    streams.reset(sock)


LONG = streams.content(26, 60000)
LONGER = streams.content(27, 200000)  # than a machine takes for a program that does not read
SMALL = 4096  # of the buffer of a side that reads late


def all_acknowledged(sock):
    """By the other machine: nothing of it is queued here."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0] == 0


def tells_and_resets(sock):
    sock.recv(5)
    sock.sendall(LONG)
    streams.until(lambda: all_acknowledged(sock), 5)
    streams.reset(sock)


def tells_and_closes(sock):
    """Its FIN follows its bytes; what the client sends on is answered by its machine's RST."""
    sock.recv(5)
    sock.sendall(LONG)
    sock.close()


def read_late(sock, had):
    """A second after it could, and little at once; then how it ended."""
    time.sleep(1)
    sock.settimeout(PATIENCE)
    try:
        while data := sock.recv(SMALL):
            had += data
    except ConnectionResetError:
        return "reset"
    return "end"


def late_server(ends):
    def serve(sock):
        had = bytearray()
        ends.append((read_late(sock, had), bytes(had)))

    return serve


def small(lab, port):
    """A client with a small buffer; before it is connected, or its window would be a large one."""
    with lab.inside("client"):
        sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    sock.settimeout(PATIENCE)
    sock.connect((VIP, port))
    return sock


def gets_all(lab, port, chatters):
    sock = small(lab, port)
    had = bytearray()
    sock.sendall(b"hello")
    stop = threading.Event()

    def chat():
        while not stop.wait(0.02):
            try:
                sock.send(b"x")
            except OSError:
                return

    chatter = threading.Thread(target=chat, daemon=True)
    if chatters:
        chatter.start()
    how = read_late(sock, had)
    stop.set()
    check(bytes(had) == LONG, f"port {port}: {len(had)} of {len(LONG)} bytes came before the {how}")
    return how


def body():
    seen, ends = [], []
    with Lab(servers=1) as lab, lab.listening("server1", 7000, resets_after_hello), \
            lab.listening("server1", 7001, lambda sock: seen.append(sock.recv(5)) or seen.append(was_reset(sock))), \
            lab.listening("server1", 7003, tells_and_resets), lab.listening("server1", 7004, tells_and_closes), \
            lab.listening("server1", 7005, late_server(ends)):
        daemon = lab.meltemi()
        for port in range(7000, 7006):
            daemon.write(f"{port}.yaml", service(f"reset{port}.test", VIP, port, "tcp", [(lab.server(1), port, {})]))
        daemon.start()

        sock = lab.connect("client", VIP, 7000)
        sock.sendall(b"hello")
        check(was_reset(sock), "the server's reset did not reach the client")

        sock = lab.connect("client", VIP, 7001)
        sock.sendall(b"hello")
        streams.until(lambda: seen, 5)
        streams.reset(sock)
        streams.until(lambda: len(seen) == 2, 5)
        check(seen == [b"hello", True], f"the client's reset did not reach the server: {seen}")

        try:
            ended = was_reset(lab.connect("client", VIP, 7002))
        except ConnectionResetError:  # so soon that the connect itself reports it
            ended = True
        check(ended, "a server that refuses did not end the client")

        check(gets_all(lab, 7003, False) == "reset", "a server's reset ended the stream in order")
        gets_all(lab, 7004, True)
        sock = lab.connect("client", VIP, 7005)
        sock.sendall(LONGER)
        streams.until(lambda: all_acknowledged(sock), 5)
        streams.reset(sock)
        streams.until(lambda: ends, 10)
        check(ends[0][1] == LONGER, f"the server got {len(ends[0][1])} of {len(LONGER)} bytes before the client's reset")
        check(ends[0][0] == "reset", "a client's reset ended the stream in order")


main(body)
