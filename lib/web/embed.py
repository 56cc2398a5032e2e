#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py FILE... OUTPUT: writes to OUTPUT a row of `struct mt_web_file` for each FILE, with its bytes as an octal string."""

import hashlib
import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
         ".js": "text/javascript; charset=utf-8"}


def literal(data):
    """The bytes as a C string, 32 bytes a line."""
    return "\n".join(f'\t"{"".join(f"{chr(92)}{byte:03o}" for byte in data[at:at + 32])}"' for at in range(0, len(data), 32))


def main():
    with open(sys.argv[-1], "w", encoding="ascii") as out:
        for path in sorted(map(pathlib.Path, sys.argv[1:-1])):
            data = path.read_bytes()
            tag = hashlib.sha256(data).hexdigest()[:16]
            out.write(f'{{"{path.name}", "{TYPES[path.suffix]}", "\\"{tag}\\"", {len(data)},\n{literal(data)}}},\n')


main()
