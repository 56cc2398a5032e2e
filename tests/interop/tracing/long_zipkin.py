#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Spans at a real Zipkin: each call is a trace of two spans, calls of a client's trace are in that one, and all are there after Zipkin was away
for a while. Only for --long: Zipkin is downloaded.
"""

import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "smoke"), str(HERE.parent / "xds"), str(HERE.parent / "als")]

import environment  # noqa: E402
from collector import settled, sink  # noqa: E402
from meltemi_lab import TESTS, Lab, Skip, check, equal, main, netns, within  # noqa: E402
from meltemi_lab.access_log import calls  # noqa: E402

GROUP, NAME, VERSION, KIND = "io.zipkin", "zipkin-server", "3.4.4", "slim"
PORT, CALLS = 9411, 200
TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
MESH = f"""apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    defaultProviders: {{tracing: [zipkin]}}
    extensionProviders:
    - {{name: zipkin, zipkin: {{service: 127.0.0.1, port: {PORT}}}}}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: mesh, namespace: istio-system}}
spec: {{tracing: [{{randomSamplingPercentage: 100}}]}}
"""


def program():
    place = environment.CACHE / NAME
    jar = place / f"{NAME}-{VERSION}-{KIND}.jar"
    if not jar.exists():
        done = subprocess.run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={GROUP}:{NAME}:{VERSION}:jar:{KIND}", f"-DoutputDirectory={place}"],
                              text=True, capture_output=True, timeout=600, check=False)
        if done.returncode or not jar.exists():
            raise Skip(f"no {NAME}: {((done.stdout + done.stderr).strip().splitlines() or ['mvn failed'])[-1]}")
    return jar


class Zipkin:
    """In the namespace of the daemon; it keeps spans in its memory."""

    def __init__(self, daemon, jar):
        self.daemon, self.jar, self.process = daemon, jar, None

    def start(self):
        with netns.inside(self.daemon.namespace), open(self.daemon.directory / "zipkin.log", "ab") as log:
            self.process = subprocess.Popen(["java", "-Xmx256m", "-jar", self.jar], env={**os.environ, "QUERY_PORT": str(PORT)}, stdout=log,
                                            stderr=log)
        within(60, self.is_up, "Zipkin is up", step=0.5)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(30)

    def get(self, path):
        with netns.inside(self.daemon.namespace):
            sock = socket.create_connection(("127.0.0.1", PORT), 10)
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = sock
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def is_up(self):
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    def traces(self):
        status, text = self.get("/api/v2/traces?limit=10000&lookback=3600000")
        equal(status, 200, "status of all traces")
        return json.loads(text)

    def trace(self, trace):
        status, text = self.get(f"/api/v2/trace/{trace}")
        return json.loads(text) if status == 200 else []


def is_pair(spans):
    """The span of a call, and that of its attempt."""
    root = [span for span in spans if "parentId" not in span]
    return (len(spans) == 2 and len(root) == 1 and root[0]["kind"] == "SERVER" and root[0]["tags"]["response_code"] == "200"
            and {(span["kind"], span["parentId"]) for span in spans if span not in root} == {("CLIENT", root[0]["id"])})


def drawn(lab, zipkin):
    calls(lab, CALLS)
    within(20, lambda: len(zipkin.traces()) == CALLS, "a trace of each call", step=0.5)
    odd = [spans for spans in zipkin.traces() if not is_pair(spans)]
    check(not odd, f"{len(odd)} odd traces: {odd[:1]}")
    check("meltemi" in json.loads(zipkin.get("/api/v2/services")[1]), "the service of the node")


def joined(lab, zipkin):
    report = lab.dubbo_client("240.240.0.10:20880", count=5, outstanding=1, attach=f"traceparent=00-{TRACE}-{SENDER}-01").result()
    equal(report["answered"], 5, "calls of a trace")
    within(20, lambda: len(zipkin.trace(TRACE)) == 10, "the spans of the client's trace", step=0.5)
    kinds = sorted((span["kind"], span["parentId"] == SENDER) for span in zipkin.trace(TRACE))
    equal(kinds, [("CLIENT", False)] * 5 + [("SERVER", True)] * 5, "kinds, and which have the client's span as their parent")


def away(lab, daemon, zipkin):
    zipkin.stop()
    calls(lab, CALLS)
    within(20, lambda: sink(daemon, "zipkin")["state"] == "unreachable", "a Zipkin that is away", step=0.5)
    zipkin.start()
    within(90, lambda: settled(sink(daemon, "zipkin")), "all spans are sent", step=0.5)
    equal(sink(daemon, "zipkin")["lost"], 0, "lost spans")
    within(20, lambda: len(zipkin.traces()) == CALLS, "a trace of each call", step=0.5)


def body():
    jar = program()
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks", workers=2)
        daemon.write("mesh.yaml", MESH)
        daemon.start()
        zipkin = Zipkin(daemon, jar)
        try:
            zipkin.start()
            drawn(lab, zipkin)
            joined(lab, zipkin)
            away(lab, daemon, zipkin)
        finally:
            zipkin.stop()


main(body)
