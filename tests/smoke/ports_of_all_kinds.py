#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The same streams through each driver that reads a kernel interface, with one worker and two, and with jumbo frames. Meltemi has the rights
of the unit and its drop-in.
"""

from meltemi_lab import Lab, check, equal, main, netns, streams, unit
from meltemi_lab.documents import service

VIP = "240.240.2.1"
KINDS = [("af_packet", 1, 1500), ("af_packet", 2, 1500), ("af_packet", 1, 9000), ("af_xdp", 1, 1500), ("af_xdp", 2, 1500),
         ("pcap", 1, 1500), ("pcap", 2, 1500)]
# CAP_NET_RAW and CAP_NET_ADMIN stay where the kernel's driver asks for them again.
KEPT = {"af_xdp": 1 << 13 | 1 << 12}


def ports(kind):
    return [f'name: p0, device: "net_{kind}0,iface=p0", addresses: [192.0.2.1/24]',
            f'name: p1, device: "net_{kind}1,iface=p1", addresses: [198.51.100.1/24]']


def mtu(lab, size):
    for role, iface in [("client", "c0"), ("mesh", "p0"), ("mesh", "p1"), ("net", "b-mesh")]:
        netns.run("ip", "-n", lab.namespace(role), "link", "set", "dev", iface, "mtu", str(size))


def one(lab, kind, workers, size):
    what = f"{kind}, {workers} workers, MTU {size}"
    mtu(lab, size)
    daemon = lab.meltemi(ports=ports(kind), workers=workers, mb=256)
    daemon.write("echo.yaml", service("echo.test", VIP, 7000, "tcp", [(lab.server(1), 7000, {})]))
    unit.run_as_service(daemon)
    daemon.start()
    unit.is_confined(daemon, KEPT.get(kind, 0))
    for seed in range(4):
        check(streams.exchange(lab.connect("client", VIP, 7000), seed, 2_000_000), f"the echo by {what}")
    counters = daemon.counters()
    for name in ("tx_linearised", "tx_too_long", "tx_no_memory", "rx_superframe"):
        lines = {key: value for key, value in counters.items() if key.endswith(name)}
        check(lines and not any(lines.values()), f"{name} by {what}: {lines}")
    equal(daemon.stop(), 0, f"exit status by {what}")


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, streams.echo):
        for kind, workers, size in KINDS:
            one(lab, kind, workers, size)


main(body)
