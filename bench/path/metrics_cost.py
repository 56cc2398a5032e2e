#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What being seen costs: instructions per exchange with all counters and histograms beside a build without any.

  metrics_cost.py PATH PATH_UNCOUNTED

Fails when the share is above 5 %, and when it is nothing at all, because then nothing was compared.
"""
import json
import sys

from instructions import run

LIMIT = 0.05
CASES = (["--codec", "dubbo", "--conns", "16", "--outstanding", "8"], ["--codec", "thrift", "--conns", "16"])


def per_exchange(program, options):
    (short, a), (long, b) = run(program, 1, options), run(program, 3, options)
    return (long - short) / (b["exchanges"] - a["exchanges"])


def main():
    counted, uncounted = sys.argv[1:3]
    failed = False
    for options in CASES:
        on, off = per_exchange(counted, options), per_exchange(uncounted, options)
        share = on / off - 1
        print(json.dumps({"bench": "metrics_cost", "options": " ".join(options), "on": round(on, 1), "off": round(off, 1),
                          "share_pct": round(100 * share, 2)}), flush=True)
        failed |= not 0 < share <= LIMIT
    sys.exit(failed)


if __name__ == "__main__":
    main()
