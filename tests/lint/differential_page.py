#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Checks that docs/testing/differential.md lists exactly the differences from the kernel that the differential test explains, with the
same words and bounds, and that the two bounds of a difference are close to each other.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE, PAGE = ROOT / "tests/differential/explained.def", ROOT / "docs/testing/differential.md"


def main():
    rows = re.findall(r'EXPLAINED\((\w+), (\d+), (\d+), "(.*?)", "(.*?)",\s*"(.*?)"\)', TABLE.read_text(), re.S)
    wanted = {name: (why, rfc, stricter, int(least), int(most)) for name, least, most, stricter, rfc, why in rows}
    line = r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| (\d+) to (\d+) \|$"
    found = {m[1]: (m[2], m[3], m[4], int(m[5]), int(m[6])) for m in re.finditer(line, PAGE.read_text(), re.M)}
    bad = [f"{name}: not in {PAGE.name}, or in other words or bounds" for name in wanted if found.get(name) != wanted[name]]
    bad += [f"{name}: in {PAGE.name}, but no rule" for name in found if name not in wanted]
    bad += [f"{name}: {least} to {most} is no bound" for name, (_, _, _, least, most) in wanted.items() if most > 2 * least + 50]
    print("\n".join(bad) or f"{len(wanted)} explained differences")
    sys.exit(bool(bad) or not wanted or TABLE.read_text().count("EXPLAINED(") != len(wanted))


main()
