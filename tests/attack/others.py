# SPDX-License-Identifier: Apache-2.0
"""
An attacker and the others: Meltemi between clients and servers of kit.py's calls. What is asserted is right answers: each call of
the others answered, by its own reply, none refused, none cut off. How long they waited is printed, never asserted.
"""

import json
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "smoke"))

import kit  # noqa: E402
from meltemi_lab import BUILD, PATIENCE, TESTS, Failure, Lab, check, equal, main, netns, streams, within  # noqa: E402,F401
from meltemi_lab.columns import every_column_selects  # noqa: E402,F401
from meltemi_lab.documents import service  # noqa: E402
from meltemi_lab.paths import PYTHON  # noqa: E402

HOST = "attacked.test"
VIP = "240.240.3.1"
HERE = "attack"
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33  # Python does not name it
ROUTE = """\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {{name: attacked}}
spec:
  hosts: [{host}]
  http:
  - name: all
{more}    route:
    - destination: {{host: {host}}}
"""
BALANCER = """\
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {{name: attacked}}
spec:
  host: {host}
  trafficPolicy:
    loadBalancer: {{simple: {policy}}}
"""


def route(more):
    """A VirtualService of HOST with more lines in its only route."""
    return ROUTE.format(host=HOST, more="".join(f"    {line}\n" for line in more))


def balancer(policy):
    return BALANCER.format(host=HOST, policy=policy)

BY_ATTACHMENT = route(["match: [{headers: {absent7: {exact: nowhere}}}]"]) + """\
  - name: others
    route:
    - destination: {host: attacked.test}
"""


class Others(Lab):
    """
    with Others() as lab: servers answer HOST at VIP; documents: {file: text} beside the service's own; watched: fates() will be asked.
    """

    def __init__(self, proto="dubbo", servers=1, documents=None, serving=None, mb=512, far_us=0, watched=False, **settings):
        self.far_us, self.wires, self.watched = far_us, [], watched
        super().__init__(servers=servers)
        self.proto, self.more, self.serving = proto, documents or {}, serving or {}
        self.settings = {"mb": mb, **settings}
        self.kit = kit.PROTOCOLS[proto]
        self.port = self.kit.port

    def __enter__(self):
        super().__enter__()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def _begin(self):
        self.peers = [self.answering(number, **self.serving) for number in range(1, self.servers + 1)]
        daemon = self.meltemi(**self.settings)
        daemon.write("service.yaml", service(HOST, VIP, self.port, f"tcp-metaprotocol-{self.proto}",
                                             [(self.server(n), self.port, {}) for n in range(1, self.servers + 1)]))
        for name, text in self.more.items():
            daemon.write(name, text)
        self.tap = self.wiretap() if self.watched else None
        daemon.start()
        self.idle = daemon.in_use()

    def attach(self, role, iface, *addresses):
        """Servers that are far away have a wire of that delay each way between them and the others."""
        if not self.far_us or not role.startswith("server"):
            return super().attach(role, iface, *addresses)
        name, wire, net, port = self._add(role), self._add(f"to-{role}"), self.namespace("net"), f"b-{role}"
        netns.veth(name, iface, wire, "w0")
        netns.veth(wire, "w1", net, port)
        netns.run("ip", "-n", net, "link", "set", port, "master", "br0")
        netns.kernel_end(name, iface, *addresses)
        for end in ("w0", "w1"):
            netns.bare_end(wire, end)
        delay = self.run(f"to-{role}", f"to-{role}", [BUILD / "tests/smoke/impair", "w0", "w1", 1, 0, 0, 0, 0, self.far_us, 0, 0])
        delay.wait_line("ready")
        return name

    def answering(self, number, **options):
        peer = self.program(f"server{number}", f"answering{number}", "answering.py", proto=self.proto, **options)
        peer.wait_line("ready")
        return peer

    def wiretap(self):
        """Watches what Meltemi sends to the servers, at the bridge, and what comes to it, at its own port."""
        socks = [self.frames("net", "b-mesh"), self.frames("mesh", "p1")]
        fds = [sock.fileno() for sock in socks]
        tap = self.run("mesh", "acknowledged", [PYTHON, TESTS / f"{HERE}/acknowledged.py", "--proto", self.proto, "--fds", *fds], pass_fds=fds)
        for sock in socks:
            sock.close()
        tap.wait_line("ready")
        return tap

    def frames(self, role, iface):
        """A socket that has all frames of an interface."""
        with self.inside(role):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        sock.bind((iface, ETH_P_ALL))
        return sock

    def program(self, role, name, script, **options):
        words = [w for key, value in options.items() for w in ((f"--{key.replace('_', '-')}",) if value is True else (f"--{key.replace('_', '-')}", value))]
        return self.python(role, name, f"{HERE}/{script}", *words)

    def others(self, role="client", target=None, **options):
        """Starts honest clients; verdict() tells what became of their calls."""
        load = self.program(role, f"others{time.monotonic_ns()}", "calling.py", proto=self.proto,
                            target=target or f"{VIP}:{self.port}", **options)
        load.wait_line("calling")
        return load

    def caller(self, receive_buffer=None, segments=None, source=None, vip=VIP):
        """A connection of an attacker's, or of whom the test watches closely."""
        with self.inside("client"):
            sock = socket.socket()
        self.sockets.append(sock)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segments:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segments)
        if source:
            sock.bind((source, 0))
        streams.nodelay(sock)
        sock.settimeout(PATIENCE)
        sock.connect((vip, self.port))
        return kit.Caller(sock, self.kit)

    def stopped_uploads(self, clients=3, announced=16_000_000, sent=15_000_000):
        """Clients that begin requests of that size in segments of 300 bytes and stop; and how many bytes they could send."""
        data = self.kit.call(1, kit.order("t1") + " " + "y" * announced)[:sent]
        attackers, came = [self.caller(segments=300) for _ in range(clients)], 0
        for attacker in attackers:
            attacker.sock.settimeout(0.5)
            for at in range(0, len(data), 1 << 16):
                try:
                    attacker.sock.sendall(data[at:at + (1 << 16)])
                    came += 1 << 16
                except OSError:
                    break  # held back, or reset: both are Meltemi's right
        return attackers, came

    def falls_silent(self, number):
        """That server's machine is switched off: nothing answers any more, no FIN, no RST."""
        netns.run("ip", "-n", self.namespace(f"server{number}"), "link", "set", "s0", "down")

    def executed(self):
        """Ends the servers. Tokens of the calls that they executed, and of those among them executed twice."""
        seen, twice = set(), set()
        for peer in self.peers:
            peer.kill(15)
            found = peer.result()
            twice |= set(found["twice"]) | (seen & set(found["tokens"]))
            seen |= set(found["tokens"])
        return seen, twice

    def fates(self, found):
        """What became of the calls that failed: (executed twice, failed although Meltemi could know that no server had read them)."""
        seen, twice = self.executed()
        self.tap.kill(15)
        tapped, failed = self.tap.result(), set(found["failed"]) - seen
        came, untold, thrice = (failed & set(tapped[what]) for what in ("came", "untold", "thrice"))
        lost = failed - came - untold - thrice
        print(f"{found['answered']} of {found['made']} answered; {len(found['failed'])} failed ({found['refused']}): {len(lost)} of them never came "
              f"to a server, {len(came)} came and were not executed, {len(untold)} were on connections whose end told nothing, "
              f"{len(thrice - came - untold)} were sent three times", flush=True)
        return sorted(twice), sorted(lost)


def report(load, seconds=60):
    return load.result(seconds)


def unharmed(found, least, who="others"):
    """All of their calls were answered, and right; at least so many were made, or nothing was tried. How many more is the machine's."""
    print(f"{who}: {found['answered']} of {found['made']} answered, longest wait {found['worst_ms']} ms", flush=True)
    harm = {key: found[key] for key in ("refused", "closed", "unanswered", "wrong") if found[key]}
    check(not harm, f"{who} were harmed: {json.dumps(harm)}")
    check(found["made"] >= least, f"{who} made only {found['made']} calls")
