#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A lone node is restarted under calls, and no client notices more than a pause. After SIGTERM it accepts and serves clients until it closes,
so a client that was notified and connects again is served by the same process. Then it leaves SYNs to the next process. Clients are the
Apache Thrift library, which makes a call again whose connection was closed, and a Dubbo client that obeys READONLY and connects again;
none of their calls fails.

--long: 10,000 routes in 2,000 documents, Apache Dubbo as well, and 20 restarts. It prints the phases and their CPU time. The node is away
from the moment when it stops to accept clients until the next process answers a call. Both processes use at most 2 s of CPU time for that.
--wall, on a quiet machine: the node is away for 2 s at most.
"""

import os
import re
import signal
import socket
import statistics
import sys
import time
from datetime import datetime

from meltemi_lab import Lab, check, dubbo, equal, main, within
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.documents import service, subsets
from meltemi_lab.obeys import Obeys

LONG = "--long" in sys.argv or bool(os.environ.get("MELTEMI_LONG"))
SERVICES, ROUTES = (1000, 10) if LONG else (20, 10)
RESTARTS = 20 if LONG else 1
MOST_AWAY = 2.0  # s, and of CPU time
STEPS = ("CPU exit", "CPU documents", "CPU eal", "CPU ports", "CPU rest")
DUBBO, THRIFT = ("calls.example", "240.240.200.1", 20880), ("hello.example", "240.240.200.2", 9090)
INTERFACE = "org.apache.dubbo.samples.basic.api.DemoService"
HEADER = 16
SUBSETS = ("v1", "v2")


def router(host, number):
    """A MetaRouter with a match of three conditions for each route, as those of a mesh have."""
    listing = "".join(f"""\
  - name: r{n}
    match:
      attributes:
        interface: {{exact: {INTERFACE}{number}}}
        method: {{exact: call{n}}}
        tenant: {{prefix: t-{n}-}}
    route:
    - destination: {{host: {host}, subset: {SUBSETS[n % 2]}}}
""" for n in range(ROUTES - 1))
    return f"""\
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {{name: m{number}}}
spec:
  hosts: [{host}]
  routes:
{listing}  - name: rest
    route:
    - destination: {{host: {host}, subset: v1}}
"""


def documents(lab, daemon):
    ends = [(lab.server(1), 20880, {"version": name}) for name in SUBSETS]
    for number in range(SERVICES):
        host = f"s{number}.shop.svc.cluster.local"
        vip = f"240.240.{number // 250}.{number % 250 + 1}"
        daemon.write(f"s{number}.yaml", f"{service(host, vip, 20880, 'tcp-metaprotocol-dubbo', ends)}---\n{subsets(host, SUBSETS)}")
        daemon.write(f"m{number}.yaml", router(host, number))
    daemon.write("calls.yaml", service(*DUBBO, "tcp-metaprotocol-dubbo", ends[:1]))
    daemon.write("hello.yaml", service(*THRIFT, "tcp-metaprotocol-thrift", [(lab.server(2), 9090, {})]))


class Prober:
    """Connects again and again, gives up each try soon, and makes one call: when does the node answer?"""

    def __init__(self, lab):
        self.lab = lab

    def _try(self):
        with self.lab.inside("client"):
            sock = socket.socket()
        sock.settimeout(0.02)
        try:
            sock.connect(DUBBO[1:])
            sock.settimeout(2)
            sock.sendall(dubbo.request(1, "echo", ["x"], interface=INTERFACE))
            return len(sock.recv(HEADER)) == HEADER
        except OSError:
            return False
        finally:
            sock.close()

    def answered(self):
        end = time.monotonic() + 60
        while not self._try():
            check(time.monotonic() < end, "the next process answers no call")
        return time.time()


def log_times(text):
    """[(time, line)] of a log with times."""
    return [(datetime.fromisoformat(found[1]).timestamp(), line) for line in text.splitlines() if (found := re.search(r"time=(\S+)", line))]


def when(lines, words):
    found = [at for at, line in lines if words in line]
    check(found, f"no line with {words!r}")
    return found[0]


def waited(pid):
    """How long its first thread, which starts and stops everything, was ready to run and did not."""
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[1]) / 1e9


def cpu_ms(lines, words):
    """What a debug line of boot.c says of the CPU time until then."""
    return next(int(re.search(r": (\d+) ms of CPU", line)[1]) for _, line in lines if words in line)


def stopped(daemon):
    """SIGTERM until the process has gone; its log, and what it waited for a CPU after it closed."""
    process, began = daemon.process, time.time()
    process.popen.send_signal(signal.SIGTERM)
    at_close, last = None, 0
    while process.running():
        if at_close is None and "closing after" in process.errors():
            at_close = waited(process.pid)
        try:
            last = waited(process.pid)
        except OSError:
            pass
        time.sleep(0.005)
    equal(process.popen.returncode, 0, "exit status")
    return began, log_times(process.errors()), last - (at_close or last), time.time()


def started(daemon, prober):
    """The next process, until it answers a call."""
    daemon.launch()
    first = prober.answered()
    waiting = waited(daemon.process.pid)
    daemon.wait_log("started notify")
    return log_times(daemon.process.errors()), waiting, first


def restart(daemon, prober):
    term, old, old_waited, gone = stopped(daemon)
    new, new_waited, first = started(daemon, prober)
    order(old)
    closed = when(old, "closing after")
    serving = when(new, "msg=\"serving ")
    return {"drain": closed - term, "close": when(old, "drained after") - closed, "exit": gone - when(old, "drained after"),
            "documents": when(new, "started history") - gone, "eal": when(new, "started memory") - when(new, "started history"),
            "ports": when(new, "started ports") - when(new, "started memory"), "rest": serving - when(new, "started ports"),
            "first call": first - serving, "away": first - closed, "waited": old_waited + new_waited,
            "away at work": first - closed - old_waited - new_waited,
            "CPU exit": (cpu_ms(old, "stopped keys") - cpu_ms(old, "stopped notify")) / 1000,
            "CPU documents": cpu_ms(new, "started history") / 1000,
            "CPU eal": (cpu_ms(new, "started memory") - cpu_ms(new, "started history")) / 1000,
            "CPU ports": (cpu_ms(new, "started ports") - cpu_ms(new, "started memory")) / 1000,
            "CPU rest": (cpu_ms(new, "started notify") - cpu_ms(new, "started ports")) / 1000}


def order(lines):
    """The events of a stop, each once."""
    words = ["draining by SIGTERM", "closing after", "drained after"]
    equal([found[0] for _, line in lines if (found := re.search("|".join(words), line))], words, "events of the stop")


def told(rows):
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"  {name:14} min {min(values):7.3f}  median {statistics.median(values):7.3f}  max {max(values):7.3f} s", flush=True)


def apache_dubbo(lab, daemon, prober):
    """A consumer of Apache Dubbo, with its own two retries, over one restart."""
    client = lab.java("client", "java", "2.7.23", "Consumer", "--target", f"{DUBBO[1]}:{DUBBO[2]}", "--scenario", "readonly",
                      "--retries", 2, "--timeout", 30000, "--connect-timeout", 30000, "--millis", 40000)
    client.wait_line("calling")
    restart(daemon, prober)
    report = client.result(120)
    print(f"Apache Dubbo: {report['answered']} answered, errors {report['errors']} {report['error_samples']}", flush=True)
    check(report["answered"] > 100 and report["failed"] == 0, "calls of Apache Dubbo failed")


def body():
    with Lab(servers=2) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        lab.thrift_server(2, "v1").wait_line("ready")
        daemon = lab.meltemi()
        daemon.options = ["--log-level", "debug", "--log-time"]
        documents(lab, daemon)
        daemon.start()
        within(20, daemon.ready, "ready")
        prober, rows = Prober(lab), []
        if LONG:
            apache_dubbo(lab, daemon, prober)
        obeys = Obeys(lab, "client", *DUBBO[1:], INTERFACE)
        obeys.start()
        thrift = lab.thrift_client(f"{THRIFT[1]}:{THRIFT[2]}", connections=4, count=1 << 30, pause_ms=20, again=1, timeout_ms=30000)
        thrift.wait_line("calling")
        for number in range(RESTARTS):
            calls, opened = obeys.calls, obeys.opened
            within(20, lambda: obeys.calls > calls + 50, "calls are answered")
            rows.append(restart(daemon, prober))
            within(30, lambda: obeys.opened >= opened + 2, "the client connects again, to both processes")
            if LONG:
                print(f"{number + 1}: {({name: round(value, 3) for name, value in rows[-1].items()})}", flush=True)
        calls = obeys.calls
        within(30, lambda: obeys.calls > calls + 50, "calls are answered")
        ended(obeys, thrift, rows)


def sanitized():
    """Such a build is several times slower."""
    return any(name in MELTEMID.read_bytes() for name in (b"__asan_init", b"__tsan_init"))


def ended(obeys, thrift, rows):
    obeys.over.set()
    obeys.join(60)
    thrift.kill(signal.SIGTERM)
    report = thrift.result()
    print(f"{RESTARTS} restarts with {SERVICES * ROUTES} routes; Dubbo: {obeys.calls} calls, {obeys.notified} times notified, {obeys.opened} "
          f"connections, {obeys.again} calls made again; Thrift: {report['answered']} calls, {report['reopened']} connections again",
          flush=True)
    told(rows)
    equal(obeys.failed, [], "Dubbo calls that failed")
    equal((report["failed"], report["errors"], report["crossed"]), (0, {}, 0), f"Thrift calls that failed: {report['error_samples']}")
    check(obeys.notified >= RESTARTS, "the Dubbo client was not notified")
    check(report["reopened"] >= 4 * RESTARTS, "Thrift clients did not connect again")
    spent = [sum(row[step] for step in STEPS) for row in rows]
    print(f"  CPU time of a restart: min {min(spent):.3f}  median {statistics.median(spent):.3f}  max {max(spent):.3f} s", flush=True)
    if LONG and not sanitized():
        check(min(spent) <= MOST_AWAY, f"a restart takes {min(spent):.3f} s of CPU time")
    if "--wall" in sys.argv:
        check(max(row["away"] for row in rows) <= MOST_AWAY, "the node was away for longer")


main(body)
