#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each difference from the kernel that the differential test explains stands in its page, in the same words, and no other."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE, PAGE = ROOT / "tests/differential/explained.def", ROOT / "docs/internals/differential.md"


def main():
    rows = re.findall(r'EXPLAINED\((\w+), "(.*?)", "(.*?)",\s*"(.*?)"\)', TABLE.read_text(), re.S)
    wanted = {name: (why, rfc, stricter) for name, stricter, rfc, why in rows}
    found = {m[1]: (m[2], m[3], m[4]) for m in re.finditer(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| \d+ \|$", PAGE.read_text(), re.M)}
    bad = [f"{name}: not in {PAGE.name}, or in other words" for name in wanted if found.get(name) != wanted[name]]
    bad += [f"{name}: in {PAGE.name}, but no rule" for name in found if name not in wanted]
    print("\n".join(bad) or f"{len(wanted)} explained differences")
    sys.exit(bool(bad) or not wanted)


main()
