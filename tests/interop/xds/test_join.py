#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
`meltemi join` on bundles in the shape of Istio's, against a control plane of the test's own that signs certificates and
verifies tokens: a sound bundle makes an identity that its discovery service takes; every broken one is answered by the step
that fails, in words, with a remedy. Real processes, real sockets on loopback; nothing that runs depends on the clock's speed.
"""

import datetime
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import environment

ROOT = pathlib.Path(__file__).resolve().parents[3]
MELTEMI = pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build-debug")) / "app/meltemi/meltemi"
# Where bench/peers keeps the one that it installs.
ENVOYS = list((environment.CACHE.parent / "meltemi-bench/envoy").glob("lib/python*/site-packages/envoy/_bin/envoy"))
HOST = "istiod.istio-system.svc"


# ---- a sound bundle

ENV = {
    "CANONICAL_REVISION": "latest", "CANONICAL_SERVICE": "ticker", "ISTIO_INBOUND_PORTS": "*",
    "ISTIO_LOCAL_EXCLUDE_PORTS": "22,15090,15021,15020",
    "ISTIO_METAJSON_LABELS": '{"app":"ticker","service.istio.io/canonical-name":"ticker","topology.kubernetes.io/zone":"z1",'
                             '"topology.kubernetes.io/region":"r1"}',
    "ISTIO_META_AUTO_REGISTER_GROUP": "ticker", "ISTIO_META_CLUSTER_ID": "Kubernetes", "ISTIO_META_DNS_CAPTURE": "true",
    "ISTIO_META_MESH_ID": "", "ISTIO_META_NETWORK": "vm-net", "ISTIO_META_WORKLOAD_NAME": "ticker", "ISTIO_NAMESPACE": "shop",
    "ISTIO_SERVICE": "ticker.shop", "ISTIO_SERVICE_CIDR": "*", "ISTIO_SVC_IP": "192.0.2.77", "POD_NAMESPACE": "shop",
    "SERVICE_ACCOUNT": "vm", "TRUST_DOMAIN": "",
}


class Bundle:
    """The five files in a directory, changed by what a case says."""

    def __init__(self, directory, authority, issuer, server):
        self.dir, self.authority, self.issuer, self.server = directory, authority, issuer, server
        self.env = dict(ENV)
        self.files = {
            "root-cert.pem": authority.pem(),
            "istio-token": issuer.token(),
            "hosts": f"127.0.0.1 {HOST}\n",
        }
        self.address = f"{HOST}:{server.port}"

    def mesh(self):
        return f"defaultConfig:\n  discoveryAddress: {self.address}\n  proxyMetadata:\n    POD_NAMESPACE: shop\n"

    def write(self):
        self.files.setdefault("mesh.yaml", self.mesh())
        self.files.setdefault("cluster.env", "".join(f"{k}='{v}'\n" for k, v in self.env.items()))
        for name, text in self.files.items():
            if text is not None:
                (self.dir / name).write_text(text)


def set_file(name, text):
    def change(b):
        b.files[name] = text
    return change


def set_env(**values):
    def change(b):
        for k, v in values.items():
            b.env.pop(k, None) if v is None else b.env.__setitem__(k, v)
    return change


def set_token(**claims):
    def change(b):
        b.files["istio-token"] = b.issuer.token(**claims)
    return change


def replace(name, old, new):
    """In a file that the bundle makes itself."""
    def change(b):
        b.write()
        assert old in b.files[name]
        b.files[name] = b.files[name].replace(old, new)
    return change


def set_address(text):
    def change(b):
        b.address = text.format(port=b.server.port)
    return change


def other_root(**how):
    def change(b):
        from istiod_peer import Authority

        b.files["root-cert.pem"] = Authority(**how).pem()
    return change


def other_issuer(b):
    from istiod_peer import Issuer

    b.files["istio-token"] = Issuer().token()


def closed_port(b):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        b.address = f"{HOST}:{s.getsockname()[1]}"


DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)

# name, what is broken in the bundle, what the server does wrong, the step that must fail, its words, place (file:line), field
CASES = [
    ("no cluster.env", set_file("cluster.env", None), {}, "bundle", "the file is not there", "cluster.env:0", ""),
    ("line without =", replace("cluster.env", "ISTIO_SERVICE_CIDR='*'", "ISTIO_SERVICE_CIDR"), {}, "bundle",
     "this is not an assignment like NAME='value'", "cluster.env:14", ""),
    ("open quote", replace("cluster.env", "SERVICE_ACCOUNT='vm'", "SERVICE_ACCOUNT='vm"), {}, "bundle",
     "something follows the value|a quote is opened and not closed", "cluster.env:1[78]", "SERVICE_ACCOUNT"),
    ("shell in the value", replace("cluster.env", "'ticker.shop'", "$(reboot)"), {}, "bundle",
     "the value holds a shell expansion", "cluster.env:13", "ISTIO_SERVICE"),
    ("no namespace", set_env(POD_NAMESPACE=None), {}, "bundle", "it is not there", "cluster.env:0", "POD_NAMESPACE"),
    ("bad namespace", set_env(POD_NAMESPACE="Shop_1"), {}, "bundle", '"Shop_1" is not a valid name of a namespace', "cluster.env:16",
     "POD_NAMESPACE"),
    ("bad labels", set_env(ISTIO_METAJSON_LABELS='{"app":'), {}, "bundle", "is not a valid JSON object of texts", "cluster.env:5",
     "ISTIO_METAJSON_LABELS"),
    ("bad address of ours", set_env(ISTIO_SVC_IP="10.0.0.1,10.0.0.2"), {}, "bundle", '"10.0.0.1,10.0.0.2" is not a valid address', "cluster.env:15",
     "ISTIO_SVC_IP"),
    ("two bundles mixed", set_env(POD_NAMESPACE="other"), {}, "bundle", 'it has "shop", cluster.env has "other"',
     "mesh.yaml:4", "POD_NAMESPACE"),
    ("bad YAML", set_file("mesh.yaml", "defaultConfig:\n  discoveryAddress: [a\n"), {}, "bundle", "did not find expected",
     "mesh.yaml:[23]", ""),
    ("address is a list", set_file("mesh.yaml", "defaultConfig:\n  discoveryAddress:\n  - a\n"), {}, "bundle",
     "a text is expected", "mesh.yaml:3", "defaultConfig.discoveryAddress"),
    ("truncated root", replace("root-cert.pem", "-----END CERTIFICATE-----", ""), {}, "bundle", "it holds no PEM certificate",
     "root-cert.pem:0", ""),
    ("empty token", set_file("istio-token", "\n"), {}, "bundle", "it is empty", "istio-token:0", ""),
    ("bad hosts", set_file("hosts", f"# gateway\n300.0.0.1 {HOST}\n"), {}, "bundle", '"300.0.0.1" is not an IP address',
     "hosts:2", ""),
    ("address without port", set_address(HOST), {}, "address", "is not like host:port", "mesh.yaml:2",
     "defaultConfig.discoveryAddress"),
    ("plaintext port", set_address(f"{HOST}:15010"), {}, "address", "15010 is istiod's port without TLS", "mesh.yaml:2",
     "defaultConfig.discoveryAddress"),
    ("expired root", other_root(begins=-2 * DAY, ends=-DAY), {}, "roots", "the root O=cluster.local expired at",
     "root-cert.pem:0", ""),
    ("root is no authority", other_root(authority=False), {}, "roots", "is not an authority", "root-cert.pem:0", ""),
    ("token of two parts", set_file("istio-token", "e30.e30"), {}, "token", "three parts divided by dots", "istio-token:0", ""),
    ("token is no JSON", set_file("istio-token", "bm8.bm8.bm8"), {}, "token", "the token's header is not JSON", "istio-token:0", ""),
    ("expired token", set_token(begins=-7200, ends=-3600), {}, "token", "the token expired 1 h ago", "istio-token:0", "exp"),
    ("wrong audience", set_token(audience="vault"), {}, "token", "for the audience vault, not for istio-ca", "istio-token:0",
     "aud"),
    ("wrong account", set_token(account="other"), {}, "token", "is for system:serviceaccount:shop:other; cluster.env has "
     "system:serviceaccount:shop:vm", "istio-token:0", "sub"),
    ("no issuer", set_token(iss=None), {}, "token", "has no issuer", "istio-token:0", "iss"),
    ("name unknown", lambda b: (set_file("hosts", "")(b), set_address("istiod.nowhere.invalid:{port}")(b)), {}, "names",
     "istiod.nowhere.invalid has no entry here, and DNS answers", "hosts:0", ""),
    ("nobody listens", closed_port, {}, "reach", "is not reached: Connection refused", "hosts:0", ""),
    ("token of tomorrow", set_token(begins=86400, ends=90000), {}, "clock", "the token is valid only from .*: the clock is late by",
     ":0", ""),
    ("server of tomorrow", None, {"begins": DAY, "ends": 2 * DAY}, "clock",
     "the control plane's certificate is valid only from .*: the clock is late by", ":0", ""),
    ("another mesh's root", other_root(name="other.mesh"), {}, "trust",
     "issued by O=cluster.local, does not chain to the root O=other.mesh", "root-cert.pem:0", ""),
    ("server's certificate expired", None, {"begins": -DAY, "ends": -HOUR}, "trust", "expired at", ":0", ""),
    ("server is another", None, {"name": "gateway.example.org"}, "trust", f"is for gateway.example.org, not for {HOST}",
     "mesh.yaml:2", "defaultConfig.discoveryAddress"),
    ("no TLS", None, {"tls": False}, "trust", "does not speak TLS", "mesh.yaml:2", "defaultConfig.discoveryAddress"),
    ("no HTTP/2", None, {"manner": "no_alpn"}, "trust", "does not speak HTTP/2", "mesh.yaml:2", "defaultConfig.discoveryAddress"),
    ("silent server", None, {"manner": "silent"}, "trust", "does not answer the TLS handshake", "mesh.yaml:2",
     "defaultConfig.discoveryAddress"),
    ("token of another cluster", other_issuer, {}, "csr", "refuses the certificate request: request authenticate failure", ":0", ""),
    ("no authority there", None, {"manner": "no_ca"}, "csr", "unknown service /istio.v1.auth", ":0", ""),
    ("empty answer", None, {"manner": "empty_ca"}, "csr", "the answer holds no certificate", ":0", ""),
    ("another identity", None, {"manner": "wrong_identity"}, "identity",
     "is for spiffe://cluster.local/ns/other/sa/other, not for spiffe://cluster.local/ns/shop/sa/vm", ":0", ""),
    ("another key", None, {"manner": "wrong_key"}, "identity", "the private key does not belong to the certificate", ":0", ""),
    ("another signer", None, {"manner": "wrong_signer"}, "identity",
     "issued by O=another.mesh. does not chain to our roots", ":0", ""),
    ("expired when issued", None, {"manner": "expired_leaf"}, "identity", "valid until .*, and this machine's clock is", ":0", ""),
    ("node refused", None, {"manner": "forbidden"}, "xds", "does not serve us: no identities", ":0", ""),
    ("certificate not taken", None, {"manner": "no_peer"}, "xds", "does not serve us: authentication failure", ":0", ""),
    ("no discovery", None, {"manner": "no_ads"}, "xds", "unknown service /envoy.service.discovery", ":0", ""),
]


def fits(failed, text, seen=set()):
    """The answer fits its schema: once for each step that fails. The Python of this test has no validator."""
    if failed not in seen:
        subprocess.run(["/usr/bin/python3", "-m", "meltemi_lab.schemas", "join"], input=text, text=True, cwd=ROOT / "tests/smoke", check=True)
    seen.add(failed)


def join(directory, *options):
    run = subprocess.run([MELTEMI, "join", "--json", *options, directory], capture_output=True, text=True, timeout=60)
    assert run.returncode in (0, 1), f"exit code {run.returncode}: {run.stderr}"
    answer = json.loads(run.stdout)
    fits(answer["failed"], run.stdout)
    assert (answer["failed"] is None) == (run.returncode == 0)
    return answer, {row["step"]: row for row in answer["steps"]}


class Fixture:
    def __init__(self, tmp):
        import istiod_peer

        self.peer, self.tmp, self.pb = istiod_peer, pathlib.Path(tmp), istiod_peer.messages()
        self.authority, self.issuer = istiod_peer.Authority(), istiod_peer.Issuer()

    def start(self, label, change=None, **how):
        server = self.peer.Istiod(self.authority, self.issuer, pb=self.pb, **how)
        bundle = Bundle(pathlib.Path(tempfile.mkdtemp(dir=self.tmp, prefix=re.sub(r"\W+", "-", label))), self.authority,
                        self.issuer, server)
        if change:
            change(bundle)
        bundle.write()
        return server, bundle


def broken(fixture, case):
    name, change, how, step, words, place, field = case
    server, bundle = fixture.start(name, change, **how)
    answer, rows = join(bundle.dir, "--check")
    server.close()
    assert answer["failed"] == step, f"{name}: {answer}"
    row = rows[step]
    assert re.search(words, row["words"]), f"{name}: {row['words']}"
    assert re.fullmatch(place, f"{row['file'] or ''}:{row['line'] or 0}"), f"{name}: {row}"
    assert (row["field"] or "") == field, f"{name}: {row}"
    assert row["remedy"], f"{name}: no remedy"
    later = [r["state"] for r in answer["steps"][[r["step"] for r in answer["steps"]].index(step) + 1:]]
    assert "failed" not in later or step in ("address", "roots", "token"), f"{name}: {answer}"
    assert rows["xds"]["state"] != "ok", f"{name}: joined all the same"


def sound(fixture, delta):
    server, bundle = fixture.start("sound")
    out = fixture.tmp / f"out{delta}"
    options = ["--delta"] if delta else []
    answer, rows = join(bundle.dir, "--check", "-o", out, *options)
    assert not answer["failed"] and not answer["written"] and not out.exists(), answer
    answer, rows = join(bundle.dir, "-o", out, *options)
    assert not answer["failed"] and answer["written"], answer
    assert all(row["state"] == "ok" for row in rows.values()), rows
    assert rows["xds"]["words"].endswith("1 clusters, version 2026/1"), rows["xds"]
    assert {p.name for p in out.iterdir()} == {"identity.pem", "identity.json", "root-cert.pem", "istio-token", "bootstrap.json",
                                               "node.yaml"}
    for path in out.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    asked = [entry for entry in server.log if entry[0] == fixture.peer.CREATE]
    assert asked[0][1] is None and asked[0][2]["authorization"].startswith("Bearer ey") and asked[0][2]["clusterid"] == "Kubernetes"
    check_node(server.node)
    check_bootstrap(json.loads((out / "bootstrap.json").read_text()), out, server, delta)
    server.close()


def check_node(node):
    host = re.sub(r"[^a-z0-9-]", "", socket.gethostname().split(".")[0].lower()) or "meltemi"
    assert node.id == f"sidecar~192.0.2.77~{host}.shop~shop.svc.cluster.local", node.id
    assert (node.locality.region, node.locality.zone) == ("r1", "z1"), node.locality
    meta = {k: v for k, v in node.metadata.fields.items()}
    for key, value in {"NAMESPACE": "shop", "WORKLOAD_NAME": "ticker", "SERVICE_ACCOUNT": "vm", "CLUSTER_ID": "Kubernetes",
                       "NETWORK": "vm-net", "AUTO_REGISTER_GROUP": "ticker", "DNS_CAPTURE": "true", "INSTANCE_IPS": "192.0.2.77",
                       "NAME": host}.items():
        assert meta[key].string_value == value, (key, meta[key])
    assert meta["LABELS"].struct_value.fields["app"].string_value == "ticker"
    assert "MESH_ID" not in meta


def check_bootstrap(conf, out, server, delta):
    ads = conf["dynamic_resources"]["ads_config"]
    assert ads["api_type"] == ("DELTA_GRPC" if delta else "GRPC")
    cluster, = conf["static_resources"]["clusters"]
    assert ads["grpc_services"][0]["envoy_grpc"]["cluster_name"] == cluster["name"]
    endpoint, = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": server.port}
    assert cluster["type"] == "STATIC"
    tls = cluster["transport_socket"]["typed_config"]
    assert tls["sni"] == HOST
    assert tls["common_tls_context"]["tls_certificates"][0]["private_key"]["filename"] == str(out / "identity.pem")
    # OpenSSL's own tools can use what was written.
    for kind in ("x509", "pkey"):
        subprocess.run(["openssl", kind, "-in", out / "identity.pem", "-noout"], check=True, capture_output=True)


def envoy(fixture):
    """Another reader of the same bootstrap: an Envoy connects with the identity, and keeps its stream."""
    binary = next(iter(ENVOYS), None)
    if not binary:
        print("  no Envoy is here (bench/peers/run.py installs one): that it takes the bootstrap is not looked at")
        return
    server, bundle = fixture.start("envoy")
    out = fixture.tmp / "envoy"
    join(bundle.dir, "-o", out)
    asked = len(server.log)
    process = subprocess.Popen([binary, "-c", out / "bootstrap.json", "--concurrency", "1", "--base-id", str(os.getpid() % 30000),
                                "-l", "warning"], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: {entry[2].get("type") for entry in server.log[asked:]} >= {"Cluster", "Listener"}, "Envoy's requests")
    process.terminate()
    words = process.communicate(timeout=30)[1]
    assert "closed" not in words.partition("caught ENVOY_SIGTERM")[0], words
    assert all(entry[1] == "spiffe://cluster.local/ns/shop/sa/vm" for entry in server.log[asked:]), server.log
    server.close()


def wait_for(condition, what, seconds=30):
    """For other processes; the bound only ends a hang."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        time.sleep(0.05)


def refused_directory(fixture):
    server, bundle = fixture.start("refused")
    blocker = fixture.tmp / "a-file"
    blocker.write_text("")
    answer, rows = join(bundle.dir, "-o", blocker)
    assert answer["failed"] == "write" and "it is not a directory" in rows["write"]["words"], answer
    server.close()


def again(fixture):
    """Joining twice replaces the identity whole; a crash's leftovers are no obstacle."""
    server, bundle = fixture.start("again")
    out = fixture.tmp / "again"
    join(bundle.dir, "-o", out)
    first = (out / "identity.pem").read_text()
    (out / ".identity.pem.new").symlink_to("/etc/passwd")
    answer, _ = join(bundle.dir, "-o", out)
    assert answer["written"] and (out / "identity.pem").read_text() != first
    assert not (out / ".identity.pem.new").is_symlink()
    server.close()


# What `istioctl x workload entry configure` 1.31 writes for a WorkloadGroup of a revision, with proxy metadata and a probe.
ISTIOCTL = {
    "cluster.env": """\
CANONICAL_REVISION='latest'
CANONICAL_SERVICE='foo'
CA_ADDR='istiod-rev-1.istio-system.svc:{port}'
CLUSTER_MESH_CONFIG_VALUE='foo'
ISTIO_INBOUND_PORTS='*'
ISTIO_LOCAL_EXCLUDE_PORTS='22,15090,15021,15020'
ISTIO_METAJSON_LABELS='{{"service.istio.io/canonical-name":"foo","service.istio.io/canonical-revision":"latest"}}'
ISTIO_META_CLUSTER_ID='Kubernetes'
ISTIO_META_DNS_CAPTURE='true'
ISTIO_META_MESH_ID=''
ISTIO_META_NETWORK=''
ISTIO_META_WORKLOAD_NAME='foo'
ISTIO_NAMESPACE='bar'
ISTIO_SERVICE='foo.bar'
ISTIO_SERVICE_CIDR='*'
ISTIO_SVC_IP='10.10.10.10'
POD_NAMESPACE='bar'
PROXY_CONFIG_ANNOT_VALUE='bar'
SERVICE_ACCOUNT='vm-serviceaccount'
TRUST_DOMAIN=''
""",
    "mesh.yaml": """\
defaultConfig:
  discoveryAddress: istiod-rev-1.istio-system.svc:{port}
  proxyMetadata:
    CANONICAL_REVISION: latest
    CANONICAL_SERVICE: foo
    CLUSTER_MESH_CONFIG_VALUE: foo
    ISTIO_META_CLUSTER_ID: Kubernetes
    ISTIO_META_DNS_CAPTURE: "true"
    ISTIO_META_MESH_ID: ""
    ISTIO_META_NETWORK: ""
    ISTIO_META_WORKLOAD_NAME: foo
    ISTIO_METAJSON_LABELS: '{{"service.istio.io/canonical-name":"foo","service.istio.io/canonical-revision":"latest"}}'
    POD_NAMESPACE: bar
    PROXY_CONFIG_ANNOT_VALUE: bar
    SERVICE_ACCOUNT: vm-serviceaccount
    TRUST_DOMAIN: ""
  readinessProbe:
    httpGet:
      port: 8080
""",
    "hosts": "127.0.0.1 istiod-rev-1.istio-system.svc\n",
}


def of_istioctl(fixture):
    """The real thing, byte for byte but for the port."""
    server, bundle = fixture.start("istioctl", name="istiod-rev-1.istio-system.svc")
    for name, text in ISTIOCTL.items():
        (bundle.dir / name).write_text(text.format(port=server.port))
    (bundle.dir / "istio-token").write_text(bundle.issuer.token(namespace="bar", account="vm-serviceaccount"))
    out = fixture.tmp / "istioctl-out"
    answer, steps = join(bundle.dir, "-o", out)
    assert answer["written"], [row for row in steps.values() if row["state"] != "ok"]
    node = json.loads((out / "bootstrap.json").read_text())["node"]
    assert node["id"].endswith(".bar~bar.svc.cluster.local"), node["id"]
    assert node["metadata"]["DNS_CAPTURE"] == "true" and node["metadata"]["SERVICE_ACCOUNT"] == "vm-serviceaccount", node
    server.close()


def lifetime(fixture):
    """As long as was asked for, now and at renewals."""
    server, bundle = fixture.start("lifetime")
    out = fixture.tmp / "lifetime-out"
    answer, rows = join(bundle.dir, "--ttl", "90m", "-o", out)
    assert answer["failed"] is None, answer
    assert re.search(r"valid for 1 h (29|30) min|valid for 1 h 2\d min", rows["identity"]["words"]), rows["identity"]
    assert json.loads((out / "identity.json").read_text())["ttl_s"] == 5400
    for bad in ("0", "59s", "721h", "tomorrow", ""):
        run = subprocess.run([MELTEMI, "join", "--check", "--ttl", bad, bundle.dir], capture_output=True, text=True, timeout=60)
        assert run.returncode == 2 and "write a time of 1m to 720h" in run.stderr, run
    server.close()


def words(fixture):
    """The same for people."""
    server, bundle = fixture.start("words", set_token(audience="vault"))
    run = subprocess.run([MELTEMI, "join", "--check", bundle.dir], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert re.search(r"^token +FAILED +istio-token: aud: the token is for the audience vault", run.stdout, re.M), run.stdout
    assert re.search(r"^ +remedy: kubectl create token vm -n shop --audience istio-ca", run.stdout, re.M), run.stdout
    assert re.search(r"^csr +-$", run.stdout, re.M), run.stdout
    for bad in (["join"], ["join", "--nonsense", "x"], ["join", "a", "b"]):
        run = subprocess.run([MELTEMI, *bad], capture_output=True, text=True, timeout=60)
        assert run.returncode == 2 and "usage: meltemi join" in run.stderr, run
    server.close()


def main():
    if sys.argv[1:2] != ["inside"]:
        python = environment.control_plane()
        os.execv(python, [python, __file__, "inside", *sys.argv[1:]])
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    if not MELTEMI.exists() or not shutil.which("protoc"):
        print(f"skipped: {MELTEMI} or protoc is not there")
        sys.exit(environment.SKIP)
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    with tempfile.TemporaryDirectory() as tmp:
        fixture = Fixture(tmp)
        if not only:
            sound(fixture, False)
            sound(fixture, True)
            envoy(fixture)
            refused_directory(fixture)
            again(fixture)
            lifetime(fixture)
            words(fixture)
            of_istioctl(fixture)
        done, wrong = 0, 0
        for case in CASES:
            if only not in case[0]:
                continue
            try:
                broken(fixture, case)
                done += 1
            except AssertionError as e:
                print(f"FAILED: {e}")
                wrong += 1
    if wrong:
        sys.exit(f"{wrong} answers are wrong")
    print(f"join: sound bundles joined; {done} broken ones, {done} right answers")


if __name__ == "__main__":
    main()
