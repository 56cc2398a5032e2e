#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The host stays reachable on a link that Meltemi owns: what is not Meltemi's goes to the kernel by a TAP, both ways."""

from meltemi_lab import Lab, check, main, netns, streams
from meltemi_lab.documents import service

VIP, HOST = "240.240.2.1", "192.0.2.9"
PORTS = ['name: p0, device: "net_af_packet0,iface=p0", addresses: [192.0.2.1/24], exception: host',
         'name: p1, device: "net_af_packet1,iface=p1", addresses: [198.51.100.1/24]',
         f'name: host, device: "net_tap0,iface=mhost0", kernelAddresses: [{HOST}/24]']


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, streams.echo), lab.listening("mesh", 7100, streams.echo):
        daemon = lab.meltemi(ports=PORTS, mb=256)
        daemon.write("echo.yaml", service("echo.test", VIP, 7000, "tcp", [(lab.server(1), 7000, {})]))
        daemon.start()
        for seed in range(3):
            check(streams.exchange(lab.connect("client", VIP, 7000), seed, 500_000), "the service by Meltemi")
            check(streams.exchange(lab.connect("client", HOST, 7100), seed, 500_000), "the host's own service")
        with lab.listening("client", 7200, streams.echo):
            check(streams.exchange(lab.connect("mesh", "192.0.2.2", 7200), 1, 500_000), "a connection from the host")
        netns.run("ip", "netns", "exec", lab.namespace("client"), "ping", "-c", "2", "-W", "2", HOST)
        netns.run("ip", "netns", "exec", lab.namespace("client"), "ping", "-c", "2", "-W", "2", "192.0.2.1")


main(body)
