#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Counts what an entry of the access log costs a worker: instructions of a call with a log (--access-log), compared with none, at most 450. Each
call must leave one entry.

  log_cost.py PATH
"""
import json
import sys

from instructions import run

LIMIT = 450
TIME = ["--turn-ns", "20000"]
CASES = (["--codec", "dubbo", "--conns", "16", "--outstanding", "8"], ["--codec", "thrift", "--conns", "16"])


def per_exchange(program, options):
    """(instructions, entries) of an exchange."""
    (short, a), (long, b) = (run(program, samples, options + TIME) for samples in (1, 3))
    exchanges = b["exchanges"] - a["exchanges"]
    return (long - short) / exchanges, (b.get("logged", 0) - a.get("logged", 0)) / exchanges


def main():
    failed = False
    for case in CASES:
        (off, _), (on, entries) = per_exchange(sys.argv[1], case), per_exchange(sys.argv[1], [*case, "--access-log"])
        print(json.dumps({"bench": "log_cost", "options": " ".join(case), "on": round(on, 1), "off": round(off, 1), "more": round(on - off, 1),
                          "entries": round(entries, 3)}), flush=True)
        failed |= not 0 < on - off <= LIMIT or not 0.98 < entries < 1.02
    sys.exit(failed)


if __name__ == "__main__":
    main()
