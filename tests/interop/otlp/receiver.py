#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A collector of OTLP/gRPC on OpenTelemetry's own messages: every request is parsed strictly, unknown fields included, and written to
a file, one JSON object a line. How it answers stands in another file, which is read for each call.

  receiver.py PORT REQUESTS MODE [CERTIFICATE KEY]
"""

import json
import pathlib
import sys
import time
from concurrent import futures

import grpc
from google.protobuf import json_format, unknown_fields
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service

METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


def all_known(message):
    """Whether no field of it, nor of what is in it, is unknown to the original."""
    if len(unknown_fields.UnknownFieldSet(message)):
        return False
    for field, value in message.ListFields():
        if field.message_type and field.is_repeated and not all(all_known(v) for v in value):
            return False
        if field.message_type and not field.is_repeated and not all_known(value):
            return False
    return True


def throttled(context, name, seconds):
    """A status that says when to ask again."""
    code = grpc.StatusCode[name]
    status = status_pb2.Status(code=code.value[0], message="as the test wants")
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromSeconds(seconds)
    status.details.add().Pack(info)
    context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
    context.abort(code, "as the test wants")


class Collector(grpc.GenericRpcHandler):
    def __init__(self, requests, mode):
        self.requests, self.mode = open(requests, "a", encoding="utf-8"), pathlib.Path(mode)  # noqa: SIM115

    def service(self, call):
        if call.method == METHOD:
            return grpc.unary_unary_rpc_method_handler(self.export)
        return None

    def export(self, data, context):
        mode = self.mode.read_text().strip()
        if mode.startswith("throttle "):
            self.write({"throttled": mode, "at": time.monotonic()})
            throttled(context, mode.split()[1], int(mode.split()[2]))
        if mode.startswith("status "):
            context.abort(grpc.StatusCode[mode.split()[1]], "as the test wants")
        request = service.ExportMetricsServiceRequest.FromString(data)
        row = {"bytes": len(data), "all_known": all_known(request), "at": time.monotonic(),
               "metadata": {k: v for k, v in context.invocation_metadata() if isinstance(v, str)},
               "request": json_format.MessageToDict(request)}
        self.write(row)
        if mode == "slow":
            time.sleep(3)
        if mode == "garbage":
            return b"\x0a\xff\xff\xff\xff\x7f"
        answer = service.ExportMetricsServiceResponse()
        if mode == "partial":
            answer.partial_success.rejected_data_points = 5
            answer.partial_success.error_message = "five of them are not wanted"
        if mode == "remark":
            answer.partial_success.error_message = "names are rather long"
        return answer.SerializeToString()

    def write(self, row):
        self.requests.write(json.dumps(row) + "\n")
        self.requests.flush()


def main():
    port, requests, mode, *tls = sys.argv[1:]
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Collector(requests, mode),))
    if tls:
        certificate, key = (pathlib.Path(f).read_bytes() for f in tls)
        bound = server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, certificate)]))
    else:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(f"ready {bound}", flush=True)
    server.wait_for_termination()


main()
