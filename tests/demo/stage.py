# SPDX-License-Identifier: Apache-2.0
"""What the demo says, and what it found: each fact is printed when it is known, and again in the report."""

import subprocess
import sys
import time

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


class Stage:
    def __init__(self):
        self.began = time.monotonic()
        self.facts = []
        self.lab = self.daemon = None

    def say(self, text=""):
        print(text, flush=True)

    def scene(self, title):
        self.say(f"\n{BOLD}{title}{PLAIN}  [{time.monotonic() - self.began:.0f} s]")

    def fact(self, what, found, good):
        """good: whether it is as the story promises."""
        self.facts.append((what, found, good))
        self.say(f"  {'' if good else 'NOT AS EXPECTED: '}{what}: {found}")

    def step(self, title, argv, seconds, **options):
        """A long step: its name, a sign of life every 5 s, its time. Raises with the last output if it fails."""
        began = time.monotonic()
        print(f"  {title} ", end="", flush=True)
        with subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, **options) as running:
            while True:
                try:
                    output, _ = running.communicate(timeout=5)
                    break
                except subprocess.TimeoutExpired:
                    print(".", end="", flush=True)
                    if time.monotonic() - began > seconds:
                        running.kill()
                        raise RuntimeError(f"{title}: not done within {seconds} s") from None
        if running.returncode:
            raise RuntimeError(f"{title} failed:\n{output[-2000:]}")
        print(f" {time.monotonic() - began:.0f} s", flush=True)
        return output

    def report(self):
        """The facts once more; the number that were not as promised."""
        width = max(len(what) for what, _, _ in self.facts)
        self.say(f"\n{BOLD}What the clients saw{PLAIN}")
        for what, found, good in self.facts:
            self.say(f"  {'ok ' if good else 'BAD'} {what:<{width}}  {found}")
        self.say(f"  in {time.monotonic() - self.began:.0f} s, builds included")
        return sum(not good for _, _, good in self.facts)
