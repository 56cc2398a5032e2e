#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A global rate limit from a discovery service: Aeraki's filter in a listener, and the cluster of the service that counts. Which calls
are refused, what becomes of calls without the service by failure_mode_deny, and that another endpoint of the cluster is queried at once.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "ratelimit")]

import mesh  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import equal, main, within  # noqa: E402
from stand_in import OK, OVER, Service, answer  # noqa: E402

LIMITS, PLACES = mesh.name_of("limits.test", 8081), [("203.0.113.8", 9000), ("203.0.113.9", 9000)]
CALLS = 200


class Count:
    """Admits a number of calls."""

    left = 10**6

    def __call__(self, domain, descriptors):
        self.left -= 1
        return answer([OK if self.left >= 0 else OVER])


def limited(**more):
    """As it comes from Istio: a TypedStruct."""
    limit = {"domain": "shop", "timeout": "2s", "descriptors": [{"property": "method", "descriptorKey": "m"}],
             "rateLimitService": {"transportApiVersion": "V3", "grpcService": {"envoyGrpc": {"clusterName": LIMITS}}}, **more}
    return {"metaProtocolFilters": [
        {"name": "aeraki.meta_protocol.filters.ratelimit", "config": {
            "@type": mesh.TYPE + "udpa.type.v1.TypedStruct", "typeUrl": f"{mesh.TYPE}{mesh.META}.filters.ratelimit.v1alpha.RateLimit",
            "value": limit}},
        {"name": "aeraki.meta_protocol.filters.router"}]}


def resources(w, place, **more):
    return (mesh.service(HOST, VIP, PORT, "dubbo", [w.endpoint(1)], **limited(**more)) +
            [mesh.cluster(LIMITS), mesh.assignment(LIMITS, [place])])


def answered(w):
    return w.lab.dubbo_client(f"{VIP}:{PORT}", count=CALLS, outstanding=1).result()["answered"]


def body():
    with world() as w:
        w.peers(dubbo=1)
        server, count = w.server(), Count()
        server.apply(*resources(w, PLACES[0]))
        daemon = w.meltemi()
        daemon.start()
        for address, _ in PLACES:
            subprocess.run(["ip", "-n", daemon.namespace, "address", "add", f"{address}/32", "dev", "lo"], check=True)
        first, second = (Service(daemon.namespace, place, count) for place in PLACES)
        w.serves(["v1/s1"])
        within(10, lambda: first.queries, "queries")
        equal(first.queries[-1], ("shop", [{"m": "sayHello"}]), "the query")
        count.left = 50
        equal(answered(w), 50, "calls within the limit")
        equal(answered(w), 0, "calls over the limit")
        count.left = 10**6
        within(5, lambda: answered(w) == CALLS, "calls are admitted again")
        equal(second.queries, [], "queries of an endpoint that the cluster does not have")
        server.apply(*resources(w, PLACES[1]))
        within(10, lambda: answered(w) == CALLS and second.queries, "the cluster's new endpoint is queried")
        before = len(first.queries)
        equal(answered(w), CALLS, "calls")
        equal(len(first.queries), before, "queries of the endpoint that is gone")
        second.stop()
        within(10, lambda: answered(w) == CALLS, "calls pass without the service")
        server.apply(*resources(w, PLACES[1], failureModeDeny=True))
        within(10, lambda: answered(w) == 0, "calls are refused without the service")
        nowhere = mesh.name_of("nowhere.test", 8081)
        server.apply(*resources(w, PLACES[1], failureModeDeny=True, rateLimitService={"grpcService": {"envoyGrpc": {"clusterName": nowhere}}}))
        w.problem(nowhere, "calls under the limit are refused", seconds=30)  # the listener waits for the cluster first
        equal(answered(w), 0, "calls without a cluster")


main(body)
