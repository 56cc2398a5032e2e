#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Mistakes in the documents of calls/: `meltemid --check --strict` passes the documents as they are, and fails for each mistake that costs
calls or a protection, with these words. Rows without words are mistakes that documents cannot show, such as the address of another host:
they pass. The column `calls` is what clients of a node with the mistake met: lost, answered by another endpoint, or open, which are
answered though they are denied without the mistake; -: not tried.

  tests/documents/mistakes.py [--table] [NAME]...

--table prints for each mistake the exit status without and with --strict, what it does to calls, its name, and the finding.
"""

import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "smoke"))
from meltemi_lab import mistakes  # noqa: E402

EFFECTS = ("lost", "other", "open", "-")


def tried(documents, row, table):
    """Faults of a row."""
    documents.write(row)
    status, output = documents.check("--strict")
    if table:
        finding = next((line for line in output.splitlines() if row.words and row.words in line), "-")
        print(documents.check()[0], status, row.calls, row.name, finding.replace(f"{documents.directory}/", ""), sep="\t")
    wanted = 1 if row.words else 0
    faults = [] if row.calls in EFFECTS else [f"{row.name}: {row.calls} is no effect on calls"]
    # 2: of the Node document itself.
    if min(status, 1) != wanted or row.words not in output:
        faults.append(f"{row.name}: --strict ends with {status}, not {wanted} and {row.words!r}: {output}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mistakes") as place:
        documents = mistakes.Documents(place)
        documents.write()
        status, output = documents.check("--strict")
        faults = [f"without a mistake: {status}: {output}"] if status or " 0 warnings, 0 notes" not in output else []
        rows = [row for row in mistakes.read() if not a.names or row.name in a.names]
        for row in rows:
            faults += tried(documents, row, a.table)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(rows)} mistakes, {sum(not row.words for row in rows)} that documents cannot show, {len(faults)} faults", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
