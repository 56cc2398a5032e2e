#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Metrics at a collector that speaks OpenTelemetry's own messages: the same names, labels and numbers as /metrics, cumulative since the
start, in requests of bounded size. A collector that is away, busy, slow, talks garbage or rejects disturbs no call, is counted and
told in the log, and gets the sums when it is well again. In plaintext, then by TLS.
"""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "smoke"), str(HERE.parent / "xds")]

import environment  # noqa: E402
from meltemi_lab import TESTS, Lab, check, equal, main, netns, within  # noqa: E402

HOST = "org.apache.dubbo.samples.basic.api.demoservice"
PORT = 4317


class Receiver:
    def __init__(self, daemon, python, tls=()):
        self.daemon, self.python, self.tls = daemon, python, tls
        self.requests, self.mode = daemon.directory / "requests.jsonl", daemon.directory / "mode"
        self.requests.touch()
        self.server = None
        self.answers("ok")

    def answers(self, mode):
        self.mode.write_text(mode)

    def start(self):
        with netns.inside(self.daemon.namespace):
            self.server = subprocess.Popen([self.python, HERE / "receiver.py", str(PORT), self.requests, self.mode, *self.tls],
                                           stdout=subprocess.PIPE, text=True)
        check(self.server.stdout.readline().startswith("ready"), "the receiver does not start")

    def stop(self):
        self.server.kill()
        self.server.wait(30)

    def calls(self):
        # The last line may be under way.
        return [json.loads(line) for line in self.requests.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def rows(self):
        """Those that were taken."""
        return [row for row in self.calls() if "request" in row]

    def newest(self):
        """{series as in /metrics: value} of all requests, later ones over earlier ones."""
        out = {}
        for row in self.rows():
            for metric, point in points(row):
                labels = ",".join(f'{a["key"]}="{a["value"].get("stringValue", "")}"' for a in point.get("attributes", []))
                out[(metric["name"], labels)] = point
        return out


def points(row):
    for of_resource in row["request"]["resourceMetrics"]:
        for of_scope in of_resource["scopeMetrics"]:
            for metric in of_scope["metrics"]:
                kind = next(metric[k] for k in ("gauge", "sum", "histogram") if k in metric)
                for point in kind["dataPoints"]:
                    yield metric, point


def count(daemon, name):
    return int(re.search(rf"^meltemi_otlp_{name}_total (\d+)$", daemon.http("/metrics")[1], re.M).group(1))


def calls(lab, n=300):
    report = lab.dubbo_client("240.240.0.10:20880", count=n, outstanding=4).result()
    equal((report["answered"], report["failed"]), (n, 0), f"calls {report['errors']}")


def same_numbers(lab, daemon, receiver):
    calls(lab)
    text = daemon.http("/metrics")[1]
    wanted = dict(re.findall(r"^((?:istio_requests_total|istio_request_bytes_count|meltemi_service_\w+?_total)(?:\{.*\})) (\d+)$",
                             text, re.M))
    check(len(wanted) >= 5, f"too few series to compare: {sorted(wanted)}")

    def there():
        have = receiver.newest()
        for series, value in wanted.items():
            name, labels = series.rstrip("}").split("{", 1)
            point = have.get((name.removesuffix("_count"), labels), {})
            if point.get("count" if name.endswith("_count") else "asInt") != value:
                return False
        return True

    within(15, there, "the collector has what /metrics shows", step=0.3)
    load = re.findall(r"^(meltemi_(?:worker_busy_ratio|table_used_ratio|packets_dropped_total))\{(.*)\} ", text, re.M)
    check(len({name for name, _ in load}) == 3, f"families of load in /metrics: {load}")
    equal([series for series in load if series not in receiver.newest()], [], "series of load that the collector lacks")


def histograms(daemon, receiver):
    """Buckets are those of /metrics, where they are cumulative."""
    text = daemon.http("/metrics")[1]
    for (name, labels), point in receiver.newest().items():
        if name != "istio_request_duration_milliseconds" or HOST not in labels:
            continue
        sums = [int(v) for v in re.findall(rf'^{name}_bucket\{{{re.escape(labels)},le=".*?"\}} (\d+)$', text, re.M)]
        counts = [int(n) for n in point["bucketCounts"]]
        equal([sum(counts[:i + 1]) for i in range(len(counts))], sums, "buckets")
        equal(len(point["explicitBounds"]) + 1, len(counts), "bounds")
        check(float(point["sum"]) > 0, "no sum")
        return
    check(False, "there is no histogram of latency")


def shape(receiver, node):
    rows = receiver.rows()
    check(all(row["all_known"] for row in rows), "fields that OpenTelemetry does not know")
    check(max(row["bytes"] for row in rows) < 256 * 1024, "a request is too large")
    equal(rows[-1]["metadata"].get("x-tenant"), "lab", "header")
    resource = {a["key"]: a["value"]["stringValue"] for a in rows[-1]["request"]["resourceMetrics"][0]["resource"]["attributes"]}
    equal({k: resource.get(k) for k in ("service.name", "service.instance.id", "deployment.environment", "host.name")},
          {"service.name": "edge", "service.instance.id": node, "deployment.environment": "lab", "host.name": socket.gethostname()},
          "resource")
    for metric, point in (p for row in rows for p in points(row)):
        check(metric.get("description"), f"{metric['name']} has no description")
        check(int(point["timeUnixNano"]) > 0, f"{metric['name']} has no time")
        if "gauge" not in metric:
            kind = metric.get("sum") or metric["histogram"]
            equal(kind["aggregationTemporality"], "AGGREGATION_TEMPORALITY_CUMULATIVE", metric["name"])
            check(0 < int(point["startTimeUnixNano"]) <= int(point["timeUnixNano"]), f"start of {metric['name']}")
    starts = {p.get("startTimeUnixNano") for row in rows for m, p in points(row) if "gauge" not in m}
    equal(len(starts), 1, "different starts")
    units = {m["name"]: m.get("unit") for row in rows for m, _ in points(row)}
    equal((units["istio_request_duration_milliseconds"], units["istio_request_bytes"], units["istio_requests_total"], units["meltemi_worker_busy_ratio"]),
          ("ms", "By", "{requests}", "1"), "units")


def fault(lab, daemon, receiver, mode, counter, log):
    """The collector answers so: it is counted, told, and calls go on; then it is well again, which is told."""
    def told_well():
        return daemon.process.errors().count("metrics are exported again")

    before, well = count(daemon, counter), told_well()
    receiver.answers(mode)
    within(15, lambda: count(daemon, counter) > before, f"{mode} is counted as {counter}", step=0.3)
    daemon.wait_log(log)
    calls(lab, 50)
    receiver.answers("ok")
    within(15, lambda: told_well() > well, f"exports go on after {mode}", step=0.3)


def throttle(daemon, receiver, status, seconds):
    """The collector says when it wants to hear more: nothing comes before, though an export is due each second; then all goes on."""
    before, refused = count(daemon, "retries"), count(daemon, "refused")
    receiver.answers(f"throttle {status} {seconds}")
    within(15, lambda: count(daemon, "retries") > before, f"{status} that says when is tried again", step=0.2)
    receiver.answers("ok")
    taken = len(receiver.rows())
    within(15, lambda: len(receiver.rows()) > taken, f"exports go on after {seconds} s", step=0.2)
    calls_ = receiver.calls()
    last = max(i for i, row in enumerate(calls_) if "throttled" in row)
    check(last + 1 < len(calls_), "no call after the one that was throttled")
    gap = calls_[last + 1]["at"] - calls_[last]["at"]
    check(gap >= seconds - 0.05, f"the next call came after {gap:.2f} s; {status} said {seconds}")
    equal(count(daemon, "refused"), refused, f"refused for good after {status} that says when")


def faults(lab, daemon, receiver):
    fault(lab, daemon, receiver, "status UNAVAILABLE", "retries", "gRPC status 14, as the test wants")
    fault(lab, daemon, receiver, "status INVALID_ARGUMENT", "refused", "gRPC status 3, as the test wants")
    fault(lab, daemon, receiver, "garbage", "bad_answer", "it is not OTLP")
    fault(lab, daemon, receiver, "slow", "late", "does not answer")
    fault(lab, daemon, receiver, "partial", "points_rejected", "five of them are not wanted")
    receiver.answers("remark")
    daemon.wait_log("all points are taken, but: names are rather long")
    receiver.answers("ok")
    fault(lab, daemon, receiver, "status RESOURCE_EXHAUSTED", "refused", "gRPC status 8, as the test wants")
    throttle(daemon, receiver, "RESOURCE_EXHAUSTED", 2)
    throttle(daemon, receiver, "UNAVAILABLE", 3)
    receiver.stop()
    before = count(daemon, "unreachable")
    within(15, lambda: count(daemon, "unreachable") > before, "a collector that is away is counted", step=0.3)
    calls(lab, 50)
    errors = daemon.shell("show", "errors")
    check("unreachable" in errors and "collector" in errors, f"show errors does not name it:\n{errors}")
    receiver.start()
    same_numbers(lab, daemon, receiver)


def node_with(daemon, settings):
    text = re.sub(r"\n  otlp: .*", "", daemon.node.read_text())
    daemon.node.write_text(text.rstrip() + f"\n  otlp: {settings}\n")


def certificate(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=collector", "-addext", "subjectAltName=DNS:collector.example", "-keyout", directory / "key.pem", "-out",
                    directory / "cert.pem"], check=True, capture_output=True)
    return directory / "cert.pem", directory / "key.pem"


def body():
    python = environment.otlp()
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks")
        receiver = Receiver(daemon, python)
        node_with(daemon, f"{{endpoint: 'http://127.0.0.1:{PORT}', interval: 1s, timeout: 500ms, headers: {{x-tenant: lab}}, "
                          "resource: {service.name: edge, deployment.environment: lab}}")
        daemon.start()
        receiver.start()
        try:
            same_numbers(lab, daemon, receiver)
            histograms(daemon, receiver)
            shape(receiver, lab.id)
            faults(lab, daemon, receiver)
            daemon.stop()
        finally:
            receiver.stop()
        by_tls(lab, daemon, python)


def by_tls(lab, daemon, python):
    check(shutil.which("openssl"), "openssl is missing")
    cert, key = certificate(daemon.directory)
    receiver = Receiver(daemon, python, (cert, key))
    receiver.requests.write_text("")
    node_with(daemon, f"{{endpoint: 'https://127.0.0.1:{PORT}', interval: 1s, roots: {cert}, serverName: collector.example}}")
    receiver.start()
    try:
        daemon.start()
        same_numbers(lab, daemon, receiver)
        daemon.stop()
        node_with(daemon, f"{{endpoint: 'https://127.0.0.1:{PORT}', interval: 1s, roots: {cert}, serverName: other.example}}")
        receiver.requests.write_text("")
        daemon.start()
        within(15, lambda: count(daemon, "unreachable") > 0, "another name in the certificate is refused", step=0.3)
        equal(receiver.rows(), [], "requests to a collector that is not the one")
    finally:
        receiver.stop()


main(body)
