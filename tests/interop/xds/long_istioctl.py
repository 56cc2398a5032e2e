#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
istioctl proxy-config on what Meltemi answers, as on a sidecar's: clusters, listeners, routes, endpoints, secrets and bootstrap of a
node with a discovery server. Only for --long: istioctl is built from its module, which takes minutes.
"""

import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from adsd import HERE  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import Skip, check, equal, main  # noqa: E402


def istioctl():
    done = subprocess.run([HERE / "istiod" / "build.sh", "istioctl"], text=True, capture_output=True, timeout=1400, check=False)
    if done.returncode:
        raise Skip(f"no istioctl: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")
    return max((pathlib.Path.home() / ".cache/meltemi/istiod").glob("istioctl-*"))


def keep(w, path, name):
    """The answer to path, in a file."""
    done = subprocess.run(["ip", "netns", "exec", w.daemon.namespace, "curl", "-sf", "-m", "20", "http://127.0.0.1:15000" + path],
                          text=True, capture_output=True, timeout=30, check=False)
    equal(done.returncode, 0, f"curl {path}")
    file = w.lab.directory / name
    file.write_text(done.stdout)
    return file


def shown(program, what, file, *more):
    done = subprocess.run([program, "proxy-config", what, "--file", file, *more], text=True, capture_output=True, timeout=60, check=False,
                          env={**os.environ, "HOME": str(file.parent), "KUBECONFIG": "/nonexistent"})
    check(done.returncode == 0, f"istioctl proxy-config {what}: {done.stderr[:500]}")
    return done.stdout


def tables(w, program, dump):
    text = shown(program, "clusters", dump)
    rows = [line.split() for line in text.splitlines() if line.startswith(HOST)]
    equal(sorted((row[1], row[2], row[3], row[4]) for row in rows if row[2] in ("v1", "v2")),
          [(str(PORT), "v1", "outbound", "EDS"), (str(PORT), "v2", "outbound", "EDS")], f"clusters: {text}")
    text = shown(program, "listeners", dump)
    check(any(line.split()[:2] == [VIP, str(PORT)] for line in text.splitlines()), f"listeners: {text}")
    text = shown(program, "routes", dump, "-o", "json")
    names = {c["name"]: c["weight"] for c in json.loads(text)[0]["virtualHosts"][0]["routes"][0]["route"]["weightedClusters"]["clusters"]}
    equal(names, {mesh.name_of(HOST, PORT, "v1"): 70, mesh.name_of(HOST, PORT, "v2"): 30}, "weights")
    check("meltemi" in shown(program, "bootstrap", dump), "bootstrap")
    shown(program, "secret", dump)


def body():
    program = istioctl()
    with world() as w:
        server = w.server()
        server.apply(*mesh.split(HOST, VIP, PORT, "dubbo", {"v1": [w.endpoint(1)], "v2": [w.endpoint(2)]}, {"v1": 70, "v2": 30}))
        w.peers(thrift=0)
        w.meltemi().start()
        w.serves(["v1/s1", "v2/s2"])
        tables(w, program, keep(w, "/config_dump", "dump.json"))
        where = f"{w.lab.server(1)}:{PORT}"
        for path, what in (("/clusters?format=json", "endpoints"), ("/config_dump?include_eds", "eds")):
            text = shown(program, what, keep(w, path, f"{what}.json"))
            row = next((line for line in text.splitlines() if line.startswith(where) and "|v1|" in line), "")
            check("HEALTHY" in row, f"istioctl proxy-config {what}: {text}")


main(body)
