#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Traces of real calls, Dubbo and Thrift: they name listener, service, route, cluster and endpoint as `show` does, choose by
method and by status, are off again when they are off, and stay within their bounds under a flood.
"""

import json
import subprocess

from meltemi_lab import TESTS, Lab, check, equal, main, within
from meltemi_lab.daemon import SHELL
from meltemi_lab.documents import service, subsets

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
CANARY = f"""\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {{name: canary}}
spec:
  hosts: [{HOST}]
  http:
  - name: canary
    match: [{{headers: {{user: {{exact: Jason}}}}}}]
    route: [{{destination: {{host: {HOST}, subset: v2}}}}]
  - name: default
    route: [{{destination: {{host: {HOST}, subset: v1}}}}]
"""


def trace(daemon, what="show"):
    return json.loads(daemon.shell("--json", "trace", what))


def journeys(daemon):
    """Steps by journey, by name, each with its values; of steps that come twice the first."""
    found = {}
    for step in trace(daemon)["steps"]:
        found.setdefault(step["trace"], {}).setdefault(step["step"], {**step["fields"], "at": step["us"]})
    return list(found.values())


def traced(daemon, expression, call, kept):
    """The journeys of what `call` makes."""
    daemon.shell("trace", "start", *expression)
    call()
    within(5, lambda: trace(daemon)["kept"] >= kept, f"{kept} journeys of {expression}")
    found = journeys(daemon)
    if trace(daemon)["trace"] == "running":
        trace(daemon, "stop")
    equal(len(found), kept, f"journeys of {expression}")
    return found


def refused(daemon, *words):
    """What is told when the command cannot be done."""
    done = subprocess.run([SHELL, "-s", daemon.directory / "admin.sock", "trace", *words], text=True, capture_output=True,
                          timeout=30, check=False)
    check(done.returncode, f"trace {words} was not refused")
    return done.stderr


def as_shown(daemon, journey, endpoint):
    """What the journey names is what `show` names."""
    services = {s["service"]: s for s in daemon.show("services")["services"]}
    shown = services[journey["service"]["service"]]
    routes = [r for r in daemon.show("routes")["routes"] if r["service"] == shown["service"]]
    rule = routes[journey["route"]["rule"]]
    equal(journey["route"]["route"], rule["route"], "the route's name")
    equal(journey["route"]["match"], rule["match"], "the route's match")
    equal(f"{journey['route']['document']}:{journey['route']['line']}", rule["origin"], "the route's document")
    equal(journey["cluster"]["cluster"], rule["destinations"], "the cluster")
    clusters = [(c["cluster"], c["endpoint"]) for c in daemon.show("endpoints")["endpoints"]]
    check((rule["destinations"], journey["endpoint"]["endpoint"]) in clusters, f"{journey['endpoint']} is in no cluster")
    equal(journey["endpoint"]["endpoint"], endpoint, "the endpoint")
    equal(journey["send"]["remote"], endpoint, "where it was sent")
    equal(journey["listener"]["listener"], shown["listener"], "the listener")


def every_stage(journey):
    # With several workers the port may be another one's: then the journey begins where it was handed over.
    first = min(journey.values(), key=lambda step: step["at"])
    arrival = ("handed",) if first is journey.get("handed") else ("port_rx", "net_in")
    stages = (*arrival, "tcp_in", "decode", "listener", "service", "route", "cluster", "endpoint", "send",
              "tcp_out", "port_tx", "reply", "client_reply", "end")
    missing = [s for s in stages if s not in journey]
    check(not missing, f"stages without a step: {missing}")
    order = [journey[s]["at"] for s in stages if s not in ("end",)]
    equal(order, sorted(order), "times of the steps")


def dubbo():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo",
                                             [(lab.server(n), 20880, {"version": f"v{n}"}) for n in (1, 2)]))
        daemon.write("subsets.yaml", subsets(HOST, ["v1", "v2"]))
        daemon.write("canary.yaml", CANARY)
        daemon.start()

        def calls(user="Jason", count=40, **more):
            return lab.dubbo_client(f"{VIP}:20880", attach=f"user={user}", count=count, **more).result()

        found = traced(daemon, ["method=sayHello", "src=192.0.2.0/24", "status=ok", "count", "3"], calls, 3)
        for journey in found:
            every_stage(journey)
            as_shown(daemon, journey, f"{lab.server(2)}:20880")
            equal(journey["service"]["method"], "sayHello", "the method")
            equal(journey["end"]["status"], "ok", "the status")
        # Metadata by its key, whoever else calls.
        def both():
            calls(user="Mary", count=5)
            calls(count=5)
            calls(user="Mary", count=5)

        for journey in traced(daemon, [".user=ja*", ".interface!=other", "count", "5"], both, 5):
            equal(journey["route"]["route"], "canary", "the route of whom metadata chose")
        # A place that longer values were in: nothing of them is left. What may still be chosen at its end has a place until then.
        daemon.shell("trace", "start", "(.user=jo", "or", "took>30s)", "count", "1")
        calls(user="J" * 200, count=300)
        calls(user="Jo", count=1)
        within(5, lambda: trace(daemon)["kept"] == 1, "one journey")
        equal(journeys(daemon)[0]["end"]["status"], "ok", "the status in a place that was used before")
        daemon.shell("trace", "start", "count", "2")
        followed = subprocess.Popen([SHELL, "-s", daemon.directory / "admin.sock", "trace", "show", "--follow"], text=True,
                                    stdout=subprocess.PIPE)
        calls()
        text = followed.communicate(timeout=20)[0]
        equal(followed.returncode, 0, "exit status of --follow")
        equal(text.count(" over: ok after "), 2, "ends of calls that were followed")
        # Nobody calls it so, and what failed did not.
        for words in (["method=sayGoodbye"], ["status!=ok"], ["cluster=*v1*"], ["src=10.0.0.0/8"], ["took>30s"]):
            daemon.shell("trace", "start", *words)
            calls()
            equal(trace(daemon)["kept"], 0, f"journeys of {words}")
            check(trace(daemon, "stop")["looked_at"] >= 40, f"{words}: nothing was looked at")
        # Off: nothing looks any more.
        before = trace(daemon)["looked_at"]
        calls()
        equal(trace(daemon)["looked_at"], before, "exchanges looked at while nothing is traced")
        packets = traced(daemon, ["packets", "dport=20880", "direction=rx", "count", "4"], calls, 4)
        check(all((p.get("port_rx") or p["handed"])["dst"].endswith(":20880") for p in packets), f"packets: {packets}")
        one_connection(daemon, calls, lab.server(2))
        # A flood: some are kept, the rest is counted, and every call is answered all the same.
        daemon.shell("trace", "start", "status!=ok")
        report = calls(count=20000, outstanding=64)
        equal(report["by_server"], {"v2/s2": 20000}, "answers under a trace")
        summary = trace(daemon, "stop")
        equal(summary["kept"], 0, "failures kept")
        equal(summary["looked_at"], 20000, "calls looked at")
        mistakes(daemon)
        notes(lab, daemon)


def on_endpoint(daemon, calls, server):
    """How many of three calls are followed: none, if it is another worker's connection that spoke first, by a heartbeat perhaps."""
    daemon.shell("trace", "start", "connection", f"host={server}")
    calls(count=3)
    found = len([j for j in journeys(daemon) if "decode" in j])
    if found != 3:
        trace(daemon, "stop")
    return found


def one_connection(daemon, calls, server):
    """All of the first one, from its SYN to its FIN, and of no other; on the endpoint's side, too."""
    daemon.shell("trace", "start", "connection", "dport=20880", "src=192.0.2.0/24")
    calls(count=5)
    calls(count=5)
    within(5, lambda: trace(daemon)["trace"] == "ended", "the end of the connection that is followed")
    summary = trace(daemon)
    equal(summary["ended_because"], "the connection was closed, by its other end first", "the end")
    local, remote = summary["connection"].split(" with ")
    equal(local, f"{VIP}:20880", "our end")
    found = journeys(daemon)
    exchanges, packets = [j for j in found if "decode" in j], [j for j in found if "decode" not in j]
    equal(len(exchanges), 5, "calls of the connection")
    check(all(j["decode"]["client"] == remote for j in exchanges), f"calls of others: {exchanges}")
    came = [j["tcp_in"]["flags"] for j in packets if "tcp_in" in j]
    left = [j["tcp_out"]["flags"] for j in packets if "tcp_out" in j]
    check(came[0] == "S" and any("F" in flags for flags in came), f"flags of what came: {came}")
    check(left and all(j["tcp_out"]["dst"] == remote for j in packets if "tcp_out" in j), f"what left: {left}")
    # Both workers have one that the expression chooses before anybody looks: one of them is followed.
    daemon.shell("trace", "start", "connection", "dport=20880", "src=192.0.2.0/24")
    calls(count=64, connections=16)
    within(5, lambda: trace(daemon)["trace"] == "ended", "the end of one of many connections")
    remote = trace(daemon)["connection"].split(" with ")[1]
    clients = {j["decode"]["client"] for j in journeys(daemon) if "decode" in j}
    equal(clients, {remote}, "whose calls were followed")
    within(5, lambda: on_endpoint(daemon, calls, server) == 3, "calls on the endpoint's connection")
    equal(trace(daemon)["connection"].split(" with ")[1], f"{server}:20880", "the endpoint's connection")
    trace(daemon, "stop")


def mistakes(daemon):
    for words, told in ((["start", "metod=x"], "`metod` is not a field"), (["start", "method=x", "count", "0"], "count"),
                        (["start", "method"], "needs an operator"), (["start", "connection", "method=x"], "`method` is not a field here"),
                        (["start", "packets", ".user=x"], "`.user` is not a field here"), (["stop"], "no trace is running")):
        text = refused(daemon, *words)
        check(told in text, f"trace {words}: {text!r}")


def notes(lab, daemon):
    """Who waits for what cannot come is told so: a name that nothing has, a service that carries bytes."""
    daemon.write("bytes.yaml", service("bytes.test", "240.240.1.8", 6379, "tcp-redis", [(lab.server(1), 6379, {})], name="bytes"))
    daemon.shell("reload")
    for words, told in ((["service=demo"], "there is no service `demo` at this moment"), (["service=bytes.test"], "is opaque TCP"),
                        (["endpoint=198.51.100.11"], "there is no endpoint `198.51.100.11`"), (["packets", "port=p7"], "there is no port `p7`"),
                        (["service=*demoservice", "endpoint=*:20880", "service!=bytes.test"], None), (["service=*"], None)):
        note = json.loads(daemon.shell("--json", "trace", "start", *words))["note"]
        daemon.shell("trace", "stop")
        check(note is None if told is None else told in (note or ""), f"note of {words}: {note}")
    done = subprocess.run([SHELL, "-s", daemon.directory / "admin.sock", "capture", "-", "messages", "service=bytes.test", "seconds", "1"],
                          capture_output=True, timeout=30, check=False)
    check(b"opaque TCP" in done.stderr, f"a capture says {done.stderr}")


def thrift():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.thrift_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()

        def calls():
            return lab.thrift_client("240.240.0.20:9090", method="sayHello", count=10).result()

        # 2 are answered in 10 s, the rest is refused by the limit.
        daemon.shell("trace", "start", "method=sayHello", "status=over_limit", "count", "2")
        calls()
        within(5, lambda: trace(daemon)["kept"] == 2, "two refusals")
        for journey in journeys(daemon):
            equal(journey["filter"]["filter"], "local_ratelimit", "who refused")
            equal(journey["local_reply"]["status"], "over_limit", "why")
            check("endpoint" not in journey, "an endpoint was chosen for a refused call")


def body():
    dubbo()
    thrift()


main(body)
