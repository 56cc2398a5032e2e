#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
SIGTERM drains: calls that are under way are answered, the daemon ends with 0. Until it closes, new connections are accepted and served.
Clients are told to send no more (Dubbo's READONLY): who heeds that loses no call.
Under a load that does not, and goes on for longer than a drain serves it, calls that cross the end of their connection are lost; but none that a server has seen is,
so that all others may be tried again.
"""

import re
import signal
import socket
import struct
import threading
import time

from meltemi_lab import Lab, becomes, check, dubbo, equal, main, within
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.documents import service

BLAST = MELTEMID.parent.parent.parent / "bench/blast/meltemi-blast"
HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
HEADER, EVENT = struct.Struct(">HBBqI"), 0x20
LOADS = (("-o", 1), ("-o", 4), ("-r", 5000))  # of a client that has 8 connections
OUT = 32  # calls of a client, at most: a server on a busy machine is slower than all of them, and more would be refused
READONLY = dubbo.frame(0x80 | EVENT, 0, 0, b"\x01R")


def served(lab):
    """A client that comes while the node drains gets its answer."""
    sock = lab.connect("client", VIP, 20880)
    sock.sendall(dubbo.request(1, "sayHello", ["late"], interface=HOST))
    sock.settimeout(30)
    head = sock.recv(HEADER.size, socket.MSG_WAITALL)
    equal((len(head), head[3]), (HEADER.size, 20), "length of the reply's header, and its status")
    sock.close()


class Server:
    """Answers Dubbo calls, at once or after some seconds, and counts them."""

    def __init__(self, delay=0):
        self.seen, self.lock, self.delay = 0, threading.Lock(), delay

    def __call__(self, sock):
        rest = b""
        while data := sock.recv(1 << 16):
            rest, answers = self._answers(rest + data)
            with self.lock:
                self.seen += len(answers)
            if self.delay:
                threading.Timer(self.delay, sock.sendall, [b"".join(answers)]).start()
            else:
                sock.sendall(b"".join(answers))
        sock.close()

    @staticmethod
    def _answers(data):
        answers, at = [], 0
        while len(data) - at >= HEADER.size:
            _, flags, _, ident, length = HEADER.unpack_from(data, at)
            if len(data) - at < HEADER.size + length:
                break
            at += HEADER.size + length
            if not flags & EVENT:
                answers.append(dubbo.reply(ident, "seen"))
        return data[at:], answers


def under_load(loads, delay=0):
    """No call that a server has seen is lost, whether calls take milliseconds or seconds."""
    server = Server(delay)
    with Lab(servers=1) as lab, lab.listening("server1", 20880, server):
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        for load in loads:
            daemon.start()
            server.seen = 0
            client = lab.run("client", f"blast{load[0]}{load[1]}", [BLAST, "--json", "--verify", "id", "--reply-size", "any", "-c", 8, *load,
                                                                    "-d", "24s", "-w", "0s", f"{VIP}:20880"])
            within(30, lambda: server.seen >= (16 if delay else 100), "calls at the server", step=0.02)
            equal(daemon.stop(), 0, "exit status")
            report = client.result(60)
            print(f"{load}: {report['sent']} sent, {report['answered']} answered, {server.seen} seen by the server", flush=True)
            equal(report["answered"], server.seen, "calls that were answered, and calls that the server has seen")
            closed = re.search(r"closing after (\d+) s", daemon.process.errors())
            check(closed and int(closed[1]) < 20, f"replies have the rest of the drain's 30 s: {daemon.process.errors()}")


class Heeds(threading.Thread):
    """A client that calls on and on, without waiting for the answer to each, until it is told to stop."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.told, self.asked, self.answered, self.wrong, self.ended = sock, threading.Event(), 0, 0, [], False
        self.calls = threading.Thread(target=self.call, daemon=True)

    def call(self):
        while not self.told.is_set():
            if self.asked - self.answered < OUT:
                self.sock.sendall(dubbo.request(self.asked, "echo", ["x"], interface=HOST))
                self.asked += 1
            time.sleep(0.001)

    def run(self):
        self.calls.start()
        rest = b""
        self.sock.settimeout(30)
        while data := self.sock.recv(1 << 16):
            rest = self.frames(rest + data)
        self.calls.join()
        self.ended = True

    def frames(self, data):
        at = 0
        while len(data) - at >= HEADER.size:
            _, flags, status, _, length = HEADER.unpack_from(data, at)
            whole = data[at:at + HEADER.size + length]
            if len(whole) < HEADER.size + length:
                break
            at += len(whole)
            if flags & EVENT:
                self.wrong += [] if whole[:4] + whole[12:] == READONLY[:4] + READONLY[12:] else [whole]
                self.told.set()
            else:
                self.answered += 1
                self.wrong += [] if status == 20 else [whole]
        return data[at:]


def told_to_go():
    with Lab(servers=1) as lab, lab.listening("server1", 20880, Server()):
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.start()
        clients = [Heeds(lab.connect("client", VIP, 20880)) for _ in range(8)]
        for client in clients:
            client.start()
        within(20, lambda: all(client.answered > 100 for client in clients), "calls are answered")
        equal(daemon.stop(), 0, "exit status")
        within(30, lambda: all(client.ended for client in clients), "connections end in order")
        print(f"told to go: {sum(c.asked for c in clients)} asked, {sum(c.answered for c in clients)} answered", flush=True)
        for client in clients:
            check(client.told.is_set(), "a client was not told")
            equal(client.wrong, [], "what is no answer")
            equal(client.answered, client.asked, "answers")


def slow_calls():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1", delay="2000-2200").wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.start()
        load = lab.dubbo_client(f"{VIP}:20880", count=32, outstanding=32)
        load.wait_line("calling")
        becomes(lambda: len(daemon.show("exchanges")["exchanges"]), 32, "calls under way")
        began = time.monotonic()
        daemon.process.popen.send_signal(signal.SIGTERM)
        within(10, lambda: daemon.http("/ready") == (503, "draining\n"), "all workers drain, and /ready says so", step=0.01)
        served(lab)
        status = daemon.process.popen.wait(40)
        report = load.result()
        print(f"ended with {status} after {time.monotonic() - began:.1f} s; {report['answered']} answered, {report['errors']}",
              flush=True)
        equal(status, 0, "exit status")
        equal((report["answered"], report["failed"]), (32, 0), "calls that were under way")
        log = daemon.process.errors()
        lines = ("draining by SIGTERM: ", "closing after ", "drained after ")
        equal([log.count(line) for line in lines], [1, 1, 1], f"lines of the drain: {log}")


def body():
    slow_calls()
    told_to_go()
    under_load(LOADS)
    under_load([("-o", 1)], delay=2)


main(body)
