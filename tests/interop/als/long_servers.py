#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Access logs and spans at real receivers: go-control-plane's Access Log Service, and OpenTelemetry's collector by gRPC and by HTTP. Receivers
that are stopped, die under load, are away for long, or fail cost no call and no line of a file. Each record arrives or is counted as lost,
with the reason. Only for --long: Go downloads and builds both, which takes minutes.
"""

import json
import pathlib
import re
import signal
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from collector import PORTS, settled, sink  # noqa: E402
from meltemi_lab import Lab, Skip, check, equal, main, netns, within  # noqa: E402
from meltemi_lab.access_log import calls, with_logs  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402
from meltemi_lab.paths import INTEROP  # noqa: E402
from meltemi_lab.streams import echo  # noqa: E402

MANY = 12000  # records of twice as many calls do not fit into a queue
FEW = 500
ALS, GRPC, HTTP = PORTS["als"], PORTS["otel"], PORTS["spans-http"]
BY_GRPC, BY_HTTP = f"port: {GRPC}", f"port: {HTTP}, http: {{path: /v1/traces}}"
MESH = """apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    defaultProviders: {{accessLogging: [file, calls, streams, otel], tracing: [spans]}}
    extensionProviders:
    - {{name: file, envoyFileAccessLog: {{path: {path}}}}}
    - {{name: calls, envoyHttpAls: {{service: 127.0.0.1, port: {als}, logName: lab}}}}
    - {{name: streams, envoyTcpAls: {{service: 127.0.0.1, port: {als}}}}}
    - {{name: otel, envoyOtelAls: {{service: 127.0.0.1, port: {grpc}, logFormat: {{labels: {{id: "%STREAM_ID%"}}}}}}}}
    - {{name: spans, opentelemetry: {{service: 127.0.0.1, {spans}}}}}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: mesh, namespace: istio-system}}
spec: {{tracing: [{{randomSamplingPercentage: 100}}]}}
"""
COLLECTOR = f"""receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{GRPC}"}}, http: {{endpoint: "127.0.0.1:{HTTP}"}}}}}}}}
exporters: {{lab: {{records: %s, mode: %s}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [lab]}}
    traces: {{receivers: [otlp], exporters: [lab]}}
"""
# What go-control-plane writes of an entry: time, host, path, no scheme, code, no id of HTTP, cluster.
LINE = re.compile(r"\[lab20\S+\] \S+ /\S+/sayHello  200  outbound\|20880\|\S+")


class Program:
    """A receiver in the namespace of the daemon."""

    def __init__(self, lab, name, port, *args):
        self.lab, self.name, self.port, self.process = lab, name, port, None
        self.argv = [INTEROP / "als" / name, *args]

    def start(self):
        self.process = self.lab.run("mesh", self.name, self.argv)
        within(60, self.listens, f"{self.name} listens", step=0.1)

    def listens(self):
        check(self.process.running(), f"{self.name} has ended: {self.process.tail()}")
        try:
            with netns.inside(self.lab.namespace("mesh")), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def stop(self):
        self.process.kill()
        self.process.popen.wait(30)


class Receivers:
    """Both programs, and the names of the records that they have, by provider."""

    def __init__(self, lab, directory):
        self.entries, self.records, self.mode = (directory / name for name in ("alsd.txt", "otelcol.jsonl", "otelcol.mode"))
        config = directory / "otelcol.yaml"
        config.write_text(COLLECTOR % (self.records, self.mode))
        self.answers("ok")
        self.als = Program(lab, "alsd", ALS, "-port", ALS, "-records", self.entries)
        self.collector = Program(lab, "otelcol", GRPC, f"file:{config}")
        self.both = (self.als, self.collector)
        self.names = {"calls": self.ids, "otel": self.logs, "spans": self.spans}

    def answers(self, mode):
        self.mode.write_text(mode)

    def start(self):
        for program in self.both:
            program.start()

    def stop(self):
        for program in self.both:
            program.stop()

    def lines(self):
        return self.entries.read_text().splitlines() if self.entries.exists() else []

    def ids(self):
        """Connections have none."""
        return {line[3:] for line in self.lines() if line.startswith("id ") and line[3:]}

    def messages(self, kind):
        # The last line may be under way, or a part of it, if the program died.
        rows = self.records.read_text().splitlines(keepends=True) if self.records.exists() else []
        whole = (json.loads(row) for row in rows if row.startswith("{") and row.endswith("}\n"))
        return [of_resource for message in whole for of_resource in message.get(kind, [])]

    def logs(self):
        return {a["value"]["stringValue"] for of_resource in self.messages("resourceLogs") for scope in of_resource["scopeLogs"]
                for record in scope["logRecords"] for a in record["attributes"] if a["key"] == "id"}

    def spans(self):
        return {span["spanId"] for of_resource in self.messages("resourceSpans") for scope in of_resource["scopeSpans"] for span in scope["spans"]}


def built():
    done = subprocess.run([HERE / "build.sh"], text=True, capture_output=True, timeout=1200, check=False)
    if done.returncode:
        raise Skip(f"no receivers: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")


def lines(path):
    return len(path.read_text().splitlines()) if path.exists() else 0


def use(daemon, path, spans):
    daemon.write("mesh.yaml", MESH.format(path=path, als=ALS, grpc=GRPC, spans=spans))


def kept(daemon, receivers, what):
    """Each record is written or lost, and the receiver has all that are written."""
    for name, find in receivers.names.items():
        within(90, lambda name=name: settled(sink(daemon, name)), f"{what}: each record of {name} is written or lost", step=0.5)
        row, found = sink(daemon, name), len(find())
        print(f"{what}: {name}: wanted {row['wanted']}, written {row['written']}, lost {row['lost']}, arrived {found}", flush=True)
        equal(row["state"], "ok", f"{what}: state of {name}")
        check(row["written"] <= found <= row["wanted"], f"{what}: {found} records of {name} have arrived, {row}")


def values(lab, daemon, receivers, log):
    """A record for each call, two spans, and the receivers understand them."""
    calls(lab, FEW)
    kept(daemon, receivers, "values")
    for name, each in (("calls", 1), ("otel", 1), ("spans", 2)):
        row = sink(daemon, name)
        equal((row["wanted"], row["written"], row["lost"]), (each * FEW, each * FEW, 0), f"records of {name}")
    equal(lines(log), FEW, "lines of the file")
    equal(sum(bool(LINE.fullmatch(line)) for line in receivers.lines()), FEW, f"lines of go-control-plane: {receivers.lines()[-1:]}")
    for kind in ("resourceLogs", "resourceSpans"):
        attributes = {a["key"]: a["value"].get("stringValue") for a in receivers.messages(kind)[0]["resource"]["attributes"]}
        equal(attributes["service.name"], "meltemi", f"attributes of {kind}")


def streams(lab, daemon, receivers):
    with lab.listening("server1", 7000, echo), lab.connect("client", "240.240.9.2", 7000) as sock:
        sock.sendall(b"hello")
        equal(sock.recv(5), b"hello", "bytes of a connection")

    def entries():
        return [line for line in receivers.lines() if line.startswith("[tcp_envoy_accesslog") and line.endswith(" outbound|7000||echo.example")]

    within(20, entries, "the entry of a connection", step=0.2)
    equal(len(entries()), 1, "entries of connections")
    equal(sink(daemon, "streams")["lost"], 0, "lost entries of connections")


def stall(lab, daemon, receivers, log):
    """No byte comes from them, and their connections do not close."""
    before = lines(log)
    for program in receivers.both:
        program.process.pause()
    calls(lab, MANY)
    within(5, lambda: lines(log) == before + MANY, "lines of the file while receivers are stopped", step=0.2)
    for name in receivers.names:
        within(40, lambda name=name: sink(daemon, name)["state"] in ("late", "unreachable"), f"state of {name}, which is stopped", step=0.5)
    for program in receivers.both:
        program.process.kill(signal.SIGCONT)
    kept(daemon, receivers, "stopped")


def die(lab, daemon, receivers, log):
    """Under load."""
    before = lines(log)
    client = lab.dubbo_client("240.240.0.10:20880", connections=1, outstanding=16, count=MANY)
    within(20, lambda: lines(log) > before, "calls under way")
    for _ in range(2):
        receivers.stop()
        receivers.start()
    report = client.result()
    equal((report["answered"], report["failed"]), (MANY, 0), "answered and failed")
    kept(daemon, receivers, "killed")


def away(lab, daemon, receivers):
    """For longer than the queues last: the newest records are lost, and counted."""
    receivers.stop()
    calls(lab, MANY)
    for name in receivers.names:
        within(20, lambda name=name: sink(daemon, name)["state"] == "unreachable", f"state of {name}, which is away", step=0.5)
    before = {name: sink(daemon, name)["lost_unreachable"] for name in receivers.names}
    calls(lab, MANY)
    for name, lost in before.items():
        within(10, lambda name=name, lost=lost: sink(daemon, name)["lost_unreachable"] > lost, f"records of {name} are lost", step=0.5)
    receivers.start()
    kept(daemon, receivers, "away")


def fail(lab, daemon, receivers, counts):
    """A failure of the collector that may pass loses nothing. Records of one that stays are lost, and counted. `counts`: records of a call."""
    before = {name: sink(daemon, name) for name in counts}
    receivers.answers("busy")
    calls(lab, 20)
    for name in counts:
        within(20, lambda name=name: sink(daemon, name)["state"] == "unavailable", f"state of {name}, which is busy", step=0.2)
    receivers.answers("ok")
    for name in counts:
        within(60, lambda name=name: settled(sink(daemon, name)), f"records of {name} after it", step=0.5)
        equal(sink(daemon, name)["lost"], before[name]["lost"], f"lost records of {name}")
    receivers.answers("bad")
    calls(lab, 20)
    for name, each in counts.items():
        within(20, lambda name=name: settled(sink(daemon, name)), f"records of {name} that are refused", step=0.5)
        equal(sink(daemon, name)["lost_refused"] - before[name]["lost_refused"], 20 * each, f"refused records of {name}")
    receivers.answers("ok")
    calls(lab, 20)
    for name in counts:
        within(20, lambda name=name: sink(daemon, name)["state"] == "ok", f"state of {name} afterwards", step=0.2)


def by_http(lab, daemon, receivers, log):
    """The same for spans by HTTP."""
    use(daemon, log, BY_HTTP)
    daemon.shell("reload")
    start, had = sink(daemon, "spans"), len(receivers.spans())

    def arrived():
        row = sink(daemon, "spans")
        return len(receivers.spans()) - had, row["written"] - start["written"], row["wanted"] - start["wanted"]

    calls(lab, FEW)
    within(30, lambda: arrived() == (2 * FEW,) * 3, "spans by HTTP", step=0.5)
    fail(lab, daemon, receivers, {"spans": 2})
    for end in (lambda: receivers.collector.process.pause(), receivers.collector.stop):
        end()
        calls(lab, FEW)
        within(40, lambda: sink(daemon, "spans")["state"] in ("late", "unreachable"), "state of a collector that has ended", step=0.5)
        if receivers.collector.process.running():
            receivers.collector.process.kill(signal.SIGCONT)
        else:
            receivers.collector.start()
        within(90, lambda: settled(sink(daemon, "spans")), "each span is written or lost", step=0.5)
        found, written, wanted = arrived()
        check(written <= found <= wanted, f"{found} spans have arrived, {written} of {wanted} are written")


def body():
    built()
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon, logs = with_logs(lab)
        log, receivers = logs / "calls.log", Receivers(lab, daemon.directory)
        daemon.write("echo.yaml", service("echo.example", "240.240.9.2", 7000, "tcp", [(lab.server(1), 7000, {})]))
        use(daemon, log, BY_GRPC)
        daemon.start()
        receivers.start()
        values(lab, daemon, receivers, log)
        stall(lab, daemon, receivers, log)
        die(lab, daemon, receivers, log)
        away(lab, daemon, receivers)
        fail(lab, daemon, receivers, {"otel": 1, "spans": 2})
        by_http(lab, daemon, receivers, log)
        streams(lab, daemon, receivers)
        daemon.stop()


main(body)
