#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares cycles a packet of bench/l4 with those of dpdk-testpmd over the same devices of DPDK, net_null, net_ring and a pair of net_memif, in
turn on one core, with frames of 64 bytes and, of bench/l4 alone, IMIX. testpmd receives, swaps addresses (macswap; 5tswap: of IP and ports, too) and sends. The loops of bench/l4 do the same, and write each
packet as well ("gen" does nothing else). The least of all rounds counts.

  testpmd.py L4 [--flows N] [--rounds N] [--testpmd dpdk-testpmd]

Exits with 77 if there is no testpmd (Debian: dpdk-dev).
"""
import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time

MEMIF = "net_memif{},role={},id=0,socket-abstract=yes,socket=meltemi-testpmd-" + str(os.getpid())
LINKS = {"null": ["net_null0,size=64"], "ring": ["net_ring0"], "memif": [MEMIF.format(0, "server"), MEMIF.format(1, "client")]}
MODES = ("nat", "dsr", "tunnel-gue")
SIZES = ("64", "imix")
SWAPS = ("macswap", "5tswap")
SKIPPED = 77
CORE = "1"  # of the loop; testpmd's main thread waits on another one


def swapped(program, link, swap):
    """Cycles a packet of testpmd in a second. A pair of memif devices is one link: what one receives, the other sends."""
    argv = [program, "--no-huge", "-m", "256", "--no-pci", "--no-telemetry", "--no-shconf", "--log-level=error", "-l", f"0,{CORE}",
            *(f"--vdev={device}" for device in LINKS[link]), "--", "-i", f"--forward-mode={swap}",
            f"--port-topology={'paired' if len(LINKS[link]) > 1 else 'loop'}", "--total-num-mbufs=4096", "--burst=32", "--record-core-cycles"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        time.sleep(1)  # until links are up
        run.stdin.write("start\n" if link == "null" else "start tx_first\n")
        run.stdin.flush()
        time.sleep(1)
        out = run.communicate("stop\nquit\n", timeout=60)[0]
    found = re.search(r"CPU cycles/packet=([\d.]+)", out)
    if not found:
        sys.exit(out[-2000:] + f"\n{program} --forward-mode={swap} printed no cycles")
    return float(found.group(1))


def forwarded(program, link, mode, size, flows):
    """A result of bench/l4."""
    ran = subprocess.run(["taskset", "-c", CORE, program, "--link", link, "--flows", str(flows), "--mode", mode, "--size", size, "--json"],
                         capture_output=True, text=True, timeout=600, check=False)
    if ran.returncode:
        sys.exit(ran.stderr + f"\n{program} failed")
    return json.loads(ran.stdout)


def keep(least, name, cycles):
    least[name] = min(cycles, least.get(name, cycles))


def compared(args, link):
    least = {}
    for _ in range(args.rounds):
        for swap in SWAPS:
            keep(least, f"testpmd_{swap}", swapped(args.testpmd, link, swap))
        for mode, size in itertools.product(MODES, SIZES):
            line = forwarded(args.l4, link, mode, size, args.flows)
            keep(least, f"{mode}_{size}", line["cycles"])
            if mode == "nat":
                for loop in ("gen", "macswap", "bare"):
                    keep(least, f"{loop}_{size}", line[f"{loop}_cycles"])
    return least


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("l4")
    parser.add_argument("--flows", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--testpmd", default="dpdk-testpmd")
    args = parser.parse_args()
    if not shutil.which(args.testpmd):
        print(f"SKIPPED: {args.testpmd} is not installed: apt-get install dpdk-dev")
        return SKIPPED
    for link in LINKS:
        print(json.dumps({"bench": "l4_testpmd", "link": link, "flows": args.flows, **compared(args, link)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
