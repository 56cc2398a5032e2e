#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The comparison of bench/peers works: a few short cells of no proxy, Meltemi and HAProxy are whole
and without loss, and tables are made of them. Speed is not looked at.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from meltemi_lab import ROOT, Skip, check, equal, main


def of_the_demo():
    """The cells that demo.sh compares are there."""
    sys.path.insert(0, str(ROOT / "tests/demo"))
    from scenes import COMPARISON  # noqa: PLC0415

    done = subprocess.run([sys.executable, ROOT / "bench/peers/run.py", *COMPARISON, "--list"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)
    equal(done.returncode, 0, f"exit status of the demo's comparison: {done.stdout}")
    for key in ("closed/tcp/direct/20/16x8", "closed/tcp/meltemi/20/16x8", "closed/tcp/kernel-nat/20/16x8", "closed/tcp/meltemi-l4/20/16x8", "closed/dubbo/meltemi/20/16x8"):
        check(key in done.stdout, f"no {key} in {done.stdout}")


def body():
    of_the_demo()
    if os.geteuid():
        raise Skip("making network namespaces needs root")
    systems = ["direct", "meltemi"] + (["haproxy"] if shutil.which("haproxy") else [])
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "peers.json")
        done = subprocess.run([sys.executable, ROOT / "bench/peers/run.py", "--smoke", "--systems", ",".join(systems), "--output", path],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        print(done.stdout, flush=True)
        equal(done.returncode, 0, "exit status of bench/peers/run.py")
        with open(path) as file:
            results = json.load(file)
        with open(path.replace(".json", ".md")) as file:
            tables = file.read()
    cells = results["cells"]
    equal(sorted(cells), sorted(f"closed/dubbo/{s}/{load}" for s in systems for load in ("20/4x1", "1024/4x4")), "cells")
    for key, cell in cells.items():
        check(cell["ok"] and cell["per_second"] > 0 and cell["p50_us"] > 0, f"{key}: {cell}")
        system = key.split("/")[2]
        check(system == "direct" or cell["cpu_us"] > 0, f"{key}: no CPU was counted: {cell}")
        check((cell["work_us"] or 0) > 0 or system != "meltemi", f"{key}: Meltemi did not say how long it worked: {cell}")
        check(system == "direct" or results["configurations"][system], f"no configuration of {system} is kept")
    for text in ("## Dubbo", *systems):
        check(text in tables, f"{text} is missing in the tables:\n{tables}")
    if "haproxy" not in systems:
        raise Skip("all others passed; not installed: haproxy")


main(body)
