#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names are answered for the networks of the ports and for whom the Node names: a stranger gets REFUSED, of ours and of others' names, by
datagram and by TCP, and no question of his reaches another server."""

from meltemi_lab import Lab, check, equal, main, names, netns
from meltemi_lab.documents import service

HERE, STRANGER, FRIEND = "192.0.2.1", "203.0.113.77", "203.0.113.200"
HOST = "echo.default.svc.cluster.local"


def body():
    with Lab(servers=1) as lab:
        server = names.Server(lab.namespace("mesh"), "127.0.0.1", 5300)
        for address in (STRANGER, FRIEND):
            netns.run("ip", "-n", lab.namespace("client"), "address", "add", f"{address}/32", "dev", "lo")
        daemon = lab.meltemi()
        node = daemon.node.read_text() + "  routes: [{to: 203.0.113.0/24, via: 192.0.2.2}]\n"
        daemon.node.write_text(node + '  dns: {upstream: ["127.0.0.1:5300"]}\n')
        daemon.write("echo.yaml", service(HOST, "240.240.0.9", 7000, "tcp", [("198.51.100.11", 7000, {})]))
        daemon.start()

        def ask(name, source="", **how):
            return names.ask(lab.namespace("client"), HERE, name, source=source, **how)

        for how in ({}, {"tcp": True}):
            equal(ask(HOST, **how).addresses, ["240.240.0.9"], f"own name, from the port's network {how}")
            equal(ask("a5.example", **how).addresses, ["192.0.2.5"], f"another's name, from the port's network {how}")
            before = server.by_udp + server.by_tcp
            for name in (HOST, "a6.example"):
                got = ask(name, STRANGER, **how)
                equal((got.code, got.records), ("REFUSED", []), f"{name} for a stranger {how}")
            equal(server.by_udp + server.by_tcp, before, "questions of strangers that another server was asked")
        equal(names.ask(lab.namespace("mesh"), "127.0.0.1", HOST, port=15053).addresses, ["240.240.0.9"], "a program of the host")
        equal(daemon.counters()["dns_not_allowed"], 4, "counted")
        row = next(row for row in daemon.show("errors")["errors"] if "dns_not_allowed" in str(row) or "spec.dns.allow" in str(row))
        check("spec.dns.allow" in str(row), f"no remedy: {row}")
        check("192.0.2.0/24" in str(daemon.show("dns")), "show dns does not say who is answered")
        daemon.stop()
        # Who is named is answered; the ports' networks are not added to what is written.
        daemon.node.write_text(node + f'  dns: {{upstream: ["127.0.0.1:5300"], allow: [{FRIEND}, 192.0.2.0/25]}}\n')
        daemon.start()
        equal(ask(HOST, FRIEND).addresses, ["240.240.0.9"], "a friend's question")
        equal(ask(HOST, STRANGER).code, "REFUSED", "a stranger's question")
        equal(ask(HOST).addresses, ["240.240.0.9"], "the port's network, which is written, too")
        daemon.stop()


main(body)
