#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A mirror gets a copy of each call, or of a share of them, byte for byte but for the id, and the clients get their own servers' answers
and nothing else: with Dubbo ends, with those of the Apache Thrift library, of ordinary and of one-way calls. `explain` and the
counters say so. Calls do not notice a mirror that is slow, stops, or is not there; SIGTERM does not wait for copies.
"""

import collections
import threading
import time

from meltemi_lab import Lab, becomes, check, dubbo, equal, main, within
from meltemi_lab.documents import service, subsets

HOST, VIP = "com.shop.books", "240.240.1.1"
CALLS = 1000

RULE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: books}}
spec:
  hosts: [{host}]
  http:
  - name: all
    route:
    - destination: {{host: {host}, subset: v1}}
    mirror: {{host: {host}, subset: v2}}
    mirrorPercentage: {{value: {percent}}}
    timeout: {timeout}
"""


class Server:
    """Answers Dubbo calls with its name, and keeps what it was sent, without the ids."""

    def __init__(self, name, silent=False):
        self.name, self.silent, self.seen, self.lock = name, silent, collections.Counter(), threading.Lock()

    def __call__(self, sock):
        rest = b""
        while data := sock.recv(1 << 16):
            rest, answers = self._answers(rest + data)
            sock.sendall(b"".join(answers))
        sock.close()

    def _answers(self, data):
        answers, at = [], 0
        while len(data) - at >= 16:
            flags, ident, length = data[at + 2], int.from_bytes(data[at + 4:at + 12], "big"), int.from_bytes(data[at + 12:at + 16], "big")
            if len(data) - at < 16 + length:
                break
            body = data[at:at + 4] + data[at + 12:at + 16 + length]
            at += 16 + length
            if flags & 0x20:
                answers.append(dubbo.frame(0x20, 20, ident, b"N"))
                continue
            with self.lock:
                self.seen[body] += 1
            if not self.silent:
                answers.append(dubbo.reply(ident, f"hello from {self.name}"))
        return data[at:], answers

    def count(self):
        with self.lock:
            return sum(self.seen.values())


def documents(lab, protocol, port, percent, timeout="60s"):
    """The time-out is long: calls that a slow machine could not answer within it would be refused at once."""
    lab.daemon.write("service.yaml", service(HOST, VIP, port, f"tcp-metaprotocol-{protocol}",
                                             [(lab.server(1), port, {"version": "v1"}), (lab.server(2), port, {"version": "v2"})]))
    lab.daemon.write("subsets.yaml", subsets(HOST, ["v1", "v2"]))
    lab.daemon.write("rule.yaml", RULE.format(host=HOST, percent=percent, timeout=timeout))


def ask(lab, count):
    """So many Dubbo calls, each with another argument; their answers are the calls' own server's."""
    sock = lab.connect("client", VIP, 20880)
    rest, wanted = b"", {}
    began = time.monotonic()
    for ident in range(count):
        sock.sendall(dubbo.request(ident, "sayHello", [f"n{ident}"], interface=HOST))
        wanted[ident] = True
    while wanted:
        data = sock.recv(1 << 16)
        check(data, "the connection ended")
        rest += data
        while len(rest) >= 16 and len(rest) >= 16 + (length := int.from_bytes(rest[12:16], "big")):
            ident = int.from_bytes(rest[4:12], "big")
            equal(rest[3], 20, f"status of call {ident}")
            equal(dubbo.parse_reply(rest[3], rest[16:16 + length]), "hello from v1", f"answer to call {ident}")
            check(wanted.pop(ident, False), f"a second answer to call {ident}")
            rest = rest[16 + length:]
    equal(rest, b"", "bytes behind the answers")
    sock.close()
    return time.monotonic() - began


def counted(lab):
    return {name.removeprefix("proxy_"): value for name, value in lab.daemon.counters().items() if "mirror_" in name}


def dubbo_ends():
    own, mirror = Server("v1"), Server("mirror")
    with Lab(servers=2) as lab, lab.listening("server1", 20880, own), lab.listening("server2", 20880, mirror):
        lab.meltemi()
        documents(lab, "dubbo", 20880, 100)
        lab.daemon.start()
        told = lab.daemon.shell("explain", "protocol=dubbo", f"service={HOST}", "method=sayHello")
        check(f"100 % are copied to outbound|20880|v2|{HOST}" in told, f"explain says\n{told}")
        routes = lab.daemon.show("routes")["routes"]
        check(f"; 100 % copied to outbound|20880|v2|{HOST}" in routes[0]["destinations"], f"show routes: {routes[0]}")
        ask(lab, CALLS)
        within(5, lambda: mirror.count() == CALLS, "all copies are at the mirror")
        equal(mirror.seen, own.seen, "what the mirror and the server were sent")
        within(5, lambda: counted(lab)["mirror_answered"] == CALLS, "all copies are answered")
        documents(lab, "dubbo", 20880, 25)
        lab.daemon.shell("reload")
        before = mirror.count()
        ask(lab, CALLS)
        within(5, lambda: counted(lab)["mirror_answered"] == counted(lab)["mirror_started"], "all copies are answered")
        copies = mirror.count() - before
        print(f"25 %: {copies} of {CALLS} calls are copied; {counted(lab)}", flush=True)
        check(180 <= copies <= 320, f"{copies} copies of {CALLS} calls")  # 5 standard deviations
        equal(counted(lab)["mirror_started"], CALLS + copies, "copies that were counted")
        equal(lab.daemon.counters()["proxy_exchange_started"], 2 * CALLS, "calls that were counted")


def silent_mirror():
    own, mirror = Server("v1"), Server("mirror", silent=True)
    with Lab(servers=2) as lab, lab.listening("server1", 20880, own), lab.listening("server2", 20880, mirror):
        lab.meltemi()
        documents(lab, "dubbo", 20880, 100, timeout="2s")
        lab.daemon.start()
        took = ask(lab, 100)
        print(f"silent: 100 calls are answered in {took:.3f} s; {counted(lab)}", flush=True)
        within(5, lambda: counted(lab)["mirror_failed"] == 100, "all copies have failed")
        version = lab.daemon.show("config")["version"]
        documents(lab, "dubbo", 20880, 100)  # copies that no server answers wait for long
        within(10, lambda: lab.daemon.show("config")["version"] > version, "the longer time-out is in force")
        ask(lab, 10)
        becomes(lambda: counted(lab)["mirror_started"], 110, "copies")
        began = time.monotonic()
        equal(lab.daemon.stop(), 0, "exit status")
        check(time.monotonic() - began < 25, "SIGTERM waited for copies")


def no_mirror():
    own = Server("v1")
    with Lab(servers=2) as lab, lab.listening("server1", 20880, own):
        lab.meltemi()
        documents(lab, "dubbo", 20880, 100)
        lab.daemon.start()
        ask(lab, 100)
        within(5, lambda: counted(lab)["mirror_failed"] + counted(lab)["mirror_no_endpoint"] == 100, "no copy is answered")
        equal(own.count(), 100, "calls at their server")


def taken(lab, number):
    """One-way calls that this server's own Thrift library has had, asked from beside it."""
    return lab.python(f"server{number}", f"taken{time.monotonic()}", "interop/thrift/client.py", "--target", "127.0.0.1:9090",
                      "--scenario", "taken").result()["taken"]


def thrift_ends():
    with Lab(servers=2) as lab:
        for number, tag in ((1, "v1"), (2, "v2")):
            lab.thrift_server(number, tag).wait_line("ready")
        lab.meltemi()
        documents(lab, "thrift", 9090, 100)
        lab.daemon.start()
        report = lab.thrift_client(f"{VIP}:9090", connections=4, count=100).result()
        equal(report["by_server"], {"v1/s1": 400}, "answers")
        equal((report["failed"], report["crossed"]), (0, 0), "failed, others' answers")
        within(5, lambda: counted(lab)["mirror_answered"] == 400, "each call is copied")
        report = lab.thrift_client(f"{VIP}:9090", scenario="notes", notes=100, calls=50).result()
        equal(report, {"answered": 50, "wrong": [], "failed": []}, "calls behind one-way ones")
        within(5, lambda: taken(lab, 2) == 100, "one-way calls are copied")
        becomes(lambda: taken(lab, 1), 100, "one-way calls at their server")
        becomes(lambda: [counted(lab)[name] for name in ("mirror_answered", "mirror_oneway")], [450, 100], "copies")


def body():
    dubbo_ends()
    silent_mirror()
    no_mirror()
    thrift_ends()


main(body)
