#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""IPv6 on both sides: neighbour discovery, ping, an opaque stream and Dubbo calls to an IPv6 VIP and IPv6 servers."""

from meltemi_lab import Lab, check, equal, main, netns, streams
from meltemi_lab.documents import service

VIP = "2001:db8:f::1"


def body():
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


main(body)
