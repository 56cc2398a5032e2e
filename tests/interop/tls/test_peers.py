#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Handshakes and records of lib/tls beside other libraries, each of them as client and as server: OpenSSL's own programs, GnuTLS's, Go's
crypto/tls and Java's JSSE, by version and cipher, with certificates and without, with sessions that are resumed, small lines and
large ones. tls_peer is our end, over kernel sockets.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import ROOT, Skip, check, equal, main  # noqa: E402
from tls_lab import (ALICE, OURS, SEEN, SUITES, Server, call, expect, free_port, make_pki, our_result, ours, run,  # noqa: E402
                     wait_for_port)

HERE = pathlib.Path(__file__).resolve().parent
OUT = ROOT / "build/interop/tls"
GNUTLS = {"0304": "VERS-TLS1.3", "0303": "VERS-TLS1.2"}
GNUTLS_CIPHERS = ("AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305")
GO_SUITES = (0xC02B, 0xC02C, 0xCCA9)
JAVA = {"0304": "TLSv1.3", "0303": "TLSv1.2"}


# ---- OpenSSL's programs ----------------------------------------------------------------------------------------------------

def openssl_serves(pki):
    for version, suites in SUITES.items():
        for cipher, suite in enumerate(suites):
            named = ("-ciphersuites", suite) if version == "0304" else ("-cipher", suite)
            port, bob = free_port(), pki["bob"]
            with Server("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", bob / "cert-chain.pem", "-key",
                        bob / "key.pem", "-CAfile", bob / "root-cert.pem", "-Verify", "2", "-verify_return_error", "-rev",
                        "-alpn", "istio", *named) as server:
                while "ACCEPT" not in server.line():
                    check(server.process.poll() is None, "s_server has ended")
                for _ in range(2):
                    call(port, pki["alice"], f"s_server {suite}", version, cipher, reversed=1, sni="bob.example")


def client_of_openssl(port, pki, *options, lines=3):
    """What `openssl s_client` sees come back; it ends when it has nothing more to say and the other end has closed."""
    alice = pki["alice"]
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", alice / "root-cert.pem",
                                "-verify_return_error", "-quiet", "-servername", "bob.example", *options],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
    try:
        for number in range(lines):
            process.stdin.write(f"line {number}\n")
            process.stdin.flush()
            equal(process.stdout.readline(), f"line {number}\n", "s_client")
    finally:
        process.terminate()
        process.communicate()


def openssl_calls(pki):
    alice = pki["alice"]
    shown = ("-cert", alice / "cert-chain.pem", "-key", alice / "key.pem")
    with ours(pki["bob"], "tickets=1") as server, tempfile.NamedTemporaryFile() as session:
        for version, suites in SUITES.items():
            for cipher, suite in enumerate(suites):
                named = ("-tls1_3", "-ciphersuites", suite) if version == "0304" else ("-tls1_2", "-cipher", suite)
                for resumed in (False, True):
                    kept = ("-sess_in" if resumed else "-sess_out", session.name)
                    client_of_openssl(server.port, pki, *shown, *named, *kept)
                    expect(our_result(server), f"s_client {suite}", version, cipher, ALICE, 21, resumed, end="left")
    with ours(pki["bob-rsa"], "trust=if-shown") as server:
        for version, named in (("0304", ("-tls1_3",)), ("0303", ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384")),
                               ("0303", ("-tls1_2", "-cipher", "AES128-GCM-SHA256"))):
            client_of_openssl(server.port, pki, *named)
            expect(our_result(server), f"s_client {named}", version, None, "", 21, end="left")


# ---- GnuTLS's ----------------------------------------------------------------------------------------------------------------

def gnutls_serves(pki):
    bob = pki["bob"]
    for version, name in GNUTLS.items():
        for cipher, what in enumerate(GNUTLS_CIPHERS):
            port = free_port()
            with Server("gnutls-serv", "--echo", "-p", port, "--x509certfile", bob / "cert-chain.pem", "--x509keyfile",
                        bob / "key.pem", "--x509cafile", bob / "root-cert.pem", "--require-client-cert", "--verify-client-cert",
                        "--priority", f"NORMAL:-VERS-ALL:+{name}:-CIPHER-ALL:+{what}") as server:
                wait_for_port(port)
                call(port, pki["alice"], f"gnutls-serv {name} {what}", version, cipher)


def gnutls_calls(pki):
    alice = pki["alice"]
    with ours(pki["bob"], "tickets=1") as server:
        for version, name in GNUTLS.items():
            for cipher, what in enumerate(GNUTLS_CIPHERS):
                done = run("gnutls-cli", "-p", server.port, "127.0.0.1", "--x509certfile", alice / "cert-chain.pem",
                           "--x509keyfile", alice / "key.pem", "--x509cafile", alice / "root-cert.pem", "--sni-hostname",
                           "bob.example", "--verify-hostname", "bob.example", "--priority",
                           f"NORMAL:-VERS-ALL:+{name}:-CIPHER-ALL:+{what}", "--waitresumption", "--resume", "--logfile", "/dev/null",
                           text="one line\nanother line\n")
                check("one line" in done.stdout, f"gnutls-cli {name} {what}: {done.stdout}{done.stderr}")
                expect(our_result(server), f"gnutls-cli {name} {what}", version, cipher, ALICE, 0)
                expect(our_result(server), f"gnutls-cli {name} {what}, resumed", version, cipher, ALICE, 22, True)


# ---- Go and Java ---------------------------------------------------------------------------------------------------------------

def go_peer():
    if not (shutil.which("go") or shutil.which("/usr/local/go/bin/go")):
        return None
    done = subprocess.run([HERE / "build.sh"], text=True, capture_output=True, timeout=350, check=False)
    check(done.returncode == 0, f"go build: {done.stderr}")
    return OUT / "gopeer"


def go_serves(peer, pki):
    for version in SUITES:
        for cipher in (None,) if version == "0304" else range(3):
            suite = () if cipher is None else ("-suite", GO_SUITES[cipher])
            with Server(peer, "-server", "-dir", pki["bob"], "-version", int(version, 16), *suite) as server:
                server.ready(r"ready 127.0.0.1:(\d+)")
                call(server.port, pki["alice"], f"Go serves {version}", version, cipher, lines=20, length=5000)
                check("ended <nil>" in server.line(), "Go's server has not seen our close_notify")
                # Go has no say in the ciphers of TLS 1.3: the client's offer decides.
                for one, suite in enumerate(SUITES[version]) if cipher is None else ():
                    call(server.port, pki["alice"], f"Go serves {suite}", version, one, suites=suite)


def go_calls(peer, pki):
    with ours(pki["bob"], "tickets=1") as server:
        for version in SUITES:
            for cipher in (None,) if version == "0304" else range(3):
                suite = () if cipher is None else ("-suite", GO_SUITES[cipher])
                done = run(peer, "-dir", pki["alice"], "-port", server.port, "-version", int(version, 16), "-connections", 3,
                           "-lines", 10, "-length", 40000, *suite)
                equal((done.stdout.strip(), done.stderr), ("good", ""), f"Go calls {version} {suite}")
                for number in range(3):
                    expect(our_result(server), f"Go calls {version} {suite}", version, cipher, ALICE, 400010, number > 0)
        done = run(peer, "-dir", pki["alice"], "-port", server.port, "-no-certificate")
        check("certificate required" in done.stdout, f"without a certificate: {done.stdout}")
        equal(our_result(server)["end"], "no_certificate 116", "without a certificate")


def java_serves(pki):
    with Server("java", HERE / "Peer.java", "server", 0, pki["bob"], ",".join(JAVA.values())) as server:
        server.ready(r"ready 127.0.0.1:(\d+)")
        for version, suites in SUITES.items():
            for cipher, suite in enumerate(suites):
                call(server.port, pki["alice"], f"Java serves {suite}", version, cipher, lines=5, length=20000,
                     **{"suites" if version == "0304" else "ciphers": suite})
                equal(server.line().strip(), "ended", f"Java's server with {suite}")


def java_calls(pki):
    with ours(pki["bob"], "tickets=1") as server:
        done = run("java", HERE / "Peer.java", "client", server.port, pki["alice"], ",".join(JAVA.values()), 3, 10, 30000)
        equal(done.stdout.strip(), "good", f"Java calls: {done.stderr}")
        for version in JAVA:
            for number in range(3):
                expect(our_result(server), f"Java calls {version}", version, None, ALICE, 300010, number > 0)


def body():
    if not OURS.exists():
        raise Skip(f"{OURS} is not built")
    with tempfile.TemporaryDirectory() as at:
        pki = make_pki(pathlib.Path(at))
        openssl_serves(pki)
        openssl_calls(pki)
        peer = go_peer()
        others = {"gnutls-bin": (shutil.which("gnutls-serv"), lambda: (gnutls_serves(pki), gnutls_calls(pki))),
                  "Go": (peer, lambda: (go_serves(peer, pki), go_calls(peer, pki))),
                  "openjdk-17-jdk-headless": (shutil.which("java"), lambda: (java_serves(pki), java_calls(pki)))}
        for program, test in others.values():
            if program:
                test()
    print(f"{len(SEEN)} connections")
    missing = [package for package, (program, _) in others.items() if not program]
    if missing:
        raise Skip(f"all others passed; not installed: {', '.join(missing)}")


main(body)
