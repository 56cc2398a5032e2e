#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
One limit of three nodes, with envoyproxy/ratelimit and Redis: exactly as many calls of an hour's window reach the servers as the rule
allows, and each worker queries at most 50 times a second about a descriptor over its limit. While the service is dead, calls are refused
or pass, by denyOnFail; afterwards the limit holds again. Only for --long: the service is built from its module, which takes minutes.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "smoke"), str(HERE.parent / "dubbo"), str(HERE.parent / "xds")]

from meltemi_lab import Lab, Skip, check, equal, main, netns, within  # noqa: E402

from demo import AT, LIMIT, PORT, SERVICES, VIP, Server, write  # noqa: E402
from environment import CACHE  # noqa: E402

MODULE, VERSION = "github.com/envoyproxy/ratelimit", "v1.4.1-0.20260122083618-3fb702589d36"
NODES, WORKERS, RULE, HOUR = 3, 2, 300, 3600
HTTP, GRPC, DEBUG, REDIS = 8390, 8391, 6370, 6379
REFUSED, FAILED = "meltemi: over limit", "meltemi: the rate limit service gave no answer"
RULES = f"domain: shop\ndescriptors:\n- {{key: m, rate_limit: {{unit: hour, requests_per_unit: {RULE}}}}}\n"


def built():
    """The service's program, in the user's cache."""
    place = CACHE / f"ratelimit-{VERSION}"
    program, new = place / "ratelimit", place / "ratelimit.new"
    go = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")
    if not go or not shutil.which("redis-server"):
        raise Skip("not installed: Go or redis-server")
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            return program
        (place / "go.mod").write_text("module lab\n")
        for words in (["get", f"{MODULE}@{VERSION}"], ["build", "-trimpath", "-o", new, f"{MODULE}/src/service_cmd"]):
            done = subprocess.run([go, *words], cwd=place, env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}, capture_output=True,
                                  text=True, timeout=1000, check=False)
            if done.returncode:
                raise Skip(f"go {words[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
        new.rename(program)
    return program


class Service:
    """The service and its Redis, in a namespace."""

    def __init__(self, program, directory, namespace):
        self.program, self.directory, self.namespace = program, directory / "limits", namespace
        (self.directory / "ratelimit/config").mkdir(parents=True)
        (self.directory / "ratelimit/config/shop.yaml").write_text(RULES)
        self.redis = self.run(["redis-server", "--port", str(REDIS), "--save", "", "--dir", str(self.directory)])
        within(20, lambda: self.listens(REDIS), "Redis listens", step=0.1)
        self.process = None
        self.start()

    def run(self, argv, **env):
        with netns.inside(self.namespace), open(self.directory / "log", "ab") as log:
            return subprocess.Popen(argv, env={**os.environ, **env}, stdout=log, stderr=log)

    def listens(self, port):
        with contextlib.suppress(OSError), netns.inside(self.namespace), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    def start(self):
        self.process = self.run([self.program], USE_STATSD="false", REDIS_SOCKET_TYPE="tcp", REDIS_URL=f"127.0.0.1:{REDIS}",
                                RUNTIME_ROOT=str(self.directory), RUNTIME_SUBDIRECTORY="ratelimit", RUNTIME_WATCH_ROOT="false", HOST="127.0.0.1",
                                PORT=str(HTTP), GRPC_HOST="127.0.0.1", GRPC_PORT=str(GRPC), DEBUG_HOST="127.0.0.1", DEBUG_PORT=str(DEBUG))
        within(30, lambda: self.listens(GRPC), "the service listens", step=0.1)

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def stop(self):
        self.kill()
        self.redis.kill()
        self.redis.wait(20)


def pump(source, to):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
    for sock in (source, to):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def forward(namespace, service):
    """Connections of a node's kernel to the service's address end at the service, in its namespace."""
    netns.run("ip", "-n", namespace, "address", "add", f"{AT[0]}/32", "dev", "lo")
    with netns.inside(namespace):
        listener = socket.create_server(AT)

    def accept():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            try:
                with netns.inside(service.namespace):
                    there = socket.create_connection(("127.0.0.1", GRPC), 5)
            except OSError:
                sock.close()
                continue
            for ends in ((sock, there), (there, sock)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


def limit(daemon, deny):
    write(daemon, denyOnFail=deny, requestTimeout="2s", descriptors=LIMIT["descriptors"][:1])


def calls(lab, **options):
    return lab.dubbo_client(f"{VIP}:{PORT}", **{"count": 20, "outstanding": 1, **options})


def all_get(lab, words):
    """Each of a few calls has this error; None: an answer."""
    report = calls(lab).result()
    if words is None:
        return report["answered"] == 20
    return report["answered"] == 0 and set(report["error_samples"]) == {words}


def exact(labs, servers):
    """All nodes at once have three times as many calls as the rule allows."""
    if HOUR - time.time() % HOUR < 120:
        time.sleep(HOUR - time.time() % HOUR + 1)
    reports = [client.result() for client in [calls(lab, connections=4, outstanding=8, count=RULE) for lab in labs]]
    print(f"{NODES} nodes, {RULE * NODES} calls: at the servers {[len(server.calls) for server in servers]}", flush=True)
    equal(sum(len(server.calls) for server in servers), RULE, "calls at the servers")
    equal(sum(report["answered"] for report in reports), RULE, "calls that were answered")
    equal({words for report in reports for words in report.get("error_samples", ())}, {REFUSED}, "errors of the others")


def few_queries(labs, daemons):
    """About two seconds over the limit."""
    before = [daemon.counters()["filter_global_waited"] for daemon in daemons]
    reports = [client.result() for client in [calls(lab, count=1000, outstanding=4, rate=500) for lab in labs]]
    for daemon, report, waited in zip(daemons, reports, before, strict=True):
        n = daemon.counters()["filter_global_waited"] - waited
        print(f"over the limit: {n} queries about {report['failed']} calls in {report['seconds']} s", flush=True)
        equal(report["answered"], 0, "calls that were answered")
        check(n <= 50 * WORKERS * (report["seconds"] + 1), f"{n} queries in {report['seconds']} s")


def dead(labs, daemons, service):
    service.kill()
    for lab in labs:
        within(20, lambda lab=lab: all_get(lab, FAILED), "calls are refused while the service is dead", step=0.5)
    for lab, daemon in zip(labs, daemons, strict=True):
        limit(daemon, False)
        within(20, lambda lab=lab: all_get(lab, None), "calls pass while the service is dead", step=0.5)
    service.start()
    for lab in labs:
        within(30, lambda lab=lab: all_get(lab, REFUSED), "the limit holds again", step=0.5)


def body():
    program = built()
    servers, daemons = [Server() for _ in range(NODES)], []
    with contextlib.ExitStack() as stack:
        labs = [stack.enter_context(Lab(servers=1)) for _ in servers]
        for lab, server in zip(labs, servers, strict=True):
            stack.enter_context(lab.listening("server1", PORT, server.handle))
            daemons.append(lab.meltemi(workers=WORKERS))
            daemons[-1].write("services.yaml", SERVICES)
            daemons[-1].start()
        service = Service(program, labs[0].directory, daemons[0].namespace)
        stack.callback(service.stop)
        for daemon in daemons:
            stack.callback(forward(daemon.namespace, service).close)
            limit(daemon, True)
        exact(labs, servers)
        few_queries(labs, daemons)
        dead(labs, daemons, service)


main(body)
