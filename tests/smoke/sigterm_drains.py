#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
SIGTERM drains: calls that are under way are answered, the daemon ends with 0. New connections are refused before the client believes
to have one, so that nothing is sent on them and the client may go elsewhere.
"""

import signal
import time

from meltemi_lab import Failure, Lab, check, equal, main
from meltemi_lab.documents import service

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"


def refused(lab):
    try:
        lab.connect("client", VIP, 20880)
    except ConnectionRefusedError:
        return
    except ConnectionResetError:
        pass
    raise Failure("a connection was made while the node drains")


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1", delay="600-800").wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.start()
        load = lab.dubbo_client(f"{VIP}:20880", count=32, outstanding=32)
        load.wait_line("calling")
        time.sleep(0.2)
        began = time.monotonic()
        daemon.process.popen.send_signal(signal.SIGTERM)
        daemon.wait_log("draining")
        refused(lab)
        status = daemon.process.popen.wait(40)
        report = load.result()
        print(f"ended with {status} after {time.monotonic() - began:.1f} s; {report['answered']} answered, {report['errors']}",
              flush=True)
        equal(status, 0, "exit status")
        equal((report["answered"], report["failed"]), (32, 0), "calls that were under way")
        check(time.monotonic() - began < 35, "the drain took longer than its limit")


main(body)
