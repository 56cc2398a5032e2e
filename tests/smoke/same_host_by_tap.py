#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Applications of the same host reach Meltemi by a TAP port: the kernel routes the VIPs to it, servers may be there too. Meltemi has the
rights of the unit and its drop-in.
"""

from meltemi_lab import Lab, check, main, netns, streams, unit
from meltemi_lab.documents import service

VIP = "240.240.2.1"
PORT = ('name: tap, device: "net_tap0,iface=mtap0", profile: tap, addresses: [10.99.0.1/24], '
        'kernelAddresses: [10.99.0.2/24], kernelRoutes: [240.240.0.0/16]')


def body():
    with Lab(servers=1) as lab, lab.listening("mesh", 7000, streams.echo):
        daemon = lab.meltemi(ports=[PORT])
        daemon.write("echo.yaml", service("echo.test", VIP, 7000, "tcp", [("10.99.0.2", 7000, {})]))
        unit.run_as_service(daemon)
        daemon.start()
        unit.is_confined(daemon)
        for seed in range(5):
            check(streams.exchange(lab.connect("mesh", VIP, 7000), seed, 3_000_000), "the echo over the TAP")
        netns.run("ip", "netns", "exec", lab.namespace("mesh"), "ping", "-c", "2", "-W", "2", "10.99.0.1")


main(body)
