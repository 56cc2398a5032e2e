# SPDX-License-Identifier: Apache-2.0
"""
BoGo, BoringSSL's suite of conversations: the runner, built of Debian's source package in the user's cache, and the certificates that it and
the daemon show each other. The package is the one of BoringSSL as Android 13 had it; its hash is pinned.
"""

import base64
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import environment
from meltemi_lab import Skip
from tls_lab import openssl

PACKAGE, VERSION = "android-platform-external-boringssl", "13.0.0+r24-2"
TARBALL = f"{PACKAGE}_13.0.0+r24.orig.tar.xz"
SHA256 = "583b7aeee1fca68b8244d086cea6fca23bd19d517bd63f0b9de714e048f92a7d"
WANTED = ("src/go.mod", "src/go.sum", "src/ssl/test/runner/", "src/util/testresult/")
KEEP = environment.CACHE / f"bogo-{VERSION}"


# ---- the runner ---------------------------------------------------------------------------------------------------------

def runner():
    """The program, and the folder of its own certificates; skips where it cannot be had."""
    environment.CACHE.mkdir(parents=True, exist_ok=True)
    with open(environment.CACHE / "bogo.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (KEEP / "runner").exists():
            try:
                _make()
            except (subprocess.SubprocessError, OSError, LookupError) as e:
                said = getattr(e, "stderr", None) or ""
                raise Skip(f"BoGo cannot be had: {e} {said.strip()[-300:]}") from None
    return KEEP / "runner", KEEP / "src/ssl/test/runner"


def _run(*words, **how):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True, timeout=400, **how).stdout


def _make():
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if not go:
        raise LookupError("there is no Go")
    with tempfile.TemporaryDirectory(dir=environment.CACHE) as scratch:
        scratch = pathlib.Path(scratch)
        _unpack(_fetched(scratch), scratch / "made")
        _run(go, "test", "-c", "-trimpath", "-o", scratch / "made/runner", ".", cwd=scratch / "made/src/ssl/test/runner")
        shutil.rmtree(KEEP, ignore_errors=True)
        os.rename(scratch / "made", KEEP)


def _fetched(scratch):
    """By apt, from where this machine has its packages from; the machine's own lists stay as they are."""
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
    (scratch / "sources.list").write_text("".join(f"deb-src {line}\n" for line in sorted(set(targets.splitlines()))))
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    options = [f"-oDir::Etc::sourcelist={scratch}/sources.list", "-oDir::Etc::sourceparts=-", f"-oDir::State::lists={scratch}/lists",
               f"-oDir::Cache={scratch}/cache", "-oAPT::Sandbox::User="]
    _run("apt-get", *options, "update")
    _run("apt-get", *options, "source", "--download-only", f"{PACKAGE}={VERSION}", cwd=scratch)
    found = hashlib.sha256((scratch / TARBALL).read_bytes()).hexdigest()
    if found != SHA256:
        raise LookupError(f"{TARBALL} is another one: {found}")
    return scratch / TARBALL


def _unpack(tarball, to):
    with tarfile.open(tarball) as tar:
        for member in tar:
            member.name = member.name.partition("/")[2]
            if member.isreg() and member.name.startswith(WANTED):
                tar.extract(member, to)


# ---- certificates -----------------------------------------------------------------------------------------------------------

KEYS = {"": ("rsa:2048",), "rsa_1024_": ("rsa:1024",), "rsa_chain_": ("rsa:2048",), "ed25519_": ("ed25519",),
        **{f"ecdsa_p{bits}_": ("ec", "-pkeyopt", f"ec_paramgen_curve:{name}")
           for bits, name in ((224, "secp224r1"), (256, "P-256"), (384, "P-384"), (521, "P-521"))}}


def certificates(at, shipped):
    """What the runner wants to find in its folder, all signed by one authority: BoGo's own ones have expired."""
    at.mkdir()
    shutil.copyfile(shipped / "channel_id_key.pem", at / "channel_id_key.pem")
    root = _authority(at, "root", None)
    middle = _authority(at, "middle", root)
    (at / "ext").write_text("subjectAltName=DNS:test,URI:spiffe://bogo/runner\nbasicConstraints=critical,CA:FALSE\n"
                            "keyUsage=critical,digitalSignature,keyEncipherment\n")
    for name, key in KEYS.items():
        _sign(at, name, key, middle if name == "rsa_chain_" else root)
    chain = at / "rsa_chain_cert.pem"
    chain.write_text(chain.read_text() + middle[0].read_text())
    return at


def _authority(at, name, above):
    cert, key = at / f"{name}.pem", at / f"{name}.key"
    by = ["-CA", above[0], "-CAkey", above[1]] if above else []
    openssl("req", "-x509", *by, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", key, "-out", cert)
    return cert, key


def _sign(at, name, key, by):
    openssl("req", "-newkey", *key, "-nodes", "-subj", f"/CN={name}leaf", "-keyout", at / f"{name}key.pem", "-out", at / "csr")
    openssl("x509", "-req", "-in", at / "csr", "-CA", by[0], "-CAkey", by[1], "-days", "2", "-extfile", at / "ext", "-out", at / f"{name}cert.pem")


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()
