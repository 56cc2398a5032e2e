#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes the daemon: the target is up, both formats are sound, every expression of the dashboard and every
recording rule answers under load, what it counted is what clients were answered, and it keeps the traces that clients named as examples
of their latency."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from meltemi_lab import PATIENCE, TESTS, Lab, Skip, becomes, check, equal, main, netns, within
from meltemi_lab.documents import service

PROMETHEUS = TESTS.parent / "docs/how-to/prometheus"
ACCEPT = "application/openmetrics-text; version=1.0.0"
HOST = "org.apache.dubbo.samples.basic.api.demoservice"
W3C, B3, OFF, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "80f198ee56343ba864fe8b2a57d3eff7", "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
# A service whose only server is down, and one with a limit of 10 calls.
DEAD, DEAD_AT, LIMITED, LIMITED_AT = "dead.default.svc.cluster.local", "240.240.3.1", "limited.example", "240.240.3.2"
LIMIT = f"""\
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {{name: limit}}
spec:
  hosts: [{LIMITED}]
  localRateLimit:
    tokenBucket: {{fillInterval: 600s, maxTokens: 10, tokensPerFill: 10}}
"""
# What clients say of their traces, and what is to be said of their calls.
TRACES = {f"traceparent=00-{W3C}-{SPAN}-01": {"trace_id": W3C, "span_id": SPAN},
          f"b3={B3}-{SPAN}-1": {"trace_id": B3, "span_id": SPAN},
          f"X-B3-TraceId={SPAN}": {"trace_id": SPAN}}
WORKLOADS = {f"dubbo-sample-provider-v{n}" for n in (1, 2)}


def get(daemon, port, path, **headers):
    with netns.inside(daemon.namespace):
        sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
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
    series = [re.findall(r"^([a-z_]+(?:\{.*?\})?) \S+(?: # .*)?$", t, re.M) for t in (text, opened)]
    equal([s for s in series[0] if s not in series[1]], [], "series that OpenMetrics lacks")
    equal(len(series[0]), len(series[1]), "series of both formats")
    equal(len(series[0]), len(set(series[0])), "series, each once")


def examples(daemon, family):
    """[(labels, value, lower bound, upper bound)] of a histogram's exemplars, as a strict parser reads them."""
    out, bounds = [], {}
    for found in text_string_to_metric_families(get(daemon, 15000, "/metrics", Accept=ACCEPT)[2]):
        for sample in found.samples if found.name == family else []:
            if not sample.name.endswith("_bucket"):
                continue
            series = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            below, bounds[series] = bounds.get(series, 0), float(sample.labels["le"])
            if sample.exemplar:
                out.append((sample.exemplar.labels, sample.exemplar.value, below, bounds[series]))
    return out


def traces(lab, daemon, longest):
    """
    Calls of known traces are examples of their latency, beside the bucket that they fell into. longest: of the runs of clients before, in
    seconds; a slow bucket may still have one of their calls.
    """
    call = {"count": 300, "outstanding": 1}
    longest = max(longest, lab.dubbo_client("240.240.0.10:20880", **call).result()["seconds"])
    named = examples(daemon, "meltemi_service_duration_seconds")
    check(named and all(re.fullmatch(r"\d+-\d+-\d+", x["exchange_id"]) for x, *_ in named), f"calls without a trace: {named}")
    for attach, want in TRACES.items():
        longest = max(longest, lab.dubbo_client("240.240.0.10:20880", attach=attach, **call).result()["seconds"])
        for family, unit in (("meltemi_service_duration_seconds", 1), ("istio_request_duration_milliseconds", 1000)):
            found = examples(daemon, family)
            check(any(labels == want for labels, *_ in found), f"{family} has no call of {attach}: {found}")
            for labels, value, below, bound in found:
                check(below <= value <= bound, f"an example of {value} between {below} and {bound}: {labels}")
                check(value <= unit * longest, f"an example of {value}, and no client ran for longer than {longest} s")
        # The next calls may take its places: whoever scrapes has to have seen it before.
        within(10, lambda want=want: want["trace_id"] in kept_examples(daemon), f"Prometheus keeps {attach}", step=0.3)
    # A trace that is not recorded cannot be looked up.
    lab.dubbo_client("240.240.0.10:20880", attach=f"traceparent=00-{OFF}-{SPAN}-00", **call).result()
    check(OFF not in get(daemon, 15000, "/metrics", Accept=ACCEPT)[2], "a trace that nobody records is an example")
    check("trace_id" not in get(daemon, 15000, "/metrics")[2], "examples in the text format, which has none")


def kept_examples(daemon):
    """Prometheus' own store of exemplars has them."""
    status, _, body = get(daemon, 9797, "/api/v1/query_exemplars?" + urllib.parse.urlencode(
        {"query": "istio_request_duration_milliseconds_bucket", "start": time.time() - 300, "end": time.time() + 60}))
    equal(status, 200, f"status of query_exemplars: {body}")
    return {x["labels"].get("trace_id") for series in json.loads(body)["data"] for x in series["exemplars"]}


def labels_of_the_node(daemon):
    """Istio's labels of the source are what the Node says of itself."""
    found = query(daemon, "istio_requests_total")[0]["metric"]
    wanted = {"source_workload": daemon.lab.id, "source_workload_namespace": "shop", "source_app": "gate", "source_version": "v7",
              "source_canonical_service": "gate-canonical", "source_canonical_revision": "v7", "source_cluster": "unknown"}
    equal({name: found.get(name) for name in wanted}, wanted, "labels of the source")


def load(daemon):
    """The gauges of load are what the shell shows."""
    for row in daemon.show("capacity")["capacity"]:
        busy = query(daemon, f'meltemi_worker_busy_ratio{{worker="{row["worker"]}"}}')
        check(len(busy) == 1 and 0 < float(busy[0]["value"][1]) <= 1, f"load of worker {row['worker']}: {busy}")
    shown = {(row["table"], str(row["worker"])): row for row in daemon.show("tables")["tables"] if row["size"]}
    used = {(r["metric"]["table"], r["metric"]["worker"]): float(r["value"][1]) for r in query(daemon, "meltemi_table_used_ratio")}
    equal(set(used), set(shown), "tables with a gauge")
    # One endpoint's lanes stay, while a connection may come or go between the two looks.
    for name, row in shown.items():
        if name[0] == "lanes":
            check(row["in_use"] > 0 and abs(used[name] - row["in_use"] / row["size"]) < 1e-9, f"{name}: {used[name]}, shown {row}")
    for expression in ('meltemi_endpoint_up == 0', 'meltemi_packets_dropped_total{cause="overload",reason="net_tx_full"} == 0'):
        check(query(daemon, expression), f"nothing for {expression}")


def dashboard(instance, host=".*"):
    """(title, query) of each target, for one instance and one service or all."""
    page = json.loads((PROMETHEUS / "dashboard.json").read_text())
    for panel in page["panels"]:
        for member in ("id", "type", "title", "gridPos", "datasource", "fieldConfig", "targets"):
            check(member in panel, f"panel {panel.get('title')} has no {member}")
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$service", host).replace("$instance", instance)


def failing(daemon):
    """The dashboard's share that failed: all calls to a dead server, none that are only over a limit."""
    expression = next(query for title, query in dashboard(".*") if title == "Share that failed")
    share = {r["metric"]["service"]: float(r["value"][1]) for r in query(daemon, expression)}
    equal({name: share.get(name) for name in (DEAD, LIMITED, HOST)}, {DEAD: 1, LIMITED: 0, HOST: 0}, "share that failed")


def once(daemon):
    """The dashboard's replies by reason have calls once, though two reporters have them, and find Istio's services by their hosts."""
    expression = next(query for title, query in dashboard(".*", DEAD) if title == "Local replies by reason")
    whole = f'sum(rate(istio_requests_total{{reporter="source",response_flags!="-",destination_service="{DEAD}"}}[1m]))'
    found = [float(row["value"][1]) for row in query(daemon, f"sum({expression}) / {whole}")]
    check(len(found) == 1 and abs(found[0] - 1) < 1e-9, f"replies by reason, of those of one reporter: {found}")


def istio(daemon):
    """What the panels of Istio's dashboard of a service select, as a client's sidecar and a server's report it."""
    of = f'destination_service="{HOST}",destination_workload=~".+",destination_workload_namespace="meta-dubbo",' \
         'destination_canonical_service="dubbo-sample-provider",' \
         'source_workload=~".+",source_workload_namespace="shop",connection_security_policy!="mutual_tls"'
    for reporter in ("source", "destination"):
        good = query(daemon, f'sum by (destination_workload, response_code) (istio_requests_total{{reporter="{reporter}",{of}}})')
        check({row["metric"]["response_code"] for row in good} == {"0", "1"}, f"calls as {reporter}: {good}")
        for family in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
            found = query(daemon, f'histogram_quantile(0.99, sum by (destination_workload, le) (rate({family}_bucket{{reporter="{reporter}",{of}}}[1m])))')
            equal({row["metric"]["destination_workload"] for row in found}, WORKLOADS, f"workloads of {family} as {reporter}")
            check(all(float(row["value"][1]) > 0 for row in found), f"{family} as {reporter}: {found}")


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
        for host, address, port in ((DEAD, DEAD_AT, 20899), (LIMITED, LIMITED_AT, 20880)):
            daemon.write(f"{host}.yaml", service(host, address, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), port, {})]))
        daemon.write("limit.yaml", LIMIT)
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
                                       "--web.listen-address=127.0.0.1:9797",
                                       "--enable-feature=exemplar-storage"], stdout=log, stderr=log)
        try:
            scraped(lab, daemon)
        finally:
            server.terminate()
            server.wait(20)


def up(daemon):
    """Prometheus listens before its store is read, and says 503 until then."""
    try:
        ready = get(daemon, 9797, "/-/ready")[0] == 200
    except OSError:
        return False
    return ready and [r["value"][1] for r in query(daemon, 'up{job="meltemi"}')] == ["1"]


def scraped(lab, daemon):
    within(20, lambda: up(daemon), "Prometheus has a target that is up", step=0.2)
    # The first of them are there before Prometheus sees any: a rate needs two scrapes between which something happened.
    longest = 0
    for _ in range(3):
        report = lab.dubbo_client("240.240.0.10:20880", count=300, outstanding=4).result()
        others = [lab.dubbo_client(f"{address}:20880", count=20).result() for address in (DEAD_AT, LIMITED_AT)]
        longest = max(longest, *(found["seconds"] for found in (report, *others)))
        time.sleep(1.2)
    print(report, *others, flush=True)
    formats(daemon)
    labels_of_the_node(daemon)
    becomes(lambda: [row["value"][1] for row in query(daemon, f'meltemi_service_requests_total{{service="{HOST}"}}')], ["900"],
            "calls that Prometheus has counted", step=0.3)
    replies = query(daemon, f'sum(istio_requests_total{{destination_service_name="{HOST}",reporter="source"}})')
    equal(replies[0]["value"][1], "900", "istio_requests_total")
    counted = query(daemon, f'sum(istio_request_duration_milliseconds_count{{destination_service_name="{HOST}",reporter="source"}})')
    equal(counted[0]["value"][1], "900", "observations of latency")
    failing(daemon)
    once(daemon)
    istio(daemon)
    load(daemon)
    for title, expression in dashboard("127.0.0.1:15000"):
        found = query(daemon, expression)
        print(f"{title}: {len(found)} series", flush=True)
        check(found, f"{title} is empty: {expression}")
    for title, expression in dashboard("192.0.2.99:15000"):
        equal(query(daemon, expression), [], f"{title} of an instance that does not exist")
    for record in re.findall(r"record: (\S+)", (PROMETHEUS / "rules.yml").read_text()):
        within(20, lambda record=record: query(daemon, record), f"the rule {record} answers", step=0.5)
    traces(lab, daemon, longest)
    within(10, lambda: {W3C, B3, SPAN} <= kept_examples(daemon), "Prometheus keeps the traces as exemplars", step=0.3)


main(body)
