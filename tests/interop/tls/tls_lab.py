# SPDX-License-Identifier: Apache-2.0
"""What the tests of lib/tls with other programs share: a mesh's certificates, processes that serve, and our end (tls_peer)."""

import contextlib
import json
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import check, equal  # noqa: E402
from meltemi_lab.paths import BUILD  # noqa: E402

OURS = BUILD / "tests/interop/tls/tls_peer"
ALICE, BOB = "spiffe://cluster.local/ns/shop/sa/alice", "spiffe://cluster.local/ns/shop/sa/bob"
SUITES = {"0304": ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"),
          "0303": ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305")}
SEEN = []  # connections
GIVEN = set()  # ports


# ---- who is who ------------------------------------------------------------------------------------------------------

def run(*words, text=None, seconds=60):
    return subprocess.run([str(w) for w in words], input=text, text=True, capture_output=True, timeout=seconds, check=False)


def openssl(*words):
    done = run("openssl", *words)
    check(done.returncode == 0, f"openssl {words[0]}: {done.stderr}")


def make_leaf(at, name, uri, key):
    """An identity in a directory of its own, as Istio's agent writes it, and as PKCS #12 for Java."""
    where = at / name
    where.mkdir()
    (where / "ext").write_text(f"subjectAltName=URI:{uri},DNS:{name.split('-')[0]}.example\nextendedKeyUsage=serverAuth,clientAuth\n"
                               "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n")
    openssl("req", "-newkey", *key, "-nodes", "-subj", "/O=x", "-keyout", where / "key.pem", "-out", where / "csr")
    openssl("x509", "-req", "-in", where / "csr", "-CA", at / "root.pem", "-CAkey", at / "root.key", "-days", "2", "-extfile",
            where / "ext", "-out", where / "cert-chain.pem")
    shutil.copy(at / "root.pem", where / "root-cert.pem")
    openssl("pkcs12", "-export", "-in", where / "cert-chain.pem", "-inkey", where / "key.pem", "-name", "me", "-passout",
            "pass:changeit", "-out", where / "identity.p12")
    return where


def make_pki(at):
    ec, rsa = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ("rsa:2048",)
    openssl("req", "-x509", "-newkey", *ec, "-nodes", "-subj", "/O=root", "-days", "2", "-keyout", at / "root.key", "-out",
            at / "root.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    return {"alice": make_leaf(at, "alice", ALICE, ec), "bob": make_leaf(at, "bob", BOB, ec),
            "bob-rsa": make_leaf(at, "bob-rsa", BOB, rsa),
            "stranger": make_leaf(at, "stranger", "spiffe://elsewhere/ns/shop/sa/alice", ec)}


# ---- programs that serve ------------------------------------------------------------------------------------------------

class Server:
    """A process that says on which port it is ready; what it says else is read line by line."""

    def __init__(self, *words):
        self.process = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        stdin=subprocess.PIPE, text=True, bufsize=1)
        self.port = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def line(self):
        return self.process.stdout.readline()

    def ready(self, pattern):
        for _ in range(200):
            line = self.line()
            found = re.search(pattern, line)
            if found:
                self.port = int(found[1])
                return self
            check(line, "a server ends before it is ready")
        raise AssertionError


def ours(identity, *options):
    return Server(OURS, "server", 0, identity, *options).ready(r"ready (\d+)")


def our_result(server):
    line = server.line()
    check(line.startswith("{"), f"tls_peer: {line}")
    return json.loads(line)


def expect(found, what, version, cipher, who, echoed, resumed=False, end="closed"):
    wanted = {"version": version, "principal": who, "echoed": echoed, "resumed": resumed, "end": end}
    if cipher is not None:
        wanted["cipher"] = cipher
    equal({key: found[key] for key in wanted}, wanted, what)
    SEEN.append(what)


def call(port, identity, what, version, cipher, lines=3, length=100, **options):
    """A connection of ours to whom is Bob, who answers each line."""
    words = [f"{key}={value}" for key, value in options.items()]
    done = run(OURS, "client", port, identity, f"min={version}", f"max={version}", f"lines={lines}", f"length={length}",
               f"san={BOB}", *words)
    check(done.stdout.startswith("{"), f"{what}: {done.stdout}{done.stderr}")
    found = json.loads(done.stdout)
    # Who has said goodbye is not always answered so: some just close.
    equal(found["end"] in ("closed", "left"), True, f"{what}: {found}")
    expect(found, what, version, cipher, BOB, lines * (length + 1), end=found["end"])


def free_port():
    """
    A free port, each time another one. It lies below the kernel's ports for connections (ip_local_port_range): a connection could take one of
    these before the server listens, and a client that waits for the server could connect to itself.
    """
    while True:
        port = random.SystemRandom().randrange(20000, 32768)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            if port not in GIVEN:
                GIVEN.add(port)
                return port


def wait_for_port(port):
    for _ in range(1200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    check(False, f"nobody listens on {port}")
