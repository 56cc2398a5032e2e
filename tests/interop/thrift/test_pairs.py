#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Apache Thrift in Python and C++, all four pairs of client and server, in every transport and protocol: each shape of
call, then 8 clients at once; and a serial server whose slow calls harm nobody else. Through Meltemi, or past it:
test_pairs.py --direct
"""

import itertools
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import Lab, Skip, check, equal, main  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402
from meltemi_lab.paths import INTEROP, PYTHON  # noqa: E402

DIRECT = "--direct" in sys.argv
VIP = "240.240.2.1"
LANGUAGES = ("py", "cpp")
DIALECTS = tuple(itertools.product(("framed", "unframed", "header"), ("binary", "compact")))
FIRST_PORT = 9100
LOAD_CONNECTIONS, LOAD_COUNT = 8, 50


def build():
    done = subprocess.run([HERE / "build.sh", "cpp"], text=True, capture_output=True, timeout=300, check=False)
    if done.returncode:
        raise Skip(f"no Thrift peers: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def program(language, name):
    return [PYTHON, HERE / f"{name}.py"] if language == "py" else [INTEROP / "thrift" / name]


def words(**options):
    return [str(word) for key, value in options.items() for word in (f"--{key.replace('_', '-')}", value)]


class Peers:
    """Every server on a port of its own, and Meltemi's services in front of them."""

    def __init__(self, lab):
        self.lab = lab
        self.ports = {}
        self.serial = FIRST_PORT - 1

    def start(self):
        for number, (language, dialect) in enumerate(itertools.product(LANGUAGES, DIALECTS)):
            self.ports[language, dialect] = FIRST_PORT + number
        started = [self.server(language, port, dialect, "threaded", tag=language)
                   for (language, dialect), port in self.ports.items()]
        started.append(self.server("cpp", self.serial, DIALECTS[0], "simple", tag="serial"))
        for server in started:
            server.wait_line('"ready"', 30)
        if not DIRECT:
            self.services()

    def server(self, language, port, dialect, kind, tag):
        transport, protocol = dialect
        return self.lab.run("server1", f"server-{port}", program(language, "server") + words(
            port=port, transport=transport, protocol=protocol, kind=kind, tag=tag, id=port))

    def services(self):
        daemon = self.lab.meltemi()
        for port in [self.serial, *self.ports.values()]:
            daemon.write(f"{port}.yaml", service(f"thrift{port}.interop", VIP, port, "tcp-metaprotocol-thrift",
                                                 [(self.lab.server(1), port, {})]))
        daemon.start()

    def client(self, language, port, dialect, **options):
        transport, protocol = dialect
        target = f"{self.lab.server(1) if DIRECT else VIP}:{port}"
        return self.lab.run("client", f"client-{language}-{port}-{options['scenario']}-{time.monotonic_ns()}",
                            program(language, "client") +
                            words(target=target, transport=transport, protocol=protocol, **options))


def pair(peers, client, server, dialect):
    """What was wrong, in words."""
    port = peers.ports[server, dialect]
    checks = peers.client(client, port, dialect, scenario="checks").result(60)
    bad = [f"{name}: {verdict}" for name, verdict in checks["checks"].items() if verdict != "ok"]
    load = peers.client(client, port, dialect, scenario="load", connections=LOAD_CONNECTIONS, count=LOAD_COUNT).result(60)
    if load["by_server"] != {f"{server}/{port}": LOAD_CONNECTIONS * LOAD_COUNT} or load["failed"] or load["crossed"]:
        bad.append(f"load: {load['by_server']}, answers of others {load['crossed']}, errors {load['errors']} {load['error_samples']}")
    print(f"{'-'.join(dialect)}: client {client}, server {server}: {len(checks['checks'])} checks, "
          f"{load['answered']} calls of {LOAD_CONNECTIONS} clients, p50 {load['latency_us']['p50']} us, {len(bad)} wrong",
          flush=True)
    for words_of_it in bad:
        print(f"    {words_of_it}", flush=True)
    return len(bad)


def slow_serial(peers):
    """A server that answers one connection at a time is busy for 300 ms; another service's calls take no longer."""
    port = peers.ports["cpp", DIALECTS[0]]
    slow = peers.client("cpp", peers.serial, DIALECTS[0], scenario="load", method="slow", slow_ms=300, count=12)
    slow.wait_line('"calling"')
    quick = peers.client("cpp", port, DIALECTS[0], scenario="load", connections=4, count=100).result(30)
    beside = slow.running()
    report = slow.result(30)
    print(f"a serial server's calls of 300 ms: {report['answered']} answered; meanwhile another's p99 "
          f"{quick['latency_us']['p99']} us", flush=True)
    equal(report["answered"], 12, "slow calls answered")
    equal(quick["answered"], 400, "quick calls answered")
    check(beside, "the slow server held up another one's calls: they ended behind its own")


def body():
    build()
    with Lab(servers=1) as lab:
        peers = Peers(lab)
        peers.start()
        wrong = sum(pair(peers, client, server, dialect)
                    for dialect in DIALECTS for client in LANGUAGES for server in LANGUAGES)
        slow_serial(peers)
        equal(wrong, 0, "checks that failed")


if __name__ == "__main__":
    main(body)
