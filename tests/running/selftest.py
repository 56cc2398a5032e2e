#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The runner's own state: what a killed run has left is removed, and another run is not mistaken for that. Needs no build.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from running import scratch  # noqa: E402

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


if __name__ == "__main__":
    unittest.main()
