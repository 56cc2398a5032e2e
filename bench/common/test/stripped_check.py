#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Checks the cost of a stripped host: stripped_check.py PROGRAM, where PROGRAM is bench/path/path of a build

A sent or received packet, with its messages, takes at most 450 instructions without LTO, counted by callgrind. The cycles without
those of the port are also printed, but have no limit, because other load changes them.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

INSTRUCTIONS = 450
CASES = [["--codec", "dubbo"], ["--codec", "tcp"]]


def ran(argv):
    p = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    if p.returncode != 0:
        sys.exit(f"{' '.join(argv)}: exit status {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout


def counted(program, options):
    """Instructions of the peers' loop iterations per packet, including handshakes."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        said = ran(["valgrind", "--tool=callgrind", "--toggle-collect=bench_stripped_turn", f"--callgrind-out-file={out}",
                    program, "--peer", "stripped", "--hugepages", "off", "--exchanges", "2000", "--samples", "1",
                    "--json", *options])
        total = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.M)
    line = json.loads(said.splitlines()[-1])
    if not total or int(total[1]) == 0:
        sys.exit("callgrind counted nothing")
    return int(total[1]) / line["peer_packets_ever"]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program, dear = sys.argv[1], False
    for options in CASES:
        each = counted(program, options)
        line = json.loads(ran([program, "--peer", "stripped", "--samples", "60", "--exchanges", "1000", "--json",
                               *options]).splitlines()[-1])
        print(f"{' '.join(options)}: {each:.0f} instructions a packet, at most {INSTRUCTIONS}; "
              f"{line['peer_cycles_per_packet']:.0f} cycles")
        dear |= each > INSTRUCTIONS
    if dear:
        sys.exit("a stripped peer's packet costs too much")


if __name__ == "__main__":
    main()
