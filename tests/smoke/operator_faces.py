#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The operator's faces: /ready, /metrics, every show in words and in JSON, and that they agree on what was served."""

import json

from meltemi_lab import TESTS, Lab, check, equal, main

SHOWS = ("version", "ports", "workers", "connections", "services", "routes", "clusters", "limits", "memory", "counters",
         "errors", "config")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks", workers=2).start()
        lab.dubbo_client("240.240.0.10:20880", count=1000, outstanding=4).result()
        equal(daemon.http("/ready")[0], 200, "status of /ready")
        for what in SHOWS:
            check(daemon.shell("show", what).strip(), f"show {what} says nothing")
            json.loads(daemon.shell("--json", "show", what))
        status, metrics = daemon.http("/metrics")
        equal(status, 200, "status of /metrics")
        samples = [line for line in metrics.splitlines() if line and not line.startswith("#")]
        check(len(samples) > 50, f"only {len(samples)} metrics")
        for sample in samples:
            float(sample.rsplit(" ", 1)[1])
        series = [sample.rsplit(" ", 1)[0] for sample in samples]
        equal(len(set(series)), len(series), "number of series, each once")
        check(sum(1 for value in daemon.counters().values() if value >= 1000) > 0, "no counter has seen the 1,000 calls")
        check("demoservice" in daemon.shell("show", "services"), "show services does not name the service")
        equal(daemon.shell("show", "nonsense", fail=False), "", "output of a command that is none")


main(body)
