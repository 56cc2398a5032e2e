# SPDX-License-Identifier: Apache-2.0
"""
The rights that a systemd unit and its drop-ins give a program: user, capabilities, system calls and address families, for machines where
systemd does not run. File systems and devices are the machine's. As a program it starts a command like systemd:
unit_rights.py start UID UNIT [DROP-IN ...] -- COMMAND ...
"""

import ctypes
import functools
import os
import pathlib
import resource
import socket
import subprocess
import sys

if __package__:
    from .check import check, equal
    from .paths import PYTHON
else:
    from check import check, equal
    PYTHON = sys.executable

USER = 64747  # of no name: the files that it must reach have its number
ALLOW, ERRNO_EPERM, EQ = 0x7fff0000, 0x00050001, 4  # seccomp.h
LISTS = ("CapabilityBoundingSet", "AmbientCapabilities", "RestrictAddressFamilies", "SystemCallFilter")


def settings(*texts):
    """The values of each setting, in order; an empty one forgets those before it."""
    found = {}
    for text in texts:
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if not equals or line.startswith("#"):
                continue
            if name in LISTS and value:
                found.setdefault(name, []).append(value)
            else:
                found[name] = [value] if value else []
    return found


@functools.cache
def in_set(name):
    """Names of the system calls in a set, as systemd knows it."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    words = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return frozenset().union(*(in_set(word) if word.startswith("@") else {word} for word in words))


def calls(values):
    """The calls that SystemCallFilter= allows; the first value is a list of allowed ones."""
    allowed = set(in_set("@default"))
    for value in values:
        for word in value.removeprefix("~").split():
            names = in_set(word) if word.startswith("@") else {word}
            allowed = allowed - names if value.startswith("~") else allowed | names
    return allowed


@functools.cache
def locks_memory():
    """Sets LimitMEMLOCK=infinity of the unit for this process and its children. Without CAP_SYS_RESOURCE CAP_IPC_LOCK has to take its place."""
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        return False
    return True


def prefix(*texts, user=USER):
    """What to write before a command, so that it has the rights of these unit files. `user` is the number of the unit's user."""
    unit = settings(*texts)
    root = unit["User"] == ["root"]
    equal((unit["NoNewPrivileges"], unit["LimitMEMLOCK"]), (["yes"], ["infinity"]), "NoNewPrivileges= and LimitMEMLOCK=")
    check(root or unit["User"] == unit["Group"] == ["meltemi"], f"user of the unit: {unit['User']}")
    number = 0 if root else user
    bound, ambient = (",".join(f"+{name[4:].lower()}" for value in unit.get(field, []) for name in value.split())
                      for field in ("CapabilityBoundingSet", "AmbientCapabilities"))
    if not locks_memory():
        bound, ambient = bound + ",+ipc_lock", ambient + ",+ipc_lock"
    words = ["setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups", "--no-new-privs", f"--bounding-set=-all{bound and ',' + bound.strip(',')}",
             f"--inh-caps=-all{ambient and ',' + ambient.strip(',')}", f"--ambient-caps=-all{ambient and ',' + ambient.strip(',')}"]
    families = [str(int(getattr(socket, name, 44))) for value in unit["RestrictAddressFamilies"] for name in value.split()]
    allowed = calls(unit["SystemCallFilter"]) - {"socket"} | (set() if locks_memory() else {"capset"})
    return [*words, "--", PYTHON, __file__, "exec", " ".join(sorted(allowed)), " ".join(families)]


def confine(names, families):
    """Allows these calls and sockets of these families; all others fail with EPERM, as with systemd."""
    lib = ctypes.CDLL("libseccomp.so.2")

    class Compare(ctypes.Structure):
        _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]

    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Compare)]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    context = lib.seccomp_init(ERRNO_EPERM)
    numbers = {lib.seccomp_syscall_resolve_name(name.encode()) for name in names} - {-1}
    failed = sum(lib.seccomp_rule_add_array(context, ALLOW, number, 0, None) != 0 for number in numbers if number >= 0)
    for family in families:
        failed += lib.seccomp_rule_add_array(context, ALLOW, lib.seccomp_syscall_resolve_name(b"socket"), 1,
                                             ctypes.byref(Compare(0, EQ, family, 0))) != 0
    if failed or lib.seccomp_load(context) != 0:
        sys.exit("the filter of the unit cannot be loaded")


def _start(user, *rest):
    end = rest.index("--")
    words = [*prefix(*(pathlib.Path(name).read_text() for name in rest[:end]), user=int(user)), *rest[end + 1:]]
    os.execvp(words[0], words)


if __name__ == "__main__":
    if sys.argv[1] == "start":
        _start(*sys.argv[2:])
    confine(sys.argv[2].split(), [int(word) for word in sys.argv[3].split()])
    os.execv(sys.argv[4], sys.argv[4:])
