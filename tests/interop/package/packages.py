# SPDX-License-Identifier: Apache-2.0
"""The Debian packages of this tree, built once for the tests that install them."""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess

from meltemi_lab import ROOT, Skip, check

OUT = ROOT / "build-debian"
TREE = OUT / "meltemi"
STATE = OUT / "sources"  # of which the packages were built


def run(*words, limit=300, **how):
    done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=limit, check=False, **how)
    check(done.returncode == 0, f"{words[0]} {words[-1]}: exit status {done.returncode}: {done.stdout[-4000:]}")
    return done.stdout


def _sources():
    """Files of the tree, without those of builds and tests."""
    for name in ("app", "bench", "codecs", "debian", "docs", "lib", "pmd-config", "proto", "meson.build", "meson_options.txt"):
        path = ROOT / name
        yield from (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else (path,)


def _state():
    """A text that changes with every source."""
    return "".join(f"{path} {path.stat().st_mtime_ns} {path.stat().st_size}\n" for path in sorted(_sources()))


def _found(state):
    """The packages of these sources by name."""
    packages = {path.name.split("_")[0]: path for path in OUT.glob("*_*_amd64.deb")}
    complete = {"meltemi", "meltemi-bench"} <= packages.keys() and list(OUT.glob("*.changes"))
    return packages if complete and STATE.exists() and STATE.read_text() == state else None


def _build(state):
    """Builds in a directory that is always the same, so that the cache of compilers knows it."""
    STATE.unlink(missing_ok=True)
    for path in (*OUT.glob("*.deb"), *OUT.glob("*.changes"), *OUT.glob("*.buildinfo")):
        path.unlink()
    shutil.rmtree(TREE, ignore_errors=True)
    shutil.copytree(ROOT, TREE, symlinks=True, ignore=lambda at, names: [n for n in names if n == ".git" or (at == str(ROOT) and n.startswith("build"))])
    cache = {"CCACHE_DIR": os.environ.get("CCACHE_DIR", os.path.expanduser("~/.cache/meltemi/ccache")), "CCACHE_NOHASHDIR": "1", "CCACHE_DEPEND": "1",
             "CC": "ccache gcc", "CXX": "ccache g++"}
    log = run("dpkg-buildpackage", "-us", "-uc", "-b", limit=1200, cwd=TREE, env={**os.environ, **cache})
    (OUT / "build.log").write_text(log)
    STATE.write_text(state)


def build():
    """The packages by name."""
    for tool in ("dpkg-buildpackage", "dh", "debootstrap"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is missing (tests/packages install package)")
    OUT.mkdir(exist_ok=True)
    with open(OUT / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = _state()
        if not _found(state):
            _build(state)
        packages = _found(state)
    check(packages, f"packages: {sorted(path.name for path in OUT.glob('*.deb'))}")
    return packages


def depends(package):
    return run("dpkg-deb", "--field", package, "Depends").strip()


def of_version(package, version):
    """The same package with another version."""
    scratch, out = OUT / "repacked", OUT / f"{package.name.split('_')[0]}_{version}.deb"
    shutil.rmtree(scratch, ignore_errors=True)
    run("dpkg-deb", "-R", package, scratch)
    control = scratch / "DEBIAN/control"
    control.write_text(re.sub("^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
    run("dpkg-deb", "-Znone", "-b", scratch, out)
    shutil.rmtree(scratch)
    return out
