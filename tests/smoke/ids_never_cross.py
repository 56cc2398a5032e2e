#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Two clients with the same ids, 64 calls outstanding each, random delays, 1 % of the replies after the deadline:
100,000 calls, each answered with its own token or by the native timeout, over at most 2 connections to a server.
"""

from meltemi_lab import Lab, check, equal, main, netns
from meltemi_lab.documents import service

HOST, VIP, CALLS = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1", 50000
TIMEOUT = "status-31"


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}", delay="0-4", late=1, late_ms=1200, seed=number).wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo",
                                             [(lab.server(n), 20880, {}) for n in (1, 2)]))
        daemon.start()
        clients = [lab.dubbo_client(f"{VIP}:20880", outstanding=64, count=CALLS, deadline_ms=200, linger_ms=1500)
                   for _ in range(2)]
        reports = [client.result(160) for client in clients]
        for report in reports:
            print(f"{report['answered']} answered, {report['errors']}, crossed {report['crossed']}, "
                  f"strays {report['strays']}, {report['seconds']} s", flush=True)
            equal((report["crossed"], report["strays"]), (0, 0), "replies that were another's")
            check(set(report["errors"]) <= {TIMEOUT}, f"errors {report['errors']}")
            equal(report["answered"] + report["failed"], CALLS, "calls that ended")
            check(report["failed"] > 0.005 * CALLS, "the delays gave hardly a timeout")
        for number in (1, 2):
            lines = netns.run("ip", "netns", "exec", lab.namespace(f"server{number}"), "ss", "-Htn", "state", "established",
                              "sport = :20880").strip().splitlines()
            check(len(lines) <= 2, f"server {number} has {len(lines)} connections")


main(body)
