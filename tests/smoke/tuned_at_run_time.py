#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What an operator changes on a running node: an endpoint drained under load without a failed call; a listener and a service
drained and returned; connections closed by their id and by an expression; an ejection ended; a limit that reports first and
refuses then; weights, faults and workers' settings; what is refused because it changes nothing; a change that nobody
confirms; going back; what is kept over a restart, and what is not.
"""

import json
import subprocess
import time

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.daemon import SHELL
from meltemi_lab.documents import service, subsets

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
TARGET = f"{VIP}:20880"
ROW_CLUSTER = "outbound|20880|{}|" + HOST


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
    answer = tell(daemon, "drain", "endpoint", first)
    equal(answer["drain"], f"drain endpoint {first}: in force", "what a drain is answered")
    time.sleep(0.5)
    before = {row["endpoint"]: row["requests"] for row in daemon.show("endpoints")["endpoints"] if "v1" in row["cluster"]}
    time.sleep(1)
    rows = [row for row in daemon.show("endpoints")["endpoints"] if "|v1|" in row["cluster"]]
    equal({row["endpoint"]: row["health"] for row in rows}, {first: "draining", f"{lab.server(2)}:20880": "ok"}, "health")
    equal([row["requests"] - before[row["endpoint"]] for row in rows if row["endpoint"] == first], [0], "calls to who is drained")
    report = load.result()
    equal(report["failed"], 0, f"failed calls {report['errors']}")
    print(f"drained under load: {report['answered']} answered by {report['by_server']}, none failed; {answer['drain']}", flush=True)
    equal(servers(lab), {"v1/s2": 200}, "servers while one is drained")
    what = tell(daemon, "show", "history")["history"][0]["what"]
    check(what.startswith("drain ") and "no change" not in what, f"a drain that is in force is no change: {what}")
    check("already" in refused(daemon, "drain", "endpoint", first, ROW_CLUSTER.format("v1")), "drained twice")
    equal(tell(daemon, "return", "endpoint", first)["return"], f"return endpoint {first}: done", "what a return is answered")
    equal(tell(daemon, "show", "overrides")["overrides"], [], "overrides after the return")
    check("not drained and not ejected" in refused(daemon, "return", "endpoint", first), "returned twice")
    equal(sorted(servers(lab)), ["v1/s1", "v1/s2"], "servers when it is back")
    returned_in_one_cluster(daemon, first)


def returned_in_one_cluster(daemon, endpoint):
    """Of a drain in all clusters."""
    def states():
        return {row["cluster"]: row["health"] for row in daemon.show("endpoints")["endpoints"] if row["endpoint"] == endpoint}

    clusters = sorted(states())
    check(len(clusters) > 1, f"{endpoint} is in {clusters}")
    tell(daemon, "drain", "endpoint", endpoint)
    equal(set(states().values()), {"draining"}, "states while it is drained in all")
    answer = tell(daemon, "return", "endpoint", endpoint, clusters[0])
    equal(answer["return"], f"return endpoint {endpoint} {clusters[0]}: done", "what a return in one is answered")
    equal(states(), {name: "ok" if name == clusters[0] else "draining" for name in clusters}, "states afterwards")
    equal([o["override"] for o in tell(daemon, "show", "overrides")["overrides"]],
          [f"drain endpoint {endpoint}", f"return endpoint {endpoint} {clusters[0]}"], "overrides")
    check("no such endpoint" in refused(daemon, "return", "endpoint", endpoint, "outbound|1||no.example"), "a cluster that is not there")
    check("not drained" in refused(daemon, "return", "endpoint", endpoint, clusters[0]), "returned twice")
    tell(daemon, "return", "endpoint", endpoint)
    equal((set(states().values()), tell(daemon, "show", "overrides")["overrides"]), ({"ok"}, []), "after the return in all")


def ends(sock):
    """How the node ends a connection on which nothing is asked."""
    try:
        while sock.recv(4096):
            pass
        return "FIN"
    except ConnectionResetError:
        return "RST"
    finally:
        sock.close()


def is_refused(lab):
    try:
        lab.connect("client", VIP, 20880).close()
        return False
    except ConnectionRefusedError:
        return True


def drained_listener(lab, daemon):
    for noun, name in (("listener", TARGET), ("service", HOST)):
        held, drained = lab.connect("client", VIP, 20880), daemon.counters()["proxy_down_listener_drained"]
        port = held.getsockname()[1]
        within(5, lambda own=port: tell(daemon, "show", "connections", "where", f"sport={own}")["connections"], "the client is connected")
        tell(daemon, "drain", noun, name, "refuse")
        within(5, lambda: is_refused(lab), f"new clients while the {noun} is drained")
        equal(ends(held), "FIN", "end of a client that was connected")
        equal(daemon.counters()["proxy_down_listener_drained"], drained + 1, "connections drained")
        rows = [row for row in daemon.show("health")["health"] if row["about"] == TARGET]
        check(rows and rows[0]["state"] == "warning", f"what is drained is not told: {rows}")
        reasons = {row["reason"] for row in daemon.show("listeners")["listeners"] if f"{row['address']}:{row['port']}" == TARGET}
        equal(reasons, {"drained by an operator: refuses clients"}, "why the listener refuses clients")
        check("is the same" in refused(daemon, "drain", noun, name, "refuse"), "drained twice")
        tell(daemon, "return", noun, name)
        within(5, lambda: not is_refused(lab), f"clients after the return of the {noun}")
        check("is not drained" in refused(daemon, "return", noun, name), "returned twice")
    check(servers(lab), "calls after the return")
    check("no such listener" in refused(daemon, "drain", "listener", "192.0.2.77:1"), "a listener that is not there")
    check("no such service" in refused(daemon, "drain", "service", "nothing.example"), "a service that is not there")


def closed(lab, daemon):
    def one(sock):
        rows = within(5, lambda: tell(daemon, "show", "connections", "where", f"sport={sock.getsockname()[1]}")["connections"], "it is shown")
        return rows[0]["id"]

    before = daemon.counters()
    slow, now, two = lab.connect("client", VIP, 20880), lab.connect("client", VIP, 20880), [lab.connect("client", VIP, 20880) for _ in "ab"]
    number = one(slow)
    equal([row["result"] for row in tell(daemon, "close", "connection", number)["connections"]], ["drains"], "what is done")
    equal(ends(slow), "FIN", "end of a connection that drains")
    within(5, lambda: "there is no connection" in refused(daemon, "close", "connection", number), "its id afterwards")
    equal([row["result"] for row in tell(daemon, "close", "connection", one(now), "now")["connections"]], ["closed"], "what is done")
    equal(ends(now), "RST", "end of a connection that is closed now")
    ports = " or ".join(f"sport={sock.getsockname()[1]}" for sock in two)
    for sock in two:
        one(sock)
    answer = tell(daemon, "close", "connection", "where", *ports.split(), "now")
    equal((answer["matched"], answer["close"]), (2, "connections: 2 closed, 0 draining"), f"{answer}")
    equal([ends(sock) for sock in two], ["RST", "RST"], "ends of those that match")
    equal(tell(daemon, "close", "connection", "where", "sport=1")["matched"], 0, "an expression that matches nothing")
    check(servers(lab), "calls, for connections to servers")
    answer = tell(daemon, "close", "connection", "where", "side=server", "dport=20880")
    check(answer["matched"] and {row["result"] for row in answer["connections"]} == {"closed"}, f"idle connections to servers: {answer}")
    check(servers(lab), "calls on new connections")
    after = daemon.counters()
    equal(after["proxy_down_closed_by_operator"] - before["proxy_down_closed_by_operator"], 4, "clients closed")
    equal(after["proxy_up_closed_by_operator"] - before["proxy_up_closed_by_operator"], answer["matched"], "connections to servers closed")
    entry = tell(daemon, "show", "history")["history"][0]
    equal((entry["from"], entry["can_roll_back"], entry["who"].split()[0]), ("close", "no", "root"), f"the history: {entry}")
    check("usage:" in refused(daemon, "close", "connection", "7"), "what is no id")


def cleared(daemon):
    """The shell's tables count from now on, the metrics go on."""
    def metric():
        return next(line for line in daemon.http("/metrics")[1].splitlines() if line.startswith("meltemi_proxy_exchange_answered_total "))

    before, total = metric(), daemon.counters()["proxy_exchange_answered"]
    check(total > 0, "calls were answered")
    tell(daemon, "clear", "counters")
    counters = daemon.counters()
    equal((counters["proxy_exchange_answered"], "counted_since" in counters), (0, True), "the table after that")
    equal(metric(), before, "the metric after that")
    tell(daemon, "clear", "counters", "undo")
    equal(daemon.counters()["proxy_exchange_answered"], total, "the table when it is undone")
    equal(tell(daemon, "show", "history")["history"][0]["what"].split(":")[0][:1].isdigit(), True, "two of a kind are one entry")


def nothing_changed(lab, daemon):
    """What would change nothing is refused, with the reason."""
    first, bucket = f"{lab.server(1)}:20880", f"{HOST}:20880"
    for words, why in (
            (("tune", "weight", first, "1"), "has that weight already"),
            (("tune", "weight", f"{lab.server(3)}:20880", "5", ROW_CLUSTER.format("v2")), "only endpoint"),
            (("tune", "split", HOST, "split", "v1=7"), "split so already"),
            (("tune", "split", HOST, "split", "v9=1"), "is not a destination"),
            (("tune", "limit", bucket, "max=100000", "report-only=off"), "these settings already"),
            (("tune", "limit", f"{HOST}:1", "max=5"), "no such limit"),
            (("tune", "worker", "idle=adaptive"), "have that setting already"),
            (("log", "level", "xds", "info"), "its level already"),
            (("drain", "endpoint", f"{lab.server(3)}:20880", ROW_CLUSTER.format("v2")), "would go on to get its calls")):
        said = refused(daemon, *words)
        check(why in said, f"{' '.join(words)}: {said}")
    equal(tell(daemon, "show", "overrides")["overrides"], [], "overrides after what changes nothing")


def returned(lab, daemon, server):
    """An ejection ends by command before its time, and before a health check is answered."""
    second = f"{lab.server(2)}:20880"

    def health():
        return {row["health"] for row in daemon.show("endpoints")["endpoints"] if row["endpoint"] == second and "|v1|" in row["cluster"]}

    server.kill()
    within(10, lambda: lab.dubbo_client(TARGET, count=20, outstanding=4).result() and "ejected" in str(health()), "the ejection")
    again, probes = lab.dubbo_server(2, "v1"), daemon.counters()["proxy_probe_answered"]
    again.wait_line("ready")
    answer = tell(daemon, "return", "endpoint", second)
    check("its ejection ended" in answer["return"], f"{answer}")
    equal((health(), daemon.counters()["proxy_probe_answered"]), ({"ok"}, probes), "health, and health checks that were answered")
    equal(sorted(servers(lab)), ["v1/s1", "v1/s2"], "servers")
    check("not ejected" in refused(daemon, "return", "endpoint", second), "returned twice")


def limited(lab, daemon):
    bucket = f"{HOST}:20880"
    tell(daemon, "tune", "limit", bucket, "max", "50", "fill", "1h", "report-only=on")
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
    check("there is no access log" in refused(daemon, "tune", "worker", "log-sample=5"), "a share of no lines")
    check("log-sample=0-100" in refused(daemon, "tune", "worker", "log-sample=101"), "more lines than calls")


def confirmed_or_not(lab, daemon):
    before = tell(daemon, "show", "version")["configuration_version"] if "configuration_version" in tell(daemon, "show", "version") \
        else tell(daemon, "show", "history")["history"][0]["version"]
    tell(daemon, "commit", "confirm", "8s")  # time for the calls below on a busy machine
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
    tell(daemon, "commit", "confirm", "4s")
    tell(daemon, "rollback", str(before))
    tell(daemon, "commit")
    time.sleep(4.5)
    equal(sorted(servers(lab)), ["v1/s1", "v1/s2"], "confirmed, so it stays")
    now = tell(daemon, "show", "history")["history"][0]
    equal((now["from"], now["who"].split()[0]), ("rollback", "root"), "who went back")
    check(f"service {HOST}" in now["reason"], f"what it changed, by name: {now}")
    rows = tell(daemon, "diff", str(now["version"] - 1), str(now["version"]))["differences"]
    equal([(row["change"], row["origin"].rsplit("/")[-1]) for row in rows], [("changed", "router.yaml:1")], f"differences {rows}")
    equal(tell(daemon, "diff", str(before), str(now["version"]))["differences"], [], "differences")
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
    answer = tell(daemon, "drain", "endpoint", second)
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
    equal([(o["override"], o["kept"]) for o in left], [(f"drain endpoint {second}", True)], f"what is kept ({answer})")
    equal(servers(lab), {"v1/s1": 200}, "servers after the restart")
    tell(daemon, "tune", "drop", "all")


def body():
    with Lab(servers=3) as lab:
        processes = [lab.dubbo_server(number, tag) for number, tag in ((1, "v1"), (2, "v1"), (3, "v2"))]
        for process in processes:
            process.wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo",
                                             [(lab.server(n), 20880, {"version": tag}) for n, tag in ((1, "v1"), (2, "v1"), (3, "v2"))]))
        daemon.write("subsets.yaml", subsets(HOST, ["v1", "v2"]))
        daemon.write("router.yaml", router(100, 0))
        daemon.start()
        drained_under_load(lab, daemon)
        drained_listener(lab, daemon)
        closed(lab, daemon)
        cleared(daemon)
        nothing_changed(lab, daemon)
        limited(lab, daemon)
        faults(lab, daemon)
        workers(lab, daemon)
        before = confirmed_or_not(lab, daemon)
        back(lab, daemon, before)
        levels(daemon)
        restarted(lab, daemon)
        returned(lab, daemon, processes[1])
        covered = tell(daemon, "show", "coverage")
        equal((covered["without_limits"], covered["without_breakers"]), (0, 1), f"coverage {covered}")
        check("nothing waits" in refused(daemon, "commit"), "commit without a reason")
        check("no such endpoint" in refused(daemon, "drain", "endpoint", "192.0.2.77:1"), "an endpoint that is not there")


main(body)
