#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Counts what an entry of the access log costs a worker: instructions of a call with a log, compared with none. A format without metadata
(--access-log) and Istio's default format (--log-metadata), which names four keys of requests. `index`: what reading the index of metadata costs
more, which is not in `more`; it is nothing if routes read the same index. Each call must leave one entry. If nothing reads the entries,
because all outputs hang and the ring is full (--log-full), a call may take 1 % more, and each entry must be counted as lost.

  log_cost.py PATH
"""
import json
import sys

from instructions import run

NAMES, FULL = "--log-metadata", "--log-full"
LIMITS = {"--access-log": 500, NAMES: 900}
INDEX = "mt_meta_read"
TIME = ["--turn-ns", "20000"]
CASES = (["--codec", "dubbo", "--conns", "16", "--outstanding", "8"], ["--codec", "thrift", "--conns", "16"])


def per_exchange(program, options, only_below=None, counted="logged"):
    """(instructions, entries) of an exchange."""
    (short, a), (long, b) = (run(program, samples, options + TIME, only_below=only_below) for samples in (1, 3))
    exchanges = b["exchanges"] - a["exchanges"]
    return (long - short) / exchanges, (b.get(counted, 0) - a.get(counted, 0)) / exchanges


def of_index(program, options):
    """Instructions of an exchange for reading the index of metadata."""
    return per_exchange(program, options, INDEX)[0]


def main():
    failed = False
    for case in CASES:
        off, _ = per_exchange(sys.argv[1], case)
        for option, limit in LIMITS.items():
            on, entries = per_exchange(sys.argv[1], [*case, option])
            index = of_index(sys.argv[1], [*case, option]) - of_index(sys.argv[1], [*case, "--access-log"]) if option == NAMES else 0
            more = on - off - index
            print(json.dumps({"bench": "log_cost", "options": " ".join([*case, option]), "on": round(on, 1), "off": round(off, 1),
                              "index": round(index, 1), "more": round(more, 1), "entries": round(entries, 3)}), flush=True)
            failed |= not 0 < more <= limit or not 0.98 < entries < 1.02
            if option != NAMES:
                full, lost = per_exchange(sys.argv[1], [*case, FULL], counted="log_lost")
                print(json.dumps({"bench": "log_cost", "options": " ".join([*case, FULL]), "on": round(full, 1), "read": round(on, 1),
                                  "lost": round(lost, 3)}), flush=True)
                failed |= full > 1.01 * on or not 0.98 < lost < 1.02
    sys.exit(failed)


if __name__ == "__main__":
    main()
