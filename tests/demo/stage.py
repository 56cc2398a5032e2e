# SPDX-License-Identifier: Apache-2.0
"""Output of the demo. Each fact is printed when it is known, and again in the report."""

import dataclasses
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


@dataclasses.dataclass
class Step:
    title: str
    running: subprocess.Popen
    output: IO
    began: float
    seconds: int


def progress(step):
    """The last [done/all] that ninja wrote, or "". Does not move the offset of the file, which the program shares."""
    fd = step.output.fileno()
    found = re.findall(rb"^\[\d+/\d+\]", os.pread(fd, 4096, max(os.fstat(fd).st_size - 4096, 0)), re.M)
    return found[-1].decode() if found else ""


class Stage:
    def __init__(self):
        self.began = time.monotonic()
        self.facts = []
        self.lab = self.daemon = None
        self.started = []  # programs of start()

    def say(self, text=""):
        print(text, flush=True)

    def scene(self, title):
        self.say(f"\n{BOLD}{title}{PLAIN}  [{time.monotonic() - self.began:.0f} s]")

    def fact(self, what, found, good):
        """Adds a fact; good: it is as expected."""
        self.facts.append((what, found, good))
        self.say(f"  {'' if good else 'NOT AS EXPECTED: '}{what}: {found}")

    def start(self, title, argv, seconds, **options):
        """Starts a program; wait() waits for it, at most so many seconds."""
        output = tempfile.TemporaryFile("w+", errors="replace")
        running = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                   start_new_session=True, **options)
        self.started.append(running)
        return Step(title, running, output, time.monotonic(), seconds)

    def wait(self, step):
        """
        Prints the step's name, a dot every 5 s, every 30 s how much of a build is done, and its time; returns its output. If it fails,
        raises an error with the last output.
        """
        print(f"  {step.title} ", end="", flush=True)
        for turn in itertools.count(1):
            try:
                step.running.wait(timeout=5)
                break
            except subprocess.TimeoutExpired:
                print(progress(step) if turn % 6 == 0 else "", end=".", flush=True)
                if time.monotonic() - step.began > step.seconds:
                    os.killpg(step.running.pid, signal.SIGKILL)
                    raise RuntimeError(f"{step.title}: not done within {step.seconds} s") from None
        step.output.seek(0)
        output = step.output.read()
        if step.running.returncode:
            raise RuntimeError(f"{step.title} failed:\n{output[-2000:]}")
        print(f" {time.monotonic() - step.began:.0f} s", flush=True)
        return output

    def end(self):
        """Ends the programs of start() that still run: a later step failed, or the demo was interrupted."""
        for running in self.started:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGTERM)  # Maven starts the JVM as its child

    def step(self, title, argv, seconds, **options):
        return self.wait(self.start(title, argv, seconds, **options))

    def report(self):
        """Prints all facts again; returns the number of unexpected ones."""
        width = max(len(what) for what, _, _ in self.facts)
        self.say(f"\n{BOLD}Results of the clients{PLAIN}")
        for what, found, good in self.facts:
            self.say(f"  {'ok ' if good else 'BAD'} {what:<{width}}  {found}")
        self.say(f"  in {time.monotonic() - self.began:.0f} s, builds included")
        return sum(not good for _, _, good in self.facts)
