#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Writes otlp_request.inc: the request with span_of_call() of spans.c, by the Python package opentelemetry-proto.

  pip install opentelemetry-proto
  python3 generate.py > otlp_request.inc
"""

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

request = trace_service_pb2.ExportTraceServiceRequest()
resource = request.resource_spans.add()
resource.resource.attributes.add(key="service.name").value.string_value = "shop"
scope = resource.scope_spans.add()
scope.scope.name, scope.scope.version = "meltemi", "1.2"
span = scope.spans.add(
    trace_id=bytes(range(0xA0, 0xB0)),
    span_id=bytes(range(0x10, 0x18)),
    parent_span_id=bytes(range(0xF0, 0xF8)),
    trace_state="vendor=1",
    name="org.example.DemoService/sayHello",
    kind=trace_pb2.Span.SPAN_KIND_SERVER,
    start_time_unix_nano=1767323045678000000,
    end_time_unix_nano=1767323045683100000,
    flags=0x301,
)
span.attributes.add(key="rpc.method").value.string_value = "sayHello"
span.attributes.add(key="peer").value.string_value = "ä"
span.status.code, span.status.message = trace_pb2.Status.STATUS_CODE_ERROR, 'upstream "reset"'

data = request.SerializeToString(deterministic=True)
print("/* SPDX-License-Identifier: Apache-2.0 */")
print("/* Made by generate.py. */")
for i in range(0, len(data), 12):
    print("\t" + " ".join(f"0x{b:02x}," for b in data[i : i + 12]))
