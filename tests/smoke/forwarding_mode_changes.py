#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A forwarded port changes its mode under 1,000 open TCP connections of kernels, by a reload, from `nat` to `nat-full` and back, with 1 and 3
workers. No connection is lost, and each byte is checked while the mode changes; new connections have the new mode; `show flows list` has
connections of both modes until those of the old one are closed. A port that changes between forwarded and terminated resets its connections.
"""

import collections
import json
import os
import selectors
import socket
import struct
import threading

from meltemi_lab import Lab, check, equal, main, netns, within

VIP, PORT = "240.240.6.1", 5432
CLIENT, SOURCE = "192.0.2.2", "198.51.100.60"  # the servers see SOURCE with nat-full
OLD, NEW, CHUNK = 1000, 50, 700

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: sql, namespace: net, annotations: {{{annotations}}}}}
spec:
  hosts: [sql.example]
  addresses: [{vip}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: tcp-sql}}]
  endpoints: [{{address: 198.51.100.11}}, {{address: 198.51.100.12}}]
"""


def entry(mode):
    """The service; mode None: it is terminated."""
    return ENTRY.format(vip=VIP, port=PORT, annotations=f'meltemi.io/forwarding: "tcp-sql={mode}"' if mode else "")


class Server(threading.Thread):
    """Sends the address of the client as it sees it, in 16 bytes, and then echoes."""

    def __init__(self, lab, number):
        super().__init__(daemon=True)
        with lab.inside(f"server{number}"):
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("0.0.0.0", PORT))
            self.listener.listen(512)
        lab.sockets.append(self.listener)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)

    def run(self):
        while True:
            for key, _ in self.selector.select():
                try:
                    self.serve(key.fileobj)
                except OSError:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()

    def serve(self, sock):
        if sock is self.listener:
            sock, peer = self.listener.accept()
            self.selector.register(sock, selectors.EVENT_READ)
            sock.sendall(peer[0].encode().ljust(16))
        elif data := sock.recv(65536):
            sock.sendall(data)
        else:
            raise OSError


def received(sock, size):
    data = bytearray()
    while len(data) < size:
        got = sock.recv(size - len(data))
        if not got:
            raise ConnectionError("the server's FIN")
        data += got
    return bytes(data)


def opened(lab, number, source):
    """Connections; the servers must see them come from `source`."""
    socks = []
    for _ in range(number):
        sock = lab.connect("client", VIP, PORT, timeout=20)
        equal(received(sock, 16).decode().strip(), source, "the client as the server sees it")
        socks.append(sock)
    return socks


class Load(threading.Thread):
    """Sends bytes on all connections and checks that they come back, round after round, until it ends."""

    def __init__(self, socks):
        super().__init__(daemon=True)
        self.socks, self.rounds, self.over, self.failed = socks, 0, False, collections.Counter()

    def once(self):
        sent = {}
        for sock in self.socks:
            data = sent[sock] = os.urandom(CHUNK)
            try:
                sock.sendall(data)
            except OSError as error:
                self.failed[f"send: {error}"] += 1
        for sock, data in sent.items():
            try:
                if received(sock, CHUNK) != data:
                    self.failed["other bytes"] += 1
            except OSError as error:
                self.failed[f"receive: {error}"] += 1
        self.rounds += 1

    def run(self):
        while not self.over and not self.failed:
            self.once()

    def further(self, rounds, what):
        goal = self.rounds + rounds
        within(60, lambda: self.rounds >= goal or self.failed, f"{rounds} rounds of bytes {what}")
        equal(dict(self.failed), {}, f"connections lost {what}")


def modes(daemon):
    """How many established flows of each mode there are; a list has at most 512."""
    found = collections.Counter()
    for first in range(32768, 61000, 1000):
        rows = json.loads(daemon.shell("--json", "show", "flows", "list", f"state=established sport>={first} sport<{first + 1000}"))["list"]
        check(len(rows) < 512, f"{len(rows)} flows in one list")
        found.update(row["mode"] for row in rows)
    return dict(found)


def becomes(daemon, load, mode):
    """The mode changes while bytes are under way."""
    load.further(1, "before the change")
    daemon.write("sql.yaml", entry(mode))
    within(20, lambda: [row["mode"] for row in daemon.show("forwarding")["forwarding"]] == [mode], f"mode {mode}")
    load.further(3, f"after the change to {mode}")


def shut(socks):
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()


def started(lab, workers):
    for number in (1, 2):
        netns.run("ip", "-n", lab.namespace(f"server{number}"), "route", "add", "192.0.2.0/24", "via", "198.51.100.1")
        Server(lab, number).start()
    daemon = lab.meltemi(workers=workers)
    daemon.node.write_text(daemon.node.read_text() + f"  nat: {{addresses: [{SOURCE}]}}\n  flows: 4096\n")
    daemon.write("sql.yaml", entry("nat"))
    daemon.start()
    within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 1, "a forwarded port")
    return daemon


def all_reset(socks, what):
    for sock in socks:
        try:
            sock.sendall(b"x")
            equal(sock.recv(1), None, what)
        except ConnectionResetError:
            pass


def terminated():
    """No connection goes on, and none hangs: its next segment is answered by a reset."""
    with Lab(servers=2) as lab:
        daemon = started(lab, 1)
        first = opened(lab, 20, CLIENT)
        daemon.write("sql.yaml", entry(None))
        within(20, lambda: not daemon.show("forwarding")["forwarding"], "a terminated port")
        all_reset(first, "a connection that was forwarded")
        second = opened(lab, 20, "198.51.100.1")
        daemon.write("sql.yaml", entry("nat"))
        within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 1, "a forwarded port")
        all_reset(second, "a connection that was terminated")
        opened(lab, 20, CLIENT)


def changes(workers):
    with Lab(servers=2) as lab:
        daemon = started(lab, workers)
        first = opened(lab, OLD, CLIENT)
        load = Load(list(first))
        load.start()
        becomes(daemon, load, "nat-full")
        second = opened(lab, NEW, SOURCE)
        equal(modes(daemon), {"nat": OLD, "nat-full": NEW}, "flows of both modes")
        load.socks += second
        becomes(daemon, load, "nat")
        third = opened(lab, NEW, CLIENT)
        load.socks += third
        equal(modes(daemon), {"nat": OLD + NEW, "nat-full": NEW}, "flows of both modes")
        load.further(2, "of all connections")
        load.over = True
        load.join()
        shut(second)
        within(20, lambda: modes(daemon) == {"nat": OLD + NEW}, "the old side is empty")
        equal(daemon.counters().get("l4_flows_ended", 0), 0, "flows that the changes ended")
        equal(daemon.counters().get("l4_no_connection", 0), 0, "segments without a flow")
        print(f"{workers} worker(s): {len(load.socks)} connections, {load.rounds} rounds", flush=True)


def body():
    changes(workers=1)
    changes(workers=3)
    terminated()


main(body)
