#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What goes wrong in TLS: certificates that are expired, revoked, of other authorities, names and trust domains, or not there; clocks that
differ; other versions and ciphers; rubbish and clear text. For each, what the other side sees, that no call gets through, and what
`show errors` counts: as the table in docs/how-to/tls.md has it, in which each row here stands.
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import warnings

from meltemi_lab import PATIENCE, Lab, check, equal, main
from meltemi_lab.asking import ANSWERED, DUBBO, RESET, Callers, Servers, dubbo, read
from meltemi_lab.authority import Authority
from meltemi_lab.check import within

INFO = {"tls_alert_out", "tls_alert_in", "tls_no_close_notify"}  # they may be anybody's right, and are in `show counters` alone
SPOILED = "a spoiled record later"
# What a call that comes to no server counts as well.
BESIDE = {"proxy_up_connect_failed", "proxy_up_reset", "proxy_reply_no_endpoint", "proxy_reply_conn_lost", "tls_alert_in", "tls_timed_out",
          "tls_no_close_notify"}
# By TLS 1.3 the server's alert comes after the node's side of the handshake is complete: behind the call, or before it is sent.
LATE_REFUSAL = ("error: handshake failed", "error: no endpoint could be reached")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/how-to/tls.md"
STRICT, GATE = ("240.240.1.1", DUBBO), "192.0.2.1"
NODE, QUOTES = "spiffe://cluster.local/ns/edge/sa/meltemi", "spiffe://cluster.local/ns/far/sa/quotes"

DOCUMENTS = """apiVersion: networking.istio.io/v1
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
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: open, namespace: other}
spec:
  hosts: [open.other]
  addresses: [240.240.1.2]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}]
  endpoints: [{address: 198.51.100.11}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: edge}
spec:
  selector: {}
  servers:
  - {port: {number: 8443, name: tcp-metaprotocol-dubbo, protocol: TLS}, hosts: ['*.example'], tls: {mode: MUTUAL, credentialName: pair}}
  - {port: {number: 8444, name: tcp-metaprotocol-dubbo, protocol: TLS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: pair, subjectAltNames: [partner.example]}}
  - {port: {number: 8445, name: tcp-metaprotocol-dubbo, protocol: TLS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: stale}}
---
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {name: edge, namespace: edge}
spec: {hosts: [open.other], gateways: [edge], routes: [{route: [{destination: {host: open.other}}]}]}
---
"""
MESHED = """apiVersion: networking.istio.io/v1
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


class Troubles:
    def __init__(self, lab):
        self.lab = lab
        self.ours, self.others = (Authority(lab.directory / name) for name in ("ours", "others"))
        self.callers = Callers(lab, self.ours)
        self.daemon = lab.meltemi()
        folder = self.folder = lab.directory / "identity"
        folder.mkdir()
        self.identify()
        node = self.daemon.node.read_text()
        self.daemon.node.write_text(node.replace(
            "spec:\n", f"spec:\n  identity: {{directory: {folder}}}\n  mesh: {{namespace: edge, nodeIdentityUse: {{clients: [192.0.2.0/24]}}}}\n", 1))
        self.revoked = self.ours.sign("revoked", "URI:spiffe://cluster.local/ns/shop/sa/gone")
        self.daemon.write("pair.json", json.dumps(self.secret("pair", self.ours.revoked(self.revoked[0]))))
        self.daemon.write("stale.json", json.dumps(self.secret("stale", self.ours.revoked(stale=True))))

    def identify(self, **more):
        cert, key = self.ours.sign(f"node-{os.urandom(4).hex()}", f"URI:{NODE}", **more)
        for source, name in ((key, "key.pem"), (cert, "cert-chain.pem"), (self.ours.roots, "root-cert.pem")):
            shutil.copyfile(source, self.folder / f".{name}")
            os.rename(self.folder / f".{name}", self.folder / name)

    def secret(self, name, crl):
        cert, key = self.ours.sign(name, "DNS:edge.example")
        files = {"tls.crt": cert, "tls.key": key, "ca.crt": self.ours.roots, "ca.crl": crl}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "edge"},
                "data": {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}}

    # ---- clients ----

    def context(self, names="URI:spiffe://cluster.local/ns/shop/sa/caller", authority=None, alpn="istio", **more):
        """A client's; names None: it has no certificate."""
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.check_hostname = False
        c.load_verify_locations(self.ours.roots)
        if alpn:
            c.set_alpn_protocols([alpn])
        if names:
            c.load_cert_chain(*(authority or self.ours).sign(f"client-{os.urandom(4).hex()}", names, **more))
        return c

    def of_pair(self, cert, key):
        c = self.context(names=None, alpn=None)
        c.load_cert_chain(cert, key)
        return c

    def by(self, target=STRICT, sni=None, call=dubbo, context=None, **how):
        return self.callers.ask(call, target, "get", tls=context or self.context(**how), sni=sni)

    def far(self, number):
        """A call in clear text to an instance that is behind TLS."""
        return self.callers.ask(dubbo, (f"240.240.2.{number}", DUBBO), "get")

    def shown(self):
        return json.loads(self.daemon.shell("--json", "show", "errors"))["errors"]

    def counters(self):
        """Of what is wrong with TLS and with connections, and of which TLS says that it ended them."""
        names = {row["name"] for row in self.shown()} | INFO
        return {name: n for name, n in self.daemon.counters().items() if name in names and name.startswith(("tls_", "proxy_"))}

    def gate(self, port=8443, sni="a.example", **how):
        return self.by((GATE, port), sni, alpn=None, **how)

    def raw(self, data, target=STRICT):
        """Bytes as they are, and what comes back: an alert by its number, or how it ended."""
        def call(sock, _method, _attachments):
            sock.sendall(data)
            head = read(sock, 5)
            return f"alert {read(sock, head[4])[1]}" if head[0] == 21 else "bytes"
        return self.callers.ask(call, target)

    def old_version(self):
        c = self.context()
        c.set_ciphers("ALL:@SECLEVEL=0")
        c.minimum_version = c.maximum_version = ssl.TLSVersion.TLSv1_1
        return self.by(context=c)

    def old_cipher(self):
        c = self.context()
        c.maximum_version = ssl.TLSVersion.TLSv1_2
        c.set_ciphers("ECDHE-ECDSA-AES256-SHA384")
        return self.by(context=c)

    def distrusted(self):
        """Who says so, and waits until that is heard."""
        before = self.counters().get("tls_failed_peer_alert", 0)
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.check_hostname = False
        c.load_verify_locations(self.others.roots)
        c.set_alpn_protocols(["istio"])
        with c.wrap_socket(self.callers.connect(STRICT), do_handshake_on_connect=False) as sock:
            try:
                sock.do_handshake()
            except ssl.SSLCertVerificationError:
                within(5, lambda: self.counters().get("tls_failed_peer_alert", 0) > before, "the client's alert is heard")
                return "distrust"
        return "trust"

    def gone(self):
        """Who goes by RST, as what he is shown lies unread."""
        back, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            self.context().wrap_bio(back, out).do_handshake()
        with self.callers.connect(STRICT) as sock:
            sock.sendall(out.read())
            read(sock, 1)
        return "gone"

    def spoiled(self):
        """A record that nobody has sealed, behind a good handshake."""
        def call(sock, _method, _attachments):
            equal(dubbo(sock, "get"), ANSWERED, "a call before")
            raw = sock.detach()
            with socket.socket(fileno=raw) as below:
                below.settimeout(PATIENCE)
                below.sendall(b"\x17\x03\x03\0\x20" + bytes(32))
                return "alert" if read(below, 1) == b"\x17" else "bytes"
        return self.by(call=call)


# What is tried: what the client gets, and what is counted.
CLIENTS = {
    "client's certificate expired": (lambda t: t.by(expired=True),
        "alert SSLV3_ALERT_CERTIFICATE_EXPIRED", "tls_failed_expired"),
    "client's certificate not valid yet": (lambda t: t.by(early=True),
        "alert SSLV3_ALERT_CERTIFICATE_EXPIRED", "tls_failed_expired"),
    "client's authority unknown": (lambda t: t.by(authority=t.others),
        "alert TLSV1_ALERT_UNKNOWN_CA", "tls_failed_unknown_ca"),
    "client shows no certificate": (lambda t: t.by(names=None),
        "alert TLSV13_ALERT_CERTIFICATE_REQUIRED", "tls_failed_no_certificate"),
    "client of another trust domain": (lambda t: t.by(names="URI:spiffe://elsewhere/ns/shop/sa/caller"),
        "alert SSLV3_ALERT_BAD_CERTIFICATE", "tls_failed_wrong_trust_domain"),
    "client without a SPIFFE ID": (lambda t: t.by(names="DNS:caller.example"),
        "alert SSLV3_ALERT_BAD_CERTIFICATE", "tls_failed_wrong_trust_domain"),
    "client with two SPIFFE IDs": (lambda t: t.by(names="URI:spiffe://cluster.local/ns/shop/sa/a,URI:spiffe://cluster.local/ns/shop/sa/b"),
        "alert SSLV3_ALERT_BAD_CERTIFICATE", "tls_failed_bad_certificate"),
    "client revoked": (lambda t: t.gate(context=t.of_pair(*t.revoked)),
        "alert SSLV3_ALERT_CERTIFICATE_REVOKED", "tls_failed_revoked"),
    "revocation list out of date": (lambda t: t.gate(8445),
        "alert SSLV3_ALERT_CERTIFICATE_EXPIRED", "tls_failed_no_crl"),
    "client without a wanted name": (lambda t: t.gate(8444, names="DNS:somebody.example"),
        "alert SSLV3_ALERT_BAD_CERTIFICATE", "tls_failed_wrong_san"),
    "server name not served": (lambda t: t.gate(sni="a.elsewhere"),
        "reset", "proxy_chain_unmatched"),
    "client speaks TLS 1.1": (lambda t: t.old_version(),
        "alert TLSV1_ALERT_PROTOCOL_VERSION", "tls_failed_no_shared_version"),
    "client shares no cipher": (lambda t: t.old_cipher(),
        "alert SSLV3_ALERT_HANDSHAKE_FAILURE", "tls_failed_no_shared_cipher"),
    "client distrusts the node": (lambda t: t.distrusted(),
        "distrust", "tls_failed_peer_alert"),
    "client goes away": (lambda t: t.gone(), "gone", "tls_failed_peer_closed"),
    "plaintext where STRICT is": (lambda t: t.callers.ask(dubbo, STRICT, "get"),
        "reset", "proxy_chain_unmatched"),
    "rubbish for a hello": (lambda t: t.raw(b"\x16\x03\x01\0\x20" + bytes(32)),
        "reset", "proxy_chain_unmatched"),
    "a hello whose lengths lie": (lambda t: t.raw(b"\x16\x03\x01\0\x26" + bytes.fromhex("01000022 0303") + bytes(32)),
        "alert 50", "proxy_hello_malformed"),
    "a spoiled record later": (lambda t: t.spoiled(),
        "alert", "tls_alert_out"),
}


# ---- servers --------------------------------------------------------------------------------------------------------------------

def server_context(t, names=f"URI:{QUOTES}", authority=None, trusts=None, **more):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(*(authority or t.ours).sign(f"server-{os.urandom(4).hex()}", names, **more))
    c.verify_mode = ssl.CERT_REQUIRED
    c.load_verify_locations((trusts or t.ours).roots)
    c.set_alpn_protocols(["istio"])
    return c


def old_server(t):
    c = server_context(t)
    c.set_ciphers("ALL:@SECLEVEL=0")
    c.minimum_version = c.maximum_version = ssl.TLSVersion.TLSv1_1
    return c


def in_clear_text(sock):
    sock.recv(4096)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def ends_at_once(sock):
    sock.shutdown(socket.SHUT_RDWR)


def is_silent(sock):
    while sock.recv(4096):
        pass


# What the server is like: what its caller gets, and what is counted.
SERVERS = {
    "server's certificate expired": (lambda t: server_context(t, expired=True), "error: no endpoint could be reached", "tls_failed_expired"),
    "server's certificate not valid yet": (lambda t: server_context(t, early=True), "error: no endpoint could be reached", "tls_failed_expired"),
    "server's authority unknown": (lambda t: server_context(t, authority=t.others), "error: no endpoint could be reached", "tls_failed_unknown_ca"),
    "server of another account": (lambda t: server_context(t, names="URI:spiffe://cluster.local/ns/far/sa/thief"), "error: no endpoint could be reached", "tls_failed_wrong_san"),
    "server of another trust domain": (lambda t: server_context(t, names="URI:spiffe://elsewhere/ns/far/sa/quotes"), "error: no endpoint could be reached", "tls_failed_wrong_san"),
    "server speaks TLS 1.1": (old_server, "error: no endpoint could be reached", "tls_failed_peer_alert"),
    "server distrusts the node": (lambda t: server_context(t, trusts=t.others), LATE_REFUSAL, "tls_refused"),
    "server answers in plaintext": (lambda t: in_clear_text, "error: no endpoint could be reached", "tls_failed_protocol_error"),
    "server ends at once": (lambda t: ends_at_once, "error: no endpoint could be reached", "tls_failed_peer_closed"),
    "server is silent": (lambda t: is_silent, "error: no endpoint could be reached", "tls_failed_timed_out"),
}


def serving(t, servers, how):
    """A handler of connections."""
    if callable(how):
        return how

    def handle(sock):
        with contextlib.suppress(OSError):
            servers.dubbo(how.wrap_socket(sock, server_side=True) if how else sock)
    return handle


def counted(t, name, counter, before, beside):
    """That, and of all that is wrong nothing else."""
    within(5, lambda: t.counters().get(counter, 0) > before.get(counter, 0), f"{name}: {counter} counts")
    after = t.counters()
    others = {key for key, n in after.items() if n != before.get(key, 0)} - {counter, *beside}
    equal(others, set(), f"{name}: what is counted beside {counter}")
    shown = {row["name"]: row for row in t.shown()}
    check(counter in INFO or shown.get(counter, {}).get("remedy"), f"{name}: {counter} is not among the errors that are shown")


def tried(t, servers, name, ask, wanted, counter, beside=()):
    # Who closes without a close_notify is counted when that has come: what was tried before must not be counted here.
    within(5, lambda: not t.daemon.show("connections side=client")["connections"], f"{name}: clients of before have gone")
    before, seen = t.counters(), sum(servers.seen.values())
    got = ask()
    check(got in (wanted if isinstance(wanted, tuple) else (wanted,)), f"{name}: what the caller gets: found {got!r}, expected {wanted!r}")
    counted(t, name, counter, before, beside)
    equal(sum(servers.seen.values()) - seen, name == SPOILED, f"{name}: calls that came to a server")


def own_certificate(t):
    """The node's is replaced by one that has expired, or that its clock is before: that is told, and the last good one goes on."""
    for more, said in (({"expired": True}, "it has expired"), ({"early": True}, "it is not valid yet")):
        t.identify(**more)
        within(5, lambda said=said: said in (t.daemon.show("identity")["identity"][0]["reason"] or ""), f"{said}: told", step=0.1)
        equal((t.by(), t.gate(), t.far(100)), (ANSWERED, ANSWERED, ANSWERED), f"who is good, beside one of which {said}")


def told(page):
    """The page's table has these rows, with these counters."""
    rows = dict(re.findall(r"^\| ([^|]+?) \| [^|]+ \| `(\w+)` \|", page, re.M))
    equal({name: rows.get(name) for name in [*CLIENTS, *SERVERS]}, {name: row[2] for name, row in (CLIENTS | SERVERS).items()}, f"rows in {PAGE.name}")


def body():
    with Lab(servers=1) as lab, Servers(lab, "server1") as servers, contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is meant
        t = Troubles(lab)
        text = DOCUMENTS + MESHED % {"number": 100, "port": 15100}
        stack.enter_context(lab.listening("server1", 15100, serving(t, servers, server_context(t))))
        for number, (how, _, _) in enumerate(SERVERS.values(), 1):
            stack.enter_context(lab.listening("server1", 15000 + number, serving(t, servers, how(t))))
            text += MESHED % {"number": number, "port": 15000 + number}
        t.daemon.write("services.yaml", text)
        t.daemon.leaves("errors", "certificates of the node's own that cannot be used are told", "the last good identity stays in use")
        t.daemon.start()
        equal((t.by(), t.gate(), t.far(100)), (ANSWERED, ANSWERED, ANSWERED), "who is good")
        for name, (ask, wanted, counter) in CLIENTS.items():
            tried(t, servers, name, lambda ask=ask: ask(t), wanted, counter)
        for number, (name, (_, wanted, counter)) in enumerate(SERVERS.items(), 1):
            tried(t, servers, name, lambda number=number: t.far(number), wanted, counter, BESIDE)
        equal((t.by(), t.gate(), t.far(100)), (ANSWERED, ANSWERED, ANSWERED), "who is good, behind all that")
        own_certificate(t)
        told(PAGE.read_text())


main(body)
