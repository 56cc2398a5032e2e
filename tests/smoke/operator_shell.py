#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shell on a terminal: completion, ?, watch, history of one line; in a pipe; and what it says when it cannot."""

import os
import pty
import select
import subprocess
import time

from meltemi_lab import PATIENCE, TESTS, Lab, check, equal, main
from meltemi_lab.daemon import SHELL


class Terminal:
    """The shell on a pseudo terminal; HOME is the lab's directory."""

    def __init__(self, socket, home):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(HOME=str(home), TERM="xterm")
            os.execv(SHELL, ["meltemi", "-s", str(socket)])

    def expect(self, text):
        seen, end = "", time.monotonic() + PATIENCE
        while text not in seen:
            check(time.monotonic() < end, f"no {text!r} on the terminal, but {seen!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                seen += os.read(self.fd, 65536).decode(errors="replace")

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def end(self):
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def ask(*arguments, **more):
    return subprocess.run([SHELL, *arguments], text=True, capture_output=True, timeout=30, check=False, **more)


def on_a_terminal(socket, home):
    terminal = Terminal(socket, home)
    terminal.expect("meltemi> ")
    terminal.type("sho\tver\t\n")
    terminal.expect("serving")
    terminal.type("show c\t\t")
    terminal.expect("counters")
    terminal.type("\x15show m?")
    terminal.expect("pools: size")
    terminal.type("\x15watch -n 0.2 show version\n")
    terminal.expect("uptime_s")
    terminal.expect("uptime_s")
    terminal.type("\x03")
    terminal.expect("meltemi> ")
    terminal.type("quit\n")
    equal(terminal.end(), 0, "exit status of the shell")
    check("show version" in (home / ".meltemi_history").read_text(), "the history has no `show version`")


def body():
    with Lab(servers=1) as lab:
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        daemon.leaves("errors", "it is given a bad document", "module=config")
        socket = daemon.directory / "admin.sock"
        on_a_terminal(socket, daemon.directory)

        script = ask("-s", socket, input="# a comment\nshow version\nnonsense\nshow ports\n")
        check("serving" in script.stdout and "mtu" not in script.stdout, "a script goes on after a failure")
        equal(script.returncode, 2, "exit status of a script with a mistake")
        check("ready off" in ask("-s", socket, "help", "drain").stdout, "help of drain does not name what notifies no client")
        equal(ask("-s", "/nonexistent", "help").returncode, 3, "exit status without a daemon")
        equal(ask("--bogus").returncode, 2, "exit status of an unknown option")
        equal(ask("-s", socket, "watch").returncode, 2, "exit status of watch without a command")
        nobody = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SHELL, "-s", socket, "help"],
                                text=True, capture_output=True, timeout=30, check=False)
        equal(nobody.returncode, 3, "exit status without the right")
        check("permission denied" in nobody.stderr, f"without the right: {nobody.stderr}")

        daemon.write("bad.yaml", "apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata: {name: x}\n"
                                 "spec: {hosst: [a]}\n")
        refused = ask("-s", socket, "reload")
        equal(refused.returncode, 1, "exit status of a refused reload")
        check("bad.yaml:4" in refused.stderr, f"a refused reload says {refused.stderr}")
        equal(daemon.http("/ready")[0], 200, "status of /ready after a refusal")
        daemon.shell("drain")
        equal(daemon.http("/ready")[0], 503, "status of /ready while draining")
        daemon.wait_log("drained after ")
        equal(daemon.process.errors().count("draining by `drain` of root (pid "), 1, "the drain in the log")
        daemon.shell("return")
        equal(daemon.http("/ready")[0], 200, "status of /ready after `return`")


main(body)
