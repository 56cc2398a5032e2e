#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Libraries: the drawing in docs/design.md (section 11) agrees with the dependencies and includes of each library, docs/internals/README.md
lists each one, and each has a page there or an overview in the first comment of a header.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DESIGN = ROOT / "docs/design.md"
INDEX = ROOT / "docs/internals/README.md"
OVERVIEW = 15  # lines of a header's first comment that replaces a page

# What stands on less than the room or program that it is in: files, and the rooms whose headers they may include.
PARTS = {
    "lib/ctl/metrics/otlp*.c": {"base", "grpc", "export", "telemetry", "ctl"},
    "lib/telemetry/*.[ch]": {"base", "grpc", "telemetry"},
    "app/meltemi/*.[ch]": {"base", "model", "source", "codec", "codecfile", "x509", "grpc", "ads", "identity"},
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


def overview(text, room):
    """Lines of a header's first comment if that describes the library; otherwise 0."""
    match = re.match(r"(?:/\* SPDX[^\n]*\n)?/\*\s*\*?\s*lib/(\w+): .*?\*/", text, re.S)
    return match[0].count("\n") - 1 if match and match[1] == room else 0


def pages(found):
    index = INDEX.read_text()
    for room in found:
        headers = [path for path in sorted((ROOT / "lib" / room).glob("mt_*.h")) if not path.stem.endswith("_priv")]
        longest = max((overview(path.read_text(), room) for path in headers), default=0)
        if not (ROOT / f"docs/internals/{room}.md").exists() and longest < OVERVIEW:
            yield f"lib/{room}: no docs/internals/{room}.md, and no public header whose first comment is \"lib/{room}: ...\" of {OVERVIEW} lines ({longest})"
        if not re.search(rf"^\| \[{room}\]\(", index, re.M):
            yield f"lib/{room}: {INDEX.relative_to(ROOT)} has no row for it"


def blind_to():
    """Faults of this lint itself, by samples."""
    long = "/*\n * lib/x: " + "y\n * " * (OVERVIEW - 1) + "y\n */\n"
    for text, lines in ((long, OVERVIEW), ("/* SPDX-License-Identifier: Apache-2.0 */\n" + long, OVERVIEW), (long.replace("lib/x", "lib/z"), 0),
                        ("/* lib/x: short */\n" + long, 0), (long.replace(" * lib", " * The lib"), 0)):
        if (overview(text, "x") >= OVERVIEW) != (lines >= OVERVIEW):
            yield f"this check finds {overview(text, 'x')} lines of overview, not {lines}, in {text[:60]!r}"


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
    faults = [*blind_to(), *arrows(rows, found), *pages(found), *includes(found)]
    print("\n".join(faults) or f"{len(found)} rooms on {len(set(rows.values()))} rows")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
