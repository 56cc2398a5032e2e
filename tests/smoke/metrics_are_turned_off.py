#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Telemetry turns Istio's metrics off: by metric and reporter, for messages and for bytes. Exactly the series that overrides disable are missing in
/metrics, Meltemi's own stay, and series that are on again have all calls.
"""

import re
import struct

from meltemi_lab import Lab, equal, main, within
from meltemi_lab.documents import service
from meltemi_lab.dubbo import reply, request
from meltemi_lab.streams import echo

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
BYTES, BYTES_AT = "bytes.example", "240.240.1.2"
CALLS = 4
FAMILIES = {"REQUEST_COUNT": "istio_requests_total", "REQUEST_DURATION": "istio_request_duration_milliseconds",
            "REQUEST_SIZE": "istio_request_bytes", "RESPONSE_SIZE": "istio_response_bytes",
            "TCP_RECEIVED_BYTES": "istio_tcp_received_bytes_total", "TCP_SENT_BYTES": "istio_tcp_sent_bytes_total",
            "TCP_OPENED_CONNECTIONS": "istio_tcp_connections_opened_total", "TCP_CLOSED_CONNECTIONS": "istio_tcp_connections_closed_total"}
BOTH = {"source", "destination"}
ALL = {(family, reporter) for family in FAMILIES.values() for reporter in BOTH}
TELEMETRY = """\
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: fewer, namespace: {namespace}}}
spec: {{metrics: [{sections}]}}
"""


def overrides(*rows):
    return f"{{overrides: [{', '.join(rows)}]}}"


# Sections of a Telemetry, and the series that it turns off.
SECTIONS = [
    *((overrides(f"{{match: {{metric: {metric}}}, disabled: true}}"), {(family, reporter) for reporter in BOTH})
      for metric, family in FAMILIES.items()),
    (overrides("{disabled: true}"), ALL),
    (overrides("{match: {mode: SERVER}, disabled: true}", "{match: {metric: REQUEST_SIZE, mode: CLIENT}, disabled: true}"),
     {pair for pair in ALL if pair[1] == "destination"} | {("istio_request_bytes", "source")}),
    # The last override decides, also that of an object of the services' namespace.
    (overrides("{match: {metric: ALL_METRICS}, disabled: true}", "{match: {metric: REQUEST_COUNT}, disabled: false}"),
     ALL - {("istio_requests_total", reporter) for reporter in BOTH}),
    # What other providers have is not what is scraped here.
    ("{providers: [{name: other}], overrides: [{disabled: true}]}", set()),
    (f"{{providers: [{{name: prometheus}}]}}, {overrides('{match: {mode: CLIENT}, disabled: true}')}",
     {pair for pair in ALL if pair[1] == "source"}),
]


def serve(sock):
    data = b""
    while more := sock.recv(65536):
        data += more
        while len(data) >= 16 and len(data) >= 16 + (length := struct.unpack(">i", data[12:16])[0]):
            sock.sendall(reply(struct.unpack(">q", data[4:12])[0], "done"))
            data = data[16 + length:]


def scraped(daemon):
    """Series of Istio's metrics: {(family, reporter): calls or connections, of histograms too}, and whether Meltemi's own are there."""
    text, out = daemon.http("/metrics")[1], {}
    for name, reporter, value in re.findall(r'^(istio_\w+?)(?:_count)?\{.*?reporter="(\w+)".*\} (\d+)$', text, re.M):
        if not name.endswith(("_bucket", "_sum")):
            out[name, reporter] = out.get((name, reporter), 0) + int(value)
    return out, f'meltemi_service_requests_total{{service="{HOST}"}} {CALLS}' in text


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 20880, serve), lab.listening("server1", 7000, echo):
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.write("bytes.yaml", service(BYTES, BYTES_AT, 7000, "tcp", [(lab.server(1), 7000, {})]))
        daemon.start()
        with lab.connect("client", VIP, 20880) as sock:
            for ident in range(CALLS):
                sock.sendall(request(ident, "sayHello", ["a"]))
                sock.recv(1000)
        with lab.connect("client", BYTES_AT, 7000) as sock:
            sock.sendall(b"12345")
            sock.recv(5)
        closed = ("istio_tcp_connections_closed_total", "source")
        within(10, lambda: scraped(daemon)[0].get(closed) == 1, "a connection that ended")
        before = scraped(daemon)[0]
        equal(set(before), ALL, "series without a Telemetry")
        equal([before["istio_requests_total", "source"], before["istio_request_bytes", "destination"]], [CALLS, CALLS], "calls")
        for place in ("istio-system", "default"):
            for sections, off in SECTIONS if place == "default" else SECTIONS[-4:]:
                daemon.write("telemetry.yaml", TELEMETRY.format(namespace=place, sections=sections))
                daemon.shell("reload")
                within(10, lambda off=off: set(scraped(daemon)[0]) == ALL - off, f"series, with {sections} in {place}")
                equal(scraped(daemon), ({pair: before[pair] for pair in ALL - off}, True), f"values, with {sections} in {place}")
        # The object of the services' namespace comes after that of the mesh.
        on = {("istio_tcp_sent_bytes_total", reporter) for reporter in BOTH}
        daemon.write("mesh.yaml", TELEMETRY.format(namespace="istio-system", sections=overrides("{disabled: true}")))
        daemon.write("telemetry.yaml", TELEMETRY.format(
            namespace="default", sections=overrides("{match: {metric: TCP_SENT_BYTES}, disabled: false}")))
        daemon.shell("reload")
        within(10, lambda: set(scraped(daemon)[0]) == on, "one metric that is on")


main(body)
