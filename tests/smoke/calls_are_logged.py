#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
accessLogFile: each call of real clients leaves one line, also over renames and copies of the file, reloads under load and the end of the daemon.
An opaque TCP connection leaves one, too. Lines have metadata of each protocol. Formats of two providers give text and JSON, and a format that
cannot be read is named. Telemetry chooses a provider and filters its calls. A path outside of the Node's directories is refused by name, and costs
no call.
"""

import itertools
import json
import os
import re
import shutil
import signal
import time

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.access_log import MESH, calls, logs_to, with_logs
from meltemi_lab.documents import service
from meltemi_lab.streams import echo

CALLS = 2000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
MANY = 20000
PROVIDERS = """apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    defaultProviders: {{accessLogging: [slim, rows]}}
    extensionProviders:
    - name: slim
      envoyFileAccessLog: {{path: {slim}, logFormat: {{text: "{format}"}}}}
    - name: rows
      envoyFileAccessLog:
        path: {rows}
        logFormat: {{labels: {{code: "%RESPONSE_CODE%", to: ["%UPSTREAM_HOST_WITHOUT_PORT%", "%ROUTE_NAME%:"], trace: "%TRACE_ID%"}}}}
"""
TELEMETRY = """apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: mesh, namespace: istio-system}}
spec: {{accessLogging: [{section}]}}
"""
SERVICES = {"dubbo": ("240.240.0.10", 20880, r"\S+ /\S+/\S+"), "thrift": ("240.240.9.1", 9090, r"sayHello \S+"),
            "awesomeRPC": ("240.240.0.30", 9200, r"1 \S+")}
LINES = {protocol: re.compile(rf'\[\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z\] "{words} {protocol}" 200 - via_upstream - "-" [1-9]\d* [1-9]\d* '
                              rf'\d+ (\d+|-) "-" "-" "-" "\S+" "198\.51\.100\.1[12]:{port}" outbound\|{port}\|\S*\|\S+ 198\.51\.100\.1:\d+ '
                              rf'{re.escape(vip)}:{port} 192\.0\.2\.2:\d+ - \S+')
         for protocol, (vip, port, words) in SERVICES.items()}
STREAM = re.compile(r'\[\S+\] "- - tcp" 0 - - - "-" 5 5 \d+ - "-" "-" "-" "\S+" "198\.51\.100\.11:7000" \S+ 198\.51\.100\.1:\d+ '
                    r'240\.240\.9\.2:7000 192\.0\.2\.2:\d+ - -')


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def appears(path, count):
    within(5, lambda: len(lines(path)) >= count, f"{count} lines in {path.name}")
    equal(len(lines(path)), count, f"lines in {path.name}")


def all_fit(path, protocol):
    odd = [line for line in lines(path) if not LINES[protocol].fullmatch(line)]
    check(not odd, f"{len(odd)} odd lines: {odd[:1]}")


def counted(lab, log):
    calls(lab, CALLS)
    appears(log, CALLS)
    all_fit(log, "dubbo")
    equal(log.stat().st_mode & 0o777, 0o640, "mode of the file")


def shown(daemon, log):
    """`show telemetry` counts the lines of the file, and `log reopen` opens it again."""
    row = daemon.show("telemetry")["sinks"][0]
    equal([row[key] for key in ("sink", "state", "wanted", "written", "lost")], [str(log), "ok", CALLS, CALLS, 0], "show telemetry")
    daemon.shell("log", "reopen")
    within(5, lambda: daemon.show("telemetry")["sinks"][0]["opened"] == row["opened"] + 1, "opened again")


def under_load(lab, daemon, log):
    """Calls during two renames, of which a signal announces one, and reloads that move the log: each line is in one of the files."""
    files = [log, log.with_suffix(".1"), log.with_suffix(".2"), log.with_name("other.log")]
    client = lab.dubbo_client("240.240.0.10:20880", connections=1, outstanding=16, count=MANY)
    for old in files[1:3]:
        before = len(lines(log))
        within(20, lambda before=before: len(lines(log)) > before + 500, "calls under way")
        log.rename(old)
        if old == files[1]:
            daemon.process.popen.send_signal(signal.SIGUSR1)
    for path in itertools.islice(itertools.cycle((files[3], log)), 6):
        logs_to(daemon, path)
    report = client.result()
    equal((report["answered"], report["failed"]), (MANY, 0), "answered and failed")
    within(5, lambda: sum(len(lines(file)) for file in files) >= CALLS + MANY, "all lines")
    equal([sum(len(lines(file)) for file in files), *(bool(lines(file)) for file in files)], [CALLS + MANY, *[True] * 4], "lines in all files")


def copied(lab, log):
    """As with copytruncate of logrotate."""
    before = lines(log)
    shutil.copyfile(log, log.with_suffix(".3"))
    os.truncate(log, 0)
    calls(lab, CALLS)
    appears(log, CALLS)
    equal(lines(log.with_suffix(".3")), before, "lines of the copy")
    all_fit(log, "dubbo")


def refused(lab, daemon, log):
    """A path that no directory of the Node permits, then one that is permitted."""
    before = lines(log)
    logs_to(daemon, "/etc/calls.log")
    check("no access log is written: /etc/calls.log" in daemon.check()[1], "--check names the path")
    equal(daemon.show("telemetry")["sinks"], [], "outputs")
    calls(lab, 500)
    time.sleep(1)
    equal(lines(log), before, "lines without a log")
    check(not os.path.exists("/etc/calls.log"), "nothing is written elsewhere")


def formats(lab, daemon, log):
    """Two providers with formats of their own; then one that cannot be read, in place of which the last good one is used."""
    slim, rows = log.with_name("slim.log"), log.with_name("rows.log")
    daemon.write("mesh.yaml", PROVIDERS.format(slim=slim, rows=rows, format="%REQ(:METHOD)% %RESPONSE_CODE%"))
    daemon.shell("reload")
    calls(lab, 500)
    appears(slim, 500)
    appears(rows, 500)
    equal(set(lines(slim)), {"sayHello 200"}, "text lines")
    all_rows = [json.loads(line) for line in lines(rows)]
    equal({(row["code"], row["trace"]) for row in all_rows}, {(200, None)}, "values of JSON lines")
    check({row["to"][0] for row in all_rows} <= {"198.51.100.11", "198.51.100.12"}, "endpoints of JSON lines")
    daemon.write("mesh.yaml", PROVIDERS.format(slim=slim, rows=rows, format="%REQ(:METHOD)"))
    check("no access log is written: column 1: " in daemon.check()[1], "--check names the column")
    daemon.shell("reload")
    calls(lab, 500)
    appears(slim, 1000)
    appears(rows, 1000)


def telemetry(lab, daemon, log):
    """One of two providers, for calls that a filter admits, for others, and for none."""
    slim, rows = log.with_name("slim.log"), log.with_name("rows.log")
    before = [len(lines(file)) for file in (slim, rows)]
    daemon.write("mesh.yaml", PROVIDERS.format(slim=slim, rows=rows, format="%REQ(:METHOD)%"))

    def with_section(section, more):
        daemon.write("telemetry.yaml", TELEMETRY.format(section=section))
        daemon.shell("reload")
        calls(lab, 500)
        appears(rows, before[1] + more)

    with_section('{providers: [{name: rows}], filter: {expression: "response.code == 200 && request.path.matches(\'/sayH.*o$\')"}}', 500)
    with_section('{providers: [{name: rows}], filter: {expression: "response.code >= 400"}}', 500)
    equal([[row[key] for key in ("sink", "wanted", "lost")] for row in daemon.show("telemetry")["sinks"]], [[str(rows), 0, 0]], "outputs")
    with_section("{disabled: true}", 500)
    equal(daemon.show("telemetry")["sinks"], [], "outputs")
    with_section("{match: {mode: SERVER}, disabled: true}", 1000)
    equal([len(lines(file)) for file in (slim, rows)], [before[0] + 500, before[1] + 1000], "lines of both")


def metadata(lab, daemon, log):
    """An attachment of Dubbo, a key of THeader and a header line of awesomeRPC, in text and JSON lines and in a filter."""
    clients = [("dubbo", lab.dubbo_client, {"attach": "x-user=anna", "outstanding": 4}), ("awesomeRPC", lab.awesome_client, {"meta": "x-user=anna"}),
               ("thrift", lab.thrift_client, {"header": "x-user=anna", "transport": "header"})]
    slim, rows = log.with_name("meta-slim.log"), log.with_name("meta-rows.log")
    text = PROVIDERS.format(slim=slim, rows=rows, format="%PROTOCOL% %REQ(X-User)% %REQ(X-None?x-user):2% %RESP(x-user)%")
    daemon.write("mesh.yaml", text.replace("trace:", 'user: "%REQ(X-USER)%", trace:'))
    daemon.write("telemetry.yaml", TELEMETRY.format(
        section='{providers: [{name: slim}]}, {providers: [{name: rows}], filter: {expression: "'
                "request.headers['x-user'] == 'anna' || 'traceparent' in request.headers" '"}}'))
    daemon.shell("reload")
    for protocol, client, options in clients:
        report = client("{}:{}".format(*SERVICES[protocol]), count=100, **options).result()
        check(report.get("answered", 100) == 100 and not report.get("errors"), f"calls of {protocol}: {report}")
    calls(lab, 100)
    report = lab.dubbo_client("{}:{}".format(*SERVICES["dubbo"]), count=100, attach=f"traceparent=00-{TRACE}-00f067aa0ba902b7-01").result()
    equal(report["answered"], 100, "calls of a trace")
    appears(slim, 500)
    appears(rows, 400)
    equal(set(lines(slim)), {"dubbo anna an -", "awesomeRPC anna an -", "thrift anna an -", "dubbo - - -"}, "text lines")
    equal({(row["user"], row["trace"]) for row in map(json.loads, lines(rows))}, {("anna", None), (None, TRACE)}, "JSON lines")
    daemon.write("telemetry.yaml", TELEMETRY.format(section="{match: {mode: SERVER}, disabled: true}"))


def protocols(lab, daemon, log):
    """Other protocols, each with a file of its own, and a stream without calls."""
    for protocol, client in (("thrift", lab.thrift_client), ("awesomeRPC", lab.awesome_client)):
        own = log.with_name(f"{protocol}.log")
        logs_to(daemon, own)
        report = client("{}:{}".format(*SERVICES[protocol]), count=250).result()
        check(report.get("answered", 250) == 250 and not report.get("errors"), f"calls of {protocol}: {report}")
        appears(own, 250)
        all_fit(own, protocol)
    with lab.listening("server1", 7000, echo), lab.connect("client", "240.240.9.2", 7000) as sock:
        sock.sendall(b"hello")
        equal(sock.recv(5), b"hello", "bytes of a stream")
    appears(own, 251)
    check(STREAM.fullmatch(lines(own)[-1]), f"the line of a stream: {lines(own)[-1]}")


def sampled(lab, daemon, log):
    """A share that an operator overrides."""
    logs_to(daemon, log)
    daemon.shell("tune", "worker", "log-sample=0")
    calls(lab, 500)
    time.sleep(1)
    equal(lines(log), [], "lines of no call")
    daemon.shell("tune", "drop", "all")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
            lab.thrift_server(number, f"v{number}", transport="header").wait_line("ready")
            lab.awesome_server(number, f"v{number}").wait_line("ready")
        daemon, logs = with_logs(lab)
        log = logs / "calls.log"
        daemon.write("mesh.yaml", MESH.format(path=log))
        daemon.write("thrift.yaml", service("hello.example", *SERVICES["thrift"][:2], "tcp-metaprotocol-thrift",
                                            [(lab.server(number), 9090, {}) for number in (1, 2)]))
        daemon.write("echo.yaml", service("echo.example", "240.240.9.2", 7000, "tcp", [(lab.server(1), 7000, {})]))
        daemon.start()
        counted(lab, log)
        shown(daemon, log)
        under_load(lab, daemon, log)
        copied(lab, log)
        refused(lab, daemon, log)
        formats(lab, daemon, log)
        telemetry(lab, daemon, log)
        metadata(lab, daemon, log)
        protocols(lab, daemon, log)
        sampled(lab, daemon, logs / "last.log")
        calls(lab, CALLS)
        equal(daemon.stop(), 0, "exit status")
        equal(len(lines(logs / "last.log")), CALLS, "lines after the end")


main(body)
