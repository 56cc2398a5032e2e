# SPDX-License-Identifier: Apache-2.0
"""Runs programs with a time limit, each in a process group of its own. No program outlives the runner."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import tempfile
import threading
import time

from .job import ROOT

PR_SET_PDEATHSIG = 1
NOT_STARTED = 127  # exit status, as a shell has it
_running, _lock = {}, threading.Lock()
_closing = threading.Event()


def _prepare(nice):
    """In the child: ends it when the runner ends. Labs end the programs that they started themselves."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not nice:
        return
    os.nice(nice)
    # Autogroups of the kernel give each session an equal share, whatever its processes' priorities: lower the group's priority, too.
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as group:
        group.write(str(nice))


def _signal(started, number):
    try:
        os.killpg(started.pid, number)
    except ProcessLookupError:
        pass


def _ended_within(started, seconds):
    """True if the process has ended; it is not reaped yet."""
    fd = os.pidfd_open(started.pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(max(0, seconds) * 1000))
    finally:
        os.close(fd)


def _reap(started):
    """CPU seconds of the process and of all descendants that were waited for."""
    _, status, usage = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _end(started):
    _signal(started, signal.SIGTERM)
    if not _ended_within(started, 15):
        _signal(started, signal.SIGKILL)
        _ended_within(started, 60)


def run_limited(argv, seconds, env=None, cwd=ROOT, nice=0):
    """
    Runs a program; returns (exit status, output, CPU seconds). If the program exceeds its time, it is ended with its process group,
    and the status is None. The status is NOT_STARTED if the program cannot be started.
    """
    with tempfile.TemporaryFile() as output:
        with _lock:
            if _closing.is_set():
                return None, "the runner ends", 0
            try:
                started = subprocess.Popen([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=output,
                                           stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=lambda: _prepare(nice),
                                           env={**os.environ, **(env or {})})
            except OSError as error:
                return NOT_STARTED, f"{argv[0]} cannot be started: {error.strerror}: {error.filename}", 0
            _running[started.pid] = started
        in_time = False
        try:
            in_time = _ended_within(started, seconds)
        finally:
            if not in_time:
                _end(started)
            _signal(started, signal.SIGKILL)  # programs that it left running in its process group
            with _lock:
                del _running[started.pid]
                cpu = _reap(started)
        output.seek(0)
        text = output.read().decode(errors="replace")
        return (started.returncode, text, cpu) if in_time else (None, f"{text}\nnot finished within {seconds:.0f} s", cpu)


def end_all(seconds=15):
    """Ends all programs: first by SIGTERM, so that labs clean up; later by SIGKILL, after which the labs' guards clean up."""
    with _lock:
        _closing.set()
        left = list(_running.values())
    for started in left:
        _signal(started, signal.SIGTERM)
    end = time.monotonic() + seconds
    while _running and time.monotonic() < end:
        time.sleep(0.05)
    with _lock:
        for started in _running.values():
            _signal(started, signal.SIGKILL)
