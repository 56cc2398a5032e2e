#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
TCP services are forwarded at layer 4 between kernels, with 1 and 3 workers, by `nat` and `nat-full`, IPv4 and IPv6: bytes in both directions
arrive whole (SHA-256), a half-closed connection goes on, resets of either end pass, a server that does not listen refuses the connection, and
a connection without a flow is reset. `show flows list` has the state of each flow and when it expires; closed flows leave the table, and one
whose client has vanished stays for the time-out of its state. TCP services beside them are terminated.
"""

import hashlib
import json
import os
import socket
import struct
import threading

from meltemi_lab import Lab, check, equal, main, netns, within

PORT = 5432
V4 = {"nat": "240.240.6.1", "full": "240.240.6.2", "dead": "240.240.6.3", "plain": "240.240.6.4", "routed": "240.240.6.5"}
V6 = {"nat": "2001:db8:77::1", "full": "2001:db8:77::2"}
SOURCE4, SOURCE6 = "198.51.100.60", "2001:db8:2::60"  # of nat-full
BULK = 3_000_000

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: net{annotations}}}
spec:
  hosts: [{name}.example]
  addresses: [{vips}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: tcp-sql}}]
  endpoints: [{endpoints}]
"""


def entry(name, vips, endpoints, mode=None, port=PORT):
    annotations = f', annotations: {{meltemi.io/forwarding: "tcp-sql={mode}"}}' if mode else ""
    quoted = ", ".join(f"'{vip}'" for vip in vips)
    return ENTRY.format(name=name, vips=quoted, port=port, annotations=annotations,
                        endpoints=", ".join(f"{{address: '{address}'}}" for address in endpoints))


def received(sock, size):
    data = bytearray()
    while len(data) < size:
        got = sock.recv(min(65536, size - len(data)))
        if not got:
            break
        data += got
    return bytes(data)


def serve(sock):
    """One connection; its first 16 bytes say what to do, and the answer begins with the address and port that the server sees."""
    word, size = struct.unpack("!8sQ", received(sock, 16))
    peer = sock.getpeername()
    seen = f"{peer[0]} {peer[1]}".encode()
    if word == b"reset\0\0\0":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return
    sock.sendall(struct.pack("!H", len(seen)) + seen)
    if word == b"upload\0\0":
        digest, got = hashlib.sha256(), 0
        while data := sock.recv(65536):
            digest.update(data)
            got += len(data)
        sock.sendall(struct.pack("!Q", got) + digest.digest())
    elif word == b"download":
        data = os.urandom(size)
        sock.sendall(hashlib.sha256(data).digest() + data)
    elif word == b"first\0\0\0":
        return
    else:
        sock.recv(1)


class Server(threading.Thread):
    def __init__(self, lab, number, family):
        super().__init__(daemon=True)
        with lab.inside(f"server{number}"):
            self.sock = socket.socket(family, socket.SOCK_STREAM)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", PORT))
            self.sock.listen(64)
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
        try:
            serve(sock)
        except (OSError, struct.error):
            pass
        finally:
            sock.close()


def opened(lab, vip, word, size=0):
    """(socket, address and port that the server sees)."""
    sock = lab.connect("client", vip, PORT)
    sock.settimeout(20)
    sock.sendall(struct.pack("!8sQ", word.ljust(8, b"\0"), size))
    if word == b"reset":
        return sock, None
    length, = struct.unpack("!H", received(sock, 2))
    return sock, received(sock, length).decode().split()


def bulk(lab, vip, source):
    """Both directions; the upload ends by a half-close, after which the server answers."""
    data = os.urandom(BULK)
    sock, seen = opened(lab, vip, b"upload")
    equal(seen[0], source, f"{vip}: the client as the server sees it")
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    size, = struct.unpack("!Q", received(sock, 8))
    equal((size, received(sock, 32)), (BULK, hashlib.sha256(data).digest()), f"{vip}: the upload at the server")
    equal(sock.recv(1), b"", f"{vip}: the server's FIN")
    sock.close()
    sock, seen = opened(lab, vip, b"download", BULK)
    digest = received(sock, 32)
    equal(hashlib.sha256(received(sock, BULK)).digest(), digest, f"{vip}: the download")
    equal(sock.recv(1), b"", f"{vip}: the server's FIN")
    sock.close()


def listed(daemon, *words):
    return json.loads(daemon.shell("--json", "show", "flows", "list", *words))["list"]


def flow_of(daemon, vip, of):
    """Flows of a socket, or of a client's port, at the address: a client may use one port for connections to several."""
    port = of if isinstance(of, int) else of.getsockname()[1]
    return [row for row in listed(daemon, f"sport={port}") if row["vip"].strip("[").startswith(vip)]


def resets(lab, daemon, vip):
    """Of the server, and of the client: they pass, and the flow is gone 10 s later (with a sweep of 10 s)."""
    sock, _ = opened(lab, vip, b"reset")
    try:
        equal(sock.recv(1), None, f"{vip}: a reset of the server")
    except ConnectionResetError:
        pass
    state = flow_of(daemon, vip, sock)[0]
    check(state["state"] == "reset" and state["expires_ms"] <= 10_000, f"a flow after a reset: {state}")
    sock, _ = opened(lab, vip, b"wait")
    equal([row["state"] for row in flow_of(daemon, vip, sock)], ["established"], "an open flow")
    port = sock.getsockname()[1]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    within(5, lambda: [row["state"] for row in flow_of(daemon, vip, port)] == ["reset"], "the client's reset is noted")


def dead_server(lab, vip):
    try:
        lab.connect("client", vip, PORT + 1)
    except ConnectionRefusedError:
        return
    check(False, f"{vip}: a server that does not listen has accepted a connection")


def states(lab, daemon, vip):
    """A half-closed flow, one that the server closed first, and text for people."""
    sock, _ = opened(lab, vip, b"wait")
    row, = flow_of(daemon, vip, sock)
    check(7_430_000 < row["expires_ms"] <= 7_440_000 and row["kept"] and row["protocol"] == "tcp", f"an established flow: {row}")
    sock.shutdown(socket.SHUT_WR)
    within(5, lambda: flow_of(daemon, vip, sock)[0]["state"] in ("half_closed", "closing", "time_wait"), "a FIN is noted")
    sock.close()
    sock, _ = opened(lab, vip, b"first")
    equal(sock.recv(1), b"", "the server's FIN")
    within(5, lambda: flow_of(daemon, vip, sock)[0]["state"] == "half_closed", "the server's FIN is noted")
    within(5, lambda: 230_000 < flow_of(daemon, vip, sock)[0]["expires_ms"] <= 240_000, "time-out of a half-closed flow")  # once the FIN is acknowledged
    port = sock.getsockname()[1]
    sock.close()
    within(5, lambda: flow_of(daemon, vip, port)[0]["state"] == "time_wait", "both FINs are noted")
    check(flow_of(daemon, vip, port)[0]["expires_ms"] > 50_000, "the ports of a server that closed first rest 60 s")
    text = daemon.shell("show", "flows", "list", f"sport={port}")
    check("time_wait" in text, f"`show flows list`: {text}")


def vanished_client(lab, daemon, vip):
    """Its flow stays established, for as long as its state allows."""
    sock, _ = opened(lab, vip, b"wait")
    port = sock.getsockname()[1]
    first, = flow_of(daemon, vip, sock)
    drop = ("OUTPUT", "-p", "tcp", "--sport", str(port), "-j", "DROP")
    netns.run("ip", "netns", "exec", lab.namespace("client"), "iptables", "-A", *drop)
    sock.close()
    within(5, lambda: flow_of(daemon, vip, port)[0]["idle_ms"] > 1500, "the flow of a client that vanished is idle")
    row, = flow_of(daemon, vip, port)
    equal((row["state"], row["packets_in"]), ("established", first["packets_in"]), "a flow whose client has vanished")
    check(row["expires_ms"] + row["idle_ms"] in range(7_439_000, 7_441_000), f"its time-out: {row}")
    netns.run("ip", "netns", "exec", lab.namespace("client"), "iptables", "-D", *drop)


def without_flow(lab, daemon, vip):
    """A connection older than the node's table: its next segment is answered by a reset."""
    for _ in range(30):
        sock, _ = opened(lab, vip, b"wait")
        if flow_of(daemon, vip, sock)[0]["endpoint"].startswith("198.51.100.11:"):
            break
    daemon.write("nat.yaml", entry("nat", [V4["nat"], V6["nat"]], ["198.51.100.12", "2001:db8:2::12"], "nat"))
    within(20, lambda: not flow_of(daemon, vip, sock), "a flow ends with its endpoint")
    sock.sendall(b"x")
    try:
        equal(sock.recv(1), None, "a connection without a flow")
    except ConnectionResetError:
        pass
    check("\nmeltemi_l4_no_connection_total" in daemon.http("/metrics")[1], "it is counted")


def routes(lab):
    netns.run("ip", "-n", lab.namespace("client"), "-6", "route", "add", "2001:db8:77::/64", "via", "2001:db8:1::1")
    for number in (1, 2):
        netns.run("ip", "-n", lab.namespace(f"server{number}"), "route", "add", "192.0.2.0/24", "via", "198.51.100.1")
        netns.run("ip", "-n", lab.namespace(f"server{number}"), "-6", "route", "add", "2001:db8:1::/64", "via", "2001:db8:2::1")


ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: routed, namespace: net}}
spec:
  hosts: [routed.example]
  tcp: [{{route: [{{destination: {{host: routed.example}}, weight: {own}}}, {{destination: {{host: other.example}}, weight: {other}}}]}}]
"""


def servers_of(lab, daemon, n):
    """The servers that get n connections to the routed port, and the first of these connections."""
    socks = [opened(lab, V4["routed"], b"wait")[0] for _ in range(n)]
    ends = {flow_of(daemon, V4["routed"], sock)[0]["endpoint"] for sock in socks}
    for sock in socks[1:]:
        sock.close()
    return ends, socks[0]


def follows_routes(lab, daemon):
    """Connections go where the weights lead, those under way stay with their server when the weights change."""
    one, two = (f"198.51.100.1{number}:{PORT}" for number in (1, 2))
    ends, kept = servers_of(lab, daemon, 6)
    equal(ends, {two}, "servers by the route")
    daemon.write("routes.yaml", ROUTES.format(own=1, other=0))
    within(20, lambda: servers_of(lab, daemon, 3)[0] == {one}, "servers by the new weights")
    equal(flow_of(daemon, V4["routed"], kept)[0]["endpoint"], two, "server of a connection under way")
    daemon.write("routes.yaml", ROUTES.format(own=1, other=1))
    within(20, lambda: servers_of(lab, daemon, 12)[0] == {one, two}, "servers by equal weights")


def on_the_topology(daemon):
    """Forwarded ports are there, with their clusters and endpoints."""
    shown = daemon.show("topology")
    row, = [row for row in shown["forwarded"] if row["listener"] == f"{V4['full']}:{PORT}/tcp"]
    equal((row["service"], row["mode"], row["state"]), ("full.example", "nat-full", "forwarded"), "a forwarded port")
    check(row["flows_made"] > 0 and row["packets"] > 1000 and row["bytes"] > BULK, f"its counters: {row}")
    link, = [link["cluster"] for link in shown["links"] if link["listener"] == row["listener"]]
    equal(sum(row["cluster"] == link for row in shown["endpoints"]), 4, "endpoints of its cluster")
    equal(shown["forwarded_shown"], len(shown["forwarded"]), "forwarded ports")


def forwarded(workers):
    with Lab(servers=2, ipv6=True) as lab:
        routes(lab)
        for number in (1, 2):
            for family in (socket.AF_INET, socket.AF_INET6):
                Server(lab, number, family).start()
        daemon = lab.meltemi(workers=workers)
        daemon.node.write_text(daemon.node.read_text() + f"  nat: {{addresses: [{SOURCE4}, '{SOURCE6}']}}\n  flows: 2048\n")
        both = ["198.51.100.11", "198.51.100.12", "2001:db8:2::11", "2001:db8:2::12"]
        daemon.write("nat.yaml", entry("nat", [V4["nat"], V6["nat"]], both, "nat"))
        daemon.write("full.yaml", entry("full", [V4["full"], V6["full"]], both, "nat-full"))
        daemon.write("plain.yaml", entry("plain", [V4["plain"]], both[:2]))
        daemon.write("dead.yaml", entry("dead", [V4["dead"]], ["198.51.100.11"], "nat", PORT + 1))
        daemon.write("routed.yaml", entry("routed", [V4["routed"]], ["198.51.100.11"], "nat-full") + "---\n" + entry("other", ["240.240.6.6"], ["198.51.100.12"]))
        daemon.write("routes.yaml", ROUTES.format(own=0, other=1))
        daemon.start()
        within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 6, "six forwarded addresses")
        equal({(row["protocol"], row["state"]) for row in daemon.show("forwarding")["forwarding"]}, {("tcp", "forwarded")}, "`show forwarding`")
        bulk(lab, V4["nat"], "192.0.2.2")
        bulk(lab, V4["full"], SOURCE4)
        bulk(lab, V6["nat"], "2001:db8:1::2")
        bulk(lab, V6["full"], SOURCE6)
        on_the_topology(daemon)
        follows_routes(lab, daemon)
        made = daemon.show("flows")["flows"]
        bulk(lab, V4["plain"], "198.51.100.1")
        equal(daemon.show("flows")["flows"] <= made, True, "a terminated service makes no flow")
        resets(lab, daemon, V4["nat"])
        resets(lab, daemon, V4["full"])
        dead_server(lab, V4["dead"])
        states(lab, daemon, V4["full"])
        vanished_client(lab, daemon, V4["full"])
        within(40, lambda: sum(row["closed"] for row in daemon.show("flows")["workers"]) >= 4, "closed flows leave the table")
        without_flow(lab, daemon, V4["nat"])
        print(f"{workers} worker(s)", flush=True)


def body():
    forwarded(workers=1)
    forwarded(workers=3)


main(body)
