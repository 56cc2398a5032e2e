# SPDX-License-Identifier: Apache-2.0
"""Byte streams for the tests of opaque TCP: seeded content, digests, and what the two ends may do to each other."""

import hashlib
import random
import socket
import struct
import threading

from .check import PATIENCE, within

CHUNK = 1 << 16


def content(seed, length):
    """The same bytes for the same seed."""
    return random.Random(seed).randbytes(length)


def digest_of(sock):
    """SHA-256 and length of everything up to the other side's end of stream."""
    sha, length = hashlib.sha256(), 0
    while data := sock.recv(CHUNK):
        sha.update(data)
        length += len(data)
    return sha.hexdigest(), length


def reset(sock):
    """Closes with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def echo(sock):
    while data := sock.recv(CHUNK):
        sock.sendall(data)
    sock.close()


def exchange(sock, seed, length):
    """Sends seeded bytes and ends its half while it reads the echo of them; True if every byte came back."""
    sent = content(seed, length)

    def send():
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    found = digest_of(sock)
    sender.join()
    sock.close()
    return found == (hashlib.sha256(sent).hexdigest(), length)


def until(condition, seconds):
    return within(seconds, condition, "what the other side saw")


def ended(sock, seconds=PATIENCE):
    """True if the other side ends the connection, by FIN or RST, whatever it says before."""
    sock.settimeout(seconds)
    try:
        while sock.recv(CHUNK):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def nodelay(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
