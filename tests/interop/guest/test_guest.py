#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A virtual machine on a vhost-user port calls a service of the mesh by its DNS name, with an unchanged client of the Apache Thrift library:
routed by method, limited, authorized by the principal of its address, and with mutual TLS to the server under its own identity. All other
destinations go to the kernel by an exception TAP. The port connects by itself: to a socket that is made after the start, after a restart of
the daemon under the running guest, and after one of the emulator. The daemon has the rights of the unit, thus no capability, and the
sockets' directory is that of the package.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import Lab, check, equal, main, netns, streams, unit, within  # noqa: E402
from meltemi_lab.authority import Authority  # noqa: E402
from meltemi_lab.files import put_together  # noqa: E402

from guest import BUYER, GATEWAY, MAC, OTHER, UP, Guest, directory  # noqa: E402

ACCOUNT = "cluster.local/ns/shop/sa/%s"
HOST, TARGET = "greeter.shop.svc.cluster.local", "greeter:9090"
KERNEL, OUTSIDE = "10.60.0.1", "10.60.0.2"
LIMIT = 3
PORTS = """\
name: vm1, device: "net_vhost0,iface={socket},client=1", addresses: [{gateway}/24], side: workloads, exception: host, \
workloads: [{{address: {buyer}, mac: "{mac}"}}, {{address: {other}, mac: "{mac}"}}]
name: p1, device: "net_af_packet1,iface=p1", addresses: [198.51.100.1/24]
name: host, device: "net_tap0,iface=mguests0", kernelAddresses: [10.9.0.254/24]"""
NODE = """\
  dns: {{}}
  mesh: {{namespace: edge}}
  identities: [{{principal: "spiffe://{principal}", directory: {folder}}}]
"""
DOCUMENTS = f"""\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: greeter, namespace: shop}}
spec:
  hosts: [{HOST}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9090, name: tcp-metaprotocol-thrift, protocol: TCP}}]
  workloadSelector: {{labels: {{app: greeter}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: greeter-meshed, namespace: shop}}
spec:
  address: 198.51.100.11
  serviceAccount: greeter
  labels: {{app: greeter, version: v1, security.istio.io/tlsMode: istio}}
  ports: {{tcp-metaprotocol-thrift: 15006}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: greeter-bare, namespace: shop}}
spec: {{address: 198.51.100.12, labels: {{app: greeter, version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: greeter, namespace: shop}}
spec:
  host: {HOST}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {{name: greeter, namespace: shop}}
spec:
  hosts: [{HOST}]
  localRateLimit:
    conditions:
    - tokenBucket: {{fillInterval: 3600s, maxTokens: {LIMIT}, tokensPerFill: 1}}
      match: {{attributes: {{method: {{exact: echo}}}}}}
  routes:
  - {{name: to-v2, match: {{attributes: {{method: {{exact: sayGoodbye}}}}}}, route: [{{destination: {{host: {HOST}, subset: v2}}}}]}}
  - {{name: to-v1, route: [{{destination: {{host: {HOST}, subset: v1}}}}]}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: buyers, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: greeter}}}}
  rules: [{{from: [{{source: {{principals: [{ACCOUNT % "buyer"}]}}}}]}}]
"""


def workload(name, address):
    return f"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, namespace: shop}}\n" \
           f"spec: {{address: {address}, serviceAccount: {name}}}\n"


class World:
    """The daemon, a server behind a sidecar, a bare one, and a host beyond the kernel."""

    def __init__(self, lab):
        self.lab, self.socket = lab, lab.directory / "meltemi-guests/vm1.sock"
        self.guest = Guest(lab, self.socket)
        self.authority = Authority(lab.directory / "ca")
        for number in (1, 2):
            lab.thrift_server(number, f"v{number}").wait_line("ready")
        self.sidecar = self._sidecar()
        self._outside()
        ports = PORTS.format(socket=self.socket, gateway=GATEWAY, buyer=BUYER, other=OTHER, mac=MAC).splitlines()
        # The daemon's user owns the daemon's directory, and root the lab's: systemd-tmpfiles makes nothing for root in another user's.
        self.daemon = lab.meltemi(name="host", mb=256, ports=ports)
        folder = self.daemon.directory / "identity"
        folder.mkdir()
        cert, key = self.authority.sign("buyer", f"URI:spiffe://{ACCOUNT % 'buyer'}")
        put_together(folder, **{"key.pem": key, "cert-chain.pem": cert, "root-cert.pem": self.authority.roots})
        self.daemon.node.write_text(self.daemon.node.read_text() + NODE.format(principal=ACCOUNT % "buyer", folder=folder))
        self.daemon.write("greeter.yaml", DOCUMENTS + workload("buyer", BUYER) + workload("other", OTHER))
        unit.run_as_service(self.daemon)
        directory(self.socket.parent, lab.directory / "tmpfiles.conf")

    def _sidecar(self):
        cert, key = self.authority.sign("greeter", f"URI:spiffe://{ACCOUNT % 'greeter'}")
        process = self.lab.python("server1", "sidecar", "smoke/meltemi_lab/sidecar.py", "server", "--cert", cert, "--key", key, "--roots",
                                  self.authority.roots, "--listen", "198.51.100.11:15006", "--to", "127.0.0.1:9090", "--alpn", "istio")
        process.wait_line("ready")
        return process

    def _outside(self):
        """A host that is reached by the kernel of Meltemi's machine, and knows the guests' network."""
        outside, mesh = self.lab._add("outside"), self.lab.namespace("mesh")
        netns.veth(outside, "o0", mesh, "k0")
        netns.kernel_end(outside, "o0", f"{OUTSIDE}/24")
        netns.kernel_end(mesh, "k0", f"{KERNEL}/24")
        netns.run("ip", "-n", outside, "route", "add", "10.9.0.0/24", "via", KERNEL)
        netns.sysctl(mesh, net__ipv4__ip_forward=1)

    def peers(self):
        """Identities that the server's sidecar has seen."""
        rows = [json.loads(line) for line in self.sidecar.output().splitlines() if line.startswith("{")]
        return {tuple(row["peer"]) for row in rows if "peer" in row}

    def link(self):
        return next(row["link"] for row in self.daemon.show("ports")["ports"] if row["name"] == "vm1")

    def up(self, what):
        within(UP, lambda: self.link() == "up" or not self.guest.machine.running(), what, step=0.1)
        check(self.guest.machine.running(), f"the emulator has ended: {self.guest.machine.tail()}")


def answered(world, method, count, servers, what):
    report = world.guest.calls(TARGET, method, count)
    equal((report["answered"], report["by_server"], report["crossed"]), (count, servers, 0), f"{what}: {report['error_samples']}")


def refused(report, answers, reason):
    """Of these calls so many have answers, and LIMIT are refused for this reason."""
    equal((report["answered"], report["failed"], set(report["error_samples"])), (answers, LIMIT, {f"meltemi: {reason}"}), f"calls: {reason}")


def served(world):
    """Route, limit, authorization, and the identity that the server sees."""
    answered(world, "sayHello", 4, {"v1/s1": 4}, "calls to the server behind a sidecar")
    equal(world.peers(), {(f"spiffe://{ACCOUNT % 'buyer'}",)}, "the caller's identity at the server")
    answered(world, "sayGoodbye", 4, {"v2/s2": 4}, "calls that the route sends to the other server")
    refused(world.guest.calls(TARGET, "echo", 2 * LIMIT), LIMIT, "over limit")
    world.guest.comes_from(OTHER)
    refused(world.guest.calls(TARGET, "sayGoodbye", LIMIT), 0, "denied by policy")
    equal([(row["policy"], row["client"], row["denied"]) for row in world.daemon.show("denied")["denied"]],
          [("AuthorizationPolicy shop/buyers", OTHER, LIMIT)], "show denied")
    world.guest.comes_from(BUYER)
    equal({row["address"]: row["principal"] for row in world.daemon.show("workloads")["workloads"]},
          {BUYER: ACCOUNT % "buyer", OTHER: ACCOUNT % "other"}, "show workloads")


def beyond(world):
    """What is not of the mesh: both directions, and the kernel's own address."""
    program = ("import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10); "
               "s.sendall(b'x' * 50_000); s.shutdown(1); print(sum(len(d) for d in iter(lambda: s.recv(65536), b'')))")
    with world.lab.listening("outside", 7000, streams.echo), world.lab.listening("mesh", 7001, streams.echo):
        for address, port in ((OUTSIDE, 7000), (KERNEL, 7001)):
            equal(world.guest.run(f'python3 -S -c "{program}" {address} {port}').strip(), "50000", f"bytes from {address}")
    netns.run("ip", "netns", "exec", world.lab.namespace("outside"), "ping", "-c", "2", "-W", "2", BUYER)


def start(world):
    """The daemon is there first, and waits for the guest."""
    world.daemon.start()
    equal(world.link(), "down", "the link without a guest")
    world.daemon.wait_log(f"vm1: no link: socket {world.socket} does not exist")
    faults = [row["words"] for row in world.daemon.show("health")["health"] if row["about"] == "vm1"]
    equal(faults, [f"the link is down: socket {world.socket} does not exist"], "health")
    if not unit.sanitized():
        unit.is_confined(world.daemon)
        world.guest.closed()
        world.daemon.wait_log(f"vm1: no link: not permitted to connect to socket {world.socket}")
    world.guest.start()
    world.up("the port connects to the guest")
    world.guest.wait()


def restarts(world):
    """Each side is killed and starts again, the other one goes on."""
    world.daemon.process.kill()
    world.daemon.process.popen.wait(30)
    world.daemon.start()
    world.up("the port connects to the running guest")
    answered(world, "sayHello", 2, {"v1/s1": 2}, "calls after the daemon's restart")
    world.guest.kill()
    within(20, lambda: world.link() == "down", "the link of a guest that was killed goes down", step=0.1)
    world.daemon.wait_log(f"vm1: no link: no peer is ready at socket {world.socket}")
    world.guest.start()
    world.up("the port connects to the guest's next emulator")
    world.guest.wait()
    answered(world, "sayHello", 2, {"v1/s1": 2}, "calls after the guest's restart")


def body():
    with Lab(servers=2) as lab:
        world = World(lab)
        start(world)
        served(world)
        beyond(world)
        restarts(world)


main(body)
