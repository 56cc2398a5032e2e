#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
`meltemid --check` predicts the memory that a running daemon reports: buffers and resident memory at the start, within the margins of
docs/how-to/sizing.md, and for `connections` no less than the tables take that fill as connections come. Flows count if a port is forwarded.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

import pages

CLIENT = pages.DAEMON.parent.parent / "meltemi/meltemi"
SECONDS, MARGIN, BUFFERS_MARGIN = 30, 0.15, 0.2
NODE = """\
apiVersion: meltemi.io/v1
kind: Node
metadata: {{name: memory-{mb}}}
spec:
  workers: {workers}
  connections: {connections}
  memory: {{hugepages: off, mb: {mb}}}
  ports: [{{name: p0, device: net_null0, addresses: [192.0.2.1/24]}}]
  stateDirectory: state
  admin: {{socket: admin.sock}}
"""
NODES = ({"workers": 1, "connections": 1024, "mb": 64}, {"workers": 1, "connections": 30000, "mb": 256})


def run(place, *words):
    return subprocess.run(words, capture_output=True, text=True, cwd=place, timeout=SECONDS, check=False)


def reported(place, process):
    end = time.monotonic() + SECONDS
    while True:
        done = run(place, CLIENT, "-s", place / "admin.sock", "--json", "show", "memory")
        if done.returncode == 0:
            return json.loads(done.stdout)
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"no answer: {done.stdout}{done.stderr}\n{(place / 'log').read_text()}")
        time.sleep(0.1)


def faults(place, node):
    (place / "state").mkdir()
    (place / "node.yaml").write_text(NODE.format(**node))
    command = [pages.DAEMON, "-c", "node.yaml", "-d", pages.ROOT / "tests/documents/seeded"]
    predicted = json.loads(run(place, *command, "--check", "--json").stdout)["memory"]
    with open(place / "log", "wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=place) as process:
        try:
            memory = reported(place, process)
        finally:
            process.terminate()
    pools = {pool["name"]: pool["bytes"] for pool in memory["pools"]}
    buffers = sum(size for name, size in pools.items() if name.startswith(("data-", "control-")))
    at_start = predicted["buffer_bytes"] + predicted["program_bytes"]
    # A client, its server connection, and the two of lib/tcp below them.
    each = sum(pool["object_bytes"] * n for pool in memory["pools"] for name, n in (("downstream-w0", 1), ("upstream-w0", 1), ("tcp connections-w0", 2))
               if pool["name"] == name)
    if not predicted["buffer_bytes"] * (1 - BUFFERS_MARGIN) <= buffers <= predicted["buffer_bytes"]:
        yield f"{node}: buffers {buffers}, predicted {predicted['buffer_bytes']}"
    if abs(memory["resident_bytes"] - at_start) > at_start * MARGIN:
        yield f"{node}: resident {memory['resident_bytes']}, predicted {at_start}"
    if predicted["hugepages"]:
        yield f"{node}: in hugepages"
    if predicted["connection_bytes"] < each * node["connections"] * node["workers"]:
        yield f"{node}: connections {predicted['connection_bytes']}, at least {each} each"


FLOWS = 1 << 20
FORWARDED = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: resolver, annotations: {meltemi.io/forwarding: nat}}
spec: {hosts: [resolver.test], addresses: [240.240.0.9], resolution: STATIC, ports: [{number: 53, name: udp-dns}], endpoints: [{address: 192.0.2.9}]}
"""


def flow_faults(place):
    (place / "node.yaml").write_text(NODE.format(**NODES[0]).replace("  memory:", f"  flows: {FLOWS}\n  memory:"))
    (place / "documents").mkdir()
    for text, least in (("", 0), (FORWARDED, 128 * FLOWS)):
        (place / "documents/entry.yaml").write_text(text)
        command = (pages.DAEMON, "-c", "node.yaml", "-d", "documents", "--check")
        predicted = json.loads(run(place, *command, "--json").stdout)["memory"]["flow_bytes"]
        if not least <= predicted <= least * 1.6:
            yield f"{FLOWS} flows: {predicted} B, at least {least}"
        if bool(least) != (f"with {FLOWS} flows up to {predicted >> 20} MiB" in run(place, *command).stdout):
            yield f"{FLOWS} flows: {run(place, *command).stdout}"


def main():
    found = []
    with tempfile.TemporaryDirectory(prefix="memory") as place:
        found += flow_faults(pathlib.Path(place))
    for node in NODES:
        with tempfile.TemporaryDirectory(prefix="memory") as place:
            found += faults(pathlib.Path(place), node)
    print("\n".join(found) or f"{len(NODES)} nodes take what --check predicts")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
