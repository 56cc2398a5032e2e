#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The talks' canary document, over their private protocol: Jason's calls reach v2, everybody else's v1."""

from meltemi_lab import TESTS, Lab, equal, main

TARGET = "240.240.0.30:9200"


def canary(workers):
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.awesome_server(number, f"v{number}").wait_line("ready")
        lab.meltemi(TESTS / "documents/talks", workers=workers).start()
        for user, expected in (("user=Jason", "v2/s2"), ("user=Ada", "v1/s1"), ("color=Jason", "v1/s1")):
            report = lab.awesome_client(TARGET, meta=user, count=500).result()
            print(f"{workers} worker(s), {user}: {report['by_server']} {report['errors']}", flush=True)
            equal(report["by_server"], {expected: 500}, f"servers with {user}")


def body():
    canary(workers=1)
    canary(workers=2)


main(body)
