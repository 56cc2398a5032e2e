# SPDX-License-Identifier: Apache-2.0
"""
What holds at the end of each lab that passed, whatever it was about: the daemon is alive, gives back all that its clients pinned,
ends with 0 when it is told to, and its log has no error that the test did not announce. Earlier processes of a daemon that a test
started again only must not have crashed, nor have a fault in their logs. A test that cannot promise one of these
says so, with the reason: daemon.leaves("errors", "why", r"text of the line"), "memory" or "exit".
"""

import re
import signal
import subprocess

from .check import PATIENCE, Failure, check, equal, within

# Slabs that hold something only as long as a peer wants something; connections may stay open.
SLABS = ("exchange", "tcp out of order", "opaque connections connecting")
BAD = re.compile(r"level=error|^EAL: .*(?:rror|annot|ailed)")
# Faults of the daemon that tests/running/second_try.py looks for. A test cannot announce them.
FAULT = re.compile(r"^.*(?:Sanitizer: |: runtime error: |: broken invariant: |Assertion `).*$", re.M)
CRASHES = (-signal.SIGILL, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGSEGV)


def faults(daemons):
    """Lines that show a fault of a daemon, to be printed whatever the lab failed of."""
    return [line for daemon in daemons for process in (*daemon.earlier, daemon.process) if process for line in FAULT.findall(process.errors())]


def died(daemons):
    """What to say of those that ended on their own, or None."""
    for daemon in daemons:
        for process in daemon.earlier:
            if process.popen.poll() in CRASHES and process.popen.returncode not in process.asked_by:
                return f"meltemid, which was started again, ended by itself with {process.popen.returncode}: {process.tail()}"
        process = daemon.process
        if process and not process.running() and process.popen.returncode not in (0, *process.asked_by):
            return f"meltemid ended by itself with {process.popen.returncode}: {process.tail()}"
    return None


def _pinned(daemon):
    """What is in use that was not when it had just started."""
    now = daemon.in_use()
    return {name: n - daemon.at_start.get(name, 0) for name, n in now.items()
            if n > daemon.at_start.get(name, 0) and (name.startswith(("data", "control")) or name.rsplit("-w", 1)[0] in SLABS)}


def _gives_back(daemon):
    left = {}

    def back():
        left.clear()
        left.update(_pinned(daemon))
        return not left

    try:
        within(PATIENCE, back, "all is given back", step=0.1)
    except Failure:
        raise Failure(f"at the end of the lab {left} are still in use") from None


def _ends(daemon):
    """SIGTERM; a second one where connections are still open: both end with 0."""
    process = daemon.process
    process.popen.send_signal(signal.SIGTERM)
    try:
        process.popen.wait(1)
    except subprocess.TimeoutExpired:
        process.popen.send_signal(signal.SIGTERM)
        try:
            process.popen.wait(2 * PATIENCE)  # this has no second try
        except subprocess.TimeoutExpired:
            raise Failure(f"meltemid does not end: {process.tail()}") from None
    equal(process.popen.returncode, 0, f"exit status at the end of the lab ({process.tail()})")


def _clean(daemon):
    announced = daemon.left_behind.get("errors", [])
    bad = [line for line in daemon.process.errors().splitlines() if BAD.search(line) and not any(re.search(a, line) for a in announced)]
    bad += faults([daemon])
    check(not bad, f"the log has errors: {bad[:3]}")


def look(daemons, reachable):
    """Clients are gone; servers are not. Who cannot be reached any more is owed what was sent to him."""
    for daemon in daemons:
        if not daemon.process:
            continue
        if daemon.process.running():
            if reachable and "memory" not in daemon.left_behind:
                _gives_back(daemon)
            if "exit" not in daemon.left_behind:
                _ends(daemon)
    text = died(daemons)
    check(not text, text)
    for daemon in daemons:
        if daemon.process:
            _clean(daemon)
