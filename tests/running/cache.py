# SPDX-License-Identifier: Apache-2.0
"""
The compiler cache for all builds by the project's scripts. Each user has one, which all clones share. CCACHE_DIR and
CCACHE_MAXSIZE of the caller override its directory and size.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

MAX_SIZE = "8G"
SPARE = 1 << 30  # bytes that must be free on the cache's disk


def _directory():
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(os.environ.get("CCACHE_DIR") or pathlib.Path(root, "meltemi", "ccache"))


def _unusable(directory):
    """Why the cache cannot be written, or None."""
    try:
        if directory.parts[:1] == ("~",):
            return "this user has no home directory"
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
        # Directories of another user in it, as after `sudo tests/run`, make ccache fail, and with it the compiler.
        for folder in (*directory.glob("*"), *directory.glob("*/*")):
            if folder.is_dir() and not os.access(folder, os.W_OK):
                return f"{folder} cannot be written"
    except OSError as error:
        return error.strerror
    asked = subprocess.run(["ccache", "-k", "max_size"], env={**os.environ, "CCACHE_DIR": str(directory)}, capture_output=True, text=True, check=False)
    if asked.returncode:
        return asked.stderr.strip().removeprefix("ccache: error: ")
    free = shutil.disk_usage(directory).free
    return f"only {free >> 20} MB are free on its disk" if free < SPARE else None


def compilers(c=None, cxx=None):
    """The environment of `meson setup`: the given compilers, else those in the caller's CC and CXX."""
    c, cxx = c or os.environ.get("CC", "gcc"), cxx or os.environ.get("CXX", "g++")
    launcher = "ccache " if shutil.which("ccache") and "ccache" not in c else ""
    return {"CC": launcher + c, "CXX": launcher + cxx}


def environment():
    """(The environment of ninja, a warning or None)."""
    if not shutil.which("ccache"):
        return {}, "ccache is not installed: compiling without a cache"
    directory = _directory()
    reason = _unusable(directory)
    if reason:
        # ccache reads its configuration file even if it is disabled.
        return {"CCACHE_DISABLE": "1", "CCACHE_CONFIGPATH": os.devnull}, f"compiler cache {directory}: {reason}: compiling without it"
    # NOHASHDIR: objects also match in clones in other directories, although their debug information names the first clone.
    # DEPEND: take the list of headers from the compiler, instead of running the preprocessor a second time.
    size = os.environ.get("CCACHE_MAXSIZE", MAX_SIZE)
    return {"CCACHE_DIR": str(directory), "CCACHE_NOHASHDIR": "1", "CCACHE_DEPEND": "1", "CCACHE_MAXSIZE": size}, None
