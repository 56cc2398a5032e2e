#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Limits of forwarded ports, with 1 and 3 workers: one client floods a UDP and a TCP port with datagrams and SYNs, while the TCP transfer of
another client arrives whole (SHA-256) and its questions are answered. Each limit refuses, is counted under its name, and admits no more than its
rate to the servers. A change of the Node's limits is followed without a restart and ends no flow.
"""

import hashlib
import itertools
import os
import select
import socket
import struct
import threading
import time

import yaml

from meltemi_lab import Lab, check, equal, main, netns, within

UDP, TCP = "240.240.8.1", "240.240.8.2"
PORT, SQL = 5353, 5432
HONEST, FLOODER = "192.0.2.2", "192.0.2.3"
BULK = 2_000_000
QUESTIONS = 100
DATA = 472  # packets of 500 bytes

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: net, annotations: {{meltemi.io/forwarding: nat}}}}
spec:
  hosts: [{name}.example]
  addresses: [{vip}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: {kind}}}]
  endpoints: [{{address: 198.51.100.11}}]
"""


class Echo(threading.Thread):
    """Counts the flooder's datagrams by their flood, and answers those of others."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.floods = {}  # by number: datagrams, bytes of their IP packets, when the last of them was read
        with lab.inside("server1"):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
            self.sock.bind(("0.0.0.0", PORT))
        lab.sockets.append(self.sock)

    def run(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(2048)
                if peer[0] == FLOODER:
                    number = struct.unpack_from("!I", data)[0]
                    packets, octets, _ = self.of(number)
                    self.floods[number] = (packets + 1, octets + len(data) + 28, time.monotonic())
                else:
                    self.sock.sendto(data, peer)
            except OSError:
                return

    def of(self, number):
        return self.floods.get(number, (0, 0, 0))


class Digest(threading.Thread):
    """Answers each connection's bytes by their number and SHA-256."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        with lab.inside("server1"):
            self.sock = socket.create_server(("0.0.0.0", SQL), backlog=1024)
        lab.sockets.append(self.sock)

    def run(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(sock,), daemon=True).start()

    @staticmethod
    def one(sock):
        digest, got = hashlib.sha256(), 0
        try:
            while data := sock.recv(65536):
                digest.update(data)
                got += len(data)
            sock.sendall(struct.pack("!Q", got) + digest.digest())
        except OSError:
            pass
        finally:
            sock.close()


class Flood(threading.Thread):
    """Datagrams with the flood's number, from one port or from many, or SYNs, until stop(): bursts of 50, so that the machine keeps up."""

    numbers = itertools.count(1)

    def __init__(self, lab, kind, size=20):
        super().__init__(daemon=True)
        self.lab, self.kind, self.size = lab, kind, size
        self.sent, self.ends, self.began = 0, threading.Event(), 0
        self.number = next(self.numbers)
        with lab.inside("client"):
            self.sockets = [self._socket() for _ in range({"one port": 1, "ports": 600, "SYNs": 600}[kind])]

    def _socket(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if self.kind == "SYNs" else socket.SOCK_DGRAM)
        sock.bind((FLOODER, 0))
        sock.setblocking(False)
        return sock

    def _send(self, sock):
        if self.kind != "SYNs":
            sock.sendto(struct.pack("!I", self.number).ljust(self.size, b"x"), (UDP, PORT))
        elif self.sent < len(self.sockets):
            sock.connect_ex((TCP, SQL))

    def run(self):
        self.began = time.monotonic()
        while not self.ends.wait(0.01):
            for _ in range(50):
                try:
                    self._send(self.sockets[self.sent % len(self.sockets)])
                except BlockingIOError:
                    pass
                self.sent += 1

    def stop(self):
        self.ends.set()
        self.join()
        for sock in self.sockets:
            sock.close()


def row(daemon, vip):
    return next(one for one in daemon.show("forwarding")["forwarding"] if one["address"] == vip)


def refused(daemon, vip, limit):
    """Packets that this limit of the port has refused, by `show forwarding`."""
    words = [text for text in row(daemon, vip)["limits"].split(", ") if text.startswith(limit + " ")]
    return int(words[0].split("(")[1].split()[0]) if words else 0


def in_effect(daemon):
    """The limits of the UDP and the TCP port, by name and number."""
    return [dict(text.split(" (")[0].split() for text in row(daemon, vip)["limits"].split(", ") if text != "none") for vip in (UDP, TCP)]


def loops(daemon):
    return [worker["loops"] for worker in daemon.show("workers")["workers"]]


def set_limits(daemon, node, udp="", tcp=""):
    """Returns when each worker has begun a loop iteration with these limits."""
    wanted = [{f"{who}.{name}": str(number) for who, limits in yaml.safe_load(f"{{{text}}}").items() for name, number in limits.items()}
              for text in (udp, tcp)]
    ports = [f"{{host: {name}.example, port: {port}, limits: {{{limits}}}}}"
             for name, port, limits in (("echo", PORT, udp), ("sql", SQL, tcp)) if limits]
    daemon.node.write_text(node + (f"  forwarding: [{', '.join(ports)}]\n" if ports else ""))
    within(20, lambda: in_effect(daemon) == wanted, "the Node's limits are in effect")
    before = loops(daemon)
    within(20, lambda: all(now > then + 1 for now, then in zip(loops(daemon), before)), "all workers have the limits")


def asks(lab):
    """How many of these questions of the honest client were answered at once."""
    answered = 0
    with lab.inside("client"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HONEST, 0))
    sock.settimeout(2)
    for number in range(QUESTIONS):
        sock.sendto(str(number).encode(), (UDP, PORT))
        try:
            while sock.recv(100) != str(number).encode():
                pass
            answered += 1
        except TimeoutError:
            pass
        time.sleep(0.01)
    sock.close()
    return answered


def transfer(lab):
    data = os.urandom(BULK)
    with lab.inside("client"):
        sock = socket.create_connection((TCP, SQL), timeout=20, source_address=(HONEST, 0))
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    answer = b""
    while more := sock.recv(100):
        answer += more
    sock.close()
    equal(answer, struct.pack("!Q", BULK) + hashlib.sha256(data).digest(), "the transfer beside the floods")


def floods(lab, daemon, node, workers):
    """The flooder has limits of its own, so the honest client gets its answers and its transfer."""
    set_limits(daemon, node, udp="perSource: {newConnections: 60/s, packets: 600/s, bytes: 600000/s}, service: {packets: 3000/s}",
               tcp="perSource: {newConnections: 60/s}, service: {connections: 500}")
    running = [Flood(lab, "one port"), Flood(lab, "ports"), Flood(lab, "SYNs")]
    for one in running:
        one.start()
    try:
        transfer(lab)
        answered = asks(lab)
        transfer(lab)
        within(20, lambda: refused(daemon, UDP, "perSource.packets") > 1000, "datagrams beyond the flooder's rate are refused")
        within(20, lambda: refused(daemon, TCP, "perSource.newConnections") > 100, "SYNs beyond the flooder's rate are refused")
    finally:
        for one in running:
            one.stop()
    check(answered >= QUESTIONS * 95 // 100, f"{workers} worker(s): {answered} of {QUESTIONS} questions answered beside the floods")
    equal(refused(daemon, UDP, "service.packets"), 0, "datagrams beyond the service's rate, which the flooder cannot reach")
    print(f"{workers} worker(s): {answered} of {QUESTIONS} questions answered, {row(daemon, UDP)['limits']}; {row(daemon, TCP)['limits']}", flush=True)


def one_limit(lab, daemon, node, words, kind):
    """A flood against one limit. Returns it after its last datagram was sent."""
    name, vip = words.replace(": {", ".").split(":")[0], TCP if kind == "SYNs" else UDP
    set_limits(daemon, node, **{"tcp" if kind == "SYNs" else "udp": words})
    before = refused(daemon, vip, name)
    flood = Flood(lab, kind, DATA if name.endswith("bytes") else 20)
    flood.start()
    within(20, lambda: refused(daemon, vip, name) > before + 100, f"{words}: refused packets")
    flood.stop()
    counter = "l4_limit_" + name.replace(".", "_").replace("perS", "s").replace("newC", "new_c")
    check(daemon.counters().get(counter, 0) > 100, f"{counter}: {daemon.counters().get(counter)}")
    return flood


def one_rate(lab, daemon, node, echo, workers, words, rate):
    """
    In T seconds a rate of N admits N * (T + 1). All packets were admitted between the flood's start and the moment when the server read
    the last of them, so the bound does not depend on the machine's speed. Each worker may round up by a packet, and the clocks of the
    test and the daemon may differ by 1 %.
    """
    flood, unit = one_limit(lab, daemon, node, words, "ports"), int("bytes" in words)
    within(20, lambda: echo.of(flood.number)[unit], f"{words}: a datagram of the flood at the server")
    time.sleep(0.3)  # more datagrams may be on their way, and count
    of_flood = echo.of(flood.number)
    got, seconds = of_flood[unit], of_flood[2] - flood.began
    most = rate * (1.01 * seconds + 1) + workers * (DATA + 28 if unit else 1)
    check(got <= most, f"{words}: the server got {got} in {seconds:.2f} s, at most {most:.0f}")


def each_limit(lab, daemon, node, echo, workers):
    one_limit(lab, daemon, node, "perSource: {newConnections: 30/s}", "SYNs")
    one_rate(lab, daemon, node, echo, workers, "perSource: {packets: 300/s}", 300)
    one_rate(lab, daemon, node, echo, workers, "perSource: {bytes: 300000/s}", 300000)
    one_limit(lab, daemon, node, "service: {newConnections: 30/s}", "SYNs")
    one_rate(lab, daemon, node, echo, workers, "service: {packets: 300/s}", 300)
    one_rate(lab, daemon, node, echo, workers, "service: {bytes: 300000/s}", 300000)
    one_limit(lab, daemon, node, "service: {connections: 20}", "SYNs")
    # Those of the limits before count until their flows end: their client has reset them.
    within(40, lambda: 0 <= row(daemon, TCP)["connections"] <= 20, "20 connections are in use at most")
    equal(row(daemon, UDP)["connections"], None, "connections of a port without a limit of them")


def changed(lab, daemon, node):
    """An open connection goes on while limits come, change and go."""
    with lab.inside("client"):
        sock = socket.create_connection((TCP, SQL), timeout=20, source_address=(HONEST, 0))
    for number in range(1, 4):
        sock.sendall(b"x" * 1000)
        set_limits(daemon, node, tcp=f"service: {{connections: {number}, newConnections: {number}/s}}")
    set_limits(daemon, node)
    sock.shutdown(socket.SHUT_WR)
    check(select.select([sock], [], [], 20)[0], "an answer of the connection that was open")
    equal(sock.recv(100), struct.pack("!Q", 3000) + hashlib.sha256(b"x" * 3000).digest(), "what the server received")
    sock.close()


def limited(workers):
    with Lab(servers=1) as lab:
        netns.run("ip", "-n", lab.namespace("client"), "addr", "add", f"{FLOODER}/24", "dev", "c0")
        netns.run("ip", "-n", lab.namespace("server1"), "route", "add", "192.0.2.0/24", "via", "198.51.100.1")
        echo = Echo(lab)
        echo.start()
        Digest(lab).start()
        daemon = lab.meltemi(workers=workers)
        daemon.write("echo.yaml", ENTRY.format(name="echo", vip=UDP, port=PORT, kind="udp-echo"))
        daemon.write("sql.yaml", ENTRY.format(name="sql", vip=TCP, port=SQL, kind="tcp-sql"))
        daemon.node.write_text(daemon.node.read_text() + "  nat: {}\n  flows: 8192\n")
        node = daemon.node.read_text()
        daemon.start()
        within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 2, "two forwarded ports")
        equal({(one["limits"], one["refused"]) for one in daemon.show("forwarding")["forwarding"]}, {("none", 0)}, "limits")
        floods(lab, daemon, node, workers)
        each_limit(lab, daemon, node, echo, workers)
        changed(lab, daemon, node)
        for one in daemon.show("forwarding")["forwarding"]:
            check(one["refused"] >= one["limited"] > 100, f"packets that limits refused, and all: {one}")
        text = daemon.shell("show", "forwarding", "wide")
        check("limits" in text and "limited" in text, f"`show forwarding wide` for people: {text}")


def body():
    limited(workers=1)
    limited(workers=3)


main(body)
