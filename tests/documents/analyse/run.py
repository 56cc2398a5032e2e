#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares the findings of `meltemid --analyse` with findings.tsv (directory, severity, finding, file and line), for each directory of
seeded/ (each has one mistake among correct documents), of clean/ (no mistakes, so a note is wrong, too) and of ../real. The node has an
identity in the trust domain cluster.local.

  run.py [--program MELTEMID] [--update] [--show] [--summary] [DIRECTORY]...

--show also prints the reasons. --summary prints how often each finding is in ../real. With directories: checks and shows only these.
"""

import argparse
import collections
import concurrent.futures
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REAL = HERE.parent / "real"
sys.path[:0] = [str(HERE.parents[1] / "smoke"), str(REAL)]
from meltemi_lab import authority  # noqa: E402

SPEC = importlib.util.spec_from_file_location("real", REAL / "run.py")
real = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(real)

BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", HERE.parents[2] / "build-debug"))
LIST = HERE / "findings.tsv"
HEAD = "#directory\tseverity\tfinding\twhere\n"
SECONDS = 60
NODE = """apiVersion: meltemi.io/v1
kind: Node
metadata: {name: node}
spec:
  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]
"""


def identity_in(place):
    """A directory as an agent writes it; its certificate is good for longer than is told of."""
    ca = authority.Authority(place / "authority")
    names = place / "names.cnf"
    names.write_text("subjectAltName=URI:spiffe://cluster.local/ns/default/sa/meltemi\nbasicConstraints=critical,CA:FALSE\n")
    authority.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=node",
                      "-keyout", place / "key", "-out", place / "request")
    authority.openssl("x509", "-req", "-in", place / "request", "-CA", ca.roots, "-CAkey", ca.key, "-CAcreateserial",
                      "-days", "90", "-extfile", names, "-out", place / "chain")
    here = place / "identity"
    here.mkdir()
    for name, path in (("cert-chain.pem", place / "chain"), ("key.pem", place / "key"), ("root-cert.pem", ca.roots)):
        (here / name).write_bytes(path.read_bytes())
        (here / name).chmod(0o600)
    return here


def node_document(directory, work, identity):
    if directory.parent == REAL:
        return real.node_document(directory, work / f"{directory.name}.state", identity)
    own = directory.parent / f"{directory.name}.node.yaml"
    return (own.read_text() if own.exists() else NODE) + f"""  stateDirectory: {work}/{directory.name}.state
  identity: {{directory: {identity}}}
  sources: [{{directory: {directory}}}]
"""


Found = collections.namedtuple("Found", "severity finding where reason")


def findings(program, directory, work, identity):
    """As they are printed, with the names of files from the directory on."""
    path = work / f"{directory.parent.name}-{directory.name}.yaml"
    path.write_text(node_document(directory, work, identity))
    done = subprocess.run([program, "-c", path, "--analyse", "--json"], capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{directory}: exit status {done.returncode}: {done.stderr}")
    answer = json.loads(done.stdout)
    if done.returncode != (answer["found"] > 0):
        raise RuntimeError(f"{directory}: exit status {done.returncode}, and {answer['found']} are found")
    # The Node's own lines are those of its file here, but for those that are made of JSON.
    node = f"{directory.name}.node.yaml"
    return [Found(f["severity"], f["finding"], f["where"].replace(str(path), node).removeprefix(f"{directory}/"), f["reason"])
            for f in answer["findings"]]


def places_of(words):
    if words:
        return [pathlib.Path(word).resolve() for word in words]
    return [place for kind in (HERE / "seeded", HERE / "clean", REAL) for place in sorted(kind.iterdir())
            if place.is_dir() and (kind != REAL or (place / "expected.tsv").exists())]


def summary(found):
    """A table of how often each finding is in the real corpus, and in how many directories."""
    rows = collections.defaultdict(list)
    for place, all_of in found.items():
        for f in all_of if place.parent == REAL else ():
            rows[(f.severity, f.finding)].append(place.name)
    for (severity, finding), names in sorted(rows.items()):
        print(f"| `{finding}` | {severity} | {len(names)} | {len(set(names))} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=BUILD / "app/meltemid/meltemid")
    for flag in ("--update", "--show", "--summary"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("directories", nargs="*")
    options = parser.parse_args()
    places = places_of(options.directories)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        work = pathlib.Path(folder)
        identity = identity_in(work)
        found = dict(zip(places, pool.map(lambda place: findings(options.program, place, work, identity), places)))
    rows = ["\t".join((f"{place.parent.name}/{place.name}", *f[:3])) for place, all_of in found.items() for f in all_of]
    if options.show or options.directories:
        for place, all_of in found.items():
            print(f"{place.parent.name}/{place.name}", *(f"  {' '.join(row)}" for row in all_of), sep="\n")
    if options.summary:
        summary(found)
    if options.directories or options.summary:
        return 0
    wrong = [f"nothing is wrong there: {row}" for row in rows if row.startswith("clean/")]
    wrong += [f"nothing is found: {place}" for place, all_of in found.items() if place.parent.name == "seeded" and not all_of]
    if options.update and not wrong:
        LIST.write_text(HEAD + "".join(row + "\n" for row in rows))
        return 0
    kept = [line for line in LIST.read_text().splitlines() if not line.startswith("#")]
    wrong += [f"not found: {row}" for row in kept if row not in rows] + [f"found, and not in the list: {row}" for row in rows if row not in kept]
    print(*wrong, f"{len(places)} directories, {len(rows)} findings, {len(wrong)} wrong", sep="\n")
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
