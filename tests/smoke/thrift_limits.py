#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The talks' rate-limit document: of calls made at once, 2 sayHello and 5 others are answered, the rest refused natively
without closing the connection; after 10 s exactly 2 more sayHello. With 1 and 2 workers, with 1 and 4 clients.
Then one of the servers is stopped under calls without a limit, and under opaque connections: health, `show endpoints` and metrics name it until it
goes on.
"""

import re
import signal
import socket
import struct
import time

from meltemi_lab import TESTS, Lab, check, equal, main, within
from meltemi_lab.documents import service

TARGET = "240.240.0.20:9090"
INTERNAL_ERROR = "application-6"
STOPPED, SLOW, OPAQUE = ("stopped.example", "240.240.9.1"), ("slow.example", "240.240.9.2"), ("opaque.example", "240.240.9.3")
WAIT = 4  # calls of as many clients
CALL_VERSION, STRING, I32 = 0x80010001, 11, 8


def calls(lab, method, clients, admitted):
    report = lab.thrift_client(TARGET, method=method, connections=clients, count=10).result()
    print(f"    {method}: {report['answered']} of {10 * clients} answered, errors {report['errors']}", flush=True)
    equal(report["answered"], admitted, f"{method} answered")
    equal(report["errors"], {INTERNAL_ERROR: 10 * clients - admitted}, f"{method} refused")
    equal(report["reopened"], 0, "connections closed by a refusal")
    check(report["seconds"] < 5.0, f"the calls took {report['seconds']} s: no longer the same interval of 10 s")


def limits(workers, clients, then=None):
    print(f"{workers} worker(s), {clients} client(s)", flush=True)
    with Lab(servers=2) as lab:
        servers = [lab.thrift_server(number, f"v{number}") for number in (1, 2)]
        for server in servers:
            server.wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks", workers=workers)
        for (host, vip), number in ((STOPPED, 1), (SLOW, 2)):
            daemon.write(f"{host}.yaml", service(host, vip, 9090, "tcp-metaprotocol-thrift", [(lab.server(number), 9090, {})]))
        daemon.write("opaque.yaml", service(*OPAQUE, 9090, "tcp", [(lab.server(1), 9090, {})]))
        daemon.start()
        calls(lab, "sayHello", clients, 2)
        began = time.monotonic()
        calls(lab, "sayGoodbye", clients, 5)
        time.sleep(max(0, began + 10.3 - time.monotonic()))
        calls(lab, "sayHello", clients, 2)
        calls(lab, "sayGoodbye", clients, 0)
        within(5, lambda: len(refusals(daemon)) == 2, f"one line for each of the two limits: {refusals(daemon)}")
        check(all("level=warn module=worker" in line for line in refusals(daemon)), f"a warning each: {refusals(daemon)}")
        if then:
            then(lab, daemon, servers)


def refusals(daemon):
    return [line for line in daemon.process.errors().splitlines() if " refuses calls: more than " in line]


# ---- a server that is stopped --------------------------------------------------------------------------------------------------


def send(sock, method, kind, argument):
    """A framed call of Thrift's binary protocol."""
    name = method.encode()
    body = struct.pack(">II", CALL_VERSION, len(name)) + name + struct.pack(">ibh", 7, kind, 1) + argument + b"\0"
    sock.sendall(struct.pack(">I", len(body)) + body)


def hello(sock):
    send(sock, "sayHello", STRING, struct.pack(">I", 2) + b"me")


def answer(sock):
    data = sock.recv(4, 0x100)  # MSG_WAITALL
    return sock.recv(struct.unpack(">I", data)[0], 0x100)


def long_calls(daemon):
    return {row["about"].split("|")[-1].split(".svc")[0]: row for row in daemon.show("health")["health"] if row["check"] == "answers" and row["about"]}


def shown(daemon, host):
    """(health, waiting, oldest_call_ms) of the only endpoint, and its metric in seconds."""
    row = next(row for row in daemon.show("endpoints")["endpoints"] if host in row["cluster"])
    metric = re.search(rf'^meltemi_endpoint_oldest_call_seconds{{cluster="[^"]*{host}[^"]*",endpoint="{row["endpoint"]}"}} (\S+)$',
                       daemon.http("/metrics")[1], re.M)
    return row["health"], row["waiting"], row["oldest_call_ms"], float(metric[1])


def stopped(lab, daemon, servers):
    """Four calls wait for a server that is stopped; beside it one call of a server is slow, while others are answered."""
    at = {host: f"{lab.server(number)}:9090" for (host, _), number in ((STOPPED, 1), (SLOW, 2))}
    clients = [lab.connect("client", STOPPED[1], 9090) for _ in range(WAIT)]
    opaque = [lab.connect("client", OPAQUE[1], 9090) for _ in range(2)]
    slow, quick = (lab.connect("client", SLOW[1], 9090) for _ in range(2))
    for sock in clients + opaque + [quick]:
        hello(sock)
        check(b"hello me" in answer(sock), "no answer while all is well")
    equal((long_calls(daemon), shown(daemon, STOPPED[0])), ({}, ("ok", 0, 0, 0)), "what is shown while all is well")
    servers[0].pause()
    for sock in clients + opaque:
        hello(sock)
    send(slow, "slow", I32, struct.pack(">i", 120_000))

    def beside():
        """The other server answers a call, so that it is not silent in what is shown next."""
        hello(quick)
        check(b"hello me" in answer(quick), "no answer of the server with the slow call")
        return long_calls(daemon)

    def hangs(host, words):
        """A note becomes a warning after 10 s without a byte of the server."""
        row = beside().get(host)
        told = row and re.fullmatch(rf"{words}; it has sent nothing for (\d+) s", row["words"])
        check(not row or told and row["state"] == ("warning" if int(told[1]) >= 10 else "note"), f"shown of {host}: {row}")
        return row and row["state"] == "warning"

    within(15, lambda: hangs(STOPPED[0], rf"{WAIT} calls wait at {at[STOPPED[0]]}, the oldest for \d+ s"), "a warning that names the server", step=0.5)
    within(15, lambda: hangs(OPAQUE[0], rf"2 connections wait at {at[STOPPED[0]]} for an answer"), "a warning of the opaque service", step=0.5)
    within(15, lambda: re.fullmatch(rf"1 call waits at {at[SLOW[0]]}, the oldest for \d+ s", beside().get(SLOW[0], {"words": ""})["words"]),
           "a note of the slow call only, beside calls that are answered", step=0.5)
    for host, n in ((STOPPED[0], WAIT), (OPAQUE[0], 2)):
        health, waiting, oldest_ms, seconds = shown(daemon, host)
        check(re.fullmatch(r"silent for \d+ s", health) and waiting == n and oldest_ms >= 10_000 and seconds >= 10,
              f"shown of {host}: {health}, {waiting}, {oldest_ms} ms, {seconds} s")
    check(daemon.ready(), "a server that hangs makes the node not ready")
    servers[0].kill(signal.SIGCONT)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    slow.close()  # by a reset: after a FIN the client could still read the reply
    for sock in clients + opaque:
        sock.settimeout(60)
        check(len(answer(sock)) > 10, "no answer when it goes on")
    within(10, lambda: not long_calls(daemon) and {shown(daemon, host) for host, _ in (STOPPED, OPAQUE)} == {("ok", 0, 0, 0)},
           "nothing is shown of it any more", step=0.2)


def body():
    limits(workers=1, clients=1)
    limits(workers=2, clients=4, then=stopped)


main(body)
