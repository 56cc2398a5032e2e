# SPDX-License-Identifier: Apache-2.0
"""
AWS-LC, built once in the user's cache as docs/how-to/aws-lc.md describes, out of the crate aws-lc-sys: it has the library's whole C source and its
assembly, so that neither Go nor Perl is wanted. cargo fetches it; version and hash are pinned.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile

import environment
from meltemi_lab import Skip

CRATE, VERSION = "aws-lc-sys", "0.47.0"  # AWS-LC 5.12.0
SHA256 = "8bfbe32ac36b3c428696ce315464181bc4029d689fd58e3f2a4e58c252242f52"
KEEP = environment.CACHE / f"{CRATE}-{VERSION}"
MANIFEST = f"""[package]
name = "fetched"
version = "0.0.0"
edition = "2021"
[lib]
path = "nothing.rs"
[dependencies]
{CRATE} = "={VERSION}"
"""


def prefix():
    """Where it is installed; skips where it cannot be had."""
    environment.CACHE.mkdir(parents=True, exist_ok=True)
    with open(environment.CACHE / f"{CRATE}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (KEEP / "lib/libssl.a").exists():
            try:
                _make()
            except (subprocess.SubprocessError, OSError, LookupError) as e:
                said = getattr(e, "stderr", None) or ""
                raise Skip(f"AWS-LC cannot be had: {e} {said.strip()[-300:]}") from None
    return KEEP


def _run(*words, **how):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True, timeout=900, **how).stdout


def _make():
    for tool in ("cargo", "cmake", "ninja", "c++"):
        if not shutil.which(tool):
            raise LookupError(f"there is no {tool}")
    with tempfile.TemporaryDirectory(dir=environment.CACHE) as scratch:
        source = _fetched(scratch)
        made = os.path.join(scratch, "made")
        launcher = [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache" for language in ("C", "CXX") if shutil.which("ccache")]
        _run("cmake", "-S", source, "-B", f"{scratch}/build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF",
             "-DBUILD_TOOL=OFF", "-DDISABLE_GO=ON", "-DDISABLE_PERL=ON", f"-DCMAKE_INSTALL_PREFIX={made}",
             "-DCMAKE_INSTALL_LIBDIR=lib", *launcher)
        _run("ninja", "-C", f"{scratch}/build", "install")
        shutil.rmtree(KEEP, ignore_errors=True)
        os.rename(made, KEEP)


def _fetched(scratch):
    """cargo compares what came with the hash of its index, and that one is compared here."""
    for name, text in (("Cargo.toml", MANIFEST), ("nothing.rs", "")):
        with open(os.path.join(scratch, name), "w", encoding="ascii") as out:
            out.write(text)
    _run("cargo", "vendor", "vendor", cwd=scratch)
    with open(os.path.join(scratch, "Cargo.lock"), encoding="ascii") as lock:
        found = re.search(rf'name = "{CRATE}"\nversion = "{re.escape(VERSION)}"\n.*\nchecksum = "(\w+)"', lock.read())
    if not found or found[1] != SHA256:
        raise LookupError(f"{CRATE} {VERSION} is another one: {found and found[1]}")
    return os.path.join(scratch, "vendor", CRATE, "aws-lc")
