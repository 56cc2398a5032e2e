#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What stands in the Node as a header of others (a collector's key, a control plane's) is shown to nobody who may only look, whatever it is
called, and is in no byte of `meltemi support`, which reads every document that the daemon reads. The key of the node's identity is nowhere at
all, and in no log: not the good one's, nor that of files that are refused. Nor is the key of a Secret by which a gateway ends TLS, in clear or in
base64, whether it is of use or refused."""

import base64
import json
import os
import subprocess
import tarfile

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.authority import Authority
from meltemi_lab.daemon import SHELL

# None of these headers is called like a secret.
SECRETS = ("hcaik-9f31c7", "hcaik-second-77", "https-dsn-5522", "set-by-route-8844")
OTLP = "\n  otlp: {endpoint: http://127.0.0.1:4399, headers: {x-honeycomb-team: %s, uptrace-dsn: https-dsn-5522}}\n"
BELOW = {"apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService", "metadata": {"name": "below"},
         "spec": {"hosts": ["below.example"], "http": [{"match": [{"headers": {"x-user": {"exact": "canary"}}}],
                                                        "headers": {"request": {"set": {"x-signoz": "set-by-route-8844"}}},
                                                        "route": [{"destination": {"host": "below.example"}}]}]}}
SERVICE = """\
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata: {name: %s}
spec:
  hosts: [%s]
  ports: [{number: 80, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 198.51.100.11}]
"""


def run(socket, *words):
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if socket.name == "view.sock" else []
    return subprocess.run([*nobody, SHELL, "-s", socket, *words], text=True, capture_output=True, timeout=60, check=False)


GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {}
  servers:
    - {port: {number: 8443, name: tls, protocol: TLS}, hosts: [a.example], tls: {mode: SIMPLE, credentialName: good-pair}}
    - {port: {number: 8444, name: tls, protocol: TLS}, hosts: [b.example], tls: {mode: SIMPLE, credentialName: bad-pair}}
"""

KEYS = []  # lines of keys, which are theirs alone


def nothing_of(text, where):
    for secret in (*SECRETS, *KEYS):
        check(secret not in text, f"{secret} is in {where}")


def in_secrets(daemon, authority):
    """One of use in base64, one in clear whose chain is another's."""
    pairs = {name: [path.read_text() for path in authority.sign(name, f"DNS:{name}.example")] for name in ("first", "second")}
    coded = {name: base64.b64encode(key.encode()).decode() for name, (_, key) in pairs.items()}
    for name, (_, key) in pairs.items():
        KEYS.extend(line for line in key.splitlines() if len(line) > 40)
        KEYS.append(coded[name][44:144])
    good = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "good-pair"},
            "data": {"tls.crt": base64.b64encode(pairs["first"][0].encode()).decode(), "tls.key": coded["first"]}}
    bad = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bad-pair"},
           "stringData": {"tls.crt": pairs["first"][0], "tls.key": pairs["second"][1]}}
    daemon.write("pairs.yaml", "\n---\n".join([json.dumps(good), json.dumps(bad), GATEWAY]))
    daemon.leaves("errors", "a Secret whose key is another certificate's", "bad-pair")


def is_somebody(daemon, lab):
    """Below the documents, where `support` looks around; a chain of one generation and a key of another come behind it."""
    authority, certs = Authority(lab.directory / "ca"), daemon.services / "certs"
    certs.mkdir()
    for name in ("good", "refused"):
        chain, key = authority.sign(name, f"URI:spiffe://cluster.local/ns/shop/sa/{name}")
        KEYS.extend(line for line in key.read_text().splitlines() if len(line) > 40)
        if name == "good":
            (certs / "cert-chain.pem").write_text(chain.read_text())
            (certs / "key.pem").write_text(key.read_text())
    (certs / "root-cert.pem").write_text(authority.roots.read_text())
    check(len(KEYS) >= 4, f"lines of keys: {len(KEYS)}")
    in_secrets(daemon, authority)
    daemon.node.write_text(daemon.node.read_text() + f"  identity: {{directory: {certs}}}\n")
    daemon.leaves("errors", "a key that is another certificate's", "does not belong")
    return certs / "key.pem", key.read_text()


def is_refused(daemon, path, key):
    os.chmod(path, 0o600)
    path.write_text(key)
    row = within(10, lambda: (r := daemon.show("identity")["identity"][0])["state"] == "last-good" and r, "an identity in its last good version", step=0.1)
    check(row["principal"].endswith("/good"), f"the identity in use: {row}")


def who_looks(daemon):
    view, operate = daemon.directory / "view.sock", daemon.directory / "admin.sock"
    versions = [str(row["version"]) for row in daemon.show("history")["history"]]
    check(len(versions) >= 2, f"versions {versions}")
    diff = run(view, "diff", versions[-1], versions[0])
    equal(diff.returncode, 0, f"exit status of diff of who may only look ({diff.stderr})")
    check("changed" in diff.stdout and "otlp" not in diff.stdout, f"differences: {diff.stdout}")
    nothing_of(diff.stdout, "diff of who may only look")
    shows = [row["command"] for row in json.loads(run(view, "--json", "help").stdout)["commands"] if row["command"].startswith("show ")]
    check(len(shows) > 20, f"only {shows}")
    for command in shows:
        nothing_of(run(view, "--json", *command.split()).stdout, command)
    for page in ("/metrics", "/config_dump", "/server_info", "/clusters?format=json"):
        status, text = daemon.http(page)
        equal(status, 200, f"status of {page}")
        nothing_of(text, page)


def in_the_archive(daemon):
    archive = daemon.directory / "all.tar.gz"
    equal(run(daemon.directory / "admin.sock", "support", "-o", archive).returncode, 0, "exit status of support")
    with tarfile.open(archive, "r:gz") as tar:
        files = {m.name.removeprefix("meltemi-support/"): tar.extractfile(m).read().decode(errors="replace") for m in tar.getmembers()}
    for name, text in files.items():
        nothing_of(text, name)
    node = next(json.loads(text) for name, text in files.items() if name.endswith("node.yaml.json"))[0]
    equal(node["spec"]["otlp"]["headers"], {"x-honeycomb-team": "<redacted>", "uptrace-dsn": "<redacted>"}, "the collector's headers")
    below = [json.loads(text) for name, text in files.items() if name.endswith("below.json.json")]
    equal(len(below), 1, f"archived documents of a directory below, of {sorted(files)}")
    match = below[0][0]["spec"]["http"][0]["match"][0]["headers"]
    equal(match, {"x-user": {"exact": "<redacted>"}}, "a match by a header")
    check(any(name.endswith("/inner.yml.json") for name in files), "a document two directories below is not in it")
    check(not any("hidden" in name for name in files), "a hidden document is in it")


def body():
    with Lab(servers=1) as lab:
        daemon = lab.meltemi(workers=1)
        daemon.admin(viewSocket=daemon.directory / "view.sock", viewGroup="65534")
        os.chmod(daemon.directory, 0o755)
        key = is_somebody(daemon, lab)
        text = daemon.node.read_text()
        daemon.node.write_text(text + OTLP % "hcaik-9f31c7")
        os.chmod(daemon.node, 0o600)
        daemon.leaves("errors", "nobody collects", "module=otlp")
        daemon.leaves("errors", "below.json is of no service", "below.json:32")
        daemon.write("first.yaml", SERVICE % ("first", "first.example"))
        deep = daemon.services / "team" / "inner"
        deep.mkdir(parents=True)
        (daemon.services / "team" / "below.json").write_text(json.dumps(BELOW, indent="\t"))
        (deep / "inner.yml").write_text(SERVICE % ("inner", "inner.example"))
        (deep / ".hidden.yaml").write_text(SERVICE % ("hidden", "hidden.example"))
        os.symlink("..", deep / "loop")
        daemon.start()
        is_refused(daemon, *key)
        daemon.node.write_text(text + OTLP % "hcaik-second-77")
        daemon.write("second.yaml", SERVICE % ("second", "second.example"))
        daemon.write("pairs.yaml", (daemon.services / "pairs.yaml").read_text() + "\n# the same\n")
        daemon.shell("reload", fail=False)  # below.json is of no service
        said = {row["name"]: row["status"] for row in daemon.show("objects")["objects"] if row["kind"] == "Secret"}
        equal(said, {"good-pair": "in-force", "bad-pair": "refused"}, "what became of Secrets")
        who_looks(daemon)
        in_the_archive(daemon)
        daemon.stop()
        log = daemon.process.errors() + daemon.process.output()
        check("does not belong" in log and "/sa/good" in log, "the log does not speak of the identity")
        nothing_of(log, "the log")


main(body)
