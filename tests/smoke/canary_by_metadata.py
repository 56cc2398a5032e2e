#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A route chosen by a metadata value that the call carries: one user's calls go to the canary, all others stay."""

import json

from meltemi_lab import Lab, check, equal, main
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


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo",
                                             [(lab.server(n), 20880, {"version": f"v{n}"}) for n in (1, 2)]))
        daemon.write("subsets.yaml", subsets(HOST, ["v1", "v2"]))
        daemon.write("canary.yaml", CANARY)
        daemon.start()
        for user, expected in (("Jason", "v2/s2"), ("Jasmin", "v1/s1"), ("jason", "v1/s1"), ("", "v1/s1")):
            report = lab.dubbo_client(f"{VIP}:20880", attach=f"user={user}", count=200, outstanding=4).result()
            print(f"user {user!r}: {report['by_server']}", flush=True)
            equal(report["by_server"], {expected: 200}, f"servers of user {user!r}")
        routes = {r["route"]: r["hits"] for r in json.loads(daemon.shell("--json", "show", "routes"))["routes"]}
        equal(routes, {"canary": 200, "default": 600}, "hits of routes")
        daemon.write("canary.yaml", CANARY.replace("exact: Jason", "exact: Jasmin"))
        daemon.shell("reload")
        lab.dubbo_client(f"{VIP}:20880", attach="user=Jasmin", count=100, outstanding=4).result()
        routes = {r["route"]: r["hits"] for r in json.loads(daemon.shell("--json", "show", "routes"))["routes"]}
        equal(routes, {"canary": 100, "default": 600}, "hits of routes: another match is another route")
        for what in ("services", "endpoints"):
            for row in json.loads(daemon.shell("--json", "show", what))[what]:
                if row.get("requests"):
                    took = [row[f"p{p}_us"] for p in (50, 90, 99, 999)]
                    check(0 < took[0] and took == sorted(took), f"latency of {row}")


main(body)
