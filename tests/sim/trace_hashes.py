#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares hashes of the simulator's traces: every packet, event and outcome with its virtual time.

  trace_hashes.py                      the cases that the file trace_hashes keeps, as the default run does
  trace_hashes.py --renew              writes their hashes, after a change of behaviour on purpose
  trace_hashes.py --with=--log         the same hashes with an option of the simulator that changes nothing
  trace_hashes.py --against main       these cases and seeds 1-2000, with the simulator of another revision

Exit: 0 equal, 1 a hash differs or a seed failed, 2 the simulator or the revision cannot be used.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = HERE / "trace_hashes"
SHOWN = 10  # differences that are listed
HEAD = """\
# Hashes of the simulator's traces, for each case a line: scenario, seed, hash. They change with each change of behaviour;
# tests/sim/trace_hashes.py --renew writes them again (docs/testing/simulator.md#trace-hashes).
"""


def fail(text, status=2):
    print(text, file=sys.stderr)
    raise SystemExit(status)


def table(lines):
    """{(scenario, seed): hash or None} of lines "scenario seed [hash]"."""
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return {(row[0], row[1]): row[2] if len(row) > 2 else None for row in rows}


def hashes(sim, *arguments):
    """What the simulator prints for these cases or seeds. A seed that fails has a hash, too."""
    done = subprocess.run([sim, "--trace-hash", "--json", "--keep-going", *arguments], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode not in (0, 1):
        fail(done.stderr)
    print("".join(f"{line}\n" for line in lines if line.startswith("seed ") and " FAILED: " in line), end="")
    return table(line for line in lines if len(line.split()) == 3 and len(line.split()[2]) == 16)


def first_difference(sims, scenario, seed):
    """The first line in which the traces of two simulators differ."""
    runs = [subprocess.Popen([sim, "--scenario", scenario, "--seeds", seed, "--trace-hash", "--verbose"], stdout=subprocess.PIPE, text=True)
            for sim in sims]
    for was, now in zip(*(run.stdout for run in runs)):
        if was != now:
            break
    for run in runs:
        run.kill()
        run.wait()
    return "  no line differs: bytes of packets do" if was == now else f"  was: {was}  now: {now.rstrip()}"


def compare(was, now, sims=None):
    """Lists cases whose hashes differ; returns how many."""
    differ = [case for case in was if was[case] != now.get(case)]
    for scenario, seed in differ[:SHOWN]:
        print(f"{scenario} {seed}: {was[scenario, seed]} is now {now.get((scenario, seed), 'missing')}")
        if sims:
            print(first_difference(sims, scenario, seed))
    if differ:
        print(f"{len(differ)} of {len(was)} traces differ")
    return len(differ)


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **more)
    if done.returncode:
        fail(f"{' '.join(map(str, words))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


def sim_of(revision, build):
    """The simulator of a revision, built once in a worktree of its own."""
    sys.path.insert(0, str(ROOT / "tests"))
    from running import cache  # pylint: disable=import-outside-toplevel,import-error
    commit = run("git", "-C", ROOT, "rev-parse", "--verify", f"{revision}^{{commit}}")
    kept = build / "tests/sim" / f"sim-{commit[:12]}"
    if kept.exists():
        return kept
    env = {**os.environ, **cache.environment()[0], **cache.compilers()}
    with tempfile.TemporaryDirectory(prefix="meltemi-sim-") as scratch:
        tree = pathlib.Path(scratch, "tree")
        run("git", "-C", ROOT, "worktree", "add", "--detach", tree, commit)
        try:
            run("meson", "setup", tree / "build", tree, "-Dbuildtype=debugoptimized", env=env)
            run("nice", "ninja", "-C", tree / "build", "tests/sim/sim", env=env)
            shutil.copy2(tree / "build/tests/sim/sim", kept)
        finally:
            run("git", "-C", ROOT, "worktree", "remove", "--force", tree)
    return kept


def against(options):
    sims = [sim_of(options.against, options.sim.parents[2]), options.sim]
    differ = 0
    for arguments in (["--cases", KEPT], ["--seeds", options.seeds, "--jobs", "all"]):
        differ += compare(*(hashes(sim, *arguments) for sim in sims), sims)
    return differ


def unchanged(options):
    """Every n-th case with options that must not change it."""
    rows = [line for line in KEPT.read_text().splitlines() if not line.startswith("#")][::options.every]
    with tempfile.NamedTemporaryFile("w", prefix="meltemi-cases-") as cases:
        cases.write("".join(f"{row}\n" for row in rows))
        cases.flush()
        return compare(table(rows), hashes(options.sim, *options.also, "--cases", cases.name))


def kept(options):
    was, now = table(KEPT.read_text().splitlines()), hashes(options.sim, "--cases", KEPT)
    if options.renew:
        KEPT.write_text(HEAD + "".join(f"{scenario} {seed} {now[scenario, seed]}\n" for scenario, seed in was))
        print(f"{sum(was[case] != now[case] for case in was)} of {len(was)} hashes have changed")
        return 0
    differ = compare(was, now)
    if differ:
        print("If the change of behaviour is intended: tests/sim/trace_hashes.py --renew, and the commit names the change.")
        print("If not, to find it: tests/sim/trace_hashes.py --against main")
    return differ


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", type=pathlib.Path, default=ROOT / "build-debug/tests/sim/sim")
    parser.add_argument("--renew", action="store_true")
    parser.add_argument("--against", metavar="REVISION")
    parser.add_argument("--seeds", default="1-2000")
    parser.add_argument("--with", dest="also", metavar="OPTION", action="append", help="--with=--log: an option of the simulator that changes no trace")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="with --with: every N-th case")
    options = parser.parse_args()
    options.sim = options.sim.resolve()
    if not options.sim.exists():
        fail(f"{options.sim} is not built: ninja -C {options.sim.parents[2]} tests/sim/sim")
    check = against if options.against else unchanged if options.also else kept
    return 1 if check(options) else 0


if __name__ == "__main__":
    sys.exit(main())
