#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/how-to/troubleshooting.md: every command, on a node under traffic whose servers died, answers its question."""

import json
import re
import shlex

from meltemi_lab import TESTS, Lab, check, equal, main
from meltemi_lab.check import within

DEMO = "org.apache.dubbo.samples.basic.api.demoservice"
PAGE = TESTS.parent / "docs/how-to/troubleshooting.md"


def rows(answer):
    return next(value for value in answer.values() if isinstance(value, list))


def first(answer):
    check(rows(answer), f"no rows in {answer}")
    return rows(answer)[0]


def falling(answer, field):
    values = [row[field] for row in rows(answer)]
    return values == sorted(values, reverse=True) and bool(values)


def one(answer, **fields):
    return any(all(row.get(name) == value for name, value in fields.items()) for row in rows(answer))


# What must be true of the answers on this node: 100 calls served, then both servers gone.
ANSWERS = {
    "show version": lambda a: a["state"] == "serving",
    "show services": lambda a: one(a, service=DEMO, protocol="dubbo"),
    "show errors": lambda a: one(a, name="proxy_up_connect_failed") and all(row["reason"] for row in rows(a)),
    "show node": lambda a: a["ports_up"] == 2 and a["requests"] >= 100,
    "show capacity": lambda a: first(a)["first_limit"] == "time of the worker" and first(a)["remedy"] == "spec.workers",
    "show services sort requests limit 5": lambda a: falling(a, "requests") and first(a)["service"] == DEMO,
    "show services where local_replies>0 sort local_replies": lambda a: first(a)["service"] == DEMO,
    "show services sort mean_us limit 5": lambda a: falling(a, "mean_us") and first(a)["mean_us"] > 0,
    "show endpoints where health!=ok": lambda a: first(a)["endpoint"] and first(a)["health"].startswith("ejected"),
    "show routes demoservice": lambda a: "companion" in first(a)["origin"] or ".yaml:" in first(a)["origin"],
    "show limits sort refused limit 5": lambda a: falling(a, "refused"),
    "show talkers where side=client": lambda a: first(a)["host"] == "192.0.2.2" and first(a)["bytes"] > 0,
    "show connections where retransmits>0 sort retransmits limit 20": lambda a: all(r["retransmits"] > 0 for r in rows(a)),
    "show config": lambda a: a["version"] >= 1 and a["services"] == 3,
    "show ports": lambda a: all(row["link"] == "up" and row["rx_packets"] > 0 for row in rows(a)),
    "show offloads": lambda a: {row["port"] for row in rows(a)} and one(a, offload="rss"),
    "show tables sort percent limit 5": lambda a: falling(a, "percent") and len(rows(a)) == 5,
    "show stages sort percent limit 3": lambda a: falling(a, "percent"),
    "show xds": lambda a: isinstance(rows(a), list),
    "show neighbours": lambda a: one(a, address="192.0.2.2"),
}


def share(daemon):
    worker = daemon.show("workers")["workers"][0]
    return 100 * worker["work_ms"] / worker["run_ms"]


def busy(daemon):
    """
    What is left of the worker's time is what `show workers` counts, before it is asked and after; younger than a minute, the minute is
    since the start.
    """
    before, capacity, after = share(daemon), daemon.show("capacity")["capacity"][0], share(daemon)
    slack = max(2, after / 4)
    least, most = min(before, after) - slack, max(before, after) + slack
    check(least < capacity["busy_percent"] < most, f"busy for {capacity['busy_percent']} %, and not {before} to {after} %")
    equal(round(capacity["busy_percent"] + capacity["cpu_left_percent"]), 100, "time that is used and time that is left")
    check(capacity["busy_percent"] > 0.2, f"not busy under load: {capacity}")


def questions():
    return re.findall(r"^\| (\d+) \| ([^|]+) \| `([^`]+)` \|", PAGE.read_text(), re.M)


def body():
    asked = questions()
    equal([int(number) for number, _, _ in asked], list(range(1, 21)), "numbers of the questions")
    equal({command for _, _, command in asked}, set(ANSWERS), "commands of the page")
    with Lab(servers=2) as lab:
        servers = [lab.dubbo_server(number, f"v{number}") for number in (1, 2)]
        for server in servers:
            server.wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        lab.dubbo_client("240.240.0.10:20880", count=100, outstanding=1).result()
        for server in servers:
            server.kill()
        lab.dubbo_client("240.240.0.10:20880", count=20, outstanding=1).popen.wait(30)
        load = lab.dubbo_client("240.240.0.10:20880", count=10_000_000, outstanding=1)
        within(10, lambda: daemon.show("talkers")["talkers"], "the client is connected")
        busy(daemon)
        for number, question, command in asked:
            answer = json.loads(daemon.shell("--json", *shlex.split(command)))
            check(ANSWERS[command](answer), f"{number}. {question} `{command}` says {answer}")
            check(daemon.shell(*shlex.split(command)).strip(), f"`{command}` says nothing in words")
        load.kill()


main(body)
