#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
`meltemi drain` empties a node without a failed call: Dubbo clients get READONLY, Thrift clients that go on calling are closed between two
calls, new clients are served, and opaque connections go on. `return` ends that. `drain listener` and `drain service` do the same for their
clients alone. spec.drain, which is followed without a restart, is the time of a drain by SIGTERM and what happens then: connections that are
left are reset, or the daemon waits for their end.
"""

import json
import signal
import socket
import time

from meltemi_lab import PATIENCE, Failure, Lab, check, dubbo, equal, main, streams, within
from meltemi_lab.documents import service

DUBBO, THRIFT, OPAQUE = ("calls.example", "240.240.1.1", 20880), ("hello.example", "240.240.1.2", 9090), ("bytes.example", "240.240.1.3", 7000)
HEADER, EVENT = 16, 0x20
SECONDS = 6  # of the drain; clients that go on calling are closed after a third
CLIENTS = 4


def documents(lab, daemon):
    daemon.write("calls.yaml", service(*DUBBO, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
    daemon.write("hello.yaml", service(*THRIFT, "tcp-metaprotocol-thrift", [(lab.server(2), 9090, {})]))
    daemon.write("bytes.yaml", service(*OPAQUE, "tcp", [(lab.server(1), 7000, {})]))


def drains(daemon, seconds, then):
    """The Node's setting from now on."""
    text = daemon.node.read_text().split("  drain:")[0]
    daemon.node.write_text(f"{text}  drain: {{time: {seconds}s, then: {then}}}\n")
    if daemon.process and daemon.process.running():
        changed = daemon.shell("reload")
        check("need a restart" not in changed, f"a reload: {changed}")


def clients(daemon, port):
    rows = json.loads(daemon.shell("--json", "show", "connections", "where", "side=client", f"dport={port}"))["connections"]
    return {row["id"] for row in rows}


def frame(sock):
    head = sock.recv(HEADER, socket.MSG_WAITALL)
    return head, sock.recv(int.from_bytes(head[12:16]), socket.MSG_WAITALL) if head else b""


def call(sock, number):
    """A Dubbo call is answered."""
    sock.sendall(dubbo.request(number, "sayHello", ["x"], interface="org.apache.dubbo.samples.basic.api.DemoService"))
    head, _ = frame(sock)
    equal((head[2] & EVENT, head[3]), (0, 20), "a reply and its status")


def echoes(sock):
    sock.sendall(b"here")
    equal(sock.recv(4, socket.MSG_WAITALL), b"here", "an opaque connection")


def readonly(sock):
    head, body = frame(sock)
    check(head[2] & EVENT and body == b"\x01R", f"READONLY: {head} {body}")


def thrift_clients(lab, daemon):
    """They keep their connections and go on calling. Returns their program."""
    thrift = lab.thrift_client(f"{THRIFT[1]}:{THRIFT[2]}", connections=CLIENTS, count=1 << 30, pause_ms=20, again=1, timeout_ms=30000)
    thrift.wait_line("calling")
    within(PATIENCE, lambda: len(clients(daemon, THRIFT[2])) == CLIENTS, "Thrift clients")
    return thrift


def drained(daemon):
    """The listeners that `show listeners` calls drained, and the addresses of warnings in `show health`."""
    rows = [row for row in daemon.show("listeners")["listeners"] if row["reason"] == "drained by an operator: clients leave"]
    warned = [row["about"] for row in daemon.show("health")["health"] if "drains this listener" in row["words"]]
    return {f"{row['address']}:{row['port']}" for row in rows}, set(warned)


def by_name(lab, daemon):
    """Clients of a drained listener and of a drained service leave, new ones are served and have to leave later, all others stay."""
    told, opaque = lab.connect("client", *DUBBO[1:]), lab.connect("client", *OPAQUE[1:])
    call(told, 1)
    echoes(opaque)
    before, refused_before = clients(daemon, THRIFT[2]), daemon.counters()["proxy_down_draining"]
    daemon.shell("drain", "listener", f"{DUBBO[1]}:{DUBBO[2]}")
    readonly(told)
    equal(told.recv(1), b"", "the end of the notified connection")
    late = lab.connect("client", *DUBBO[1:])
    call(late, 2)
    within(PATIENCE, lambda: clients(daemon, DUBBO[2]), "a new client of the drained listener")
    equal(clients(daemon, THRIFT[2]), before, "clients of another listener")
    daemon.shell("drain", "service", THRIFT[0])
    addresses = {f"{name[1]}:{name[2]}" for name in (DUBBO, THRIFT)}
    equal(drained(daemon), (addresses, addresses), "what is drained")
    equal(daemon.http("/ready")[0], 200, "/ready")
    readonly(late)
    within(PATIENCE, lambda: not clients(daemon, THRIFT[2]) & before, "Thrift clients are closed between two calls")
    echoes(opaque)
    daemon.shell("return", "listener", f"{DUBBO[1]}:{DUBBO[2]}")
    daemon.shell("return", "service", THRIFT[0])
    equal(drained(daemon), (set(), set()), "what is drained after `return`")
    equal(daemon.counters()["proxy_down_draining"], refused_before, "clients refused")
    opaque.close()


def by_command(lab, daemon):
    told, opaque = lab.connect("client", *DUBBO[1:]), lab.connect("client", *OPAQUE[1:])
    call(told, 1)
    echoes(opaque)
    before = clients(daemon, THRIFT[2])
    daemon.shell("drain")
    equal(daemon.http("/ready"), (503, "draining\n"), "/ready")
    readonly(told)
    equal(told.recv(1), b"", "the end of the notified connection")
    within(PATIENCE, lambda: not clients(daemon, THRIFT[2]) & before, "Thrift clients are closed between two calls")
    late = lab.connect("client", *DUBBO[1:])
    call(late, 2)
    echoes(opaque)
    opaque.close()
    with lab.connect("client", *OPAQUE[1:]) as opaque:
        echoes(opaque)
    daemon.shell("return")
    equal(daemon.http("/ready")[0], 200, "/ready after `return`")
    check("closing after" not in daemon.process.errors(), "the node closed")
    within(PATIENCE, lambda: stays(daemon), "clients stay after `return`", step=0.1)


def without_failed_calls(thrift):
    thrift.kill(signal.SIGTERM)
    report = thrift.result()
    print(f"Thrift: {report['answered']} calls, {report['reopened']} connections again", flush=True)
    equal((report["failed"], report["errors"], report["crossed"]), (0, {}, 0), f"Thrift calls that failed: {report['error_samples']}")
    check(report["reopened"] >= 2 * CLIENTS, "Thrift clients did not connect again")


def stays(daemon):
    """For longer than the part of the time after which a drain closes clients; those that were notified before have left by then."""
    before = clients(daemon, THRIFT[2])
    time.sleep(SECONDS / 2)
    return clients(daemon, THRIFT[2]) == before


def waits(lab, daemon):
    """An opaque connection keeps the daemon, which serves new clients meanwhile."""
    drains(daemon, 3, "wait")
    opaque = lab.connect("client", *OPAQUE[1:])
    echoes(opaque)
    daemon.process.popen.send_signal(signal.SIGTERM)
    daemon.wait_log("not drained after 3 s: waits for calls and opaque connections")
    echoes(opaque)
    late = lab.connect("client", *DUBBO[1:])
    call(late, 3)
    late.close()
    check("a signal ends the daemon" in refused(daemon, "return"), "`return` after a signal")
    equal(daemon.process.popen.poll(), None, "exit status while it waits")
    opaque.close()
    equal(daemon.process.popen.wait(PATIENCE), 0, "exit status")
    log = daemon.process.errors()
    check("closing after" in log and "drained after" in log and "are left are reset" not in log, f"the end of the wait: {log}")


def refused(daemon, command):
    """What the shell's error is."""
    try:
        daemon.shell(command)
    except Failure as error:
        return str(error)
    return "it is not refused"


def resets(lab, daemon):
    drains(daemon, 3, "reset")
    opaque = lab.connect("client", *OPAQUE[1:])
    echoes(opaque)
    equal(daemon.stop(), 0, "exit status")
    check("not drained after 3 s: connections that are left are reset" in daemon.process.errors(), f"the reset: {daemon.process.tail()}")
    try:
        equal(opaque.recv(1), None, "what the opaque connection has")
    except ConnectionResetError:
        pass


def body():
    with Lab(servers=2) as lab, lab.listening("server1", 7000, streams.echo):
        lab.dubbo_server(1, "v1").wait_line("ready")
        lab.thrift_server(2, "v1").wait_line("ready")
        daemon = lab.meltemi()
        documents(lab, daemon)
        drains(daemon, SECONDS, "reset")
        daemon.start()
        thrift = thrift_clients(lab, daemon)
        by_name(lab, daemon)
        by_command(lab, daemon)
        without_failed_calls(thrift)
        waits(lab, daemon)
        daemon.start()
        resets(lab, daemon)


main(body)
