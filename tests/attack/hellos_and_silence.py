#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Somebody sends whole ClientHellos, on many connections, and nothing behind them: as many handshakes as a worker has at once would wait for
him. Others, who come by mutual TLS and in clear text meanwhile, get in and are answered; what he holds is given back. So is what is held
for a hello that never is whole.
"""

import json
import pathlib
import selectors
import socket
import ssl
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "smoke"))

from meltemi_lab import PATIENCE, Lab, check, equal, main, netns  # noqa: E402
from meltemi_lab.check import within  # noqa: E402
from meltemi_lab.meshed import CALLER, VIP, Mesh  # noqa: E402

MANY = 400
FROM = "192.0.2.9"


def hello():
    """The mesh's, as a client of OpenSSL's says it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["istio"])
    back, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(back, out, server_hostname="outbound_.20880_._.com.shop.quotes")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


class Silent(threading.Thread):
    """Has so many of them, all the time: for each that is ended there is another one."""

    def __init__(self, lab, words):
        super().__init__(daemon=True)
        self.lab, self.words, self.over, self.opened = lab, words, False, 0
        self.poll, self.held = selectors.DefaultSelector(), set()

    def _open(self):
        sock = socket.socket()
        sock.settimeout(PATIENCE)
        sock.bind((FROM, 0))
        sock.connect((VIP, 20880))
        sock.sendall(self.words)
        self.held.add(sock)
        self.poll.register(sock, selectors.EVENT_READ)
        self.opened += 1

    def _look(self, sock):
        try:
            if sock.recv(65536):
                return
        except OSError:
            pass
        self.poll.unregister(sock)
        self.held.discard(sock)
        sock.close()

    def run(self):
        with self.lab.inside("client"):
            while not self.over:
                while len(self.held) < MANY and not self.over:
                    self._open()
                for key, _events in self.poll.select(0.1):
                    self._look(key.fileobj)
        for sock in self.held:
            sock.close()


def half_a_hello(lab):
    sock = lab.connect("client", VIP, 20880)
    sock.sendall(hello()[:100])
    return sock


def is_ended(sock):
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def body():
    with Lab(servers=2) as lab:
        m = Mesh(lab)
        netns.run("ip", "-n", lab.namespace("client"), "addr", "add", f"{FROM}/24", "dev", "c0")
        m.daemon.start()
        with lab.inside("client"):
            m.sidecar("client", "client", CALLER, listen="127.0.0.1:20930", to=f"{VIP}:20880", alpn="istio", sni="outbound_.20880_._.com.shop.quotes")
        equal(m.calls(10, "127.0.0.1:20930")["failed"], 0, "calls before all that")
        half = half_a_hello(lab)
        silent = Silent(lab, hello())
        silent.start()
        within(5, lambda: m.daemon.counters().get("tls_later", 0) > 0, "handshakes have to wait", step=0.1)
        for round_ in range(3):
            for target in ("127.0.0.1:20930", f"{VIP}:20880"):
                report = m.calls(40, target, connections=10)
                equal((report["failed"], report["answered"]), (0, 40), f"calls by {target}, round {round_}")
        within(30, lambda: silent.opened > MANY + 50, "the silent ones are given up", step=0.2)
        silent.over = True
        silent.join(PATIENCE)
        within(12, lambda: is_ended(half), "half a hello is given up", step=0.2)
        shown = {row["name"] for row in json.loads(m.daemon.shell("--json", "show", "errors"))["errors"]}
        check({"proxy_chain_timeout", "tls_failed_timed_out"} <= shown, f"what is told of them: {shown}")
        within(10, lambda: m.daemon.show("identity")["handshakes"][0]["under_way"] == 0, "what they held is given back", step=0.2)
        check(m.calls(10, "127.0.0.1:20930")["failed"] == 0, "calls behind all that fail")


main(body)
