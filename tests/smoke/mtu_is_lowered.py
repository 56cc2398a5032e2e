#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The MTU of a port's interface is lowered and raised at run time: open connections go on at once, by packets that fit."""

import time

from meltemi_lab import Lab, equal, main, netns
from meltemi_lab.check import Failure
from meltemi_lab.documents import service

VIP = "240.240.2.1"
SIZE = 200_000
# TCP's search for shorter packets takes longer, by three timeouts in a row.
PROMPT = 1.0


def echoes_its_size(sock):
    """Server: for each byte that it gets, sends SIZE bytes."""
    while sock.recv(1):
        sock.sendall(b"x" * SIZE)
    sock.close()


def takes(sock):
    """Seconds until the client has the answer to one byte."""
    begin, left = time.monotonic(), SIZE
    sock.settimeout(20)
    sock.sendall(b"?")
    while left:
        got = sock.recv(left)
        if not got:
            raise Failure("the connection ended")
        left -= len(got)
    return time.monotonic() - begin


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, echoes_its_size):
        daemon = lab.meltemi()
        daemon.write("a.yaml", service("mtu.test", VIP, 7000, "tcp", [(lab.server(1), 7000, {})]))
        daemon.start()
        sock = lab.connect("client", VIP, 7000)
        takes(sock)
        for mtu, words in ((1300, "the MTU of p0 is 1300 now: packets longer"), (1500, "the MTU of p0 is 1500 now")):
            netns.run("ip", "-n", lab.namespace("mesh"), "link", "set", "p0", "mtu", str(mtu))
            daemon.wait_log(words)
            equal([p["mtu"] for p in daemon.show("ports")["ports"] if p["name"] == "p0"], [mtu], "MTU in `show ports`")
            seconds = takes(sock)
            if seconds > PROMPT:
                raise Failure(f"MTU {mtu}: {SIZE} bytes took {seconds:.1f} s")


main(body)
