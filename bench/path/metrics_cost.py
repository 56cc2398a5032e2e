#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What being seen costs, in instructions per exchange: all counters and histograms beside a build without any, at most 5 %; a
trace that is compiled in and off beside a build without its tests, at most 0.5 %.

  metrics_cost.py PATH PATH_UNCOUNTED PATH_UNTRACED

The C library's comparing and copying is left out: the same calls take more or fewer, as two builds were linked. Fails also when a
cost is nothing at all, because then nothing was compared.
"""
import json
import sys

from instructions import run

LIMITS = {"metrics": 0.05, "trace off": 0.005}
# Time goes by turns, so that two runs execute the same, and as often as natively what is done by the clock.
TIME = ["--turn-ns", "20000"]
CASES = (["--codec", "dubbo", "--conns", "16", "--outstanding", "8"], ["--codec", "thrift", "--conns", "16"])


def per_exchange(program, options):
    (short, a), (long, b) = (run(program, samples, options + TIME, without_libc=True) for samples in (1, 3))
    return (long - short) / (b["exchanges"] - a["exchanges"])


def compared(seen, program, options):
    """(share, with, without)"""
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
            failed |= not 0 < share <= limit
    sys.exit(failed)


if __name__ == "__main__":
    main()
