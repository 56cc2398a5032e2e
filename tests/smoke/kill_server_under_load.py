#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a server under load: calls in flight get a native error at once, all later ones succeed elsewhere."""

import json
import time

import jsonschema

from meltemi_lab import TESTS, Lab, check, equal, main, within
from meltemi_lab.documents import service

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
NATIVE = {"status-35", "status-80"}  # connection lost, no healthy endpoint


def remembered(daemon, endpoint, restart):
    """Which endpoint was ejected, when, why and for how long; and that it has returned when it answers again."""
    schema = json.loads((TESTS / "smoke/schemas/show_outliers.json").read_text())

    def rows():
        answer = json.loads(daemon.shell("--json", "show", "outliers", HOST))
        jsonschema.validate(answer, schema)
        return answer["outliers"]

    first = rows()[-1]
    equal({row["endpoint"] for row in rows()}, {endpoint}, "what was ejected")
    equal((first["what"], first["why"], first["rule"], first["times"], first["for_ms"]),
          ("ejected", "connection refused", "3 failures within 10 s", 1, 5000), "why it was ejected")
    check(HOST in first["cluster"], f"its cluster is {first['cluster']}")
    equal([row["when"] for row in rows()], sorted((row["when"] for row in rows()), reverse=True), "the newest first")
    within(8, lambda: rows()[-1]["now"] == "trial", "the end of its time")
    restart()
    back = within(8, lambda: rows()[-1]["now"] == "returned" and rows()[-1]["returned"], "the endpoint's return")
    check(back > first["when"], f"ejected {first['when']}, returned {back}")
    equal(rows()[-1]["left_ms"], None, "what is left of it")


def body():
    with Lab(servers=3) as lab:
        servers = [lab.dubbo_server(number, f"v{number}", delay="5-40") for number in (1, 2, 3)]
        for server in servers:
            server.wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo",
                                             [(lab.server(n), 20880, {}) for n in (1, 2, 3)]))
        daemon.start()
        load = lab.dubbo_client(f"{VIP}:20880", connections=4, outstanding=16, seconds=5)
        load.wait_line("calling")
        time.sleep(1.5)
        servers[2].kill()
        report = load.result()
        span = (report["last_error_s"] or 0) - (report["first_error_s"] or 0)
        print(f"{report['answered']} answered {report['by_server']}; {report['failed']} failed {report['errors']} "
              f"within {span:.3f} s, the slowest after {report['slowest_error_us']} us", flush=True)
        check(set(report["errors"]) <= NATIVE, f"errors of other kinds: {report['errors']}")
        check(0 < report["failed"] <= 64, f"{report['failed']} failed; the server had at most 64 in flight")
        equal((report["crossed"], report["strays"]), (0, 0), "replies of others")
        after = lab.dubbo_client(f"{VIP}:20880", count=300, outstanding=4).result()
        equal((after["answered"], after["failed"]), (300, 0), "later calls")
        remembered(daemon, f"{lab.server(3)}:20880", lambda: lab.dubbo_server(3, "v3").wait_line("ready"))


main(body)
