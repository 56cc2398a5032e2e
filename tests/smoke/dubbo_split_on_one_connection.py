#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The talks' 20/80 split holds for the calls of one TCP connection, with 1 and 2 workers."""

from meltemi_lab import TESTS, Lab, check, equal, main

CALLS = 10000


def split(workers):
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        lab.meltemi(TESTS / "documents/talks", workers=workers).start()
        report = lab.dubbo_client("240.240.0.10:20880", connections=1, outstanding=16, count=CALLS).result()
        print(f"{workers} worker(s): {report['by_server']} failed {report['failed']}", flush=True)
        equal(report["answered"], CALLS, "answered")
        equal((report["crossed"], report["strays"]), (0, 0), "replies of others")
        share = report["by_server"].get("v1/s1", 0) / CALLS
        check(0.18 < share < 0.22, f"share of v1 is {share:.3f}, expected 0.20")


def body():
    split(workers=1)
    split(workers=2)


main(body)
