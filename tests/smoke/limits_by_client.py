#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A TrafficPolicy: each user and each client address has a bucket of its own, exactly over two workers and a reload; what is over it gets
the protocol's error and reaches no server. A report-only rule refuses nothing. `show limits top` names the users that are refused.
"""

from meltemi_lab import Lab, equal, main

HOST, VIP = "com.clinic.visits", "240.240.1.1"
USER, CLIENT = 20, 50

SERVICE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: visits, namespace: clinic}
spec:
  hosts: [%s]
  addresses: [%s]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]
  endpoints: [{address: 198.51.100.11}]
""" % (HOST, VIP)
POLICY = """apiVersion: meltemi.io/v1
kind: TrafficPolicy
metadata: {name: clients, namespace: clinic}
spec:
  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: visits}]
  rateLimit:
    local:
      rules:
      - {limit: {requests: %d, unit: Day}, clientSelectors: [{headers: [{name: user, type: Distinct}]}]%s}
      - {limit: {requests: %d, unit: Day}, clientSelectors: [{sourceCIDR: {value: 0.0.0.0/0, type: Distinct}}]}
"""


def calls(lab, user=None, count=30):
    report = lab.dubbo_client(f"{VIP}:20880", count=count, outstanding=2, rate=500, **({"attach": f"user={user}"} if user else {})).result()
    equal(report["answered"] + report["failed"], count, "calls that came to an end")
    if report["failed"]:
        equal(set(report["error_samples"]), {"meltemi: over limit"}, "words of calls that are over the limit")
    return report["answered"]


def rows(daemon):
    return {row["rule"]: (row["by"], row["admitted"], row["refused"], row["would_refuse"]) for row in daemon.show("limits")["by_key"]}


def put(daemon, mode=""):
    daemon.write("policy.yaml", POLICY % (USER, mode, CLIENT))
    daemon.shell("reload")
    equal([row["status"] for row in daemon.show("objects")["objects"] if row["kind"] == "TrafficPolicy"], ["in-force"], "status of the policy")


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.write("services.yaml", SERVICE)
        daemon.start()
        equal(calls(lab, "ann"), 30, "calls without a limit")
        put(daemon)
        equal(calls(lab, "ann"), USER, "calls of a user")
        put(daemon)
        equal(calls(lab, "ann"), 0, "calls of the same user after a reload")
        equal(calls(lab, "bob"), USER, "calls of another user")
        equal(calls(lab), CLIENT - 2 * USER, "calls without a user, that the address has left")
        each, client = (f"clinic/clients rules[{i}] of {HOST}" for i in (0, 1))
        equal(rows(daemon), {each: ("metadata user", 2 * USER, 50, 0), client: ("address", CLIENT, 20, 0)}, "rules that are shown")
        shown = daemon.shell("show", "limits", HOST)
        equal([name in shown for name in (each, client)], [True, True], f"rules of the service in text: {shown}")
        equal(daemon.show("limits com.other")["by_key"], [], "rules of another service")
        top = daemon.show("limits top")
        equal({(row["rule"], row["key"]) for row in top["top"]}, {(each, "ann"), (each, "bob"), (client, "192.0.2.2")}, "keys that are refused")
        told = daemon.shell("explain", "protocol=dubbo", f"service={HOST}", "method=sayHello", "src=192.0.2.2")
        equal(f"{client}: 0 of {CLIENT} tokens are there" in told, True, f"explain: {told}")
        equal(daemon.show("coverage")["coverage"][0]["limits"], "clients", "coverage")
        equal(daemon.counters()["filter_rate_limited"], 70, "refused calls that are counted")
        # All users have the address's limit together, which is used up.
        put(daemon, ", shadowMode: true")
        equal(calls(lab, "cat"), 0, "calls of a third user")
        equal(rows(daemon), {each: ("metadata user", 3 * USER, 0, 60), client: ("address", CLIENT, 50, 0)}, "a rule that only reports")


main(body)
