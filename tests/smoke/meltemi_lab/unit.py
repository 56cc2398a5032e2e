# SPDX-License-Identifier: Apache-2.0
"""The daemon as a service: with the rights of the unit and of the drop-in of its Node document (unit_rights.py), and what its threads have."""

import json
import os
import pathlib
import re
import subprocess

from .check import check, equal
from .daemon import MELTEMID
from .paths import BUILD
from .unit_rights import USER, locks_memory, prefix

IPC_LOCK = 14  # capability.h


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


def threads(daemon):
    """Of each thread: its name, user, capabilities, and the number of its filters."""
    rows = []
    for task in pathlib.Path(f"/proc/{daemon.process.popen.pid}/task").iterdir():
        of = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        held = int(of["CapPrm"], 16) | int(of["CapEff"], 16) | int(of["CapInh"], 16) | int(of["CapAmb"], 16)
        rows.append((of["Name"], of["Uid"].split(), held, int(of["Seccomp_filters"])))
    return rows


def has_own_filter(name):
    """True for the names of workers and of threads that compute."""
    return bool(re.match("(lcore-|rte-|dpdk-)(worker|slave)|mt-tls|mt-jwt", name))


def stand_in():
    """CAP_IPC_LOCK where this machine cannot set LimitMEMLOCK= of the unit; otherwise no capability."""
    return 0 if locks_memory() else 1 << IPC_LOCK


def is_confined(daemon, kept=0):
    """
    The daemon that runs as a service: not root, no capabilities but these, and the filters. Each thread has that of the unit and two of
    the daemon, workers and threads that compute one more.
    """
    if sanitized():
        return
    rows = threads(daemon)
    for name, users, held, filters in rows:
        equal(users, [str(USER)] * 4, f"user of thread {name}")
        equal(held & ~stand_in(), kept, f"capabilities of thread {name}")
        equal(filters, 4 if has_own_filter(name) else 3, f"filters of thread {name}")
    check(sum(filters == 4 for *_, filters in rows) >= 2, f"workers and the handshakes' threads were looked at: {rows}")
