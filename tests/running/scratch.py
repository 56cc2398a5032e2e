# SPDX-License-Identifier: Apache-2.0
"""
The directory of a run, which also identifies its programs. A run holds the lock of its directory until its process ends, so a
directory without a holder is of a killed run. A process id would not tell that: a run in a container has ids of its own.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import tempfile

from .job import DEBUG

LOCK = "lock"


def _end_programs_of(run):
    """
    Kills the programs that tests and compilers of a killed run have started; only a runner's direct children end with it. Guards
    of labs do not have the mark, and clean up.
    """
    mark = f"MELTEMI_RUN={run}".encode()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(process.name) in (os.getpid(), os.getppid()):
                continue
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def _is_held(run):
    """True if a process holds the run's lock, or if this user cannot find out."""
    try:
        with open(run / LOCK, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:  # no lock: the run was killed before it had one
        pass
    return False


def _begin(parent):
    """
    Removes what killed runs have left. Returns a new directory and its open lock. The lock of `parent` keeps other runs from
    seeing the new directory before its lock is held. Children do not inherit either lock.
    """
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        for old in parent.iterdir():
            if not _is_held(old):
                _end_programs_of(old)
                shutil.rmtree(old, ignore_errors=True)
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
        folder.chmod(0o755)  # runs of other users look at its lock
        lock = open(folder / LOCK, "xb")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder, lock
    finally:
        os.close(fd)


@contextlib.contextmanager
def scratch(parent=DEBUG / "runs"):
    """Yields a directory for this run. Removes directories and programs of killed runs first."""
    parent.mkdir(exist_ok=True)
    folder, lock = _begin(parent)
    os.environ["MELTEMI_RUN"] = str(folder)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
