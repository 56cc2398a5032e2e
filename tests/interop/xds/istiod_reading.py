# SPDX-License-Identifier: Apache-2.0
"""
What an istiod tells one proxy, read as that proxy's clients would meet it: names to addresses, addresses to listeners, filters to
clusters, clusters to endpoints. Needs the Python of environment.istiod(); see tests/documents/istiod for the form of answers.
"""

import ipaddress
import pathlib
import queue
import subprocess
import sys
import tempfile

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/documents/istiod"))
import asked  # noqa: E402

PREFIX = "type.googleapis.com/"
CDS, EDS = PREFIX + "envoy.config.cluster.v3.Cluster", PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LDS, RDS = PREFIX + "envoy.config.listener.v3.Listener", PREFIX + "envoy.config.route.v3.RouteConfiguration"
NDS = PREFIX + "istio.networking.nds.v1.NameTable"
SECONDS = 15
UNLIMITED = 2**32 - 1
FAILURES = 5  # Envoy's default
HEALTHY = (health_check_pb2.UNKNOWN, health_check_pb2.HEALTHY)  # istiod tells those that are not ready, too
CONNECT_MS = 10000  # Istio's default; what is by default is not told
BALANCERS = {0: "round_robin", 1: "least_request", 2: "hash", 3: "random", 5: "hash", 6: "as the client asked"}


def name_table():
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "-I.", f"--descriptor_set_out={out.name}", "names.proto"], check=True, cwd=ROOT / "proto")
        files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(files.file[0])
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("xds.NameTable"))


NameTable = name_table()


def node_of(client):
    """As a proxy of Istio 1.31 says who it is, with its table of names and addresses for entries that have none."""
    kind, address = ("router", "10.255.255.1") if client.gateway else ("sidecar", "10.255.255.2")
    node = base_pb2.Node(id=f"{kind}~{address}~asker.{client.namespace}~{client.namespace}.svc.cluster.local", cluster="asker")
    node.metadata.update({"NAMESPACE": client.namespace, "LABELS": client.labels, "ISTIO_VERSION": "1.31.0", "CLUSTER_ID": "Kubernetes",
                          "DNS_CAPTURE": "true", "DNS_AUTO_ALLOCATE": "true", "INSTANCE_IPS": address})
    where = client.locality
    if where:
        node.locality.region, node.locality.zone, node.locality.sub_zone = where["region"], where["zone"], where["subzone"]
    return node


class Told:
    """All that istiod tells a client."""

    def __init__(self, target, client):
        self.requests = queue.Queue()
        self.node = node_of(client)
        channel = grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)])
        self.stream = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).StreamAggregatedResources(iter(self.requests.get, None),
                                                                                                       timeout=SECONDS)
        self.clusters = {c.name: c for c in self.ask(CDS, cluster_pb2.Cluster)}
        names = sorted(c.eds_cluster_config.service_name or c.name for c in self.clusters.values() if c.type == cluster_pb2.Cluster.EDS)
        self.endpoints = {c.cluster_name: c for c in self.ask(EDS, endpoint_pb2.ClusterLoadAssignment, names)} if names else {}
        self.listeners = self.ask(LDS, listener_pb2.Listener)
        tables = sorted({table for chain in self.chains() for table in [table_of(chain)] if table})
        self.routes = {r.name: r for r in self.ask(RDS, route_pb2.RouteConfiguration, tables)} if tables else {}
        self.names = {} if client.gateway else {host: list(info.ips) for table in self.ask(NDS, NameTable)
                                                for host, info in table.table.items()}
        self.requests.put(None)
        channel.close()

    def ask(self, url, message, names=()):
        self.requests.put(discovery_pb2.DiscoveryRequest(node=self.node, type_url=url, resource_names=names))
        for response in self.stream:
            # Also what nobody asked for just now is taken.
            self.requests.put(discovery_pb2.DiscoveryRequest(type_url=response.type_url, version_info=response.version_info,
                                                             response_nonce=response.nonce, resource_names=names))
            if response.type_url == url:
                return [message.FromString(any_.value) for any_ in response.resources]
        raise SystemExit(f"istiod ended the stream before it told {url}")

    def chains(self):
        return [chain for one in self.listeners for chain in (*one.filter_chains, one.default_filter_chain)]

    # ---- from an address to destinations

    def listener(self, address, port):
        """The one at the address, or at any address."""
        def bound(one):
            every = [one.address, *(more.address for more in one.additional_addresses)]
            return [a.socket_address.address for a in every if a.socket_address.port_value == port]

        found = [one for one in self.listeners if address and address in bound(one)]
        return (found or [one for one in self.listeners if {"0.0.0.0", "::"} & set(bound(one))] or [None])[0]

    @staticmethod
    def chain(listener, address):
        """Of byte streams before HTTP, unless they only pass on; whose prefixes hold the address, the longest first."""
        best, size = listener.default_filter_chain if listener.HasField("default_filter_chain") else None, -2
        passes = best is None or any(b"PassthroughCluster" in one.typed_config.value for one in best.filters)
        for chain in listener.filter_chains:
            match = chain.filter_chain_match
            if size < -1 and passes and table_of(chain):
                best = chain
            bits = [p.prefix_len.value for p in match.prefix_ranges if address and ipaddress.ip_address(address) in
                    ipaddress.ip_network(f"{p.address_prefix}/{p.prefix_len.value}", strict=False)]
            if (match.prefix_ranges and not bits) or match.transport_protocol == "tls" or match.application_protocols:
                continue
            if max(bits, default=-1) > size:
                best, size = chain, max(bits, default=-1)
        return best

    def destinations(self, question):
        """[(weight, cluster)]; none: nobody listens there."""
        host = question.host
        addresses = [host.lstrip("@")] if host.startswith("@") else self.names.get(host, [])
        for address in addresses:
            listener = self.listener(address, question.port)
            chain = self.chain(listener, address) if listener else None
            found = self.of_chain(chain, host, question.port) if chain else []
            if found:
                return found
        return []

    def of_chain(self, chain, host, port):
        for one in chain.filters:
            if one.typed_config.TypeName() == "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy":
                proxy = tcp_proxy_pb2.TcpProxy.FromString(one.typed_config.value)
                return weighted(proxy)
        table = self.routes.get(table_of(chain))
        for vhost in table.virtual_hosts if table else ():
            if f"{host}:{port}" in vhost.domains or host in vhost.domains:
                return weighted(vhost.routes[0].route)
        return []

    # ---- clusters

    def cluster(self, name):
        one = self.clusters.get(name)
        if one is None:
            return None
        if one.type == cluster_pb2.Cluster.ORIGINAL_DST:
            return "as the client asked", {}
        told = one.load_assignment
        if one.type == cluster_pb2.Cluster.EDS:
            told = self.endpoints.get(one.eds_cluster_config.service_name or name, told)
        settings = {"balancer": BALANCERS[one.lb_policy]} if one.lb_policy != cluster_pb2.Cluster.LEAST_REQUEST else {}
        if one.connect_timeout.ToMilliseconds() != CONNECT_MS:
            settings["connect_ms"] = one.connect_timeout.ToMilliseconds()
        for limit in one.circuit_breakers.thresholds:
            if limit.max_connections.value != UNLIMITED:
                settings["max_connections"] = limit.max_connections.value
        if one.HasField("outlier_detection"):
            told_5xx = one.outlier_detection.HasField("consecutive_5xx")
            settings["failures"] = one.outlier_detection.consecutive_5xx.value if told_5xx else FAILURES
        return [each for group in told.endpoints for each in instances(one, group)], settings


def instances(cluster, group):
    """A locality's share is that of its endpoints, unless localities have weights that count."""
    healthy = [e for e in group.lb_endpoints if e.health_status in HEALTHY]
    total = sum(max(1, e.load_balancing_weight.value) for e in healthy)
    counts = cluster.common_lb_config.HasField("locality_weighted_lb_config") and group.load_balancing_weight.value
    for e in healthy:
        at = e.endpoint.address.socket_address
        where = f"[{at.address}]:{at.port_value}" if ":" in at.address else f"{at.address}:{at.port_value}"
        own = max(1, e.load_balancing_weight.value)
        yield (own * group.load_balancing_weight.value // total if counts else own), where, group.priority


def table_of(chain):
    for one in chain.filters:
        if one.typed_config.TypeName().endswith("HttpConnectionManager"):
            return http_pb2.HttpConnectionManager.FromString(one.typed_config.value).rds.route_config_name
    return None


def weighted(action):
    if action.cluster:
        return [(1, action.cluster)]
    return [(getattr(c.weight, "value", c.weight), c.name) for c in action.weighted_clusters.clusters]


def answers(target, questions):
    """{name: answer} of questions of one scene."""
    told, out = {}, {}
    for one in questions:
        if one.client.text not in told:
            told[one.client.text] = Told(target, one.client)
        by = told[one.client.text]
        out[one.name] = asked.answer(by.destinations(one), by.cluster)
    return out
