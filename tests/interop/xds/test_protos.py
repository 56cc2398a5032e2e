#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The messages of proto/ against the originals that their comments name, by descriptors: every field must be there with the
same number, type, repetition and oneof. The originals come from the Python package xds-protos, in a virtual environment
that is kept in the user's cache, OTLP's from opentelemetry-proto, and Istio's from its Go modules, where Go is. Those of Aeraki are in no registry and are
listed as not compared.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import environment

ROOT = pathlib.Path(__file__).resolve().parents[3]
PACKAGES = ["xds-protos==1.85.0", "protobuf", "googleapis-common-protos"]
# Where the originals are declared: modules that have to be imported before their descriptors are known.
MODULES = """
envoy.service.auth.v3.external_auth_pb2 envoy.service.ratelimit.v3.rls_pb2 envoy.service.accesslog.v3.als_pb2
envoy.service.discovery.v3.discovery_pb2 envoy.config.bootstrap.v3.bootstrap_pb2
envoy.config.listener.v3.listener_pb2 envoy.config.cluster.v3.cluster_pb2
envoy.config.endpoint.v3.endpoint_pb2 envoy.config.route.v3.route_pb2 envoy.config.ratelimit.v3.rls_pb2
envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2
envoy.extensions.filters.network.thrift_proxy.v3.thrift_proxy_pb2 envoy.extensions.filters.network.dubbo_proxy.v3.dubbo_proxy_pb2
envoy.extensions.filters.network.thrift_proxy.filters.ratelimit.v3.rate_limit_pb2 envoy.extensions.filters.network.ratelimit.v3.rate_limit_pb2
envoy.extensions.filters.network.local_ratelimit.v3.local_rate_limit_pb2
envoy.extensions.transport_sockets.tls.v3.tls_pb2
envoy.extensions.load_balancing_policies.wrr_locality.v3.wrr_locality_pb2 envoy.type.v3.token_bucket_pb2 google.rpc.status_pb2
google.rpc.error_details_pb2 xds.type.v3.typed_struct_pb2
envoy.extensions.access_loggers.file.v3.file_pb2 envoy.extensions.access_loggers.stream.v3.stream_pb2
envoy.extensions.access_loggers.filters.cel.v3.cel_pb2
""".split()
ELSEWHERE = ("aeraki.", "istio.")
# Messages that no JSON holds: lib/xds knows no words of their enumerations.
BYTES_ONLY = ("envoy.service.ratelimit.", "envoy.extensions.common.ratelimit.")
# Only written, so that no words of their enumerations are read.
WRITTEN = "accesslog.proto"
# Compared by themselves: xds-protos comes with an old part of them, under the same names.
OTLP = ("opentelemetry.", ["opentelemetry.proto.collector.metrics.v1.metrics_service_pb2",
                            "opentelemetry.proto.collector.logs.v1.logs_service_pb2",
                            "opentelemetry.proto.collector.trace.v1.trace_service_pb2"])
# Istio's: module, directory in it, file.
ISTIO = [("istio.io/api@v1.31.1", ".", "security/v1alpha1/ca.proto"),
         ("istio.io/istio@v0.0.0-20260827124520-eed52ebb66ad", "pkg/dns/proto", "nds.proto")]


def own_messages():
    """(message's descriptor, name of the original) of all files in proto/, nested ones too."""
    from google.protobuf import descriptor_pb2

    files = sorted((ROOT / "proto").glob("*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", f"-I{ROOT / 'proto'}", "--include_source_info", f"--descriptor_set_out={out.name}", *files],
                       check=True)
        everything = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    for file in everything.file:
        comments = {tuple(where.path): where.leading_comments for where in file.source_code_info.location}
        stack = [((4, i), m) for i, m in enumerate(file.message_type)]
        while stack:
            path, message = stack.pop()
            stack += [((*path, 3, i), m) for i, m in enumerate(message.nested_type) if not m.options.map_entry]
            named = re.search(r"^ ?= (\S+)$", comments.get(path, ""), re.M)
            yield f"{file.name}: {message.name}", message, named and named.group(1)


def istio_messages():
    """Istio's own messages by name; none where there is no Go to fetch its modules."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    path = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/local/go/bin"}
    found, pool = {}, descriptor_pool.DescriptorPool()
    for module, directory, name in ISTIO:
        try:
            done = subprocess.run(["go", "mod", "download", "-json", module], text=True, capture_output=True, timeout=300, env=path,
                                  check=True)
        except (subprocess.SubprocessError, OSError) as e:
            print(f"{module} cannot be had: {e}")
            continue
        root = pathlib.Path(json.loads(done.stdout)["Dir"]) / directory
        with tempfile.NamedTemporaryFile() as out:
            where = [f"-I{one}" for one in (root, root / "common-protos") if one.is_dir()]
            subprocess.run(["protoc", *where, "--include_imports", f"--descriptor_set_out={out.name}", root / name], check=True)
            everything = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
        for file in everything.file:
            pool.Add(file)
            messages = [(f"{file.package}.{m.name}", m) for m in file.message_type]
            messages += [(f"{name}.{inner.name}", inner) for name, m in messages for inner in m.nested_type]
            found.update({name: pool.FindMessageTypeByName(name) for name, _ in messages})
    return found


def shape(field, message, known):
    """What the wire sees of a field, and which other known fields it excludes."""
    kinds = {field.TYPE_ENUM: field.TYPE_INT32}  # proto/ reads enumerations as numbers: unknown ones must pass
    rivals = [f.name for f in message.field if f.name in known and f.name != field.name and
              field.HasField("oneof_index") and f.HasField("oneof_index") and f.oneof_index == field.oneof_index]
    return field.number, kinds.get(field.type, field.type), field.label == field.LABEL_REPEATED, sorted(rivals)


def compare(own, original):
    """What differs, in words."""
    theirs, known = {f.name: f for f in original.field}, {f.name for f in own.field}
    for field in own.field:
        if field.name not in theirs:
            yield f"{field.name} is no field of it"
        elif shape(field, own, known) != shape(theirs[field.name], original, known):
            yield f"{field.name}: {shape(field, own, known)}, there {shape(theirs[field.name], original, known)}"


def own_words():
    """The words of enumerations that lib/xds/json/names.c knows: {(message, field): {word: number}}."""
    text = (ROOT / "lib/xds/json/names.c").read_text()
    for name, words in re.findall(r"#define (\w+)\s+(\".*\")", text):
        text = re.sub(rf"\b{name}\b(?!\s+\")", words.replace("\\", "\\\\"), text)
    rows = re.findall(r"\{&xds__(\w+?)__descriptor,\s*\"(\w+)\",\s*((?:\"[^\"]*\"\s*)+)\}", text)
    return {(message.replace("_", ""), field):
            {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", words)}
            for message, field, words in rows}


def compare_words(own, original, words):
    """Enumerations that are numbers in proto/: every word that is known must be the original's."""
    theirs = {f.name: f for f in original.fields}
    for field in own.field:
        # Nested messages have their parents' names before their own.
        key = next((k for k in words if k[0].endswith(own.name.lower()) and k[1] == field.name), None)
        known = words.pop(key, None)
        enum = theirs[field.name].enum_type if field.name in theirs else None
        if enum and enum.full_name.startswith("google.protobuf"):
            continue
        if enum and known is None:
            yield f"{field.name}: no words of {enum.full_name} are known"
        for word, number in (known or {}).items():
            if not enum or word not in enum.values_by_name or enum.values_by_name[word].number != number:
                yield f"{field.name}: {word} is not {number} there"


def otlp():
    """Those of OTLP, in an environment of their own."""
    import importlib

    from google.protobuf import descriptor_pb2, descriptor_pool

    for module in OTLP[1]:
        importlib.import_module(module)
    fields, wrong = 0, []
    for where, own, name in own_messages():
        if not (name or "").startswith(OTLP[0]):
            continue
        original = descriptor_pb2.DescriptorProto()
        descriptor_pool.Default().FindMessageTypeByName(name).CopyToProto(original)
        fields += len(own.field)
        wrong += [f"{where}: {what}" for what in compare(own, original)]
    for line in wrong:
        print(line)
    print(f"{fields} fields like OTLP's, {len(wrong)} not", flush=True)
    return 1 if wrong or fields < 30 else 0


def main():
    import importlib

    from google.protobuf import descriptor_pb2, descriptor_pool

    for module in MODULES:
        importlib.import_module(module)
    istio = istio_messages()
    pool, fields, elsewhere, wrong, words = descriptor_pool.Default(), 0, [], [], own_words()
    enums = len(words)
    for where, own, name in own_messages():
        if name is None:
            wrong.append(f"{where}: names no original")
            continue
        if name.startswith(OTLP[0]):
            continue
        if name.startswith(ELSEWHERE) and name not in istio:
            elsewhere.append(name)
            continue
        original = descriptor_pb2.DescriptorProto()
        try:
            there = istio.get(name) or pool.FindMessageTypeByName(name)
            there.CopyToProto(original)
        except KeyError:
            wrong.append(f"{where}: there is no {name}")
            continue
        fields += len(own.field)
        wrong += [f"{where}: {what}" for what in compare(own, original)]
        if not name.startswith(BYTES_ONLY) and not where.startswith(WRITTEN):
            wrong += [f"{where}: {what}" for what in compare_words(own, there, words)]
    wrong += [f"json/names.c: {message}.{field} is in no message" for message, field in words]
    for line in wrong:
        print(line)
    print(f"{fields} fields and the words of {enums} enumerations like the originals', {len(wrong)} not; not compared: {', '.join(sorted(elsewhere))}")
    return 1 if wrong or fields < 250 or enums < 20 else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["otlp"]:
        sys.exit(otlp())
    if sys.argv[1:] != ["inside"]:
        if subprocess.run([environment.otlp(), __file__, "otlp"], check=False).returncode:
            sys.exit(1)
        python = environment.python_with("xds-protos", PACKAGES, "envoy.config.cluster.v3.cluster_pb2")
        os.execv(python, [python, __file__, "inside"])
    sys.exit(main())
