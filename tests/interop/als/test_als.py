#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Access logs at collectors that speak the originals' own messages: Envoy's Access Log Service and OpenTelemetry's logs. Each call of real
clients has one entry, with its values. A collector that hangs, freezes, dies, is away for long, refuses or answers garbage costs no call
and no line of a file beside it, memory stays bounded, and each entry arrives or is counted as lost, with the reason.
"""

import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "smoke"), str(HERE.parent / "xds")]

import environment  # noqa: E402
from collector import Receiver, settled, sink  # noqa: E402
from meltemi_lab import Lab, check, equal, main, within  # noqa: E402
from meltemi_lab.access_log import calls, with_logs  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402
from meltemi_lab.streams import echo  # noqa: E402

MANY = 12000  # entries of them do not fit into a queue
MESH = """apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    defaultProviders: {{accessLogging: [file, {used}]}}
    extensionProviders:
    - {{name: file, envoyFileAccessLog: {{path: {path}}}}}
    - {{name: calls, envoyHttpAls: {{service: 127.0.0.1, port: 9000, logName: lab}}}}
    - {{name: streams, envoyTcpAls: {{service: 127.0.0.1, port: 9000}}}}
    - name: otel
      envoyOtelAls:
        service: 127.0.0.1
        port: 9001
        logFormat:
          text: "%REQ(:PATH)% %RESPONSE_CODE%"
          labels: {{code: "%RESPONSE_CODE%", to: "to %UPSTREAM_CLUSTER%", id: "%STREAM_ID%", user: "%REQ(x-user)%"}}
"""


def entries(receiver, which="httpLogs"):
    return [entry for message in receiver.messages() for entry in message.get(which, {}).get("logEntry", [])]


def records(receiver):
    return [record for message in receiver.messages() for of_resource in message["resourceLogs"]
            for of_scope in of_resource["scopeLogs"] for record in of_scope["logRecords"]]


def ids(receiver):
    """Stream ids of entries; one that came twice is there once."""
    return {entry["commonProperties"]["streamId"] for entry in entries(receiver)}


def use(daemon, path, used):
    daemon.write("mesh.yaml", MESH.format(path=path, used=used))
    daemon.shell("reload")


def resident(daemon):
    """KiB."""
    status = pathlib.Path(f"/proc/{daemon.process.popen.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1])


def lines(path):
    return len(path.read_text().splitlines()) if path.exists() else 0


def values(lab, daemon, receiver, log):
    """One entry for each call, with its values; none for streams."""
    calls(lab, 500)
    within(10, lambda: len(entries(receiver)) >= 500, "entries arrive", step=0.2)
    equal((len(entries(receiver)), len(ids(receiver)), lines(log)), (500, 500, 500), "entries, their ids, and lines of the file")
    within(5, lambda: sink(daemon, "calls")["written"] == 500, "entries count as written", step=0.2)
    row = sink(daemon, "calls")
    equal((row["wanted"], row["lost"], row["state"]), (500, 0, "ok"), "show telemetry")
    identifier = receiver.messages()[0]["identifier"]
    equal((identifier["logName"], identifier["node"]["userAgentName"], identifier["node"]["id"]), ("lab", "meltemi", lab.id), "identifier")
    entry = entries(receiver)[0]
    common, request, response = entry["commonProperties"], entry["request"], entry["response"]
    equal((request["path"].rpartition("/")[2], response["responseCode"], response["responseCodeDetails"]), ("sayHello", 200, "via_upstream"),
          "request and response")
    equal(common["metadata"]["filterMetadata"]["meltemi"]["protocol"], "dubbo", "metadata")
    equal((common["downstreamRemoteAddress"]["socketAddress"]["address"], common["accessLogType"]), ("192.0.2.2", "DownstreamEnd"), "client")
    check(common["upstreamCluster"].startswith("outbound|20880|"), f"cluster {common['upstreamCluster']}")
    check(int(request["requestBodyBytes"]) > 0 and int(response["responseBodyBytes"]) > 0, "bytes")
    check(common["duration"].endswith("s") and common["startTime"].endswith("Z"), "times")


def streams(lab, daemon, receiver):
    """The provider of opaque TCP has an entry for each connection, and the one of calls has none."""
    before = len(entries(receiver))
    with lab.listening("server1", 7000, echo), lab.connect("client", "240.240.9.2", 7000) as sock:
        sock.sendall(b"hello")
        equal(sock.recv(5), b"hello", "bytes of a stream")
    within(10, lambda: entries(receiver, "tcpLogs"), "the entry of a stream", step=0.2)
    entry = entries(receiver, "tcpLogs")[0]
    equal((entry["connectionProperties"], entry["commonProperties"]["accessLogType"]), ({"receivedBytes": "5", "sentBytes": "5"}, "TcpConnectionEnd"),
          "entry of a stream")
    equal(len(entries(receiver)), before, "entries of calls")


def hangs(lab, daemon, receiver, log):
    """The file gets its lines at once; what waits arrives when the collector reads again."""
    before = lines(log)
    receiver.answers("hang")
    calls(lab, MANY)
    within(5, lambda: lines(log) == before + MANY, "lines of the file while the collector hangs", step=0.2)
    within(40, lambda: sink(daemon, "calls")["state"] == "late", "state of the collector that hangs", step=0.5)
    check("provider calls" in daemon.shell("show", "health"), "show health names the collector")
    receiver.answers("ok")
    within(60, lambda: settled(sink(daemon, "calls")), "each entry is written or lost", step=0.5)
    row = sink(daemon, "calls")
    equal(row["state"], "ok", "state")
    check(len(ids(receiver)) >= row["written"], f"{len(ids(receiver))} entries at the collector, {row['written']} written")


def freezes(lab, daemon, receiver, log):
    """No byte comes from it, and its connection does not close."""
    before = lines(log)
    receiver.server.send_signal(signal.SIGSTOP)
    calls(lab, 200)
    within(5, lambda: lines(log) == before + 200, "lines of the file while the collector is frozen", step=0.2)
    within(40, lambda: sink(daemon, "calls")["state"] in ("late", "unreachable"), "state of the collector that is frozen", step=0.5)
    receiver.server.send_signal(signal.SIGCONT)
    within(90, lambda: settled(sink(daemon, "calls")), "each entry is written or lost", step=0.5)
    row = sink(daemon, "calls")
    equal(row["state"], "ok", "state")
    check(len(ids(receiver)) >= row["written"], f"{len(ids(receiver))} entries at the collector, {row['written']} written")


def dies(lab, daemon, receiver, log):
    """Under load it dies and comes back."""
    client = lab.dubbo_client("240.240.0.10:20880", connections=1, outstanding=16, count=MANY)
    within(20, lambda: lines(log) > 0, "calls under way")
    for _ in range(2):
        receiver.stop()
        receiver.start()
    report = client.result()
    equal((report["answered"], report["failed"]), (MANY, 0), "answered and failed")
    within(60, lambda: settled(sink(daemon, "calls")), "each entry is written or lost", step=0.5)
    row = sink(daemon, "calls")
    check(len(ids(receiver)) >= row["written"], f"{len(ids(receiver))} entries at the collector, {row['written']} written")


def away(lab, daemon, receiver):
    """Away for longer than the queue lasts: the newest are lost, and counted; memory does not grow."""
    receiver.stop()
    calls(lab, MANY)
    within(20, lambda: sink(daemon, "calls")["state"] == "unreachable", "state of a collector that is away", step=0.5)
    lost = sink(daemon, "calls")["lost_unreachable"]
    before = resident(daemon)
    calls(lab, MANY)
    row = sink(daemon, "calls")
    check(row["lost_unreachable"] > lost, f"lost {lost}, then {row['lost_unreachable']}")
    check(resident(daemon) < before + 8192, f"memory grows: {before} KiB, then {resident(daemon)}")
    metrics = daemon.http("/metrics")[1]
    check(f'meltemi_access_log_lost_total{{sink="provider calls",reason="unreachable"}} {row["lost_unreachable"]}' in metrics,
          "metric of lost lines")
    receiver.start()
    within(60, lambda: settled(sink(daemon, "calls")), "each entry is written or lost", step=0.5)
    row = sink(daemon, "calls")
    check(len(ids(receiver)) >= row["written"], f"{len(ids(receiver))} entries at the collector, {row['written']} written")


def refuses(lab, daemon, receiver):
    before = sink(daemon, "calls")
    receiver.answers("status UNIMPLEMENTED")
    calls(lab, 100)
    within(10, lambda: sink(daemon, "calls")["lost_refused"] == before["lost_refused"] + 100, "entries that are refused", step=0.2)
    equal(sink(daemon, "calls")["state"], "refused", "state")
    receiver.answers("ok")
    calls(lab, 10)
    within(10, lambda: sink(daemon, "calls")["state"] == "ok", "state after it", step=0.2)


def otel(lab, daemon, receiver):
    calls(lab, 200)
    within(10, lambda: len(records(receiver)) >= 200, "log records arrive", step=0.2)
    equal(len(records(receiver)), 200, "log records")
    record = records(receiver)[0]
    attributes = {a["key"]: a["value"]["stringValue"] for a in record["attributes"]}
    check(record["body"]["stringValue"].endswith("/sayHello 200"), f"body {record['body']}")
    equal((attributes["code"], attributes["to"][:18]), ("200", "to outbound|20880|"), "attributes")
    equal(len({a["value"]["stringValue"] for r in records(receiver) for a in r["attributes"] if a["key"] == "id"}), 200, "ids")
    equal(attributes["user"], "-", "an attribute of a call without this metadata")
    lab.dubbo_client("240.240.0.10:20880", count=10, outstanding=4, attach="x-user=anna").result()
    within(10, lambda: len(records(receiver)) >= 210, "log records of calls with metadata", step=0.2)
    users = [a["value"]["stringValue"] for r in records(receiver) for a in r["attributes"] if a["key"] == "user"]
    equal((users.count("anna"), users.count("-")), (10, 200), "attributes with metadata of calls")
    resource = {a["key"]: a["value"]["stringValue"] for a in receiver.messages()[0]["resourceLogs"][0]["resource"]["attributes"]}
    equal(resource, {"log_name": "otel_envoy_accesslog", "node_name": lab.id, "service.name": "meltemi"}, "resource")
    for mode, reason in (("partial", "rejected"), ("garbage", "bad_answer"), ("status INVALID_ARGUMENT", "refused")):
        receiver.answers(mode)
        calls(lab, 20)
        within(10, lambda: settled(sink(daemon, "otel")), f"records by {mode}", step=0.2)
        equal(sink(daemon, "otel")[f"lost_{reason}"], 5 if mode == "partial" else 20, f"lost by {mode}")
    receiver.answers("status UNAVAILABLE")
    calls(lab, 20)
    within(10, lambda: sink(daemon, "otel")["state"] == "unavailable", "a collector that is busy", step=0.2)
    receiver.answers("ok")
    within(40, lambda: settled(sink(daemon, "otel")), "records after it", step=0.5)
    equal(sink(daemon, "otel")["lost_unavailable"], 0, "lost while it was busy")


def body():
    envoys, otels = environment.als(), environment.otlp()
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon, logs = with_logs(lab)
        log = logs / "calls.log"
        als, otlp = Receiver(daemon, envoys, "als"), Receiver(daemon, otels, "otel")
        daemon.write("echo.yaml", service("echo.example", "240.240.9.2", 7000, "tcp", [(lab.server(1), 7000, {})]))
        daemon.write("mesh.yaml", MESH.format(path=log, used="calls"))
        daemon.start()
        try:
            als.start()
            otlp.start()
            values(lab, daemon, als, log)
            hangs(lab, daemon, als, log)
            freezes(lab, daemon, als, log)
            dies(lab, daemon, als, log)
            away(lab, daemon, als)
            refuses(lab, daemon, als)
            use(daemon, log, "streams")
            streams(lab, daemon, als)
            use(daemon, log, "otel")
            otel(lab, daemon, otlp)
            otlp.answers("hang")
            calls(lab, 100)
            daemon.stop()
        finally:
            als.stop()
            otlp.stop()


main(body)
