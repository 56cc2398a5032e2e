# SPDX-License-Identifier: Apache-2.0
"""
Virtual machines without KVM, with Debian's kernel and a file system in memory: programs of this machine, and the kernel's modules. The
kernel's package is fetched by apt, unpacked once, and not installed.
"""

import fcntl
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess

from .check import Skip, check
from .paths import INTEROP, PYTHON

PLACE = INTEROP / "emulator"
META = "linux-image-cloud-amd64"
OPTIONS = ("-machine", "pc", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-nodefaults", "-display", "none", "-no-reboot")
TOOLS = ("qemu-system-x86_64", "modprobe", "depmod", "apt-get", "dpkg-deb")  # sections tests and demo of tests/packages.txt
PROGRAMS = ("sh", "ip", "mount", "modprobe", "sysctl")
# Prints the files of all modules that programs in the guest import, also of those that Python imports only when it needs them.
IMPORTED = """
import encodings.ascii, encodings.idna, encodings.latin_1, json, os, socket, subprocess, sys, traceback, tty
{}
print(*(m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)), sep="\\n")
"""


def _run(*words, limit=300, **how):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8"}, **how)
    return done.returncode, done.stdout, done.stderr


def _must(*words, **how):
    status, out, err = _run(*words, **how)
    check(status == 0, f"{' '.join(map(str, words[:3]))}: exit status {status}: {out[-500:]}{err[-1000:]}")
    return out


def _fetched(into):
    """The package's file. Its name has the version, so that the one which `META` depends on must be found first."""
    name = re.search(r"Depends: (linux-image-\S+-cloud-amd64)$", _run("apt-cache", "depends", META)[1], re.M)
    if not name:
        raise Skip(f"apt knows no {META}: apt-get update")
    status, out, err = _run("apt-get", "-q", "download", name[1], cwd=into)
    if status:
        raise Skip(f"apt-get download {name[1]}: {out[-300:]}{err[-500:]}")
    return next(into.glob("*.deb"))


def _unpacked(place):
    scratch = place.with_name("new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    package = _fetched(scratch)
    _must("dpkg-deb", "-x", package, scratch)
    package.unlink()
    version = next((scratch / "lib/modules").iterdir()).name
    _must("depmod", "-b", scratch, version)
    os.rename(scratch, place)


def made():
    """The directory of the unpacked package, made if it is missing. Raises Skip if this machine cannot make it, or run it."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise Skip(f"{', '.join(missing)} is missing (tests/packages install)")
    PLACE.mkdir(parents=True, exist_ok=True)
    with open(PLACE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (PLACE / "kernel").exists():
            _unpacked(PLACE / "kernel")
    return PLACE / "kernel"


def _modules(tree, names):
    """Paths of these modules, and of those that they need, with the lists that modprobe reads."""
    base = next((tree / "lib/modules").iterdir())
    needs = dict(line.split(":", 1) for line in (base / "modules.dep").read_text().splitlines())
    files = {name for path, more in needs.items() if pathlib.Path(path).stem in names for name in (path, *more.split())}
    check(len(files) >= len(names), f"modules of {base.name}: {sorted(files)}")
    for path in (*(base / name for name in files), *base.glob("modules.*")):
        yield path, path.relative_to(tree)


def _libraries(path):
    """Shared objects that a program or an object needs, and the loader."""
    return re.findall(r"(/\S+) \(0x", _run("ldd", path)[1])


def _files(tree, modules, imports):
    """(path here, path there) of all that the guest has."""
    files = [str(pathlib.Path(found).resolve()) for name in PROGRAMS if (found := shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"))]
    check(len(files) == len(PROGRAMS), f"some of {PROGRAMS} are missing: {files}")
    names = dict(zip([*files, str(pathlib.Path(PYTHON).resolve())], [*PROGRAMS, "python3"]))
    files = [*names, *_must(PYTHON, "-I", "-S", "-c", IMPORTED.format(imports)).split()]
    libraries = (library for file in files if not file.endswith(".py") for library in _libraries(file))
    compiled = (importlib.util.cache_from_source(file) for file in files if file.endswith(".py"))
    for path in {*files, *libraries, *filter(os.path.exists, compiled)}:
        yield pathlib.Path(path), pathlib.Path("usr/bin", names[path]) if path in names else pathlib.Path(path[1:])
    yield from _modules(tree, modules)


class _Archive:
    """cpio in the form "newc", which the kernel unpacks."""

    def __init__(self, out):
        self.out, self.number, self.made = out, 0, set()

    def _entry(self, name, mode, data=b"", changed=0):
        self.number += 1
        name = str(name).encode() + b"\0"
        fields = (self.number, mode, 0, 0, 1, changed, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        for piece in (head, data):
            self.out.write(piece + bytes(-len(piece) % 4))

    def add(self, name, data, changed=0):
        for parent in reversed(pathlib.Path(name).parents[:-1]):
            self.directory(parent)
        self._entry(name, 0o100755, data, changed)

    def directory(self, name):
        if name not in self.made:
            self.made.add(name)
            self._entry(name, 0o040755)

    def end(self):
        self._entry("TRAILER!!!", 0)


def file_system(tree, path, own, modules, imports=""):
    """
    Writes the archive. own: {path there: bytes}; modules: of the kernel, by name; imports: statements of Python that import what programs in
    the guest do, beside IMPORTED.
    """
    with open(path, "wb") as out:
        archive = _Archive(out)
        for name in ("proc", "sys", "dev", "run", "tmp"):
            archive.directory(pathlib.Path(name))
        for here, there in _files(tree, modules, imports):
            archive.add(there, here.read_bytes(), int(here.stat().st_mtime))  # Python compares the times of its compiled modules
        for there, data in own.items():
            archive.add(there, data)
        archive.end()


def image(tree):
    """The kernel's file."""
    return next((tree / "boot").glob("vmlinuz-*"))


def command(kernel, archive, memory, console):
    """The emulator's command, without devices: memory in MB; console: a file for the kernel's messages."""
    return ["qemu-system-x86_64", *OPTIONS, "-m", memory, "-kernel", kernel, "-initrd", archive, "-serial", f"file:{console}",
            "-append", "console=ttyS0 net.ifnames=0 panic=-1 loglevel=4"]
