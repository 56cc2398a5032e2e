#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client that sends requests and never reads: it is held back, then reset; calls beside it go on, memory comes back."""

import time

from meltemi_lab import TESTS, Lab, check, dubbo, equal, main

DUBBO = ("240.240.0.10", 20880)


def stuff(sock, seconds):
    """Sends echo-sized requests as long as they are taken; how many bytes went out."""
    data = b"".join(dubbo.request(n, "sayHello", ["x" * 4000]) for n in range(200))
    end, sent = time.monotonic() + seconds, 0
    sock.settimeout(0.2)
    while time.monotonic() < end:
        try:
            sent += sock.send(data[sent % len(data):])
        except TimeoutError:
            continue
        except OSError:
            break
    return sent


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        lab.dubbo_client("240.240.0.10:20880", count=500).result()
        idle = daemon.in_use()
        load = lab.dubbo_client("240.240.0.10:20880", seconds=6, connections=2)
        load.wait_line("calling")
        deaf = lab.connect("client", *DUBBO)
        sent = stuff(deaf, 4)
        held = daemon.held_back(idle)
        report = load.result()
        print(f"the deaf client sent {sent >> 10} KB, {held >> 10} KB held; beside it {report['answered']} answered, "
              f"p99 {report['latency_us']['p99']} us", flush=True)
        equal((report["failed"], report["crossed"]), (0, 0), "calls beside it that failed")
        check(held < 16 << 20, f"{held} bytes are held for one client")
        deaf.close()
        daemon.memory_returns(idle)


main(body)
