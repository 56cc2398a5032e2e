#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Trace contexts in headers of Apache's THeader: each call is one tree of its client's span, the node's of the call and of each attempt, and
the spans that servers would make of the headers that they got. So it is for contexts of W3C and for both forms of B3. Attempts of a call
are siblings, and each has a context of its own. An unsampled context arrives unchanged.
"""

import collections
import itertools
import pathlib
import secrets
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from traced import MESH, PATIENT, call, spans_of, traces, tree  # noqa: E402, I001
import environment  # noqa: E402
from collector import Receiver  # noqa: E402
from meltemi_lab import Lab, check, equal, main, within  # noqa: E402
from meltemi_lab.documents import service, subsets  # noqa: E402
from retry_lab import rule, virtual_service  # noqa: E402
from thrift.protocol import THeaderProtocol  # noqa: E402
from thrift.Thrift import TMessageType, TType  # noqa: E402
from thrift.transport import THeaderTransport, TTransport  # noqa: E402

HOST, VIP, PORT = "calc.test", "240.240.8.1", 9090
CALLS, MOST = 20, 3  # attempts
TRY_MS, SLOW = 500, 1  # of an attempt; seconds of a slow reply
RULES = virtual_service(HOST, rule(HOST, f"retries: {{attempts: {MOST - 1}, retryOn: reset, perTryTimeout: {TRY_MS}ms}}"))
ALL = """apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec: {tracing: [{randomSamplingPercentage: 100}]}
"""
# How a client writes that a call belongs to a span of a trace.
FORMATS = {"W3C": lambda trace, span: {"traceparent": f"00-{trace}-{span}-01"},
           "b3": lambda trace, span: {"b3": f"{trace}-{span}-1"},
           "B3": lambda trace, span: {"X-B3-TraceId": trace, "X-B3-SpanId": span, "X-B3-Sampled": "1"}}


def context(headers):
    """Trace and span that headers name."""
    lower = {key.lower(): value for key, value in headers.items()}
    if "traceparent" in lower:
        return tuple(lower["traceparent"].split("-")[1:3])
    return tuple(lower["b3"].split("-")[:2]) if "b3" in lower else (lower["x-b3-traceid"], lower["x-b3-spanid"])


def theader(sock):
    """Apache's own library on that socket."""
    kinds = THeaderTransport.THeaderClientType
    return THeaderProtocol.THeaderProtocol(TTransport.TFileObjectTransport(sock.makefile("rwb")), [kinds.HEADERS, kinds.FRAMED_BINARY])


class Servers:
    """The headers of each call that a server got; server 1 may be slow."""

    def __init__(self):
        self.noted, self.slow = [], threading.Event()

    def handler(self, number):
        def handle(sock):
            protocol = theader(sock)
            while True:
                try:
                    name, _, serial = protocol.readMessageBegin()
                except (EOFError, TTransport.TTransportException):
                    return
                protocol.skip(TType.STRUCT)
                protocol.readMessageEnd()
                self.noted.append({key.decode(): value.decode() for key, value in protocol.trans.get_headers().items()})
                if number == 1 and self.slow.is_set():
                    threading.Event().wait(SLOW)
                protocol.writeMessageBegin(name, TMessageType.REPLY, serial)
                protocol.writeFieldStop()
                protocol.writeMessageEnd()
                protocol.trans.flush()
        return handle


class Client:
    """A connection."""

    def __init__(self, lab):
        self.protocol, self.serials = theader(lab.connect("client", VIP, PORT)), itertools.count(1)

    def ask(self, headers):
        serial, protocol = next(self.serials), self.protocol
        for key, value in headers.items():
            protocol.trans.set_header(key.encode(), value.encode())
        protocol.writeMessageBegin("sayHello", TMessageType.CALL, serial)
        protocol.writeFieldStop()
        protocol.writeMessageEnd()
        protocol.trans.flush()
        _, kind, number = protocol.readMessageBegin()
        equal((kind, number), (TMessageType.REPLY, serial), "kind and number of a reply")
        protocol.skip(TType.STRUCT)
        protocol.readMessageEnd()


def trees(node, servers, roots):
    """{trace: tree} of the calls with these roots, {trace: the client's span}."""
    clients = [(trace, ("client CLIENT", span, "")) for trace, span in roots.items()]
    of_servers = [(trace, ("server SERVER", f"{span}-server", span)) for trace, span in map(context, servers.noted) if trace in roots]
    found = traces(clients, of_servers, spans_of("node", node))
    return {trace: tree(found[trace]) for trace in roots}


def joined(client, node, servers, form, what):
    """The forms of the trees of calls with contexts of this format."""
    servers.noted.clear()
    roots = {secrets.token_hex(16): secrets.token_hex(8) for _ in range(CALLS)}
    for trace, span in roots.items():
        client.ask(FORMATS[form](trace, span))
    forms, wanted = collections.Counter(), {call(attempts) for attempts in range(1, MOST + 1)}

    def whole():
        forms.clear()
        forms.update(trees(node, servers, roots).values())
        return set(forms) <= wanted

    try:
        within(20, whole, f"{what}, {form}: one tree of each call", step=0.2)
    finally:
        print(f"{what}, {form}: {dict(forms)}", flush=True)
    return forms


def unsampled(client, node, servers):
    trace = secrets.token_hex(16)
    for headers in ({"traceparent": f"00-{trace}-{secrets.token_hex(8)}-00"}, {"b3": "0"}):
        servers.noted.clear()
        client.ask({**headers, "other": "kept"})
        equal(servers.noted, [{**headers, "other": "kept"}], "headers of an unsampled call")
    equal([found for found, _ in spans_of("node", node) if found == trace], [], "spans of an unsampled call")


def drawn(client, node, servers):
    """A call without a context is the root of its trace."""
    servers.noted.clear()
    client.ask({})
    (trace, span), = map(context, servers.noted)
    within(20, lambda: len(traces(spans_of("node", node))[trace]) == 2, "the spans of a call that the node draws", step=0.2)
    spans = traces(spans_of("node", node))[trace]
    equal(tree(spans), ("node SERVER", (("node CLIENT", ()),)), "the tree of a call that the node draws")
    equal([ident for what, ident, _ in spans if what == "node CLIENT"], [span], "the span that the server got")


def body():
    servers = Servers()
    with Lab(servers=2) as lab, lab.listening("server1", PORT, servers.handler(1)), lab.listening("server2", PORT, servers.handler(2)):
        daemon = lab.meltemi()
        for name, text in (("mesh", MESH), ("telemetry", ALL), ("rules", RULES), ("balancer", subsets(HOST, (), PATIENT)),
                           ("calc", service(HOST, VIP, PORT, "tcp-metaprotocol-thrift", [(lab.server(n), PORT, {}) for n in (1, 2)]))):
            daemon.write(f"{name}.yaml", text)
        node = Receiver(daemon, environment.otlp(), "spans")
        daemon.start()
        node.start()
        try:
            client = Client(lab)
            for form in FORMATS:
                equal(joined(client, node, servers, form, "fast"), {call(1): CALLS}, f"{form}: forms of traces")
            unsampled(client, node, servers)
            drawn(client, node, servers)
            servers.slow.set()
            for form in FORMATS:
                forms = joined(client, node, servers, form, "a slow server")
                check(sum(n for found, n in forms.items() if found != call(1)), f"{form}: no call has a second attempt")
        finally:
            node.stop()


main(body)
