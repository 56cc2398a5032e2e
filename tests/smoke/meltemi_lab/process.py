# SPDX-License-Identifier: Apache-2.0
"""Processes of a lab: started inside a namespace, their output kept, stopped by pid."""

import ctypes
import itertools
import json
import signal
import subprocess
import time

from . import record
from .check import PATIENCE, Failure

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _unused(directory, name):
    """The name of files for a program, with a number if one of that name ran before: its output is kept."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(found for found in names if not (directory / f"{found}.err").exists())


class Process:
    """One program of the lab, with its standard output and error in a file each."""

    def __init__(self, directory, name, argv, namespace=None, env=None, stdin=subprocess.DEVNULL, pass_fds=()):
        self.name = name
        self.role = None  # the namespace's, in a lab
        self.asked_by = []  # signals that ended it, as exit statuses: what its lab wanted
        file = _unused(directory, name)
        self.out = directory / f"{file}.out"
        self.err = directory / f"{file}.err"
        if namespace:
            argv = ["ip", "netns", "exec", namespace, *argv]
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.popen = subprocess.Popen(
                [str(a) for a in argv], stdin=stdin, stdout=out, stderr=err, env=env,
                preexec_fn=_die_with_parent, start_new_session=True, pass_fds=pass_fds)
        record.note_process(directory, self.popen.pid)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def output(self):
        return self.out.read_text(errors="replace")

    def errors(self):
        return self.err.read_text(errors="replace")

    def tail(self):
        return (self.errors().strip() or self.output().strip())[-600:]

    def wait_line(self, text, seconds=60):
        """Waits for a line of output that holds the text; fails at once if the program ended. The bound is at least 60 s, as of within()."""
        seconds = max(seconds, 60)
        end = time.monotonic() + seconds
        while True:
            for line in self.output().split("\n")[:-1]:
                if text in line:
                    return line
            if not self.running():
                raise Failure(f"{self.name} ended with {self.popen.returncode}: {self.tail()}")
            if time.monotonic() > end:
                raise Failure(f"{self.name} did not print {text!r} within {seconds} s: {self.tail()}")
            time.sleep(0.02)

    def result(self, seconds=180):
        """The JSON object on the last line of output, once the program has ended."""
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.name} did not end within {seconds} s: {self.tail()}") from None
        lines = self.output().strip().split("\n")
        try:
            return json.loads(lines[-1])
        except ValueError:
            raise Failure(f"{self.name} (exit {self.popen.returncode}) gave no JSON: {self.tail()}") from None

    def ask(self, line):
        """Gives a program that reads its orders one more of them; answer() waits for what comes of it."""
        self.asked = len(self._lines())
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def _lines(self):
        return self.output().split("\n")[:-1]

    def answer(self, seconds=60, what='"passed"'):
        """The first line since ask() that holds the text, decoded."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.running():
            for line in self._lines()[self.asked:]:
                if what in line:
                    return json.loads(line)
            time.sleep(0.02)
        raise Failure(f"{self.name} gave no answer within {seconds} s: {self.tail()}")

    def kill(self, number=signal.SIGKILL):
        if self.running():
            self.asked_by.append(-number)
            self.popen.send_signal(number)
        return self

    def pause(self, seconds=60):
        """
        Stops it with SIGSTOP, and returns when all its threads have stopped: until the signal reaches the process, other threads still serve.
        SIGCONT ends the pause.
        """
        self.popen.send_signal(signal.SIGSTOP)
        end = time.monotonic() + seconds
        while any(state != "T" for state in self._thread_states()):
            if time.monotonic() > end:
                raise Failure(f"{self.name} did not stop within {seconds} s: {self._thread_states()}")
            time.sleep(0.002)
        return self

    def _thread_states(self):
        states = []
        for path in record.pathlib.Path(f"/proc/{self.pid}/task").glob("*/stat"):
            try:
                states.append(path.read_text().rpartition(")")[2].split()[0])
            except OSError:  # the thread has ended
                continue
        return states

    def stop(self, seconds=5):
        """Asks it to end, insists after a while; returns its exit status."""
        self.kill(signal.SIGTERM)
        self.kill(signal.SIGCONT)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.popen.wait(PATIENCE)

    def cpu_seconds(self):
        """CPU time of all its threads, by the scheduler's own account (ns resolution)."""
        total = 0
        for path in record.pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            try:
                total += int(path.read_text().split()[0])
            except (OSError, IndexError):
                continue
        return total / 1e9
