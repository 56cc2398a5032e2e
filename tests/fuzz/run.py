#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Fuzzes a target, starting from its corpus, in a build with -Dfuzz=true: run.py BUILD TARGET [--seconds N] [--seed N] [--keep]

The corpus is also the input of the target's replayer in the tests. New inputs are minimised and written to BUILD/fuzz/TARGET/found, one
file each; --keep also adds them to tests/fuzz/corpus/TARGET/found.lines, to be committed. For a target that counts steps (steps_*) two
inputs are kept: nearest.hex, with a call nearest to its bound, and dearest.hex, with the most steps per byte. An input that breaks the
target is written to BUILD/fuzz/TARGET, and the exit status is 1.
"""

import argparse
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

FUZZ = pathlib.Path(__file__).resolve().parent
MAX_LEN = 4000
# What is maximised, and what the steps are compared with.
KINDS = {"nearest": "allowed", "dearest": "bytes and 64"}


def test_of(build, target):
    """The target's replayer, and its corpus."""
    tests = json.loads(subprocess.run(["meson", "introspect", "--tests", build], check=True, capture_output=True).stdout)
    replay, *corpus = next((test["cmd"] for test in tests if test["name"] == f"fuzz_{target}"), [None])
    return replay, [pathlib.Path(folder) for folder in corpus]


def inputs(path):
    """The inputs that a file holds."""
    if path.suffix == ".lines":
        return [bytes.fromhex(line) for line in path.read_text().splitlines()]
    if path.suffix == ".hex":
        return [bytes.fromhex("".join(line for line in path.read_text().splitlines() if not line.startswith("#")))]
    return [path.read_bytes()]


def start_folder(where, folders, vectors):
    """Both as inputs; a step counter's first byte says how the others are divided, which vectors don't say."""
    where.mkdir(parents=True)
    files = [(p, lead) for all_of, lead in ((folders, b""), (vectors, b"\0"))
             for folder in all_of for p in sorted([folder] if folder.is_file() else folder.rglob("*")) if p.is_file()]
    for number, data in enumerate(lead + data for path, lead in files for data in inputs(path)):
        (where / f"{number:05}").write_bytes(data[:MAX_LEN])
    return len(files)


def keep(found, target):
    lines = FUZZ / "corpus" / target / "found.lines"
    lines.parent.mkdir(exist_ok=True)
    have = set(lines.read_text().splitlines()) if lines.exists() else set()
    have |= {path.read_bytes().hex() for path in found.iterdir()}
    lines.write_text("".join(line + "\n" for line in sorted(have - {""}, key=lambda text: (len(text), text))))


def records(replay, kind, paths):
    """Each input that beat those before it: by how much, in words, and the input."""
    run = subprocess.run([replay, *paths], check=True, capture_output=True, text=True, env={"FUZZ_SHOW": "1", **os.environ})
    seen = re.findall(rf"^{kind} (\w+) (\d+) (\d+) (\w+)$", run.stdout, re.M)
    return [(int(took) / int(of), f"{what}: {took} steps, {of} {KINDS[kind]}", bytes.fromhex(data)) for what, took, of, data in seen]


def shorter(replay, kind, scratch, record):
    """Without all that can be left out."""
    least, _, data = record
    part = len(data) // 2
    while part:
        cuts = [data[:at] + data[at + part:] for at in range(0, len(data), part)]
        scratch.write_text("".join(cut.hex() + "\n" for cut in cuts if cut))
        better = next((cut for cut in records(replay, kind, [scratch]) if cut[0] >= least), None)
        record = better or record
        data = record[2]
        part = min(part, len(data) // 2) if better else part // 2
    return record


def keep_worst(replay, work, target, folders):
    found = work / "all.lines"  # files by themselves would be replayed cut short at each byte, too
    found.write_text("".join(path.read_bytes().hex() + "\n" for path in (work / "all").iterdir()))
    for kind in KINDS:
        by, what, data = shorter(replay, kind, work / "shorter.lines", records(replay, kind, [found, *folders])[-1])
        print(f"{target}, {kind}: {what} ({by:.3f}), input of {len(data)} bytes")
        lines = [data[at:at + 32].hex(" ") + "\n" for at in range(0, len(data), 32)]
        (FUZZ / "corpus" / target / f"{kind}.hex").write_text(f"# Of all that was found, {what}.\n" + "".join(lines))


def alone(work):
    """Waits for another run of the same target in this clone; the lock ends with the program."""
    work.parent.mkdir(exist_ok=True)
    lock = open(f"{work}.lock", "w", encoding="utf-8")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the random choices; 0: another one each time")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    build = options.build.absolute()
    replay, folders = test_of(build, options.target)
    is_steps = options.target.startswith("steps_")
    program, work = replay.removesuffix("_replay"), build / "fuzz" / options.target
    lock = alone(work)
    shutil.rmtree(work, ignore_errors=True)
    vectors = test_of(build, options.target.removeprefix("steps_"))[1] if is_steps else []
    files = start_folder(work / "start", folders, vectors)
    for name in ("all", "found"):
        (work / name).mkdir()
    run = subprocess.run([program, f"-max_total_time={options.seconds}", f"-seed={options.seed}", f"-max_len={MAX_LEN}", f"-artifact_prefix={work}/",
                          "-print_final_stats=1", work / "all", work / "start"],
                         env={"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", **os.environ})
    merge = subprocess.run([program, "-merge=1", f"-max_len={MAX_LEN}", work / "start", work / "all"], stderr=subprocess.DEVNULL)
    beyond = {p.name: p for p in (work / "start").iterdir() if not (p.name.isdigit() and len(p.name) == 5)}
    for name, path in beyond.items():
        path.rename(work / "found" / name)
    print(f"{options.target}: {files} files of corpus, {len(beyond)} inputs beyond them in {work / 'found'}")
    if options.keep and is_steps:
        keep_worst(replay, work, options.target, folders)
    elif options.keep:
        keep(work / "found", options.target)
    if run.returncode or merge.returncode:
        inputs_of_failures = ", ".join(str(path) for path in sorted(work.iterdir()) if path.is_file()) or "none left"
        print(f"FAILED: {options.target}: exit {run.returncode or merge.returncode}; inputs: {inputs_of_failures}")
    lock.close()
    sys.exit(bool(run.returncode or merge.returncode))


main()
