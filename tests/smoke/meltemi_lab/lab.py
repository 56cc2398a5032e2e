# SPDX-License-Identifier: Apache-2.0
"""
The lab: a client, Meltemi's machine and servers, each in a network namespace of its own.

    client  c0 192.0.2.2/24 ─── p0 mesh p1 ─── bridge ─── s0 198.51.100.11/24  server1
            c1 198.51.100.2/24 ───────────────── │ ────── s0 198.51.100.12/24  server2 ...

Meltemi takes p0 (192.0.2.1) and p1 (198.51.100.1); the client's routes to the VIP ranges go by it. c1 is the way
around it, for comparison. Any number of labs may run at once; what one leaves behind when killed is swept by its
guard process, or by the next lab.
"""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys

from . import netns, record, teardown
from .check import PATIENCE, Failure, Skip
from .daemon import Daemon
from .paths import BUILD, PYTHON, TESTS
from .process import Process

_serial = itertools.count(1)
TOOLS = ("ip", "ethtool", "sysctl")


def _missing():
    return [t for t in TOOLS if subprocess.run(["sh", "-c", f"command -v {t}"], capture_output=True, check=False).returncode]


def _words(options):
    """count=3, slow_ms=5: --count 3 --slow-ms 5"""
    return [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", value)]


def _terminated(_number, _frame):
    sys.exit(143)


class Lab:
    """with Lab(servers=2) as lab: ..."""

    def __init__(self, servers=1, ipv6=False, impair=None, mtu=None):
        """
        impair: what hurt_by() takes, or {}: a wire that hurts lies in the client's link, and does nothing yet.
        mtu: of the client's link.
        """
        if os.geteuid():
            raise Skip("making network namespaces needs root")
        if _missing():
            raise Skip(f"not installed: {', '.join(_missing())}")
        record.sweep()
        self.id = f"mt{os.getpid()}-{next(_serial)}"
        self.ipv6 = ipv6
        self.servers = servers
        self.impair = impair
        self.mtu = mtu
        self.wire = None
        self.processes, self.sockets = [], []
        self.daemon, self.daemons = None, []
        self._guard = None
        self.directory = record.create(self.id)

    def __enter__(self):
        signal.signal(signal.SIGTERM, _terminated)
        signal.signal(signal.SIGHUP, _terminated)
        # Without the mark of the run: the next run kills what has it, and the guard cleans up after a killed run.
        unmarked = {name: value for name, value in os.environ.items() if name != "MELTEMI_RUN"}
        self._guard = subprocess.Popen([sys.executable, "-m", "meltemi_lab.guard", self.directory], env=unmarked,
                                       cwd=TESTS / "smoke", stdin=subprocess.PIPE, start_new_session=True)
        try:
            self._wire()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self._clients_leave()
                teardown.look(self.daemons, not self.wire or self.wire.running())
            else:
                self._blames(kind, error)
        except Exception:
            kind = Failure
            raise
        finally:
            self._keep(kind)
            self.close()

    def _blames(self, kind, error):
        """Prints the daemons' faults after a body that failed or, with SystemExit, was ended because it took too long."""
        for line in teardown.faults(self.daemons):
            print(line, flush=True)
        died = teardown.died(self.daemons)
        if died and issubclass(kind, Exception):
            raise Failure(f"{died} (and: {error})") from error
        if died:
            print(f"FAILED: {died}", flush=True)

    def _keep(self, kind):
        keep = os.environ.get("MELTEMI_KEEP_LOGS")
        if keep and kind is not None:
            os.makedirs(keep, exist_ok=True)
            subprocess.run(["cp", "-r", self.directory, keep], check=False)

    def _clients_leave(self):
        for process in reversed(self.processes):
            if process.role == "client":
                process.kill()
        for sock in self.sockets:
            sock.close()

    def close(self):
        for process in reversed(self.processes):
            process.kill()
        record.remove(self.directory)
        if self._guard:
            self._guard.stdin.close()
            self._guard.wait(PATIENCE)

    def namespace(self, role):
        return f"{self.id}-{role}"

    def _add(self, role):
        name = self.namespace(role)
        record.note_namespace(self.directory, name)
        netns.add(name)
        return name

    def attach(self, role, iface, *addresses):
        """One more kernel stack on the servers' network: its namespace is made if new."""
        name = self.namespace(role)
        if not os.path.exists(f"/run/netns/{name}"):
            self._add(role)
        port = f"b-{role}"[:15]
        netns.veth(name, iface, self.namespace("net"), port)
        netns.run("ip", "-n", self.namespace("net"), "link", "set", port, "master", "br0")
        netns.kernel_end(name, iface, *addresses)
        return name

    def _client_link(self, client, mesh):
        """The client's veth to Meltemi, with the wire that hurts in between if asked for."""
        if self.impair is None:
            netns.veth(client, "c0", mesh, "p0")
            return
        wire = self._add("wire")
        netns.veth(client, "c0", wire, "w0")
        netns.veth(wire, "w1", mesh, "p0")
        netns.bare_end(wire, "w0")
        netns.bare_end(wire, "w1")
        self.hurt_by(**self.impair)

    def _set_mtu(self):
        ends = [("client", "c0"), ("mesh", "p0")] + ([("wire", "w0"), ("wire", "w1")] if self.wire else [])
        for role, iface in ends:
            netns.run("ip", "-n", self.namespace(role), "link", "set", iface, "mtu", str(self.mtu))

    def hurt_by(self, **settings):
        """
        What the wire does from now on: seed; loss, dup, reorder, corrupt (shares of 10,000); delay_us; kbit (per second);
        mtu. Returns the counts of what it did so far.
        """
        counts = self.hurt() if self.wire else None
        known = {"seed": 1, "loss": 0, "dup": 0, "reorder": 0, "corrupt": 0, "delay_us": 0, "kbit": 0, "mtu": 0}
        self.wire = self.run("wire", f"impair{next(_serial)}",
                             [BUILD / "tests/smoke/impair", "w0", "w1", *{**known, **settings}.values()])
        self.wire.wait_line("ready")
        return counts

    def hurt(self):
        """Ends the wire that hurts and returns its counts."""
        self.wire.stop()
        return self.wire.result()

    def _wire(self):
        client, mesh, net = self._add("client"), self._add("mesh"), self._add("net")
        netns.bridge(net, "br0")
        self._client_link(client, mesh)
        netns.kernel_end(client, "c0", "192.0.2.2/24", *(["2001:db8:1::2/64"] if self.ipv6 else []))
        netns.veth(mesh, "p1", net, "b-mesh")
        netns.run("ip", "-n", net, "link", "set", "b-mesh", "master", "br0")
        netns.bare_end(mesh, "p0")
        netns.bare_end(mesh, "p1")
        if self.mtu:
            self._set_mtu()
        self.attach("client", "c1", "198.51.100.2/24")
        netns.run("ip", "-n", client, "route", "add", "240.240.0.0/16", "via", "192.0.2.1")
        netns.run("ip", "-n", client, "route", "add", "203.0.113.0/24", "via", "192.0.2.1")
        for number in range(1, self.servers + 1):
            self.attach(f"server{number}", "s0", f"{self.server(number)}/24",
                        *([f"2001:db8:2::{10 + number}/64"] if self.ipv6 else []))

    def beside(self, number):
        """
        A machine for one more Meltemi on the servers' network, with a client of its own in front of it, both as the first ones:
        roles meshN and clientN. Returns the ports that meltemi() wants.
        """
        client, mesh = self._add(f"client{number}"), self._add(f"mesh{number}")
        netns.veth(client, "c0", mesh, "p0")
        netns.kernel_end(client, "c0", "192.0.2.2/24")
        netns.veth(mesh, "p1", self.namespace("net"), f"b-mesh{number}")
        netns.run("ip", "-n", self.namespace("net"), "link", "set", f"b-mesh{number}", "master", "br0")
        netns.bare_end(mesh, "p0")
        netns.bare_end(mesh, "p1")
        netns.run("ip", "-n", client, "route", "add", "240.240.0.0/16", "via", "192.0.2.1")
        return ['name: p0, device: "net_af_packet0,iface=p0", profile: af_packet, addresses: [192.0.2.1/24]',
                f'name: p1, device: "net_af_packet1,iface=p1", profile: af_packet, addresses: [198.51.100.{200 + number}/24]']

    @staticmethod
    def server(number):
        """Address of a server, counted from 1."""
        return f"198.51.100.{10 + number}"

    def meltemi(self, *documents, **settings):
        """
        Writes the Node document and copies the documents; start() is the caller's. ports: others than p0 and p1; role: of the
        namespace.
        """
        own, role = settings.pop("ports", None), settings.pop("role", "mesh")
        more = [', "2001:db8:1::1/64"', ', "2001:db8:2::1/64"'] if self.ipv6 else ["", ""]
        ports = [f'name: p0, device: "net_af_packet0,iface=p0", profile: af_packet, addresses: [192.0.2.1/24{more[0]}]',
                 f'name: p1, device: "net_af_packet1,iface=p1", profile: af_packet, addresses: [198.51.100.1/24{more[1]}]']
        self.daemon = Daemon(self, self.namespace(role), own or ports, **settings)
        self.daemon.documents(*documents)
        self.daemons.append(self.daemon)
        return self.daemon

    def run(self, role, name, argv, **options):
        """Starts a program in a namespace of the lab; it ends with the lab."""
        process = Process(self.directory, name, argv, self.namespace(role), **options)
        process.role = role
        self.processes.append(process)
        return process

    def python(self, role, name, script, *args):
        return self.run(role, name, [PYTHON, TESTS / script, *args])

    def java(self, role, name, version, program, *args):
        """A Dubbo peer, Provider or Consumer (tests/interop/dubbo), built when it is first wanted, or has changed."""
        done = subprocess.run([TESTS / "interop/dubbo/build.sh", version], text=True, capture_output=True, timeout=900,
                              check=False)
        if done.returncode:
            raise Skip(f"no Dubbo {version} peers: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")
        return self.run(role, name, [TESTS / "interop/dubbo/peer.sh", version, program, *args])

    def java_session(self, role, name, version, target, *args):
        """A Dubbo client that plays one scenario after the other on its one connection: ask() and answer()."""
        argv = [TESTS / "interop/dubbo/peer.sh", version, "Consumer", "--target", target, "--scenario", "session", *args]
        return self.run(role, name, argv, stdin=subprocess.PIPE)

    def dubbo_server(self, number, tag, **options):
        """A Dubbo server of our own, with delays at will, on that server's port 20880."""
        return self.python(f"server{number}", f"dubbo{number}", "interop/dubbo/pydubbo_server.py", "--tag", tag,
                           "--id", f"s{number}", *_words(options))

    def dubbo_client(self, target, **options):
        """Starts our own Dubbo client; result() is its report."""
        return self.python("client", f"client{next(_serial)}", "interop/dubbo/pydubbo_client.py", "--target", target, *_words(options))

    def thrift_server(self, number, tag, **options):
        """A server of the Apache Thrift library on that server's port 9090."""
        netns.run(str(TESTS / "interop/thrift/build.sh"))
        return self.python(f"server{number}", f"thrift{number}", "interop/thrift/server.py", "--tag", tag,
                           "--id", f"s{number}", *_words(options))

    def thrift_client(self, target, **options):
        """Starts a client of the Apache Thrift library; result() is its report."""
        netns.run(str(TESTS / "interop/thrift/build.sh"))
        return self.python("client", f"client{next(_serial)}", "interop/thrift/client.py", "--target", target, *_words(options))

    def awesome_server(self, number, tag):
        """A server of the talks' private protocol on that server's port 9200."""
        return self.python(f"server{number}", f"awesome{number}", "interop/awesomerpc/awesome.py", "server", "--tag", tag,
                           "--id", f"s{number}")

    def awesome_client(self, target, **options):
        return self.python("client", f"client{next(_serial)}", "interop/awesomerpc/awesome.py", "client", "--target", target,
                           *_words(options))

    def inside(self, role):
        return netns.inside(self.namespace(role))

    def connect(self, role, host, port, timeout=PATIENCE):
        """A TCP connection made from that namespace; it can be used from any thread."""
        with self.inside(role):
            sock = socket.create_connection((host, port), timeout=timeout)
        self.sockets.append(sock)
        return sock

    @contextlib.contextmanager
    def listening(self, role, port, handler):
        """A small in-process server: handler(socket) in a thread per connection."""
        from .serve import Server

        with self.inside(role):
            server = Server(port, handler)
        try:
            yield server
        finally:
            server.close()
