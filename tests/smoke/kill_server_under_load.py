#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a server under load: calls in flight get a native error at once, all later ones succeed elsewhere."""

import json
import re
import time

import jsonschema

from meltemi_lab import TESTS, Lab, check, equal, main, within
from meltemi_lab.documents import service

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
NATIVE = {"status-35", "status-80"}  # connection lost, no healthy endpoint
# The third failure meets a closed port, or resets a connection that the killed server had not accepted yet.
CAUSES = {"connection refused", "reset by peer"}


def remembered(daemon, endpoint, restart):
    """Which endpoint was ejected, when, why and for how long; and that it has returned when it answers again. Returns why."""
    schema = json.loads((TESTS / "smoke/schemas/show_outliers.json").read_text())

    def rows():
        answer = json.loads(daemon.shell("--json", "show", "outliers", HOST))
        jsonschema.validate(answer, schema)
        return answer["outliers"]

    first = rows()[-1]
    equal({row["endpoint"] for row in rows()}, {endpoint}, "what was ejected")
    equal((first["what"], first["rule"], first["times"]), ("ejected", "3 failures within 10 s", 1), "how it was ejected")
    # On trial, up to now.
    check(first["for_ms"] == 5000 or (first["now"] == "trial" and first["for_ms"] > 5000), f"it was ejected for {first['for_ms']} ms, now {first['now']}")
    check(first["why"] in CAUSES, f"it was ejected because of {first['why']}")
    check(HOST in first["cluster"], f"its cluster is {first['cluster']}")
    equal([row["when"] for row in rows()], sorted((row["when"] for row in rows()), reverse=True), "the newest first")
    within(8, lambda: rows()[-1]["now"] == "trial", "the end of its time")
    restart()
    back = within(8, lambda: rows()[-1]["now"] == "returned" and rows()[-1]["returned"], "the endpoint's return")
    check(back > first["when"], f"ejected {first['when']}, returned {back}")
    equal(rows()[-1]["left_ms"], None, "what is left of it")
    return first["why"]


def lines(daemon, *words):
    return [line for line in daemon.process.errors().splitlines() if "module=worker" in line and all(word in line for word in words)]


def logged(daemon, endpoint, why):
    """One line when it was ejected and one when it has returned, whatever number of workers and calls met it."""
    within(5, lambda: lines(daemon, f"endpoint {endpoint} of ", " returned after "), "the return in the log")
    ejected, returned = lines(daemon, " ejected: "), lines(daemon, " returned ")
    equal((len(ejected), len(returned)), (1, 1), f"lines of the log: {ejected + returned}")
    for word in ("level=warn", f"endpoint {endpoint} of ", HOST, f"{why}, for 5 s"):
        check(word in ejected[0], f"{word} is not in {ejected[0]}")
    check("level=info" in returned[0], f"the return is logged as {returned[0]}")


def one_cause(daemon):
    """What the dead server made is one row, which names what else it counts as."""
    answer = daemon.show("errors")["errors"]
    rows = [row for row in answer if row["remedy"] and row["remedy"].startswith("look at the server")]
    equal(len(rows), 1, f"rows of a server in `show errors`: {[row['name'] for row in answer]}")
    check(rows[0]["name"] in ("proxy_up_connect_failed", "proxy_up_reset"), f"the cause is {rows[0]['name']}")
    for name in ("upstream_ejected (1)", "proxy_reply_conn_lost ("):
        check(name in rows[0]["also_counted"], f"{name} is not in {rows[0]['also_counted']}")
    cause = rows[0]["name"]
    rows = [row for row in daemon.show("health")["health"] if row["check"] == "errors" and row["remedy"].startswith("look at the server")]
    equal([row["about"] for row in rows], [cause], "rows of a server in `show health`")
    check("proxy_reply_conn_lost (" in rows[0]["also_counted"], f"`show health` names {rows[0]['also_counted']}")
    # The row of `meltemi doctor` has the same line below it.
    doctor = daemon.shell("doctor", fail=False)
    check(re.search(rf"^fault +errors +{cause}: .*\n +also counted as: .*proxy_reply_conn_lost \(", doctor, re.M), f"`doctor` prints:\n{doctor}")


def left_while_ejected(lab, daemon, server, others):
    """The last server of a cluster: the cluster has no endpoint, and then another one."""
    documents = [service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(address, 20880, {}) for address in addresses])
                 for addresses in ([lab.server(1)], others)]
    daemon.write("service.yaml", documents[0])
    within(10, lambda: len(daemon.show("endpoints")["endpoints"]) == 1, "one endpoint is left")
    server.kill()
    lab.dubbo_client(f"{VIP}:20880", count=20, outstanding=1).result()
    within(5, lambda: lines(daemon, "level=warn", f"cluster outbound|20880||{HOST} has no endpoint that takes traffic: 1 of 1 ejected"),
           "the cluster in the log")
    samples = daemon.http("/metrics")[1].splitlines()
    for name in (f'meltemi_cluster_empty{{cluster="outbound|20880||{HOST}"}} 1',
                 f'meltemi_endpoint_up{{cluster="outbound|20880||{HOST}",endpoint="{lab.server(1)}:20880"}} 0'):
        check(name in samples, f"{name} is not in the metrics: {[line for line in samples if line.startswith(name[:16])]}")
    daemon.write("service.yaml", documents[1])
    within(5, lambda: lines(daemon, "level=info", f"cluster outbound|20880||{HOST} has an endpoint that takes traffic again"), "its end")
    within(5, lambda: lines(daemon, "level=info", f"endpoint {lab.server(1)}:20880 of ", "is no longer configured"), "the endpoint's end")
    equal(len(lines(daemon, "cluster ")), 2, "lines about clusters")
    samples = [line for line in daemon.http("/metrics")[1].splitlines() if line.startswith(("meltemi_cluster_empty{", "meltemi_endpoint_up{"))]
    equal([line.rsplit(" ", 1)[1] for line in samples], ["1", "1"], f"two endpoints are up and no cluster is empty: {samples}")


def body():
    with Lab(servers=3) as lab:
        servers = [lab.dubbo_server(number, f"v{number}", delay="5-40") for number in (1, 2, 3)]
        for server in servers:
            server.wait_line("ready")
        daemon = lab.meltemi(workers=2)
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
        one_cause(daemon)
        why = remembered(daemon, f"{lab.server(3)}:20880", lambda: lab.dubbo_server(3, "v3").wait_line("ready"))
        logged(daemon, f"{lab.server(3)}:20880", why)
        left_while_ejected(lab, daemon, servers[0], [lab.server(2), lab.server(3)])


main(body)
