#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
accessLogFile: each call of real clients leaves one line, also over a rename of the file, a reload and the end of the daemon. A path outside of
the Node's directories is refused by name, and costs no call.
"""

import re
import signal
import time

from meltemi_lab import TESTS, Lab, check, equal, main, within

CALLS = 10000
MESH = """apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    accessLogFile: {path}
"""
LINE = re.compile(r'\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "\S+ /\S+/\S+ dubbo" 200 - via_upstream - "-" [1-9]\d* [1-9]\d* \d+ \d+ '
                  r'"-" "-" "-" "\S+" "198\.51\.100\.1[12]:20880" outbound\|20880\|\S*\|\S+ 198\.51\.100\.1:\d+ 240\.240\.0\.10:20880 '
                  r'192\.0\.2\.2:\d+ - \S+')


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def calls(lab, count):
    report = lab.dubbo_client("240.240.0.10:20880", connections=1, outstanding=16, count=count).result()
    equal((report["answered"], report["failed"]), (count, 0), "answered and failed")


def appears(path, count):
    within(5, lambda: len(lines(path)) >= count, f"{count} lines in {path.name}")
    equal(len(lines(path)), count, f"lines in {path.name}")


def counted(lab, log):
    calls(lab, CALLS)
    appears(log, CALLS)
    odd = [line for line in lines(log) if not LINE.fullmatch(line)]
    check(not odd, f"{len(odd)} odd lines: {odd[:1]}")
    equal(log.stat().st_mode & 0o777, 0o640, "mode of the file")


def renamed(lab, daemon, log):
    """Half of the calls before the rename, half after it: each line is in one of the files."""
    old = log.with_suffix(".1")
    client = lab.dubbo_client("240.240.0.10:20880", connections=1, outstanding=16, count=2 * CALLS)
    within(20, lambda: len(lines(log)) > CALLS + 1000, "calls under way")
    log.rename(old)
    daemon.process.popen.send_signal(signal.SIGUSR1)
    report = client.result()
    equal((report["answered"], report["failed"]), (2 * CALLS, 0), "answered and failed")
    within(5, lambda: len(lines(log)) + len(lines(old)) >= 3 * CALLS, "all lines")
    equal(len(lines(log)) + len(lines(old)), 3 * CALLS, "lines in both files")
    check(lines(log) and len(lines(old)) > CALLS, "both files have lines")


def moved(lab, daemon, log):
    """Another path by a reload, and one that is refused."""
    other = log.parent / "other.log"
    daemon.write("mesh.yaml", MESH.format(path=other))
    daemon.shell("reload")
    calls(lab, 1000)
    appears(other, 1000)
    daemon.write("mesh.yaml", MESH.format(path="/etc/calls.log"))
    daemon.shell("reload")
    check("no access log is written: /etc/calls.log" in daemon.check()[1], "--check names the path")
    calls(lab, 1000)
    time.sleep(1)
    equal(len(lines(other)), 1000, "lines without a log")
    daemon.write("mesh.yaml", MESH.format(path=other))
    daemon.shell("reload")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks", workers=2)
        logs = lab.directory / "logs"
        logs.mkdir()
        daemon.node.write_text(daemon.node.read_text() + f"  accessLog: {{directories: [{logs}]}}\n")
        log = logs / "calls.log"
        daemon.write("mesh.yaml", MESH.format(path=log))
        daemon.start()
        counted(lab, log)
        renamed(lab, daemon, log)
        moved(lab, daemon, log)
        calls(lab, CALLS)
        equal(daemon.stop(), 0, "exit status")
        equal(len(lines(logs / "other.log")), 1000 + CALLS, "lines after the end")


main(body)
