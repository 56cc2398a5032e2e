# SPDX-License-Identifier: Apache-2.0
"""Runs labs with or without hugepages (MELTEMI_HUGEPAGES), and reserves hugepages for them if needed."""

import contextlib
import fcntl
import os
import pathlib

POOL = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
LOCK = pathlib.Path("/run/lock/meltemi-tests-hugepages")
A_LAB = 2 * 640  # MB, at most: two daemons or two workers


def _ask_for(pages):
    POOL.write_text(str(pages))
    have = int(POOL.read_text())
    if have < A_LAB // 2:
        raise SystemExit(f"this machine provided {2 * have} MB of hugepages; a lab may need {A_LAB} MB")
    print(f"{2 * have} MB of hugepages", flush=True)


def _note(lock, before):
    lock.truncate(0)
    lock.write(before)
    lock.flush()


@contextlib.contextmanager
def as_wanted(want, beside):
    """want: on, off, or None (use hugepages if the machine has enough); beside: number of labs at once."""
    if want is None:
        yield
        return
    os.environ["MELTEMI_HUGEPAGES"] = "auto" if want == "on" else "off"
    if want == "off":
        yield
        return
    if os.geteuid() or not POOL.exists():
        raise SystemExit(f"--hugepages on sets {POOL}: this needs root, and a kernel with this file")
    with LOCK.open("a+") as lock:  # another run on this machine would restore the number that this one has set
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another run on this machine has --hugepages on; wait for its end") from None
        lock.seek(0)
        before = lock.read() or POOL.read_text()  # the file has the number if a run was killed
        _note(lock, before)
        try:
            _ask_for(max(int(before), beside * A_LAB // 2))
            yield
        finally:
            POOL.write_text(before)
            _note(lock, "")
