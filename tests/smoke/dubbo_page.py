#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/tutorials/dubbo-routes-and-limits.md, followed to the letter with Dubbo's own programs: the shares, the canary and the limit are as it says."""

import json
import subprocess

from meltemi_lab import TESTS, Skip, check, equal, main, page


def peers(_directory):
    """Built before the page, which has its time limit."""
    done = subprocess.run([TESTS / "interop/dubbo/build.sh", "3.2.16"], text=True, capture_output=True, timeout=900, check=False)
    if done.returncode:
        raise Skip(f"no Dubbo peers: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")
    return ""


def body():
    printed, _ = page.follow("dubbo-routes-and-limits.md", ("1. Build",), peers)
    split, jason = [json.loads(line) for line in printed.splitlines() if line.startswith('{"answered"')]
    equal((split["answered"], split["failed"]), (200, 0), "calls answered and failed")
    check(150 <= split["by_server"]["v1/s1"] <= 198, f"200 calls, 90 and 10 %: {split['by_server']}")
    equal((jason["by_server"], jason["failed"]), ({"v2/s2": 5}, 15), "calls of the one user: answered by, and refused")


main(body)
