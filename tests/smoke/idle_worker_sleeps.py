#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
An idle worker sleeps on its queues instead of looking: a few hundred sleeps a second, not ten thousand; and a packet ends
the sleep. Over af_packet and over a TAP. CPU time and answer times are printed, and decide nothing.
"""

import os
import statistics
import subprocess
import time

from meltemi_lab import Lab, check, main
from meltemi_lab.documents import service

SECONDS = 5
VIP = "203.0.113.9"
TAP = 'name: tap, device: "net_tap0,iface=mtap0", profile: tap, addresses: [10.99.0.1/24], kernelAddresses: [10.99.0.2/24]'


def cpu_ticks(pid):
    """User and system time of each thread."""
    ticks = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
            ticks[task] = int(fields[11]) + int(fields[12])
    return ticks


def inside(lab, daemon):
    """The daemon's own process: what was started is `ip netns exec`, which becomes it, or its parent."""
    pid = daemon.process.popen.pid
    children = subprocess.run(["pgrep", "-P", str(pid)], text=True, capture_output=True, check=False).stdout.split()
    return int(children[0]) if children else pid


def pings(lab, role, address):
    """Round trips in ms, one every 20 ms: the worker is asleep each time."""
    done = subprocess.run(["ip", "netns", "exec", lab.namespace(role), "ping", "-i", "0.02", "-c", "100", "-W", "2", address],
                          text=True, capture_output=True, timeout=30, check=False)
    return [float(line.split("time=")[1].split()[0]) for line in done.stdout.splitlines() if "time=" in line]


def idle(lab, what, role, address, **settings):
    daemon = lab.meltemi(**settings)
    daemon.write("service.yaml", service("bytes.example", VIP, 7000, "tcp", [(lab.server(1), 7000, {})]))
    daemon.start()
    pid = inside(lab, daemon)
    time.sleep(1)
    before, counted = cpu_ticks(pid), daemon.counters()["worker_sleeps"]
    time.sleep(SECONDS)
    sleeps = (daemon.counters()["worker_sleeps"] - counted) / SECONDS
    after = cpu_ticks(pid)
    ticks = sum(after[t] - before.get(t, 0) for t in after)
    trips = pings(lab, role, address)
    print(f"{what}: {sleeps:.0f} sleeps/s, {100 * ticks / os.sysconf('SC_CLK_TCK') / SECONDS:.1f} % of a core (all threads), "
          f"ping to an idle worker: median {1000 * statistics.median(trips):.0f} us, most {1000 * max(trips):.0f} us", flush=True)
    check(len(trips) == 100, f"{what}: {len(trips)} of 100 pings answered")
    check(sleeps < 1000, f"{what}: {sleeps:.0f} sleeps a second: the worker looks instead of waiting")
    daemon.stop()


def body():
    with Lab(servers=1) as lab:
        idle(lab, "af_packet", "client", "192.0.2.1")
        idle(lab, "tap", "mesh", "10.99.0.1", ports=[TAP])


main(body)
