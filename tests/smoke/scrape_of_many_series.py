#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""1,000 services and 2,000 endpoints: a scrape of more than 10,000 series takes the control thread at most 50 ms of CPU, compressed or
not, what is beyond the bounds is summed up, not shown one by one and not lost, and neither a scrape nor what `top` asks gives
a worker anything to do."""

import re

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.documents import service

SERVICES, SCRAPES, LIMIT_MS = 1000, 20, 50
TOP = ("show version", "show workers", "show stages", "show services", "show routes", "show endpoints")


def cpu_ms(pid):
    """Of the control thread, which is the process' first."""
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[0]) / 1e6


def value(text, series):
    found = re.search(f"^{re.escape(series)} (\\S+)$", text, re.M)
    check(found, f"there is no {series}")
    return float(found.group(1))


def scrape_ms(daemon, **headers):
    """CPU of a scrape, and the last one's text."""
    before = cpu_ms(daemon.process.pid)
    for _ in range(SCRAPES):
        text = daemon.http("/metrics", **headers)[1]
    took = (cpu_ms(daemon.process.pid) - before) / SCRAPES
    print(f"{len(text)} bytes, {took:.1f} ms of CPU a scrape {headers}", flush=True)
    check(took <= LIMIT_MS, f"a scrape takes {took:.1f} ms of CPU")
    return text


def workers_left_alone(daemon):
    """Whatever the control thread cannot read by itself it asks a worker for, by a command, which the worker counts."""
    def commands():
        return value(daemon.http("/metrics")[1], "meltemi_worker_commands_total")

    before = commands()
    for words in TOP:
        daemon.shell("--json", *words.split())
    equal(commands(), before, "commands of workers after scrapes and what top asks")
    daemon.shell("show", "connections")
    check(commands() > before, "a question that a worker must answer is not counted")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi()
        for i in range(SERVICES):
            daemon.write(f"s{i}.yaml", service(f"s{i}.example", f"240.240.{1 + i // 200}.{1 + i % 200}", 20880,
                                               "tcp-metaprotocol-dubbo", [(lab.server(n), 20880, {}) for n in (1, 2)]))
        daemon.start(60)
        daemon.http("/metrics")
        scrape_ms(daemon, Accept_Encoding="gzip")
        text = scrape_ms(daemon)
        samples = [line for line in text.splitlines() if line and not line.startswith("#")]
        check(len(samples) >= 10000, f"only {len(samples)} series")
        workers_left_alone(daemon)
        equal(value(text, 'meltemi_series_folded{kind="service"}'), SERVICES - 500, "services without series of their own")
        # The last two services of all have series of their own, or are among the others: nothing is lost.
        for i in (SERVICES - 1, SERVICES - 2):
            lab.dubbo_client(f"240.240.{1 + i // 200}.{1 + i % 200}:20880", count=100, outstanding=4).result()
        text = daemon.http("/metrics")[1]
        counted = sum(float(n) for n in re.findall(r"^meltemi_service_requests_total\{.*\} (\d+)$", text, re.M))
        equal(counted, 200, "requests over all series")


main(body)
