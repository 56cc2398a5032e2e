#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
docs/how-to/dns.md with systemd-resolved: a resolver at 127.0.0.53 sends each query to the node, and the machine's resolv.conf names
only this resolver. Names of the mesh and other names are resolved, because the node queries the servers of the resolver, which are in
/run/systemd/resolve/resolv.conf. If they are gone, the node finds that the resolver sends its queries back, and reports it.
"""

import contextlib
import socket
import threading

from meltemi_lab import Lab, check, equal, main, names, netns
from meltemi_lab.check import within

SE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders}
spec:
  hosts: [orders.shop]
  addresses: [240.240.0.10]
  ports: [{number: 80, name: tcp}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.9}]
"""


class Resolver:
    """A resolver with one server, as systemd-resolved with `DNS=` and `Domains=~.`. It counts the queries that it gets."""

    def __init__(self, namespace, address, to):
        with netns.inside(namespace):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((address, 53))
        self.namespace, self.to, self.passed = namespace, to, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                message, peer = self.udp.recvfrom(65535)
                self.passed += 1
                threading.Thread(target=self._pass, args=(message, peer), daemon=True).start()

    def _pass(self, message, peer):
        with netns.inside(self.namespace):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sock, contextlib.suppress(OSError):
            sock.settimeout(5)
            sock.connect(self.to)
            sock.send(message)
            self.udp.sendto(sock.recv(65535), peer)


def body():
    with Lab() as lab:
        mesh = lab.namespace("mesh")
        conf, behind = lab.directory / "resolv.conf", lab.directory / "behind.conf"
        for address in ("127.0.0.53", "127.0.0.2"):
            netns.run("ip", "-n", mesh, "address", "add", f"{address}/32", "dev", "lo")
        server = names.Server(mesh, "127.0.0.2", 53)
        resolver = Resolver(mesh, "127.0.0.53", ("127.0.0.1", 15053))
        conf.write_text("nameserver 127.0.0.53\noptions edns0 trust-ad\n")
        # As systemd-resolved writes it: its own DNS= without the port, and the link's server.
        behind.write_text("nameserver 127.0.0.1\nnameserver 127.0.0.2\n")
        daemon = lab.meltemi(resolv_conf=conf)
        daemon.prefix = ["sh", "-c", "mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir /run/systemd/resolve && "
                         f'ln -s {behind} /run/systemd/resolve/resolv.conf && exec "$@"', "sh", *daemon.prefix]
        (daemon.services / "orders.yaml").write_text(SE)
        daemon.node.write_text(daemon.node.read_text() + "  dns: {}\n")
        daemon.start()

        def ask(name):
            return names.ask(mesh, "127.0.0.53", name)

        def timeouts():
            return daemon.counters().get("dns_server_timeout", 0)

        # As the page sets it up.
        equal([row["server"] for row in daemon.show("dns")["servers"]], ["127.0.0.2:53"], "the servers that are asked")
        equal(ask("orders.shop").addresses, ["240.240.0.10"], "a name of the mesh")
        for number in range(1, 43):
            equal(ask(f"a{number}.example").addresses, [f"192.0.2.{number}"], "another name")
        equal(ask("none.example").code, "NXDOMAIN", "a name that does not exist")
        equal((resolver.passed, server.by_udp), (44, 43), "queries at the resolver, and at its server")
        equal(daemon.counters().get("dns_no_server_answered", 0), 0, "queries without an answer")

        # The resolver has no other server any more, and the node uses its address: the loop is found.
        behind.unlink()
        within(15, lambda: ask("a1.example").code == "SERVFAIL" and daemon.show("dns")["servers"][0]["state"].startswith("sends"),
               "the server that sends queries back")
        equal(daemon.show("dns")["servers"][0]["server"], "127.0.0.53:53", "the server that is named")
        check("sends this node's queries back" in str(daemon.show("health")), "words of health")
        before, late = resolver.passed, timeouts()
        equal({ask(f"a{number}.example").code for number in range(1, 43)}, {"SERVFAIL"}, "answers in a loop")
        equal(timeouts(), late, "queries that waited for an answer")
        # Each client's query, and perhaps a probe.
        check(resolver.passed - before <= 43, f"{resolver.passed - before} queries for 42")
        check(daemon.counters()["dns_loops"] >= 42, "counted")
        equal(ask("orders.shop").addresses, ["240.240.0.10"], "a name of the mesh")

        behind.write_text("nameserver 127.0.0.2\n")
        within(15, lambda: ask("a7.example").addresses == ["192.0.2.7"], "the servers are back")
        equal(daemon.stop(), 0, "exit status")


main(body)
