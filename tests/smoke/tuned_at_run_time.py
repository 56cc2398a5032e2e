#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What an operator turns on a running node: an endpoint drained under load without a failed call; a limit that reports first
and refuses then; weights, faults and workers' settings; a change that nobody confirms; going back; what is kept over a
restart, and what is not.
"""

import json
import subprocess
import time

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.daemon import SHELL
from meltemi_lab.documents import service, subsets

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
TARGET = f"{VIP}:20880"


def router(v1, v2):
    return f"""\
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {{name: router}}
spec:
  hosts: [{HOST}]
  routes:
  - name: split
    route:
    - destination: {{host: {HOST}, subset: v1}}
      weight: {v1}
    - destination: {{host: {HOST}, subset: v2}}
      weight: {v2}
  localRateLimit:
    tokenBucket: {{fillInterval: 1s, maxTokens: 100000, tokensPerFill: 100000}}
"""


def tell(daemon, *words):
    return json.loads(daemon.shell("--json", *words))


def servers(lab, count=200):
    report = lab.dubbo_client(TARGET, count=count, outstanding=4).result()
    equal(report["failed"], 0, f"failed calls {report['errors']}")
    return report["by_server"]


def refused(daemon, *words):
    """What the shell says to a command that it does not take."""
    done = subprocess.run([SHELL, "-s", daemon.directory / "admin.sock", *words], text=True, capture_output=True, timeout=30, check=False)
    equal(done.returncode, 1, f"exit status of {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def drained_under_load(lab, daemon):
    first = f"{lab.server(1)}:20880"
    load = lab.dubbo_client(TARGET, connections=4, outstanding=8, seconds=4)
    load.wait_line("calling")
    time.sleep(1)
    answer = tell(daemon, "tune", "drain", first)
    equal(answer["tune"], f"drain {first}: in force", "what a drain is answered")
    time.sleep(0.5)
    before = {row["endpoint"]: row["requests"] for row in daemon.show("clusters")["clusters"] if "v1" in row["cluster"]}
    time.sleep(1)
    rows = [row for row in daemon.show("clusters")["clusters"] if "|v1|" in row["cluster"]]
    equal({row["endpoint"]: row["health"] for row in rows}, {first: "draining", f"{lab.server(2)}:20880": "ok"}, "health")
    equal([row["requests"] - before[row["endpoint"]] for row in rows if row["endpoint"] == first], [0], "calls to who is drained")
    report = load.result()
    equal(report["failed"], 0, f"failed calls {report['errors']}")
    print(f"drained under load: {report['answered']} answered by {report['by_server']}, none failed; {answer['tune']}", flush=True)
    equal(servers(lab), {"v1/s2": 200}, "servers while one is drained")
    what = tell(daemon, "show", "history")["history"][0]["what"]
    check(what.startswith("drain ") and "no change" not in what, f"a drain that is in force is no change: {what}")
    tell(daemon, "tune", "drop", "all")
    equal(sorted(servers(lab)), ["v1/s1", "v1/s2"], "servers when it is back")


def limited(lab, daemon):
    bucket = f"{HOST}:20880"
    tell(daemon, "tune", "limit", bucket, "max=50", "fill=1h", "report-only=on")
    equal(lab.dubbo_client(TARGET, count=200).result()["failed"], 0, "calls refused while the limit only reports")
    row = daemon.show("limits")["limits"][0]
    equal((row["would_refuse"], row["refused"], row["mode"]), (150, 0, "report only"), f"what it would have refused {row}")
    # The older shell is told whom it overtakes; one that wants to know is refused.
    version = tell(daemon, "show", "overrides")["version"]
    answer = tell(daemon, "tune", "limit", bucket, "max=60", "fill=1h")
    check("max=50" in answer["in_place_of"] and "root" in answer["in_place_of"], f"{answer}")
    check("by now" in refused(daemon, "tune", "limit", bucket, "max=70", "fill=1h", f"version={version}"), "a version that has passed")
    check(tell(daemon, "explain", "protocol=dubbo", f"service={HOST}", "method=a")["result"].startswith("answered"), "explain")
    equal(lab.dubbo_client(TARGET, count=100).result()["errors"], {"status-100": 100}, "enforced, and nothing is left of it")
    tell(daemon, "tune", "drop", "all")
    time.sleep(1.2)  # it is filled again, as the document says


def faults(lab, daemon):
    tell(daemon, "tune", "fault", HOST, "abort-percent=100")
    equal(lab.dubbo_client(TARGET, count=50).result()["errors"], {"status-100": 50}, "every call is hit")
    tell(daemon, "tune", "fault", HOST, "delay=300ms")
    report = lab.dubbo_client(TARGET, count=20, outstanding=20).result()
    equal(report["failed"], 0, f"held calls {report['errors']}")
    check(report["latency_us"]["p50"] >= 300000, f"held for 300 ms: {report['latency_us']}")
    tell(daemon, "tune", "drop", "all")


def workers(lab, daemon):
    for words in ("idle=poll", "burst=4", "coalesce=0", "sampling=5s"):
        tell(daemon, "tune", "worker", words)
    check(servers(lab), "calls with other settings")
    equal(len(tell(daemon, "show", "overrides")["overrides"]), 4, "overrides")
    tell(daemon, "tune", "drop", "all")


def confirmed_or_not(lab, daemon):
    before = tell(daemon, "show", "version")["configuration_version"] if "configuration_version" in tell(daemon, "show", "version") \
        else tell(daemon, "show", "history")["history"][0]["version"]
    tell(daemon, "commit", "confirm", "2s")
    tell(daemon, "tune", "split", HOST, "split", "v2=1")
    daemon.write("router.yaml", router(50, 50))
    equal(servers(lab), {"v2/s3": 200}, "while nobody has confirmed")
    within(10, lambda: tell(daemon, "show", "history")["history"][0]["from"] == "not confirmed", "it is undone")
    equal(sorted(servers(lab)), ["v1/s1", "v1/s2"], "as before")
    equal(tell(daemon, "show", "overrides")["overrides"], [], "overrides of then")
    check(f"to version {before}" in tell(daemon, "show", "config")["rolled_back"], "that files say something else")
    tell(daemon, "reload")
    check("v2/s3" in servers(lab), "the next reload takes what files say")
    check(not tell(daemon, "show", "config")["rolled_back"], "nothing is said any more")
    return before


def back(lab, daemon, before):
    tell(daemon, "commit", "confirm", "2s")
    tell(daemon, "rollback", str(before))
    tell(daemon, "commit")
    time.sleep(2.5)
    equal(sorted(servers(lab)), ["v1/s1", "v1/s2"], "confirmed, so it stays")
    now = tell(daemon, "show", "history")["history"][0]
    equal((now["from"], now["who"].split()[0]), ("rollback", "root"), "who went back")
    check(f"service {HOST}" in now["reason"], f"what it changed, by name: {now}")
    lines = tell(daemon, "diff", str(now["version"] - 1), str(now["version"]))["difference"]
    check("-       weight: 50" in lines and "+       weight: 100" in lines, f"difference {lines}")
    equal(tell(daemon, "diff", str(before), str(now["version"]))["difference"], ["the same documents and overrides"], "difference")
    check("there is no version" in refused(daemon, "rollback", "9999"), "a version that never was")


def levels(daemon):
    """The log's levels: an override like the others, and what is said is counted."""
    def now():
        return {row["module"]: row for row in tell(daemon, "show", "log")["log"]}

    said = now()["tune"]["info"]
    tell(daemon, "log", "level", "tune", "error")
    daemon.wait_log('level=info module=tune msg="root')
    quiet = now()
    equal((quiet["tune"]["level"], quiet["xds"]["level"]), ("error", "info"), "levels")
    tell(daemon, "log", "level", "xds", "debug")
    equal(now()["tune"]["info"], quiet["tune"]["info"], "lines of a module that is quiet")
    check(quiet["tune"]["info"] >= said, "lines are counted")
    overrides = [o["override"] for o in tell(daemon, "show", "overrides")["overrides"]]
    equal(overrides, ["log tune error", "log xds debug"], "overrides")
    tell(daemon, "log", "level", "warn")
    overrides = tell(daemon, "show", "overrides")["overrides"]
    equal([o["override"] for o in overrides], ["log warn"], "one for all takes the others away")
    equal({row["level"] for row in now().values()}, {"warn"}, "levels")
    check("no such module" in refused(daemon, "log", "level", "xsd", "debug"), "a module that is not there")
    check("not error, warn" in refused(daemon, "log", "level", "loud"), "a level that is not there")
    tell(daemon, "tune", "drop", "all")
    equal({row["level"] for row in now().values()}, {"info"}, "levels as at the start")
    text = daemon.http("/metrics")[1]
    check('meltemi_log_lines_total{module="tune",level="info"}' in text, "lines in the metrics")


def restarted(lab, daemon):
    second = f"{lab.server(2)}:20880"
    answer = tell(daemon, "tune", "drain", second)
    said = tell(daemon, "tune", "weight", f"{lab.server(1)}:20880", "7")["tune"]
    check(said.startswith("weight ") and ": in force; " in said and "changed" in said, f"a weight is answered {said}")
    number = [o["id"] for o in tell(daemon, "show", "overrides")["overrides"] if o["override"].startswith("drain")][0]
    tell(daemon, "tune", "keep", str(number))
    equal(daemon.stop(), 0, "end")
    daemon.write("router.yaml", router(100, 0))
    daemon.admin(log={"level": "warn", "modules": {"xds": "debug", "boot": "info"}})
    daemon.start()
    now = {row["module"]: row["level"] for row in tell(daemon, "show", "log")["log"]}
    equal((now["tune"], now["xds"], now["boot"]), ("warn", "debug", "info"), "levels that the Node document says")
    left = tell(daemon, "show", "overrides")["overrides"]
    equal([(o["override"], o["kept"]) for o in left], [(f"drain {second}", True)], f"what is kept ({answer})")
    equal(servers(lab), {"v1/s1": 200}, "servers after the restart")
    tell(daemon, "tune", "drop", "all")


def body():
    with Lab(servers=3) as lab:
        for number, tag in ((1, "v1"), (2, "v1"), (3, "v2")):
            lab.dubbo_server(number, tag).wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo",
                                             [(lab.server(n), 20880, {"version": tag}) for n, tag in ((1, "v1"), (2, "v1"), (3, "v2"))]))
        daemon.write("subsets.yaml", subsets(HOST, ["v1", "v2"]))
        daemon.write("router.yaml", router(100, 0))
        daemon.start()
        drained_under_load(lab, daemon)
        limited(lab, daemon)
        faults(lab, daemon)
        workers(lab, daemon)
        before = confirmed_or_not(lab, daemon)
        back(lab, daemon, before)
        levels(daemon)
        restarted(lab, daemon)
        covered = tell(daemon, "show", "coverage")
        equal((covered["without_limits"], covered["without_breakers"]), (0, 1), f"coverage {covered}")
        check("nothing waits" in refused(daemon, "commit"), "commit without a reason")
        check("no such endpoint" in refused(daemon, "tune", "drain", "192.0.2.77:1"), "an endpoint that is not there")


main(body)
