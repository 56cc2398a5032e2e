# SPDX-License-Identifier: Apache-2.0
"""
Builds what the chosen tests need (debugoptimized; and with ASan and UBSan) and runs them, several beside each other, each within its
time. Started by tests/run, which sees to the packages.

  --quick      an answer in two minutes: unit tests, some seeds of the simulators, lint, documents; neither root nor the sanitized
               build nor broken programs
  --only NAME  only tests whose name holds NAME (repeat for more)
  --long       more seeds in the simulator, a gigabyte where 64 MB do otherwise, all labs with the sanitized build, and a minute of
               fuzzing for each target (a third build, by clang)
  --list       print the names; builds nothing (a build folder that is not there is configured, for meson's tests)
  --hugepages on|off  labs have them, or have not; as the machine has them otherwise
  --jobs N     as if there were N cores
"""

import argparse
import os
import pathlib
import signal
import sys
import time

from running import pool, verdict
from running.build import built, configured, known_of
from running.hugepages import as_wanted
from running.job import A_CORE, ALL_CORES, ASAN, DEBUG, FUZZ, TESTS, TSAN, WAITS, Job
from running.process import end_all, run_limited

SANITIZED_SMOKE = ("dubbo_split_on_one_connection", "bad_input", "opaque_half_close", "kill_server_under_load")
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1",
             "LSAN_OPTIONS": f"suppressions={TESTS}/leaks.supp:print_suppressions=0"}
DAEMON = ("app/meltemid/meltemid", "app/meltemi/meltemi")
LAB = (*DAEMON, "bench/blast/meltemi-blast", "tests/attack/flood", "tests/smoke/impair", "tests/interop/xds/xds_probe",
       "tests/interop/tls/tls_peer", "tests/interop/authz/authz_judge")
OUTCOMES = ("tests/tcpscript/run", "tests/sim/sim", *(f"tests/unit/unit_{room}" for room in (
    "buf", "dns", "filter", "net", "port", "proxy", "tcp", "upstream", "worker")))  # what outcome_rows runs
LINT = {"lint/metrics_page": DAEMON, "lint/tcp_page": ("tests/tcpscript/run",), "lint/outcome_rows": OUTCOMES}


def meson_jobs(known, options):
    """The tests that meson knows, with its time limits; those of the sanitized build have the same names."""
    jobs = []
    for test in known:
        suite = test["suite"][0].split(":")[-1] if test["suite"] else "test"
        if options.quick and suite in ("mutants", "bench"):
            continue
        targets = ("all",) if suite == "bench" else test["files"]
        jobs.append(Job(f"{suite}/{test['name']}", test["cmd"], test["timeout"], test["env"], cwd=DEBUG, targets=targets,
                        alone=suite == "bench"))
    if options.quick:
        return jobs
    for test in known:
        suite = test["suite"][0].split(":")[-1] if test["suite"] else "test"
        if suite in ("unit", "sim"):  # that broken programs are broken is shown by the other build
            jobs.append(Job(f"asan/{suite}/{test['name']}", [word.replace(str(DEBUG), str(ASAN)) for word in test["cmd"]],
                            test["timeout"] * 2, {**SANITIZED, **test["env"]}, cwd=ASAN, build=ASAN, targets=test["files"]))
    return jobs


def scripts(folder, pattern, seconds, env, root=True, build=DEBUG, targets=LAB, prefix=""):
    found = sorted(p for p in folder.glob(pattern) if os.access(p, os.X_OK) and p.is_file())
    out = []
    for p in found:
        name = f"{p.parent.relative_to(TESTS)}/{p.stem}"
        out.append(Job(prefix + name, ["/usr/bin/python3", p] if p.suffix == ".py" else [p], seconds, env, root, build=build,
                       targets=targets, weight=WAITS if root else A_CORE, alone=name in verdict.WALL_CLOCK))
    return out


# Rooms whose unit tests run threads, and which of their tests (a part of their names, or their suite's; empty: all).
THREADED = {"filter": "", "identity": "read elsewhere", "jwt": "all slots", "net": "", "observe": "none is torn", "proxy": "filters", "tls": "threads", "upstream": "", "worker": ""}


def simulator(options):
    """A fixed set of seeds; the mutants are meson's own tests."""
    sim = "tests/sim/sim"
    if options.quick:
        return [Job("sim/seeds-1-300", [DEBUG / sim, "--seeds", "1-300", "--jobs", "all"], 600, targets=(sim,), weight=ALL_CORES)]
    seeds = "1-50000" if options.long else "1-2000"
    return [Job(f"sim/seeds-{seeds}", [DEBUG / sim, "--seeds", seeds, "--jobs", "all"], 5400 if options.long else 900, targets=(sim,),
                weight=ALL_CORES),
            Job("asan/sim/seeds-1-200", [ASAN / sim, "--seeds", "1-200"], 900, SANITIZED, build=ASAN, targets=(sim,))]


def differential(options):
    """lib/tcp beside the kernel's TCP; and with rules broken, each of which must be noticed."""
    program = "tests/differential/run"
    seeds = "1-100000" if options.long else "1-10000"
    breaks = "paws_off,paws_of_rst,ts_recent_of_any,ts_missing_taken,rst_in_window_believed,syn_resets," \
             "outside_unanswered,text_after_fin,fin_ack_delayed,closing_skipped,close_wait_skipped,abort_silent," \
             "options_after_end,options_bad_taken,scale_unlimited,half_rst_anywhere,half_bad_ack,tw_rst,tw_any_syn," \
             "refused_without_ack,syn_sent_any_ack,isn_stands_still,dup_ack_of_any,sack_oldest_first," \
             "checksum_not_verified,ack_of_unsent,mss_without_options,window_stays_shut,window_taken_back," \
             "leaked_mbuf,overlap_not_trimmed,reset_out_of_window,deaf_half_closed,early_eof,timestamp_unchecked"
    return [Job(f"differential/seeds-{seeds}", [DEBUG / program, "--seeds", seeds], 900 if options.long else 300, root=True,
                targets=(program,)),
            Job("differential/breaks", [DEBUG / program, "--break", breaks], 600, root=True, targets=(program,))]


def labs(options):
    longer = {"MELTEMI_LONG": "1"} if options.long else {}
    debug, asan = {"MELTEMI_BUILD": str(DEBUG), **longer}, {"MELTEMI_BUILD": str(ASAN), "MELTEMI_SLOW": "1"}
    jobs = scripts(TESTS / "smoke", "*.py", 1200 if options.long else 240, debug)
    jobs += scripts(TESTS / "attack", "*.py", 900 if options.long else 240, debug)
    for name in ("*",) if options.long else SANITIZED_SMOKE:
        jobs += scripts(TESTS / "smoke", f"{name}.py", 600, asan, build=ASAN, prefix="asan/")
    if options.long:
        jobs += scripts(TESTS / "interop", "*/long_*", 1500, debug)
    return jobs + scripts(TESTS / "interop", "*/test_*", 600, debug)


def threads():
    """The unit tests that run threads, under ThreadSanitizer."""
    return [Job(f"tsan/unit/{room}", [TSAN / f"tests/unit/unit_{room}", which], 900, {"TSAN_OPTIONS": "halt_on_error=1:exitcode=66"},
                build=TSAN, targets=(f"tests/unit/unit_{room}",)) for room, which in THREADED.items()]


def fuzzers(known):
    """Each from its corpus on; what is found beyond it is left in the build folder, see tests/fuzz/run.py."""
    replayers = [pathlib.Path(test["cmd"][0]).relative_to(DEBUG) for test in known if test["name"].startswith("fuzz_")]
    programs = [path.with_name(path.name.removesuffix("_replay")) for path in replayers]
    return [Job(f"fuzz/{path.name}", [TESTS / "fuzz/run.py", FUZZ, path.name.removeprefix("fuzz_")], 600,
                build=FUZZ, targets=(str(path),)) for path in programs]


def jobs_of(options):
    debug = {"MELTEMI_BUILD": str(DEBUG)}
    known, rooms = known_of(DEBUG)
    jobs = meson_jobs(known, options) + simulator(options) + scripts(TESTS / "documents", "*", 300, debug, root=False, targets=DAEMON)
    jobs += scripts(TESTS / "documents/real", "check.py", 60, debug, root=False, targets=())
    jobs += scripts(TESTS / "documents/real", "run.py", 300, debug, root=False, targets=DAEMON)
    jobs += scripts(TESTS / "documents/analyse", "run.py", 300, debug, root=False, targets=DAEMON)
    jobs += scripts(TESTS / "documents/istiod", "run.py", 300, debug, root=False, targets=("tests/golden/picture",))
    for job in scripts(TESTS / "lint", "*", 300, debug, root=False):
        job.targets = rooms if job.name == "lint/style" else LINT.get(job.name, ())
        jobs.append(job)
    if options.quick:
        return jobs
    jobs += scripts(TESTS / "documents/real", "orders.py", 600, debug, root=False, targets=(*DAEMON, "tests/golden/picture"))
    return jobs + differential(options) + threads() + labs(options) + (fuzzers(known) if options.long else [])


def builds(jobs):
    good = True
    for directory in (DEBUG, ASAN, TSAN, FUZZ):
        chosen = [job for job in jobs if job.build == directory]
        targets = {target for job in chosen for target in job.targets}
        good = (not targets or built(directory, targets)) and good
    return good


class Runner:
    def __init__(self, jobs):
        self.jobs, self.tally, self.number = jobs, verdict.Tally(), 0

    def work(self, job):
        if job.root and os.geteuid():
            return verdict.SKIPPED, "SKIPPED: needs root"
        status, output = run_limited(job.argv, job.seconds, job.env, job.cwd)
        if not self.again(job, status):
            return status, output
        print(f"{verdict.quote(output)}\n    {job.name} failed; the second try:", flush=True)
        self.tally.again.append(job.name)
        return run_limited(job.argv, job.seconds, job.env, job.cwd)

    @staticmethod
    def again(job, status):
        """Of labs whose verdict hangs on the machine's time, and nothing else."""
        name = job.name.removeprefix("asan/")
        return status not in (0, verdict.SKIPPED) and name in verdict.WALL_CLOCK and name not in verdict.EXPECTED

    def done(self, job, result, seconds):
        self.number += 1
        said = verdict.judge(job, *result, self.tally)
        print(f"[{self.number}/{len(self.jobs)}] {job.name}: {said} ({seconds:.1f} s)", flush=True)

    def run(self, cores):
        beside = [job for job in self.jobs if not job.alone]
        # Who needs all cores begins; who computes for minutes does not come last.
        beside.sort(key=lambda job: (-job.weight, -job.seconds))
        pool.run(beside, cores * A_CORE, self.work, self.done)
        pool.run([job for job in self.jobs if job.alone], 1, self.work, self.done)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--hugepages", choices=("on", "off"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main():
    options = arguments()
    began = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    good = configured(DEBUG)
    jobs = [job for job in jobs_of(options) if not options.only or any(name in job.name for name in options.only)] if good else []
    if options.list:
        print("\n".join(job.name for job in jobs), flush=True)
        return 0 if good else 1
    if good and not jobs:
        print(f"no test is named like {options.only}", flush=True)
        return 2
    runner = Runner(jobs)
    try:
        if not good or not builds(jobs):
            print("the build failed", flush=True)
            runner.tally.failed.append("build")
        else:
            with as_wanted(options.hugepages, A_CORE * options.jobs):
                runner.run(options.jobs)
    except KeyboardInterrupt:
        runner.tally.failed.append("interrupted")
    finally:
        end_all()
    return runner.tally.close(time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
