#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A service that comes in place of another one begins at nothing wherever numbers are shown, though the small numbers by which workers count
are used again; and one that returns is another one.
"""

import re

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.documents import service

TRUE = "org.apache.dubbo.samples.basic.api.demoservice"


def shown(daemon, host):
    row = next(s for s in daemon.show("services")["services"] if s["service"] == host)
    return row["requests"], row["ok"], row["bytes_in"], row["p99_us"]


def scraped(daemon, host):
    """The calls that /metrics tells of."""
    text = daemon.http("/metrics")[-1]
    text = text.decode() if isinstance(text, bytes) else text
    found = re.findall(rf'^meltemi_service_requests_total{{service="{re.escape(host)}"}} (\d+)', text, re.M)
    return [int(n) for n in found]


def replace(daemon, lab, host, vip, port, server):
    daemon.write("service.yaml", service(host, vip, port, "tcp-metaprotocol-dubbo", [(lab.server(server), 20880, {})]))
    daemon.shell("reload")
    within(5, lambda: [s["service"] for s in daemon.show("services")["services"]] == [host], f"{host} is the only one")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.write("service.yaml", service(TRUE, "240.240.1.1", 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.start()
        lab.dubbo_client("240.240.1.1:20880", count=100).result()
        equal(shown(daemon, TRUE)[0], 100, "calls of the first")
        equal(scraped(daemon, TRUE), [100], "calls of the first in /metrics")
        # Each of these may get the number of one that has left.
        for i in range(2, 6):
            replace(daemon, lab, f"other-{i}.example", f"240.240.1.{i}", 20880, 2)
            equal(shown(daemon, f"other-{i}.example"), (0, 0, 0, 0), f"numbers of service {i}, which nobody has called")
            equal(sum(scraped(daemon, f"other-{i}.example")), 0, f"numbers of service {i} in /metrics")
        replace(daemon, lab, TRUE, "240.240.1.7", 20880, 2)
        check(shown(daemon, TRUE)[0] in (0, 100), f"one that returns: {shown(daemon, TRUE)}")
        before = shown(daemon, TRUE)[0]
        lab.dubbo_client("240.240.1.7:20880", count=30).result()
        equal(shown(daemon, TRUE)[0] - before, 30, "its calls")


main(body)
