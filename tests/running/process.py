# SPDX-License-Identifier: Apache-2.0
"""Programs with a time limit, each in a process group of its own; none of them outlives the runner."""

import ctypes
import os
import signal
import subprocess
import threading
import time

from .job import ROOT

PR_SET_PDEATHSIG = 1
_running, _lock = {}, threading.Lock()
_closing = threading.Event()


def _die_with_runner():
    """Not outliving a runner that was killed is for what is started; its labs see to their own processes."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _signal(started, number):
    try:
        os.killpg(started.pid, number)
    except ProcessLookupError:
        pass


def run_limited(argv, seconds, env=None, cwd=ROOT):
    """(exit status, output); a program that outlives its time is ended with all that it started, and its status is None."""
    with _lock:
        if _closing.is_set():
            return None, "the runner ends"
        started = subprocess.Popen([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
                                   preexec_fn=_die_with_runner, env={**os.environ, **(env or {})})
        _running[started.pid] = started
    try:
        output, _ = started.communicate(timeout=seconds)
        return started.returncode, output
    except subprocess.TimeoutExpired:
        _signal(started, signal.SIGTERM)
        try:
            output, _ = started.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            _signal(started, signal.SIGKILL)
            output, _ = started.communicate()
        return None, (output or "") + f"\nnot finished within {seconds} s"
    finally:
        with _lock:
            del _running[started.pid]


def end_all(seconds=15):
    """Ends whatever runs: asked first, so that labs clean up, then killed, and their guards clean up."""
    with _lock:
        _closing.set()
        left = list(_running.values())
    for started in left:
        _signal(started, signal.SIGTERM)
    end = time.monotonic() + seconds
    while _running and time.monotonic() < end:
        time.sleep(0.05)
    for started in left:
        if started.poll() is None:
            _signal(started, signal.SIGKILL)
