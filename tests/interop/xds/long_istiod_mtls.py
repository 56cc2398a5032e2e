#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The mesh's mutual TLS under a real istiod (1.31, without Kubernetes): it signs the node's certificate, which `meltemi join` asks for, and that
of an Envoy in front of a server, configured as Istio configures sidecars; it tells the node by xDS which instance of a service has a
sidecar and which has none. No DestinationRule, no policy: calls go to both, to one by mutual TLS. The same service by documents beside.
"""

import json
import os
import pathlib
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tls"))

import environment  # noqa: E402
import long_istiod_join as j  # noqa: E402
import test_join  # noqa: E402
from envoy_words import cluster, permissive  # noqa: E402
from real_istiod import Istiod  # noqa: E402
from world import CONTROL, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main, within  # noqa: E402

HOST, VIP, PORT = j.DUBBO
BY_DOCUMENTS = "240.240.0.9"
NODE = j.URI
MESHED = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: demo-v1, namespace: %s}
spec:
  address: 198.51.100.11
  serviceAccount: demo
  labels: {app: demo, version: v1, security.istio.io/tlsMode: istio}
  ports: {tcp-s: 15006}
"""
SERVICE = j.SERVICE.format(host="documents.example", vip=BY_DOCUMENTS, port=PORT).replace("namespace: meta", "namespace: other")
BARE = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: demo-v2, namespace: other}
spec: {address: 198.51.100.12, labels: {app: demo, security.istio.io/tlsMode: disabled}}
"""


def identity_of(lab, root, issuer, namespace, account):
    """A member's certificate, by a bundle of its own, in files as Envoy takes them."""
    bundle = test_join.Bundle(lab.directory / f"bundle-{account}", root, issuer, types.SimpleNamespace(port=15012))
    bundle.env.update(POD_NAMESPACE=namespace, ISTIO_NAMESPACE=namespace, SERVICE_ACCOUNT=account)
    bundle.files.update({"hosts": f"{CONTROL} {test_join.HOST}\n", "istio-token": issuer.token(namespace=namespace, account=account)})
    bundle.files["mesh.yaml"] = bundle.mesh().replace("POD_NAMESPACE: shop", f"POD_NAMESPACE: {namespace}")
    bundle.dir.mkdir()
    bundle.write()
    out = lab.directory / f"identity-{account}"
    done = j.join(lab, bundle, out)
    equal(done.returncode, 0, f"exit status of join: {done.stdout}{done.stderr}")
    for name in ("cert-chain.pem", "key.pem"):
        (out / name).write_bytes((out / "identity.pem").read_bytes())
    return out


def sidecar(lab, identity):
    config = lab.directory / "sidecar.json"
    listener = permissive("198.51.100.11:15006", identity, "to", strict=True)
    config.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster("to", f"127.0.0.1:{PORT}")]}}))
    return lab.run("server1", "sidecar", [environment.envoy(), "--concurrency", "1", "--disable-hot-restart", "--use-dynamic-base-id", "-l",
                                          "error", "-c", config])


def configure(w, out):
    """The node: istiod's word, documents of another namespace beside it, and for whom its identity is."""
    daemon = w.daemon = w.lab.meltemi()
    daemon.write("other.yaml", SERVICE + "---\n" + MESHED % "other" + "---\n" + BARE)
    directory = f"{{directory: {daemon.services}}}"
    text = daemon.node.read_text().replace(directory, f"{directory}, {{xds: {{bootstrap: {out}/bootstrap.json, identity: {out}}}}}")
    daemon.node.write_text(text.replace("spec:\n", "spec:\n  mesh: {namespace: shop, nodeIdentityUse: {clients: [192.0.2.0/24]}}\n", 1))
    return daemon


def both(w, target):
    """Both instances answer, and nothing fails."""
    report = w.lab.dubbo_client(target, count=60, connections=4).result()
    equal(report["failed"], 0, f"calls that failed {report['error_samples']}")
    return set(report["by_server"]) == {"v1/s1", "v2/s2"}


def body():
    from istiod_peer import Authority, Issuer

    with world() as w:
        lab, root, issuer = w.lab, Authority(), Issuer()
        w.peers(thrift=0)
        j.keys_of(lab, issuer)
        j.intermediate(lab.directory / "cacerts", root, 600)
        istiod = Istiod(lab, lab.directory / "cacerts", j.server_pair(lab, root), lab.directory / "root.pem")
        istiod.write("service.yaml", j.SERVICE.format(host=HOST, vip=VIP, port=PORT))
        istiod.write("meshed.yaml", MESHED % "meta")
        istiod.workload(2)
        istiod.start(JWT_RULE=json.dumps({"issuer": j.ISSUER, "jwks_uri": f"http://127.0.0.1:{j.KEYS}/", "audiences": ["istio-ca"]}))
        out = j.joined(lab, root, issuer)
        seen = sidecar(lab, identity_of(lab, root, issuer, "meta", "demo"))
        other = lab.directory / "identity-demo"
        check((other / "identity.pem").exists(), "istiod signs for the sidecar")
        daemon = configure(w, out)
        daemon.start()
        within(40, lambda: both(w, f"{VIP}:{PORT}"), "instances with a sidecar and without answer, by xDS")
        print(f"  {daemon.show('identity')['identity'][0]['principal']}", flush=True)
        # The certificate is for the account of the namespace meta: the documents' instance would be somebody else.
        report = lab.dubbo_client(f"{BY_DOCUMENTS}:{PORT}", count=40, connections=4).result()
        equal((set(report["by_server"]), report["failed"]), ({"v2/s2"}, 0), "who answers where the sidecar is of another namespace")
        daemon.write("other.yaml", (SERVICE + "---\n" + MESHED % "other" + "---\n" + BARE).replace("namespace: other", "namespace: meta"))
        daemon.shell("reload")
        within(20, lambda: both(w, f"{BY_DOCUMENTS}:{PORT}"), "instances with a sidecar and without answer, by documents")
        seen.stop()
        rows = [json.loads(line) for line in seen.output().splitlines() if line.startswith("{")]
        equal({row["peer"] for row in rows if row.get("peer")}, {NODE}, "whom the sidecar saw")
        equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    if sys.argv[1:] != ["inside"]:
        python = environment.control_plane()
        os.execv(python, [python, __file__, "inside"])
    main(body)
