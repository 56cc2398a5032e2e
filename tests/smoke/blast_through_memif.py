#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
meltemi-blast's own TCP on both sides of a Meltemi, joined to it by shared memory: no kernel in the path. Closed loop,
open loop and the capacity finder, IPv4 and IPv6; no call is lost and every reply is the caller's own. Meltemi has the rights of the
installed unit: no root, no capability.
"""

import signal
import sys

from meltemi_lab import PATIENCE, Lab, check, equal, main, unit
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.documents import service

BLAST = MELTEMID.parent.parent.parent / "bench/blast/meltemi-blast"
LONG = "--long" in sys.argv

# (protocol, VIP, Meltemi's sides, client, server)
FAMILIES = [
    ("tcp-metaprotocol-dubbo", "240.240.3.1", "10.71.0.1/24", "10.72.0.1/24", "10.71.0.2/24", "10.72.0.2/24"),
    ("tcp-metaprotocol-dubbo", "2001:db8:f::1", "fd00:71::1/64", "fd00:72::1/64", "fd00:71::2/64", "fd00:72::2/64"),
]
PORT = 20880


def bare(prefix):
    return prefix.split("/")[0]


def host(address):
    return f"[{address}]" if ":" in address else address


class Stage:
    """A Meltemi with two memif ports, and the load generator as client and server of one address family."""

    def __init__(self, lab, family):
        self.lab = lab
        self.protocol, self.vip, self.down, self.up, self.client, self.server = family

    def memif(self, name, role):
        return f"net_memif0,role={role},socket={self.lab.directory}/{name}.sock,socket-abstract=no"

    def start(self):
        ports = [f'name: {name}, device: "{self.memif(name, "server").replace("memif0", f"memif{i}")}", addresses: ["{address}"]'
                 for i, (name, address) in enumerate((("down", self.down), ("up", self.up)))]
        self.meltemi = self.lab.meltemi(mb=256, ports=ports)
        self.meltemi.write("echo.yaml", service("com.example.Echo", self.vip, PORT, self.protocol,
                                                [(bare(self.server), PORT, {})]))
        unit.run_as_service(self.meltemi)
        self.meltemi.start()
        unit.is_confined(self.meltemi)
        self.echo = self.lab.run("mesh", "echo", [BLAST, "--server", "--device", self.memif("up", "client"),
                                                  "--address", self.server, str(PORT)])
        self.echo.wait_line("ready", 30)

    def blast(self, *options, seconds=180):
        name = "blast" + str(abs(hash(options)) % 100000)
        run = self.lab.run("mesh", name, [BLAST, "--json", "--device", self.memif("down", "client"),
                                          "--address", self.client, "--gateway", bare(self.down), *options,
                                          f"{host(self.vip)}:{PORT}"])
        report = run.result(seconds)
        equal(run.popen.wait(PATIENCE), 0, f"exit status of meltemi-blast {' '.join(options)}")
        return report


def settled(report, what):
    print(f"{what}: {report['answered']} answered, p99 {report['latency']['p99_us']} us", flush=True)
    equal(report["sent"], report["answered"], f"{what}: calls answered")
    check(report["sent"] > 0, f"{what}: calls were made")


def capacity(stage):
    """Where the walk starts and how long a step is makes the test long or short; the search is the same."""
    start, step = ("500", "2s") if LONG else ("8000", "200ms")
    report = stage.blast("--find-capacity", "-c", "16", "--rate", start, "--step", step, "--max-p99", "5s", "--timeout",
                         "30s", "-w", "100ms")
    print(f"capacity: {report.get('capacity')}", flush=True)
    check(report["capacity"] > 0, "a capacity was found")


def family(which):
    with Lab(servers=1) as lab:
        stage = Stage(lab, which)
        stage.start()
        seconds = "10s" if LONG else "1s"
        settled(stage.blast("-c", "64", "-d", seconds, "-w", "200ms", "--timeout", "30s", "--size", "20@9,1K@4,20000@1", "--verify", "bytes"),
                "closed loop")
        settled(stage.blast("-c", "16", "-o", "8", "--rate", "2000", "-d", seconds, "-w", "200ms", "--timeout", "30s"), "open loop")
        if LONG or which is FAMILIES[0]:
            capacity(stage)
        # The callers' stack went with its process: nobody is left to answer a FIN, and a drain would take its whole time.
        stage.meltemi.process.popen.send_signal(signal.SIGTERM)
        stage.meltemi.wait_log("draining")
        equal(stage.meltemi.stop(), 0, "exit status of meltemid")


def body():
    for which in FAMILIES:
        family(which)


main(body)
