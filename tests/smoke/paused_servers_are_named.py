#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Paused servers (SIGSTOP) of Thrift, Dubbo, Redis and HTTP as opaque TCP, one of two and then both, under clients that give up after a
second and try again: health, log, page and an alert of a real Prometheus name each endpoint, and say when it is well again.

--wall, on a quiet machine: health, log and page within 15 s, the alert within 60 s.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

from meltemi_lab import TESTS, Failure, Lab, Skip, check, main, netns, within
from meltemi_lab.documents import service

RULES = TESTS.parent / "docs/how-to/prometheus/rules.yml"
# host, address, port, the port's name
ENDS = ("answers again", "returned", "has no calls")
KINDS = (("thrift.example", "240.240.2.1", 9090, "tcp-metaprotocol-thrift"),
         ("org.apache.dubbo.samples.basic.api.demoservice", "240.240.2.2", 20880, "tcp-metaprotocol-dubbo"),
         ("redis.example", "240.240.2.3", 6379, "tcp-redis"), ("http.example", "240.240.2.4", 8000, "tcp"))
MOST = {"health": 15, "log": 15, "page": 15, "alert": 60}  # s
REDIS = ["redis-server", "--port", 6379, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--daemonize", "no"]
# A connection that is used again, or one for each request; after a second without an answer it is closed, and another one is opened.
# Connections that are used again go to a random server each, so there are 16: with four, one server in eight runs or so got none.
CLIENT = """\
import socket, sys, threading, time
host, port, words, keeps = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode().decode("unicode_escape").encode(), sys.argv[4] == "keeps"
def calls():
    sock = None
    while True:
        try:
            sock = sock or socket.create_connection((host, port), timeout=1)
            sock.sendall(words)
            ok = sock.recv(1000)
        except OSError:
            ok = b""
        if sock and not (ok and keeps):
            sock.close()
            sock = None
        time.sleep(0.1)
threads = [threading.Thread(target=calls) for _ in range(16 if keeps else 4)]
for thread in threads:
    thread.start()
"""


def prometheus(daemon, path):
    with netns.inside(daemon.namespace):
        done = subprocess.run(["curl", "-sf", f"http://127.0.0.1:9797{path}"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout)["data"] if done.returncode == 0 else None


def alerts(daemon):
    """Endpoints with an alert that fires."""
    found = prometheus(daemon, "/api/v1/alerts") or {"alerts": []}
    return {a["labels"].get("endpoint") for a in found["alerts"]
            if a["state"] == "firing" and a["labels"]["alertname"] == "MeltemiEndpointSilent"}


def unused(daemon):
    return [row["endpoint"] for row in daemon.show("endpoints")["endpoints"] if not row["requests"]]


def servers(lab):
    """The processes of each server, both of one kind after the other."""
    made = []
    for n in (1, 2):
        made.append([lab.thrift_server(n, f"v{n}"), lab.dubbo_server(n, f"v{n}"), lab.run(f"server{n}", f"redis{n}", REDIS),
                     lab.run(f"server{n}", f"http{n}", [sys.executable, "-m", "http.server", "8000"])])
    for n in (1, 2):
        for _, _, port, _ in KINDS:
            within(60, lambda n=n, port=port: f":{port} " in subprocess.run(
                ["ip", "netns", "exec", lab.namespace(f"server{n}"), "ss", "-Htln"], capture_output=True, text=True,
                check=True).stdout, f"server {n} listens at {port}", step=0.3)
    return made


def clients(lab):
    lab.thrift_client("240.240.2.1:9090", connections=4, seconds=900, timeout_ms=1000, pause_ms=100)
    lab.dubbo_client("240.240.2.2:20880", connections=4, seconds=900, timeout_ms=1000, rate=20)
    script = lab.directory / "client.py"
    script.write_text(CLIENT)
    lab.run("client", "redis-client", [sys.executable, script, "240.240.2.3", 6379, r"PING\r\n", "keeps"])
    lab.run("client", "http-client", [sys.executable, script, "240.240.2.4", 8000, r"GET / HTTP/1.0\r\n\r\n", "once"])


def red(page):
    """Endpoints that the page draws in red."""
    if isinstance(page, list):
        return [name for one in page for name in red(one)]
    if not isinstance(page, dict):
        return []
    mine = [page["endpoint"]] if str(page.get("health")).startswith(("silent", "ejected")) else []
    return mine + [name for one in page.values() for name in red(one)]


def places(daemon, began):
    """Texts in which endpoints are named, by place."""
    rows = json.loads(daemon.shell("--json", "show", "health"))["health"]
    page = json.loads(daemon.http("/ui/data/now")[1])
    return {"health": json.dumps([r for r in rows if r["state"] in ("warning", "fault")]),
            "log": daemon.process.errors()[began:], "page": " ".join(red(page["topology"])), "alert": " ".join(alerts(daemon))}


def named(daemon, began, names):
    """Waits until each place names each endpoint, and prints after how many seconds."""
    seen, start = {}, time.monotonic()

    def all_named():
        for place, text in places(daemon, began).items():
            for name in names:
                if name in text:
                    seen.setdefault((place, name), round(time.monotonic() - start, 1))
        return len(seen) == 4 * len(names)

    try:
        within(MOST["alert"], all_named, "each place names each endpoint", step=0.3)
    finally:
        for name in names:
            print(name, {place: seen.get((place, name)) for place in MOST}, flush=True)
    if "--wall" in sys.argv:
        late = {key: seconds for key, seconds in seen.items() if seconds > MOST[key[0]]}
        check(not late, f"named too late: {late}")


def paused(lab, daemon, made):
    names = [f"{lab.server(n)}:{port}" for n in range(1, len(made) + 1) for _, _, port, _ in KINDS]
    began = len(daemon.process.errors())
    for one in made:
        for process in one:
            os.kill(process.pid, signal.SIGSTOP)
    try:
        named(daemon, began, names)
    finally:
        for one in made:
            for process in one:
                os.kill(process.pid, signal.SIGCONT)
    within(60, lambda: not alerts(daemon), "no endpoint has an alert any more", step=0.5)

    def silent():
        """Those without an end; "has no calls": their clients have given up, and go to the other server."""
        lines = daemon.process.errors()[began:].splitlines()
        return [name for name in names if not any(name in line and any(end in line for end in ENDS) for line in lines)]

    try:
        within(60, lambda: not silent(), "the log has the end of each silence", step=0.5)
    except Failure:
        print(*(line for line in daemon.process.errors()[began:].splitlines() if any(name in line for name in silent())), sep="\n", flush=True)
        raise


def body():
    for program in ("prometheus", "redis-server", "curl"):
        if not shutil.which(program):
            raise Skip(f"{program} is missing (tests/packages)")
    with Lab(servers=2) as lab:
        made = servers(lab)
        daemon = lab.meltemi()
        for host, address, port, name in KINDS:
            daemon.write(f"{port}.yaml", service(host, address, port, name, [(lab.server(n), port, {}) for n in (1, 2)]))
        daemon.start()
        config = daemon.directory / "prometheus.yml"
        config.write_text(f"""\
global: {{scrape_interval: 5s, evaluation_interval: 5s}}
rule_files: [{RULES}]
scrape_configs:
- job_name: meltemi
  static_configs: [{{targets: ["127.0.0.1:15000"]}}]
""")
        lab.run("mesh", "prometheus", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={daemon.directory}/tsdb",
                                       "--web.listen-address=127.0.0.1:9797"])
        clients(lab)
        within(60, lambda: not unused(daemon), "each endpoint gets calls", step=0.5)
        within(60, lambda: prometheus(daemon, "/api/v1/alerts"), "Prometheus answers", step=0.5)
        check(not alerts(daemon), "an alert before anything is wrong")
        paused(lab, daemon, made[:1])
        paused(lab, daemon, made)


main(body)
