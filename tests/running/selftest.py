#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The runner's own state: what a killed run has left is removed, and neither another run nor an operator's setting is mistaken for
that. Needs no build.
"""

import contextlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from running import hugepages, scratch  # noqa: E402

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


if __name__ == "__main__":
    unittest.main()
