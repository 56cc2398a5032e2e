#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one changed document among 10,000 costs the control thread, beside one changed resource of a mesh of 10,000 clusters and
100,000 endpoints: instructions, by callgrind. The aim is at most twice as many; two builds of the same differ by some percent.

  documents_cost.py BENCH_DOCUMENTS BENCH_MESH

What happens once falls out of the difference of two runs.
"""
import concurrent.futures
import json
import re
import subprocess
import sys
import tempfile

LIMIT = 2.15
# A change of bench_mesh is one of an endpoint, one of a route and one of a cluster.
KINDS = {"documents": 1, "mesh": 3}
FEW, MANY = 1, 4


def instructions(program, options):
    with tempfile.TemporaryDirectory() as tmp:
        out = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={tmp}/out", program, *options],
                             capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", out.stderr)
    if out.returncode or not found:
        sys.exit(out.stderr[-2000:] + f"\n{program} failed under callgrind")
    return int(found.group(1))


def main():
    documents, mesh = sys.argv[1:]
    runs = {("documents", n): (documents, ["files", str(n)]) for n in (FEW, MANY)}
    runs |= {("mesh", n): (mesh, [str(n)]) for n in (FEW, MANY)}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        got = dict(zip(runs, pool.map(lambda run: instructions(*run), runs.values()), strict=True))
    each = {what: (got[what, MANY] - got[what, FEW]) / (MANY - FEW) / kinds for what, kinds in KINDS.items()}
    ratio = each["documents"] / each["mesh"]
    print(json.dumps({"bench": "documents_cost", "changed_document": round(each["documents"]), "changed_resource": round(each["mesh"]),
                      "ratio": round(ratio, 2), "limit": LIMIT}))
    sys.exit(not 0 < ratio <= LIMIT)


if __name__ == "__main__":
    main()
