#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Checks the cost of idle connections: check.py PROGRAM [--more]

- Memory: an opaque TCP stream with both ends and its part of all tables takes at most 1,024 bytes, counted from the slabs of 20,000
  streams, and at most 2,048 more with mutual TLS on both sides (of 1,000 streams, because handshakes take time).
- Time: an idle loop iteration takes as many instructions with 4,000 connections as with 400, counted by callgrind.

--more: 10 times as many connections.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

BYTES = 1024
TLS_BYTES = 2048  # in addition
TLS_CONNS = 1000
FEW, MANY = 400, 4000
GROWTH = 1.01  # one of the two measurements may contain a tick of the timer wheel, the other none


def ran(argv):
    p = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    if p.returncode != 0:
        sys.exit(f"{' '.join(argv)}: exit status {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout


def bytes_held(program, conns, tls="off", most=BYTES):
    # With --max-bytes the program itself fails, too.
    line = ran([program, "--conns", str(conns), "--samples", "0", "--churn", "0", "--idle-hours", "0", "--tls", tls,
                "--max-bytes", str(most)]).splitlines()[-1]
    return json.loads(line)["bytes"]


def idle_instructions(program, conns):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        ran(["valgrind", "--tool=callgrind", "--toggle-collect=idle_turn*", f"--callgrind-out-file={out}", program,
             "--conns", str(conns), "--samples", "0", "--churn", "0", "--idle-hours", "0"])
        total = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.M)
    if not total or int(total[1]) == 0:
        sys.exit("callgrind counted nothing")
    return int(total[1])


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program, factor = sys.argv[1], 10 if "--more" in sys.argv else 1
    held = bytes_held(program, 20000 * factor)
    print(f"{held:.1f} bytes for each opaque TCP stream, at most {BYTES}")
    plain, tls = bytes_held(program, TLS_CONNS * factor, most=0), bytes_held(program, TLS_CONNS * factor, "both", 0)
    print(f"{tls - plain:.1f} more with TLS on both sides, at most {TLS_BYTES}")
    few, many = idle_instructions(program, FEW), idle_instructions(program, MANY * factor)
    print(f"instructions of idle loop iterations: {few} with {FEW} connections, {many} with {MANY * factor}")
    if held > BYTES or not 0 < tls - plain <= TLS_BYTES or many > few * GROWTH:
        sys.exit("idle connections cost too much")


if __name__ == "__main__":
    main()
