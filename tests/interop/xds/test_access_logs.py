#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
access_log of listeners from a discovery server: calls of a Dubbo proxy leave text and JSON lines in two files, calls of a Thrift proxy and
connections of a TCP proxy leave lines in a file of their own, and those of a proxy without access_log leave none. Filters choose calls. The log
of a MeshConfig gets none of them.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import HOST, PORT, THRIFT, THRIFT_PORT, THRIFT_VIP, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main, within  # noqa: E402
from meltemi_lab.access_log import MESH  # noqa: E402

ECHO, ECHO_VIP, ECHO_PORT = "echo.test", "240.240.1.3", 9000
CALLS = 500
CONNECTIONS = 20


def file_log(path, form, **more):
    return {"name": "envoy.access_loggers.file", "typedConfig": {
        "@type": mesh.TYPE + "envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": str(path), "logFormat": form}, **more}


def by_status(op, code):
    return {"statusCodeFilter": {"comparison": {"op": op, "value": {"defaultValue": code, "runtimeKey": "unused"}}}}


def by_expression(text):
    return {"extensionFilter": {"name": "cel", "typedConfig": {
        "@type": mesh.TYPE + "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter", "expression": text}}}


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def call_all(w):
    report = w.lab.dubbo_client(f"{VIP}:{PORT}", count=CALLS, outstanding=4).result()
    equal((report["answered"], report["failed"]), (CALLS, 0), "Dubbo calls")
    report = w.lab.thrift_client(f"{THRIFT_VIP}:{THRIFT_PORT}", scenario="load", count=50).result()
    equal((report["answered"], report["failed"]), (50, 0), "Thrift calls")


def echo(sock):
    with sock:
        while data := sock.recv(100):
            sock.sendall(data)


def connect_all(w):
    for _ in range(CONNECTIONS):
        with w.lab.connect("client", ECHO_VIP, ECHO_PORT) as sock:
            sock.settimeout(20)
            sock.sendall(b"hello")
            equal(sock.recv(100), b"hello", "an echo")


def tcp(w, **more):
    """A TCP proxy whose configuration has these fields, too."""
    name = mesh.name_of(ECHO, ECHO_PORT)
    proxy = mesh.tcp_proxy(name, name)
    proxy["typedConfig"].update(more)
    return [mesh.cluster(name), mesh.assignment(name, [w.endpoint(1, ECHO_PORT)]), mesh.listener("echo", ECHO_VIP, ECHO_PORT, proxy)]


def listeners(w, dubbo, thrift, tcp_fields):
    return (mesh.service(HOST, VIP, PORT, "dubbo", [w.endpoint(1)], **dubbo) +
            mesh.service(THRIFT, THRIFT_VIP, THRIFT_PORT, "thrift", [w.endpoint(1, THRIFT_PORT)], kind=mesh.meta_binary, **thrift) +
            tcp(w, **tcp_fields))


def of_tcp(w, log, expected):
    """The lines of so many connections, which are there before others."""
    connect_all(w)
    within(5, lambda: len(lines(log)) == expected, "lines of connections")
    equal(set(lines(log)), {f"tcp 5 5 {mesh.name_of(ECHO, ECHO_PORT)}"}, "lines of connections")


def body():
    with world() as w:
        w.peers(dubbo=1)
        logs = w.lab.directory / "logs"
        logs.mkdir()
        names = ("text", "rows", "bad", "half", "thrift", "tcp", "mesh")
        text, rows, bad, half, thrift, tcp_log, of_mesh = (logs / f"{name}.log" for name in names)
        own = {"accessLog": [file_log(thrift, {"textFormat": "%PROTOCOL%"})]}
        of_bytes = {"accessLog": [file_log(tcp_log, {"textFormat": "%PROTOCOL% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER%"})]}
        server = w.server()
        server.apply(*listeners(w, {"accessLog": [
            file_log(text, {"textFormatSource": {"inlineString": "%REQ(:METHOD)% %RESPONSE_CODE% %UPSTREAM_CLUSTER%\n"}}),
            file_log(rows, {"jsonFormat": {"code": "%RESPONSE_CODE%", "trace": "%TRACE_ID%"}, "omitEmptyValues": True},
                     filter={"andFilter": {"filters": [by_status("LE", 399), by_expression("request.protocol == 'dubbo'")]}}),
            file_log(bad, {"textFormat": "x"}, filter=by_status("GE", 400)),
            file_log(half, {"textFormat": "x"}, filter={"runtimeFilter": {"runtimeKey": "unused", "percentSampled": {"numerator": 50}}}),
            file_log("/etc/calls.log", {"textFormat": "x"})]}, own, of_bytes))
        daemon = w.meltemi(files=True)
        daemon.node.write_text(daemon.node.read_text() + f"  accessLog: {{directories: [{logs}]}}\n")
        daemon.write("mesh.yaml", MESH.format(path=of_mesh))
        daemon.start()
        w.serves(["v1/s1"])
        within(5, lambda: len(lines(rows)) >= 100, "lines of the first calls")
        before = len(lines(rows))
        call_all(w)
        within(5, lambda: len(lines(rows)) == before + CALLS and len(lines(thrift)) == 50, "all lines")
        equal(set(lines(text)), {f"sayHello 200 {mesh.name_of(HOST, PORT)}"}, "text lines")
        equal({json.dumps(json.loads(line)) for line in lines(rows)}, {'{"code": 200}'}, "JSON lines")
        equal(lines(bad), [], "lines of calls that failed")
        within(5, lambda: abs(len(lines(half)) - (before + CALLS) / 2) < 100, "half of the lines")
        equal((set(lines(thrift)), lines(of_mesh)), ({"thrift"}, []), "lines of Thrift, and of the MeshConfig")
        check(not pathlib.Path("/etc/calls.log").exists(), "nothing is written elsewhere")
        with w.lab.listening("server1", ECHO_PORT, echo):
            of_tcp(w, tcp_log, CONNECTIONS)
            server.apply(*listeners(w, {}, own, of_bytes))
            within(5, lambda: len(daemon.show("telemetry")["sinks"]) == 3, "the outputs that are left")
            of_tcp(w, tcp_log, 2 * CONNECTIONS)
            server.apply(*listeners(w, {}, own, {}))
            within(5, lambda: len(daemon.show("telemetry")["sinks"]) == 2, "the outputs without that of TCP")
            connect_all(w)
        call_all(w)
        within(5, lambda: len(lines(thrift)) == 100, "lines of Thrift")
        equal((len(lines(rows)), len(lines(tcp_log)), lines(of_mesh)), (before + CALLS, 2 * CONNECTIONS, []),
              "lines of proxies without access_log")


main(body)
