#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Packets that find the ring of an af_packet port full, because no worker runs meanwhile, are counted, with one worker and two: in `show ports`,
in `show errors` with a remedy, and in /metrics as drops by overload. A port without such packets counts none.
"""

import re
import signal
import socket

from meltemi_lab import Lab, check, equal, main, streams, within
from meltemi_lab.documents import service

VIP = "240.240.2.7"
SENT = 40_000  # more than the rings of two workers hold


def flood(lab):
    """Sends datagrams to a port that is not served; returns how many."""
    n = 0
    with lab.inside("client"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        for _ in range(SENT):
            try:
                n += sock.sendto(b"x", (VIP, 9))
            except OSError:  # the queue of the client's interface is full
                continue
    return n


def port(daemon, name):
    return next(row for row in daemon.show("ports")["ports"] if row["name"] == name)


def missed(daemon):
    return daemon.counters().get("port_rx_missed", 0)


def dropped(lab, workers):
    daemon = lab.meltemi(workers=workers)
    daemon.write("echo.yaml", service("echo.test", VIP, 7000, "tcp", [(lab.server(1), 7000, {})]))
    daemon.start()
    check(streams.exchange(lab.connect("client", VIP, 7000), 1, 20_000), "the echo")
    before, taken = missed(daemon), port(daemon, "p0")["rx_packets"]
    daemon.process.pause()
    sent = flood(lab)
    daemon.process.kill(signal.SIGCONT)
    check(sent > SENT / 2, f"only {sent} datagrams were sent")

    def all_counted():
        return missed(daemon) - before + port(daemon, "p0")["rx_packets"] - taken >= sent

    within(10, all_counted, f"{sent} datagrams are counted as received or as dropped", step=0.2)
    lost = missed(daemon)
    print(f"{workers} worker(s): {lost - before} of {sent} datagrams were dropped", flush=True)
    check(0 < lost - before <= sent + 100, f"{lost - before} of {sent} datagrams were dropped")
    check(port(daemon, "p0")["dropped"] >= lost - before, f"`show ports`: {port(daemon, 'p0')}")
    equal(port(daemon, "p1")["dropped"], 0, "drops of the other port")
    row, = [row for row in daemon.show("errors")["errors"] if row["name"] == "port_rx_missed"]
    check(row["severity"] == "dropped" and "a worker was late" in row["remedy"], f"`show errors`: {row}")
    text = daemon.http("/metrics")[1]
    found = re.findall(r'^meltemi_packets_dropped_total\{cause="overload",reason="port_rx_missed"\} (\d+)$', text, re.M)
    equal(found, [str(missed(daemon))], "the metric of drops")
    check(streams.exchange(lab.connect("client", VIP, 7000), 2, 20_000), "the echo afterwards")
    equal(daemon.stop(), 0, "exit status")


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, streams.echo):
        for workers in (1, 2):
            dropped(lab, workers)


main(body)
