#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Each mode forwards 100,000 flows without a wrong packet, also with limits and lists of clients, and the last line has the fields that others
read. Prints the cycles of each mode in multiples of the bare loop's, without the generator. They decide nothing, because the caches belong
to other programs as well; cost.py has limits for instructions.
"""

import json
import subprocess
import sys

FIELDS = {"flows", "mode", "link", "gen_cycles", "macswap_cycles", "bare_cycles", "cycles", "limited_cycles", "wrong"}
MODES = ("nat", "nat-full", "dsr", "tunnel-ipip", "tunnel-gue")
AIM = 1.4  # of nat


def times(line, cycles):
    """Multiple of the bare loop's cycles."""
    own, bare = line[cycles] - line["gen_cycles"], line["bare_cycles"] - line["gen_cycles"]
    return round(own / bare, 2) if own > 0 and bare > 0 else None


def main():
    for mode in MODES:
        for size in ("64", "imix"):
            ran = subprocess.run([sys.argv[1], "--flows", "100000", "--mode", mode, "--size", size, "--rounds", "21", "--limits", "--json"],
                                 capture_output=True, text=True, timeout=120, check=False)
            line = json.loads(ran.stdout or "{}")
            print(line, ran.stderr)
            if ran.returncode or FIELDS - line.keys() or line["wrong"] or line["flows"] != 100000 or line["mode"] != mode:
                return 1
            print(f"{mode}, {size}: {times(line, 'cycles')} of the bare loop's cycles, {times(line, 'limited_cycles')} with limits"
                  f"{f' (aim: {AIM})' if mode == 'nat' else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
