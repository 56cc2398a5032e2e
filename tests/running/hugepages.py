# SPDX-License-Identifier: Apache-2.0
"""
Runs labs with or without hugepages (MELTEMI_HUGEPAGES), and reserves hugepages for them if needed. A note has the numbers of pages
before and during the run, so that the next run, with whatever options, can undo what a killed one has set.
"""

import contextlib
import fcntl
import os
import pathlib
import re

POOL = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
NOTE = pathlib.Path("/run/lock/meltemi-tests-hugepages")
A_LAB = 2 * 640  # MB, at most: two daemons or two workers


def _pages():
    return int(POOL.read_text())


def _write(note, text):
    note.truncate(0)
    note.write(text)
    note.flush()


def _undo(text):
    """Sets the number of before a run, unless the pool has changed since: an operator's later setting stays."""
    numbers = re.fullmatch("([0-9]{1,9}) ([0-9]{1,9})", text)
    if numbers and _pages() == int(numbers[2]):
        POOL.write_text(numbers[1])


def _opened():
    """Opens the note. A link, or a file of another user, is refused, because all users may write into its directory."""
    fd = os.open(NOTE, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    note = open(fd, "a+", encoding="ascii", errors="replace")
    if os.fstat(fd).st_uid != os.geteuid():
        note.close()
        raise SystemExit(f"{NOTE} belongs to another user, who could set the machine's hugepages by it: remove it")
    return note


def _lock(note):
    """Refuses two runs at once, because one would restore the number that the other has set."""
    try:
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("another run on this machine has --hugepages on; wait for its end") from None


@contextlib.contextmanager
def reserved(beside):
    """Reserves hugepages for this number of labs at once, unless the machine has as many."""
    with _opened() as note:
        _lock(note)
        note.seek(0)
        _undo(note.read(100))
        before = _pages()
        want = max(before, beside * A_LAB // 2)
        _write(note, f"{before} {want}")
        try:
            POOL.write_text(str(want))
            have = _pages()  # the kernel may have found fewer
            _write(note, f"{before} {have}")
            if have < A_LAB // 2:
                raise SystemExit(f"this machine provided {2 * have} MB of hugepages; a lab may need {A_LAB} MB")
            print(f"{2 * have} MB of hugepages", flush=True)
            yield
        finally:
            note.seek(0)
            _undo(note.read(100))
            _write(note, "")


def undo_killed():
    """Gives back what a killed run has reserved, unless another run has --hugepages on. A note that is not ours is left alone."""
    if os.geteuid() or not NOTE.exists() or not POOL.exists():
        return
    with contextlib.suppress(OSError, SystemExit), _opened() as note:
        _lock(note)
        note.seek(0)
        _undo(note.read(100))
        _write(note, "")


@contextlib.contextmanager
def as_wanted(want, beside):
    """want: on, off, or None (use hugepages if the machine has enough); beside: number of labs at once."""
    undo_killed()
    if want is None:
        yield
        return
    os.environ["MELTEMI_HUGEPAGES"] = "auto" if want == "on" else "off"
    if want == "off":
        yield
        return
    if os.geteuid() or not POOL.exists():
        raise SystemExit(f"--hugepages on sets {POOL}: this needs root, and a kernel with this file")
    with reserved(beside):
        yield
