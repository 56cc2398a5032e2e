#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Global rate limits from a discovery service: Aeraki's filter in a listener, and the cluster of the service that counts. Which calls
are refused, what becomes of calls without the service by failure_mode_deny, and that another endpoint of the cluster is queried at once.
The same of Envoy's filter for Thrift, by the actions of the call's route, and of its filter for TCP, by connection. Envoy's local limit of
connections, which the node itself counts.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "ratelimit")]

import mesh  # noqa: E402
from world import HOST, PORT, THRIFT, THRIFT_PORT, THRIFT_VIP, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import equal, main, within  # noqa: E402
from stand_in import OK, OVER, Service, answer  # noqa: E402

LIMITS, PLACES = mesh.name_of("limits.test", 8081), [("203.0.113.8", 9000), ("203.0.113.9", 9000)]
SERVICE = {"transportApiVersion": "V3", "grpcService": {"envoyGrpc": {"clusterName": LIMITS}}}
ENVOY = mesh.TYPE + "envoy.extensions.filters.network.thrift_proxy."
CALLS = 200
TCP_PORT = 7001


class Count:
    """Admits a number of calls."""

    left = 10**6

    def __call__(self, domain, descriptors):
        self.left -= 1
        return answer([OK if self.left >= 0 else OVER])


def limited(**more):
    """As it comes from Istio: a TypedStruct."""
    limit = {"domain": "shop", "timeout": "2s", "descriptors": [{"property": "method", "descriptorKey": "m"}],
             "rateLimitService": SERVICE, **more}
    return {"metaProtocolFilters": [
        {"name": "aeraki.meta_protocol.filters.ratelimit", "config": {
            "@type": mesh.TYPE + "udpa.type.v1.TypedStruct", "typeUrl": f"{mesh.TYPE}{mesh.META}.filters.ratelimit.v1alpha.RateLimit",
            "value": limit}},
        {"name": "aeraki.meta_protocol.filters.router"}]}


def resources(w, place, **more):
    return (mesh.service(HOST, VIP, PORT, "dubbo", [w.endpoint(1)], **limited(**more)) +
            [mesh.cluster(LIMITS), mesh.assignment(LIMITS, [place])])


def thrift(w, place):
    """sayHello is counted by its name, the client and the node's cluster, and not by a header that it lacks; other methods are not."""
    name = mesh.name_of(THRIFT, THRIFT_PORT)
    actions = [{"requestHeaders": {"headerName": ":method-name", "descriptorKey": "m"}}, {"remoteAddress": {}}, {"sourceCluster": {}}]
    limits = [{"actions": actions}, {"actions": [{"requestHeaders": {"headerName": "x-user", "descriptorKey": "u"}}]}]
    body = {"@type": ENVOY + "v3.ThriftProxy", "statPrefix": "thrift",
            "thriftFilters": [
                {"name": "envoy.filters.thrift.rate_limit", "typedConfig": {
                    "@type": ENVOY + "filters.ratelimit.v3.RateLimit", "domain": "thrift", "timeout": "2s", "failureModeDeny": True,
                    "rateLimitService": SERVICE}},
                {"name": "envoy.filters.thrift.router"}],
            "routeConfig": {"name": "thrift", "routes": [
                {"match": {"methodName": "sayHello"}, "route": {"cluster": name, "rateLimits": limits}},
                {"match": {"methodName": ""}, "route": {"cluster": name}}]}}
    proxy = {"name": "envoy.filters.network.thrift_proxy", "typedConfig": body}
    return [mesh.cluster(name), mesh.assignment(name, [w.endpoint(1, THRIFT_PORT)]), mesh.listener("thrift", THRIFT_VIP, THRIFT_PORT, proxy),
            mesh.cluster(LIMITS), mesh.assignment(LIMITS, [place])]


def thrift_calls(w, method="sayHello"):
    report = w.lab.thrift_client(f"{THRIFT_VIP}:{THRIFT_PORT}", scenario="load", method=method, count=50).result()
    return report["answered"], report["failed"]


def limits_of_thrift(w, server, count, service):
    service.start()
    server.apply(*thrift(w, PLACES[1]))
    within(10, lambda: thrift_calls(w) == (50, 0), "calls within the limit")
    domain, descriptors = service.queries[-1]
    equal(domain, "thrift", "the domain")
    equal(descriptors, [{"m": "sayHello", "remote_address": "192.0.2.2", "source_cluster": "lab.meta"}], "the descriptors")
    before = len(service.queries)
    equal(thrift_calls(w, "sayGoodbye"), (50, 0), "calls of a route without limits")
    equal(len(service.queries), before, "queries about them")
    count.left = 20
    equal(thrift_calls(w), (20, 30), "calls over the limit")
    equal(thrift_calls(w, "sayGoodbye"), (50, 0), "calls of a route without limits")
    count.left = 10**6
    service.stop()
    within(10, lambda: thrift_calls(w) == (0, 50), "calls are refused without the service")
    equal(thrift_calls(w, "sayGoodbye"), (50, 0), "calls of a route without limits")


def tcp(w, place, **more):
    """Connections are counted by the listener and the client."""
    name = mesh.name_of("echo.test", TCP_PORT)
    entries = [{"key": "listener", "value": "echo"}, {"key": "client", "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}]
    limit = {"name": "envoy.filters.network.ratelimit", "typedConfig": {
        "@type": mesh.TYPE + "envoy.extensions.filters.network.ratelimit.v3.RateLimit", "statPrefix": "echo", "domain": "tcp", "timeout": "2s",
        "descriptors": [{"entries": entries}], "rateLimitService": SERVICE, **more}}
    return [mesh.cluster(name), mesh.assignment(name, [w.endpoint(1, TCP_PORT)]),
            mesh.listener("echo", VIP, TCP_PORT, limit, mesh.tcp_proxy(name, name)), mesh.cluster(LIMITS), mesh.assignment(LIMITS, [place])]


def echo(sock):
    while data := sock.recv(100):
        sock.sendall(data)


def passes(w):
    """True if the connection reaches the server, False if it is reset."""
    try:
        with w.lab.connect("client", VIP, TCP_PORT) as sock:
            sock.settimeout(20)
            sock.sendall(b"hello")
            return sock.recv(5) == b"hello"
    except ConnectionError:
        return False


def limits_of_tcp(w, server, daemon, count, service):
    service.start()
    server.apply(*tcp(w, PLACES[1]))
    with w.lab.listening("server1", TCP_PORT, echo):
        within(10, lambda: passes(w), "a connection within the limit")
        equal(service.queries[-1], ("tcp", [{"listener": "echo", "client": "192.0.2.2"}]), "the query")
        count.left = 3
        equal([passes(w) for _ in range(5)], [True] * 3 + [False] * 2, "connections over the limit")
        counters = daemon.counters()
        equal([counters["proxy_opaque_over_limit"], counters["filter_global_limited"] >= 2], [2, True], "what was counted")
        count.left = 10**6
        within(5, lambda: passes(w), "connections are admitted again")
        service.stop()
        within(10, lambda: passes(w), "connections pass without the service")
        server.apply(*tcp(w, PLACES[1], failureModeDeny=True))
        within(10, lambda: not passes(w), "connections are reset without the service")
        service.start()
        within(15, lambda: passes(w), "connections pass with the service")


def local_limit_of_tcp(w, server, daemon):
    """Envoy's local_ratelimit: the node itself counts connections."""
    name = mesh.name_of("echo.test", TCP_PORT)
    limit = {"name": "envoy.filters.network.local_ratelimit", "typedConfig": {
        "@type": mesh.TYPE + "envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit", "statPrefix": "echo",
        "tokenBucket": {"maxTokens": 3, "tokensPerFill": 1, "fillInterval": "3600s"}}}
    server.apply(mesh.cluster(name), mesh.assignment(name, [w.endpoint(1, TCP_PORT)]),
                 mesh.listener("echo", VIP, TCP_PORT, limit, mesh.tcp_proxy(name, name)))
    within(10, lambda: any(row["match"] == "listener echo" for row in daemon.show("limits")["limits"]), "the bucket")
    before = daemon.counters()
    with w.lab.listening("server1", TCP_PORT, echo):
        equal([passes(w) for _ in range(5)], [True] * 3 + [False] * 2, "connections over the limit")
    after = daemon.counters()
    equal([after[key] - before[key] for key in ("proxy_opaque_over_limit", "filter_rate_limited")], [2, 2], "what was counted")


def answered(w):
    return w.lab.dubbo_client(f"{VIP}:{PORT}", count=CALLS, outstanding=1).result()["answered"]


def body():
    with world() as w:
        w.peers(dubbo=1, thrift=1)
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
        limits_of_thrift(w, server, count, second)
        limits_of_tcp(w, server, daemon, count, second)
        local_limit_of_tcp(w, server, daemon)


main(body)
