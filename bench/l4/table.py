#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Measures cycles of a forwarded packet in each mode, for 1 to 10 million flows, with packets of 64 bytes and IMIX, and of `nat` over devices of
DPDK, and prints the tables of docs/performance.md.

  table.py build/bench/l4/l4 > results.jsonl      a release build with LTO, an idle machine; 10 million flows take about 5 GB
  table.py results.jsonl                          the tables
"""
import json
import os
import subprocess
import sys

FLOWS = (1, 1000, 100000, 1000000, 10000000)
SIZES = ("64", "imix")
MODES = ("nat", "nat-full", "dsr", "tunnel-ipip", "tunnel-gue")
LINKS = ("null", "ring", "memif")
LINK_FLOWS = 100000  # over a device
ROUNDS = "301"


def measure(program):
    runs = [(flows, size, mode, "own") for flows in FLOWS for size in SIZES for mode in MODES]
    runs += [(LINK_FLOWS, size, "nat", link) for link in LINKS for size in SIZES]
    for flows, size, mode, link in runs:
        before = os.getloadavg()[0]
        ran = subprocess.run([program, "--flows", str(flows), "--mode", mode, "--size", size, "--link", link, "--rounds", ROUNDS, "--limits", "--json"],
                             capture_output=True, text=True, timeout=1200, check=False)
        if ran.returncode:
            sys.exit(f"{ran.stderr}\n{program} failed")
        print(json.dumps({**json.loads(ran.stdout), "load_before": round(before, 2)}), flush=True)


def cell(cycles):
    return f"{cycles:.0f}"


def table(lines):
    by = {(line["flows"], line["size"] or "IMIX", line["mode"]): line for line in lines}
    keys = sorted({key[:2] for key in by}, key=lambda key: (str(key[1]), key[0]))
    print("| flows | bytes | macswap | bare loop | nat | nat of bare loop | nat, limits | nat-full | dsr | tunnel-ipip | tunnel-gue |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for flows, size in keys:
        nat = by[flows, size, "nat"]
        bare, own = nat["bare_cycles"] - nat["gen_cycles"], nat["cycles"] - nat["gen_cycles"]
        others = [by[flows, size, mode] for mode in MODES[1:] if (flows, size, mode) in by]
        row = [f"{flows:,}", str(size), cell(nat["macswap_cycles"] - nat["gen_cycles"]), cell(bare), cell(own), f"{own / bare:.2f}",
               cell(nat["limited_cycles"] - nat["gen_cycles"]), *(cell(line["cycles"] - line["gen_cycles"]) for line in others)]
        print("| " + " | ".join(row) + " |")


def over_devices(lines):
    """The generator's cycles have those of the device, which the others are without."""
    print("| link | bytes | generator and device | macswap | bare loop | nat | nat of bare loop |")
    print("|---|---|---|---|---|---|---|")
    for line in lines:
        gen = line["gen_cycles"]
        bare, own = line["bare_cycles"] - gen, line["cycles"] - gen
        print(f"| {line['link']} | {line['size'] or 'IMIX'} | {cell(gen)} | {cell(line['macswap_cycles'] - gen)} | {cell(bare)} | {cell(own)} | {own / bare:.2f} |")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.access(sys.argv[1], os.X_OK):
        measure(sys.argv[1])
    else:
        with open(sys.argv[1], encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        table([line for line in lines if line["link"] == "own"])
        print()
        over_devices([line for line in lines if line["link"] != "own"])


if __name__ == "__main__":
    main()
