# SPDX-License-Identifier: Apache-2.0
"""
Builds Meltemi twice (debugoptimized, and with ASan and UBSan) and runs the tests one by one, each within its time.
Started by tests/run, which sees to the packages.

  --quick      only what needs neither root nor the sanitized build: unit, simulator, lint, documents
  --only NAME  only tests whose name holds NAME (repeat for more)
  --long       more seeds in the simulator, a gigabyte where 64 MB do otherwise, and a minute of fuzzing for each
               target (a third build, by clang)
  --list       print the names; builds nothing (a build folder that is not there is configured, for meson's tests)
"""

import argparse
import ctypes
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent
ROOT = TESTS.parent
DEBUG, ASAN, FUZZ = ROOT / "build-debug", ROOT / "build-asan", ROOT / "build-fuzz"
SKIPPED, PR_SET_PDEATHSIG = 77, 1
SANITIZED_SMOKE = ("dubbo_split_on_one_connection", "bad_input", "opaque_half_close", "kill_server_under_load")


@dataclasses.dataclass
class Job:
    name: str
    argv: list
    seconds: int
    env: dict = dataclasses.field(default_factory=dict)
    root: bool = False
    cwd: pathlib.Path = ROOT


@dataclasses.dataclass
class Tally:
    passed: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)
    skipped: list = dataclasses.field(default_factory=list)
    again: list = dataclasses.field(default_factory=list)
    expected: list = dataclasses.field(default_factory=list)

    def line(self):
        more = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{len(self.passed)} passed, {len(self.failed)} failed{more}"


def say(text):
    print(text, flush=True)


def die_with_runner():
    """What is started does not outlive a runner that was killed: its labs see to their own processes."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run_limited(argv, seconds, env=None, cwd=ROOT):
    """(exit status, output); a program that outlives its time is ended with all that it started."""
    started = subprocess.Popen([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
                               preexec_fn=die_with_runner, env={**os.environ, **(env or {})})
    beat = threading.Event()

    def still_running():
        began = time.monotonic()
        while not beat.wait(30):
            say(f"      ... {time.monotonic() - began:.0f} s")

    threading.Thread(target=still_running, daemon=True).start()
    try:
        output, _ = started.communicate(timeout=seconds)
        return started.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGTERM)
        try:
            output, _ = started.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            output, _ = started.communicate()
        return None, (output or "") + f"\nnot finished within {seconds} s"
    except BaseException:
        os.killpg(started.pid, signal.SIGTERM)
        raise
    finally:
        beat.set()


def build(directory, *options, env=None):
    began = time.monotonic()
    say(f"build {directory.name} {' '.join(options)}")
    if not (directory / "build.ninja").exists():
        status, output = run_limited(["meson", "setup", directory, *options], 120, env)
        if status:
            say(output[-3000:])
            return False
    status, output = run_limited(["ninja", "-C", directory], 1800)
    if status != 0:
        say(output[-4000:])
    say(f"    {'done' if status == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s")
    return status == 0


def configured(directory, *options):
    """What meson knows of its tests is up to date; nothing is compiled."""
    fresh = not (directory / "build.ninja").exists()
    argv = ["meson", "setup", directory, *options] if fresh else ["ninja", "-C", directory, "build.ninja"]
    status, output = run_limited(argv, 120)
    if status:
        say(output[-3000:])
    return status == 0


def meson_jobs(directory, prefix, suites=None):
    """The tests that meson knows in a build directory, with its time limits."""
    status, output = run_limited(["meson", "introspect", "--tests", directory], 60)
    if status:
        return []
    jobs = []
    for test in json.loads(output):
        suite = test["suite"][0].split(":")[-1] if test["suite"] else "test"
        if suites is None or suite in suites:
            env = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1", **test["env"]} if prefix else test["env"]
            jobs.append(Job(f"{prefix}{suite}/{test['name']}", test["cmd"], test["timeout"] * (2 if prefix else 1), env,
                            cwd=pathlib.Path(test["workdir"] or directory)))
    return jobs


def scripts(folder, pattern, seconds, root, prefix="", env=None):
    found = sorted(p for p in folder.glob(pattern) if os.access(p, os.X_OK) and p.is_file())
    return [Job(f"{prefix}{p.parent.relative_to(TESTS)}/{p.stem}", ["/usr/bin/python3", p] if p.suffix == ".py" else [p],
                seconds, env or {}, root) for p in found]


def simulator(options):
    """A fixed set of seeds; the mutants are meson's own tests."""
    program = DEBUG / "tests/sim/sim"
    if not program.exists() and not options.list:
        return []
    seeds = "1-50000" if options.long else "1-2000"
    return [Job(f"sim/seeds-{seeds}", [program, "--seeds", seeds, "--jobs", "all"], 5400 if options.long else 600)]


def differential(options):
    """lib/tcp beside the kernel's TCP; and with rules broken, each of which must be noticed."""
    program = DEBUG / "tests/differential/run"
    if not program.exists() and not options.list:
        return []
    seeds = "1-100000" if options.long else "1-10000"
    breaks = "paws_off,paws_of_rst,ts_recent_of_any,ts_missing_taken,rst_in_window_believed,syn_resets," \
             "outside_unanswered,text_after_fin,fin_ack_delayed,closing_skipped,close_wait_skipped,abort_silent," \
             "options_after_end,options_bad_taken,scale_unlimited,half_rst_anywhere,half_bad_ack,tw_rst,tw_any_syn," \
             "refused_without_ack,syn_sent_any_ack,isn_stands_still,dup_ack_of_any,sack_oldest_first," \
             "checksum_not_verified,ack_of_unsent,mss_without_options,window_stays_shut,window_taken_back," \
             "leaked_mbuf,overlap_not_trimmed,reset_out_of_window,deaf_half_closed,early_eof,timestamp_unchecked"
    return [Job(f"differential/seeds-{seeds}", [program, "--seeds", seeds], 900 if options.long else 180, root=True),
            Job("differential/breaks", [program, "--break", breaks], 600, root=True)]


def jobs_of(options):
    debug = {"MELTEMI_BUILD": str(DEBUG)}
    jobs = meson_jobs(DEBUG, "") + simulator(options)
    jobs += scripts(TESTS / "lint", "*", 300, False, env=debug) + scripts(TESTS / "documents", "*", 120, False, env=debug)
    if options.quick:
        return jobs
    asan = {"MELTEMI_BUILD": str(ASAN), "MELTEMI_SLOW": "1"}
    known = DEBUG if options.list else ASAN  # the names are the same
    jobs += meson_jobs(known, "asan/", ("unit", "sim"))  # that broken programs are broken is shown by the other build
    if (ASAN / "tests/sim/sim").exists() or options.list:
        jobs.append(Job("asan/sim/seeds-1-200", [ASAN / "tests/sim/sim", "--seeds", "1-200"], 900,
                        {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}))
    jobs += differential(options)
    longer = {"MELTEMI_LONG": "1"} if options.long else {}
    jobs += scripts(TESTS / "smoke", "*.py", 1200 if options.long else 180, True, env={**debug, **longer})
    jobs += scripts(TESTS / "attack", "*.py", 900 if options.long else 240, True, env={**debug, **longer})
    for name in SANITIZED_SMOKE:
        jobs += scripts(TESTS / "smoke", f"{name}.py", 300, True, "asan/", asan)
    if options.long:
        targets = [p for p in sorted((FUZZ / "tests/fuzz").glob("fuzz_*")) if p.is_file() and not p.name.endswith("_replay")]
        jobs += [Job(f"fuzz/{p.name}", [p, "-max_total_time=60", "-max_len=2048", f"-artifact_prefix={FUZZ}/"], 180)
                 for p in targets]
        jobs += scripts(TESTS / "interop", "*/long_*", 1500, True, env=debug)
    return jobs + scripts(TESTS / "interop", "*/test_*", 600, True, env={**debug, **longer})


def builds(options):
    if options.list:
        return configured(DEBUG, "-Dbuildtype=debugoptimized", "-Dwerror=true")
    good = build(DEBUG, "-Dbuildtype=debugoptimized", "-Dwerror=true")
    if not options.quick:
        good = build(ASAN, "-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined", "-Db_lundef=false") and good
    if options.long:
        good = build(FUZZ, "-Dbuildtype=debugoptimized", "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                     env={"CC": "clang", "CXX": "clang++"}) and good
    return good


def expected_failures():
    """tests/expected_failures: {name: (what it says, why)}."""
    lines = [line for line in (TESTS / "expected_failures").read_text().splitlines() if line.strip() and not line.startswith("#")]
    table = {}
    for line in lines:
        name, words, why = (field.strip() for field in line.split(" | "))
        if not (TESTS / f"{name}.py").exists():
            sys.exit(f"tests/expected_failures: there is no test {name}")
        table[name] = (words, why)
    return table


EXPECTED = expected_failures()


def as_expected(job, status, output, tally):
    """The verdict on a test that should fail, or None: then it has failed as any other."""
    words, why = EXPECTED[job.name]
    if status == 1 and any(re.search(words, line) for line in output.splitlines() if line.startswith("FAILED: ")):
        tally.expected.append(job.name)
        return f"failed as expected: {why}"
    if status == 0:
        tally.failed.append(job.name)
        return "FAILED: it passed; take it off tests/expected_failures"
    return None


def verdict(job, status, output, tally):
    """In CI a skipped interop test is a failure: its peers must be there."""
    last = output.strip().splitlines()[-1] if output.strip() else ""
    found = as_expected(job, status, output, tally) if job.name in EXPECTED else None
    if found:
        return found
    if status == SKIPPED and not (os.environ.get("CI") == "true" and job.name.startswith("interop")):
        tally.skipped.append(job.name)
        return f"skipped: {last.removeprefix('SKIPPED: ')}"
    if status == 0:
        tally.passed.append(job.name)
        return "passed"
    tally.failed.append(job.name)
    say("\n".join("      | " + line for line in output.strip().splitlines()[-40:]))
    return f"FAILED (exit {status})" if status is not None else "FAILED (too slow)"


def attempt(job, tally):
    """
    Labs share two cores with their peers, and a machine that stops for a second can fail one: they have a second try,
    which the last lines name. All other tests have virtual time and one try.
    """
    status, output = run_limited(job.argv, job.seconds, job.env, job.cwd)
    if not job.root or status in (0, SKIPPED) or job.name in EXPECTED:
        return status, output
    say("\n".join("      | " + line for line in output.strip().splitlines()[-40:]))
    say("    failed; the second try:")
    tally.again.append(job.name)
    return run_limited(job.argv, job.seconds, job.env, job.cwd)


def run_all(jobs, tally):
    for number, job in enumerate(jobs, 1):
        if job.root and os.geteuid():
            tally.skipped.append(job.name)
            say(f"[{number}/{len(jobs)}] {job.name}: skipped: needs root")
            continue
        say(f"[{number}/{len(jobs)}] {job.name}")
        began = time.monotonic()
        status, output = attempt(job, tally)
        say(f"    {verdict(job, status, output, tally)} ({time.monotonic() - began:.1f} s)")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    began, tally = time.monotonic(), Tally()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not builds(options):
        tally.failed.append("build")
        say(f"the build failed\n{tally.line()}")
        return 1
    jobs = [job for job in jobs_of(options) if not options.only or any(name in job.name for name in options.only)]
    if options.list:
        say("\n".join(job.name for job in jobs))
        return 0
    if not jobs:
        say(f"no test is named like {options.only}")
        return 2
    try:
        run_all(jobs, tally)
    except KeyboardInterrupt:
        tally.failed.append("interrupted")
    for name in tally.again:
        say(f"needed a second try: {name}")
    if tally.expected:
        say(f"as expected (tests/expected_failures), {len(tally.expected)} did not pass")
    for name in tally.failed:
        say(f"failed: {name}")
    say(f"in {time.monotonic() - began:.0f} s")
    say(tally.line())
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
