#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Measures what documents cost a running daemon without traffic: bytes of a service, an endpoint, a subset and a route, and CPU time of the
control thread for a start and for `meltemi reload` after one file has changed. Each service has a file of its own.

  bench/scale/documents.py [--build DIRECTORY] [--memory SERVICES] [SERVICES]...

--memory is the number of services for the bytes. Starts and reloads are measured for each further number of services. Prints a line of JSON
for each result, then the rows of docs/how-to/sizing.md.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES, RELOADED, CHANGES, SECONDS = 1000, [0, 1000, 10000], 5, 120
# Parts of a row of the page; the services of the bytes have one port and two endpoints.
PARTS = {"a service": "with one Dubbo port and two endpoints", "the same after five reloads": "", "another endpoint": "",
         "a DestinationRule": "with one subset", "another subset": "", "a VirtualService": "with one route", "another route": ""}
NODE = """\
apiVersion: meltemi.io/v1
kind: Node
metadata: {name: documents}
spec:
  connections: 1024
  memory: {hugepages: off, mb: 64}
  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]
  stateDirectory: state
  admin: {socket: admin.sock}
"""
SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: s{i}, namespace: n{team}}}
spec:
  hosts: [com.shop.s{i}]
  addresses: [10.{high}.{low}.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}}]
  endpoints:
"""
ENDPOINT = "  - {{address: 10.{high}.{low}.{host}, weight: {weight}, labels: {{version: v{version}}}}}\n"
RULE = """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: s{i}, namespace: n{team}}}
spec:
  host: com.shop.s{i}
  subsets:
"""
SUBSET = "  - {{name: subset{n}, labels: {{version: v0}}}}\n"
ROUTES = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: s{i}, namespace: n{team}}}
spec:
  hosts: [com.shop.s{i}]
  http:
"""
ROUTE = "  - {{match: [{{method: {{exact: get{n}}}}}], route: [{{destination: {{host: com.shop.s{i}}}}}]}}\n"


def documents(i, weight=1, endpoints=2, subsets=0, routes=0):
    """Documents of service i."""
    words = {"i": i, "team": i % 50, "high": 1 + i // 256, "low": i % 256}
    lines = [SERVICE.format(**words)]
    lines += [ENDPOINT.format(host=2 + k, weight=weight, version=k, **words) for k in range(endpoints)]
    for head, line, n in ((RULE, SUBSET, subsets), (ROUTES, ROUTE, routes)):
        lines += [head.format(**words)] * bool(n) + [line.format(n=k, **words) for k in range(n)]
    return "".join(lines)


class Node:
    """with Node(build, services, more): a running daemon; more: options of documents()."""

    def __init__(self, build, services, **more):
        self.build, self.services, self.more = build, services, more

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="documents")
        self.place = pathlib.Path(self.folder.name)
        for name in ("documents", "state"):
            (self.place / name).mkdir()
        (self.place / "node.yaml").write_text(NODE)
        for i in range(self.services):
            self.write(i)
        with open(self.place / "log", "wb") as log:
            self.process = subprocess.Popen([self.build / "app/meltemid/meltemid", "-c", "node.yaml", "-d", "documents"], stdout=log, stderr=log,
                                            cwd=self.place)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(SECONDS)
        self.folder.cleanup()

    def write(self, i, weight=1):
        scratch = self.place / "new"
        scratch.write_text(documents(i, weight, **self.more))
        scratch.rename(self.place / f"documents/s{i}.yaml")

    def shell(self, *words):
        return subprocess.run([self.build / "app/meltemi/meltemi", "-s", self.place / "admin.sock", *words], capture_output=True, text=True,
                              timeout=SECONDS, check=False)

    def resident(self):
        end = time.monotonic() + SECONDS
        while (done := self.shell("--json", "show", "memory")).returncode:
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"no answer: {done.stdout}{done.stderr}\n{(self.place / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        return json.loads(done.stdout)["resident_bytes"]

    def control_ms(self):
        """CPU time of the control thread, which is the process's first."""
        return int(pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat").read_text().split()[0]) / 1e6

    def reload(self, weight):
        """CPU time until `meltemi reload` returns after a change of one file; None: the daemon noticed the change before."""
        before = self.control_ms()
        self.write(0, weight)
        done = self.shell("reload")
        if done.returncode:
            raise SystemExit(f"reload: {done.stdout}{done.stderr}")
        return None if "no change" in done.stdout else self.control_ms() - before

    def reloads(self, pause):
        """CPU times of several, each after a pause in which the daemon has noticed the change before."""
        costs = []
        for weight in range(2, 2 + 4 * CHANGES):
            time.sleep(pause)
            costs += [cost for cost in [self.reload(weight)] if cost]
            if len(costs) == CHANGES:
                return sorted(costs)
        raise SystemExit("the daemon notices changes before `meltemi reload`")


def memory_of(build, services):
    """({part: bytes of one}, resident bytes without services, and with them)"""
    def resident(number=services, **more):
        with Node(build, number, **more) as node:
            return node.resident()

    def each(more, less, number=1):
        return (more - less) / services / number

    with Node(build, services) as node:
        plain = node.resident()
        node.reloads(0.5)
        reloaded = node.resident()
    empty, subset, route = resident(0), resident(subsets=1), resident(routes=1)
    sizes = (each(plain, empty), each(reloaded, empty), each(resident(endpoints=12), plain, 10), each(subset, plain),
             each(resident(subsets=5), subset, 4), each(route, plain), each(resident(routes=11), route, 10))
    return dict(zip(PARTS, sizes, strict=True)), empty, plain


def times_of(build, services):
    """What a start and reloads with so many services take. Without services there is no file to change."""
    with Node(build, services) as node:
        at_start, start = node.resident(), node.control_ms()
        costs = node.reloads(2) if services else []
        return {"services": services, "start_ms": round(start), "resident_mb": round(at_start / 1e6, 1), "reload_ms": [round(cost, 1) for cost in costs],
                "reloaded_mb": round(node.resident() / 1e6, 1)}


def sizes_row(sizes):
    names = "; ".join(f"{part} ({more})" if more else part for part, more in PARTS.items())
    return f"| from documents: {names} | {'; '.join(f'{round(sizes[part], -2):,.0f}' for part in PARTS)} | heap |"


def times_row(row):
    reload = f"{statistics.median(row['reload_ms']) / 1000:.2f} s | {row['reloaded_mb']:.0f} MB" if row["reload_ms"] else "| "
    return f"| {row['services']:,} | {row['start_ms'] / 1000:.2f} s | {row['resident_mb']:.0f} MB | {reload} |".replace("  ", " ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build")))
    parser.add_argument("--memory", type=int, default=SERVICES)
    parser.add_argument("services", nargs="*", type=int, default=RELOADED)
    options = parser.parse_args()
    build, rows = options.build.resolve(), []
    if options.memory:
        sizes = memory_of(build, options.memory)[0]
        rows.append(sizes_row(sizes))
        for part, n in sizes.items():
            print(json.dumps({"bench": "documents", "of": part, "bytes": round(n)}), flush=True)
    for services in options.services:
        row = times_of(build, services)
        rows.append(times_row(row))
        print(json.dumps({"bench": "documents", **row}), flush=True)
    print("\n".join(rows))


if __name__ == "__main__":
    sys.exit(main())
