#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Counts instructions per operation by callgrind; prints a JSON line for each operation.

  bench/micro/run.sh [--build DIR] [--only NAME]   count and print
                     [--check]                     compare with baseline.json: exit 1 if an operation takes over 2 % more
                     [--update]                    write the results to baseline.json

The numbers do not depend on time, but on the compiler, its options and the libraries. The baseline contains these; if they differ,
--check compares nothing and exits with 77. Features of the CPU by which the C library selects functions are masked.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BASELINE = HERE / "baseline.json"
SKIPPED = 77
LIMIT = 1.02
# The C library selects functions by features of the CPU: use the same functions on every machine.
MASKED = "glibc.cpu.hwcaps=" + ",".join("-" + f for f in (
    "AVX2", "AVX", "AVX512F", "AVX512VL", "BMI1", "BMI2", "LZCNT", "MOVBE", "RTM", "ERMS", "FSRM", "SSSE3", "SSE4_1", "SSE4_2",
    "AVX_Fast_Unaligned_Load", "Fast_Unaligned_Copy", "Fast_Unaligned_Load"))
ROUTES = ("1", "10000")
ROUTE_LOOKUPS = 20 * 1000  # ROUNDS * LOOKUPS in route.c


def said(*argv):
    """The first line of a program's output."""
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split("\n")[0]


def made_with(build):
    """What the numbers depend on in addition to the source."""
    options = {o["name"]: o["value"] for o in json.loads(subprocess.check_output(
        ["meson", "introspect", "--buildoptions", build], text=True))}
    command = json.loads((build / "compile_commands.json").read_text())[0]["command"].split()
    # Debian's compiler prints the name by which it was called.
    compiler = re.sub(r"^\S+", "cc", said([c for c in command if not c.endswith("ccache")][0], "--version"))
    return {"compiler": compiler, "buildtype": options["buildtype"], "lto": options["b_lto"],
            "sanitize": str(options["b_sanitize"]), "march": options["march"], "dpdk": said("pkg-config", "--modversion", "libdpdk"),
            "valgrind": said("valgrind", "--version"), "libc": os.confstr("CS_GNU_LIBC_VERSION")}


def run_within(command, seconds):
    """What the command did; None if it did not end: an idle program under valgrind has been seen to sleep for ever."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds,
                              env={**os.environ, "GLIBC_TUNABLES": MASKED}, check=False)
    except subprocess.TimeoutExpired:
        print(f"{' '.join(command[-2:])}: not finished within {seconds} s", flush=True)
        return None


def count(argv, toggle):
    """(Instructions in a function and its callees, output of the program)."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        command = ["valgrind", "--tool=callgrind", f"--toggle-collect={toggle}", f"--callgrind-out-file={out}", *map(str, argv)]
        ran = run_within(command, 60) or run_within(command, 120)
        if ran is None:
            sys.exit(f"{' '.join(map(str, argv))}: not finished within 60 s, and not within 120 s in a second run")
        if ran.returncode != 0:
            sys.exit(f"{' '.join(map(str, argv))}: exit status {ran.returncode}\n{ran.stdout}{ran.stderr}")
        text = out.read_text()
    total = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
    if not total or int(total.group(1)) == 0:
        sys.exit(f"{argv[0]}: {toggle} was never entered")
    return int(total.group(1)), ran.stdout


def operations(build):
    """(name, a function that counts it)."""
    ops, route = build / "bench/micro/bench_ops", build / "bench/micro/bench_route"
    for name in subprocess.check_output([ops, "--list"], text=True).split():
        def one(name=name):
            instructions, said = count([ops, name], f"op_{name}")
            return instructions / int(said.split()[-1])
        yield name, one
    for n in ROUTES:
        def look(n=n):
            return count([route, n], "lookups*")[0] / ROUTE_LOOKUPS
        yield f"route_{n}", look


def compare(counted, baseline):
    """A line for each operation that takes more than the limit, is new, or is missing."""
    bad = [f"{name}: {n:.1f} instructions, {100 * (n / baseline[name] - 1):+.1f} % to the baseline's {baseline[name]:.1f}"
           for name, n in counted.items() if name in baseline and n > baseline[name] * LIMIT]
    bad += [f"{name}: not in the baseline; run with --update" for name in counted if name not in baseline]
    return bad + [f"{name}: in the baseline, but not counted" for name in baseline if name not in counted]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build")))
    parser.add_argument("--only", default="")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    if options.only and (options.check or options.update):
        parser.error("--only counts a part of the operations: it goes neither with --check nor with --update")
    if options.check and options.update:
        parser.error("--check and --update exclude each other")
    if not (options.build / "compile_commands.json").exists():
        parser.error(f"{options.build} is no build: meson setup build && ninja -C build, or name one by --build")
    here = made_with(options.build)
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"made_with": None, "instructions": {}}
    if options.check and baseline["made_with"] != here:
        print(f"the baseline was made with {baseline['made_with']}, this is {here}: nothing to compare")
        return SKIPPED
    # The gate itself must be able to fail.
    assert compare({"x": 103.0}, {"x": 100.0}) and not compare({"x": 101.9}, {"x": 100.0})
    counted = {}
    for name, one in operations(options.build):
        if options.only in name:
            counted[name] = round(one(), 1)
            print(json.dumps({"bench": "micro", "op": name, "instructions": counted[name]}), flush=True)
    if options.update:
        BASELINE.write_text(json.dumps({"made_with": here, "instructions": counted}, indent=1) + "\n")
    if not options.check:
        return 0
    bad = compare(counted, baseline["instructions"])
    print("\n".join(bad) if bad else "no operation got dearer by more than 2 %")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
