#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Filter chains of one listener: TLS goes to where its server name says, some clients have a chain of their own, and the others get
what is left; TLS that the listener should end is refused. Behind one chain is a cluster whose endpoint is a name.
"""

import pathlib
import socket
import ssl
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import equal, main, names, netns, within  # noqa: E402

VIP, PORT, OTHER = "240.240.9.1", 7443, "192.0.2.77"
ENDS_TLS = {"name": "envoy.transport_sockets.tls", "typedConfig": {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "commonTlsContext": {}}}


def hello(name):
    """What a client of TLS says first."""
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise AssertionError("a handshake without a server")


def says(word):
    """Who has seen TLS answers so: it came as it was sent."""
    def serve(sock):
        first = sock.recv(4096)
        sock.sendall(word + (b"/tls" if first[:2] == b"\x16\x03" else b"/plain"))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass
        sock.close()
    return serve


def answer(w, first, source=""):
    try:
        with w.lab.inside("client"):
            sock = socket.create_connection((VIP, PORT), timeout=30, source_address=(source, 0))
        with sock:
            sock.sendall(first)
            return sock.recv(100).decode()
    except OSError as e:
        return type(e).__name__


def chain(target, match=None, **more):
    return {**({"filterChainMatch": match} if match else {}), "filters": [mesh.tcp_proxy(target, target)], **more}


def resources(w):
    tls = {"transportProtocol": "tls"}
    named = {"clusterName": "named", "endpoints": [{"lbEndpoints": [
        {"endpoint": {"address": {"socketAddress": {"address": "second.example", "portValue": 7000}}}}]}]}
    listener = mesh.listener("chains", VIP, PORT)
    listener["filterChains"] = [chain("first", {**tls, "serverNames": ["a.example"]}), chain("named", {**tls, "serverNames": ["*.b.example"]}),
                                chain("first", {**tls, "serverNames": ["c.example"]}, transportSocket=ENDS_TLS),
                                chain("named", {"sourcePrefixRanges": [{"addressPrefix": OTHER, "prefixLen": 32}]})]
    listener["defaultFilterChain"] = chain("first")
    return [mesh.cluster("first"), mesh.assignment("first", [w.endpoint(1, 7000)]),
            mesh.cluster("named", type="STRICT_DNS", dnsLookupFamily="V4_ONLY", loadAssignment=named), listener]


def body():
    with world() as w, w.lab.listening("server1", 7000, says(b"first")), w.lab.listening("server2", 7000, says(b"second")):
        space = w.lab.namespace("mesh")
        netns.run("ip", "-n", space, "address", "add", "127.0.0.2/32", "dev", "lo")
        netns.run("ip", "-n", w.lab.namespace("client"), "address", "add", f"{OTHER}/32", "dev", "lo")
        known = names.Server(space, "127.0.0.2", 53)
        known.known = {"second.example": [w.lab.server(2)]}
        path = w.lab.directory / "resolv.conf"
        path.write_text("nameserver 127.0.0.2\noptions timeout:1 attempts:1\n")
        w.server().apply(*resources(w))
        daemon = w.meltemi(resolv_conf=path)
        daemon.start()

        within(20, lambda: answer(w, hello("x.b.example")) == "second/tls", "the name that a chain's cluster has")
        equal(answer(w, hello("a.example")), "first/tls", "by server name")
        equal(answer(w, hello("other.example")), "first/tls", "a name of no chain")
        equal(answer(w, b"hello"), "first/plain", "clear text")
        equal(answer(w, b"hello", OTHER), "second/plain", "a client with a chain of its own")
        equal(answer(w, hello("c.example")), "ConnectionResetError", "TLS that is to be ended here")
        known.known["second.example"] = [w.lab.server(1)]
        within(20, lambda: answer(w, hello("x.b.example")) == "first/tls", "the name has moved")
        equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    main(body)
