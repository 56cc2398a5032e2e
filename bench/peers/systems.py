# SPDX-License-Identifier: Apache-2.0
"""
The compared systems, each on one core: configuration, start, and measurement of memory.

Each system has a link to the client and a link to the bridge with the server. `wire` selects the frames on the links: "frames" as
on a network (1,500 bytes, with checksums), "jumbo" the same with 9,000 bytes, or "offload" the kernel's direct path between its own
TCP stacks (segments of 64 KB without checksums, as with segmentation offload of a network card).
"""

import os
import pathlib
import re
import shutil
import time

import install
import plan
from meltemi_lab import netns
from meltemi_lab.check import Failure, within
from meltemi_lab.documents import service

SERVICE = "org.apache.dubbo.samples.basic.api.DemoService"
METHOD = {"dubbo": "sayHello", "thrift": "sayHello"}
PORTS = {"dubbo": 20880, "thrift": 9090, "tcp": 9000}
VIPS = {"dubbo": "240.240.9.1", "thrift": "240.240.9.2", "tcp": "240.240.9.3"}
PROXY = "203.0.114.1"  # a kernel proxy's address on the client's link
CONNECTIONS = 9000     # with two descriptors each, below the usual hard limit
NAT_SOURCE = "198.51.100.60"  # of connections that Meltemi forwards at layer 4

HAPROXY = """\
global
  maxconn {connections}
  nbthread 1
  maxpipes 400
  tune.bufsize {buffer}
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
{splice}
listen bench
  bind {proxy}:{port} backlog 8192
  server s1 {server}:{port} maxconn {connections}
"""
SPLICE = "  option splice-request\n  option splice-response"

NGINX = """\
load_module {module};
user root;
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile {descriptors};
events {{ worker_connections {descriptors}; multi_accept on; }}
stream {{
  upstream one {{ server {server}:{port}; }}
  server {{
    listen {proxy}:{port} backlog=8192;
    proxy_pass one;
    proxy_timeout 1h;
    proxy_buffer_size {buffer};
    tcp_nodelay on;
  }}
}}
"""

ENVOY = """\
static_resources:
  listeners:
  - name: bench
    address: {{ socket_address: {{ address: {proxy}, port_value: {port} }} }}
    tcp_backlog_size: 8192
    filter_chains:
    - filters:
{filter}
  clusters:
  - name: one
    type: STATIC
    connect_timeout: 2s
    circuit_breakers:
      thresholds: [{{ max_connections: 1000000, max_pending_requests: 1000000, max_requests: 1000000 }}]
    load_assignment:
      cluster_name: one
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: {server}, port_value: {port} }} }} }} }}] }}]
stats_flush_interval: 299s
"""
FILTERS = {
    "envoy-tcp": """\
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: bench
          cluster: one
""",
    "envoy-thrift": """\
      - name: envoy.filters.network.thrift_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.thrift_proxy.v3.ThriftProxy
          stat_prefix: bench
          transport: FRAMED
          protocol: BINARY
          payload_passthrough: true
          route_config:
            name: routes
            routes: [{{ match: {{ method_name: {method} }}, route: {{ cluster: one }} }}]
""",
    "envoy-dubbo": """\
      - name: envoy.filters.network.dubbo_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.dubbo_proxy.v3.DubboProxy
          stat_prefix: bench
          protocol_type: Dubbo
          serialization_type: Hessian2
          route_config:
          - name: routes
            interface: {service}
            routes: [{{ match: {{ method: {{ name: {{ exact: {method} }} }} }}, route: {{ cluster: one }} }}]
""",
}
MULTIPLEXING = """\
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: ApplicationProtocol
metadata: {name: thrift}
spec: {protocol: thrift, codec: aeraki.meta_protocol.codec.thrift, multiplexing: true}
"""
# Limits as high as Envoy's thresholds above.
POOL = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: bench}}
spec:
  host: {host}
  trafficPolicy:
    connectionPool: {{tcp: {{maxConnections: 1000000}}, http: {{http1MaxPendingRequests: 1000000}}}}
"""


def threads_of(pid):
    """(pid, thread) of a process and its children; nginx works in a child."""
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        yield pid, task.name
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield from threads_of(int(child))


def cpu_seconds(pid):
    """Run time of all threads as the scheduler counts it, in seconds with ns resolution."""
    total = 0
    for owner, task in threads_of(pid):
        try:
            total += int(pathlib.Path(f"/proc/{owner}/task/{task}/schedstat").read_text().split()[0])
        except (OSError, IndexError):
            continue
    return total / 1e9


def user_and_system(pid):
    """(user, system) seconds of all threads: the kernel scales its ticks to the run time."""
    user = system = 0
    for owner, task in threads_of(pid):
        try:
            words = pathlib.Path(f"/proc/{owner}/task/{task}/stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        user, system = user + int(words[11]), system + int(words[12])
    hz = os.sysconf("SC_CLK_TCK")
    return user / hz, system / hz


def resident_bytes(pid):
    """RSS of a process and its children: anonymous and shared memory, without huge pages."""
    total = 0
    for owner in {owner for owner, _ in threads_of(pid)}:
        found = re.search(r"^VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{owner}/status").read_text(), re.M)
        total += int(found.group(1)) * 1024 if found else 0
    return total


class System:
    """A proxy, or none. Call start() after set_wire(); it sets the host and port for clients."""

    def __init__(self, name, protocols, wire="frames"):
        self.base, self.protocols, self.wire = name, protocols, wire
        self.name = name if wire == "frames" else f"{name}+{wire}"
        self.process = None
        self.host = self.port = None

    def tuning(self, size):
        """The configuration for messages of this size. One process serves all cells with the same configuration."""
        del size
        return "any"

    def start(self, bench, proto, tuning):
        del tuning
        self.host, self.port = bench.lab.server(1), PORTS[proto]

    def stop(self):
        if self.process:
            self.process.stop()
        self.process = None

    def cpu(self):
        return cpu_seconds(self.process.pid) if self.process else 0

    def user_and_system(self):
        return user_and_system(self.process.pid) if self.process else (0, 0)

    def memory(self):
        return resident_bytes(self.process.pid) if self.process else 0

    def work(self):
        """Seconds of work as the system counts it; None: it does not count it."""

    def _run(self, bench, argv, config):
        """Starts a kernel proxy on the proxies' core, and waits until it listens."""
        self.host = PROXY
        self.process = bench.lab.run("kproxy", f"{self.name}-{time.monotonic_ns()}", ["taskset", "-c", bench.proxy_core, *argv])
        within(10, lambda: self._listens(bench), f"{self.name} listens", step=0.1)
        bench.configurations.setdefault(self.name, config)

    def _listens(self, bench):
        if not self.process.running():
            raise Failure(f"{self.name} ended: {self.process.tail()}")
        try:
            bench.lab.connect("client", PROXY, self.port, timeout=1).close()
            return True
        except OSError:
            return False


class Kernel(System):
    """HAProxy, nginx and Envoy: a program with a configuration file in the lab's directory."""

    def tuning(self, size):
        if self.base == "haproxy-splice":
            return "splice"
        return "large" if size >= plan.LARGE and self.base in ("haproxy", "nginx") else "any"

    def start(self, bench, proto, tuning):
        self.port = PORTS[proto]
        values = {"proxy": PROXY, "port": self.port, "server": bench.lab.server(1), "connections": CONNECTIONS,
                  "descriptors": 2 * CONNECTIONS + 1000,
                  "directory": bench.lab.directory, "module": install.STREAM_MODULE, "service": SERVICE,
                  "method": METHOD.get(proto, ""), "buffer": 131072 if tuning != "any" else 16384,
                  "splice": SPLICE if tuning == "splice" else ""}
        name, template, argv = self._program(bench, values)
        config = template.format(**values)
        path = bench.lab.directory / name
        path.write_text(config)
        self._run(bench, argv + [path], config)

    def _program(self, bench, values):
        if self.base.startswith("haproxy"):
            return "haproxy.cfg", HAPROXY, ["haproxy", "-db", "-f"]
        if self.base == "nginx":
            return "nginx.conf", NGINX, ["nginx", "-p", bench.lab.directory, "-e", "stderr", "-c"]
        template = ENVOY.replace("{filter}", FILTERS[self.base].format(**values).replace("{", "{{").replace("}", "}}"))
        return "envoy.yaml", template, [install.envoy_binary(), "--concurrency", "1", "--disable-hot-restart",
                                        "--log-level", "error", "-c"]


class KernelNat(System):
    """The kernel's NAT in the namespace of the kernel proxies. It has no process: the CPU time is that of the sender."""

    def start(self, bench, proto, tuning):
        del tuning
        if self.host:
            return
        self.host, self.port, self.namespace = PROXY, PORTS[proto], bench.lab.namespace("kproxy")
        netns.sysctl(self.namespace, net__ipv4__ip_forward=1)
        self._iptables("-A", "PREROUTING", "-d", PROXY, "-p", "tcp", "--dport", str(self.port), "-j", "DNAT", "--to-destination",
                       f"{bench.lab.server(1)}:{self.port}")
        self._iptables("-A", "POSTROUTING", "-o", "s0", "-j", "MASQUERADE")
        bench.configurations.setdefault(self.name, self._iptables("-S"))

    def stop(self):
        if self.host:
            self._iptables("-F")
            netns.sysctl(self.namespace, net__ipv4__ip_forward=0)
        self.host = None

    def _iptables(self, *words):
        return netns.run("ip", "netns", "exec", self.namespace, "iptables", "-t", "nat", *words)


class Meltemi(System):
    """Meltemi on the same links. idle: idle profile of the worker; driver: af_packet or af_xdp; forwards: at layer 4, by nat-full."""

    def __init__(self, name, protocols, idle="adaptive", driver="af_packet", wire="frames", forwards=False):
        super().__init__(name, protocols, wire)
        self.idle, self.driver, self.forwards = idle, driver, forwards
        self.daemon = None

    def start(self, bench, proto, tuning):
        self.host, self.port = VIPS[proto], PORTS[proto]
        ports = [f'name: p{n}, device: "net_{self.driver}{n},iface=p{n}", profile: {self.driver}, addresses: [{address}/24]'
                 for n, address in enumerate(("192.0.2.1", "198.51.100.1"))]
        self.daemon = bench.lab.meltemi(workers=1, idle=self.idle, mb=1024, ports=ports)
        for old in self.daemon.services.glob("*.yaml"):
            old.unlink()
        kind = "tcp" if proto == "tcp" else f"tcp-metaprotocol-{proto}"
        document = service(SERVICE.lower(), self.host, self.port, kind, [(bench.lab.server(1), self.port, {})])
        document += "---\n" + POOL.format(host=SERVICE.lower())
        if self.base == "meltemi-mux":
            document += "---\n" + MULTIPLEXING
        if self.forwards:
            node = self.daemon.node.read_text()
            self.daemon.node.write_text(f"{node}  nat: {{addresses: [{NAT_SOURCE}]}}\n"
                                        f"  forwarding: [{{host: {SERVICE.lower()}, port: {self.port}, mode: nat-full}}]\n")
        self.daemon.write("bench.yaml", document)
        try:
            with bench.all_cores():  # the worker is on the last core, the control thread may use the others
                self.daemon.start()
        finally:
            self.process = self.daemon.process  # also if it was not ready in time, so that stop() ends it
        bench.configurations.setdefault(self.name, self.daemon.node.read_text().replace(str(bench.lab.directory), "LAB") +
                                        "---\n" + document)

    def work(self):
        return sum(row["work_ms"] for row in self.daemon.show("workers")["workers"]) / 1e3

    def memory(self):
        """Objects in use in its pools, in bytes; the pools are allocated at start, so the process does not grow."""
        return sum(pool["in_use"] * pool["object_bytes"] for pool in self.daemon.show("memory")["pools"])


def available(wanted):
    """All systems with installed programs; wanted: base names, or None for all."""
    absent = install.missing(["haproxy", "nginx", "envoy"]) + ([] if shutil.which("iptables") else ["kernel"])
    every = [System("direct", plan.CODECS), KernelNat("kernel-nat", ("tcp",)), Meltemi("meltemi-l4", ("tcp",), forwards=True),
             Meltemi("meltemi", plan.CODECS), Meltemi("meltemi-poll", ("dubbo",), idle="poll"),
             Meltemi("meltemi-mux", ("thrift",)), Meltemi("meltemi-xdp", ("dubbo", "tcp"), driver="af_xdp"),
             Meltemi("meltemi", plan.CODECS, wire="jumbo")]
    for wire in ("frames", "jumbo", "offload"):
        every += [Kernel("haproxy", ("tcp", "dubbo") if wire == "frames" else ("tcp",), wire), Kernel("haproxy-splice", ("tcp",), wire),
                  Kernel("nginx", ("tcp",), wire), Kernel("envoy-tcp", ("tcp",), wire), Kernel("envoy-thrift", ("thrift",), wire),
                  Kernel("envoy-dubbo", ("dubbo",), wire)]
    every.append(System("direct", plan.CODECS, "offload"))
    return [s for s in every if s.base.split("-")[0] not in absent and (not wanted or s.base in wanted)]


def set_wire(lab, wire):
    """Sets the frames that the kernel's ends send. Meltemi's links never use offload."""
    onoff = "on" if wire == "offload" else "off"
    mtu = 9000 if wire == "jumbo" else 1500
    mine = [("client", "c0"), ("mesh", "p0"), ("mesh", "p1")]
    kernels = [("client", "k0"), ("client", "c1"), ("kproxy", "d0"), ("kproxy", "s0"), ("server1", "s0")]
    bridged = [("net", name) for name in ("b-mesh", "b-client", "b-kproxy", "b-server1", "br0")]
    for role, iface in mine + kernels + bridged:
        netns.run("ip", "-n", lab.namespace(role), "link", "set", iface, "mtu", str(mtu))
    for role, iface in kernels:
        netns.run("ip", "netns", "exec", lab.namespace(role), "ethtool", "-K", iface, "tx", onoff, "gso", onoff, "tso", onoff)
