#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Counts the instructions of lib/l4 and lib/net for each packet of a flood, by callgrind: SYNs, each of which takes the place of an older flow,
segments without a flow, SYNs of clients that `deny` names, and SYNs that each take a port of nat-full from an older flow, because all are in use.
Segments and SYNs of `deny` are refused.

  flood_cost.py L4
"""
import json
import sys

from counted import counted

LIMITS = {"syn": 3000, "segment": 550, "denied": 460, "ports": 12000}
FLOWS = {"ports": 16384}
BURSTS, BURST = 60, 32


def main():
    failed = False
    for kind, limit in LIMITS.items():
        instructions, line = counted(sys.argv[1], "measured_flood", "--flows", str(FLOWS.get(kind, 1024)), "--flood", kind, "--bursts", str(BURSTS))
        each = instructions / (BURSTS * BURST)
        print(json.dumps({"bench": "flood_cost", "kind": kind, "instructions": round(each, 1), "limit": limit,
                          "as_meant": line["as_meant"], "packets": line["packets"], "evicted": line["evicted"]}), flush=True)
        failed |= not 0 < each <= limit or line["as_meant"] < line["packets"] or (kind == "syn") != (line["evicted"] >= BURSTS * BURST)
    sys.exit(failed)


if __name__ == "__main__":
    main()
