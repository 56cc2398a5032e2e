#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes the daemon: the target is up, both formats are sound, every expression of the dashboard and every
recording rule answers under load, and what it counted is what clients were answered."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse

from meltemi_lab import TESTS, Lab, Skip, check, equal, main, netns, within

PROMETHEUS = TESTS.parent / "docs/operations/prometheus"
ACCEPT = "application/openmetrics-text; version=1.0.0"


def get(daemon, port, path, **headers):
    with netns.inside(daemon.namespace):
        sock = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection = http.client.HTTPConnection("127.0.0.1")
    connection.sock = sock
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


def query(daemon, expression):
    status, _, body = get(daemon, 9797, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
    equal(status, 200, f"status of {expression}: {body}")
    return json.loads(body)["data"]["result"]


def lint(text):
    """promtool's own judgement. Istio's names are Istio's: its unit is no base unit."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    words = [line for line in (done.stdout + done.stderr).splitlines()
             if line and not line.startswith("istio_request_duration_milliseconds ")]
    equal(words, [], "what promtool says of the metrics")


def formats(daemon):
    status, kind, text = get(daemon, 15000, "/metrics")
    equal((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"), "answer to /metrics")
    lint(text)
    status, kind, opened = get(daemon, 15000, "/stats/prometheus", Accept=ACCEPT)
    equal((status, kind), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"), "answer in OpenMetrics")
    check(opened.endswith("\n# EOF\n"), "OpenMetrics does not end with # EOF")
    series = [re.findall(r"^([a-z_]+(?:\{.*?\})?) \S+$", t, re.M) for t in (text, opened)]
    equal(series[0], series[1], "series of both formats")
    equal(len(series[0]), len(set(series[0])), "series, each once")


def labels_of_the_node(daemon):
    """Istio's labels of the source are what the Node says of itself."""
    found = query(daemon, "istio_requests_total")[0]["metric"]
    wanted = {"source_workload": daemon.lab.id, "source_workload_namespace": "shop", "source_app": "gate", "source_version": "v7",
              "source_canonical_service": "gate-canonical", "source_canonical_revision": "v7", "source_cluster": "unknown"}
    equal({name: found.get(name) for name in wanted}, wanted, "labels of the source")


def dashboard(daemon):
    page = json.loads((PROMETHEUS / "dashboard.json").read_text())
    for panel in page["panels"]:
        for member in ("id", "type", "title", "gridPos", "datasource", "fieldConfig", "targets"):
            check(member in panel, f"panel {panel.get('title')} has no {member}")
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$service", ".*")


def body():
    if not shutil.which("prometheus"):
        raise Skip("prometheus is missing (tests/packages)")
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks", workers=2)
        daemon.node.write_text(daemon.node.read_text().replace(
            "labels: {zone: lab}", "namespace: shop, labels: {zone: lab, app: gate, version: v7, "
                                   "service.istio.io/canonical-name: gate-canonical}"))
        daemon.start()
        config = daemon.directory / "prometheus.yml"
        config.write_text(f"""\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{PROMETHEUS}/rules.yml]
scrape_configs:
- job_name: meltemi
  metrics_path: /stats/prometheus
  static_configs: [{{targets: ["127.0.0.1:15000"]}}]
""")
        with netns.inside(daemon.namespace), open(daemon.directory / "prometheus.log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={daemon.directory}/tsdb",
                                       "--web.listen-address=127.0.0.1:9797"], stdout=log, stderr=log)
        try:
            scraped(lab, daemon)
        finally:
            server.terminate()
            server.wait(20)


def up(daemon):
    try:
        return [r["value"][1] for r in query(daemon, 'up{job="meltemi"}')] == ["1"]
    except OSError:
        return False


def scraped(lab, daemon):
    within(20, lambda: up(daemon), "Prometheus has a target that is up", step=0.2)
    # The first of them are there before Prometheus sees any: a rate needs two scrapes between which something happened.
    for _ in range(3):
        report = lab.dubbo_client("240.240.0.10:20880", count=300, outstanding=4).result()
        time.sleep(1.2)
    print(report, flush=True)
    formats(daemon)
    labels_of_the_node(daemon)
    host = 'org.apache.dubbo.samples.basic.api.demoservice'
    within(10, lambda: query(daemon, f'meltemi_service_requests_total{{service="{host}"}}')[0]["value"][1] == "900",
           "Prometheus has counted 900 calls", step=0.3)
    replies = query(daemon, f'sum(istio_requests_total{{destination_service_name="{host}"}})')
    equal(replies[0]["value"][1], "900", "istio_requests_total")
    counted = query(daemon, f'istio_request_duration_milliseconds_count{{destination_service_name="{host}"}}')
    equal(counted[0]["value"][1], "900", "observations of latency")
    for title, expression in dashboard(daemon):
        found = query(daemon, expression)
        print(f"{title}: {len(found)} series", flush=True)
        check(found or "response_flags" in expression, f"{title} is empty: {expression}")
    for record in re.findall(r"record: (\S+)", (PROMETHEUS / "rules.yml").read_text()):
        within(20, lambda record=record: query(daemon, record), f"the rule {record} answers", step=0.5)


main(body)
