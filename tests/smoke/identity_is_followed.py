#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Who the node is, by the directory that its Node document names: there before the start, later, replaced file by file, half of another
generation, broken, readable by others, gone, and another directory. What is good comes into use without a restart; what is not displaces nothing,
and the shell, health, metrics and the log say why.
"""

import os
import re
import shutil
import time

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.authority import Authority

URI = "spiffe://cluster.local/ns/shop/sa/gate"
SOON = 30  # s, for slow machines


def put(directory, **files):
    """Each is renamed over what is there; the key's is its owner's."""
    directory.mkdir(exist_ok=True)
    for name, source in files.items():
        name = {"chain": "cert-chain.pem", "key": "key.pem", "roots": "root-cert.pem", "crl": "ca-crl.pem"}[name]
        scratch = directory / f".{name}"
        shutil.copyfile(source, scratch)
        os.chmod(scratch, 0o600 if name == "key.pem" else 0o644)
        os.rename(scratch, directory / name)


def identity(daemon):
    rows = daemon.show("identity")["identity"]
    return rows[0] if rows else {"state": "none", "serial": None}


def is_soon(daemon, what, **want):
    """Soon after what was just done."""
    within(SOON, lambda: all(identity(daemon)[name] == value for name, value in want.items()), what, step=0.05)


def told(daemon, state, words):
    row = next(r for r in daemon.show("health")["health"] if r["check"] == "identity" and words in r["words"])
    equal(row["state"], state, f"the state of: {row['words']}")


def metric(daemon, name):
    found = re.search(rf"^{name} (\S+)$", daemon.http("/metrics")[1], re.M)
    return float(found.group(1)) if found else None


def comes_late(daemon, directory, files, serial):
    row = identity(daemon)
    equal((row["state"], row["serial"], row["principal"]), ("missing", None, None), "an identity that is not there")
    check("No such file" in row["reason"] and str(directory) in row["reason"], f"the reason: {row['reason']}")
    told(daemon, "fault", "No such file")
    equal(metric(daemon, "meltemi_node_identity_good"), 0, "meltemi_node_identity_good")
    equal(metric(daemon, "meltemi_node_identity_left_seconds"), None, "seconds left of nothing")
    put(directory, **files)
    is_soon(daemon, "files that come late", state="good", serial=serial, principal=URI, reason=None)
    answer = daemon.show("identity")
    row, roots = answer["identity"][0], answer["roots"]
    equal((row["trust_domain"], row["source"], row["directory"], row["note"]), ("cluster.local", str(directory), str(directory), None), "what is told")
    check(23 * 3600 < row["left_s"] <= 24 * 3600, f"left: {row['left_s']} s")
    equal([r["subject"] for r in roots], ["CN=root"], "roots")
    check(roots[0]["left_s"] > 24 * 3600, f"the root's end: {roots}")
    told(daemon, "note", "a root of the node ends in ")
    equal(metric(daemon, "meltemi_node_identity_good"), 1, "meltemi_node_identity_good")
    check(abs(metric(daemon, "meltemi_node_identity_left_seconds") - row["left_s"]) < 60, "seconds left in the metrics")


def is_replaced(daemon, directory, second, third):
    put(directory, key=second["key"], chain=second["chain"])
    is_soon(daemon, "both files replaced", state="good", serial="1001")
    put(directory, chain=third["chain"])
    is_soon(daemon, "a chain and a key of two generations", state="last-good", serial="1001")
    check("does not belong to the certificate" in identity(daemon)["reason"], identity(daemon)["reason"])
    told(daemon, "warning", "does not belong to the certificate")
    equal(metric(daemon, "meltemi_node_identity_good"), 0, "meltemi_node_identity_good")
    put(directory, key=third["key"])
    is_soon(daemon, "the key of that chain", state="good", serial="1002", reason=None)


def is_revoked(daemon, directory, authority):
    """A list comes, is out of date, and goes."""
    for stale, state, words in ((False, None, ""), (True, "fault", "a revocation list of the node is out of date")):
        put(directory, crl=authority.revoked(stale=stale))
        within(SOON, lambda old=stale: [r["left_s"] < 0 for r in daemon.show("identity")["revocations"]] == [old], "a revocation list", step=0.05)
        left = metric(daemon, "meltemi_node_revocations_left_seconds")
        check(left < 0 if stale else 0 < left <= 2 * 24 * 3600, f"the list's end in the metrics: {left}")
        if state:
            told(daemon, state, words)
    (directory / "ca-crl.pem").unlink()
    within(SOON, lambda: not daemon.show("identity")["revocations"], "no list any more", step=0.05)
    equal(metric(daemon, "meltemi_node_revocations_left_seconds"), None, "the end of no list")


def is_broken(daemon, directory, files, other):
    (directory / "rubbish").write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    put(directory, roots=directory / "rubbish")
    is_soon(daemon, "roots that are none", state="last-good", serial="1002")
    check("the roots hold no PEM certificate" in identity(daemon)["reason"], identity(daemon)["reason"])
    both = directory / "both"
    both.write_text(files["roots"].read_text() + other.roots.read_text())
    put(directory, roots=both)
    is_soon(daemon, "two roots", state="good", reason=None)
    equal(sorted(r["subject"] for r in daemon.show("identity")["roots"]), ["CN=other", "CN=root"], "roots of two authorities")
    os.chmod(directory / "key.pem", 0o644)
    within(SOON, lambda: identity(daemon)["note"], "a key that others can read", step=0.05)
    check("0644" in identity(daemon)["note"], identity(daemon)["note"])
    told(daemon, "warning", "others can use this key")
    shutil.rmtree(directory)
    is_soon(daemon, "a directory that is gone", state="last-good", serial="1002")


def is_another(daemon, text, other, directory):
    """By the Node document, without a restart; and none at all."""
    put(directory, **other)
    daemon.node.write_text(text + f"  identity: {{directory: {directory}}}\n")
    is_soon(daemon, "another directory", state="good", serial="1003", directory=str(directory))
    equal(daemon.show("config")["restart_needed_for"], None, "fields that need a restart")
    mesh = "  mesh: {trustDomain: other.domain, serviceAccount: gate}\n"
    daemon.node.write_text(text + mesh + f"  identity: {{directory: {directory}}}\n")
    within(10, lambda: identity(daemon)["note"], "a Node that says another trust domain", step=0.05)
    told(daemon, "warning", "spec.mesh.trustDomain of the Node is other.domain, and the certificate's is cluster.local")
    check("serviceAccount" not in identity(daemon)["note"], identity(daemon)["note"])
    daemon.node.write_text(text)
    is_soon(daemon, "a Node without an identity", state="none")
    equal(metric(daemon, "meltemi_node_identity_good"), None, "meltemi_node_identity_good")


def at_the_start(daemon, text, directory):
    """Before the first documents are compiled; and what --check says of a directory that is not there."""
    daemon.stop()
    daemon.node.write_text(text + f"  identity: {{directory: {directory}}}\n")
    daemon.start()
    row = identity(daemon)
    equal((row["state"], row["serial"]), ("good", "1003"), "the first answer")
    equal(row["changes"], 1, "changes since the start")
    time.sleep(2)
    equal(identity(daemon)["changes"], 1, "changes, though nothing has changed")
    check("reloaded" not in daemon.process.errors(), "it came only after the first documents were in force")
    daemon.node.write_text(text + "  identity: {directory: nowhere}\n")
    status, words = daemon.check()
    equal(status, 0, "exit status of --check")
    check(f"{daemon.directory}/nowhere/cert-chain.pem: No such file" in words and "node.yaml:" in words, words)
    equal(words.count("No such file"), 1, f"how often it is said in {words}")


def body():
    with Lab(servers=1) as lab:
        daemon = lab.meltemi(workers=1)
        for why in ("No such file", "does not belong", "no PEM certificate"):
            daemon.leaves("errors", "files are taken away and broken", why)
        authority, other = Authority(lab.directory / "ca"), Authority(lab.directory / "other", "other")
        pairs = [authority.sign(f"g{i}", f"URI:{URI}") for i in range(4)]
        files = [{"chain": chain, "key": key, "roots": authority.roots} for chain, key in pairs]
        text = daemon.node.read_text()
        daemon.node.write_text(text + "  identity: {directory: certs}\n")
        daemon.start()
        directory = daemon.directory / "certs"
        comes_late(daemon, directory, files[0], "1000")
        is_replaced(daemon, directory, files[1], files[2])
        is_revoked(daemon, directory, authority)
        is_broken(daemon, directory, files[2], other)
        is_another(daemon, text, files[3], daemon.directory / "certs2")
        at_the_start(daemon, text, daemon.directory / "certs2")
        daemon.stop()


main(body)
