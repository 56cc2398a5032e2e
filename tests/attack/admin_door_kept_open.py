#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Who asks nothing whole keeps no prober out: /ready and /metrics are answered on loopback beside 64 clients of its own address
that are silent, stop in the middle of a head, promise a body that never comes (and stay, or leave), or do not read the
answer. And viewers who take every place of the shell's sockets they can get leave operators theirs.
"""

import contextlib
import socket
import threading
import time

from attack_lab import LONG, Lab, check, netns
from meltemi_lab.check import equal
from meltemi_lab.documents import service

CLIENTS, PROBES = 64, 40 if LONG else 12
PATIENCE = 15  # seconds
BODY = b"POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
KINDS = {"silent": b"", "half a head": b"GET /rea", "head without its end": b"GET /ready HTTP/1.1\r\nHost: x\r\n",
         "body that never comes": BODY, "half a body": BODY + b"1234", "body that never comes, and goes": BODY,
         "answer that is not read": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 4}


def dial(namespace):
    with netns.inside(namespace):
        sock = socket.socket()
    sock.settimeout(5)
    with contextlib.suppress(OSError):
        sock.connect(("127.0.0.1", 15000))
    return sock


class Siege:
    """Holds 64 connections of a kind, and opens a new one for each that is ended."""

    def __init__(self, namespace, kind, text):
        self.namespace, self.kind, self.text, self.over, self.opened = namespace, kind, text, threading.Event(), 0
        self.threads = [threading.Thread(target=self._hold, daemon=True) for _ in range(4)]
        for thread in self.threads:
            thread.start()

    def _open(self):
        sock = dial(self.namespace)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.sendall(self.text)
            sock.setblocking(False)
            if self.kind.endswith("goes"):
                sock.close()
        self.opened += 1
        return sock

    def _ended(self, sock):
        if sock.fileno() < 0:
            return False  # it went by itself; its place is what is looked at
        try:
            return sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _hold(self):
        held = [self._open() for _ in range(CLIENTS // len(self.threads))]
        while not self.over.wait(0.05):
            for i, sock in enumerate(held):
                if self._ended(sock):
                    sock.close()
                    held[i] = self._open()
        for sock in held:
            sock.close()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def probe(daemon, path):
    """How long the answer took; a refusal, or none in time, is a failure."""
    begin = time.monotonic()
    try:
        status, _ = daemon.http(path)
    except OSError as error:
        return None, f"{error or type(error).__name__}"
    return time.monotonic() - begin, status


def besieged(daemon, kind, text):
    siege = Siege(daemon.namespace, kind, text)
    failed, slowest = [], 0.0
    time.sleep(0.5)
    try:
        for i in range(PROBES):
            took, answer = probe(daemon, "/metrics" if i % 4 == 3 else "/ready")
            if answer != 200 or took > PATIENCE:
                failed.append((i, answer, took))
            slowest = max(slowest, took or 0.0)
            time.sleep(0.1)
    finally:
        siege.end()
    print(f"{kind} | {siege.opened} connections | {PROBES - len(failed)} of {PROBES} probes answered | {slowest:.2f} s", flush=True)
    return [f"{kind}: {failure}" for failure in failed]


def shell(path, *lines):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(str(path))
    for line in lines:
        sock.sendall(line + b"\n")
    return sock


def said(sock):
    try:
        return sock.recv(4096)
    except ConnectionResetError:
        return b""


def operators_keep_their_places(daemon, operate, view):
    """Eight forgotten operators' shells live through two hundred viewers, and newcomers of either role get in."""
    kept = [shell(operate, b"show version") for _ in range(8)]
    for sock in kept:
        check(said(sock).startswith(b"meltemi 0"), "an operator is not served")
    viewers = []
    for i in range(200):
        viewers.append(shell(view, b"show version"))
        check(said(viewers[-1]).startswith(b"meltemi 0"), f"viewer {i} is not served")
    for i, sock in enumerate(kept):
        sock.sendall(b"show version\n")
        check(said(sock).startswith(b"meltemi 0"), f"operator {i} was thrown out by viewers")
    more = [shell(operate, b"show version") for _ in range(16)]
    for i, sock in enumerate(more):
        check(said(sock).startswith(b"meltemi 0"), f"operator {i} does not get in beside viewers")
    late = shell(view, b"show version")
    check(said(late).startswith(b"meltemi 0"), "a viewer does not get in beside operators")
    equal(sum(daemon.shell("show", "version") != "" for _ in range(3)), 3, "shells of operators")
    for sock in (*kept, *viewers, *more, late):
        sock.close()


def body():
    with Lab(servers=1) as lab:
        daemon = lab.meltemi()
        view = daemon.directory / "view.sock"
        daemon.admin(viewSocket=view)
        daemon.write("a.yaml", service("a.example", "240.240.3.1", 80, "tcp", [("10.88.0.11", 80, {})]))
        daemon.start()
        failed = [failure for kind, text in KINDS.items() for failure in besieged(daemon, kind, text)]
        check(not failed, f"probes that were not answered (number, answer, seconds): {failed}")
        operators_keep_their_places(daemon, daemon.directory / "admin.sock", view)
        equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    from meltemi_lab import main

    main(body)
