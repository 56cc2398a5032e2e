#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
BoGo, BoringSSL's conversations about TLS, with the daemon: hellos, handshakes, records, alerts and ends, right and wrong ones; the daemon is the
server behind a Gateway's port, or the client by a DestinationRule. What fails is in bogo_not_applicable.tsv, with the reason; nothing else
may fail, and nothing that is there may pass. After each conversation its handshake has been counted once, as done or for one reason, and no
connection is left. MELTEMI_LONG: all of them; else those that are not told apart by TLS 1.0 and 1.1 or by how a library is called. Words
are patterns of conversations' names, in place of all.
"""

import collections
import contextlib
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "xds"))

import bogo_runner  # noqa: E402
from bogo_broker import TLS12, TLS13, Broker, Refused, table  # noqa: E402
from meltemi_lab import Lab, check, equal, main  # noqa: E402
from meltemi_lab.check import within  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM, GATE = 9000, "192.0.2.1"
MODES = {"SIMPLE": 0, "OPTIONAL_MUTUAL": 1, "MUTUAL": 2}
VERSIONS = {(TLS12, TLS13): ("TLSV1_2", "TLSV1_3"), (TLS12,): ("TLSV1_2", "TLSV1_2"), (TLS13,): ("TLSV1_3", "TLSV1_3")}
SERVES = ("cert.pem", "rsa_chain_cert.pem", "ecdsa_p256_cert.pem", "ecdsa_p384_cert.pem", "ecdsa_p521_cert.pem", "ed25519_cert.pem")
SHOWS = (None, *SERVES)
NAMES = (None, "example.com")
OTHERS = ("DTLS-*", "*-DTLS*", "QUIC*", "*-QUIC*")
LONG = ("*-Async*", "*-ImplicitHandshake*", "*-PackHandshake*", "*TLS1-*", "*-TLS1", "*TLS11*", "*TLS10*")
# Of BoGo's words for what is wrong, those that have one of ours.
WORDS = {":NO_SHARED_CIPHER:": ":tls_failed_no_shared_cipher:", ":UNSUPPORTED_PROTOCOL:": ":tls_failed_no_shared_version:",
         ":PEER_DID_NOT_RETURN_A_CERTIFICATE:": ":tls_failed_no_certificate:"}

SERVICE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %(name)s}
spec:
  hosts: [%(name)s.bogo]
  addresses: [%(vip)s]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: %(port)d, name: tcp-bytes, protocol: TCP}]
  endpoints: [{address: 198.51.100.11}]
---
"""
GATEWAY = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bytes}
spec: {hosts: ['*'], gateways: [edge], tcp: [{route: [{destination: {host: program.bogo, port: {number: %d}}}]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {}
  servers:
""" % PROGRAM
RULE = """apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %(name)s}
spec: {host: %(name)s.bogo, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 5s}}, tls: {%(tls)s}}}
---
"""


class Places:
    """The daemon's addresses, one for each setting that conversations want."""

    def __init__(self, folder):
        self.folder = folder
        self.gates = {key: 8000 + i for i, key in enumerate((cert, mode, versions) for cert in SERVES for mode in MODES for versions in VERSIONS)}
        self.services = {key: (f"240.240.2.{i + 1}", 9100 + i) for i, key in enumerate((cert, name) for cert in SHOWS for name in NAMES)}

    def server(self, flags):
        mode = "MUTUAL" if flags.has("-require-any-client-certificate") else "OPTIONAL_MUTUAL" if flags.has("-verify-peer") else "SIMPLE"
        key = flags.file("-cert-file"), mode, tuple(flags.versions())
        if key not in self.gates:
            raise Refused(f"{key[0]}: no certificate for a server of ours")
        return GATE, self.gates[key]

    def client(self, flags):
        name = flags.values["-host-name"][-1] if flags.has("-host-name") else None
        if flags.has("-resume-count") and not flags.has("-expect-session-miss"):
            raise Refused("-resume-count: clients of ours resume no session")
        if tuple(flags.versions()) != (TLS12, TLS13):
            raise Refused("versions: a DestinationRule does not say which ones a client speaks")
        key = flags.file("-cert-file"), name
        if key not in self.services:
            raise Refused(f"{key[0]}: no certificate for a client of ours" if name in NAMES else "-host-name: a name that no document says here")
        return self.services[key]

    def documents(self):
        yield SERVICE % {"name": "program", "vip": "240.240.1.1", "port": PROGRAM}
        for (cert, name), (vip, port) in self.services.items():
            said = {"name": f"s{port}", "vip": vip, "port": port, "tls": "mode: SIMPLE, insecureSkipVerify: true"}
            if cert:
                key = self.folder / cert.replace("cert.pem", "key.pem")
                said["tls"] = f"mode: MUTUAL, insecureSkipVerify: true, clientCertificate: {self.folder / cert}, privateKey: {key}"
            if name:
                said["tls"] += f", sni: {name}"
            yield SERVICE % said + RULE % said
        for cert in SERVES:
            files = {"tls.crt": cert, "tls.key": cert.replace("cert.pem", "key.pem"), "ca.crt": "root.pem"}
            yield json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.secret(cert)},
                              "data": {name: bogo_runner.encoded(self.folder / file) for name, file in files.items()}}) + "\n---\n"
        yield GATEWAY + "".join(self._gate(*key, port) for key, port in self.gates.items())

    @staticmethod
    def secret(cert):
        return cert.removesuffix(".pem").replace("_", "-")

    def _gate(self, cert, mode, versions, port):
        first, last = VERSIONS[versions]
        return (f"  - {{port: {{number: {port}, name: tls-{port}, protocol: TLS}}, hosts: ['*'], tls: {{mode: {mode}, "
                f"credentialName: {self.secret(cert)}, minProtocolVersion: {first}, maxProtocolVersion: {last}}}}}\n")


def run(program, folder, broker, tests, skipped):
    """The runner's own results, by test, PASS, FAIL or SKIP; and what it says of each that failed."""
    config, results = broker.daemon.directory / "bogo.json", broker.daemon.directory / "results.json"
    config.write_text(json.dumps({"AllCurves": [23, 29], "ErrorMap": WORDS}))
    argv = [program, "-test.timeout", "30m", "-shim-path", HERE / "bogo_shim.py", "-shim-config", config, "-allow-unimplemented", "-loose-errors",
            "-pipe", "-num-workers", "2", "-resource-dir", folder, "-json-output", results, "-skip", ";".join(skipped), "-test", ";".join(tests)]
    with open(broker.daemon.directory / "bogo.out", "w+", encoding="utf-8", errors="replace") as said:
        done = subprocess.run(argv, env={**os.environ, "MELTEMI_BOGO": str(broker.path)}, stdout=said, stderr=subprocess.STDOUT, check=False)
        said.seek(0)
        text = said.read()
    check(results.exists(), f"BoGo's runner ended with {done.returncode}: {text[-1000:]}")
    why = dict(re.findall(r"^FAILED \((.*?)\)\n(.*?)(?=^[A-Z]+ \(|\Z)", text, re.M | re.S))
    return {name: row["actual"] for name, row in json.loads(results.read_text())["tests"].items()}, why


def told(reasons, what):
    for reason, n in reasons.most_common():
        if n:
            print(f"{n:5} {what}: {reason}")


def judge(found, why, whole):
    """What fails is in the table, what is in the table fails; and of a whole run all of the table is there."""
    rows = list(table(HERE / "bogo_not_applicable.tsv"))
    check(all(len(row) == 2 and row[1] for row in rows), "bogo_not_applicable.tsv: a row is a pattern, a tab and a reason")
    ran = {name for name, result in found.items() if result != "SKIP"}
    listed = {pattern: set(fnmatch.filter(ran, pattern)) for pattern, _ in rows}
    failed = {name for name in ran if found[name] == "FAIL"}
    new = sorted(failed - set().union(*listed.values()))
    for name in new:
        print(f"{name}: {' '.join(why.get(name, 'it failed').split())}")
    check(not new, f"{len(new)} conversations fail that are not in bogo_not_applicable.tsv: {new[:20]}")
    passed = {pattern: sorted(names - failed) for pattern, names in listed.items() if names - failed}
    check(not passed, f"in bogo_not_applicable.tsv, and passed: {passed}")
    gone = [pattern for pattern, names in listed.items() if not names]
    check(not (whole and gone), f"in bogo_not_applicable.tsv, and there is none: {gone}")
    reasons, seen = collections.Counter(), set()
    for pattern, reason in rows:
        reasons[reason] += len(listed[pattern] - seen)
        seen |= listed[pattern]
    told(reasons, "fail")
    return len(ran), len(failed)


def all_is_over(daemon):
    """No connection of any kind."""
    left = {name: n for name, n in daemon.in_use().items() if n and name.startswith(("tcp connections", "tcp half", "downstream", "byte str", "undecided"))}
    return not left


def body():
    program, shipped = bogo_runner.runner()
    patterns = [word for word in sys.argv[1:] if not word.startswith("-")]
    whole = bool(os.environ.get("MELTEMI_LONG")) and not patterns
    with Lab(servers=1) as lab, contextlib.ExitStack() as stack:
        folder = bogo_runner.certificates(lab.directory / "bogo", shipped)
        places = Places(folder)
        daemon = lab.meltemi()
        daemon.may_name(folder)
        daemon.write("bogo.yaml", "".join(places.documents()))
        daemon.start()
        broker = Broker(lab, daemon, places)
        stack.callback(broker.close)
        stack.enter_context(lab.listening("server1", PROGRAM, broker.serve))
        for _, port in places.services.values():
            stack.enter_context(lab.listening("server1", port, broker.take(port)))
        found, why = run(program, folder, broker, patterns or ["*"], OTHERS if whole or patterns else OTHERS + LONG)
        equal(broker.unwell[:5], [], f"conversations after which the daemon is not well, of {broker.connections}")
        unknown = [reason for reason in broker.refused if "nobody has looked at" in reason]
        equal(unknown, [], "flags that bogo_flags.tsv has not")
        told(collections.Counter(broker.refused), "not asked")
        ran, failed = judge(found, why, whole)
        within(10, lambda: all_is_over(daemon), "connections end")
    print(f"{len(found)} tests, {ran} asked in {broker.connections} connections: {ran - failed} passed, {failed} failed as the table says")


main(body)
