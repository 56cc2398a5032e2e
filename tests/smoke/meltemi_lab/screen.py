# SPDX-License-Identifier: Apache-2.0
"""A terminal with a person at it: a program behind a pseudo terminal, and the screen as it would be seen."""

import os
import time

import pexpect
import pyte

from .check import PATIENCE, Failure


class Screen:
    """with Screen([SHELL, ...]) as s: s.type("show\\t"); s.sees("ports")"""

    def __init__(self, command, rows=24, columns=80, **environment):
        base = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "PAGER", "MELTEMI_SOCKET")}
        env = {**base, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PS1": "$ ", **environment}
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.child = pexpect.spawn(str(command[0]), [str(word) for word in command[1:]], dimensions=(rows, columns),
                                   env=env, timeout=PATIENCE)
        self.child.delaybeforesend = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.child.close(force=True)

    def read(self, seconds=0.05):
        """Takes what has been written until then."""
        try:
            data = self.child.read_nonblocking(65536, timeout=seconds)
            self.raw += data
            self.stream.feed(data)
            return True
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def line(self, number):
        return self.screen.display[number].rstrip()

    def until(self, condition, what):
        """Waits for a screen for which condition() is true. Returns the screen."""
        end = time.monotonic() + PATIENCE
        while True:
            going = self.read()
            if condition():
                return self.text()
            if not going or time.monotonic() > end:
                raise Failure(f"{what() if callable(what) else what}; the screen:\n{self.text()}")

    def sees(self, *texts, absent=()):
        """Waits for a screen with all the texts and none of the absent."""
        return self.until(lambda: all(text in self.text() for text in texts) and not any(text in self.text() for text in absent),
                          lambda: f"no {[text for text in texts if text not in self.text()]} (nor without {absent}) on the screen")

    def type(self, keys):
        self.child.send(keys)

    def key(self, name):
        self.type({"up": "\x1bOA", "down": "\x1bOB", "enter": "\r", "backspace": "\x7f", "interrupt": "\x03"}[name])

    def resize(self, rows, columns):
        self.child.setwinsize(rows, columns)
        self.screen.resize(rows, columns)

    def end(self, seconds=PATIENCE):
        """Waits for the end of the program; its exit status, or 128 + signal."""
        end = time.monotonic() + seconds
        while self.read():  # to its last word, which comes before its end is seen
            if time.monotonic() > end:
                raise Failure(f"the program does not end:\n{self.text()}")
        self.child.wait() if self.child.isalive() else self.child.close()
        return self.child.exitstatus if self.child.signalstatus is None else 128 + self.child.signalstatus
