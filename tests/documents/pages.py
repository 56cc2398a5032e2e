#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Documents in how-to pages and tutorials: `meltemid --check` must load each YAML block after a line `<!-- whole -->` without a
finding. After `<!-- whole with those above -->` it is loaded together with the page's earlier ones; of several Nodes the last one
counts. A block with an apiVersion in docs/how-to needs such a line.

  tests/documents/pages.py [PAGE]...
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAEMON = pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build-debug")) / "app/meltemid/meltemid"
BLOCK = re.compile(r"^(<!-- whole( with those above)? -->\n)?```yaml\n(.*?)^```$", re.M | re.S)
FINDING = re.compile(r": (error|warning|note|no effect)\b.*")
TLS = "/etc/meltemi/tls"
NODE = """\
apiVersion: meltemi.io/v1
kind: Node
metadata: {name: page}
spec:
  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]
  routes: [{to: 0.0.0.0/0, port: p0}]
  tlsFiles: [{directory: /etc/meltemi/tls}]
  stateDirectory: state
  admin: {socket: admin.sock}
"""
# Files that Node documents name, for this machine. What depends on the machine gives warnings, which are no findings there.
FILES = {"bootstrap.json": """\
{"node": {"id": "page"},
 "dynamic_resources": {"ads_config": {"api_type": "GRPC", "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]}, "cds_config": {"ads": {}}},
 "static_resources": {"clusters": [{"name": "xds", "load_assignment": {"endpoints": [{"lb_endpoints": [
  {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 15010}}}}]}]}}]}}
"""}


def certificate(place):
    """What documents name as /etc/meltemi/tls."""
    place.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=page", "-keyout",
                    place / "key.pem", "-out", place / "cert.pem"], check=True, capture_output=True)
    shutil.copyfile(place / "cert.pem", place / "roots.pem")


def faults(blocks, place):
    """What --check reports of blocks: a Node, or documents."""
    node, findings = NODE, True
    if any(TLS in text for text in blocks):
        certificate(place / "tls")
        node, *blocks = [text.replace(TLS, f"{place}/tls") for text in [node, *blocks]]
    for name, content in FILES.items():
        (place / name).write_text(content)
    (place / "documents").mkdir()
    for number, text in enumerate(blocks):
        if re.search(r"^kind: Node$", text, re.M):
            node, findings = re.sub(r"(?<!tlsFiles: \[{)directory: [\w/.-]+", "directory: documents", text), False
        else:
            (place / f"documents/{number}.yaml").write_text(text)
    (place / "node.yaml").write_text(node)
    done = subprocess.run([DAEMON, "-c", "node.yaml", "-d", "documents", "--check"], cwd=place, capture_output=True, text=True, timeout=60,
                          check=False)
    said = done.stdout + done.stderr
    found = [line for line in said.splitlines() if FINDING.search(line)] if findings else []
    return found or ([said] if done.returncode else [])


def faults_of_page(page):
    """(number of documents that were checked, faults)."""
    text, bad, above = page.read_text(), [], []
    for match in BLOCK.finditer(text):
        mark, joined, block = match.groups()
        at = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start(3)) + 1}"
        if not mark:
            if "how-to" in page.parts and re.search(r"^apiVersion:", block, re.M):
                bad.append(f"{at}: a document without the line <!-- whole --> before it")
            continue
        above.append(block)
        with tempfile.TemporaryDirectory(prefix="page") as place:
            bad += [f"{at}: {fault}" for fault in faults(above if joined else [block], pathlib.Path(place))]
    return len(above), bad


def main():
    docs = ROOT / "docs"
    pages = [pathlib.Path(name).resolve() for name in sys.argv[1:]] or sorted([*docs.glob("how-to/*.md"), *docs.glob("tutorials/*.md")])
    results = [faults_of_page(page) for page in pages]
    tried, bad = sum(n for n, _ in results), [fault for _, found in results for fault in found]
    print("\n".join(bad) or f"{tried} documents of pages load")
    return 1 if bad or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
