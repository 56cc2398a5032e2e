#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Counts instructions a packet by callgrind, without the generator: of macswap, of the bare loop of header checks, look-up and rewrite, and
of lib/l4 and lib/net in each mode, also with limits and lists of clients. Fails if a mode needs more than its limit, in multiples of the
bare loop.

  cost.py L4
"""
import json
import sys

from counted import counted

# Of the bare loop's instructions: without, and with limits and lists of clients.
LIMITS = {"nat": (1.84, 2.48), "nat-full": (1.84, 2.48), "dsr": (2.78, 4.1), "tunnel-ipip": (3.8, 5.1), "tunnel-gue": (5.3, 6.6)}
BURSTS, BURST = 60, 32


def each(program, mode, loop):
    """Instructions a packet."""
    instructions, line = counted(program, "measured_burst", "--flows", "4096", "--mode", mode, "--count", loop, "--bursts", str(BURSTS))
    if line["wrong"]:
        sys.exit(f"{mode}, {loop}: {line['wrong']} packets wrong")
    return instructions / (BURSTS * BURST)


def main():
    program, failed = sys.argv[1], False
    bare = each(program, "nat", "bare")
    print(json.dumps({"bench": "l4_cost", "macswap": round(each(program, "nat", "macswap"), 1), "bare": round(bare, 1)}), flush=True)
    for mode, limits in LIMITS.items():
        for loop, limit in zip(("l4", "limited"), limits):
            n = each(program, mode, loop)
            print(json.dumps({"bench": "l4_cost", "mode": mode, "loop": loop, "instructions": round(n, 1), "of_bare": round(n / bare, 2),
                              "limit": limit}), flush=True)
            failed |= not 0 < n / bare <= limit
    sys.exit(failed)


if __name__ == "__main__":
    main()
