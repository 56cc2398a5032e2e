#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A machine's clock that is set, by libfaketime for the daemon alone: two days ahead certificates have expired, two days back they are not valid
yet, of clients and of servers; each is refused and counted, what is open goes on, and when the clock is right again so is all else.
"""

import contextlib
import os
import pathlib
import re
import shutil
import ssl

from meltemi_lab import Lab, Skip, equal, main
from meltemi_lab.asking import ANSWERED, DUBBO, Callers, Servers, dubbo
from meltemi_lab.authority import Authority
from meltemi_lab.check import within

LIBRARY = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/how-to/tls.md"
NODE, QUOTES, CALLER = (f"spiffe://cluster.local/ns/{who}" for who in ("edge/sa/meltemi", "far/sa/quotes", "shop/sa/caller"))
NO_SERVER = "error: no endpoint could be reached"
# How the clock is: what a client gets, and what is counted of him and of a server.
CLOCKS = {
    "the clock is set ahead": ("+2d", "alert SSLV3_ALERT_CERTIFICATE_EXPIRED", "tls_failed_expired"),
    "the clock is set back": ("-2d", "alert SSLV3_ALERT_CERTIFICATE_EXPIRED", "tls_failed_expired"),
}
STRICT = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: strict, namespace: shop}
spec:
  hosts: [strict.shop]
  addresses: [240.240.1.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}]
  endpoints: [{address: 198.51.100.11}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
"""
FAR = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: s%(number)d, namespace: far}
spec:
  hosts: [s%(number)d.far]
  addresses: [240.240.2.%(number)d]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}]
  endpoints: [{address: 198.51.100.11, ports: {tcp-metaprotocol-dubbo: %(port)d}, serviceAccount: quotes, labels: {security.istio.io/tlsMode: istio}}]
---
"""


class Clock:
    """Of the daemon, as a file says; the test's own stays right."""

    def __init__(self, lab):
        self.file = lab.directory / "clock"
        self.set("+0")

    def set(self, text):
        scratch = self.file.with_suffix(".new")
        scratch.write_text(text + "\n")
        os.rename(scratch, self.file)

    @contextlib.contextmanager
    def for_who_starts(self):
        """Timers go by the clock that nobody sets."""
        words = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_CACHE_DURATION": "1",
                 "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1"}
        os.environ.update(words)
        try:
            yield
        finally:
            for word in words:
                del os.environ[word]


class Scene:
    def __init__(self, lab):
        self.lab, self.authority = lab, Authority(lab.directory / "ca")
        self.callers, self.daemon = Callers(lab, self.authority), lab.meltemi()
        folder = lab.directory / "identity"
        folder.mkdir()
        cert, key = self.authority.sign("node", f"URI:{NODE}")
        for source, name in ((key, "key.pem"), (cert, "cert-chain.pem"), (self.authority.roots, "root-cert.pem")):
            shutil.copyfile(source, folder / name)
        self.daemon.node.write_text(self.daemon.node.read_text().replace(
            "spec:\n", f"spec:\n  identity: {{directory: {folder}}}\n  mesh: {{namespace: edge, nodeIdentityUse: {{clients: [192.0.2.0/24]}}}}\n", 1))
        self.client = self._context(ssl.PROTOCOL_TLS_CLIENT, CALLER)

    def _context(self, side, name):
        c = ssl.SSLContext(side)
        c.check_hostname = False
        c.verify_mode = ssl.CERT_REQUIRED
        c.load_verify_locations(self.authority.roots)
        c.set_alpn_protocols(["istio"])
        c.load_cert_chain(*self.authority.sign(name.rsplit("/", 1)[1], f"URI:{name}"))
        return c

    def server(self, servers):
        context = self._context(ssl.PROTOCOL_TLS_SERVER, QUOTES)

        def handle(sock):
            with contextlib.suppress(OSError):
                servers.dubbo(context.wrap_socket(sock, server_side=True))
        return handle

    def by(self):
        """A client of the mesh, by a connection of its own."""
        return self.callers.ask(dubbo, ("240.240.1.1", DUBBO), "get", tls=self.client)

    def far(self, number):
        """A client in clear text, to a server of the mesh."""
        return self.callers.ask(dubbo, (f"240.240.2.{number}", DUBBO), "get")

    def counted(self, name):
        return self.daemon.counters()[name]


def jumped(s, clock, number, name):
    """The clock is not as it was: nobody new gets in or out."""
    text, wanted, counter = CLOCKS[name]
    before = s.counted(counter)
    clock.set(text)
    within(10, lambda: s.by() == wanted, f"{name}: a client gets {wanted}", step=0.2)
    within(5, lambda: s.counted(counter) > before, f"{name}: a client is counted")
    before = s.counted(counter)
    equal(s.far(number), NO_SERVER, f"{name}: what a client of a server gets")
    within(5, lambda: s.counted(counter) > before, f"{name}: a server is counted")


def right(s, clock, number):
    clock.set("+0")
    within(10, lambda: s.by() == ANSWERED, "the clock is right again: a client", step=0.2)
    within(10, lambda: s.far(number) == ANSWERED, "the clock is right again: a server", step=0.2)


def body():
    if not LIBRARY:
        raise Skip("libfaketime is not installed")
    if os.environ.get("MELTEMI_SLOW"):
        raise Skip("AddressSanitizer wants to be loaded first")
    with Lab(servers=1) as lab, Servers(lab, "server1") as servers, contextlib.ExitStack() as stack:
        s, clock = Scene(lab), Clock(lab)
        for number in range(3):
            stack.enter_context(lab.listening("server1", 15000 + number, s.server(servers)))
        s.daemon.write("services.yaml", STRICT + "".join(FAR % {"number": number, "port": 15000 + number} for number in range(3)))
        s.daemon.leaves("errors", "the node's own certificate is judged by that clock, too", "the last good identity stays in use")
        s.daemon.options = ["--no-seccomp"]  # libfaketime reads its file in each thread that asks for the time
        with clock.for_who_starts():
            s.daemon.start()
        equal((s.by(), s.far(0)), (ANSWERED, ANSWERED), "who is good")
        kept = stack.enter_context(s.callers.connect(("240.240.1.1", DUBBO), tls=s.client))
        equal(dubbo(kept, "get"), ANSWERED, "a connection that stays")
        for number, name in enumerate(CLOCKS, 1):
            jumped(s, clock, number, name)
            equal((dubbo(kept, "get"), s.far(0)), (ANSWERED, ANSWERED), f"{name}: what is open, on both sides")
            right(s, clock, number)
        rows = dict(re.findall(r"^\| ([^|]+?) \| [^|]+ \| `(\w+)` \|", PAGE.read_text(), re.M))
        equal({name: rows.get(name) for name in CLOCKS}, {name: row[2] for name, row in CLOCKS.items()}, f"rows in {PAGE.name}")


main(body)
