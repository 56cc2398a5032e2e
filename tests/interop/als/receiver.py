#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A collector of access logs or spans on the originals' own messages: Envoy's Access Log Service, OpenTelemetry's logs or traces. Every message
is parsed strictly, unknown fields included, and written to a file, one JSON object a line. How it answers stands in another file, which is
read for each call: ok, hang (it reads nothing until that changes), status NAME; of OpenTelemetry also garbage and partial.
By HTTP it takes spans of OpenTelemetry and of Zipkin, and statuses are numbers.

  receiver.py als|otel|spans|spans-http|zipkin PORT RECORDS MODE
"""

import http.server
import json
import pathlib
import re
import sys
import time
from concurrent import futures

import grpc
from google.protobuf import json_format, unknown_fields

KIND, PORT, RECORDS, MODE = sys.argv[1:]
if KIND == "als":
    from envoy.service.accesslog.v3 import als_pb2 as service

    METHOD, REQUEST = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", service.StreamAccessLogsMessage
    ANSWER = service.StreamAccessLogsResponse
elif KIND == "otel":
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service

    METHOD, REQUEST = "/opentelemetry.proto.collector.logs.v1.LogsService/Export", service.ExportLogsServiceRequest
    ANSWER = service.ExportLogsServiceResponse
else:
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

    METHOD, REQUEST = "/opentelemetry.proto.collector.trace.v1.TraceService/Export", service.ExportTraceServiceRequest
    ANSWER = service.ExportTraceServiceResponse


def all_known(message):
    """Whether no field of it, nor of what is in it, is unknown to the original."""
    if len(unknown_fields.UnknownFieldSet(message)):
        return False
    for field, value in message.ListFields():
        if not field.message_type or field.message_type.GetOptions().map_entry:
            continue
        if not all(all_known(v) for v in (value if field.is_repeated else [value])):
            return False
    return True


class Collector(grpc.GenericRpcHandler):
    def __init__(self):
        self.records, self.mode = open(RECORDS, "a", encoding="utf-8"), pathlib.Path(MODE)  # noqa: SIM115

    def service(self, call):
        if call.method != METHOD:
            return None
        if KIND == "als":
            return grpc.stream_unary_rpc_method_handler(self.stream)
        return grpc.unary_unary_rpc_method_handler(self.export)

    def answers(self, context):
        while self.mode.read_text().strip() == "hang" and context.is_active():
            time.sleep(0.05)
        mode = self.mode.read_text().strip()
        if mode.startswith("status "):
            context.abort(grpc.StatusCode[mode.split()[1]], "as the test wants")
        return mode

    def write(self, data):
        message = REQUEST.FromString(data)
        self.records.write(json.dumps({"all_known": all_known(message), "message": json_format.MessageToDict(message)}) + "\n")
        self.records.flush()

    def stream(self, messages, context):
        self.answers(context)
        for data in messages:
            self.write(data)
        return ANSWER().SerializeToString()

    def export(self, data, context):
        mode = self.answers(context)
        self.write(data)
        if mode == "garbage":
            return b"\x0a\xff\xff\xff\xff\x7f"
        answer = ANSWER()
        if mode == "partial":
            setattr(answer.partial_success, "rejected_spans" if KIND == "spans" else "rejected_log_records", 5)
            answer.partial_success.error_message = "five of them are not wanted"
        return answer.SerializeToString()


KEYS = {"traceId": "[0-9a-f]{16}|[0-9a-f]{32}", "id": "[0-9a-f]{16}", "parentId": "[0-9a-f]{16}", "kind": "SERVER|CLIENT", "name": ".+"}
ENDS = {"serviceName", "ipv4", "ipv6", "port"}


def is_zipkin(span):
    """True if a span is as Zipkin's API (v2) specifies."""
    others = {"timestamp": int, "duration": int, "debug": bool, "localEndpoint": dict, "remoteEndpoint": dict, "tags": dict}
    return (all(re.fullmatch(KEYS[key], value) if key in KEYS else isinstance(value, others[key]) for key, value in span.items())
            and {"traceId", "id", "timestamp", "duration"} <= span.keys() and span["duration"] > 0
            and all(set(span.get(end, {})) <= ENDS for end in ("localEndpoint", "remoteEndpoint"))
            and all(isinstance(value, str) for value in span["tags"].values()))


class Web(http.server.BaseHTTPRequestHandler):
    """Requests of HTTP: POST with a message or a list of JSON."""
    protocol_version = "HTTP/1.1"

    def mode(self):
        return pathlib.Path(MODE).read_text().strip()

    def read(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if KIND == "zipkin":
            spans = json.loads(data)
            return all(is_zipkin(span) for span in spans), {"spans": spans}
        message = REQUEST.FromString(data)
        return all_known(message), json_format.MessageToDict(message)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):  # noqa: N802
        known, message = self.read()
        while self.mode() == "hang":
            time.sleep(0.05)
        if self.mode().startswith("status "):
            self.answer(int(self.mode().split()[1]), b"")
            return
        with open(RECORDS, "a", encoding="utf-8") as records:
            records.write(json.dumps({"all_known": known, "message": {**message, "path": self.path, "headers": dict(self.headers)}}) + "\n")
        if KIND == "zipkin":
            self.answer(202, b"")
            return
        body = ANSWER()
        if self.mode() == "partial":
            body.partial_success.rejected_spans = 5
            body.partial_success.error_message = "five of them are not wanted"
        self.answer(200, body.SerializeToString())

    def log_message(self, *_args):
        pass


def serve_web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Web)
    print(f"ready {server.server_port}", flush=True)
    server.serve_forever()


def main():
    if KIND in ("spans-http", "zipkin"):
        serve_web()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Collector(),))
    bound = server.add_insecure_port(f"127.0.0.1:{PORT}")
    server.start()
    print(f"ready {bound}", flush=True)
    server.wait_for_termination()


main()
