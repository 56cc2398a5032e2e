#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each mode forwards 100,000 flows without a wrong packet, also with limits and lists of clients, and the last line has the fields that others read."""

import json
import subprocess
import sys

FIELDS = {"flows", "mode", "macswap_cycles", "bare_cycles", "cycles", "limited_cycles", "wrong"}


def main():
    for mode in ("nat", "nat-full"):
        for size in ("64", "imix"):
            ran = subprocess.run([sys.argv[1], "--flows", "100000", "--mode", mode, "--size", size, "--rounds", "1", "--limits", "--json"],
                                 capture_output=True, text=True, timeout=120, check=False)
            line = json.loads(ran.stdout or "{}")
            print(line, ran.stderr)
            if ran.returncode or FIELDS - line.keys() or line["wrong"] or line["flows"] != 100000 or line["mode"] != mode:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
