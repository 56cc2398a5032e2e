#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
meltemi-blast with 10,000 connections (--long: 100,000) to its own server, over kernel sockets and over Meltemi's own TCP: all
of them come up from several local addresses, every one is answered while it is measured, and all are there at the end.
What the machine does not allow is said with the remedy. The limit that the capacity finder prints is one that meltemid takes.
"""

import os
import resource
import subprocess
import sys

from meltemi_lab import PATIENCE, Lab, check, equal, main
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.documents import service

BLAST = MELTEMID.parent.parent.parent / "bench/blast/meltemi-blast"
LONG = "--long" in sys.argv or "MELTEMI_LONG" in os.environ
CONNECTIONS = 100_000 if LONG else 10_000
TIMES = ["-w", "1s", "-d", "30s" if LONG else "4s", "--timeout", "60s"]
HOST = "com.example.Echo"


def all_alive(reports, what):
    """Of one run, or of several beside each other."""
    total = {key: sum(r[key] for r in reports) for key in ("connections_up", "connections_answered", "connected", "connect_failed",
                                                           "sent", "answered", "per_second")}
    p50 = max(r["latency"]["p50_us"] for r in reports) / 1e3
    print(f"{what}: {total['connections_up']} of {CONNECTIONS} connections up at the end, {total['connections_answered']} were "
          f"answered; {total['per_second']:.0f} calls/s, p50 {p50:.0f} ms", flush=True)
    equal(total["connections_up"], CONNECTIONS, f"{what}: connections up at the end")
    equal(total["connections_answered"], CONNECTIONS, f"{what}: connections that exchanged")
    equal(total["connected"], CONNECTIONS, f"{what}: connections ever opened")
    equal(total["connect_failed"], 0, f"{what}: connections that failed to open")
    equal(total["sent"], total["answered"], f"{what}: calls answered")


def results(runs, seconds=400):
    reports = []
    for run in runs:
        reports.append(run.result(seconds))
        equal(run.popen.wait(PATIENCE), 0, f"{run.name}: exit status")
    return reports


def over_the_kernel(lab):
    # A process may open as many files as its limit says, and not every root may raise it: several share the load.
    each = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    shares = 1 if CONNECTIONS < 0.8 * each else -(-CONNECTIONS // int(0.7 * each))
    servers = [lab.run("mesh", f"kernel-server{i}", [BLAST, "--server", "127.0.0.1:20880"]) for i in range(shares)]
    for server in servers:
        server.wait_line("ready", 30)
    some = [CONNECTIONS // shares + (i < CONNECTIONS % shares) for i in range(shares)]
    runs = [lab.run("mesh", f"kernel{i}", [BLAST, "--json", *TIMES, "-c", str(n), "--source", f"127.0.{i}.2-127.0.{i}.6",
                                           "127.0.0.1:20880"]) for i, n in enumerate(some)]
    all_alive(results(runs), f"kernel sockets, {shares} processes on either side")
    for server in servers:
        server.stop(10)


def too_many(lab):
    """One address has not enough ports for a million, and usually a process not enough files."""
    refused = lab.run("mesh", "refused", [BLAST, "-c", "1000000", "127.0.0.1:20880"])
    equal(refused.popen.wait(30), 4, "exit status without enough ports or files")
    print(refused.errors().strip(), flush=True)
    check("ulimit -Hn" in refused.errors() or "--source 127.0.0.2-127.0.0." in refused.errors(), "the remedy is named")


def over_our_own(lab):
    def device(role):
        return ["--device", f"net_memif0,role={role},socket={lab.directory}/own.sock,socket-abstract=no"]

    server = lab.run("mesh", "own-server", [BLAST, "--server", "-c", str(CONNECTIONS), *device("server"), "--address",
                                            "10.1.0.1/24", "10.1.0.1:20880"])
    server.wait_line("ready", 30)
    run = lab.run("mesh", "own", [BLAST, "--json", *TIMES, "-c", str(CONNECTIONS), *device("client"), "--address",
                                  "10.1.0.2/24", "--source", "10.1.0.2-10.1.0.6", "10.1.0.1:20880"])
    all_alive(results([run]), "Meltemi's own TCP")
    server.stop(10)


def the_limit_is_accepted(lab):
    server = lab.run("mesh", "knee-server", [BLAST, "--server", "--delay", "5ms", "127.0.0.1:20881"])
    server.wait_line("ready", 30)
    walk = lab.run("mesh", "knee", [BLAST, "--find-capacity", "-c", "2", "-o", "1", "--rate", "40", "--step", "300ms",
                                    "--max-p99", "2s", "--service", HOST, "127.0.0.1:20881"])
    equal(walk.popen.wait(60), 0, "exit status of the capacity finder")
    limit = walk.output().split("---\n")[1]
    print(limit, flush=True)
    meltemi = lab.meltemi()
    meltemi.write("echo.yaml", service(HOST, "240.240.0.9", 20880, "tcp-metaprotocol-dubbo", [("10.2.0.2", 20880, {})]))
    meltemi.write("limit.yaml", limit)
    done = subprocess.run([MELTEMID, "-c", meltemi.node, "--check"], capture_output=True, text=True, timeout=60, check=False)
    print(done.stdout + done.stderr, flush=True)
    equal(done.returncode, 0, "meltemid --check of the limit that was printed")
    check("limit.yaml" not in done.stdout + done.stderr, "nothing to complain of in it")
    server.stop(10)


def body():
    with Lab(servers=1) as lab:
        over_the_kernel(lab)
        too_many(lab)
        over_our_own(lab)
        the_limit_is_accepted(lab)


main(body)
