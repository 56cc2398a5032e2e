# SPDX-License-Identifier: Apache-2.0
"""
Documents that say in their first lines what becomes of them and what callers get, and a node that is held to it. A row has services of its
own, in the namespace of its name's first two words, so that those stand beside each other that are not about the whole mesh:

    quotes   Dubbo, its instance without a proxy       far   Dubbo, its instance behind one, that takes TLS and clear text
    calc     Thrift, the same                          out   Dubbo, outside of the mesh
    echo     bytes, three ports

    # Ask: WHO WHAT OUTCOME   WHO: clear, [DOMAIN:]NAMESPACE/ACCOUNT, with @ADDRESS behind it; WHAT: NAME.METHOD(KEY=VALUE), echo:PORT, or
                              edge, which is quotes by a gateway; OUTCOME: asking.py's, /tls or /clear: how the node came to the instance,
                              /PORT: to which port
    # Status: KIND NAME STATUS
    # Log: a line of the log at level error that it may leave
    # Domain: of the node's certificate         # Alone: it is about the whole mesh
"""

import os
import re
import shutil
import socket
import ssl
import urllib.parse

from .asking import ANSWERED, BYTES, DUBBO, NO_TLS, THRIFT, Callers, Servers, addresses, dubbo, stream, thrift
from .authority import Authority
from .check import check, equal, within
from .lab import Lab

NODE, OTHER, MESHED = "192.0.2.1", "192.0.2.9", 15006

SERVICE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %(name)s, namespace: %(ns)s}
spec:
  hosts: [%(name)s.%(ns)s]
  addresses: [240.240.%(net)d.%(row)d]
  location: %(location)s
  resolution: STATIC
  ports: [%(ports)s]
  endpoints: [{address: 198.51.100.%(server)d, labels: {app: %(name)s%(more)s}}]
---
"""
BEHIND = ", security.istio.io/tlsMode: istio}, ports: {tcp-metaprotocol-dubbo: %d" % MESHED
PORTS = {"quotes": ((DUBBO, "tcp-metaprotocol-dubbo"),), "calc": ((THRIFT, "tcp-metaprotocol-thrift"),),
         "echo": tuple((port, f"tcp-{port}") for port in BYTES), "far": ((DUBBO, "tcp-metaprotocol-dubbo"),),
         "out": ((DUBBO, "tcp-metaprotocol-dubbo"),)}
NETS = {name: number for number, name in enumerate(PORTS, 1)}
GATEWAY = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: %(ns)s, namespace: edge}
spec:
  selector: {}
  servers: [{port: {number: %(port)d, name: tcp-metaprotocol-dubbo}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %(ns)s, namespace: edge}
spec: {hosts: [quotes.%(ns)s], gateways: [%(ns)s], dubbo: [{route: [{destination: {host: quotes.%(ns)s}}]}]}
---
"""
ASK = re.compile(r"# Ask: (\S+) (\w+)(?:\.(\w+)|:(\d+))?(?:\((\S+)=(\S+)\))? (\S+)$")


class Row:
    def __init__(self, number, path):
        self.name, self.text, self.number = path.stem, path.read_text(), number
        self.ns = "-".join(self.name.split("-")[:2])
        self.lines = [line for line in self.text.splitlines() if line.startswith("#")]
        self.asks = [ASK.match(line) for line in self.lines if line.startswith("# Ask:")]
        check(self.asks and all(self.asks), f"{path.name}: an ask that cannot be read")
        self.alone = "# Alone" in self.lines
        self.domain = next(iter(self.all_of("Domain")), "cluster.local")

    def all_of(self, what):
        return [line.split(": ", 1)[1] for line in self.lines if line.startswith(f"# {what}: ")]

    def services(self):
        words = {"ns": self.ns, "row": self.number, "server": 20 + self.number, "port": 7000 + self.number}
        text = "".join(SERVICE % {**words, "name": name, "net": NETS[name], "more": BEHIND if name == "far" else "",
                                  "location": "MESH_EXTERNAL" if name == "out" else "MESH_INTERNAL",
                                  "ports": ", ".join(f"{{number: {number}, name: {port}, protocol: TCP}}" for number, port in ports)}
                       for name, ports in PORTS.items())
        return text + (GATEWAY % words if self.ns.startswith("ingress") else "")


class Rows:
    def __init__(self, lab, servers, folder):
        self.lab, self.servers = lab, servers
        self.authority = Authority(lab.directory / "ca")
        self.callers = Callers(lab, self.authority)
        self.folder = lab.directory / "identity"
        self.folder.mkdir()
        self.rows = [Row(number, path) for number, path in enumerate(sorted(folder.glob("*.yaml")), 1)]
        self.daemon = lab.meltemi()
        words = f"  identity: {{directory: {self.folder}}}\n  mesh: {{namespace: edge, nodeIdentityUse: {{clients: [192.0.2.0/24]}}}}\n"
        self.daemon.node.write_text(self.daemon.node.read_text().replace("spec:\n", f"spec:\n{words}", 1))
        self.domain, self.ways = None, {}
        self.inbound = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.inbound.load_cert_chain(*self.authority.sign("far", "URI:spiffe://cluster.local/ns/any/sa/far"))
        self.inbound.set_alpn_protocols(["istio"])

    def behind(self, sock):
        """What a sidecar that takes both does, and what is behind it."""
        way = "tls" if sock.recv(1, socket.MSG_PEEK) == b"\x16" else "clear"
        self.ways[sock.getsockname()[0].removeprefix("::ffff:")] = way
        self.servers.dubbo(self.inbound.wrap_socket(sock, server_side=True) if way == "tls" else sock)

    def identify(self, domain):
        """The node is of that trust domain."""
        if domain == self.domain:
            return
        self.domain = domain
        cert, key = self.authority.sign(f"node-{domain}", f"URI:spiffe://{domain}/ns/edge/sa/meltemi")
        for source, name in ((key, "key.pem"), (cert, "cert-chain.pem"), (self.authority.roots, "root-cert.pem")):
            shutil.copyfile(source, self.folder / f".{name}")
            os.rename(self.folder / f".{name}", self.folder / name)
        if self.daemon.process:
            within(5, lambda: (self.daemon.show("identity")["identity"][0]["principal"] or "").startswith(f"spiffe://{domain}/"), "the new identity is in use")

    def in_force(self, rows):
        self.daemon.write("policies.yaml", "---\n".join(row.text for row in rows))
        if self.daemon.process:
            self.daemon.shell("reload")
        else:
            self.daemon.start()

    def ask(self, row, ask):
        who, name, method, port, key, value, _ = ask.groups()
        who, _, source = who.partition("@")
        domain, _, account = who.rpartition(":")
        call, target = stream, (f"240.240.{NETS.get(name)}.{row.number}", int(port or PORTS.get(name, ((0,),))[0][0]))
        if name == "edge":
            method, target = "get", (NODE, 7000 + row.number)
        if not port:
            call = thrift if name == "calc" else dubbo
        tls = None if who == "clear" else self.callers.tls(account, domain or "cluster.local")
        return self.callers.ask(call, target, method, {key: urllib.parse.unquote(value)} if key else None, tls=tls, source=source or None)

    def judge(self, row):
        at = f"198.51.100.{20 + row.number}"
        for ask in row.asks:
            wanted, _, way = ask[7].partition("/")
            port = int(way if way.isdigit() else MESHED if ask[2] == "far" else ask[4] or PORTS.get(ask[2], PORTS["quotes"])[0][0])
            what, before, here = f"{row.name}: {ask[0][7:]}", sum(self.servers.seen.values()), self.servers.seen[at, port]
            found = self.ask(row, ask)
            equal(found.split(" ")[0].rstrip(":"), wanted, f"{what}: {found}")
            came = self.servers.seen[at, port] - here
            # TLS that is not ended is bytes, which only a port of bytes passes on.
            equal(came > 0, wanted == ANSWERED or (wanted == NO_TLS and bool(ask[4])), f"{what}: it came to its server")
            equal(sum(self.servers.seen.values()) - before, came, f"{what}: it came to others")
            equal(self.ways.pop(at, way) if way in ("tls", "clear") else way, way, f"{what}: how the node came there")
        self.statuses(row)

    def statuses(self, row):
        wanted = [line.split(" ") for line in row.all_of("Status")]
        if not wanted:
            return
        objects = {(o["kind"], o["name"]): o["status"] for o in self.daemon.show("objects")["objects"] if o["namespace"] in (row.ns, "edge", "istio-system")}
        equal({(kind, name): objects.get((kind, name)) for kind, name, _ in wanted}, {(kind, name): status for kind, name, status in wanted},
              f"{row.name}: what became of its objects")


def told(rows, page, name):
    """Each row is in the page's table, and nothing else."""
    named = set(re.findall(f"`{name}/([\\w-]+)\\.yaml`", page.read_text()))
    equal(named, {row.name for row in rows}, f"rows in {page.name}")


def run(folder, page):
    with Lab(servers=1) as lab, Servers(lab, "server1") as servers:
        r = Rows(lab, servers, folder)
        with lab.listening("server1", MESHED, r.behind):
            addresses(lab, "client", "c0", [OTHER])
            addresses(lab, "server1", "s0", [f"198.51.100.{20 + row.number}" for row in r.rows])
            r.daemon.write("services.yaml", "".join(row.services() for row in r.rows))
            for text in {text for row in r.rows for text in row.all_of("Log")}:
                r.daemon.leaves("errors", "what cannot be judged is told", text)
            beside = [row for row in r.rows if not row.alone]
            r.identify("cluster.local")
            r.in_force(beside)
            for row in beside:
                r.judge(row)
            for row in (row for row in r.rows if row.alone):
                r.identify(row.domain)
                r.in_force([row])
                r.judge(row)
            told(r.rows, page, folder.name)
