# SPDX-License-Identifier: Apache-2.0
"""Makes what the chosen tests need, and nothing else. Two runners may do it at once: one waits for the other."""

import contextlib
import fcntl
import json
import time

from .job import ASAN, DEBUG, FUZZ, ROOT, TSAN
from .process import run_limited

SANITIZED = ("-Db_sanitize=address,undefined", "-Db_lundef=false")
OPTIONS = {DEBUG: ("-Dwerror=true",), ASAN: SANITIZED, FUZZ: ("-Dfuzz=true", *SANITIZED),
           TSAN: ("-Db_sanitize=thread", "-Db_lundef=false")}
ENVIRONMENT = {FUZZ: {"CC": "clang", "CXX": "clang++"}}


@contextlib.contextmanager
def _mine():
    with open(ROOT / "meson.build", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def configured(directory):
    """What meson knows of its tests is up to date; nothing is compiled."""
    with _mine():
        fresh = not (directory / "build.ninja").exists()
        setup = ["meson", "setup", directory, "-Dbuildtype=debugoptimized", *OPTIONS[directory]]
        status, output = run_limited(setup if fresh else ["ninja", "-C", directory, "build.ninja"], 180, ENVIRONMENT.get(directory))
    if status:
        print(output[-3000:], flush=True)
    return status == 0


def built(directory, targets):
    began = time.monotonic()
    what = [] if "all" in targets else sorted(targets)
    print(f"build {directory.name}: {f'{len(what)} targets' if what else 'all'}", flush=True)
    if not configured(directory):
        return False
    with _mine():
        status, output = run_limited(["ninja", "-C", directory, *what], 3600)
    if status != 0:
        print(output[-4000:], flush=True)
    print(f"    {'done' if status == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
    return status == 0


def known_of(directory):
    """(meson's tests: what `meson introspect` says of them, and the files that each needs; the files of the rooms' libraries)."""
    status, output = run_limited(["meson", "introspect", "--tests", "--targets", directory], 60)
    if status:
        raise SystemExit(output)
    found = json.loads(output)
    files = {target["id"]: [name.removeprefix(f"{directory}/") for name in target["filename"]] for target in found["targets"]}
    for test in found["tests"]:
        test["files"] = tuple(name for ident in test["depends"] for name in files.get(ident, []))
    rooms = [name for target in found["targets"] if target["name"].startswith("mt_") for name in files[target["id"]]]
    return found["tests"], tuple(rooms)
