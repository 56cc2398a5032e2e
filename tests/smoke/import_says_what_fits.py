#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
`meltemi import`: its page is what docs/explanation/compatibility.md shows of two directories, in the words of `meltemid --check`; each row of
that page's table is so; a node starts with the Node document that it writes; and what cannot be read is told. MELTEMI_WRITE=1 writes
the examples of the page anew, to be looked at.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import yaml

from meltemi_lab import ROOT, TESTS, check, equal, main, record
from meltemi_lab.daemon import MELTEMID, SHELL
from meltemi_lab.schemas import fits
from meltemi_lab.paths import SANITIZED
from meltemi_lab.process import Process

PAGE = ROOT / "docs/explanation/compatibility.md"
REAL = TESTS / "documents/real"
SHOWN = ("zero-trust-bank", "broken")
FIRST = "Two of the directories"
WRITE = bool(os.environ.get("MELTEMI_WRITE"))
ENV = {**os.environ, **SANITIZED}
# As in docs/tutorials/first-service.md: the paths are the machine's, and this machine's own are not touched.
PRIVATE = """\
set -e
mount --make-rprivate /
mount --bind "$1" /mnt
mount -t tmpfs run /run
mount -t tmpfs lib /var/lib
mkdir /run/meltemi
ip link set lo up
cd /mnt
"$2" import --device net_tap0,iface=mtap0 --address 10.99.0.1/24 --save mesh -o node.yaml - < mesh.yaml
"$3" -c node.yaml &
curl -sf --retry 40 --retry-delay 1 --retry-connrefused --retry-max-time 40 http://127.0.0.1:15000/ready
"$2" --json show objects > objects.json
kill $!
wait $! || true
"""


def run(*words, program=SHELL, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([program, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False, env=ENV,
                          **more)


def imported(*words, status=0, **more):
    """What `meltemi import` prints; its exit status must be as said."""
    done = run("import", *words, **more)
    equal(done.returncode, status, f"exit status of import {words}: {done.stderr.decode()}")
    return done.stdout.decode()


def refused(words, *tokens, status=2, **more):
    """It ends with one line of words, and prints nothing else."""
    done = run("import", *words, **more)
    equal(done.returncode, status, f"exit status of import {words}")
    equal(done.stdout, b"", f"what import {words} prints")
    for token in tokens:
        check(token in done.stderr.decode(), f"import {words} says {done.stderr.decode()!r}, not {token!r}")


# ---- the page -------------------------------------------------------------------------------------------


def examples():
    """The page as it stands, and as it is now."""
    text = PAGE.read_text()
    parts = []
    for name in SHOWN:
        trouble = any(o["status"] in ("refused", "last-good") for o in verdict(REAL / name)["objects"])
        said = imported(name, status=int(trouble), cwd=REAL)
        parts.append(f"```\n$ meltemi import {name}\n{said}```\n")
    head, _, _ = text.partition(FIRST)
    line = text[len(head):].splitlines()[0]
    return text, head + line + "\n\n" + "\n".join(parts)


def page_is_true():
    text, now = examples()
    if WRITE:
        PAGE.write_text(now)
        print(f"written: {PAGE}")
    check(WRITE or text == now, f"{PAGE.name} shows something else than `meltemi import` prints; MELTEMI_WRITE=1 writes it")


# ---- the same words -------------------------------------------------------------------------------------


def verdict(directory):
    """What the daemon's own check says of a directory, with a Node of nobody's."""
    with tempfile.TemporaryDirectory(prefix="fits") as place:
        node = {"apiVersion": "meltemi.io/v1", "kind": "Node", "metadata": {"name": "fits"},
                "spec": {"ports": [{"name": "p0", "device": "net_null0", "addresses": ["192.0.2.1/24"]}],
                         "sources": [{"directory": str(directory)}], "stateDirectory": f"{place}/state"}}
        path = pathlib.Path(place, "node.json")
        path.write_text(json.dumps(node))
        done = run("-c", path, "--check", "--json", program=MELTEMID)
    check(done.returncode in (0, 1), f"--check of {directory}: {done.stderr.decode()}")
    report = json.loads(done.stdout)
    report["objects"] = [o for o in report["objects"] if o["kind"] != "Node"]
    return report


def words_are_those_of_check():
    """Of every directory: each object and service is there, as --check says it; on the page, too."""
    for directory in sorted(p for p in REAL.iterdir() if p.is_dir() and (p / "expected.tsv").exists()):
        want = verdict(directory)
        done = run("import", "--json", directory)
        got = json.loads(done.stdout)
        fits("import", got)
        for member in ("objects", "services", "files"):
            equal(got[member], want[member], f"{member} of {directory.name}")
        bad = any(o["status"] in ("refused", "last-good") for o in want["objects"]) or want["files"]
        nothing = all(o["status"] == "ignored" for o in want["objects"])
        equal(done.returncode, int(bool(bad or nothing)), f"exit status of {directory.name}")
        page = run("import", "--all", directory).stdout.decode()
        for o in want["objects"]:
            place = f"({o['file']}:{o['line']})"
            check(page.count(place) >= 1, f"the page of {directory.name} has no {place}")
        for s in want["services"]:
            check(f"  {s['host']} " in page, f"the page of {directory.name} has no {s['host']}")


# ---- the table ------------------------------------------------------------------------------------------


SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, namespace: shop}
spec:
  hosts: [com.shop.books]
  addresses: [240.240.7.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}]
"""
BARE = SERVICE + "  endpoints: [{address: 10.3.0.1, labels: {app: books}}]\n"
SELECTED = SERVICE + "  workloadSelector: {labels: {app: books}}\n"
POD = """\
---
apiVersion: v1
kind: Pod
metadata:
  name: books-1
  namespace: shop
  labels: {app: books}
  annotations: {%s}
spec: {serviceAccountName: books, containers: [{name: books, image: "example/books:1"}, {name: istio-proxy, image: "istio/proxyv2:1"}]}
status: {phase: Running, podIP: 10.3.0.1}
"""
SIDECAR = SELECTED + POD % "sidecar.istio.io/status: '{\"containers\":[\"istio-proxy\"]}'"
AMBIENT = SELECTED + (POD % "ambient.istio.io/redirection: enabled").replace(', {name: istio-proxy, image: "istio/proxyv2:1"}', "")
MACHINE = SELECTED + """\
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: books-1, namespace: shop}
spec: {address: 10.3.0.1, labels: {app: books}, serviceAccount: books}
"""
PEERS = """\
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: %s}}
"""
CALLERS = """\
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec: {action: ALLOW, rules: [{%s}]}
"""
METAROUTER = """\
---
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {name: books, namespace: shop}
spec:
  hosts: [com.shop.books]
  routes: [{name: all, route: [{destination: {host: com.shop.books}}]%s}]
"""
SPLIT = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: books, namespace: shop}
spec: {hosts: [com.shop.books], http: [{route: [{destination: {host: com.shop.books}}], timeout: 2s}]}
"""
LIMITS = METAROUTER.replace("  routes: [{name: all, route: [{destination: {host: com.shop.books}}]%s}]",
                            "  localRateLimit: {tokenBucket: {fillInterval: 1s, maxTokens: 5, tokensPerFill: 5}}")
PROTOCOL = """\
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: ApplicationProtocol
metadata: {name: one}
spec: {protocol: one, codec: aeraki.meta_protocol.codec.%s}
"""
OUTBOUND = """\
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: aeraki-outbound-com.shop.books-240.240.7.1-20880, namespace: istio-system, labels: {manager: Aeraki}}
spec:
  configPatches:
  - applyTo: NETWORK_FILTER
    match: {listener: {name: 240.240.7.1_20880, filterChain: {filter: {name: envoy.filters.network.tcp_proxy}}}}
    patch:
      operation: REPLACE
      value:
        name: envoy.filters.network.meta_protocol_proxy
        typed_config:
          '@type': type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: type.googleapis.com/aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy
          value: {applicationProtocol: dubbo, codec: {name: aeraki.meta_protocol.codec.dubbo}, statPrefix: books}
"""
REDIS = """\
apiVersion: redis.aeraki.io/v1alpha1
kind: RedisService
metadata: {name: cache, namespace: shop}
spec: {host: [cache.shop.svc.cluster.local], settings: {opTimeout: 5s}}
---
apiVersion: redis.aeraki.io/v1alpha1
kind: RedisDestination
metadata: {name: cache, namespace: shop}
spec: {host: cache.shop.svc.cluster.local}
"""
CLEAR = """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: clear, namespace: shop}
spec: {host: "*", trafficPolicy: {tls: {mode: DISABLE}}}
"""
# The row's first cell: (documents, kinds of the object that the row is about).
ROWS = {
    "no proxy; no policy": (BARE, ()),
    "no proxy; PeerAuthentication PERMISSIVE": (BARE + PEERS % "PERMISSIVE", "PeerAuthentication"),
    "no proxy; PeerAuthentication STRICT": (BARE + PEERS % "STRICT", "PeerAuthentication"),
    "no proxy; AuthorizationPolicy by addresses or methods": (
        BARE + CALLERS % "from: [{source: {ipBlocks: [192.0.2.0/24]}}], to: [{operation: {methods: [find]}}]", "AuthorizationPolicy"),
    "no proxy; AuthorizationPolicy by principals": (BARE + CALLERS % "from: [{source: {principals: [cluster.local/ns/a/sa/b]}}]",
                                                    "AuthorizationPolicy"),
    "sidecar (injected Pod); no policy": (SIDECAR, ()),
    "sidecar (injected Pod); DestinationRule with tls DISABLE": (SIDECAR + CLEAR, "DestinationRule"),
    "sidecar (injected Pod); PeerAuthentication STRICT": (SIDECAR + PEERS % "STRICT", "PeerAuthentication"),
    "sidecar (injected Pod); AuthorizationPolicy": (SIDECAR + CALLERS % "to: [{operation: {methods: [find]}}]", "AuthorizationPolicy"),
    "ambient (Pod with `ambient.istio.io/redirection`); PeerAuthentication STRICT": (AMBIENT + PEERS % "STRICT", "PeerAuthentication"),
    "WorkloadEntry with a serviceAccount; PeerAuthentication STRICT": (MACHINE + PEERS % "STRICT", "PeerAuthentication"),
    "DestinationRule with tls ISTIO_MUTUAL": (BARE + """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: books, namespace: shop}
spec: {host: com.shop.books, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
""", "DestinationRule"),
    "MetaRouter of a `tcp-metaprotocol-` port": (BARE + METAROUTER % "", "MetaRouter"),
    "MetaRouter without `routes`, with a VirtualService of the host": (BARE + SPLIT + LIMITS, ("MetaRouter", "VirtualService")),
    "MetaRouter with `routes`, with a VirtualService of the host": (BARE + SPLIT + METAROUTER % ", timeout: 1s", "MetaRouter"),
    "MetaRouter that mirrors": (BARE + METAROUTER % ", mirror: {host: com.shop.books}", "MetaRouter"),
    "ApplicationProtocol with a codec that is here": (PROTOCOL % "thrift", "ApplicationProtocol"),
    "ApplicationProtocol with another codec": (PROTOCOL % "qza", "ApplicationProtocol"),
    "EnvoyFilter that Aeraki wrote for a client's listener": (BARE + OUTBOUND, "EnvoyFilter"),
    "EnvoyFilter like that in a namespace that is neither": (BARE + OUTBOUND.replace("istio-system", "elsewhere"), "EnvoyFilter"),
    "RedisService, RedisDestination": (REDIS, ("RedisService", "RedisDestination")),
}


def table():
    """{first cell: (service, object)} of the page."""
    lines = PAGE.read_text().split("## With sidecars")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {row[0]: (row[2], row[3]) for row in rows[1:]}


def table_is_true():
    rows = table()
    equal(set(rows), set(ROWS), "rows of the table")
    for name, (documents, kinds) in ROWS.items():
        done = run("import", "--json", "-", stdin=None, input=documents.encode())
        check(done.returncode in (0, 1), f"{name}: {done.stderr.decode()}")
        report = json.loads(done.stdout)
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        services = {s["status"] for s in report["services"]}
        equal(services, {rows[name][0]} - {""}, f"{name}: status of the service")
        for kind in kinds:
            found = [o["status"] for o in report["objects"] if o["kind"] == kind]
            equal(found, [rows[name][1]], f"{name}: status of {kind}")
    # What a proxy of its own refuses is not denied here: whoever reads the first lines only must see it all the same.
    for name in ("sidecar (injected Pod)", "ambient (Pod with `ambient.istio.io/redirection`)", "WorkloadEntry with a serviceAccount"):
        said = imported("-", stdin=None, input=(ROWS[f"{name}; PeerAuthentication STRICT"][0] + CLEAR).encode())
        check("1 endpoint, but see PeerAuthentication shop/default\n" in said, f"{name}: STRICT is not told beside the service: {said}")
        check("refuse this node's calls" in said, f"{name}: it is not told what STRICT means: {said}")


# ---- the Node document ----------------------------------------------------------------------------------


def checked(node):
    done = run("-c", node, "--check", "--json", program=MELTEMID)
    return done.returncode, {s["host"]: s["status"] for s in json.loads(done.stdout)["services"]}


def uncommented(text):
    """With all that is proposed."""
    return re.sub(r"^  # (mesh:|  nodeIdentityUse:|unenforced:|- \{|labels:)", r"  \1", text, flags=re.M)


def node_is_written(place):
    node = place / "node.yaml"
    imported("-o", node, REAL / "zero-trust-bank")
    text = node.read_text()
    spec = yaml.safe_load(text)["spec"]
    equal(spec["sources"], [{"directory": str(REAL / "zero-trust-bank")}], "the Node's sources")
    check("unenforced" not in spec and "mesh" not in spec, "what is proposed is in force at once")
    status, services = checked(node)
    equal((status, services["com.bank.accounts"]), (0, "closed"), "the Node as it is written")
    node.write_text(uncommented(text))
    spec = yaml.safe_load(node.read_text())["spec"]
    equal(spec["mesh"]["nodeIdentityUse"]["to"], ["cards"], "namespaces that are proposed to be lent to")
    equal([(u["kind"], u["name"]) for u in spec["unenforced"]], [("PeerAuthentication", "default")], "objects that are proposed")
    status, services = checked(node)
    equal((status, services["com.bank.accounts"]), (0, "served"), "the Node with what it proposes")
    refused(("-o", node, REAL / "zero-trust-bank"), "exists already", "--force")
    check("unenforced:" in node.read_text(), "a file that was there is replaced")
    imported("-o", node, "--force", REAL / "zero-trust-bank")
    equal(node.read_text(), text, "the file that was to be replaced")
    gateways = place / "gateways.yaml"
    imported("-o", gateways, REAL / "bookshop")
    check("labels" in yaml.safe_load(uncommented(gateways.read_text()))["metadata"], "no labels are proposed for a Gateway")


def names_end_no_comment(place):
    """Names of an author's choice cannot end the comment that proposes them: YAML also ends lines at U+0085, U+2028 and U+2029."""
    mesh, node = place / "odd", place / "odd.yaml"
    mesh.mkdir()
    (mesh / "books.yaml").write_text(BARE)
    for i, name in enumerate(["plain", "x\u2028  workers: 64 #", "x\u0085  workers: 64 #", "x: y", "-x"]):
        policy = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": name, "namespace": "shop"},
                  "spec": {"action": "CUSTOM", "provider": {"name": "none"}, "rules": [{}]}}
        (mesh / f"policy{i}.yaml").write_text(json.dumps(policy))
    imported("-o", node, mesh)
    proposed = yaml.safe_load(uncommented(node.read_text()))["spec"]
    equal([u["name"] for u in proposed["unenforced"]], ["plain"], "objects that are proposed")
    equal(proposed["workers"], 1, "workers of the Node")
    check(node.read_text().isascii(), "the Node is more than ASCII")


def node_in_its_own_directory(place):
    """The Node stands among the documents that it reads."""
    mesh = place / "mesh"
    mesh.mkdir()
    (mesh / "books.yaml").write_text(BARE)
    imported("-o", "node.yaml", ".", cwd=mesh)
    equal(checked(mesh / "node.yaml"), (0, {"com.shop.books": "served"}), "a Node in its own directory")
    check("A Node document is among them" in imported(".", cwd=mesh), "a Node among the documents is not told")
    refused(("--device", "bogus", "."), "spec.ports[0].device", cwd=mesh)  # the one that is judged is ours


def what_is_kept(place):
    """Files and standard input are copied, under names that do not meet, for their owner's eyes."""
    copies = place / "copies"
    (place / "a").mkdir()
    for path in (place / "one.yaml", place / "a/one.yaml"):
        path.write_text(BARE if path.parent == place else PEERS % "PERMISSIVE")
    refused(("-o", place / "kept.yaml", place / "one.yaml"), "--save")
    refused(("-o", place / "kept.yaml", "-"), "--save", stdin=None, input=BARE.encode())
    imported("-o", place / "kept.yaml", "--save", copies, place / "one.yaml", place / "a/one.yaml", "-", stdin=None,
             input=(CALLERS % "").encode())
    equal(sorted(p.name for p in copies.iterdir()), ["1-one.yaml", "one.yaml", "stdin.yaml"], "copies")
    equal({p.stat().st_mode & 0o777 for p in copies.iterdir()}, {0o600}, "modes of the copies")
    equal((place / "kept.yaml").stat().st_mode & 0o777, 0o640, "mode of the Node, which may get a collector's token")
    equal((copies / "stdin.yaml").read_text(), CALLERS % "", "the copy of standard input")
    equal(checked(place / "kept.yaml"), (0, {"com.shop.books": "served"}), "the Node of what was kept")
    refused(("-o", place / "again.yaml", "--save", copies, place / "one.yaml"), "exists already")
    check(not (place / "again.yaml").exists(), "a Node is written though its documents are not")


def node_starts(directory):
    """As from `kubectl get -o yaml`: by standard input, to a node that is ready."""
    (directory / "mesh.yaml").write_bytes(b"---\n".join(p.read_bytes() for p in sorted((REAL / "dubbo-kubernetes").glob("*.yml"))))
    p = Process(directory, "import", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                                      PRIVATE, "import", directory, SHELL, MELTEMID], env=ENV)
    try:
        status = p.popen.wait(90)
    finally:
        p.kill()
    equal(status, 0, f"exit status of a node's start: {p.output()[-1500:]}{p.errors()[-1500:]}")
    services = {s["host"]: (s["status"], s["instances"]) for s in json.loads((directory / "objects.json").read_text())["services"]}
    equal(services["greeting-provider.dubbo-demo.svc.cluster.local"], ("served", 3), "a service of the node that was started")


# ---- what cannot be judged ------------------------------------------------------------------------------


def many_are_one_page():
    """A thousand services and as many objects of no mesh: one page, which says how to see the rest."""
    kinds = "".join(f"---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{i}}}\n" for i in range(1000))
    services = "---\n".join(BARE.replace("books", f"books{i}").replace("240.240.7.1", f"240.240.{8 + i // 250}.{i % 250}") for i in range(1000))
    text = (services + kinds).encode()
    page = imported("-", stdin=None, input=text)
    check(len(page.splitlines()) < 40, f"{len(page.splitlines())} lines: {page}")
    for token in ("2000 objects: 1000 in-force, 1000 ignored\n", "1000 services: 1000 served\n", "and 980 more (--all)", "1000 Deployment"):
        check(token in page, f"no {token!r} on the page of many: {page}")
    check(len(imported("--all", "-", stdin=None, input=text).splitlines()) > 3000, "--all cuts something short")


def bad_input(place):
    refused((), "usage")
    refused((place / "nowhere",), "nowhere: cannot be read: No such file")
    refused(("-",), "standard input is empty")
    refused(("-", "-"), "once only")
    refused(("--device", "bogus", REAL / "zero-trust-bank"), "node.yaml:", "spec.ports[0].device")
    refused(("-o", place / "no/such/node.yaml", REAL / "zero-trust-bank"), "no/such/node.yaml")
    (place / "empty").mkdir()
    refused((place / "empty",), "no document is in the named files and directories")
    zeros = subprocess.Popen(["head", "-c", "100000000", "/dev/zero"], stdout=subprocess.PIPE)
    refused(("-",), "more than 16 MiB", stdin=zeros.stdout)
    zeros.stdout.close()
    check(zeros.wait() != 0, "all of what is too long was read")
    large = place / "large.yaml"
    with large.open("wb") as f:
        f.truncate(17 << 20)
    refused((large,), "large.yaml: more than 16 MiB")
    garbage = imported("-", status=1, stdin=None, input=bytes(range(256)) * 4000)
    check("1 object: 1 ignored\n0 services\n" in garbage, f"of garbage it is said: {garbage}")
    (place / "beside").mkdir()
    (place / "beside/books.yaml").write_text(BARE)
    (place / "beside/gone.yaml").symlink_to("nowhere")
    said = imported(place / "beside", status=1)
    check("com.shop.books" in said and "beside/gone.yaml: cannot be read" in said, f"of a link that leads nowhere it is said: {said}")
    alone = place / "alone"
    alone.write_bytes(SHELL.read_bytes())
    alone.chmod(0o755)
    done = subprocess.run([alone, "import", place / "beside"], env={**ENV, "PATH": "/nowhere"}, capture_output=True, timeout=60, check=False)
    equal((done.returncode, done.stdout), (3, b""), "exit status without meltemid")
    check(b"is neither next to this program nor in PATH" in done.stderr, f"without meltemid it says {done.stderr}")


def interrupted(place):
    """It takes away what it made, also when it is ended while it waits."""
    own = place / "tmp"
    own.mkdir()
    p = subprocess.Popen([SHELL, "import", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={**ENV, "TMPDIR": str(own)})
    p.stdin.write(BARE.encode())
    p.stdin.flush()
    while not list(own.iterdir()):
        time.sleep(0.01)
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=20)
    equal(p.returncode, 1, "exit status of one that was ended")
    equal(list(own.iterdir()), [], "what it leaves")
    subprocess.run([SHELL, "import", REAL / "broken"], env={**ENV, "TMPDIR": str(own)}, stdout=subprocess.DEVNULL, timeout=60, check=False)
    equal(list(own.iterdir()), [], "what it leaves at its end")


def body():
    page_is_true()
    words_are_those_of_check()
    table_is_true()
    many_are_one_page()
    with tempfile.TemporaryDirectory(prefix="fits") as place:
        place = pathlib.Path(place)
        node_is_written(place)
        names_end_no_comment(place)
        node_in_its_own_directory(place)
        what_is_kept(place)
        bad_input(place)
        interrupted(place)
    if os.geteuid():
        print("not root: no node is started")
        return
    record.sweep()
    directory = record.create(f"mt{os.getpid()}-fits")
    try:
        node_starts(directory)
    finally:
        record.remove(directory)


main(body)
