#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Every call is in one column, whatever became of it: answered, sent one-way, left by its client, or refused, one-way ones too; and the columns
of `show services`, /metrics and Istio's add up to the requests.
"""

import re
import socket
import struct

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.documents import service
from meltemi_lab.dubbo import reply, request
from meltemi_lab.streams import reset

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
LIMIT = f"""\
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {{name: limit}}
spec:
  hosts: [{HOST}]
  localRateLimit:
    conditions:
    - tokenBucket: {{fillInterval: 600s, maxTokens: 1, tokensPerFill: 1}}
      match: {{attributes: {{method: {{exact: limited}}}}}}
"""
TIMEOUT = 31  # status of a Dubbo reply
COLUMNS = ("ok", "app_errors", "protocol_errors", "local_replies", "client_closed", "reset", "oneway")


def serve(sock):
    """Answers whoever does not ask to hang, as far as an answer is wanted."""
    data = b""
    while more := sock.recv(65536):
        data += more
        while len(data) >= 16:
            _, flags, _, ident, length = struct.unpack(">HBBqI", data[:16])
            if len(data) < 16 + length:
                break
            message, data = data[16:16 + length], data[16 + length:]
            if flags & 0x40 and b"hang" not in message:
                sock.sendall(reply(ident, "done"))


def row(daemon):
    return daemon.show("services")["services"][0]


def scraped(daemon, name, *labels):
    text = daemon.http("/metrics")[1]
    found = [int(line.rsplit(" ", 1)[1]) for line in text.splitlines()
             if re.match(rf"{name}\{{", line) and all(label in line for label in labels)]
    return sum(found)


def all_over(daemon):
    now = row(daemon)
    return now["requests"] == sum(now[c] for c in COLUMNS) and now


def default_timeout(daemon, sock):
    """A call for which nothing specifies a time-out ends by the Node's, which a running node follows."""
    text = daemon.node.read_text().rstrip("\n") + "\n  defaults: {timeout: 1s}\n"
    daemon.node.write_text(text)
    wanted = f"else 1000 ms, spec.defaults.timeout of the Node, {daemon.node}:{text.count(chr(10))}"
    within(10, lambda: wanted in daemon.shell("explain", "protocol=dubbo", f"service={HOST}", "method=sayHello"), wanted)
    sock.sendall(request(30, "sayHello", ["hang"]))
    equal(sock.recv(1000)[3], TIMEOUT, "status of a call that hangs")
    newest = daemon.show("history")["history"][0]["what"]
    check("spec.defaults.timeout changed" in newest, f"the history says {newest}")


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 20880, serve):
        daemon = lab.meltemi(workers=2)
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.write("limit.yaml", LIMIT)
        daemon.start()
        sock = lab.connect("client", VIP, 20880)
        # All calls together are no more than the 16 that a worker keeps for `show slow`.
        for ident in range(3):
            sock.sendall(request(ident, "sayHello", ["a"]))
            sock.recv(1000)
        for ident in range(4):
            sock.sendall(request(10 + ident, "sayHello", ["a"], two_way=False))
        # One of them is let through; of the others two cannot be told.
        for ident in range(4):
            sock.sendall(request(20 + ident, "limited", ["a"], two_way=ident == 3))
        sock.recv(1000)
        # One client resets its connection while its calls wait, the other one closes it.
        for leave, calls in ((reset, 3), (socket.socket.close, 2)):
            impatient = lab.connect("client", VIP, 20880)
            for ident in range(calls):
                impatient.sendall(request(ident, "sayHello", ["hang"]))
            within(5, lambda n=calls: len(daemon.show("exchanges")["exchanges"]) == n, "calls that hang")
            leave(impatient)
            within(5, lambda: not daemon.show("exchanges")["exchanges"], "no call of a client that has left")
        now = within(5, lambda: all_over(daemon), f"columns that add up: {row(daemon)}")
        equal({c: now[c] for c in ("requests", *COLUMNS)},
              {"requests": 16, "ok": 3, "app_errors": 0, "protocol_errors": 0, "local_replies": 3, "client_closed": 5, "reset": 0,
               "oneway": 5}, "calls by their ends")
        equal(now["limited"], 3, "calls over the limit")
        # What went wrong but for limits, as the alert rules count it: never less than nothing.
        equal(scraped(daemon, "meltemi_service_local_replies_total"), scraped(daemon, "meltemi_service_limited_total"), "refusals")
        equal(scraped(daemon, "meltemi_service_client_closed_total"), 5, "clients that left, in /metrics")
        # The endpoint has no sidecar that reports the calls as destination.
        for reporter in ("source", "destination"):
            labels = (f'reporter="{reporter}"', 'destination_app="unknown"', 'destination_service_namespace="default"')
            equal(scraped(daemon, "istio_requests_total", *labels), 16, "calls in Istio's metric")
            equal(scraped(daemon, "istio_requests_total", *labels, 'response_flags="DC"'), 5, "clients that left, in Istio's metric")
            equal(scraped(daemon, "istio_requests_total", *labels, 'response_flags="RL"'), 3, "refusals in Istio's metric")
        status = sorted(call["status"] for call in daemon.show("slow")["slow"])
        equal(status.count("over_limit"), 3, f"refused ones among {status}")
        equal(status.count("oneway"), 5, f"one-way ones that were sent, among {status}")
        # A service whose calls hang and are left is one that fails.
        check(daemon.show("topology")["failures"] == 8, f"failures: {daemon.show('topology')['failures']}")
        default_timeout(daemon, sock)


main(body)
