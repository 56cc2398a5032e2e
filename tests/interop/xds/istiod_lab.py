# SPDX-License-Identifier: Apache-2.0
"""
A real istiod on this machine's loopback with etcd and a real API server of Kubernetes, for tests that ask it questions: Istio's objects
are given as files, Services, EndpointSlices, Pods and Namespaces by the API server. istiod is the built one of istiod/build.sh.
"""

import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path.home() / ".cache/meltemi/istiod"
TOKEN = "test"
BUILD_SECONDS = 1400
PLURALS = {"Namespace": "/api/v1/namespaces", "Service": "/api/v1/namespaces/{ns}/services", "Pod": "/api/v1/namespaces/{ns}/pods",
           "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"}
MESH = {"rootNamespace": "istio-system", "trustDomain": "cluster.local", "accessLogFile": ""}


class Missing(Exception):
    """What cannot be had here, in words."""


def built(program):
    done = subprocess.run([HERE / "istiod/build.sh", program], text=True, capture_output=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode:
        raise Missing(f"no {program}: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")
    return max(CACHE.glob(f"{program}-*"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def until(seconds, what, words):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise SystemExit(f"{words}: not within {seconds} s")
        time.sleep(0.1)


class Lab:
    """directory: where everything of it lies, and the logs; istiod: which program of istiod/build.sh."""

    def __init__(self, directory, istiod="pilot-discovery"):
        self.directory = pathlib.Path(directory)
        self.config = self.directory / "config"
        self.config.mkdir()
        self.istiod_program, self.api_program = built(istiod), built("kube-apiserver")
        if not shutil.which("etcd"):
            raise Missing("no etcd (Debian's etcd-server)")
        self.processes, self.istiod, self.made = [], None, []
        self.insecure = ssl._create_unverified_context()  # noqa: S323  (the API server signs its own certificate)
        try:
            self._start_api()
        except BaseException:
            self.close()
            raise

    def close(self):
        for one in reversed([*self.processes, *([self.istiod] if self.istiod else [])]):
            one.terminate()
            one.wait(30)

    def _run(self, name, argv, **env):
        log = open(self.directory / f"{name}.log", "ab")
        return subprocess.Popen([str(a) for a in argv], stdout=log, stderr=log, cwd=self.directory,
                                env={"HOME": str(self.directory), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **env})

    # ---- Kubernetes

    def _start_api(self):
        etcd, peer, self.api = free_port(), free_port(), free_port()
        self.processes.append(self._run("etcd", [
            "etcd", "--data-dir", "etcd", "--listen-client-urls", f"http://127.0.0.1:{etcd}", "--advertise-client-urls",
            f"http://127.0.0.1:{etcd}", "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--unsafe-no-fsync"]))
        subprocess.run(["openssl", "genrsa", "-out", "sa.key", "2048"], cwd=self.directory, check=True, capture_output=True)
        (self.directory / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self.processes.append(self._run("kube-apiserver", [
            self.api_program, f"--etcd-servers=http://127.0.0.1:{etcd}", f"--secure-port={self.api}", "--bind-address=127.0.0.1",
            "--cert-dir=certs", "--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=sa.key",
            "--service-account-signing-key-file=sa.key", "--token-auth-file=tokens.csv", "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=AlwaysAllow", "--disable-admission-plugins=ServiceAccount,Priority,TaintNodesByCondition"]))
        until(120, self._api_is_ready, "the API server is ready")
        self.kubeconfig = self.directory / "kubeconfig"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": f"https://127.0.0.1:{self.api}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "it", "user": {"token": TOKEN}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]}))
        self.namespaces = set()
        self.namespace("istio-system")

    def call(self, method, path, body=None):
        request = urllib.request.Request(f"https://127.0.0.1:{self.api}{path}", method=method,
                                         data=json.dumps(body).encode() if body is not None else None,
                                         headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.insecure) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as e:
            raise SystemExit(f"{method} {path}: {e.code} {e.read().decode()[:500]}") from None

    def _api_is_ready(self):
        request = urllib.request.Request(f"https://127.0.0.1:{self.api}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(request, timeout=5, context=self.insecure) as answer:
                return answer.status == 200
        except OSError:
            return False

    def namespace(self, name):
        if name not in self.namespaces and name != "default":
            self.call("POST", PLURALS["Namespace"], {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.namespaces.add(name)

    def create(self, document):
        meta = document["metadata"]
        self.namespace(meta.get("namespace", meta["name"] if document["kind"] == "Namespace" else "default"))
        if document["kind"] == "Namespace":
            return
        path = PLURALS[document["kind"]].format(ns=meta.get("namespace", "default"))
        status = document.pop("status", None)
        there = self.call("POST", path, document)
        self.made.append(f"{path}/{meta['name']}")
        if status:
            self.call("PUT", f"{path}/{meta['name']}/status", {**there, "status": status})

    def wipe(self):
        for path in self.made:
            self.call("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})
        self.made = []

    # ---- istiod

    def scene(self, text, port=None, **env):
        """An istiod for these documents and nothing else, at `port`; what of ConfigMap istio is MeshConfig is its own."""
        if self.istiod:
            self.istiod.terminate()
            self.istiod.wait(30)
        self.wipe()
        mesh, istio = dict(MESH), []
        for document in yaml.safe_load_all(text):
            if not document:
                continue
            if document["kind"] == "ConfigMap":
                mesh.update(yaml.safe_load(document["data"]["mesh"]))
            elif "istio.io" in document["apiVersion"]:
                istio.append(document)
            else:
                self.create(document)
        late = [document for document in istio if document["kind"] == "WorkloadEntry"]
        self._write("workloads.yaml", [])
        self._write("all.yaml", [document for document in istio if document not in late])
        mesh["configSources"] = [{"address": f"fs://{self.config}"}]
        (self.directory / "mesh.yaml").write_text(yaml.safe_dump(mesh))
        self.http, self.grpc = free_port(), port or free_port()
        self.istiod = self._run("istiod", [
            self.istiod_program, "discovery", "--registries=Kubernetes", "--kubeconfig", self.kubeconfig, "--meshConfig", "mesh.yaml",
            "--networksConfig", "none", "--httpAddr", f"127.0.0.1:{self.http}", "--httpsAddr", "", "--grpcAddr",
            f"127.0.0.1:{self.grpc}", "--secureGRPCAddr", "", "--monitoringAddr", f"127.0.0.1:{free_port()}"],
            POD_NAME="istiod-lab", POD_NAMESPACE="istio-system", REVISION="default", PILOT_CERT_PROVIDER="istiod", ENABLE_CA_SERVER="false", INJECT_ENABLED="false",
            KUBECONFIG=str(self.kubeconfig), **env)
        until(60, self._istiod_is_ready, "istiod is ready")
        # Those that were there before its registry of Kubernetes are not told to that registry, which Services choose by.
        self._write("workloads.yaml", late)
        time.sleep(1.5 if late else 0)
        return f"127.0.0.1:{self.grpc}"

    def _write(self, name, documents):
        (self.directory / name).write_text(yaml.safe_dump_all(documents))
        (self.directory / name).rename(self.config / name)

    def _istiod_is_ready(self):
        if self.istiod.poll() is not None:
            raise SystemExit("istiod ended: " + (self.directory / "istiod.log").read_text()[-2000:])
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False
