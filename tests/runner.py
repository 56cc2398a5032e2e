# SPDX-License-Identifier: Apache-2.0
"""
Builds what the chosen tests need (a plain build, sanitized builds, fuzz targets) and runs the tests in parallel, each with a
time limit. tests/run starts this program after it has checked the packages.

Without options it runs the gate: the tests that decide about a commit, the same each day, except those that depend on time. A test with
peers or threads that fails runs once more at the end, alone; if it passes then, it is printed as unstable. If more than 20 such tests fail,
none runs again.

  --quick      about three minutes: unit tests, some seeds of the simulator, lint, documents; needs no root
  --timing     also run the tests in tests/wall_clock, at the end and one at a time; use an otherwise idle machine
  --rotating   instead of the gate, a seventh of the rotating tests: mutants, fuzzing, fresh seeds, sanitized scenarios, broken TCP rules,
               long benches and comparisons
  --part N     of --rotating, the N-th seventh; the default depends on the date of the tested commit
  --long       the gate and all parts, --timing, more seeds, transfers of 1 GB in place of 24 MB, all smoke tests also with the sanitized
               build; takes hours
  --only NAME  only tests with NAME in their names, of the gate and all parts; may be repeated
  --list       print the names of the tests and build nothing; configures a missing build directory, because meson knows the tests
  --hugepages on|off  labs use hugepages or not; the default is on if the machine has enough
  --jobs N     schedule tests and compilers as for N cores
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import sys
import time

from running import cache, catalog, pool, second_try, verdict
from running.build import NICE, Build, Peers, builds_of, configured, known_of
from running.catalog import LAB, note_outcomes
from running.cost import Costs
from running.hugepages import as_wanted
from running.job import A_LAB, ASAN, BESIDE, DEBUG, FUZZ, LAST, READER, ROOT, TIMED, TSAN
from running.part import PARTS, Part
from running.process import end_all, run_limited
from running.scratch import scratch

LABS_A_CORE = 2
MOST_REPEATED = 20  # if more tests fail, a common fault is likelier than the load, and second tries could exceed the time of CI
MEMORY_OF_A_LAB = 2 << 30
WARNING = re.compile(r"^.*warning: .*$", re.M)
SPACE_OF_A_BUILD = {DEBUG: 2 << 30, ASAN: 2 << 30, TSAN: 1 << 30, FUZZ: 1 << 30}


class Runner:
    def __init__(self, jobs):
        self.jobs, self.tally, self.costs, self.number = jobs, verdict.Tally(), Costs(), 0
        self.twice = []  # jobs that failed and run once more, each with the tally of its first try

    @staticmethod
    def once(job):
        # Compilers and computing tests get a lower priority than labs, because the labs' peers have time-outs.
        return run_limited(job.argv, job.seconds, job.env, job.cwd, nice=0 if job.takes == A_LAB else NICE)

    def work(self, job):
        if isinstance(job, Build):
            print(f"{job.name}: {len(job.targets)} targets", flush=True)
            return job.make()
        if isinstance(job, Peers):
            return job.make()
        if job.root and os.geteuid():
            return verdict.SKIPPED, "SKIPPED: needs root", 0
        return self.once(job)

    def done(self, job, result, seconds):
        """Reports a result. False: the run stops, because a build failed."""
        status, output, cpu = result
        self.costs.add(job.name, seconds, cpu)
        if isinstance(job, Build):
            if status != 0:
                print(output[-4000:], flush=True)
                self.tally.failed.append(job.name)
            elif warned := sorted(set(WARNING.findall(output))):  # warnings are errors in the plain build only
                print(f"{job.name}: the compiler warns:\n{verdict.quote(chr(10).join(warned))}", flush=True)
            print(f"{job.name}: {'done' if status == 0 else 'FAILED'} ({seconds:.1f} s, CPU {cpu:.1f} s)", flush=True)
            return status == 0
        if isinstance(job, Peers):
            print(f"{output[-4000:]}\n{job.name}: {'done' if status == 0 else 'FAILED; labs try again'} ({seconds:.1f} s, CPU {cpu:.1f} s)".strip(), flush=True)
            return True
        self.number += 1
        self.decide(job, status, output, f"{seconds:.1f} s, CPU {cpu:.1f} s")
        return True

    def decide(self, job, status, output, took):
        """Adds the result of the first try to the tally, unless the job has a second one."""
        tally = verdict.Tally()
        said = verdict.judge(job, status, output, tally)
        fault = second_try.refusal(job, status, output) if tally.failed else None
        if tally.failed and not fault:
            self.twice.append((job, tally))
            said += "; it runs once more at the end"
        else:
            self.tally.add(tally)
        if fault:
            said += f"; no second try: {fault}"
        print(f"[{self.number}/{len(self.jobs)}] {job.name}: {said} ({took})", flush=True)

    def no_second_tries(self):
        """Counts tests as failed that wait for their second try."""
        for _, first in self.twice:
            self.tally.add(first)
        self.twice = []

    def second_tries(self):
        """Runs failed tests again, each alone, unless they are too many."""
        if len(self.twice) > MOST_REPEATED:
            print(f"{len(self.twice)} tests failed that would run once more; none does, because they are more than {MOST_REPEATED}", flush=True)
            self.no_second_tries()
        while self.twice:
            job, _ = self.twice[0]  # stays there while it runs, because an interrupt leaves it failed
            began = time.monotonic()
            status, output, cpu = self.once(job)
            tally = verdict.Tally()
            said = verdict.judge(job, status, output, tally)
            if not tally.failed:
                print(verdict.quote(output), flush=True)
                (tally.timed if job.stage == TIMED else tally.unstable).append(job.name)
            self.tally.add(tally)
            del self.twice[0]
            print(f"{job.name}: second try: {said} ({time.monotonic() - began:.1f} s, CPU {cpu:.1f} s)", flush=True)

    def run(self, cores, labs):
        try:
            self._stages(cores, labs)
        finally:
            self.no_second_tries()  # after a failed build or an interrupt

    def _stages(self, cores, labs):
        beside = self.costs.longest_first([job for job in self.jobs if job.stage == BESIDE])
        builds = builds_of(self.jobs, set(LAB))
        pool.run([*builds, *beside], cores, labs, self.work, self.done)
        if not any(name.startswith("build/") for name in self.tally.failed):
            for stage in (LAST, READER, TIMED):
                pool.run([job for job in self.jobs if job.stage == stage], 1, 1, self.work, self.done)
                self.second_tries()


def labs_at_once(cores):
    free = int(re.search(r"^MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M).group(1)) << 10
    return max(1, min(int(LABS_A_CORE * cores), free // MEMORY_OF_A_LAB))


def missing_space(jobs):
    """A message if the disk has no space for the builds that do not exist yet, else None."""
    new = {job.build for job in jobs if job.targets and not any((job.build / "lib").glob("*.a"))}
    need, free = sum(SPACE_OF_A_BUILD[build] for build in new), shutil.disk_usage(ROOT).free
    if free >= need:
        return None
    return f"{ROOT}: {free >> 20} MB are free; the builds need {need >> 20} MB: free some space, or use another disk"


def _cores(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a number of cores, 1 or more")
    return int(text)


def arguments():
    parser = argparse.ArgumentParser("tests/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--timing", action="store_true")
    parser.add_argument("--rotating", action="store_true")
    parser.add_argument("--part", type=int, choices=range(1, PARTS + 1), metavar="N")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--hugepages", choices=("on", "off"))
    parser.add_argument("--jobs", type=_cores, metavar="N", default=os.cpu_count() or 1)
    options = parser.parse_args()
    options.rotating |= options.part is not None
    if options.quick + options.rotating + options.long > 1:
        parser.error("give one of --quick, --rotating (or --part) and --long")
    options.timing |= options.rotating or options.long
    return options


def _candidates(options, part, known, rooms):
    """The jobs that --only chooses from."""
    if options.quick:
        return catalog.quick(known, rooms)
    if options.rotating:
        return catalog.rotating(known, part)
    jobs = catalog.gate(known, rooms, options.long)
    parts = [part] if options.long else [Part(n) for n in range(1, PARTS + 1)] if options.only else []
    for one in parts:
        jobs += catalog.rotating(known, one)
    return jobs


def _named(options, part, known, rooms):
    """The jobs of the options, each name once: parts share some jobs, which differ in their seeds only."""
    jobs = {}
    for job in _candidates(options, part, known, rooms):
        if not options.only or any(name in job.name for name in options.only):
            jobs.setdefault(job.name, job)
    return list(jobs.values())


def chosen_jobs(options, part):
    """The jobs that run. Ends the program if there are none, or none for one of the --only."""
    known, rooms = known_of(DEBUG)
    known = catalog.with_absent(known)
    verdict.check_tables([job.name for job in [*catalog.gate(known, rooms, True), *catalog.rotating(known, Part(whole=True))]])
    named = _named(options, part, known, rooms)
    jobs = [job for job in named if job.stage != TIMED or options.timing]
    if len(jobs) < len(named):
        print(f"left out, because time decides their result (add --timing): {', '.join(job.name for job in named if job.stage == TIMED)}", file=sys.stderr)
    if named and not jobs:
        raise SystemExit(1)
    idle = [name for name in options.only if not any(name in job.name for job in named)]
    if idle or not named:
        where = " with --quick" if options.quick else f" in part {part.number}" if options.rotating else ""
        raise SystemExit(f"no test's name contains {' or '.join(idle)}{where}; `tests/run --list --long` prints all names")
    return jobs


def run(options, part, jobs):
    began = time.monotonic()
    warning = cache.environment()[1]
    if warning:
        print(f"warning: {warning}", flush=True)
    print("quick" if options.quick else part if options.rotating else f"the gate and {part}" if options.long else "the gate", flush=True)
    runner, labs = Runner(jobs), labs_at_once(options.jobs)
    try:
        with scratch() as folder, as_wanted(options.hugepages, labs):
            note_outcomes(jobs, folder)
            runner.run(options.jobs, labs)
        runner.costs.keep()
    except KeyboardInterrupt:
        runner.tally.failed.append("interrupted")
    finally:
        end_all()
    print(runner.costs.table(), flush=True)
    return runner.tally.close(time.monotonic() - began)


def main():
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C: ends the labs and prints the results so far
    part = Part(options.part, options.long)
    if not configured(DEBUG):
        print(f"meson could not configure {DEBUG}; if another meson or compiler has made this directory, remove it", flush=True)
        return 1
    jobs = chosen_jobs(options, part)
    if options.list:
        print("\n".join(job.name for job in jobs), flush=True)
        return 0
    too_small = missing_space(jobs)
    if too_small:
        print(too_small, flush=True)
        return 1
    return run(options, part, jobs)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing reads the rest of the buffer, either
        sys.exit("tests/run: its output was closed; all tests are ended")
    except OSError as error:  # no space, or no permission to write
        sys.exit(f"tests/run: {error}")
