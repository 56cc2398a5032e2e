# SPDX-License-Identifier: Apache-2.0
"""Traces of calls through a node: spans of the node and of Java programs that OpenTelemetry's agent or Brave instruments, as trees."""

import base64
import collections
import json
import os
import pathlib
import subprocess
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "smoke"), str(HERE.parent / "xds"), str(HERE.parent / "als"), str(HERE.parent / "retries")]

import environment  # noqa: E402
from collector import PORTS, Receiver  # noqa: E402
from meltemi_lab import TESTS, Skip, equal  # noqa: E402
from meltemi_lab.paths import INTEROP  # noqa: E402

# A balancer that gives each server its turn, also one whose calls time out.
PATIENT = "simple: ROUND_ROBIN\n    outlierDetection: {consecutive5xxErrors: 1000}"
AGENT = ("io.opentelemetry.javaagent", "opentelemetry-javaagent", "2.10.0")
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


def built(script, *words):
    done = subprocess.run([TESTS / "interop" / script, *words], text=True, capture_output=True, timeout=900, check=False)
    if done.returncode:
        raise Skip(f"{script} {' '.join(words)}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")


class Host:
    """A namespace with a collector, for Java programs there whose spans belong to `owner`."""

    def __init__(self, lab, role, owner):
        self.lab, self.role, self.owner = lab, role, owner
        place = types.SimpleNamespace(directory=lab.directory / f"spans-{role}", namespace=lab.namespace(role))
        place.directory.mkdir()
        self.receiver, self.file = Receiver(place, environment.otlp(), "spans"), place.directory / "brave.jsonl"
        self.file.touch()
        self.receiver.start()

    def stop(self):
        self.receiver.stop()

    def by_agent(self, jar, propagators, version, program, *args, **options):
        env = {**os.environ, "JAVA_TOOL_OPTIONS": f"-javaagent:{jar}", "OTEL_SERVICE_NAME": self.owner, "OTEL_PROPAGATORS": propagators,
               "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{PORTS['spans']}",
               "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "200"}
        return self.lab.run(self.role, f"{program}-{version}-{propagators}", [TESTS / "interop/dubbo/peer.sh", version, program, *args], env=env,
                            **options)

    def by_brave(self, version, program, *args, **options):
        out = INTEROP / "brave"
        env = {**os.environ, "MORE_CLASSES": f"{out}/classes:{out}/lib/*", "BRAVE_NAME": self.owner, "BRAVE_SPANS": str(self.file)}
        return self.lab.run(self.role, f"{program}-{version}-brave", [TESTS / "interop/dubbo/peer.sh", version, "Braved", program, *args], env=env,
                            **options)

    def spans(self):
        yield from spans_of(self.owner, self.receiver)
        # A line may be under way.
        for line in self.file.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield self._of_brave(json.loads(line))

    def _of_brave(self, span):
        """By B3 a server may share the span of its client: then it is a child here, with an id of its own."""
        ident, parent = (span["id"] + "-shared", span["id"]) if span["shared"] else (span["id"], span["parent"])
        return span["trace"].zfill(32), (f"{self.owner} {span['kind']}", ident, parent)


# A client that goes on after its calls, because the agent sends spans later.
SESSION = ("Consumer", "--scenario", "session", "--timeout", 60000, "--target")


def play(client, count):
    """Calls of a session. Returns their number, with the one that the session has made before."""
    client.wait_line('"ready"', 60)
    client.ask(f"--scenario load --count {count} --concurrency 4")
    report = client.answer(180)
    equal((report["answered"], report["failed"]), (count, 0), "calls")
    return count + 1


def digits(text):
    return base64.b64decode(text).hex()


def spans_of(owner, receiver):
    """(trace, (owner and kind, span, parent)) of all that arrived there."""
    for message in receiver.messages():
        for span in (s for resource in message["resourceSpans"] for scope in resource["scopeSpans"] for s in scope["spans"]):
            yield digits(span["traceId"]), (f"{owner} {span['kind'].removeprefix('SPAN_KIND_')}", digits(span["spanId"]),
                                            digits(span.get("parentSpanId", "")))


def traces(*spans):
    """{trace: its spans} of iterables of spans. A span that was sent twice is there once."""
    found = collections.defaultdict(set)
    for of_one in spans:
        for trace, span in of_one:
            found[trace].add(span)
    return found


def tree(spans):
    """The one tree of these spans: owner and kind of the root, and the trees below it. (): they are not one tree."""
    by_parent = collections.defaultdict(list)
    for what, span, parent in spans:
        by_parent[parent].append((what, span))

    def below(what, span):
        return what, tuple(sorted(below(*child) for child in by_parent.pop(span, [])))

    roots = by_parent.pop("", [])
    found = below(*roots[0]) if len(roots) == 1 else ()
    return () if by_parent else found


def call(attempts):
    """The tree of a call with so many attempts, each of which has reached a server."""
    return "client CLIENT", (("node SERVER", (("node CLIENT", (("server SERVER", ()),)),) * attempts),)
