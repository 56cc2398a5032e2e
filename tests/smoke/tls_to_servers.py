#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The documents of docs/how-to/tls-to-servers.md between plaintext clients and servers of TLS: each server gets the server name and the certificate
that the page specifies, also if the documents differ as it describes, and the page's commands show it. A server with a fault of the page's table
gets no byte of a call, files that the rules may not name close the services or change nothing, and a change of the authority costs no call.
"""

import base64
import contextlib
import json
import os
import re
import shlex
import socket
import ssl

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.asking import ANSWERED, REFUSED, RESET, Callers, Servers, dubbo, stream
from meltemi_lab.authority import Authority
from meltemi_lab.paths import ROOT

PAGE = (ROOT / "docs/how-to/tls-to-servers.md").read_text()
PRICES, ORDERS, STOCK = ("240.240.11.1", 8443), ("240.240.11.2", 20443), ("240.240.11.3", 20880)
PRICES_NAME, ORDERS_NAME = "DNS:prices.partner.example", "DNS:orders-2.partner.example"
STOCK_NAME = "URI:spiffe://cluster.local/ns/shop/sa/stock"
NODE, CLIENT = "spiffe://cluster.local/ns/edge/sa/meltemi", "edge-1.example"
NOT_PERMITTED = "this node's identity is not permitted for you"
LAB = "  memory: {hugepages: off, mb: 192}\n"
COMMAND = re.compile(r"^    (meltemi(?:d)? [^#\n]*)", re.M)


class TlsServer:
    """Ends TLS before `handler`, and notes what each client has shown: (server name, names of its certificate, ALPN)."""

    def __init__(self, handler, client_roots=None, alpn=None):
        self.handler, self.client_roots, self.alpn = handler, client_roots, alpn
        self.seen, self.context, self.silent, self.open = [], None, False, set()

    def show(self, pair, silent=False):
        """Restarts with this certificate, or without TLS. A silent server only reads."""
        self.context, self.silent = self.made(pair) if pair else None, silent
        for sock in list(self.open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def made(self, pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        if self.client_roots:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.client_roots)
        if self.alpn:
            context.set_alpn_protocols([self.alpn])
        context.sni_callback = lambda tls, name, _context: setattr(tls, "requested", name)
        return context

    def __call__(self, sock):
        if self.silent:
            while sock.recv(4096):
                pass
            return
        if not self.context:
            self.handler(sock)
            return
        with contextlib.suppress(OSError), self.context.wrap_socket(sock, server_side=True) as tls, self.among(tls):
            names = [name for _, name in (tls.getpeercert() or {}).get("subjectAltName", ())]
            self.seen.append((getattr(tls, "requested", None), names, tls.selected_alpn_protocol()))
            self.handler(tls)

    @contextlib.contextmanager
    def among(self, sock):
        self.open.add(sock)
        try:
            yield
        finally:
            self.open.discard(sock)


class Scene:
    """The page's Node, documents and files, in the lab."""

    def __init__(self, lab, servers):
        self.lab, self.mesh, self.partner = lab, Authority(lab.directory / "mesh"), Authority(lab.directory / "partner")
        self.callers = Callers(lab, self.mesh)
        self.heard = b""    # what came to `prices`
        self.prices = TlsServer(self.echo)
        self.orders = TlsServer(servers.dubbo, self.partner.roots)
        self.stock = TlsServer(servers.dubbo, self.mesh.roots, "istio")
        self.prices.show(self.partner.sign("prices", PRICES_NAME))
        self.orders.show(self.partner.sign("orders", ORDERS_NAME))
        self.stock.show(self.mesh.sign("stock", STOCK_NAME))
        self.files(lab.directory / "tls", self.partner.sign("client", f"DNS:{CLIENT}"), ("cert.pem", "key.pem", "roots.pem"), self.partner)
        self.files(lab.directory / "identity", self.mesh.sign("node", f"URI:{NODE}"), ("cert-chain.pem", "key.pem", "root-cert.pem"), self.mesh)
        self.daemon = lab.meltemi()
        for number, text in enumerate(re.findall(r"^<!-- whole.*? -->\n```yaml\n(.*?)^```$", PAGE, re.M | re.S)):
            text = text.replace("/etc/meltemi/tls", f"{lab.directory}/tls")
            if "kind: Node\n" in text:
                self.write_node(text)
            else:
                self.daemon.write(f"page-{number}.yaml", text)

    def echo(self, sock):
        while data := sock.recv(4096):
            self.heard += data
            sock.sendall(data)

    def files(self, place, pair, names, authority):
        place.mkdir()
        for name, path in zip(names, (*pair, authority.roots), strict=True):
            (place / name).write_bytes(path.read_bytes())
            (place / name).chmod(0o600)

    def write_node(self, text):
        for old, new in (("iface=eth1", "iface=p0"), ("iface=eth2", "iface=p1"), ("/etc/meltemi/services", self.daemon.services),
                         ("/etc/meltemi/identity", f"{self.lab.directory}/identity"), ("/var/lib/meltemi", f"{self.daemon.directory}/state"),
                         ("/run/meltemi/admin.sock", f"{self.daemon.directory}/admin.sock, http: 127.0.0.1:15000")):
            check(old in text, f"{old} is not in the page's Node")
            text = text.replace(old, str(new))
        self.daemon.node.write_text(text + LAB)

    def commands(self):
        """Runs the page's commands in their order: {command: output}."""
        out = {}
        for command in COMMAND.findall(PAGE):
            program, *words = shlex.split(command)
            if program == "meltemid":
                status, out[command.strip()] = self.daemon.check(*words[3:])
                equal((words[:3], status), (["-c", "/etc/meltemi/node.yaml", "--check"], 0), f"{command}: {out[command.strip()]}")
            else:
                out[command.strip()] = self.daemon.shell(*words)
        return out

    def document(self, number):
        return (self.daemon.services / f"page-{number}.yaml").read_text()

    def secret(self, name):
        """The files of the page as a Secret."""
        files = {"tls.crt": "cert.pem", "tls.key": "key.pem", "ca.crt": "roots.pem"}
        data = {key: base64.b64encode((self.lab.directory / "tls" / file).read_bytes()).decode() for key, file in files.items()}
        return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "partner"}, "data": data})

    def price(self):
        return self.callers.ask(stream, PRICES)

    def both(self):
        return [self.price(), self.callers.ask(dubbo, ORDERS, "get")]

    def faulty(self, shown, got):
        """What --check, the shell and the log say of rules with files that are not listed, and what callers get."""
        status, said = self.daemon.check("--strict")
        equal((status, said.count("error: spec.trafficPolicy.tls.")), (1, 2), f"--check: {said}")
        self.daemon.shell("reload", fail=False)
        objects = self.daemon.shell("show", "objects")
        equal(len(re.findall(rf"^.*\b{shown}\b.*\b(?:orders|prices)\b", objects, re.M)), 2, f"both are {shown}:\n{objects}")
        check("is in no directory that the Node's spec.tlsFiles lists" in self.daemon.process.errors(), "the log has the reason")
        equal(self.both(), [got] * 2, f"calls while {shown}")

    def counted(self, counter):
        within(5, lambda: self.daemon.counters().get(counter, 0) > 0, counter)
        check(counter in self.daemon.shell("show", "errors", "tls_"), f"{counter} is not among the errors that are shown")

    def no_connection(self, *services):
        for service in services:
            within(5, lambda service=service: service not in self.daemon.shell("show", "connections", "side=server"),
                   f"no connection of {service} is left")


def calls(s):
    """A call of each service, and what its server has seen."""
    equal([s.price(), s.callers.ask(dubbo, ORDERS, "get"), s.callers.ask(dubbo, STOCK, "get")], [ANSWERED] * 3, "calls of the three services")
    equal(s.prices.seen[-1], ("prices.partner.example", [], None), "what the server of `prices` saw")
    equal(s.orders.seen[-1][:2], ("orders.partner.example", [CLIENT]), "what the server of `orders` saw")
    equal(s.stock.seen[-1], ("outbound_.20880_._.com.shop.stock", [NODE], "istio"), "what the server of `stock` saw")


def shown(s):
    """The page's commands, while a connection of each service is open."""
    with s.callers.connect(PRICES) as held:
        equal(stream(held), ANSWERED, "a connection of `prices`")
        equal(s.callers.ask(dubbo, ORDERS, "get"), ANSWERED, "a call of `orders`")
        out = s.commands()
    by_tls = out["meltemi show connections side=server tls=yes wide"]
    for name in ("prices.partner.example", "com.partner.orders", "com.shop.stock"):
        check(name in by_tls, f"{name} is not among connections with TLS:\n{by_tls}")
    check(STOCK_NAME.removeprefix("URI:") in by_tls, f"the identity of `stock`:\n{by_tls}")
    plain = out["meltemi show connections side=server tls=no"]
    check(not re.search(r"198\.51\.100\.1[12]", plain), f"connections in plaintext:\n{plain}")
    explained = next(text for command, text in out.items() if "explain" in command)
    check(re.search(r"identity +the node's own", explained), f"explain:\n{explained}")
    denied = s.daemon.shell("explain", "protocol=dubbo", "service=com.shop.stock", "method=get", "src=198.51.100.9")
    check(re.search(r"identity +none", denied), f"explain of another client:\n{denied}")


def other_ways(s):
    """What the page says of documents that differ from its own: without `sni`, with a Secret, without a rule, and with other clients."""
    files, identity, node = s.document(1), s.document(2), s.daemon.node.read_text()
    s.daemon.write("page-1.yaml", re.sub(r"^ +sni: prices.*\n", "", files, flags=re.M))
    s.daemon.shell("reload")
    s.prices.show(s.partner.sign("other", "DNS:other.partner.example"))
    equal(s.price(), ANSWERED, "a server with another name, if the rule has none")
    s.prices.show(s.partner.sign("prices", PRICES_NAME))
    s.daemon.write("page-1.yaml", re.sub(r"clientCertificate.*\n.*\n.*$", "credentialName: client", files, flags=re.M))
    s.daemon.write("secret.json", s.secret("client"))
    s.daemon.shell("reload")
    s.orders.show(s.partner.sign("orders", ORDERS_NAME))
    s.daemon.write("page-2.yaml", identity.split("---\n")[0])
    s.daemon.shell("reload")
    s.stock.show(s.mesh.sign("stock", STOCK_NAME))
    s.no_connection("com.shop.stock", "com.partner.orders")
    s.orders.seen.clear()
    s.stock.seen.clear()
    calls(s)
    s.daemon.node.write_text(node.replace("clients: [192.0.2.0/24]", "clients: [203.0.113.0/24]"))
    s.daemon.shell("reload")
    equal(s.callers.ask(dubbo, STOCK, "get"), f"error: meltemi: {NOT_PERMITTED}", "a call of a client that `nodeIdentityUse` does not name")
    check(f"*{NOT_PERMITTED}*" in PAGE, "the page has what that caller gets")
    s.daemon.node.write_text(node)
    s.daemon.write("page-1.yaml", files)
    s.daemon.write("page-2.yaml", identity)
    s.daemon.shell("reload")
    calls(s)


# What is wrong with a server, by the counter that the page has for it.
FAULTS = {
    "tls_failed_wrong_san": lambda s: s.prices.show(s.partner.sign("other", "DNS:other.partner.example")),
    "tls_failed_unknown_ca": lambda s: s.prices.show(s.mesh.sign("prices", PRICES_NAME)),
    "tls_failed_expired": lambda s: s.prices.show(s.partner.sign("old", PRICES_NAME, expired=True)),
    "tls_failed_protocol_error": lambda s: s.prices.show(None),
    "tls_failed_timed_out": lambda s: s.prices.show(None, silent=True),
}


def at_fault(s):
    """Each fault of the page's table: what the client gets, no byte of it to the server, and the counter."""
    table = PAGE.split("## When a server is not called")[1]
    equal({*re.findall(r"`(tls_\w+)`", table)}, {*FAULTS, "tls_refused", "tls_timed_out"}, "counters in the page's table")
    before = s.heard.count(b"hello")
    for counter, happens in FAULTS.items():
        happens(s)
        equal(s.price(), RESET, f"{counter}: what the client gets")
        s.counted(counter)
    equal(s.heard.count(b"hello"), before, "calls that came to the server before and with its faults")
    health = s.daemon.shell("show", "health")
    equal([name for name in ("outbound|8443||prices.partner.example", *FAULTS, "tls_timed_out") if name not in health], [], f"what is not in show health:\n{health}")
    s.prices.show(s.partner.sign("prices", PRICES_NAME))
    equal(s.price(), ANSWERED, "a call when the server is well again")


def refused(s):
    """A server that does not accept the node's certificate."""
    pair, roots, seen = s.partner.sign("orders", ORDERS_NAME), s.orders.client_roots, len(s.orders.seen)
    s.orders.client_roots = s.mesh.roots
    s.orders.show(pair)
    s.no_connection("com.partner.orders")
    got = s.callers.ask(dubbo, ORDERS, "get")
    check(got.startswith("error: "), f"what the client gets: {got}")
    s.counted("tls_refused")
    equal(len(s.orders.seen), seen, "handshakes that the server completed")
    s.orders.client_roots = roots
    s.orders.show(pair)
    within(5, lambda: s.callers.ask(dubbo, ORDERS, "get") == ANSWERED, "a call when the server is well again")


def files_not_listed(s):
    """The rules name a file elsewhere: their last good versions stay in force. The Node does not list the directory: the services are closed."""
    name, text, node, directory = "page-1.yaml", s.document(1), s.daemon.node.read_text(), f"{s.lab.directory}/tls"
    s.daemon.leaves("errors", "a file that is not listed is told", "TLS to endpoints cannot be established")
    s.daemon.write(name, text.replace(f"{directory}/roots.pem", f"{s.lab.directory}/roots.pem"))
    s.faulty("last-good", ANSWERED)
    s.daemon.write(name, text)
    s.daemon.shell("reload")
    s.daemon.node.write_text(node.replace(directory, f"{directory}.none"))
    s.faulty("closed", REFUSED)
    s.daemon.node.write_text(node)
    s.daemon.shell("reload")
    equal(s.both(), [ANSWERED] * 2, "calls when the directory is listed again")


def another_authority(s):
    """Both roots, then the servers' new certificates, then only the new root."""
    new, roots = Authority(s.lab.directory / "new", "new root"), s.lab.directory / "tls/roots.pem"
    for text in (s.partner.roots.read_text() + new.roots.read_text(), new.roots.read_text()):
        scratch = roots.with_suffix(".new")
        scratch.write_text(text)
        os.rename(scratch, roots)
        s.daemon.shell("reload")
        s.prices.show(new.sign(f"prices-{len(text)}", PRICES_NAME))
        s.orders.show(new.sign(f"orders-{len(text)}", ORDERS_NAME))
        s.no_connection("com.partner.orders")
        equal(s.both(), [ANSWERED] * 2, "calls by the new authority")


def body():
    with Lab(servers=2) as lab, Servers(lab, "server1") as servers, contextlib.ExitStack() as stack:
        s = Scene(lab, servers)
        for role, server, (_, port) in (("server1", s.prices, PRICES), ("server1", s.orders, ORDERS), ("server2", s.stock, STOCK)):
            stack.enter_context(lab.listening(role, port, server))
        s.daemon.start()
        calls(s)
        shown(s)
        other_ways(s)
        at_fault(s)
        refused(s)
        files_not_listed(s)
        another_authority(s)


main(body)
