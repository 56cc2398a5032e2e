#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A machine joins a real istiod (1.31, without Kubernetes): `meltemi join` on a bundle as istioctl writes it, its token verified by
istiod against an issuer's keys (JWT_RULE, as where istiod runs outside of a cluster), certificates signed by istiod's own
authority under an intermediate of a minute, so that they are renewed again and again while Dubbo and Thrift calls run; names by
Istio's table; the intermediate is replaced, and istiod is away until the certificate has expired.
"""

import base64
import datetime
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import environment  # noqa: E402
import test_join  # noqa: E402
from real_istiod import AT, Istiod  # noqa: E402
from world import CONTROL, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main, names, netns, within  # noqa: E402
from meltemi_lab.daemon import SHELL  # noqa: E402

ISSUER, KEYS = "https://kubernetes.default.svc.cluster.local", 18081
DUBBO, THRIFT = ("dubbo.example", "240.240.0.1", 20880), ("thrift.example", "240.240.0.2", 9090)
URI = "spiffe://cluster.local/ns/shop/sa/vm"
LIFE = 45
SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: s{port}, namespace: meta}}
spec:
  hosts: [{host}]
  addresses: [{vip}]
  ports: [{{number: {port}, name: tcp-s, protocol: TCP, targetPort: {port}}}]
  location: MESH_INTERNAL
  resolution: STATIC
  workloadSelector: {{labels: {{app: demo}}}}
"""


def keys_of(lab, issuer):
    """The issuer's public keys (RFC 7517), served where istiod runs."""
    numbers = issuer.key.public_key().public_numbers()
    number = lambda n: base64.urlsafe_b64encode(n.to_bytes((n.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()  # noqa: E731
    text = json.dumps({"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "n": number(numbers.n), "e": number(numbers.e)}]}).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", KEYS), Handler, bind_and_activate=False)
    with lab.inside("control"):
        server.socket = socket.create_server(("127.0.0.1", KEYS))
    threading.Thread(target=server.serve_forever, daemon=True).start()


def intermediate(directory, root, seconds):
    """What istiod signs with: an authority under the root that lives for so long. Nothing that it signs outlives it."""
    from cryptography.hazmat.primitives import serialization
    from istiod_peer import Authority

    one = Authority("intermediate.cluster.local", ends=datetime.timedelta(seconds=seconds), by=root)
    key = one.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                serialization.NoEncryption()).decode()
    directory.mkdir(exist_ok=True)
    for name, text in (("ca-key", key), ("ca-cert", one.pem()), ("root-cert", root.pem()), ("cert-chain", one.pem() + root.pem())):
        scratch = directory / f".{name}"
        scratch.write_text(text)
        scratch.rename(directory / f"{name}.pem")


def server_pair(lab, root):
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    (lab.directory / "istiod.pem").write_text(root.sign(key.public_key(), [x509.DNSName(test_join.HOST)]))
    (lab.directory / "istiod.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                                 serialization.NoEncryption()))
    (lab.directory / "root.pem").write_text(root.pem())
    return lab.directory / "istiod"


def join(lab, bundle, out):
    done = subprocess.run(["ip", "netns", "exec", lab.namespace("mesh"), SHELL, "join", "-o", out, bundle.dir], text=True,
                          capture_output=True, timeout=60, check=False)
    print(done.stdout, flush=True)
    return done


def bundle_of(lab, name, root, issuer):
    b = test_join.Bundle(lab.directory / name, root, issuer, types.SimpleNamespace(port=15012))
    b.files["hosts"] = f"{CONTROL} {test_join.HOST}\n"
    b.dir.mkdir()
    b.write()
    return b


def joined(lab, root, issuer):
    """A token of another issuer is refused at the step it belongs to; the right one makes a member."""
    from istiod_peer import Issuer

    refused = join(lab, bundle_of(lab, "strange", root, Issuer()), lab.directory / "strange-identity")
    equal(refused.returncode, 1, "exit status with a token of another issuer")
    check(any(line.startswith("csr") and "FAILED" in line for line in refused.stdout.splitlines()), f"not csr: {refused.stdout}")
    out = lab.directory / "identity"
    done = join(lab, bundle_of(lab, "bundle", root, issuer), out)
    equal(done.returncode, 0, f"exit status of join: {done.stdout}{done.stderr}")
    return out


def words(daemon):
    return next(row["identity"] for row in daemon.show("xds")["sources"] if row.get("identity"))


def renewals(out, count, seconds):
    """Waits until the file holds so many other certificates, one after the other; how many it saw."""
    seen = {(out / "identity.pem").read_text()}

    def there():
        seen.add((out / "identity.pem").read_text())
        return len(seen) > count

    within(seconds, there, f"{count} renewals", step=0.1)


def up(daemon):
    return all(row["state"] == "up" for row in daemon.show("xds")["streams"])


def body():
    from istiod_peer import Authority, Issuer

    with world() as w:
        lab, root, issuer = w.lab, Authority(), Issuer()
        w.peers(thrift=2)
        keys_of(lab, issuer)
        intermediate(lab.directory / "cacerts", root, LIFE)
        istiod = Istiod(lab, lab.directory / "cacerts", server_pair(lab, root), lab.directory / "root.pem")
        for host, vip, port in (DUBBO, THRIFT):
            istiod.write(f"{host}.yaml", SERVICE.format(host=host, vip=vip, port=port))
        istiod.workload(1)
        env = {"JWT_RULE": json.dumps({"issuer": ISSUER, "jwks_uri": f"http://127.0.0.1:{KEYS}/", "audiences": ["istio-ca"]}),
               "AUTO_RELOAD_PLUGIN_CERTS": "true"}
        istiod.start(**env)
        out = joined(lab, root, issuer)
        w.daemon = daemon = lab.meltemi()
        directory = f"{{directory: {daemon.services}}}"
        source = f"{{xds: {{bootstrap: {out}/bootstrap.json, identity: {out}}}}}"
        daemon.node.write_text(daemon.node.read_text().replace(directory, source) + "  dns: {upstream: []}\n")
        daemon.start()
        w.serves(["v1/s1"], seconds=30, target=f"{DUBBO[1]}:{DUBBO[2]}")
        calls = [lab.dubbo_client(f"{DUBBO[1]}:{DUBBO[2]}", connections=2, rate=300, seconds=600),
                 lab.thrift_client(f"{THRIFT[1]}:{THRIFT[2]}", scenario="load", connections=2, seconds=600)]
        for one in calls:
            one.wait_line("calling")
        row = within(20, lambda: next((r for r in daemon.show("dns")["table"] if r["name"] == DUBBO[0]), None), "the name")
        equal((row["addresses"], row["origin"]), (DUBBO[1], "name table"), "the name of a service, by Istio's table")
        equal(names.program(lab, "192.0.2.1", "shop.svc.cluster.local", "getent", "ahostsv4", DUBBO[0])[0], DUBBO[1], "getent")
        renewals(out, 2, LIFE + 30)
        print(f"  renewed by its certificate: {words(daemon)}", flush=True)
        intermediate(lab.directory / "cacerts", root, LIFE)
        renewals(out, 2, 2 * LIFE)
        within(20, lambda: up(daemon), "streams with the new certificate")
        print(f"  under another intermediate: {words(daemon)}", flush=True)
        istiod.process.stop()
        within(2 * LIFE, lambda: "expired" in words(daemon), "the certificate expires", step=0.5)
        intermediate(lab.directory / "cacerts", root, 600)
        istiod.start(**env)
        within(90, lambda: "valid for" in words(daemon), "a certificate by the token", step=0.5)
        within(60, lambda: up(daemon), "streams", step=0.5)
        istiod.workload(1, at=2)
        w.serves(["v2/s2"], seconds=40, target=f"{DUBBO[1]}:{DUBBO[2]}")
        print(f"  after istiod was away: {words(daemon)}", flush=True)
        for one in calls:
            one.kill(signal.SIGTERM)
            report = one.result(30)
            equal((report["failed"], report["crossed"]), (0, 0), f"calls that failed {report['errors']}")
            print(f"  {report['answered']} calls {report['by_server']}, none failed", flush=True)
        equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    if sys.argv[1:] != ["inside"]:
        python = environment.control_plane()
        os.execv(python, [python, __file__, "inside"])
    main(body)
