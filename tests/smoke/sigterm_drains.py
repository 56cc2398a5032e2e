#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM drains: calls that are under way are answered, new connections are refused, the daemon ends with 0."""

import time

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.documents import service

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1", delay="400-600").wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.start()
        load = lab.dubbo_client(f"{VIP}:20880", count=32, outstanding=32)
        load.wait_line("calling")
        time.sleep(0.2)
        began = time.monotonic()
        status = daemon.stop()
        report = load.result()
        print(f"ended with {status} after {time.monotonic() - began:.1f} s; {report['answered']} answered, {report['errors']}",
              flush=True)
        equal(status, 0, "exit status")
        equal((report["answered"], report["failed"]), (32, 0), "calls that were under way")
        check(time.monotonic() - began < 35, "the drain took longer than its limit")


main(body)
