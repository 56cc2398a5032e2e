#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A team's own VirtualService routes its part of a host's calls: the root delegates by metadata, the team's file changes alone."""

import json

from meltemi_lab import Lab, equal, main
from meltemi_lab.documents import service, subsets

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
ROOT = f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: root}}
spec:
  hosts: [{HOST}]
  http:
  - {{match: [{{headers: {{team: {{prefix: "north"}}}}}}], delegate: {{name: north, namespace: teams}}}}
  - {{match: [{{headers: {{team: {{exact: nobody}}}}}}], delegate: {{name: gone}}}}
  - {{name: rest, route: [{{destination: {{host: {HOST}, subset: v1}}}}]}}
"""
TEAM = f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: north, namespace: teams}}
spec:
  http:
  - {{name: early, match: [{{headers: {{team: {{exact: north-1}}}}}}], route: [{{destination: {{host: {HOST}, subset: v2}}}}]}}
  - {{name: north, route: [{{destination: {{host: {HOST}, subset: v1}}}}]}}
"""


def answered(lab, attach, expected):
    report = lab.dubbo_client(f"{VIP}:20880", attach=attach, count=200, outstanding=4).result()
    print(f"{attach}: {report['by_server']}", flush=True)
    equal(report["by_server"], {expected: 200}, f"servers of {attach}")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo",
                                             [(lab.server(n), 20880, {"version": f"v{n}"}) for n in (1, 2)]))
        daemon.write("subsets.yaml", subsets(HOST, ["v1", "v2"]))
        daemon.write("root.yaml", ROOT)
        daemon.write("team.yaml", TEAM)
        daemon.start()
        answered(lab, "team=north-1", "v2/s2")
        answered(lab, "team=north-2", "v1/s1")
        answered(lab, "team=south", "v1/s1")
        answered(lab, "team=nobody", "v1/s1")
        routes = {r["route"]: r["hits"] for r in json.loads(daemon.shell("--json", "show", "routes"))["routes"]}
        equal(routes, {"early": 200, "north": 200, "rest": 400}, "hits of routes")
        daemon.write("team.yaml", TEAM.replace("subset: v1", "subset: v2"))
        daemon.shell("reload")
        answered(lab, "team=north-2", "v2/s2")
        answered(lab, "team=south", "v1/s1")
        found = {(o["kind"], o["name"]): o for o in json.loads(daemon.shell("--json", "show", "objects"))["objects"]}
        equal(found["VirtualService", "north"]["touches"], [HOST], "what the delegate touches")
        equal(found["VirtualService", "root"]["status"], "in-force-with-notes", "the root: one of its delegates is nowhere")


main(body)
