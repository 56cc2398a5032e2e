#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Counts what tracing costs a worker: instructions of a call that is not drawn, and of one that is, compared with none. `index`: what reading
the index of metadata costs more, which is not in `more`; it is nothing if routes read the same index. Thrift's calls are not THeader's, so
they have no context.

  tracing_cost.py PATH
"""
import json
import sys

from log_cost import CASES, INDEX, per_exchange

LIMITS = {"no": 75, "all": 7000}


def main():
    failed = False
    for case in CASES:
        off, _ = per_exchange(sys.argv[1], case)
        index_off, _ = per_exchange(sys.argv[1], case, INDEX)
        for drawn, limit in LIMITS.items():
            options = [*case, "--traced", drawn]
            on, _ = per_exchange(sys.argv[1], options)
            index = per_exchange(sys.argv[1], options, INDEX)[0] - index_off
            more = on - off - index
            print(json.dumps({"bench": "tracing_cost", "options": " ".join(options), "on": round(on, 1), "off": round(off, 1),
                              "index": round(index, 1), "more": round(more, 1)}), flush=True)
            failed |= not 0 < more <= limit
    sys.exit(failed)


if __name__ == "__main__":
    main()
