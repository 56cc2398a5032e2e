#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Counts the instructions of Meltemi's loop iterations per exchange, by callgrind.

The result is the difference of two runs of different lengths, so that work done once (connections, first allocations) does not
count. Each iteration takes 20 us of the program's clock (--turn-ns), so that timers expire as often on a slow machine. Other
options are passed to the program.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT = os.path.join(HERE, "..", "..", "build", "bench", "path", "path")


def of_libc(profile):
    """Instructions of memcmp() and similar functions. Their number depends on alignment, and so differs between builds by linking."""
    out = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", profile], capture_output=True, text=True, check=True).stdout
    return sum(int(n.replace(",", "")) for n in re.findall(r"^\s*([\d,]+) \(.*?\)  \S*:__(?:mem|str)\w+_(?:avx|sse|evex)\w*", out, re.M))


def below(profile, function):
    """Instructions of everything that this function calls. A run's other instructions, whose number depends on its length, do not count."""
    def of(inclusive):
        out = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", f"--inclusive={inclusive}", profile],
                             capture_output=True, text=True, check=True).stdout
        found = re.search(rf"^\s*([\d,]+) \(.*?\)  \S*:{function}(?: |$)", out, re.M)
        if not found:
            sys.exit(f"instructions: {function}() is not in the profile")
        return int(found.group(1).replace(",", ""))
    return of("yes") - of("no")


def run(program, samples, options, without_libc=False, only_below=None):
    """
    (Instructions in measured iterations, report with the exchanges), of the whole run after its warm-up. With `only_below`, the
    instructions are those of everything that this function calls.
    """
    # A test runner may set this, and filling freed memory would count as work.
    env = {name: value for name, value in os.environ.items() if name != "MALLOC_PERTURB_"}
    with tempfile.TemporaryDirectory() as tmp:
        out = subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + os.path.join(tmp, "out"),
             "--toggle-collect=measured_turn*", program, "--hugepages", "off", "--samples", str(samples),
             "--exchanges", "2000", "--json"] + options,
            capture_output=True, text=True, check=False, env=env)
        found = re.search(r"Collected : (\d+)", out.stderr)
        if out.returncode or not found:
            sys.exit(out.stderr[-2000:] + "\ninstructions: " + program + " failed under callgrind")
        profile = os.path.join(tmp, "out")
        counted = below(profile, only_below) if only_below else int(found.group(1)) - (of_libc(profile) if without_libc else 0)
    return counted, json.loads(out.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=DEFAULT, help="bench/path/path of a build (default: of build/)")
    options, rest = parser.parse_known_args()
    if "--turn-ns" not in rest:
        rest = ["--turn-ns", "20000", *rest]
    (short, a), (long, b) = run(options.program, 1, rest), run(options.program, 3, rest)
    keys = ("codec", "link", "peer", "size", "conns", "outstanding", "routes", "policies", "multiplexing")
    print(json.dumps({"bench": "path", **{k: b[k] for k in keys},
                      "instructions": round((long - short) / (b["exchanges"] - a["exchanges"]), 1),
                      "segments_in": b["segments_in"], "segments_out": b["segments_out"]}))


if __name__ == "__main__":
    main()
