#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Folders of lib/proxy (docs/internals/proxy.md): a folder uses those below it, and hands events up by const tables only.

  tests/lint/folders.py    fails if a function is used against this direction
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build-debug"))
PROXY = ROOT / "lib/proxy"
TOP, BASE = "(worker)", "(base)"  # of lib/proxy itself: what stands on all folders, and what all folders stand on
FOLDERS = (TOP, "client", "call", "session", "access", "pool", "endpoint", BASE)
BASE_FILES = {"callers.c", "chain.c", "chain_names.c", "chain_opaque.c", "chain_service.c", "deadline.c", "log_metadata.c", "node_limits.c", "outcomes.c", "snapshot.c",
              "states.c", "stream_log.c", "timeout.c", "trace.c"}
TABLES = re.compile(r"\.rodata|\.data\.rel\.ro")
LONGEST_HEADER = 300  # lines of a header that is not public
# The headers of lib/proxy itself that belong to its top. All folders may include the other ones.
TOP_HEADERS = {"mt_proxy_priv.h", "mt_proxy_image_priv.h"}


def folder_of(path):
    """The folder of a source of lib/proxy, by its path below that."""
    folder, _, name = path.rpartition("/")
    return folder or (BASE if name in BASE_FILES else TOP)


def above(user, owner):
    return FOLDERS.index(owner) < FOLDERS.index(user)


def symbols(text):
    """What `nm -f sysv` prints of an archive: (object, symbol, section), section *UND* if the object uses it."""
    member = ""
    for line in text.splitlines():
        if line.startswith("Symbols from "):
            member = re.search(r"(\w+)\.c\.o", line)[1]
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 7 and re.match(r"mt_\w+$", cells[0]) and (cells[2] == "U" or cells[2].isupper()):
            yield member, cells[0], cells[6]


def upward(found, folders):
    """{(user, owner, function)} that are used against the direction; folders: {object: folder}."""
    found = list(found)
    owner = {name: folders[member] for member, name, section in found if section != "*UND*" and not TABLES.match(section)}
    return {(folders[member], owner[name], name) for member, name, section in found
            if section == "*UND*" and name in owner and above(folders[member], owner[name])}


def sources():
    """{name of its object: path below lib/proxy}"""
    return {"proxy_" + str(path.relative_to(PROXY))[:-2].replace("/", "_"): str(path.relative_to(PROXY)) for path in PROXY.rglob("*.c")}


def owner_of_header(name):
    """The folder of an included header; None: any folder may include it."""
    folder = name.partition("/")[0]
    if folder in FOLDERS:
        return folder
    return TOP if name in TOP_HEADERS else None


def includes():
    for path in sorted([*PROXY.rglob("*.c"), *PROXY.rglob("*.h")]):
        name = str(path.relative_to(PROXY))
        user, types = folder_of(name), name.endswith("_types.h")
        if path.suffix == ".h" and "/" not in name:
            continue
        for header in re.findall(r'^#include "([\w/]+\.h)"', path.read_text(), re.M):
            owner = owner_of_header(header)
            if owner and above(user, owner):
                yield f"lib/proxy/{name} includes {header} of a folder above it"
            if types and re.search(r"_(?:priv|base|user)\.h$", header):
                yield f"lib/proxy/{name} has types, and includes {header}, which has calls"


def headers():
    for path in sorted(PROXY.rglob("*.h")):
        lines = path.read_text().count("\n")
        if lines > LONGEST_HEADER:
            yield f"{path.relative_to(ROOT)}: {lines} lines, more than {LONGEST_HEADER}: split it by topic"


def blind_to():
    """Faults of this lint itself, by a sample."""
    text = """
Symbols from a.a[a.p/proxy_pool_a.c.o]:

mt_low              |0000000000000000|   T  |              FUNC|0000000000000001|     |.text
mt_high             |                |   U  |            NOTYPE|                |     |*UND*
mt_events           |                |   U  |            NOTYPE|                |     |*UND*

Symbols from a.a[a.p/proxy_client_a.c.o]:

mt_high             |0000000000000000|   T  |              FUNC|0000000000000001|     |.text
mt_events           |0000000000000000|   D  |            OBJECT|0000000000000008|     |.data.rel.ro
mt_low              |                |   U  |            NOTYPE|                |     |*UND*
"""
    seen = upward(symbols(text), {"proxy_pool_a": "pool", "proxy_client_a": "client"})
    if seen != {("pool", "client", "mt_high")}:
        yield f"this check finds {seen} in its own sample"


def faults(used):
    for user, owner, name in sorted(used):
        yield f"lib/proxy: {user} uses {name}() of {owner}, which is above it: move it, or report an event by a table (docs/internals/proxy.md)"


def main():
    archive, known = BUILD / "lib/libmt_proxy.a", sources()
    if not archive.exists():
        print(f"{archive} is not built: the functions that folders use cannot be looked at")
        return 1
    found = list(symbols(subprocess.run(["nm", "-f", "sysv", archive], capture_output=True, text=True, check=True).stdout))
    stale = {member for member, _, _ in found} - set(known)
    if stale:
        print(f"{archive} has {', '.join(sorted(stale))}, which is not in lib/proxy: build it again")
        return 1
    used = upward(found, {name: folder_of(path) for name, path in known.items()})
    wrong = [*blind_to(), *faults(used), *includes(), *headers()]
    print("\n".join(wrong) or f"{len(known)} files in {len(FOLDERS) - 2} folders, no use against the direction")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
