#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
An endpoint with the label meltemi.io/drain keeps the flows of a forwarded UDP port and the connections of a TCP service that it has, and gets
no new ones, until the label is gone; `show endpoints` tells that it drains, and why.
"""

import socket
import threading
import time

from meltemi_lab import Lab, check, equal, main, netns, within

UDP, TCP = "240.240.6.1", "240.240.6.2"
PORT = 5353
MANY = 20  # endpoints are drawn at random: so many come to one of two once in 500,000 times

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
  endpoints: [{{address: 198.51.100.11}}, {{address: 198.51.100.12, labels: {{{labels}}}}}]
"""


def documents(daemon, labels=""):
    daemon.write("udp.yaml", ENTRY.format(name="udp", vip=UDP, port=PORT, kind="udp-a", annotations="meltemi.io/forwarding: nat", labels=labels))
    daemon.write("tcp.yaml", ENTRY.format(name="tcp", vip=TCP, port=PORT, kind="tcp-a", annotations="", labels=labels))


def answer_datagrams(lab, number):
    with lab.inside(f"server{number}"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", PORT))
    lab.sockets.append(sock)

    def run():
        while True:
            try:
                _data, peer = sock.recvfrom(2048)
                sock.sendto(str(number).encode(), peer)
            except OSError:
                return

    threading.Thread(target=run, daemon=True).start()


def answer_bytes(number):
    def run(sock):
        while sock.recv(100):
            sock.sendall(str(number).encode())
    return run


def flow(lab):
    """A socket with a flow, and its endpoint."""
    with lab.inside("client"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("192.0.2.2", 0))
    sock.settimeout(5)
    lab.sockets.append(sock)
    return sock, ask(sock)


def ask(sock):
    for _ in range(4):
        try:
            sock.sendto(b"?", (UDP, PORT))
            return int(sock.recv(100))
        except TimeoutError:
            pass
    return None


def connection(lab):
    sock = lab.connect("client", TCP, PORT)
    lab.sockets.append(sock)
    return sock, ask_again(sock)


def ask_again(sock):
    sock.sendall(b"?")
    return int(sock.recv(100))


def healths(daemon):
    return {row["health"] for row in daemon.show("endpoints")["endpoints"] if row["endpoint"].startswith("198.51.100.12")}


def body():
    with Lab(servers=2) as lab, lab.listening("server1", PORT, answer_bytes(1)), lab.listening("server2", PORT, answer_bytes(2)):
        for number in (1, 2):
            answer_datagrams(lab, number)
            netns.run("ip", "-n", lab.namespace(f"server{number}"), "route", "add", "192.0.2.0/24", "via", "198.51.100.1")
        daemon = lab.meltemi(workers=2)
        daemon.node.write_text(daemon.node.read_text() + "  nat: {}\n")
        documents(daemon)
        daemon.start()
        within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 1, "a forwarded port")
        flows, connections = [flow(lab) for _ in range(MANY)], [connection(lab) for _ in range(MANY)]
        equal(({server for _sock, server in flows}, {server for _sock, server in connections}), ({1, 2}, {1, 2}), "servers in use")
        documents(daemon, "meltemi.io/drain: 'true'")
        within(20, lambda: healths(daemon) == {"draining by its label"}, "`show endpoints`")
        time.sleep(3)  # flows of endpoints that are gone end within a second or two
        equal([ask(sock) for sock, _server in flows], [server for _sock, server in flows], "servers of the flows from before")
        equal([ask_again(sock) for sock, _server in connections], [server for _sock, server in connections], "servers of the connections from before")
        equal(({flow(lab)[1] for _ in range(MANY)}, {connection(lab)[1] for _ in range(MANY)}), ({1}, {1}), "servers of new ones")
        documents(daemon)
        within(20, lambda: healths(daemon) == {"ok"}, "the end of the drain")
        within(20, lambda: {flow(lab)[1] for _ in range(MANY)} == {1, 2}, "new flows to both servers")
        equal({connection(lab)[1] for _ in range(MANY)}, {1, 2}, "servers of new connections")


main(body)
