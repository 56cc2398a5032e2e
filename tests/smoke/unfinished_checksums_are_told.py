#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A veth peer that leaves checksums and segments unfinished: nothing gets through, and the log says why and what to do."""

from meltemi_lab import Lab, check, main, netns, streams
from meltemi_lab.documents import service

VIP = "240.240.2.1"


def offloads(lab, state):
    netns.run("ip", "netns", "exec", lab.namespace("client"), "ethtool", "-K", "c0", "tx", state, "gso", state, "tso", state)


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, streams.echo):
        daemon = lab.meltemi(mb=256)
        daemon.write("echo.yaml", service("echo.test", VIP, 7000, "tcp", [(lab.server(1), 7000, {})]))
        daemon.start()
        offloads(lab, "on")
        for _ in range(6):
            try:
                lab.connect("client", VIP, 7000, timeout=0.3).close()
            except OSError:
                continue
            check(False, "a SYN with an unfinished checksum was answered")
        daemon.wait_log("wrong checksum")
        offloads(lab, "off")
        check(streams.exchange(lab.connect("client", VIP, 7000), 1, 500_000), "the echo after the remedy")


main(body)
