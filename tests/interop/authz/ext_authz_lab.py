# SPDX-License-Identifier: Apache-2.0
"""A service whose calls an external authorization service of go-control-plane is asked about, its server and a caller."""

import json
import pathlib
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "xds")]

import adsd  # noqa: E402  (makes meltemi_lab known)
from meltemi_lab import equal  # noqa: E402
from meltemi_lab.asking import ANSWERED, read  # noqa: E402
from meltemi_lab.process import Process  # noqa: E402

import wire  # noqa: E402

HOST, VIP, PORT, AT = wire.INTERFACE.lower(), "240.240.1.1", 20880, "127.0.0.1:9000"
DENIED = "meltemi: denied by policy"
SERVICE = f"""apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: demo, namespace: shop}}
spec:
  hosts: [{HOST}]
  addresses: [{VIP}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {PORT}, name: tcp-metaprotocol-dubbo}}]
  endpoints: [{{address: 198.51.100.11, labels: {{app: demo}}}}]
"""


def mesh(service=AT.split(":")[0], **more):
    providers = [{"name": "judge", "envoyExtAuthzGrpc": {"service": service, "port": AT.split(":")[1], **more}},
                 {"name": "tracer", "zipkin": {"service": "z", "port": 1}}]
    return ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n    "
            + json.dumps({"extensionProviders": providers}) + "\n")


def policy(name="custom", **spec):
    spec = {"action": "CUSTOM", "provider": {"name": "judge"}, "rules": [{"to": [{"operation": {"methods": ["sayHello"]}}]}], **spec}
    if spec["action"] != "CUSTOM":
        del spec["provider"]
    return (f"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: shop}}\n"
            f"spec: {json.dumps(spec)}\n")


class Judge:
    """identity: a directory with a certificate of its own, by which it speaks TLS."""

    def __init__(self, lab, daemon, at=AT, identity=None):
        self.lab, self.daemon, self.n = lab, daemon, 0
        self.at, self.identity = at, identity
        self.start()

    def start(self, age="0s"):
        self.n += 1
        words = [adsd.PROGRAM, "authz", self.at, age, *([str(self.identity)] if self.identity else [])]
        self.process = Process(self.lab.directory, f"judge-{self.n}", words, self.daemon.namespace,
                               stdin=subprocess.PIPE)
        self.lab.processes.append(self.process)
        self.process.wait_line('"ready"', 20)

    def asked(self):
        return [json.loads(line) for line in self.process.output().splitlines() if '"asked"' in line]


class Server:
    def __init__(self):
        self.calls = []

    def handle(self, sock):
        while True:
            try:
                _, flags, _, ident, length = wire.HEADER.unpack(read(sock, wire.HEADER.size))
                body = read(sock, length)
            except EOFError:
                return
            if flags & wire.EVENT:
                sock.sendall(wire.frame(wire.EVENT, wire.OK, ident, b"N"))
                continue
            _, _, args, attachments = wire.parse_request(body)
            self.calls.append(attachments)
            sock.sendall(wire.reply(ident, f"hello {args[0]} from v1/s1"))


class Caller:
    def __init__(self, lab, server, vip=VIP):
        self.lab, self.server, self.vip = lab, server, vip

    def ask(self, how=None, method="sayHello", **attachments):
        if how:
            attachments["x-ext-authz"] = how
        sock = self.lab.connect("client", self.vip, PORT)
        sock.settimeout(15)
        try:
            # A character of Java's that is half of one: three bytes, and no UTF-8.
            sock.sendall(wire.request(7, method, ["x"], attachments).replace("\N{EURO SIGN}".encode(), b"\xed\xa0\x80"))
            _, _, status, _, length = wire.HEADER.unpack(read(sock, wire.HEADER.size))
            text = wire.parse_reply(status, read(sock, length))
            return ANSWERED if status == wire.OK else text
        finally:
            sock.close()

    def gets(self, expected, what, how=None, **more):
        before = len(self.server.calls)
        equal(self.ask(how, **more), expected, what)
        equal(len(self.server.calls) - before, 1 if expected == ANSWERED else 0, f"{what}: calls at the server")
        return self.server.calls[-1] if self.server.calls else {}


def write(daemon, *texts, **provider):
    daemon.write("mesh.yaml", mesh(**provider))
    daemon.write("policies.yaml", "".join(texts))
    daemon.shell("reload")
