#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A machine that boots learns its DNS servers after Meltemi has begun: a discovery server's name is found all the same, and
names that are not the mesh's are passed on. When the machine moves to another server, both follow.
"""

import socket

from meltemi_lab import Lab, check, equal, main, names, netns
from meltemi_lab.check import within

SOURCE = ", {xds: {name: mesh, servers: [\"a7.example:15010\"], nodeId: here, plaintext: true}}]"


def told(path, server):
    """Rewritten in place, for it is mounted over the machine's."""
    path.write_text(f"nameserver {server}\n" if server else "")


def body():
    with Lab() as lab:
        mesh = lab.namespace("mesh")
        path = lab.directory / "resolv.conf"
        for address in ("127.0.0.2", "127.0.0.3", "192.0.2.7"):
            netns.run("ip", "-n", mesh, "address", "add", f"{address}/32", "dev", "lo")
        first, second = names.Server(mesh, "127.0.0.2", 53), names.Server(mesh, "127.0.0.3", 53)
        with netns.inside(mesh):
            control = socket.create_server(("192.0.2.7", 15010))
        control.settimeout(60)
        daemon = lab.meltemi(resolv_conf=path)
        text = daemon.node.read_text()
        daemon.node.write_text(text.replace("}]\n  state", "}" + SOURCE + "\n  state") + "  dns: {}\n")
        told(path, None)
        daemon.start()

        def ask(name):
            return names.ask(mesh, "127.0.0.1", name, port=15053)

        equal(ask("a5.example").code, "REFUSED", "while the machine has no servers")
        within(20, lambda: daemon.show("xds")["streams"][0]["reason"], "words for a name that is not found")

        told(path, "127.0.0.2")
        control.accept()[0].close()
        within(10, lambda: ask("a5.example").addresses == ["192.0.2.5"], "passed on to the first server")
        equal([row["server"] for row in daemon.show("dns")["servers"]], ["127.0.0.2:53"], "the server that is shown")

        first.stop()
        told(path, "127.0.0.3")
        control.accept()[0].close()
        within(10, lambda: ask("a6.example").addresses == ["192.0.2.6"], "passed on to the second server")
        check(second.by_udp >= 2, f"questions at the second server: {second.by_udp}")
        equal(daemon.stop(), 0, "exit status")


main(body)
