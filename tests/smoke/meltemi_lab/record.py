# SPDX-License-Identifier: Apache-2.0
"""
What a lab made, on disk, so that it can be cleaned up by someone else: a directory per lab with its owner, its
namespaces and its processes. Only what is recorded there, or bears the lab's name, is ever removed or killed.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

from . import netns
from .paths import LABS

EAL = pathlib.Path("/var/run/dpdk")
SHM = pathlib.Path("/dev/shm")


def start_time(pid):
    """The kernel's start time of a process, or None: with the pid it names one process for good."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else fields[19]


def _lines(path):
    try:
        return path.read_text().split("\n")[:-1]
    except OSError:
        return []


def _append(path, line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def create(lab_id):
    directory = LABS / lab_id
    directory.mkdir(parents=True, mode=0o755)
    _append(directory / "owner", f"{os.getpid()} {start_time(os.getpid())}")
    return directory


def note_namespace(directory, name):
    _append(directory / "namespaces", name)


def note_process(directory, pid):
    _append(directory / "processes", f"{pid} {start_time(pid)}")


def _alive(line):
    pid, started = line.split()
    return started != "None" and start_time(int(pid)) == started


def _kill_recorded(directory):
    for line in _lines(directory / "processes"):
        if _alive(line):
            try:
                os.kill(int(line.split()[0]), signal.SIGKILL)
            except ProcessLookupError:
                pass


def _kill_inside(name):
    """Ends what runs in a namespace of the lab without being recorded (a shell's background job); never ourselves."""
    found = subprocess.run(["ip", "netns", "pids", name], text=True, capture_output=True, timeout=60, check=False)
    for pid in map(int, found.stdout.split()):
        if pid not in (os.getpid(), os.getppid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def remove(directory):
    """Ends everything that the lab made. Safe to repeat."""
    _kill_recorded(directory)
    pairs = [line.split() for line in _lines(directory / "processes")]
    programs = [pid for pid, started in pairs if start_time(pid) in (None, started)]  # others have the number of one that ended
    for name in _lines(directory / "namespaces"):
        _kill_inside(name)
        netns.delete(name)
    _remove_eal(directory.name, programs)
    _remove_shm(programs)
    shutil.rmtree(directory, ignore_errors=True)


def _remove_eal(lab_id, programs):
    """What DPDK leaves of a program that was killed: daemons are called like their lab, load generators by their pid."""
    blasts = [EAL / f"meltemi-blast-{pid}" for pid in programs]
    for found in (*EAL.glob(f"meltemi-{lab_id}"), *EAL.glob(f"meltemi-*-{lab_id}"), *blasts):
        shutil.rmtree(found, ignore_errors=True)


def _remove_shm(programs):
    """What libfaketime leaves, in the names of pids: a later program with such a pid that loads it would end at once."""
    for pid in programs:
        for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
            (SHM / name).unlink(missing_ok=True)


def _abandoned(directory):
    owner = _lines(directory / "owner")
    if owner:
        return not _alive(owner[0])
    try:
        return time.time() - directory.stat().st_mtime > 60  # killed before it could sign
    except OSError:
        return False


def _remove_blasts():
    """Load generators that were killed and belong to no lab: of benches, demos and unit tests."""
    for folder in EAL.glob("meltemi-blast-[0-9]*"):
        pid = folder.name.rpartition("-")[2]
        with contextlib.suppress(OSError):
            if pid.isdigit() and start_time(int(pid)) is None and time.time() - folder.stat().st_mtime > 60:
                shutil.rmtree(folder, ignore_errors=True)


def sweep():
    """Removes the labs whose owners are gone."""
    for directory in LABS.glob("*"):
        if _abandoned(directory):
            remove(directory)
    _remove_blasts()
