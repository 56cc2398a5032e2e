#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the drawing of dependencies in docs/design.md (section 11) matches the libraries' meson.build files and includes."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DESIGN = ROOT / "docs/design.md"

# What stands on less than the room or program that it is in: files, and the rooms whose headers they may include.
PARTS = {
    "lib/ctl/metrics/otlp*.c": {"base", "grpc", "telemetry", "ctl"},
    "lib/telemetry/*.[ch]": {"base", "grpc", "telemetry"},
    "app/meltemi/*.[ch]": {"base", "model", "source", "x509", "grpc", "ads", "identity"},
}


def drawing():
    """{room: row}, row 0 at the top."""
    text = DESIGN.read_text().split("Arrows point one way")[1].split("```")[1]
    # Words behind two blanks and a parenthesis are remarks.
    rows = [re.findall(r"\w+", re.sub(r"\(\w+\)", "", line.split("  (")[0])) for line in text.strip().splitlines()]
    return {room: i for i, row in enumerate(rows) for room in row}


def rooms():
    """{room: the rooms that its meson.build names}"""
    found = {}
    for path in sorted((ROOT / "lib").glob("*/meson.build")):
        deps = re.search(r"\bdeps = \[(.*?)\]", path.read_text(), re.S)
        found[path.parent.name] = re.findall(r"'(\w+)'", deps[1]) if deps else []
    return found


def arrows(rows, found):
    for room, deps in found.items():
        if room not in rows:
            yield f"lib/{room}: it has no place in the drawing of {DESIGN.relative_to(ROOT)}"
        for dep in deps:
            if room in rows and dep in rows and rows[dep] <= rows[room]:
                yield f"lib/{room} uses lib/{dep}, which the drawing does not have below it"


def pages(found):
    design = DESIGN.read_text()
    for room in found:
        if not (ROOT / f"docs/internals/{room}.md").exists():
            yield f"lib/{room}: there is no docs/internals/{room}.md"
        if not re.search(rf"^lib/{room}/ ", design, re.M):
            yield f"lib/{room}: {DESIGN.relative_to(ROOT)} does not say what it is"


def includes(found):
    owner = {header.name: room for room in found for header in (ROOT / "lib" / room).rglob("*.h")}
    for pattern, allowed in PARTS.items():
        paths = sorted(ROOT.glob(pattern))
        if not paths:
            yield f"{pattern}: there is no such file"
        for path in paths:
            for name in re.findall(r'^#include "(?:\w+/)*(\w+\.h)"', path.read_text(), re.M):
                if owner.get(name, "base") not in allowed:
                    yield f"{path.relative_to(ROOT)} includes {name} of lib/{owner[name]}, and should do without that room"


def main():
    rows, found = drawing(), rooms()
    faults = [*arrows(rows, found), *pages(found), *includes(found)]
    print("\n".join(faults) or f"{len(found)} rooms on {len(set(rows.values()))} rows")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
