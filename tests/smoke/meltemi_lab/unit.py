# SPDX-License-Identifier: Apache-2.0
"""The daemon as a service: with the rights of the unit and of the drop-in of its Node document (unit_rights.py), and what its threads have."""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import select
import subprocess

from .check import PATIENCE, check, equal
from .daemon import MELTEMID
from .paths import BUILD
from .unit_rights import USER, locks_memory, prefix

IPC_LOCK = 14  # capability.h
CLOSE_ON_EXEC, OPENED = 0o2000000, 0x20  # inotify(7)


def installed():
    """The text of the unit."""
    return (BUILD / "app/meltemid/meltemid.service").read_text()


def drop_in(node):
    """What the daemon prints for a Node document."""
    done = subprocess.run([MELTEMID, "--rights", "--unit", "-c", node], capture_output=True, text=True, timeout=60, check=False)
    equal((done.returncode, done.stderr), (0, ""), "--rights --unit")
    return done.stdout


def sanitized():
    """Sanitizers start programs and inspect the process, which the unit does not permit."""
    options = json.loads((BUILD / "meson-info/intro-buildoptions.json").read_text())
    return next(option["value"] for option in options if option["name"] == "b_sanitize") != "none"


def run_as_service(daemon, text=None):
    """The daemon starts with the rights of the unit and of its drop-in, or of this one, and its directory belongs to the user of the unit."""
    if sanitized():
        return
    text = text or drop_in(daemon.node)
    daemon.prefix = prefix(installed(), text)
    owner = 0 if "User=root" in text else USER
    for path in (daemon.directory, *daemon.directory.rglob("*")):
        if not path.is_symlink():
            os.chown(path, owner, owner)


def status(path):
    """The fields of a status file in /proc."""
    return dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)


@contextlib.contextmanager
def watching(document):
    """Yields a function that waits so many seconds for a process that opens the document, and returns if one has."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(CLOSE_ON_EXEC)
    try:
        check(fd >= 0 and libc.inotify_add_watch(fd, os.fsencode(document), OPENED) >= 0, f"{document} cannot be watched")
        yield lambda seconds: bool(select.select([fd], [], [], seconds)[0])
    finally:
        os.close(fd)


def at_first_read(document, launch):
    """The status of the process with the pid that launch() returns, when it opens the document."""
    with watching(document) as is_opened:
        pid = launch()
        check(is_opened(PATIENCE), f"{document} is not read")
        return status(pathlib.Path(f"/proc/{pid}/status"))


def held_by(of):
    """Capabilities in a status."""
    return int(of["CapPrm"], 16) | int(of["CapEff"], 16) | int(of["CapInh"], 16) | int(of["CapAmb"], 16)


def threads(daemon):
    """Of each thread: its name, user, capabilities, and the number of its filters."""
    rows = []
    for task in pathlib.Path(f"/proc/{daemon.process.popen.pid}/task").iterdir():
        of = status(task / "status")
        rows.append((of["Name"], of["Uid"].split(), held_by(of), int(of["Seccomp_filters"])))
    return rows


def filters(daemon):
    """
    Filters of the daemon's own that each thread has: those of the first step, which sanitizers do without one of, and one more if a port
    needs calls until it is open.
    """
    later = re.search("net_af_packet|net_af_xdp|net_pcap[0-9]*,iface=", daemon.node.read_text())
    return (1 if sanitized() else 2) + bool(later)


def has_own_filter(name):
    """True for the names of workers and of threads that compute."""
    return bool(re.match("(lcore-|rte-|dpdk-)(worker|slave)|mt-tls|mt-jwt", name))


def stand_in():
    """CAP_IPC_LOCK where this machine cannot set LimitMEMLOCK= of the unit; otherwise no capability."""
    return 0 if locks_memory() else 1 << IPC_LOCK


def is_confined(daemon, kept=0):
    """
    The daemon that runs as a service: not root, no capabilities but these, and the filters. Each thread has that of the unit and those of
    the daemon, workers and threads that compute one more.
    """
    if sanitized():
        return
    rows, of_all = threads(daemon), 1 + filters(daemon)
    for name, users, held, number in rows:
        equal(users, [str(USER)] * 4, f"user of thread {name}")
        equal(held & ~stand_in(), kept, f"capabilities of thread {name}")
        equal(number, of_all + has_own_filter(name), f"filters of thread {name}")
    check(sum(number > of_all for *_, number in rows) >= 2, f"workers and the handshakes' threads were looked at: {rows}")
