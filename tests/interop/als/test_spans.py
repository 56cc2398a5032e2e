#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Spans at a collector that speaks OpenTelemetry's own messages. A sampled call of a client is one tree: its span, Meltemi's of the call and of
each attempt, and the span that the server got as its parent. Calls without a context are drawn by the share that a Telemetry has, others
pass unchanged. A server that cannot be reached is an attempt that failed. A collector that hangs or dies costs no call, and each span
arrives or is counted as lost. Tags of a Telemetry have metadata of the call. The same by OTLP over HTTP, and to a collector of Zipkin.
"""

import base64
import pathlib
import socket
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "smoke"), str(HERE.parent / "xds")]

import environment  # noqa: E402
from collector import Receiver, settled, sink  # noqa: E402
from meltemi_lab import TESTS, Lab, check, equal, main, within  # noqa: E402
from meltemi_lab.access_log import calls  # noqa: E402
from meltemi_lab.dubbo import parse_reply, request  # noqa: E402

AT = ("240.240.0.10", 20880)
TRACE, WEB_TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER, CLIENT = "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT"
MESH = """apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    defaultProviders: {tracing: [spans]}
    extensionProviders:
    - {name: spans, opentelemetry: {service: 127.0.0.1, port: 9002}}
"""
WEB = MESH.replace("port: 9002}", "port: 9003, http: {path: /v1/traces, headers: [{name: x-team, value: shop one}]}}")
ZIPKIN = MESH.replace("opentelemetry: {service: 127.0.0.1, port: 9002}", "zipkin: {service: 127.0.0.1, port: 9004}")
OLD = """apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    defaultConfig: {tracing: {sampling: 100, zipkin: {address: "127.0.0.1:9004"}}}
"""
TELEMETRY = """apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: mesh, namespace: istio-system}}
spec: {{tracing: [{{{}}}]}}
"""


def digits(text):
    return base64.b64decode(text).hex()


def tags(span):
    return {a["key"]: a["value"].get("stringValue", "") for a in span["attributes"]}


def spans(receiver):
    """All that arrived, with ids as digits."""
    out = [span for message in receiver.messages() for resource in message["resourceSpans"]
           for scope in resource["scopeSpans"] for span in scope["spans"]]
    for span in out:
        for key in ("traceId", "spanId", "parentSpanId"):
            span[key] = digits(span.get(key, ""))
    return out


def of_trace(receiver, trace):
    return [span for span in spans(receiver) if span["traceId"] == trace]


def ask(lab, attachments, name="traceparent"):
    """The attachment of this name that the server got with a call with these attachments; None: there was none."""
    data = b""
    with lab.inside("client"), socket.create_connection(AT, 10) as s:
        s.settimeout(10)
        s.sendall(request(1, "attachment", [name], attachments))
        while len(data) < 16 or len(data) < 16 + int.from_bytes(data[12:16], "big"):
            data += s.recv(4096)
    equal(data[3], 20, "status")
    value = parse_reply(data[3], data[16:]).split()[1]
    return None if value == "-" else value


def joined(lab, daemon, receiver):
    """The tree of a sampled call, the first one. `show slow` names its trace."""
    got = ask(lab, {"traceparent": f"00-{TRACE}-{SENDER}-01"}).split("-")
    equal((got[0], got[1], got[3]), ("00", TRACE, "01"), "the context at the server")
    within(10, lambda: len(of_trace(receiver, TRACE)) == 2, "both spans arrive", step=0.2)
    call, attempt = sorted(of_trace(receiver, TRACE), key=lambda span: span["kind"] != SERVER)
    equal((call["kind"], attempt["kind"]), (SERVER, CLIENT), "kinds")
    equal((call["parentSpanId"], attempt["parentSpanId"]), (SENDER, call["spanId"]), "parents")
    equal(got[2], attempt["spanId"], "the parent that the server got")
    check(call["name"].endswith("DemoService/attachment"), f"name {call['name']}")
    equal((tags(call)["rpc.system.name"], tags(call)["response_code"]), ("dubbo", "200"), "tags of the call")
    equal((tags(call)["network.peer.address"], tags(call)["peer.address"]), ("192.0.2.2", "192.0.2.2"), "the client")
    check("istio.canonical_service" in tags(call) and "istio.namespace" in tags(attempt), f"Istio's tags {tags(call)}")
    check(tags(attempt)["upstream_cluster"].startswith("outbound|20880|"), f"tags {tags(attempt)}")
    check(tags(attempt)["network.peer.address"] in (lab.server(1), lab.server(2)), f"the endpoint {tags(attempt)}")
    times = [int(span[key]) for span, key in ((call, "startTimeUnixNano"), (attempt, "startTimeUnixNano"), (attempt, "endTimeUnixNano"),
                                              (call, "endTimeUnixNano"))]
    equal(times, sorted(times), "the attempt is within the call")
    resource = {a["key"]: a["value"]["stringValue"] for a in receiver.messages()[0]["resourceSpans"][0]["resource"]["attributes"]}
    equal((resource["service.name"], resource["service.instance.id"]), ("meltemi", lab.id), "resource")
    equal([row["trace"] for row in daemon.show("slow")["slow"]], [TRACE], "the trace of a slow call")
    check(TRACE in daemon.shell("show", "slow", "wide"), "its trace in text")


def shares(lab, daemon, receiver):
    """Calls that are not drawn pass unchanged; a share of 100 % draws all."""
    daemon.write("telemetry.yaml", TELEMETRY.format("randomSamplingPercentage: 0"))
    daemon.shell("reload")
    before = len(spans(receiver))
    equal(ask(lab, {}), None, "a call that is not drawn")
    unsampled = f"00-{TRACE}-{SENDER}-00"
    equal(ask(lab, {"traceparent": unsampled}), unsampled, "an unsampled call")
    daemon.write("telemetry.yaml", TELEMETRY.format("randomSamplingPercentage: 100"))
    daemon.shell("reload")
    calls(lab, 500)
    within(10, lambda: len(spans(receiver)) >= before + 1000, "spans of all calls arrive", step=0.2)
    new = spans(receiver)[before:]
    equal(len(new), 1000, "two spans of each call")
    roots = [span for span in new if not span["parentSpanId"]]
    equal((len(roots), len({span["traceId"] for span in roots})), (500, 500), "traces")
    ids = {span["spanId"]: span["traceId"] for span in roots}
    check(all(ids[span["parentSpanId"]] == span["traceId"] for span in new if span["parentSpanId"]), "each attempt is of its call")
    daemon.write("telemetry.yaml", TELEMETRY.format("randomSamplingPercentage: 100, disableSpanReporting: true"))
    daemon.shell("reload")
    check(ask(lab, {}), "a context without spans")
    daemon.write("telemetry.yaml", TELEMETRY.format("randomSamplingPercentage: 100, disableContextPropagation: true"))
    daemon.shell("reload")
    equal(ask(lab, {}), None, "spans without a context")
    within(10, lambda: len(spans(receiver)) == before + 1002, "they are sent, and the others are not", step=0.2)
    daemon.write("telemetry.yaml", TELEMETRY.format("randomSamplingPercentage: 100"))
    daemon.shell("reload")


def tagged(lab, daemon, receiver):
    """Tags of a Telemetry, one with metadata of the call."""
    daemon.write("telemetry.yaml", TELEMETRY.format("randomSamplingPercentage: 100, customTags: {team: {literal: {value: shop}}, "
                                                    "user: {header: {name: X-User, defaultValue: none}}}"))
    daemon.shell("reload")
    within(10, lambda: settled(sink(daemon, "spans")), "spans before it", step=0.2)
    before = len(spans(receiver))
    ask(lab, {"x-user": "anna"})
    ask(lab, {})
    within(10, lambda: len(spans(receiver)) == before + 4, "spans of both calls arrive", step=0.2)
    equal(sorted((tags(span)["team"], tags(span)["user"]) for span in spans(receiver)[before:]),
          [("shop", "anna")] * 2 + [("shop", "none")] * 2, "tags of a Telemetry")
    daemon.write("telemetry.yaml", TELEMETRY.format("randomSamplingPercentage: 100"))
    daemon.shell("reload")


def failed(lab, daemon, receiver, server):
    """An attempt at a server that has gone, and one at the other, are siblings."""
    (daemon.services / "dubbo-traffic-splitting.yaml").unlink()  # so that one cluster has both servers
    daemon.shell("reload")
    calls(lab, 20)
    within(10, lambda: settled(sink(daemon, "spans")), "spans before it", step=0.2)
    before = len(spans(receiver))
    server.stop()
    calls(lab, 20)

    def lost():
        return [span for span in spans(receiver)[before:] if tags(span).get("error.type") == "connect_failed"]

    within(10, lost, "a span of a failed attempt", step=0.2)
    within(10, lambda: len([s for s in of_trace(receiver, lost()[0]["traceId"]) if s["kind"] == SERVER]) == 1, "its call", step=0.2)
    tree = of_trace(receiver, lost()[0]["traceId"])
    root = next(span for span in tree if span["kind"] == SERVER)
    equal(lost()[0]["status"]["code"], "STATUS_CODE_ERROR", "status of the attempt")
    check("status" not in root, "the call did not fail")
    check(all(span["parentSpanId"] == root["spanId"] for span in tree if span is not root), "attempts are siblings")
    check(len(tree) > 2, f"{len(tree)} spans")


def rejected(lab, daemon, receiver):
    """The collector rejects five spans of each message, of a message with fewer all, and they are counted."""
    receiver.answers("partial")
    before, counted = len(receiver.messages()), sink(daemon, "spans")["lost_rejected"]
    calls(lab, 20)

    def lost():
        sizes = [sum(len(scope["spans"]) for resource in message["resourceSpans"] for scope in resource["scopeSpans"])
                 for message in receiver.messages()[before:]]
        row = sink(daemon, "spans")
        return sizes and settled(row) and row["lost_rejected"] - counted == sum(min(5, size) for size in sizes)

    within(10, lost, "rejected spans", step=0.2)


def hangs(lab, daemon, receiver):
    """Spans that the collector does not take cost no call."""
    within(10, lambda: settled(sink(daemon, "spans")), "what was sent has arrived", step=0.2)
    before = sink(daemon, "spans")["written"]
    receiver.answers("hang")
    calls(lab, 500)
    equal(sink(daemon, "spans")["written"], before, "written while it hangs")
    receiver.answers("ok")
    within(30, lambda: settled(sink(daemon, "spans")), "spans after it", step=0.5)
    rejected(lab, daemon, receiver)
    receiver.answers("ok")
    receiver.stop()
    calls(lab, 100)
    within(10, lambda: sink(daemon, "spans")["state"] == "unreachable", "a collector that has died", step=0.2)
    receiver.start()
    within(60, lambda: settled(sink(daemon, "spans")), "spans after it has started again", step=0.5)


def in_the_web(lab, daemon, receiver):
    """OTLP over HTTP: path, headers, failures of the collector."""
    daemon.write("mesh.yaml", WEB)
    daemon.shell("reload")
    receiver.start()
    ask(lab, {"traceparent": f"00-{WEB_TRACE}-{SENDER}-01"})
    within(10, lambda: len(of_trace(receiver, WEB_TRACE)) == 2, "both spans arrive by HTTP", step=0.2)
    first = receiver.messages()[0]
    equal((first["path"], first["headers"]["x-team"], first["headers"]["Content-Type"], first["headers"]["Host"]),
          ("/v1/traces", "shop one", "application/x-protobuf", "127.0.0.1:9003"), "the request")
    rejected(lab, daemon, receiver)
    receiver.answers("ok")
    fails(lab, daemon, receiver)


def fails(lab, daemon, receiver):
    """Spans that a collector of HTTP does not take now arrive later; those that it refuses are counted. None of this delays a call."""
    within(10, lambda: settled(sink(daemon, "spans")), "what was sent has arrived", step=0.2)
    before = sink(daemon, "spans")["written"]
    receiver.answers("hang")
    calls(lab, 100)
    equal(sink(daemon, "spans")["written"], before, "written while it hangs")
    receiver.answers("ok")
    within(30, lambda: settled(sink(daemon, "spans")), "spans after it", step=0.5)
    receiver.answers("status 503")
    calls(lab, 20)
    within(10, lambda: sink(daemon, "spans")["state"] == "unavailable", "a collector that has no time", step=0.2)
    receiver.answers("ok")
    within(30, lambda: settled(sink(daemon, "spans")), "spans after it", step=0.5)
    equal(sink(daemon, "spans")["lost_refused"], 0, "lost until now")
    receiver.answers("status 400")
    calls(lab, 20)
    within(10, lambda: sink(daemon, "spans")["lost_refused"] > 0 and settled(sink(daemon, "spans")), "refused spans", step=0.2)
    receiver.answers("ok")
    receiver.stop()
    calls(lab, 100)
    within(10, lambda: sink(daemon, "spans")["state"] == "unreachable", "a collector that has died", step=0.2)
    receiver.start()
    within(60, lambda: settled(sink(daemon, "spans")), "spans after it has started again", step=0.5)


def zipkin(lab, daemon, receiver):
    """Spans of Zipkin, and the context of B3 at the server."""
    daemon.write("mesh.yaml", ZIPKIN)
    daemon.shell("reload")
    receiver.start()
    trace = ask(lab, {}, "X-B3-TraceId")
    check(trace and len(trace) == 32, f"the trace at the server: {trace}")

    def tree():
        return [span for message in receiver.messages() for span in message["spans"] if span["traceId"] == trace]

    within(10, lambda: len(tree()) == 2, "both spans arrive", step=0.2)
    call, attempt = sorted(tree(), key=lambda span: span["kind"] != "SERVER")
    check("parentId" not in call, "the call is the root")
    equal((attempt["kind"], attempt["parentId"]), ("CLIENT", call["id"]), "the attempt")
    equal(call["localEndpoint"]["serviceName"], "meltemi", "the node")
    equal(call["remoteEndpoint"]["ipv4"], "192.0.2.2", "the client")
    check(attempt["remoteEndpoint"]["ipv4"] in (lab.server(1), lab.server(2)), f"the endpoint {attempt}")
    equal((call["tags"]["node_id"], call["tags"]["response_code"]), (lab.id, "200"), "tags")
    equal((receiver.messages()[0]["path"], receiver.messages()[0]["headers"]["Content-Type"]), ("/api/v2/spans", "application/json"), "the request")
    equal(ask(lab, {"X-B3-TraceId": TRACE, "X-B3-SpanId": SENDER, "X-B3-Sampled": "1"}, "X-B3-TraceId"), TRACE, "a joined trace")
    fails(lab, daemon, receiver)


def old(lab, daemon, receiver):
    """The collector of defaultConfig, without a Telemetry."""
    (daemon.services / "telemetry.yaml").unlink()
    daemon.write("mesh.yaml", OLD)
    daemon.shell("reload")
    trace = ask(lab, {}, "X-B3-TraceId")
    within(10, lambda: [span for message in receiver.messages() for span in message["spans"] if span["traceId"] == trace],
           "spans by defaultConfig", step=0.2)
    equal(sink(daemon, "defaultConfig.tracing")["lost"], 0, "lost spans")


def body():
    with Lab(servers=2) as lab:
        servers = [lab.dubbo_server(number, f"v{number}") for number in (1, 2)]
        for server in servers:
            server.wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks", workers=2)
        daemon.write("mesh.yaml", MESH)
        receivers = receiver, web, b3 = [Receiver(daemon, environment.otlp(), kind) for kind in ("spans", "spans-http", "zipkin")]
        daemon.start()
        try:
            receiver.start()
            joined(lab, daemon, receiver)
            shares(lab, daemon, receiver)
            tagged(lab, daemon, receiver)
            hangs(lab, daemon, receiver)
            in_the_web(lab, daemon, web)
            zipkin(lab, daemon, b3)
            old(lab, daemon, b3)
            daemon.write("mesh.yaml", MESH)
            daemon.write("telemetry.yaml", TELEMETRY.format("randomSamplingPercentage: 100"))
            daemon.shell("reload")
            failed(lab, daemon, receiver, servers[0])
            daemon.stop()
        finally:
            for one in receivers:
                one.stop()


main(body)
