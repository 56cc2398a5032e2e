#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Gateways end clients' TLS by Secrets among the documents, on a node without an identity: Dubbo calls in SIMPLE and MUTUAL, of one port by
server names; clients without a certificate, with another authority's, with another name, and in clear text; a Secret that is replaced while
calls go on, and one that is gone. Then by files, at the Gateway and to the server: a wrong path and a file that is broken while it is replaced
cost no call. A file that the Node does not list is refused, at once if the Node stops listing it, and so is the node's own key.
"""

import base64
import json

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.authority import Authority

DOCUMENTS = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: quotes}
spec:
  hosts: [com.shop.quotes]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}]
  endpoints: [{address: 198.51.100.11}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {}
  servers:
    - {port: {number: 8443, name: tcp-metaprotocol-dubbo, protocol: TLS}, hosts: [open.example], tls: {mode: SIMPLE, credentialName: pair}}
    - {port: {number: 8443, name: tcp-metaprotocol-dubbo, protocol: TLS}, hosts: [closed.example], tls: {mode: MUTUAL, credentialName: pair}}
---
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {name: quotes}
spec: {hosts: [com.shop.quotes], gateways: [edge], routes: [{route: [{destination: {host: com.shop.quotes}}]}]}
"""


# Files of the same Gateway, and to the server behind it; {roots} is on a line of its own.
BY_FILES = """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: files}}
spec:
  selector: {{}}
  servers:
    - port: {{number: 8444, name: tcp-metaprotocol-dubbo, protocol: TLS}}
      hosts: [open.example]
      tls: {{mode: SIMPLE, serverCertificate: {chain}, privateKey: {key}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: quotes}}
spec:
  host: com.shop.quotes
  trafficPolicy:
    tls:
      mode: MUTUAL
      clientCertificate: {pair}
      privateKey: {pair_key}
      caCertificates: {roots}
"""


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()


class Scene:
    def __init__(self, lab):
        self.lab, self.ports = lab, iter(range(21000, 21100))
        self.ours, self.others = (Authority(lab.directory / name) for name in ("ours", "others"))
        self.daemon = lab.meltemi()
        self.daemon.may_name(lab.directory, "/nowhere")
        self.daemon.write("edge.yaml", DOCUMENTS)
        lab.dubbo_server(1, "v1").wait_line("ready")

    def secret(self, serial, **validity):
        chain, key = self.ours.sign(f"edge-{serial}", "DNS:open.example,DNS:closed.example", **validity)
        pair = {"tls.crt": encoded(chain), "tls.key": encoded(key), "ca.crt": encoded(self.ours.roots)}
        self.daemon.write("pair.json", json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pair"}, "data": pair}))

    def client(self, sni, authority=None, to="192.0.2.1:8443"):
        """By which its calls go: an address on the client's host, behind which TLS begins."""
        words, port = [], next(self.ports)
        if authority:
            cert, key = authority.sign(f"client-{port}", "URI:spiffe://partner/ns/x/sa/y")
            words = ["--cert", cert, "--key", key]
        process = self.lab.python("client", f"client-{port}", "smoke/meltemi_lab/sidecar.py", "client", "--roots", self.ours.roots,
                                  "--listen", f"127.0.0.1:{port}", "--to", to, "--sni", sni, *words)
        process.wait_line("ready")
        return f"127.0.0.1:{port}"

    def answered(self, target):
        return self.lab.dubbo_client(target, count=20).result()["answered"]


def who_is_served(s):
    equal(s.answered(s.client("open.example")), 20, "calls of anybody")
    equal(s.answered(s.client("closed.example", s.ours)), 20, "calls of who has a certificate")
    equal(s.answered(s.client("closed.example")), 0, "calls of who has none")
    equal(s.answered(s.client("closed.example", s.others)), 0, "calls of who has another authority's")
    equal(s.answered(s.client("other.example", s.ours)), 0, "calls by another name")
    equal(s.answered("192.0.2.1:8443"), 0, "calls in clear text")


def replaced(s):
    """Who is connected goes on."""
    target = s.client("open.example")
    calls = s.lab.dubbo_client(target, seconds=4, connections=2)
    calls.wait_line("calling")
    s.secret(2)
    s.daemon.shell("reload")
    report = calls.result()
    equal(report["failed"], 0, f"calls that were lost beside {report['answered']}")
    equal(s.answered(target), 20, "calls by the new certificate")


def told_of_its_end(s):
    """A certificate that ends within a day, though it was valid for 100 days: in the metrics, and once in the log."""
    def late():
        return [line for line in s.daemon.process.errors().splitlines() if "was not renewed" in line]

    equal(late(), [], "lines about a fresh certificate")
    s.secret(3, hours=(-99 * 24, 24))
    equal(s.daemon.stop(), 0, "exit status")
    s.daemon.start()
    name = 'meltemi_certificate_%s_seconds{certificate="kubernetes://default/pair"}'

    def metrics():
        lines = s.daemon.http("/metrics")[1].splitlines()
        found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("meltemi_certificate_"))
        return found if name % "left" in found else None

    values = within(5, metrics, "metrics of the certificate")
    check(0 < float(values[name % "left"]) <= 86400 and float(values[name % "lifetime"]) == 100 * 86400, f"the metrics: {values}")
    line, = within(5, late, "a line about an old one")
    check("level=warn" in line and "less than a tenth of its lifetime" in line, f"the line about an old one: {line}")


def gone(s):
    (s.daemon.services / "pair.json").unlink()
    s.daemon.shell("reload")
    gateway = within(5, lambda: next(row for row in s.daemon.show("objects")["objects"] if row["kind"] == "Gateway" and row["notes"]), "a note")
    check(any("Secret default/pair" in note["text"] for note in gateway["notes"]), f"what is told of the Gateway: {gateway}")
    equal(s.answered(s.client("open.example")), 0, "calls without a Secret")


def write_files(s, **changed):
    chain, key = s.pair
    words = {"chain": chain, "key": key, "pair": chain, "pair_key": key, "roots": s.roots, **changed}
    text = DOCUMENTS.replace("address: 198.51.100.11", "address: 198.51.100.11, ports: {tcp-metaprotocol-dubbo: 20881}")
    s.daemon.write("edge.yaml", text.replace("gateways: [edge]", "gateways: [edge, files]") + BY_FILES.format(**words))
    s.daemon.shell("reload", fail=False)


def statuses(s):
    return {(o["kind"], o["name"]): (o["status"], o["severity"]) for o in s.daemon.show("objects")["objects"]}


def is_named(s, place, words):
    """A line of the log with the document's line, the field, the reason and the remedy."""
    number = (s.daemon.services / "edge.yaml").read_text().splitlines().index(place) + 1
    s.daemon.wait_log(f"edge.yaml:{number}: error: {words}")


def wrong_paths(s):
    """The certificates of the last good versions go on, and /ready stays."""
    write_files(s, chain="/nowhere/chain.pem", roots="/nowhere/roots.pem")
    found = statuses(s)
    equal((found["Gateway", "files"], found["DestinationRule", "quotes"]), (("last-good", "error"),) * 2, "statuses with wrong paths")
    is_named(s, "      caCertificates: /nowhere/roots.pem", "spec.trafficPolicy.tls.caCertificates: TLS to endpoints cannot be established: "
             "/nowhere/roots.pem: No such file or directory")
    s.daemon.wait_log("error: spec.servers[0].tls.serverCertificate: TLS cannot be ended: /nowhere/chain.pem: No such file or directory")
    s.daemon.wait_log("(correct the path, or restore the file)")
    equal(s.daemon.check()[0], 1, "exit status of --check with wrong paths")
    check(s.daemon.ready(), "the node is not ready")


def by_files(s):
    s.pair = s.ours.sign("files", "DNS:open.example,URI:spiffe://partner/ns/x/sa/y")
    s.roots = s.lab.directory / "files-roots.pem"
    s.roots.write_bytes(s.ours.roots.read_bytes())
    s.lab.python("server1", "ends-tls", "smoke/meltemi_lab/sidecar.py", "server", "--roots", s.ours.roots, "--cert", s.pair[0], "--key", s.pair[1],
                 "--listen", "198.51.100.11:20881", "--to", "127.0.0.1:20880").wait_line("ready")
    write_files(s)
    target = s.client("open.example", to="192.0.2.1:8444")
    equal(s.answered(target), 20, "calls by files")
    calls = s.lab.dubbo_client(target, seconds=6, connections=2)
    calls.wait_line("calling")
    wrong_paths(s)
    equal(s.answered(s.client("open.example", to="192.0.2.1:8444")), 20, "calls on new connections with wrong paths")
    write_files(s)
    equal({status for key, (status, _) in statuses(s).items() if key[0] in ("DestinationRule", "Gateway") and key[1] != "edge"}, {"in-force"},
          "statuses of repaired documents")
    # The watch reads what was just written once more within a second, which would end a rollback.
    within(10, lambda: s.daemon.show("config")["last_reload_ago_s"] >= 2, "the watch has read it")
    s.daemon.shell("rollback", str(json.loads(s.daemon.shell("--json", "show", "history"))["history"][0]["version"]))
    s.roots.write_text("-----BEGIN CERTIFICATE-----\nMIIB")
    within(5, lambda: statuses(s)["DestinationRule", "quotes"] == ("in-force-with-notes", "warning"), "the changed file is read by itself")
    check(json.loads(s.daemon.shell("--json", "show", "config"))["rolled_back"], "the changed file ended the rollback")
    equal(s.answered(s.client("open.example", to="192.0.2.1:8444")), 20, "calls while a file is being replaced")
    report = calls.result()
    equal(report["failed"], 0, f"calls that were lost beside {report['answered']}")


def own_files(s):
    """A Gateway may name neither the node's own certificate and key nor a copy of them: its last good version stays."""
    own = s.lab.directory / "own"
    own.mkdir()
    chain, key = s.ours.sign("own", "DNS:open.example,URI:spiffe://cluster.local/ns/edge/sa/node")
    for name, path in (("cert-chain.pem", chain), ("key.pem", key), ("root-cert.pem", s.ours.roots)):
        (own / name).write_bytes(path.read_bytes())
    copy = s.lab.directory / "copy.key"
    copy.write_bytes(key.read_bytes())
    s.daemon.node.write_text(s.daemon.node.read_text().replace("spec:\n", f"spec:\n  identity: {{directory: {own}}}\n", 1))
    s.daemon.shell("reload")
    within(5, lambda: any(str(row["principal"]).endswith("/sa/node") for row in s.daemon.show("identity")["identity"]), "the node has an identity")
    for chain, key, part in ((own / "cert-chain.pem", own / "key.pem", own / "cert-chain.pem"), (chain, copy, copy)):
        write_files(s, chain=chain, key=key)
        s.daemon.wait_log(f"{part}: it is of the node's own identity, which documents cannot use")
        equal(statuses(s)["Gateway", "files"], ("last-good", "error"), "status of a Gateway that names them")
    write_files(s)


def listed_no_more(s):
    """What the Node lists decides, without a restart: by files that are where they were."""
    s.daemon.may_name("/nowhere")
    s.daemon.shell("reload", fail=False)
    s.daemon.wait_log(f"{s.pair[0]}: it is in no directory that the Node's spec.tlsFiles lists for namespace default")
    s.daemon.wait_log("(list its directory in the Node's spec.tlsFiles, or write a Secret and credentialName)")
    equal(s.answered(s.client("open.example", to="192.0.2.1:8444")), 0, "calls by files that the Node does not list any more")
    equal(s.daemon.check()[0], 1, "exit status of --check")
    (link := s.lab.directory / "links").mkdir()
    (link / "roots.pem").symlink_to(s.roots)
    s.daemon.may_name(s.pair[0].parent, link)
    write_files(s, roots=link / "roots.pem")
    s.daemon.wait_log(f"{link}/roots.pem: a symbolic link leads out of the directory of the Node's spec.tlsFiles")
    s.daemon.may_name(s.lab.directory)
    write_files(s)
    within(5, lambda: s.answered(s.client("open.example", to="192.0.2.1:8444")) == 20, "calls by files that the Node lists again")


def body():
    with Lab(servers=1) as lab:
        s = Scene(lab)
        s.secret(1)
        s.daemon.start()
        who_is_served(s)
        replaced(s)
        told_of_its_end(s)
        gone(s)
        s.daemon.leaves("errors", "it is given wrong paths", r"/nowhere/(chain|roots)\.pem|in no directory|leads out of|node's own identity")
        by_files(s)
        s.roots.write_bytes(s.ours.roots.read_bytes())
        own_files(s)
        listed_no_more(s)


main(body)
