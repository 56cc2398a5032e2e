#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
One of two servers of forwarded services becomes unreachable: its packets are dropped, or its program ends. New flows of TCP and UDP then go to
the other one, and flows of the other never notice; `show outliers`, `show forwarding` and `health` name the endpoint. When the
server is back, it gets its flows again. A service without checks (`none`) keeps the dead server. With 1 and 3 workers.
"""

import itertools
import socket
import struct
import threading
import time

from meltemi_lab import PATIENCE, Lab, check, equal, main, netns, within

TCP, UDP, UNCHECKED, FULL = "240.240.6.1", "240.240.6.2", "240.240.6.3", "240.240.6.4"
PORT = 5353
BOUND = 8  # 3 checks every 2 s, of which the last one takes 1.5 s

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: net, annotations: {{{annotations}}}}}
spec:
  hosts: [{name}.example]
  addresses: [{vip}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: {kind}}}]
  endpoints: [{{address: 198.51.100.11}}, {{address: 198.51.100.12}}]
"""


def documents(daemon):
    for name, vip, kind, annotations in (
            ("tcp", TCP, "tcp-a", "meltemi.io/forwarding: nat"),
            ("udp", UDP, "udp-a", "meltemi.io/forwarding: nat"),
            ("full", FULL, "tcp-a", "meltemi.io/forwarding: nat-full, meltemi.io/health-check: 'tcp, interval=1s, failures=2'"),
            ("unchecked", UNCHECKED, "tcp-a", "meltemi.io/forwarding: nat-full, meltemi.io/health-check: none")):
        daemon.write(f"{name}.yaml", ENTRY.format(name=name, vip=vip, port=PORT, kind=kind, annotations=annotations))


class Server:
    """Answers each datagram, and each byte of a connection, by its number."""

    def __init__(self, lab, number):
        self.lab, self.number = lab, number
        with lab.inside(f"server{number}"):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("0.0.0.0", PORT))
        lab.sockets.append(self.udp)
        threading.Thread(target=self.datagrams, daemon=True).start()
        self.listen()

    def listen(self):
        with self.lab.inside(f"server{self.number}"):
            self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.tcp.bind(("0.0.0.0", PORT))
            self.tcp.listen(64)
        self.lab.sockets.append(self.tcp)
        threading.Thread(target=self.accept, args=(self.tcp,), daemon=True).start()

    def datagrams(self):
        while True:
            try:
                _data, peer = self.udp.recvfrom(2048)
                self.udp.sendto(str(self.number).encode(), peer)
            except OSError:
                return

    def accept(self, listener):
        while True:
            try:
                sock, _peer = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            while sock.recv(100):
                sock.sendall(str(self.number).encode())
        except OSError:
            pass
        finally:
            sock.close()

    def stop_listening(self):
        self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()


def drop(lab, number, how):
    netns.run("ip", "netns", "exec", lab.namespace(f"server{number}"), "iptables", how, "INPUT", "-j", "DROP")


def asked(sock):
    sock.sendall(b"?")
    return int(sock.recv(100))


PORTS = itertools.count(20000)  # each once: a flow of before could still be in the table


def connected(lab, vip, port=0, seconds=PATIENCE):
    """(socket, server) of a new connection from the port (0: the next); (None, 0): nobody answered, or it was refused."""
    try:
        with lab.inside("client"):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # the port can be used again at once
        sock.settimeout(seconds)
        sock.bind(("192.0.2.2", port or next(PORTS)))
        sock.connect((vip, PORT))
        lab.sockets.append(sock)
        return sock, asked(sock)
    except OSError:
        sock.close()
        return None, 0


def server_of(lab, vip, port=0, seconds=PATIENCE):
    sock, server = connected(lab, vip, port, seconds)
    if sock:
        sock.close()
    return server


def udp_server(lab):
    with lab.inside("client"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.bind(("192.0.2.2", next(PORTS)))
        sock.settimeout(5)
        for _ in range(4):  # UDP may lose it
            sock.sendto(b"?", (UDP, PORT))
            try:
                return int(sock.recv(100))
            except TimeoutError:
                continue
        return 0


def ejected(daemon):
    """Names of services with 198.51.100.12 unhealthy, by `show outliers`."""
    return {row["cluster"].rsplit("||")[1] for row in daemon.show("outliers")["outliers"]
            if row["now"] == "ejected" and row["endpoint"].startswith("198.51.100.12:")}


def unhealthy(daemon):
    return {row["service"]: row["unhealthy"] for row in daemon.show("forwarding")["forwarding"]}


CHECKED = {"tcp.example", "udp.example", "full.example"}


def becomes_unhealthy(daemon, services, text):
    began = time.monotonic()
    within(BOUND, lambda: ejected(daemon) >= services, text)
    print(f"{text}: {time.monotonic() - began:.1f} s", flush=True)


def blackholed(lab, daemon):
    """A server whose packets are dropped; connections of the other one go on all the time."""
    live = [connected(lab, TCP) for _ in range(12)]
    equal({server for _sock, server in live}, {1, 2}, "servers in use")
    healthy = [sock for sock, server in live if server == 1]
    drop(lab, 2, "-A")
    becomes_unhealthy(daemon, CHECKED, "a server that drops all packets is unhealthy")
    equal({asked(sock) for sock in healthy}, {1}, "connections of the healthy server")
    equal({server_of(lab, TCP) for _ in range(20)}, {1}, "servers of new connections (nat)")
    equal({server_of(lab, FULL) for _ in range(20)}, {1}, "servers of new connections (nat-full)")
    equal({udp_server(lab) for _ in range(20)}, {1}, "servers of new datagrams")
    check(0 in {server_of(lab, UNCHECKED, seconds=0.3) for _ in range(20)}, "without checks flows go to the dead server")
    row = [row for row in daemon.show("outliers")["outliers"] if row["cluster"].endswith("||tcp.example")][0]
    equal((row["why"], row["rule"]), ("connect timeout", "3 failed health checks in a row"), "`show outliers`")
    equal(unhealthy(daemon), {"tcp.example": 1, "udp.example": 1, "full.example": 1, "unchecked.example": 0}, "`show forwarding`")
    check("198.51.100.12:5353 ejected" in daemon.shell("show", "health"), "`health` names the endpoint")
    daemon.wait_log("ejected: connect timeout, until health checks succeed")
    counters = daemon.http("/metrics")[1]
    check('\nmeltemi_l4_flows_moved_total' in counters and '\nmeltemi_l4_checks_failed_total' in counters, "counters")
    equal({asked(sock) for sock in healthy}, {1}, "connections of the healthy server, still")
    for sock, _server in live:
        sock.close()


def returned(lab, daemon, ports):
    within(BOUND, lambda: not ejected(daemon), "the server is healthy again")
    within(10, lambda: {udp_server(lab) for _ in range(20)} == {1, 2}, "new datagrams to both servers")
    equal([server_of(lab, TCP, port) for port in ports], list(ports.values()), "the choice as before the failure")
    daemon.wait_log("198.51.100.12:5353 of tcp|5353||tcp.example returned")


def both_dead(lab, daemon, servers):
    """Nobody listens: flows are made as if all were healthy, and refused by the servers themselves."""
    for server in servers:
        server.stop_listening()
    within(BOUND, lambda: unhealthy(daemon)["tcp.example"] == 2, "both are unhealthy")
    servers[0].listen()
    servers[1].listen()
    equal({server_of(lab, TCP) for _ in range(20)}, {1, 2}, "without a healthy endpoint all are used")
    within(BOUND, lambda: unhealthy(daemon)["tcp.example"] == 0, "both are healthy again")


def failing(workers):
    with Lab(servers=2) as lab:
        servers = [Server(lab, number) for number in (1, 2)]
        for number in (1, 2):
            netns.run("ip", "-n", lab.namespace(f"server{number}"), "route", "add", "192.0.2.0/24", "via", "198.51.100.1")
        daemon = lab.meltemi(workers=workers)
        daemon.node.write_text(daemon.node.read_text() + "  nat: {addresses: [198.51.100.60]}\n")
        documents(daemon)
        daemon.start()
        within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 4, "four forwarded ports")
        # By then each of six endpoints has been checked once: the most frequent checks are once a second, the others every two.
        within(20, lambda: daemon.counters().get("l4_checks_passed", 0) >= 10, "successful health checks")
        # Distinct ports, so that no flow of before is still in the table.
        ports = {port: server_of(lab, TCP, port) for port in range(30000, 30024)}
        equal(set(ports.values()), {1, 2}, "servers in use")
        blackholed(lab, daemon)
        drop(lab, 2, "-D")
        returned(lab, daemon, ports)
        servers[1].stop_listening()
        becomes_unhealthy(daemon, CHECKED - {"udp.example"}, "a server that refuses connections is unhealthy")
        equal({server_of(lab, TCP) for _ in range(20)}, {1}, "servers of new connections")
        equal(unhealthy(daemon)["udp.example"], 0, "UDP of the same host")
        servers[1].listen()
        within(BOUND, lambda: not ejected(daemon), "the server listens again")
        both_dead(lab, daemon, servers)
        print(f"{workers} worker(s)", flush=True)


def body():
    failing(workers=1)
    failing(workers=3)


main(body)
