#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Mode `dsr`: servers that have the service's address on lo answer clients by a link of their own, past the node, with 1 and 3 workers, IPv4 and
IPv6. Bytes of TCP arrive whole in both directions (SHA-256), and those of UDP; servers see the client's address and the service's. Flows have
their mode and states, a connection survives the restart of the node, and an ICMP error for the service's address reaches the server of its
flow. A server in another network gets no packets, and a warning names it.
"""

import json
import socket

from meltemi_lab import Lab, check, equal, main, netns, within
from meltemi_lab.direct import CLIENT, SERVERS, VIP4, VIP6, bulk, datagrams, entry, path_mtu, received, wire


def listed(daemon, *words):
    return json.loads(daemon.shell("--json", "show", "flows", "list", *words))["list"]


def states(daemon, sock):
    port = sock.getsockname()[1]
    row, = listed(daemon, f"sport={port}")
    equal((row["mode"], row["state"], row["kept"], row["packets_out"]), ("dsr", "established", False, 0), "an open flow")
    check(row["packets_in"] > 100 and 880_000 < row["expires_ms"] <= 900_000, f"an open flow: {row}")
    sock.shutdown(socket.SHUT_WR)
    within(5, lambda: listed(daemon, f"sport={port}")[0]["state"] == "half_closed", "the client's FIN is noted")
    equal(sock.recv(1), b"", "the server's FIN")
    sock.close()


def restart(lab, daemon, vip):
    """The connection has no flow at the new process, and goes on."""
    sock, _ = bulk(lab, vip)
    daemon.stop()
    daemon.start()
    within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 4, "four forwarded addresses after a restart")
    sock.sendall(b"still there")
    equal(received(sock, 11), b"still there", "an answer after the restart of the node")
    row, = listed(daemon, f"sport={sock.getsockname()[1]}")
    equal(row["state"], "established", "the flow after the restart")
    check(daemon.counters()["l4_flows_adopted"] >= 1, "l4_flows_adopted")
    sock.close()


def forwarded(workers):
    with Lab(servers=2, ipv6=True) as lab:
        wire(lab)
        daemon = lab.meltemi(workers=workers)
        daemon.write("direct.yaml", entry("dsr", *SERVERS))
        daemon.start()
        within(20, lambda: len(daemon.show("forwarding")["forwarding"]) == 4, "four forwarded addresses")
        equal({(row["mode"], row["state"]) for row in daemon.show("forwarding")["forwarding"]}, {("dsr", "forwarded")}, "`show forwarding`")
        for vip in (VIP4, VIP6):
            sock, _ = bulk(lab, vip)
            states(daemon, sock)
            datagrams(lab, vip)
            restart(lab, daemon, vip)
        for vip in (VIP4, VIP6):
            path_mtu(lab, vip, lambda which, vip=vip: netns.run("ip", "-n", lab.namespace(f"server{which}"), "route", "get", CLIENT[vip], "from", vip))
        check(daemon.counters()["l4_icmp_to_endpoint"] >= 2, "l4_icmp_to_endpoint")
        daemon.write("direct.yaml", entry("dsr", *SERVERS, "10.9.9.9"))
        daemon.wait_log("10.9.9.9 is not on the link of a port")
        datagrams(lab, VIP4)
        equal(daemon.counters().get("l4_not_on_link", 0), 0, "packets for the server in another network")
        print(f"{workers} worker(s)", flush=True)


def body():
    forwarded(workers=1)
    forwarded(workers=3)


main(body)
