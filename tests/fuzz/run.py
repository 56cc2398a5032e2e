#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Fuzzes one target from its corpus on, in a build with -Dfuzz=true: run.py BUILD TARGET [--seconds N] [--keep]

The corpus is what the target's replayer gets as a test. What is found beyond it, minimised, is left in
BUILD/fuzz/TARGET/found, a file each; with --keep it also becomes lines of tests/fuzz/corpus/TARGET/found.lines, to be
committed. An input that breaks the target is left in BUILD/fuzz/TARGET, and the exit status is not 0.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

FUZZ = pathlib.Path(__file__).resolve().parent
MAX_LEN = 2048


def corpus_of(build, target):
    tests = json.loads(subprocess.run(["meson", "introspect", "--tests", build], check=True, capture_output=True).stdout)
    return [pathlib.Path(a) for test in tests if test["name"] == f"fuzz_{target}" for a in test["cmd"][1:]]


def inputs(path):
    """The inputs that a file holds."""
    if path.suffix == ".lines":
        return [bytes.fromhex(line) for line in path.read_text().splitlines()]
    if path.suffix == ".hex":
        return [bytes.fromhex("".join(line for line in path.read_text().splitlines() if not line.startswith("#")))]
    return [path.read_bytes()]


def start_folder(where, folders):
    where.mkdir(parents=True)
    files = sorted(p for folder in folders for p in ([folder] if folder.is_file() else folder.rglob("*")) if p.is_file())
    for number, data in enumerate(data for path in files for data in inputs(path)):
        (where / f"{number:05}").write_bytes(data[:MAX_LEN])
    return len(files)


def keep(found, target):
    lines = FUZZ / "corpus" / target / "found.lines"
    lines.parent.mkdir(exist_ok=True)
    have = set(lines.read_text().splitlines()) if lines.exists() else set()
    have |= {path.read_bytes().hex() for path in found.iterdir()}
    lines.write_text("".join(line + "\n" for line in sorted(have - {""}, key=lambda text: (len(text), text))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    build = options.build.absolute()
    program, work = build / "tests/fuzz" / f"fuzz_{options.target}", build / "fuzz" / options.target
    shutil.rmtree(work, ignore_errors=True)
    files = start_folder(work / "start", corpus_of(build, options.target))
    for name in ("all", "found"):
        (work / name).mkdir()
    run = subprocess.run([program, f"-max_total_time={options.seconds}", f"-max_len={MAX_LEN}", f"-artifact_prefix={work}/",
                          "-print_final_stats=1", work / "all", work / "start"],
                         env={"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", **os.environ})
    merge = subprocess.run([program, "-merge=1", f"-max_len={MAX_LEN}", work / "start", work / "all"], stderr=subprocess.DEVNULL)
    beyond = {p.name: p for p in (work / "start").iterdir() if not (p.name.isdigit() and len(p.name) == 5)}
    for name, path in beyond.items():
        path.rename(work / "found" / name)
    print(f"{options.target}: {files} files of corpus, {len(beyond)} inputs beyond them in {work / 'found'}")
    if options.keep:
        keep(work / "found", options.target)
    sys.exit(run.returncode or merge.returncode)


main()
