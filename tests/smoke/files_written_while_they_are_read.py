#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A program replaces, adds and removes documents for five seconds, so that loads read a directory while it changes: no load counts
as failed, nothing is logged as an error (the lab checks the log at its end), the last documents are in force.
"""

import time

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.documents import service

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"


def document(lab, number):
    return service(f"s{number}.{HOST}", f"240.240.2.{number + 1}", 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})])


def write_for(lab, daemon, seconds):
    """Returns the number of the last document."""
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        turn += 1
        daemon.write("a.yaml", document(lab, turn % 100))
        daemon.write("z.yaml", document(lab, 100 + turn % 100))
        daemon.write(f"m{turn % 7}.yaml", document(lab, 200 + turn % 7))
        (daemon.services / f"m{(turn + 3) % 7}.yaml").unlink(missing_ok=True)
        time.sleep(0.001 * (turn % 5))
    return turn


def loads(daemon):
    return daemon.process.errors().count("msg=\"reloaded: ")


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        daemon = lab.meltemi(workers=1)
        for number in range(300):
            daemon.write(f"many{number}.yaml", service(f"m{number}.{HOST}", f"240.241.{number // 100}.{number % 100 + 1}", 20880,
                                                       "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.start()
        before = loads(daemon)
        last = write_for(lab, daemon, 5)
        within(15, lambda: f"s{last % 100}.{HOST}" in daemon.shell("show", "services"), "the last document is in force")
        equal(daemon.shell("reload").count("changed meanwhile"), 0, "reports of changes without a writer")
        seen = loads(daemon) - before
        print(f"{last} turns, {seen} loads", flush=True)
        equal(lab.dubbo_client(f"{VIP}:20880", count=100).result()["answered"], 100, "calls")
        check(seen > 3, f"{seen} loads happened while documents were written")


main(body)
