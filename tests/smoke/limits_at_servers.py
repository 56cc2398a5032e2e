#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A rate limit that Aeraki writes for servers' own proxies, in front of servers that have none: each instance has a bucket of its own,
whichever service its calls are for; what is over it is answered natively and reaches nobody. Others are not limited, calls that a
policy denies take no token, and a reload keeps the tokens.
"""

from meltemi_lab import Lab, equal, main

HOST, VIP, ALIAS = "com.clinic.visits", "240.240.1.1", "240.240.1.2"
TOKENS = 20
ANY = None
ALL = {"v1/s1": ANY, "v2/s2": ANY}

SERVICE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %s, namespace: clinic}
spec:
  hosts: [%s]
  addresses: [%s]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]
  workloadSelector: {labels: {app: visits}}
---
"""
INSTANCE = """apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: visits-%d, namespace: clinic}
spec: {address: 198.51.100.1%d, labels: {app: visits, n: '%d'}%s}
---
"""
FILTER = """apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: aeraki-inbound-com.clinic.visits-20880, namespace: %(namespace)s}
spec:
  workloadSelector: {labels: {%(labels)s}}
  configPatches:
  - applyTo: NETWORK_FILTER
    match:
      context: SIDECAR_INBOUND
      listener: {name: virtualInbound, filterChain: {destinationPort: %(port)s, filter: {name: envoy.filters.network.tcp_proxy}}}
    patch:
      operation: REPLACE
      value:
        name: envoy.filters.network.meta_protocol_proxy
        typed_config:
          '@type': type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: type.googleapis.com/aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy
          value:
            applicationProtocol: dubbo
            codec: {name: aeraki.meta_protocol.codec.dubbo}
            metaProtocolFilters:
            - name: aeraki.meta_protocol.filters.local_ratelimit
              config:
                '@type': type.googleapis.com/aeraki.meta_protocol_proxy.filters.local_ratelimit.v1alpha.LocalRateLimit
                statPrefix: com.clinic.visits
                tokenBucket: {fillInterval: 3600s, maxTokens: %(tokens)s, tokensPerFill: 1}
            - name: aeraki.meta_protocol.filters.router
            routeConfig: {name: inbound|20880||, routes: [{name: inbound|20880||, route: {cluster: inbound|20880||}}]}
"""


def limit(tokens=TOKENS, namespace="istio-system", labels="app: visits", port=20880):
    return FILTER % {"tokens": tokens, "namespace": namespace, "labels": labels, "port": port}


def policy(field):
    return ("---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: clinic}\n"
            "spec: {action: DENY, rules: [{when: [{key: 'request.headers[team]', values: [%s]}]}]}\n" % field)


def status(daemon):
    return [row["status"] for row in daemon.show("objects")["objects"] if row["kind"] == "EnvoyFilter"]


def in_force(daemon, text, wanted):
    daemon.write("filter.yaml", text)
    daemon.shell("reload")
    equal(status(daemon), wanted, "status of the filter")


def calls(lab, count=100, vip=VIP, **options):
    report = lab.dubbo_client(f"{vip}:20880", count=count, outstanding=2, rate=500, **options).result()
    equal(report["answered"] + report["failed"], count, "calls that came to an end")
    return report


def each(lab, expected, what, over=True, **options):
    """Calls that each server answered (ANY: who is not limited); the others are told that they are over the limit."""
    report = calls(lab, **options)
    found = {name: n if expected.get(name) is not ANY else ANY for name, n in report["by_server"].items()}
    equal(found, expected, f"{what}: calls answered by server: {report}")
    equal(report["failed"] > 0, over, f"{what}: calls over the limit: {report}")
    if report["failed"]:
        equal(set(report["error_samples"]), {"meltemi: over limit"}, f"{what}: words of those that are not")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.write("services.yaml", SERVICE % ("visits", HOST, VIP) + SERVICE % ("alias", "alias.clinic", ALIAS) +
                     INSTANCE % (1, 1, 1, "") + INSTANCE % (2, 2, 2, ""))
        daemon.start()
        each(lab, ALL, "without a limit", over=False)
        for what, text in (("another namespace's", limit(namespace="other")), ("other labels", limit(labels="app: other")),
                           ("another port's", limit(port=20881))):
            in_force(daemon, text, ["no-effect"])
            each(lab, ALL, what, over=False)
        # The denied take no token.
        in_force(daemon, limit() + policy("red"), ["in-force"])
        equal(calls(lab, 60, attach="team=red")["answered"], 0, "calls that a policy denies")
        each(lab, {"v1/s1": TOKENS, "v2/s2": TOKENS}, "each instance has its own bucket")
        each(lab, {}, "which is empty", count=20)
        told = daemon.shell("explain", "protocol=dubbo", f"service={HOST}", "method=sayHello", "src=192.0.2.2")
        equal("over limit" in told and 'of inbound 198.51.100.11:20880: 0 of 20 tokens are there' in told, True, f"explain: {told}")
        each(lab, {}, "also for calls of another service that has it", count=20, vip=ALIAS)
        in_force(daemon, limit() + policy("blue"), ["in-force"])
        each(lab, {}, "and stays so over a reload", count=20)
        equal({row["service"]: (row["admitted"], row["refused"] > 0) for row in daemon.show("limits")["limits"]},
              {f"inbound 198.51.100.1{n}:20880": (TOKENS, True) for n in (1, 2)}, "buckets that are shown")
        in_force(daemon, limit(labels="n: '2'"), ["in-force"])
        each(lab, {"v1/s1": ANY}, "of the second one alone")
        # An instance with a proxy of its own has the limit there.
        daemon.write("services.yaml", SERVICE % ("visits", HOST, VIP) + INSTANCE % (1, 1, 1, "") +
                     "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: clear, namespace: clinic}\n"
                     "spec: {host: %s, trafficPolicy: {tls: {mode: DISABLE}}}\n---\n" % HOST + INSTANCE % (2, 2, 2, ", serviceAccount: a"))
        in_force(daemon, limit(labels="n: '2'", tokens=1), ["elsewhere"])
        each(lab, ALL, "a proxy of its own", over=False)
        equal(daemon.counters()["proxy_reply_over_limit"] > 0, True, "calls over a limit are counted")


main(body)
