#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds `meltemid --check --json` to the rows of real/*/expected.tsv that are about policies of security.istio.io.

    tests/documents/policies.py [-v] [build directory]

Judged is a node without an identity (the column `without`): status and touched hosts. A row whose services cannot be served
yet (Services, Pods, gateways, discovery) or that needs a setting that the Node does not have yet is in `later`, by
directory, with the reason; such rows are counted and not judged. One that is in `later` and comes out right is a mistake
of the list."""
import csv, glob, json, os, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication")
NODE = """apiVersion: meltemi.io/v1
kind: Node
metadata: {name: check}
spec:
  ports: [{name: p0, device: "net_null0", addresses: [192.0.2.1/24]}]
  stateDirectory: %s
"""

# directory, or directory:NAMESPACE/NAME of a policy -> why it cannot be right yet
later = {
    "ambient": "instances are a Service's",
    "chart-with-policy:-/-": "a template's braces are read as YAML, so that its lines are not looked at",
    "dubbo-authz:payouts/payouts-methods": "a port is a codec's by its prefix or appProtocol",
    "dubbo-kubernetes": "instances are a Service's",
    "egress-gateway": "policies at a gateway",
    "exports": "exportTo and the node's namespace",
    "external-policies:partners/archive-callers": "instances are found by DNS",
    "external-policies:partners/archive-gate": "instances are found by DNS",
    "gateway-api": "policies at a gateway; instances are a Service's",
    "gateway-api-mesh": "instances are a Service's",
    "ingress-tls": "policies at a gateway",
    "kubectl-yaml-list": "instances are a Service's",
    "meshconfig-root": "the Node's root namespace",
    "namespace-given": "sources[].namespace",
    "pods-injected": "instances are a Service's",
    "root-filters:istio-system/mesh-opa": "instances are a Service's",
    "vm-onboarding": "instances are a Service's",
}


def check(build, directory):
    with tempfile.TemporaryDirectory() as work:
        node = os.path.join(work, "node.yaml")
        with open(node, "w") as f:
            f.write(NODE % os.path.join(work, "state"))
        os.mkdir(os.path.join(work, "state"))
        out = subprocess.run([os.path.join(build, "app/meltemid/meltemid"), "-c", node, "-d", directory, "--check",
                              "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        try:
            return json.loads(out.stdout)["objects"]
        except ValueError:
            return []


def rows_of(directory):
    with open(os.path.join(directory, "expected.tsv"), newline="") as f:
        for row in csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row and not row[0].startswith("#") and row[1] in KINDS:
                yield row


def find(objects, row, directory):
    name = lambda o: (o["kind"], o["namespace"] or "-", o["name"] or "-")
    path = os.path.join(directory, row[0].split("#")[0].split(",")[0])
    same = [o for o in objects if name(o) == (row[1], row[2], row[3])]
    here = [o for o in same if os.path.realpath(o["file"]) == os.path.realpath(path)]
    return (here or same or [None])[0]


def judge(objects, row, directory):
    o = find(objects, row, directory)
    if o is None:
        return "is not there"
    touches = sorted(o["touches"])
    wanted = sorted(t for t in row[6].split(",") if t != "-")
    if o["status"] != row[4]:
        return "%s, not %s: %s" % (o["status"], row[4], o["reason"] or o["notes"])
    if touches != wanted:
        return "touches %s, not %s" % (touches, wanted)
    return None


def main():
    args = [a for a in sys.argv[1:] if a != "-v"]
    build = args[0] if args else os.environ.get("MELTEMI_BUILD", os.path.join(HERE, "../../build"))
    right, waiting, wrong = 0, 0, []
    for directory in sorted(glob.glob(os.path.join(HERE, "real/*/"))):
        short = os.path.basename(directory.rstrip("/"))
        rows = list(rows_of(directory)) if os.path.exists(os.path.join(directory, "expected.tsv")) else []
        objects = check(build, directory) if rows else []
        for row in rows:
            key = "%s:%s/%s" % (short, row[2], row[3])
            why, found = later.get(key) or later.get(short), judge(objects, row, directory)
            if why and found:
                waiting += 1
                if "-v" in sys.argv:
                    print("later  %s %s: %s" % (key, row[1], why))
            elif why and key in later:
                wrong.append("%s %s: is right, and in the list of those that cannot be" % (key, row[1]))
            elif found:
                wrong.append("%s %s: %s" % (key, row[1], found))
            else:
                right += 1
    for w in wrong:
        print("FAILED %s" % w)
    print("%d rows right, %d later, %d wrong" % (right, waiting, len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
