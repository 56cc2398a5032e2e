#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Thrift with `multiplexing: true` and real peers: clients in Python and C++, 8 connections each, share at most 2
connections to a server, and each call is answered with its own argument. The servers answer in order (threaded,
nonblocking) or as calls end (unordered); some clients give up and leave calls behind. Before the document is there, the
same service takes a connection for each call in flight.
"""

import collections
import itertools
import subprocess
import threading

from test_pairs import LANGUAGES, build, program, words

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.documents import service

VIP = "240.240.2.1"
CONNECTIONS, COUNT = 8, 150  # of each client; calls of each connection
MULTIPLEXING = """\
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: ApplicationProtocol
metadata: {name: thrift}
spec: {protocol: thrift, codec: aeraki.meta_protocol.codec.thrift, multiplexing: true}
"""

_serial = itertools.count(1)
Server = collections.namedtuple("Server", "port language kind transport protocol")
SERIAL = Server(9100, "cpp", "threaded", "framed", "binary")
SERVERS = (Server(9101, "cpp", "threaded", "framed", "binary"), Server(9102, "cpp", "threaded", "unframed", "compact"),
           Server(9103, "cpp", "nonblocking", "framed", "compact"), Server(9104, "py", "threaded", "header", "binary"),
           Server(9105, "py", "unordered", "framed", "binary"), Server(9106, "py", "unordered", "framed", "compact"))


class Watch:
    """The most connections that a server's kernel had at one time, looked at every 20 ms."""

    def __init__(self, lab, port):
        self.argv = ["ip", "netns", "exec", lab.namespace("server1"), "ss", "-Htn", "state", "established", f"sport = :{port}"]
        self.most, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while not self.over.wait(0.02):
            found = subprocess.run(self.argv, text=True, capture_output=True, check=False)
            self.most = max(self.most, len(found.stdout.splitlines()))

    def end(self):
        self.over.set()
        self.thread.join()
        return self.most


def clients(lab, server, **options):
    """One client of each language, both at once: their reports."""
    made = [lab.run("client", f"{language}-{server.port}-{next(_serial)}", program(language, "client") + words(
        target=f"{VIP}:{server.port}", transport=server.transport, protocol=server.protocol, connections=CONNECTIONS, **options))
        for language in LANGUAGES]
    return [client.result(60) for client in made]


def shared(lab, server):
    """Everybody is answered, with what is his, over at most two connections."""
    watch = Watch(lab, server.port)
    reports = clients(lab, server, count=COUNT)
    most = watch.end()
    answered = sum(report["answered"] for report in reports)
    print(f"{server.language} {server.kind} {server.transport} {server.protocol}: {answered} calls of "
          f"{len(reports) * CONNECTIONS} clients, at most {most} connections", flush=True)
    for report in reports:
        equal((report["answered"], report["failed"], report["crossed"]), (CONNECTIONS * COUNT, 0, 0),
              f"answered, failed and crossed ({report['errors']} {report['error_samples']})")
    check(1 <= most <= 2, f"the server had {most} connections at one time")


def impatient(lab, server):
    """Clients that leave in the middle of calls: their late replies reach nobody, and others get their own."""
    leaving = threading.Thread(target=lambda: hasty.extend(clients(lab, server, count=40, timeout_ms=4)))
    hasty = []
    leaving.start()
    shared(lab, server)
    leaving.join()
    print(f"    beside {sum(report['failed'] for report in hasty)} calls that their clients gave up", flush=True)
    check(sum(report["failed"] for report in hasty) > 20, "hardly a client lost patience")
    equal(sum(report["crossed"] for report in hasty), 0, "answers of others")


def body():
    build()
    with Lab(servers=1) as lab:
        started = {server: lab.run("server1", f"server-{server.port}", program(server.language, "server") + words(
            port=server.port, transport=server.transport, protocol=server.protocol, kind=server.kind, tag=server.kind,
            id=server.port, delay=8 if server.kind == "unordered" else 0)) for server in (SERIAL, *SERVERS)}
        for process in started.values():
            process.wait_line('"ready"', 30)
        daemon = lab.meltemi()
        for server in started:
            daemon.write(f"{server.port}.yaml", service(f"thrift{server.port}.interop", VIP, server.port,
                                                        "tcp-metaprotocol-thrift", [(lab.server(1), server.port, {})]))
        daemon.start()
        watch = Watch(lab, SERIAL.port)
        clients(lab, SERIAL, count=COUNT)
        most = watch.end()
        print(f"one call at a time on a connection: {most} connections", flush=True)
        check(most > 4, f"{2 * CONNECTIONS} clients took only {most} connections without multiplexing")

        daemon.write("multiplexing.yaml", MULTIPLEXING)
        daemon.shell("reload")
        for server in SERVERS:
            shared(lab, server)
        impatient(lab, SERVERS[-1])
        for server, process in started.items():
            if server.kind == "unordered":
                process.stop()
                overtaken = process.result()["overtaken"]
                print(f"the server on {server.port} answered {overtaken} calls before older ones", flush=True)
                check(overtaken > 100, "it answered in order")


main(body)
