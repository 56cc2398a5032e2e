#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Counts what forwarding at layer 4 costs the packets of terminated services: instructions for each packet received, with a forwarded port at
another address (at most 15), and at the address of the service, where ports of packets are looked at (at most 30), compared with none. Both are
more than 0, because otherwise nothing was forwarded.

  forwarding_cost.py PATH
"""
import json
import sys

from instructions import run

LIMITS = {"elsewhere": 15, "address": 30}
TIME = ["--turn-ns", "20000"]
CASES = (["--codec", "dubbo"], ["--codec", "tcp"])


def per_exchange(program, options):
    """(instructions, packets received) of an exchange."""
    (short, a), (long, b) = (run(program, samples, options + TIME, without_libc=True) for samples in (1, 3))
    return (long - short) / (b["exchanges"] - a["exchanges"]), b["segments_in"]


def main():
    failed = False
    for case in CASES:
        off, _ = per_exchange(sys.argv[1], case)
        for where, limit in LIMITS.items():
            on, packets = per_exchange(sys.argv[1], [*case, "--forwarding", where])
            more = (on - off) / packets
            print(json.dumps({"bench": "forwarding_cost", "options": " ".join(case), "forwarding": where, "on": round(on, 1), "off": round(off, 1),
                              "packets": packets, "more_a_packet": round(more, 2)}), flush=True)
            failed |= not 0 < more <= limit
    sys.exit(failed)


if __name__ == "__main__":
    main()
