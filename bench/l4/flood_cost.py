#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Counts the instructions of lib/l4 and lib/net for each packet of a flood, by callgrind: SYNs, each of which takes the place of an older flow,
segments without a flow, and SYNs of clients that `deny` names. The last two are refused.

  flood_cost.py L4
"""
import json
import re
import subprocess
import sys

LIMITS = {"syn": 3000, "segment": 650, "denied": 550}
BURSTS, BURST = 60, 32


def counted(program, kind):
    """(instructions in measured bursts, the program's line of the whole flood)."""
    out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=measured_flood*", program, "--flows",
                          "1024", "--flood", kind, "--bursts", str(BURSTS)], capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r"Collected : (\d+)", out.stderr)
    if out.returncode or not found:
        sys.exit(out.stderr[-2000:] + f"\nflood_cost: {program} failed under callgrind")
    return int(found.group(1)), json.loads(out.stdout.splitlines()[-1])


def main():
    failed = False
    for kind, limit in LIMITS.items():
        instructions, line = counted(sys.argv[1], kind)
        each = instructions / (BURSTS * BURST)
        print(json.dumps({"bench": "flood_cost", "kind": kind, "instructions": round(each, 1), "limit": limit,
                          "as_meant": line["as_meant"], "packets": line["packets"], "evicted": line["evicted"]}), flush=True)
        failed |= not 0 < each <= limit or line["as_meant"] < line["packets"] or (kind == "syn") != (line["evicted"] >= BURSTS * BURST)
    sys.exit(failed)


if __name__ == "__main__":
    main()
