#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What an idle mesh costs, beyond what an empty one does: memory for each cluster and for each endpoint, of the real daemon with
a real discovery server, once what a sync needed has been given back.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, main, within  # noqa: E402

CLUSTERS, ENDPOINTS = 3000, 10
# A guard: pages that are not full differ by up to 2 MB from run to run with how the answers came in, and that counts for more
# in a mesh as small as this one than in one of 10,000 (bench/xds). So endpoints are judged with their clusters: what one run has
# more of the one it has less of the other.
CLUSTER_MAX, WITH_ENDPOINTS_MAX = 4600, 6700


def own_bytes(pid):
    """Memory of its own; huge pages and what is shared with others do not count."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def settled(pid):
    """The state file is written and memory given back when nothing changes for seconds."""
    seen, since = own_bytes(pid), time.monotonic()
    while time.monotonic() - since < 6:
        time.sleep(0.5)
        if own_bytes(pid) < seen:
            seen, since = own_bytes(pid), time.monotonic()
    return seen


def bytes_with(w, clusters, endpoints):
    if w.adsd:
        w.adsd.stop()
    server = w.server(linear=True)
    server.ask("POST", "/mesh", {"clusters": clusters, "endpoints": endpoints})
    server.apply(*mesh.service(HOST, VIP, PORT, "dubbo", [w.endpoint(1)]))
    daemon = w.meltemi(delta=True)
    daemon.start(60)

    def done():
        seen = server.report()["types"]["eds"]
        return len(seen["names"]) > clusters and seen["resources"] > clusters

    within(60, done, "the mesh is there")
    # Asked only afterwards: what a long answer leaves of its pages is not what an idle mesh costs.
    out = settled(daemon.process.pid)
    check(len(daemon.show("clusters")["clusters"]) > clusters * endpoints, "they are in force")
    daemon.stop()
    return out


def body():
    with world() as w:
        empty, clusters, both = (bytes_with(w, *n) for n in ((0, 0), (CLUSTERS, 0), (CLUSTERS, ENDPOINTS)))
    cluster, endpoint = (clusters - empty) / CLUSTERS, (both - clusters) / CLUSTERS / ENDPOINTS
    print(f"{cluster:.0f} bytes a cluster, {endpoint:.0f} bytes an endpoint, {empty / 1e6:.1f} MB without any", flush=True)
    check(0 < cluster <= CLUSTER_MAX, f"a cluster costs {cluster:.0f} bytes, more than {CLUSTER_MAX}")
    whole = cluster + ENDPOINTS * endpoint
    check(cluster < whole <= WITH_ENDPOINTS_MAX, f"a cluster with {ENDPOINTS} endpoints costs {whole:.0f} bytes, more than {WITH_ENDPOINTS_MAX}")


main(body)
