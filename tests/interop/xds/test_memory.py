#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What an idle mesh costs, beyond what an empty one does: memory for each cluster and for each endpoint that the real daemon with a
real discovery server has allocated (Envoy's page /memory), once it has freed what a sync needed. Pages that the allocator keeps
and how it fills them depend on the machine, and do not count.
"""

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, main, within  # noqa: E402

CLUSTERS, ENDPOINTS = 3000, 10
CLUSTER_MAX, WITH_ENDPOINTS_MAX = 4600, 6700
SAME = 64 << 10  # bytes that the questions themselves take and return


def allocated(daemon):
    return int(json.loads(daemon.http("/memory")[1])["allocated"])


def settled(daemon):
    """The daemon has written its state file and freed the sync's memory when what it has allocated has not changed for four seconds."""
    last, since = allocated(daemon), time.monotonic()
    while time.monotonic() - since < 4:
        time.sleep(0.3)
        now = allocated(daemon)
        if abs(now - last) > SAME:
            last, since = now, time.monotonic()
    return last


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
    out = settled(daemon)
    check(len(daemon.show("endpoints")["endpoints"]) > clusters * endpoints, "they are in force")
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
