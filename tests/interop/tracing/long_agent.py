#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Dubbo clients and servers with OpenTelemetry's Java agent on both sides of a node. Each call is one trace without a gap: the client's span,
the node's of the call, the node's of the attempt, the server's. So it is for contexts of W3C and for both forms of B3, and for both Dubbos.
Only for --long: the agent is downloaded, and Java is slow to start with it.
"""

import base64
import collections
import os
import pathlib
import subprocess
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "smoke"), str(HERE.parent / "xds"), str(HERE.parent / "als")]

import environment  # noqa: E402
from collector import PORTS, Receiver  # noqa: E402
from meltemi_lab import TESTS, Lab, Skip, equal, main, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

AGENT = ("io.opentelemetry.javaagent", "opentelemetry-javaagent", "2.10.0")
VERSIONS, PROPAGATORS = ("2.7.23", "3.2.16"), ("tracecontext", "b3multi", "b3")
VIP, CALLS = "240.240.1.1", 40
CHAIN = ("client CLIENT", "node SERVER", "node CLIENT", "server SERVER")
MESH = f"""apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    defaultProviders: {{tracing: [spans]}}
    extensionProviders:
    - {{name: spans, opentelemetry: {{service: 127.0.0.1, port: {PORTS["spans"]}}}}}
"""


def agent():
    """The agent's file, in the user's cache."""
    group, name, version = AGENT
    place = environment.CACHE / name
    jar = place / f"{name}-{version}.jar"
    if not jar.exists():
        done = subprocess.run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={':'.join(AGENT)}", f"-DoutputDirectory={place}"],
                              text=True, capture_output=True, timeout=600, check=False)
        if done.returncode or not jar.exists():
            raise Skip(f"no {group}:{name}: {((done.stdout + done.stderr).strip().splitlines() or ['mvn failed'])[-1]}")
    return jar


def built(version):
    done = subprocess.run([TESTS / "interop/dubbo/build.sh", version], text=True, capture_output=True, timeout=900, check=False)
    if done.returncode:
        raise Skip(f"no Dubbo {version} peers: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")


class Host:
    """A namespace with a collector, to which programs of Java there send their spans."""

    def __init__(self, lab, role):
        self.lab, self.role, self.name = lab, role, role.rstrip("0123456789")
        place = types.SimpleNamespace(directory=lab.directory / f"spans-{role}", namespace=lab.namespace(role))
        place.directory.mkdir()
        self.receiver = Receiver(place, environment.otlp(), "spans")
        self.receiver.start()

    def java(self, jar, propagators, version, program, *args):
        env = {**os.environ, "JAVA_TOOL_OPTIONS": f"-javaagent:{jar}", "OTEL_SERVICE_NAME": self.name, "OTEL_PROPAGATORS": propagators,
               "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{PORTS['spans']}",
               "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "200"}
        return self.lab.run(self.role, f"{program}-{version}-{propagators}", [TESTS / "interop/dubbo/peer.sh", version, program, *args], env=env)


def digits(text):
    return base64.b64decode(text).hex()


def traces(receivers):
    """{trace: [(owner and kind, span, parent)]} of all that arrived."""
    found = collections.defaultdict(list)
    for owner, receiver in receivers.items():
        for message in receiver.messages():
            for span in (s for resource in message["resourceSpans"] for scope in resource["scopeSpans"] for s in scope["spans"]):
                found[digits(span["traceId"])].append((f"{owner} {span['kind'].removeprefix('SPAN_KIND_')}", digits(span["spanId"]),
                                                       digits(span.get("parentSpanId", ""))))
    return found


def chain(spans):
    """Owners and kinds from the root to the leaf; (): the spans are not one chain."""
    by_parent = collections.defaultdict(list)
    for what, span, parent in spans:
        by_parent[parent].append((what, span))
    out, parent = [], ""
    while len(found := by_parent.pop(parent, [])) == 1:
        out.append(found[0][0])
        parent = found[0][1]
    return () if by_parent or found else tuple(out)


def calls(jar, client, server, receivers, version, propagators):
    known = set(traces(receivers))
    provider = server.java(jar, propagators, version, "Provider", "--tag", "v1", "--id", "s1")
    provider.wait_line('"ready"', 60)
    report = client.java(jar, propagators, version, "Consumer", "--target", f"{VIP}:20880", "--scenario", "load", "--count", CALLS,
                         "--concurrency", 4, "--timeout", 30000).result(120)
    equal((report["answered"], report["failed"]), (CALLS, 0), "calls")
    seen = collections.Counter()

    def whole():
        seen.clear()
        seen.update(chain(spans) for trace, spans in traces(receivers).items() if trace not in known)
        return seen[CHAIN] >= CALLS

    try:
        within(30, whole, f"a whole trace of each call, Dubbo {version}, {propagators}", step=0.5)
    finally:
        print(f"Dubbo {version}, {propagators}: {dict(seen)}", flush=True)
    equal(set(seen), {CHAIN}, "forms of traces")
    provider.kill()


def body():
    jar = agent()
    for version in VERSIONS:
        built(version)
    with Lab(servers=1) as lab:
        daemon = lab.meltemi(workers=2)
        daemon.write("mesh.yaml", MESH)
        daemon.write("dubbo.yaml", service("dubbo.interop", VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        node = Receiver(daemon, environment.otlp(), "spans")
        daemon.start()
        node.start()
        hosts = client, server = Host(lab, "client"), Host(lab, "server1")
        receivers = {"client": client.receiver, "node": node, "server": server.receiver}
        try:
            for version in VERSIONS:
                for propagators in PROPAGATORS:
                    calls(jar, client, server, receivers, version, propagators)
        finally:
            for receiver in (node, *(host.receiver for host in hosts)):
                receiver.stop()


main(body)
