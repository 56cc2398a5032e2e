#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The runner: it removes what a killed run has left, and mistakes neither another run nor an operator's setting for that. Labs start after
compilers have ended. Tests that depend on the load have a second try, and faults have none, which
labs print. The comparison of two runs of the simulator fails without them. A slow meson is reported. Needs no build.
"""

import contextlib
import io
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "smoke"), str(TESTS / "attack")]

import acknowledged  # noqa: E402
import kit  # noqa: E402
import runner  # noqa: E402
from meltemi_lab import record  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402
from meltemi_lab.daemon import Replaced  # noqa: E402
from meltemi_lab.lab import Lab  # noqa: E402
from meltemi_lab.process import Process  # noqa: E402
from running import build, hugepages, scratch, second_try, verdict  # noqa: E402
from running.build import Peers, builds_of  # noqa: E402
from running.catalog import NOTED, OUTCOMES, gate, note_outcomes, with_absent  # noqa: E402
from running.job import A_CORE, A_LAB, ASAN, DEBUG, TIMED, TSAN, Job  # noqa: E402

# A run that has started two programs, of which the second has no mark, as a guard. Prints its directory and their ids.
RUN = f"""
import os, pathlib, subprocess, sys
sys.path.insert(0, {str(TESTS)!r})
from running.scratch import scratch
with scratch(pathlib.Path(sys.argv[1])) as folder:
    marked = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    del os.environ["MELTEMI_RUN"]
    guard = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print(folder, marked.pid, guard.pid, flush=True)
    sys.stdin.read()
    marked.kill()
    guard.kill()
"""


def _has_ended(pid):
    try:
        return "\nState:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


class Scratch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.parent = pathlib.Path(folder.name, "runs")
        self.parent.mkdir()

    def start(self, *prefix):
        run = subprocess.Popen([*prefix, sys.executable, "-c", RUN, self.parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(run.stdout.close)
        folder, marked, guard = run.stdout.readline().split()
        return run, pathlib.Path(folder), int(marked), int(guard)

    def enter(self):
        with scratch.scratch(self.parent) as folder:
            self.assertEqual(os.environ["MELTEMI_RUN"], str(folder))
            return folder, set(self.parent.iterdir())

    def test_a_run_beside_stays(self):
        run, folder, marked, guard = self.start()
        other, seen = self.enter()
        self.assertEqual(seen, {folder, other})
        self.assertFalse(_has_ended(marked) or _has_ended(guard))
        run.communicate("")
        self.assertEqual(run.returncode, 0)
        self.assertEqual(list(self.parent.iterdir()), [])

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_a_run_with_ids_of_its_own_stays(self):
        """As in a container: no process here has the run's id."""
        last = int(pathlib.Path("/proc/sys/kernel/pid_max").read_text()) - 100
        free = next(n for n in range(last, 1, -1) if not pathlib.Path(f"/proc/{n}").exists())
        run, folder, _, _ = self.start("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                                       f'echo {free - 1} >/proc/sys/kernel/ns_last_pid; "$@"; exit $?', "sh")
        self.assertEqual(folder.name.split("-")[0], str(free))
        other, seen = self.enter()
        self.assertEqual(seen, {folder, other})
        run.communicate("")
        self.assertEqual(run.returncode, 0)

    def test_a_killed_run_is_removed(self):
        run, folder, marked, guard = self.start()
        self.addCleanup(os.kill, guard, 9)
        run.kill()
        run.communicate("")
        other, seen = self.enter()
        self.assertEqual(seen, {other})
        for _ in range(500):
            if _has_ended(marked):
                break
            time.sleep(0.01)
        self.assertTrue(_has_ended(marked))
        self.assertFalse(_has_ended(guard))


class Hugepages(unittest.TestCase):
    BEFORE, HAVE = 3, hugepages.A_LAB // 2

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.pool, self.note = (pathlib.Path(folder.name, name) for name in ("pool", "note"))
        self.pool.write_text(f"{self.BEFORE}\n")
        for name, path in (("POOL", self.pool), ("NOTE", self.note)):
            patch = mock.patch.object(hugepages, name, path)
            patch.start()
            self.addCleanup(patch.stop)

    def pages(self):
        return int(self.pool.read_text())

    @contextlib.contextmanager
    def run_of(self):
        with contextlib.redirect_stdout(io.StringIO()), hugepages.reserved(1):
            yield self.note.read_text()

    def test_the_number_is_given_back(self):
        with self.run_of():
            self.assertEqual(self.pages(), self.HAVE)
        self.assertEqual((self.pages(), self.note.read_text()), (self.BEFORE, ""))

    def test_the_next_run_gives_back(self):
        with self.run_of() as left:
            pass
        self.pool.write_text(str(self.HAVE))
        self.note.write_text(left)
        with self.run_of():
            self.assertEqual(self.pages(), self.HAVE)
        self.assertEqual(self.pages(), self.BEFORE)

    def test_a_run_without_the_option_gives_back(self):
        with self.run_of() as left:
            pass
        self.pool.write_text(str(self.HAVE))
        self.note.write_text(left)
        with mock.patch("os.geteuid", return_value=0), hugepages.as_wanted(None, 1):
            self.assertEqual((self.pages(), self.note.read_text()), (self.BEFORE, ""))

    def test_a_run_without_the_option_leaves_others_alone(self):
        with self.run_of() as left, hugepages.as_wanted(None, 1):
            self.assertEqual((self.pages(), self.note.read_text()), (self.HAVE, left))
        for put in (lambda: self.note.symlink_to(self.pool), self.note.mkdir):
            self.note.unlink(missing_ok=True)
            put()
            with hugepages.as_wanted(None, 1):
                self.assertEqual(self.pages(), self.BEFORE)

    def test_a_later_setting_stays(self):
        with self.run_of() as left:
            self.pool.write_text("900")
        self.assertEqual(self.pages(), 900)
        self.note.write_text(left)
        with self.run_of():
            self.assertEqual(self.pages(), 900)
        self.assertEqual(self.pages(), 900)

    def test_other_contents_are_ignored(self):
        for text in ("7", "7 3 3", "-7 3", "seven 3", "7000000000 3", "\u0667 3", "7 "):
            self.note.write_text(text)
            with self.run_of():
                self.assertEqual(self.pages(), self.HAVE)
            self.assertEqual(self.pages(), self.BEFORE, text)

    def test_a_note_of_another_user_is_refused(self):
        self.note.write_text(f"7 {self.BEFORE}")
        with mock.patch("os.geteuid", return_value=os.geteuid() + 1), self.assertRaisesRegex(SystemExit, "belongs to another user"), self.run_of():
            pass
        self.assertEqual(self.pages(), self.BEFORE)

    def test_a_link_is_refused(self):
        self.note.symlink_to(self.pool)
        with self.assertRaises(OSError), self.run_of():
            pass
        self.assertEqual(self.pages(), self.BEFORE)

    def test_two_at_once_are_refused(self):
        with self.run_of(), self.assertRaisesRegex(SystemExit, "another run"), self.run_of():
            pass
        self.assertEqual(self.pages(), self.BEFORE)


class SecondTry(unittest.TestCase):
    """A test that depends on the load runs again, once, unless its output shows a fault."""

    FAILS_ONCE = "echo 'FAILED: too late'; test $(grep -c . $RUNS) = 2"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.runs = pathlib.Path(folder.name, "runs")

    def result(self, script, name="smoke/a", **job):
        """Runs a test that is a shell script. Returns the tally, how often it ran, and what the runner printed."""
        self.runs.write_text("")
        one = Job(name, ["sh", "-c", f"echo run >>$RUNS; {script}"], **{"seconds": 30, "env": {"RUNS": str(self.runs)}, "takes": A_LAB, **job})
        tally, printed = self.run_all([one])
        return tally, len(self.runs.read_text().split()), printed

    @staticmethod
    def run_all(jobs):
        run, printed = runner.Runner(jobs), io.StringIO()
        with contextlib.redirect_stdout(printed):
            run.run(1, 1)
            status = run.tally.close(0)
        assert status == (1 if run.tally.failed else 0)
        return run.tally, printed.getvalue()

    def test_unstable(self):
        tally, runs, printed = self.result(self.FAILS_ONCE)
        self.assertEqual((tally.passed, tally.failed, tally.unstable, runs), (["smoke/a"], [], ["smoke/a"], 2))
        self.assertEqual(printed.count("      | FAILED: too late"), 2)
        self.assertIn("\nunstable: smoke/a\n", printed)
        self.assertTrue(printed.endswith("\n1 passed, 0 failed\n"))

    def test_failed_twice(self):
        tally, runs, printed = self.result("echo the reason; exit 1")
        self.assertEqual((tally.passed, tally.failed, tally.unstable, runs), ([], ["smoke/a"], [], 2))
        self.assertIn("\nfailed: smoke/a\n      | the reason\n", printed)

    def test_too_slow(self):
        tally, runs, _ = self.result("test $(grep -c . $RUNS) = 2 || sleep 20", seconds=1)
        self.assertEqual((tally.unstable, runs), (["smoke/a"], 2))

    def test_a_unit_test_that_hangs_has_one_try(self):
        self.assertEqual(self.result("sleep 20", name="unit/worker", seconds=1, takes=A_CORE)[1], 1)

    def test_passed_or_skipped(self):
        for status in (0, verdict.SKIPPED):
            with mock.patch.dict(os.environ, CI=""):
                self.assertEqual(self.result(f"exit {status}")[1], 1)

    def test_faults_have_one_try(self):
        for text in ("==1==ERROR: AddressSanitizer: heap-use-after-free", "a.c:3:4: runtime error: signed integer overflow",
                     "meltemi: lib/a.c:7: broken invariant: n < 4", "FAILED: meltemid ended by itself with -11: ",
                     "FAILED: at the end of the lab {} are still in use", "FAILED: the log has errors: []",
                     'FAILED: others were harmed: {"unanswered": 3}', "FAILED: replies that were another's: found (1, 0), expected (0, 0)"):
            tally, runs, printed = self.result(f"echo '{text.replace(chr(39), '')}'; echo \"{text.replace(chr(34), '')}\"; exit 1")
            self.assertEqual((tally.failed, runs), (["smoke/a"], 1), text)
            self.assertIn("; no second try: a", printed)

    def test_counts_of_nothing_are_no_fault(self):
        text = 'FAILED: too slow: {\\"unanswered\\": 0, \\"wrong\\": [], \\"made\\": 7}'
        self.assertEqual(self.result(f'echo "{text}"; exit 1')[1], 2)

    def test_a_crash_has_one_try(self):
        self.assertEqual(self.result("kill -SEGV $$")[1], 1)

    def why_not(self, text):
        """Why a lab with this output has no second try."""
        return second_try.refusal(Job("smoke/a", [], 1), 1, f"started\n{text}\nended")

    def test_a_crash_of_any_program_is_a_fault(self):
        for text in ("FAILED: meltemi show counters: exit -11: ", "FAILED: blast1 ended with -11: ", "FAILED: client2 ended with 139: ",
                     "FAILED: client1 (exit -6) gave no JSON: ", "FAILED: exit status of --check: found -11, expected 1",
                     "FAILED: exit status: found (0, -6), expected (0, 0)", "FAILED: exit status of import (a line\nanother): found -8, expected 0",
                     "FAILED: exit code of show: {}: found 134, expected 0", "FAILED talks: exit 139, wanted 0 and: ",
                     "FAILED: exit status -11 of: ['meltemi']", "a: --strict ends with -6, not 1 and 'b'"):
            self.assertEqual(self.why_not(text), "a crash", text)

    def test_other_exit_statuses_and_numbers_are_no_crash(self):
        for text in ("FAILED: drift in ms: found -11, expected 0", "FAILED: client1 (exit 1) gave no JSON: ", "FAILED: exit status: found 1, expected 0",
                     "FAILED: exit status of --check: found -9, expected 0", "FAILED: meltemi show counters: exit 3: 139 rows",
                     "FAILED: client1 ended with -15: ", "the load ended with 139 calls", "exit status 0\nFAILED: drift: found -11, expected 0"):
            self.assertIsNone(self.why_not(text), text)

    def test_lost_and_foreign_replies_are_faults(self):
        for text in ("replies of others: found (1, 0), expected (0, 0)", "replies of others: found (0, 2), expected (0, 0)",
                     "answers of others: found 1, expected 0", "calls of others that failed {}: found (0, 1, 0), expected (0, 0, 0)",
                     "calls of others that failed {'late': 3}: found (3, 1, 0), expected (0, 0, 0)",
                     "calls of others that failed {}: found (0, 0, 1), expected (0, 0, 0)",
                     "calls of others that were answered: found 3999, expected 4000",
                     "calls beside it that failed: found (0, 1), expected (0, 0)", "failed, others' answers: found (0, 1), expected (0, 0)",
                     "calls that failed {}: found (0, 1), expected (0, 0)", "Thrift calls that failed: []: found (0, {}, 1), expected (0, {}, 0)",
                     "framed: calls of others: found (99, {'late': 1}, 1), expected (100, {}, 0)",
                     "wrong answers; enough calls to look at: found (['a: id 3, b'], True), expected ([], True)",
                     "the reply of another call", "calls that were lost beside 3: found (1, 0, 0), expected (0, 0, 0)"):
            self.assertEqual(self.why_not(f"FAILED: {text}"), "a lost or foreign reply", text)
        self.assertEqual(self.why_not("    load: {}, answers of others 2, errors {}\nFAILED: 1 pairs"), "a lost or foreign reply")

    def test_late_replies_and_losses_of_the_wire_are_no_fault(self):
        for text in ("the wire hardly hurt: {'frames': 20, 'lost': 3}", "calls of others that failed {'late': 3}: found (3, 0, 0), expected (0, 0, 0)",
                     "calls of others that failed {'late': 3}: found (3, 0, 2), expected (0, 0, 0)",
                     "calls beside it that failed: found (1, 0), expected (0, 0)", "failed, others' answers: found (2, 0), expected (0, 0)",
                     "calls of others: found (99, {'late': 1}, 0), expected (100, {}, 0)", "calls: {'failed': 1, 'crossed': 0}: found 9, expected 10",
                     "wrong answers; enough calls to look at: found ([], False), expected ([], True)", "later calls: found (299, 1), expected (300, 0)"):
            self.assertIsNone(self.why_not(f"FAILED: {text}"), text)
        self.assertIsNone(self.why_not("3 attacks; calls of others: 4000 answered\nload: {}, answers of others 0, errors {}\nFAILED: too late"))

    def test_what_load_does_not_change_has_one_try(self):
        for name in ("lint/a", "sim/seeds", "asan/sim/a", "bench/micro", "unit/tcp", "unit/tcpscript", "unit/steps", "mutants/sim/a",
                     "documents/check", "documents/real/orders", "conntrack/seeds"):
            self.assertEqual(self.result("exit 1", name=name, takes=A_CORE)[1], 1, name)
        for name in ("unit/worker", "unit/proxy", "asan/unit/callout", "tsan/export", "tsan/proxy/threads", "interop/a/b", "attack/a",
                     "asan/smoke/a", "documents/memory", "documents/recipes", "documents/sizing", "differential/seeds"):
            self.assertEqual(self.result("exit 1", name=name, takes=A_CORE)[1], 2, name)
        self.assertEqual(self.result("echo WARNING: ThreadSanitizer: data race; exit 66", name="tsan/export", takes=A_CORE)[1], 1)
        self.assertEqual(self.result("exit 0", must_fail=True)[1], 1)

    def test_a_bench_that_is_late(self):
        """Its limit of time depends on the load, its counts do not."""
        self.assertIsNone(second_try.refusal(Job("bench/a", [], 1), None, ""))
        self.assertEqual(second_try.refusal(Job("bench/a", [], 1), 1, ""), "its result does not depend on the load")
        self.assertEqual(second_try.refusal(Job("lint/a", [], 1), None, ""), "its result does not depend on the load")

    def test_what_a_second_try_records_is_read(self):
        """The lints of what tests have reached see also what an unstable unit test reaches in its second try."""
        def job(name, script):
            return Job(name, ["sh", "-c", script], 30, {"RUNS": str(self.runs)})

        script = 'echo run >>$RUNS; test $(grep -c . $RUNS) = 2 && echo all >>"$MELTEMI_OUTCOMES"'
        folder = pathlib.Path(self.runs.parent, "outcomes")
        folder.mkdir()
        jobs = [job(name, 'grep -qx all "$MELTEMI_OUTCOMES_OF"/*') for name in NOTED]
        jobs += [job(name, "true") for name in ("sim/seeds", "unit/tcpscript", *(f"unit/{room}" for room in OUTCOMES if room != "worker"))]
        jobs.append(job("unit/worker", script))
        note_outcomes(jobs, folder)
        tally, _ = self.run_all(jobs)
        self.assertEqual((tally.failed, tally.unstable, len(tally.passed)), ([], ["unit/worker"], len(jobs)))

    def many(self, number, **job):
        self.runs.write_text("")
        script = "echo $NAME >>$RUNS; test $(grep -cx $NAME $RUNS) = 2"
        return self.run_all([Job(f"smoke/{n}", ["sh", "-c", script], 30, {"RUNS": str(self.runs), "NAME": str(n)}, takes=A_LAB, **job)
                             for n in range(number)])[0]

    def test_five_unstable_tests_pass(self):
        self.assertEqual(self.many(5).failed, [])

    def test_six_unstable_tests_fail(self):
        self.assertEqual(self.many(6).failed, ["more than 5 unstable tests"])

    def all_fail(self, number):
        self.runs.write_text("")
        jobs = [Job(f"smoke/{n}", ["sh", "-c", f"echo run >>{self.runs}; echo reason {n}; exit 1"], 30, takes=A_LAB) for n in range(number)]
        tally, printed = self.run_all(jobs)
        return len(tally.failed), len(self.runs.read_text().split()), printed

    def test_second_tries_are_bounded(self):
        most = runner.MOST_REPEATED
        failed, runs, _ = self.all_fail(most)
        self.assertEqual((failed, runs), (most, 2 * most))
        failed, runs, printed = self.all_fail(most + 1)
        self.assertEqual((failed, runs), (most + 1, most + 1))
        self.assertIn("\nfailed: smoke/3\n      | reason 3\n", printed)
        self.assertIn(f"{most + 1} tests failed that would run once more; none does", printed)

    def test_a_failed_build_ends_second_tries(self):
        late = Job("unit/a", ["true"], 1, build=ASAN, targets=("a",))
        with mock.patch("running.build.Build.make", return_value=(1, "error: no such file", 0)):
            tally, printed = self.run_all([Job("smoke/a", ["sh", "-c", "echo the reason; exit 1"], 30, takes=A_LAB), late])
        self.assertEqual(sorted(tally.failed), ["build/asan-2", "smoke/a"])
        self.assertIn("\nfailed: smoke/a\n      | the reason\n", printed)

    def interrupted(self, number):
        """The failed tests of a run that is interrupted when it starts its program of this number."""
        once, started = runner.Runner.once, []

        def start(job):
            started.append(job.name)
            if len(started) == number:
                raise KeyboardInterrupt
            return once(job)

        jobs = [Job(f"smoke/{n}", ["false"], 30, takes=A_LAB) for n in range(3)]
        run = runner.Runner(jobs)
        with contextlib.redirect_stdout(io.StringIO()), mock.patch.object(run, "once", start), self.assertRaises(KeyboardInterrupt):
            run.run(1, 1)
        return sorted(run.tally.failed)

    def test_an_interrupt_ends_second_tries(self):
        for number in (4, 5):
            self.assertEqual(self.interrupted(number), ["smoke/0", "smoke/1", "smoke/2"], number)

    def test_timed_tests_do_not_count(self):
        tally = self.many(6, stage=TIMED)
        self.assertEqual((tally.failed, tally.unstable, len(tally.timed)), ([], [], 6))


class Absent(unittest.TestCase):
    """A test that meson leaves out, because a package is missing, is skipped and not forgotten."""

    def test_absent(self):
        there = {"suite": ["meltemi:bench"], "name": "micro", "cmd": ["true"], "timeout": 9, "env": {}, "files": ()}
        known = with_absent([there])
        self.assertEqual(known[0], there)
        jobs = {job.name: job for job in gate(known, ())}
        self.assertEqual(jobs["bench/micro"].argv, ["true"])
        with contextlib.redirect_stdout(io.StringIO()):
            run = runner.Runner([jobs["unit/replay"]])
            with mock.patch.dict(os.environ, {"CI": ""}):
                run.run(1, 1)
        self.assertEqual(run.tally.skipped, ["unit/replay"])
        status, output, _ = run.once(jobs["unit/replay"])
        self.assertEqual((status, "libpcap-dev was not installed" in output), (verdict.SKIPPED, True))


class SlowMeson(unittest.TestCase):
    """If meson exceeds its time, the runner reports that."""

    def test_slow_meson(self):
        late = "not finished within 9 s"
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(build, "run_limited", return_value=(None, late, 0)) as ran, \
                mock.patch.dict(build.OPTIONS, {pathlib.Path(folder): ()}), contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertFalse(build.configured(pathlib.Path(folder)))
            self.assertIn(late, printed.getvalue())
            self.assertEqual(build.Build(pathlib.Path(folder), ("all",), 1).make(), (None, late, 0))
            self.assertEqual(ran.call_count, 2)  # ninja has not started
            with self.assertRaisesRegex(SystemExit, late):
                build.known_of(folder)


class Leftovers(unittest.TestCase):
    """The next lab removes what killed programs have left in directories that all share."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name in ("EAL", "SHM", "LABS"):
            (self.root / name).mkdir()
            patch = mock.patch.object(record, name, self.root / name)
            patch.start()
            self.addCleanup(patch.stop)

    def left(self):
        return sorted(str(path.relative_to(self.root)) for name in ("EAL", "SHM", "LABS") for path in (self.root / name).iterdir())

    def test_a_killed_lab(self):
        with subprocess.Popen(["sleep", "60"]) as program, subprocess.Popen(["sleep", "60"]) as owner:
            directory = self.root / "LABS/mt1-1"
            directory.mkdir()
            (directory / "owner").write_text(f"{owner.pid} {record.start_time(owner.pid)}\n")
            record.note_process(directory, program.pid)
            ours = [f"SHM/faketime_shm_{program.pid}", f"SHM/sem.faketime_sem_{program.pid}", "EAL/meltemi-mt1-1", f"EAL/meltemi-blast-{program.pid}"]
            others = ["EAL/meltemi-mt2-1", f"SHM/faketime_shm_{os.getpid()}"]
            for name in (*ours, *others):
                (self.root / name).mkdir() if name.startswith("EAL") else (self.root / name).touch()
            record.sweep()
            self.assertEqual(self.left(), sorted([*ours, *others, "LABS/mt1-1"]))
            owner.kill()
            owner.wait()
            record.sweep()
            self.assertEqual((self.left(), program.wait(30)), (sorted(others), -9))

    def test_load_generators_of_no_lab(self):
        with subprocess.Popen(["sleep", "60"]) as program:
            ended = subprocess.Popen(["true"])
            ended.wait()
            folders = [self.root / f"EAL/meltemi-blast-{pid}" for pid in (program.pid, ended.pid)]
            for folder in folders:
                folder.mkdir()
            record.sweep()  # a program makes it before others may see its pid
            self.assertTrue(all(folder.exists() for folder in folders))
            for folder in folders:
                os.utime(folder, (time.time() - 100,) * 2)
            record.sweep()
            self.assertEqual([folder.exists() for folder in folders], [True, False])
            program.kill()


class FaultsOfTheDaemon(unittest.TestCase):
    """A lab that fails prints the faults in its daemon's log, so that it has no second try."""

    REPORT = "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x6"

    def printed(self, error, script, *later):
        """
        What the end of a lab prints, with the failure that it raises, if its body ended with this error (None: without) and its daemon is a
        shell script, or several, each of which is started after the one before.
        """
        with tempfile.TemporaryDirectory() as folder:
            one = object.__new__(Lab)
            lives = [Process(pathlib.Path(folder), "meltemid", ["sh", "-c", text]) for text in (script, *later)]
            one.daemons = [mock.Mock(process=lives[-1], earlier=lives[:-1]), mock.Mock(process=None, earlier=[])]
            one.close = one._keep = one._clients_leave = mock.Mock()
            one.wire = None
            for life in lives:
                life.popen.wait(30)
            out, raised = io.StringIO(), ""
            try:
                with contextlib.redirect_stdout(out):
                    one.__exit__(error and type(error), error, None)
            except Failure as failure:
                raised = f"FAILED: {failure}"
            one.close.assert_called()
        return out.getvalue() + raised

    def test_faults(self):
        for error in (Failure("too late"), SystemExit(143), ValueError("a")):
            for script, why in ((f"echo level=info; echo '{self.REPORT}' >&2; echo level=info >&2", "a sanitizer's report"),
                                ("echo 'meltemid: lib/a.c:7: broken invariant: n < 4' >&2", "a broken assertion"),
                                ("kill -SEGV $$", "a crash")):
                output = self.printed(error, script)
                self.assertEqual(second_try.refusal(Job("smoke/a", [], 1), None, output), why, (error, script, output))

    def test_faults_of_a_process_that_was_started_again(self):
        for error in (None, Failure("too late")):
            for script, why in ((f"echo '{self.REPORT}' >&2; exit 1", "a sanitizer's report"), ("kill -SEGV $$", "a crash")):
                output = self.printed(error, script, "true", "true")
                self.assertEqual(second_try.refusal(Job("smoke/a", [], 1), None, output), why, (error, script, output))
            self.assertNotIn("meltemid", self.printed(error, "echo level=error >&2; exit 1", "true"))

    def test_none(self):
        for error in (Failure("too late"), SystemExit(143)):
            self.assertEqual(self.printed(error, "echo level=info >&2"), "")


class ReplacedFile(unittest.TestCase):
    """A lab replaces its Node document: a daemon that reads it meanwhile has the old one or the new one, whole."""

    def test_replaced(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Replaced(pathlib.Path(folder, "node.yaml"))
            file.write_text("old\n")
            file.chmod(0o600)
            with open(file, encoding="utf-8") as reader:
                file.write_text("new\n")
                self.assertEqual((reader.read(), file.read_text(), file.stat().st_mode & 0o777), ("old\n", "new\n", 0o600))
            self.assertEqual(os.listdir(folder), ["node.yaml"])


class Acknowledged(unittest.TestCase):
    """Which calls tests/attack/acknowledged.py takes for provably unread, by the packets of a connection that ends."""

    FIN, SYN, RST, ACK = acknowledged.FIN, acknowledged.SYN, acknowledged.RST, acknowledged.ACK
    CALLS = [kit.Dubbo.call(n, kit.order(f"t{n}")) for n in range(3)]

    def setUp(self):
        self.wire, self.port = acknowledged.Wire(kit.Dubbo.port), 1000

    @staticmethod
    def frame(source, destination, seq, ack, flags, data=b""):
        head = struct.pack("!12sH", b"", acknowledged.ETHERTYPE_IP4)
        head += struct.pack("!BxH5xB2x4s4s", 0x45, 40 + len(data), acknowledged.TCP, *(b"s" if port == kit.Dubbo.port else b"c" for port in (source, destination)))
        return head + struct.pack("!HHIIBB6x", source, destination, seq % 2 ** 32, ack % 2 ** 32, 5 << 4, flags) + data

    def connection(self, *came):
        """Three calls, which begin at 1, and what comes from the server after its SYN: (seq, flags, bytes, acknowledged calls)."""
        self.port += 1
        server, first, base = kit.Dubbo.port, -2, -5  # both sides' numbers pass 0
        self.wire.sent(self.frame(self.port, server, first, 0, self.SYN))
        self.wire.came(self.frame(server, self.port, base, first + 1, self.SYN | self.ACK))
        self.wire.sent(self.frame(self.port, server, first + 1, base + 1, self.ACK, b"".join(self.CALLS)))
        for seq, flags, length, calls in came:
            ack = first + 1 + int(calls * len(self.CALLS[0]))
            self.wire.came(self.frame(server, self.port, base + 1 + seq, ack if flags & self.ACK else 0, flags, bytes(length)))

    def fates(self, *came):
        self.connection(*came)
        return [sorted(tokens) for tokens in self.wire.calls(kit.Dubbo)]

    def test_a_reset_that_tells(self):
        self.assertEqual(self.fates((0, self.ACK, 10, 1), (10, self.RST | self.ACK, 0, 1), (10, self.RST, 0, 0)), [["t0"], [], []])

    def test_a_part_of_a_call(self):
        self.assertEqual(self.fates((0, self.RST | self.ACK, 0, 1.5)), [["t0", "t1"], [], []])

    def test_a_reset_without_ack(self):
        self.assertEqual(self.fates((0, self.ACK, 10, 1), (10, self.RST, 0, 0), (10, self.RST | self.ACK, 0, 1)), [["t0"], ["t1", "t2"], []])

    def test_a_reset_before_a_reply(self):
        came = [(10, self.RST | self.ACK, 0, 1), (0, self.ACK, 10, 1), (10, self.RST, 0, 0)]
        self.assertEqual(self.fates(*came), [["t0"], ["t1", "t2"], []])

    def test_replies_in_another_order(self):
        came = [(10, self.ACK, 5, 1), (0, self.ACK, 4, 1), (2, self.ACK, 8, 1), (15, self.RST | self.ACK, 0, 1)]
        self.assertEqual(self.fates(*came), [["t0"], [], []])

    def test_a_fin(self):
        self.assertEqual(self.fates((0, self.FIN | self.ACK, 0, 1), (0, self.RST, 0, 0)), [["t0"], [], []])

    def test_three_times(self):
        for _ in range(2):
            self.connection((0, self.RST | self.ACK, 0, 0))
        self.assertEqual(self.fates((0, self.RST | self.ACK, 0, 0)), [[], [], ["t0", "t1", "t2"]])


class Replay(unittest.TestCase):
    """tests/sim/replay.sh passes only after runs that succeed and print a trace."""

    GOOD = 'echo "start"; echo " seed $2 scenario a"; echo "one packet"'

    def result(self, script):
        """Runs replay.sh with a shell script as the simulator. Returns its exit status and output."""
        with tempfile.TemporaryDirectory() as folder:
            sim = pathlib.Path(folder, "sim")
            sim.write_text(f"#!/bin/sh\nset -- \"$1\" \"${{2#*-}}\" \"$3\" {folder}\n{script}\n")
            sim.chmod(0o755)
            done = subprocess.run([TESTS / "sim/replay.sh", sim, "1-3"], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_equal_runs(self):
        self.assertEqual(self.result(self.GOOD), (0, "seeds 1-3 replay exactly\n"))

    def test_other_packets(self):
        for option, words in (("--json", "two runs of seeds 1-3 differ"), ("--verbose", "seed 3 after others is not seed 3 alone")):
            status, output = self.result(f"{self.GOOD}; test $3 != {option} || {{ echo . >>$4/n; cat $4/n; wc -l <$4/n; }}")
            self.assertEqual((status, output), (1, f"{words}\n"))

    def test_a_simulator_that_fails(self):
        for script in ("exit 1", f"{self.GOOD}; exit 1", f"{self.GOOD}; test $3 = --json", f"{self.GOOD}; kill -SEGV $$"):
            status, output = self.result(script)
            self.assertEqual(status, 1, script)
            self.assertIn(": exit ", output, script)

    def test_a_simulator_that_prints_nothing(self):
        self.assertEqual(self.result("true")[0], 1)
        self.assertEqual(self.result("echo start"), (1, "after: no trace of seed 3\n"))


class Order(unittest.TestCase):
    """No lab runs beside a compiler."""

    def test_order(self):
        def job(name, build, takes=A_CORE, target="a"):
            return Job(name, ["true"], 1, build=build, targets=(target,) if target else (), takes=takes)

        lint, unit, lab = job("lint/a", DEBUG, target=None), job("unit/a", ASAN), job("smoke/a", DEBUG, A_LAB)
        late, slow, tsan = job("smoke/b", DEBUG, A_LAB, "b"), job("asan/smoke/a", ASAN, A_LAB), job("tsan/a", TSAN)
        builds = builds_of([lint, unit, lab, late, slow, tsan], {"a"})
        self.assertEqual([build.name for build in builds], ["build/debug-1", "build/debug-2", "build/asan-2", "build/tsan-2"])
        after = {one.name: set(one.after) for one in [lint, unit, lab, late, slow, tsan, *builds]}
        plain = {"build/debug-1", "build/debug-2"}
        self.assertEqual((after["lint/a"], after["build/debug-1"], after["build/debug-2"]), (set(), {"lint/a"}, {"build/debug-1"}))
        self.assertLessEqual(plain, after["smoke/a"] & after["smoke/b"])
        self.assertLessEqual({"smoke/a", "smoke/b"}, after["build/asan-2"])
        self.assertLessEqual({"build/asan-2", "smoke/a"}, after["build/tsan-2"])
        self.assertLessEqual({build.name for build in builds}, after["asan/smoke/a"])
        self.assertEqual((after["unit/a"], after["tsan/a"]), ({"build/asan-2"}, {"build/tsan-2"}))

    def test_peers(self):
        pairs, lab = (Job(name, ["true"], 1, targets=("a",), takes=A_LAB) for name in ("interop/dubbo/test_pairs", "smoke/a"))
        plain, peers = builds_of([pairs, lab], {"a"})
        self.assertEqual((peers.name, peers.after, peers.commands), ("build/peers", (plain.name,), [[TESTS / "interop/dubbo/build.sh"]]))
        self.assertTrue(peers.name in pairs.after and peers.name in lab.after)
        self.assertEqual([build.name for build in builds_of([Job("smoke/a", ["true"], 1, targets=("a",), takes=A_LAB)], {"a"})], [plain.name])

    def test_a_run_goes_on_without_peers(self):
        run, out = runner.Runner([]), io.StringIO()
        peers = Peers([["sh", "-c", "echo no Maven; exit 3"], ["sh", "-c", "echo all is well"], ["sh", "-c", "echo no Go; exit 1"]])
        with contextlib.redirect_stdout(out):
            self.assertTrue(run.done(peers, run.work(peers), 1))
        self.assertRegex(out.getvalue(), r"^no Maven\n\nno Go\n\nbuild/peers: FAILED; labs try again \(")
        self.assertEqual(run.tally.failed, [])


if __name__ == "__main__":
    unittest.main()
