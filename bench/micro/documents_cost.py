#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares the cost of one changed document among 10,000 with that of one changed resource of a mesh with 10,000 clusters and 100,000
endpoints: instructions of the control thread, by callgrind. The goal is at most twice as many; builds of the same code differ by some
percent.

  documents_cost.py BENCH_DOCUMENTS BENCH_MESH

The result is the difference of two runs, so that work done once does not count.
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
