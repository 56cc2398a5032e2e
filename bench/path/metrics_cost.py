#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Measures the cost of observability in instructions per exchange. All counters and histograms may cost at most 5 %, compared with a
build without them. Traces that are compiled in and off may cost at most 0.5 %, compared with a build without trace points. Counting
replies by workload, for Istio's metrics, may cost at most 60 instructions.

  metrics_cost.py PATH PATH_UNCOUNTED PATH_UNTRACED PATH_UNPORTIONED

Comparing and copying in the C library is left out, because its instructions differ between builds by linking alone. The test also
fails if a cost is 0, because then the builds do not differ.
"""
import json
import sys

from instructions import run

# Shares, or instructions from 1 on.
LIMITS = {"metrics": 0.05, "trace off": 0.005, "by workload": 60}
# Each loop iteration takes the same time, so that two runs execute the same code and run timers as often as without callgrind.
TIME = ["--turn-ns", "20000"]
CASES = (["--codec", "dubbo", "--conns", "16", "--outstanding", "8"], ["--codec", "thrift", "--conns", "16"])


def per_exchange(program, options):
    (short, a), (long, b) = (run(program, samples, options + TIME, without_libc=True) for samples in (1, 3))
    return (long - short) / (b["exchanges"] - a["exchanges"])


def compared(seen, program, options):
    """(additional share, instructions with, instructions without)"""
    on, off = per_exchange(seen, options), per_exchange(program, options)
    return on / off - 1, on, off


def main():
    seen = sys.argv[1]
    failed = False
    for options in CASES:
        for (what, limit), program in zip(LIMITS.items(), sys.argv[2:], strict=True):
            share, on, off = compared(seen, program, options)
            print(json.dumps({"bench": "metrics_cost", "what": what, "options": " ".join(options), "on": round(on, 1),
                              "off": round(off, 1), "share_pct": round(100 * share, 2)}), flush=True)
            failed |= not 0 < (share if limit < 1 else on - off) <= limit
    sys.exit(failed)


if __name__ == "__main__":
    main()
