#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Meltemi with AWS-LC in place of OpenSSL: built that way, in a build folder of its own; the library is the one that answers, and none of its
names can be seen from outside, where libcurl goes on with OpenSSL. Then the unit programs that know certificates or handshakes, all
peers of test_peers.py, and labs of the real daemon: a mesh, gateways, and each trouble with the alert and the reason that docs/how-to/tls.md has.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "xds"))

from meltemi_lab import ROOT, TESTS, check, equal, main  # noqa: E402

import aws_lc  # noqa: E402

BUILD = ROOT / "build-aws-lc"
UNITS = ("tls", "x509", "identity", "jwt", "grpc", "ctl")
TARGETS = (*(f"tests/unit/unit_{room}" for room in UNITS), "app/meltemid/meltemid", "app/meltemi/meltemi", "bench/blast/meltemi-blast",
           "tests/interop/tls/tls_peer", "tests/smoke/impair")
LABS = ("interop/tls/test_peers.py", "smoke/mesh_tls.py", "smoke/tls_troubles.py", "smoke/gateways_end_tls.py")
DAEMON = BUILD / "app/meltemid/meltemid"


def run(*words, limit=300, **how):
    done = subprocess.run([str(w) for w in words], text=True, capture_output=True, timeout=limit, check=False, **how)
    check(done.returncode == 0, f"{words[0]} {words[-1]}: {done.stdout[-3000:]}{done.stderr[-2000:]}")
    return done.stdout


def build(prefix):
    wanted = ("-Dbuildtype=debugoptimized", "-Dwerror=true", "-Dtls_library=aws-lc", f"-Dtls_prefix={prefix}")
    if (BUILD / "build.ninja").exists():
        run("meson", "configure", BUILD, *wanted)
    else:
        run("meson", "setup", BUILD, *wanted, cwd=ROOT)
    run("ninja", "-C", BUILD, *TARGETS, limit=1200)


def names_are_hidden():
    """What libcurl asks for by a name has one answer: nothing of AWS-LC's can be found by the loader."""
    said = run(DAEMON, "--version")
    check("(AWS-LC " in said, f"meltemid --version: {said}")
    linked = run("ldd", DAEMON)
    check("libcurl.so" in linked and "libssl.so.3" in linked, "libcurl brings OpenSSL no more: this test is of no use")
    own = run("nm", "--defined-only", DAEMON)
    check(" SSL_do_handshake\n" in own, "AWS-LC is not in the program")
    seen = [line for line in run("nm", "-D", "--defined-only", DAEMON).splitlines() if line.split()[-1].startswith(
        ("SSL_", "EVP_", "X509_", "CRYPTO_", "OPENSSL_", "BIO_", "ERR_", "RSA_", "EC_"))]
    equal(seen, [], "names of AWS-LC's that others see")
    wants = [line.split()[-1] for line in run("nm", "-D", "--undefined-only", DAEMON).splitlines()]
    equal([name for name in wants if "@OPENSSL" in name], [], "names of OpenSSL's that the daemon wants")
    bound = subprocess.run([DAEMON, "--version"], env={**os.environ, "LD_BIND_NOW": "1", "LD_DEBUG": "bindings"}, text=True,
                           capture_output=True, timeout=60, check=True).stderr
    to = re.findall(r"binding file \S*libcurl\S* \[0\] to (\S+) .*symbol `SSL_CTX_new'", bound)
    check(len(to) == 1 and "libssl.so.3" in to[0], f"libcurl's SSL_CTX_new is {to}")


def refused():
    """What cannot be had is said when the build is configured."""
    for options, words in ((("-Dtls_library=aws-lc",), "-Dtls_prefix"),
                           (("-Dtls_library=openssl", f"-Dtls_prefix={aws_lc.prefix()}"), "are not those of openssl"),
                           (("-Dtls_library=aws-lc", "-Dtls_prefix=/usr"), "are not those of aws-lc")):
        with tempfile.TemporaryDirectory() as where:
            done = subprocess.run(["meson", "setup", where, ROOT, *options], text=True, capture_output=True, timeout=300, check=False)
        check(done.returncode != 0 and words in done.stdout, f"{options}: {done.stdout[-500:]}")


def body():
    build(aws_lc.prefix())
    names_are_hidden()
    refused()
    for room in UNITS:
        run(BUILD / f"tests/unit/unit_{room}")
    for lab in LABS:
        run("/usr/bin/python3", TESTS / lab, env={**os.environ, "MELTEMI_BUILD": str(BUILD)}, limit=600)
        print(lab)


main(body)
