# SPDX-License-Identifier: Apache-2.0
"""
Envoy as an oracle: Envoy and Meltemi take the same resources from the same discovery server, stand between clients and servers
with the same addresses, and are asked the same questions. A side is a namespace of clients:

    client  192.0.2.2 ─── 192.0.2.1 Meltemi 198.51.100.1   ───┐
    asker   192.0.2.2 ─── 192.0.2.1 Envoy   198.51.100.250 ───┴── bridge ─── servers

so a listener's address leads to the one for `client` and to the other for `asker`.
"""

import contextlib
import http.client
import json
import os
import socket

import chi
import environment
import mesh
import oracle_asks
from world import ADS, bootstrap, world  # noqa: I001  (makes meltemi_lab known)
from meltemi_lab import check, netns, within
from meltemi_lab.check import PATIENCE, Failure
from meltemi_lab.paths import PYTHON, TESTS

LONG = bool(os.environ.get("MELTEMI_LONG"))
PICKS = 50000 if LONG else 20000
SEED = 20880
VIP = "240.240.7.1"
ENVOY_ADMIN = ("127.0.0.1", 9901)
RPC, TCP = range(9000, 9060), range(9100, 9120)
ENVOY, MELTEMI = SIDES = ("asker", "client")
NAMES = {ENVOY: "Envoy", MELTEMI: "Meltemi"}
HEALTH = {"h": "HEALTHY", "?": "UNKNOWN", "u": "UNHEALTHY", "d": "DRAINING", "t": "TIMEOUT", "g": "DEGRADED"}
NETWORK = "envoy.extensions.filters.network."


def endpoint(number, weight=None, health=None, ports=RPC, server=1):
    """Number `number` of the servers' ports, as an LbEndpoint."""
    out = {"endpoint": {"address": {"socketAddress": {"address": f"198.51.100.{10 + server}", "portValue": ports[number]}}}}
    if weight is not None:
        out["loadBalancingWeight"] = weight
    if health:
        out["healthStatus"] = HEALTH[health]
    return out


def name(number, ports=RPC, server=1):
    """What the endpoint of that number answers."""
    return f"198.51.100.{10 + server}:{ports[number]}"


def locality(zone, endpoints, priority=0, weight=None):
    out = {"locality": {"region": "lab", "zone": zone}, "lbEndpoints": list(endpoints), "priority": priority}
    if weight is not None:
        out["loadBalancingWeight"] = weight
    return out


def assignment(cluster, localities, **policy):
    out = {"@type": mesh.TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment", "clusterName": cluster, "endpoints": localities}
    return {**out, "policy": policy} if policy else out


def listener(port, *filters, **fields):
    return mesh.listener(f"{VIP}_{port}", VIP, port, *filters, **fields)


def thrift_proxy(stat, routes):
    """A call that reaches nobody gets its answer, and the connection goes on."""
    router = {"@type": mesh.TYPE + "envoy.extensions.filters.network.thrift_proxy.router.v3.Router", "closeDownstreamOnUpstreamError": False}
    body = {"@type": mesh.TYPE + NETWORK + "thrift_proxy.v3.ThriftProxy", "statPrefix": stat,
            "thriftFilters": [{"name": "envoy.filters.thrift.router", "typedConfig": router}],
            "routeConfig": {"name": stat, "routes": routes}}
    return {"name": "envoy.filters.network.thrift_proxy", "typedConfig": body}


def http_listener(port, routes):
    """For Envoy's bootstrap: it speaks HTTP where Meltemi speaks Thrift, by the same routes of the server."""
    kind = "type.googleapis.com/" + NETWORK + "http_connection_manager.v3.HttpConnectionManager"
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    manager = {"@type": kind, "stat_prefix": routes, "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
               "rds": {"route_config_name": routes, "config_source": {"ads": {}, "resource_api_version": "V3"}}}
    return {"name": routes, "address": {"socket_address": {"address": VIP, "port_value": port}},
            "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}


class Oracle:
    """The world with Envoy in it."""

    def __init__(self, w):
        self.w, self.lab = w, w.lab
        self.server = w.server()
        self.program = environment.envoy()
        self._wire()
        addresses = [word for n in range(1, self.lab.servers + 1) for word in ("--address", self.lab.server(n))]
        for number in range(1, self.lab.servers + 1):
            self.lab.run(f"server{number}", f"endpoints{number}",
                         [PYTHON, TESTS / "interop/xds/oracle_server.py", "--address", addresses[2 * number - 1],
                          "--rpc", f"{RPC[0]}-{RPC[-1]}", "--tcp", f"{TCP[0]}-{TCP[-1]}"]).wait_line("ready")

    def _wire(self):
        lab = self.lab
        envoy, asker = lab.attach("envoy", "s0", "198.51.100.250/24"), lab._add("asker")
        netns.veth(asker, "c0", envoy, "e0")
        netns.kernel_end(asker, "c0", "192.0.2.2/24")
        netns.kernel_end(envoy, "e0", "192.0.2.1/24")
        netns.run("ip", "-n", envoy, "addr", "add", f"{VIP}/32", "dev", "lo")
        netns.run("ip", "-n", asker, "route", "add", "240.240.0.0/16", "via", "192.0.2.1")
        control = lab.namespace("control")
        netns.veth(envoy, "x0", control, "x2")
        netns.run("ip", "-n", envoy, "addr", "add", "198.18.1.1/30", "dev", "x0")
        netns.run("ip", "-n", control, "addr", "add", "198.18.1.2/30", "dev", "x2")
        netns.run("ip", "-n", envoy, "route", "add", ADS.split(":")[0], "via", "198.18.1.2")
        for role in (*SIDES, "envoy"):
            netns.sysctl(lab.namespace(role), net__ipv4__ip_local_port_range="1025 65535")

    def start(self, resources, static_listeners=(), admin=False):
        """Both proxies, once the server has the resources. static_listeners: Envoy's own, instead of the server's; admin: for envoy_admin()."""
        self.server.apply(*resources)
        boot = bootstrap()
        boot["node"]["id"] = "oracle"
        if static_listeners:
            del boot["dynamic_resources"]["lds_config"]
            boot["static_resources"]["listeners"] = list(static_listeners)
        if admin:
            boot["admin"] = {"address": {"socket_address": {"address": ENVOY_ADMIN[0], "port_value": ENVOY_ADMIN[1]}}}
        path = self.lab.directory / "envoy.json"
        path.write_text(json.dumps(boot))
        self.envoy = self.lab.run("envoy", "envoy", [self.program, "--concurrency", "1", "--disable-hot-restart", "-l", "warn", "-c", path])
        self.w.meltemi().start()

    def envoy_admin(self, path):
        """The text at a path of Envoy's admin interface."""
        with self.lab.inside("envoy"):
            sock = socket.create_connection(ENVOY_ADMIN, timeout=PATIENCE)
        with contextlib.closing(http.client.HTTPConnection("envoy")) as connection:
            connection.sock = sock
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def listens(self, *ports):
        """Waits until both serve these; nobody may refuse a resource, for what one side does not take compares nothing."""
        for side in SIDES:
            for port in ports:
                within(20, lambda side=side, port=port: self._there(side, port), f"{NAMES[side]} listens at {port}", step=0.05)
        within(20, self.w.daemon.ready, "Meltemi is ready", step=0.05)

    def _there(self, side, port):
        check(self.envoy.running(), f"Envoy ended: {self.envoy.tail()}")
        self._refusals()
        try:
            self.connect(side, port).close()
            return True
        except ConnectionResetError:  # accepted, but no filter chain is for who asks from here
            return True
        except OSError:
            return False

    def _refusals(self):
        for kind, seen in self.server.report()["types"].items():
            if seen["texts"]:
                raise Failure(f"a resource of {kind} was refused: {seen['texts'][-1]}")

    def connect(self, side, port, source=""):
        with self.lab.inside(side):
            return socket.create_connection((VIP, port), timeout=20, source_address=(source, 0))

    def thrift(self, side, port, questions, source="", **shape):
        with contextlib.closing(self.connect(side, port, source)) as sock:
            return oracle_asks.thrift(sock, questions, **shape)

    def http(self, side, port, questions, source=""):
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(contextlib.closing(self.connect(side, port, source))) for _ in range(min(32, len(questions)))]
            return oracle_asks.http(socks, questions)

    def connections(self, side, questions):
        """questions: (address and port, source or None)"""
        with self.lab.inside(side):
            return oracle_asks.connections(questions)

    def more_addresses(self, vips=(), sources=()):
        """Further addresses that both proxies serve, and that both clients have."""
        for address in vips:
            netns.run("ip", "-n", self.lab.namespace("envoy"), "addr", "add", f"{address}/32", "dev", "lo")
        for side in SIDES:
            for address in sources:
                netns.run("ip", "-n", self.lab.namespace(side), "addr", "add", f"{address}/24", "dev", "c0")


@contextlib.contextmanager
def oracle(**shape):
    environment.envoy()
    with world(**{"servers": 1, **shape}) as w:
        yield Oracle(w)


def tally(answers):
    counts = {}
    for one in answers:
        counts[one] = counts.get(one, 0) + 1
    return counts


class Shares:
    """Shares that were counted, to be judged together."""

    def __init__(self):
        self.rows = []

    def add(self, case, side, answers, shares):
        self.rows.append((case, side, tally(answers), shares))

    def judge(self):
        """Every row fits its shares; how little the least likely one does is printed."""
        bound, wrong, lowest = chi.least(len(self.rows)), [], 1.0
        for case, side, counts, shares in self.rows:
            p = chi.p_value(counts, shares)
            lowest = min(lowest, p)
            if p < bound:
                wrong.append(f"{case}, {NAMES[side]}: {counts} are not {shares} (p {p:.1e})")
        if wrong:
            raise Failure("; ".join(wrong))
        print(f"  {len(self.rows)} counts of {PICKS}: least p {lowest:.2g} (bound {bound:.1g})")
