# SPDX-License-Identifier: Apache-2.0
"""
A service of which one instance is behind a sidecar, and one is not, in front of them a node that has an identity, and an authority that signs
for all of them.
"""

import os

from .authority import Authority
from .files import put, put_together

VIP, BYTES = "240.240.1.1", "240.240.1.2"
ACCOUNT = "spiffe://cluster.local/ns/%s/sa/%s"
NODE, QUOTES, CALLER = (ACCOUNT % who for who in (("edge", "meltemi"), ("shop", "quotes"), ("shop", "caller")))

SERVICE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %(name)s, namespace: shop}
spec:
  hosts: [%(host)s]
  addresses: [%(vip)s]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: %(port)s, protocol: TCP}]
  workloadSelector: {labels: {app: quotes}}
---
"""
INSTANCES = """apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: quotes-meshed, namespace: shop}
spec:
  address: 198.51.100.11
  serviceAccount: quotes
  labels: {app: quotes, security.istio.io/tlsMode: istio}
  ports: {tcp-metaprotocol-dubbo: 15006, tcp-bytes: 15006}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: quotes-bare, namespace: shop}
spec: {address: 198.51.100.12, labels: {app: quotes}}
"""
DOCUMENTS = (SERVICE % {"name": "quotes", "host": "com.shop.quotes", "vip": VIP, "port": "tcp-metaprotocol-dubbo"}
             + SERVICE % {"name": "bytes", "host": "bytes.shop", "vip": BYTES, "port": "tcp-bytes"} + INSTANCES)


class Mesh:
    """Mesh(lab): the node is not started, servers and the sidecar of the first one are. sidecar() is what others may make another way."""

    def __init__(self, lab, **node):
        self.lab = lab
        self.authority = Authority(lab.directory / "ca")
        self.folder = lab.directory / "identity"
        self.folder.mkdir()
        self.identify()
        self.daemon = lab.meltemi(**node)
        self.daemon.write("quotes.yaml", DOCUMENTS)
        self.lend("clients: [192.0.2.0/24]")
        lab.dubbo_server(1, "v1").wait_line("ready")
        lab.dubbo_server(2, "v2").wait_line("ready")
        self.inbound = self.sidecar("server1", "server", QUOTES, listen="198.51.100.11:15006", to="127.0.0.1:20880", alpn="istio")

    def sidecar(self, role, side, who, *flags, **options):
        cert, key = self.authority.sign(who.rsplit("/", 1)[1] + f"-{len(self.lab.processes)}", f"URI:{who}")
        process = self.lab.python(role, f"sidecar-{side}-{len(self.lab.processes)}", "smoke/meltemi_lab/sidecar.py", side, "--cert", cert,
                                  "--key", key, "--roots", self.authority.roots, *flags, *(w for k, v in options.items() for w in (f"--{k}", v)))
        process.certificate = cert
        process.wait_line("ready")
        return process

    def identify(self):
        """A new certificate of the node's, in place at once."""
        self.identify_as(NODE, self.folder)

    def identify_as(self, who, folder):
        """One of somebody's, in a directory of its own."""
        cert, key = self.authority.sign(f"node-{os.urandom(4).hex()}", f"URI:{who}")
        put_together(folder, **{"key.pem": key, "cert-chain.pem": cert, "root-cert.pem": self.authority.roots})

    def revoke(self, certificate):
        """The authority takes a certificate back, in what the node looks at."""
        put(self.folder, "ca-crl.pem", self.authority.revoked(certificate))

    def lend(self, words):
        """Node: who it is, and who may borrow that."""
        self._write(identity=f"{{directory: {self.folder}}}", mesh=f"{{namespace: edge, nodeIdentityUse: {{{words}}}}}")

    def hold(self, **folders):
        """Node: whom it stands for beside that, accounts of namespace shop."""
        rows = (f"{{principal: '{ACCOUNT % ('shop', who)}', directory: {folder}}}" for who, folder in folders.items())
        self._write(identities=f"[{', '.join(rows)}]")

    def forget(self):
        """Node: it is nobody."""
        self._write(identity=None)

    def _write(self, **fields):
        text = [line for line in self.daemon.node.read_text().split("\n") if not line.startswith(tuple(f"  {name}:" for name in fields))]
        at = text.index("spec:") + 1
        text[at:at] = [f"  {name}: {words}" for name, words in fields.items() if words]
        self.daemon.node.write_text("\n".join(text))

    def calls(self, count, target=f"{VIP}:20880", **options):
        return self.lab.dubbo_client(target, count=count, **{"timeout_ms": 60000, **options}).result()
