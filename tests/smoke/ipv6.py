#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
IPv6 on both sides: neighbour discovery, ping, an opaque stream and Dubbo calls to an IPv6 VIP and IPv6 servers. The same, and IPv4, with
a port towards the clients whose addresses have no networks, as in clouds: its routers are the client's address outside of any network
and the client's link-local address.
"""

import re

from meltemi_lab import Lab, check, equal, main, netns, streams
from meltemi_lab.documents import service

VIP, VIP4 = "2001:db8:f::1", "240.240.0.9"


def link_local(lab):
    """The client's own address on its link to the node."""
    shown = netns.run("ip", "-n", lab.namespace("client"), "-6", "address", "show", "dev", "c0", "scope", "link")
    return re.search(r"inet6 (fe80::\S+)/64", shown).group(1)


def without_networks():
    with Lab(servers=1, ipv6=True) as lab, lab.listening("server1", 7000, streams.echo):
        client = lab.namespace("client")
        netns.run("ip", "-n", client, "-6", "route", "add", "2001:db8:f::/48", "via", "2001:db8:1::1")
        daemon = lab.meltemi()
        node = daemon.node.read_text().replace("192.0.2.1/24", "192.0.2.1/32").replace("2001:db8:1::1/64", "2001:db8:1::1/128")
        routes = f'  routes:\n  - {{to: 0.0.0.0/0, via: 192.0.2.2, port: p0}}\n  - {{to: "::/0", via: "{link_local(lab)}", port: p0}}\n'
        daemon.node.write_text(node.replace("  sources:", f"{routes}  sources:"))
        daemon.write("six.yaml", service("six.test", f'"{VIP}"', 7000, "tcp", [('"2001:db8:2::11"', 7000, {})]))
        daemon.write("four.yaml", service("four.test", VIP4, 7000, "tcp", [(lab.server(1), 7000, {})]))
        daemon.start()
        netns.run("ip", "netns", "exec", client, "ping", "-c", "2", "-W", "2", "192.0.2.1")
        netns.run("ip", "netns", "exec", client, "ping", "-6", "-c", "2", "-W", "2", "2001:db8:1::1")
        for vip in (VIP, VIP4):
            check(streams.exchange(lab.connect("client", vip, 7000), 1, 1_000_000), f"the echo of {vip} by an on-link router")


def with_networks():
    with Lab(servers=1, ipv6=True) as lab, lab.listening("server1", 7000, streams.echo):
        lab.dubbo_server(1, "v1", host="::").wait_line("ready")
        netns.run("ip", "-n", lab.namespace("client"), "-6", "route", "add", "2001:db8:f::/48", "via", "2001:db8:1::1")
        daemon = lab.meltemi()
        server = "2001:db8:2::11"
        daemon.write("echo.yaml", service("echo.test", f'"{VIP}"', 7000, "tcp", [(f'"{server}"', 7000, {})]))
        daemon.write("dubbo.yaml", service("dubbo.test", f'"{VIP}"', 20880, "tcp-metaprotocol-dubbo", [(f'"{server}"', 20880, {})]))
        daemon.start()
        netns.run("ip", "netns", "exec", lab.namespace("client"), "ping", "-6", "-c", "2", "-W", "2", "2001:db8:1::1")
        check(streams.exchange(lab.connect("client", VIP, 7000), 1, 5_000_000), "the echo over IPv6")
        report = lab.dubbo_client(f"{VIP}:20880", count=1000, outstanding=8).result()
        equal((report["answered"], report["failed"]), (1000, 0), "calls over IPv6")


def body():
    with_networks()
    without_networks()


main(body)
