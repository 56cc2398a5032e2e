# SPDX-License-Identifier: Apache-2.0
"""Resources of a mesh in protobuf's JSON, as Istio and Aeraki write them."""

TYPE = "type.googleapis.com/"
META = "aeraki.meta_protocol_proxy"
ADS = {"ads": {}, "resourceApiVersion": "V3"}
AERAKI = {"apiConfigSource": {"apiType": "GRPC", "transportApiVersion": "V3",
                              "grpcServices": [{"envoyGrpc": {"clusterName": "aeraki-xds"}}]}, "resourceApiVersion": "V3"}


def name_of(host, port, subset="", way="outbound"):
    return f"{way}|{port}|{subset}|{host}"


def cluster(name, **fields):
    """A cluster whose endpoints come by EDS, unless `type` says otherwise."""
    body = {"@type": TYPE + "envoy.config.cluster.v3.Cluster", "name": name, "type": "EDS",
            "edsClusterConfig": {"edsConfig": ADS}, "connectTimeout": "1s"}
    body.update(fields)
    if body["type"] != "EDS":
        del body["edsClusterConfig"]
    return body


def assignment(name, endpoints):
    """endpoints: (address, port) or (address, port, weight)."""
    listing = [{"endpoint": {"address": {"socketAddress": {"address": address, "portValue": port}}},
                "loadBalancingWeight": weight[0] if weight else 1} for address, port, *weight in endpoints]
    return {"@type": TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment", "clusterName": name,
            "endpoints": [{"locality": {"region": "lab"}, "lbEndpoints": listing, "loadBalancingWeight": max(1, len(listing))}]}


def names(**table):
    """Istio's table of names: {host: addresses}; hosts of the registry that Kubernetes is know their short names."""
    return {"@type": TYPE + "istio.networking.nds.v1.NameTable",
            "table": {host: {"ips": ips, "registry": "External"} for host, ips in table.items()}}


def weighted(shares):
    return {"weightedClusters": {"clusters": [{"name": name, "weight": weight} for name, weight in shares.items()],
                                 "totalWeight": sum(shares.values())}}


def action(target):
    return weighted(target) if isinstance(target, dict) else {"cluster": target}


def routes(name, *rules):
    """
    Routes in the carrier that MetaProtocol uses: rules are targets (a cluster's name, or {name: weight}), or
    (header matchers, target).
    """
    listing = []
    for number, rule in enumerate(rules):
        headers, target = rule if isinstance(rule, tuple) else ([], rule)
        listing.append({"name": f"r{number}", "match": {"prefix": "/", "headers": headers}, "route": action(target)})
    return {"@type": TYPE + "envoy.config.route.v3.RouteConfiguration", "name": name,
            "virtualHosts": [{"name": "dummy", "domains": ["*"], "routes": listing}]}


def exact(key, value):
    return {"name": key, "stringMatch": {"exact": value}}


def listener(name, address, port, *filters, **fields):
    return {"@type": TYPE + "envoy.config.listener.v3.Listener", "name": name, "trafficDirection": "OUTBOUND",
            "address": {"socketAddress": {"address": address, "portValue": port}},
            "filterChains": [{"filters": list(filters)}], **fields}


def tcp_proxy(name, target):
    body = {"@type": TYPE + "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "statPrefix": name, **action(target)}
    body.get("weightedClusters", {}).pop("totalWeight", None)
    return {"name": "envoy.filters.network.tcp_proxy", "typedConfig": body}


def _proxy(protocol, host, port, source, more):
    """What Aeraki writes for an outbound service."""
    return {"statPrefix": name_of(host, port), "applicationProtocol": protocol,
            **({"rds": {"routeConfigName": f"{host}_{port}", "configSource": source}} if source else {}),
            "codec": {"name": f"aeraki.meta_protocol.codec.{protocol}"},
            "metaProtocolFilters": [{"name": "aeraki.meta_protocol.filters.router"}], **more}


def meta_struct(protocol, host, port, source=ADS, **more):
    """As it comes from Istio: a TypedStruct."""
    return {"name": "envoy.filters.network.meta_protocol_proxy",
            "typedConfig": {"@type": TYPE + "udpa.type.v1.TypedStruct", "typeUrl": TYPE + META + ".v1alpha.MetaProtocolProxy",
                            "value": _proxy(protocol, host, port, source, more)}}


def meta_binary(protocol, host, port, source=ADS, **more):
    """The message itself."""
    return {"name": "aeraki.meta_protocol_proxy",
            "typedConfig": {"@type": TYPE + META + ".v1alpha.MetaProtocolProxy", **_proxy(protocol, host, port, source, more)}}


def service(host, vip, port, protocol, endpoints, kind=meta_struct, **more):
    """Everything for a service with one cluster."""
    name = name_of(host, port)
    if protocol == "tcp":
        return [cluster(name), assignment(name, endpoints), listener(f"{vip}_{port}", vip, port, tcp_proxy(name, name))]
    return [cluster(name), assignment(name, endpoints), routes(f"{host}_{port}", name),
            listener(f"{vip}_{port}", vip, port, kind(protocol, host, port, **more))]


def split(host, vip, port, protocol, subsets, shares, kind=meta_struct, **more):
    """A service of subsets: {subset: endpoints} with {subset: weight}."""
    out = []
    for subset, endpoints in subsets.items():
        name = name_of(host, port, subset)
        out += [cluster(name), assignment(name, endpoints)]
    return out + [shares_of(host, port, shares), listener(f"{vip}_{port}", vip, port, kind(protocol, host, port, **more))]


def shares_of(host, port, shares):
    return routes(f"{host}_{port}", {name_of(host, port, subset): weight for subset, weight in shares.items()})
