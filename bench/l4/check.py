#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Each mode forwards 100,000 flows without a wrong packet, also with limits and lists of clients, and `nat` does over each device of DPDK. The
last line has the fields that others read. Prints the cycles of each mode in multiples of the bare loop's, without the generator. They decide
nothing, because the caches belong to other programs as well; cost.py has limits for instructions.
"""

import json
import subprocess
import sys

FIELDS = {"flows", "mode", "link", "gen_cycles", "macswap_cycles", "bare_cycles", "cycles", "limited_cycles", "wrong"}
MODES = ("nat", "nat-full", "dsr", "tunnel-ipip", "tunnel-gue")
SIZES = ("64", "imix")
# Tunnels leave longer headers in the buffers that a memif copies.
OVER = (("null", "nat"), ("ring", "nat"), ("memif", "nat"), ("memif", "tunnel-gue"))
AIM = 1.4  # of nat


def times(line, cycles):
    """Multiple of the bare loop's cycles."""
    own, bare = line[cycles] - line["gen_cycles"], line["bare_cycles"] - line["gen_cycles"]
    return round(own / bare, 2) if own > 0 and bare > 0 else None


def measured(program, flows, rounds, link, mode, size):
    """The result of one run; None if a packet was wrong."""
    ran = subprocess.run([program, "--flows", str(flows), "--mode", mode, "--size", size, "--rounds", str(rounds), "--link", link, "--limits", "--json"],
                         capture_output=True, text=True, timeout=120, check=False)
    line = json.loads(ran.stdout or "{}")
    print(line, ran.stderr)
    wanted = {"flows": flows, "mode": mode, "link": link, "size": 0 if size == "imix" else int(size), "wrong": 0}
    if ran.returncode or FIELDS - line.keys() or {name: line[name] for name in wanted} != wanted:
        return None
    return line


def main():
    runs = [(100000, 21, "own", mode, size) for mode in MODES for size in SIZES]
    runs += [(10000, 5, link, mode, size) for link, mode in OVER for size in SIZES]
    for flows, rounds, link, mode, size in runs:
        line = measured(sys.argv[1], flows, rounds, link, mode, size)
        if not line:
            return 1
        print(f"{mode}, {size}, link {link}: {times(line, 'cycles')} of the bare loop's cycles, {times(line, 'limited_cycles')} with limits"
              f"{f' (aim: {AIM})' if mode == 'nat' else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
