#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shell by TLS over time: a revoked certificate is refused and its open shell ends, one whose role or roots went is judged anew without
a restart, a Node without the section has no port and no shells, and a key with a passphrase is an error in words, never a question."""

import os
import shutil
import subprocess

from meltemi_lab import Lab, check, equal, main, netns
from meltemi_lab.authority import Authority
from meltemi_lab.check import within
from meltemi_lab.daemon import MELTEMID, SHELL
from meltemi_lab.screen import Screen

PORT = 15443
TLS = ("tls: {listen: 127.0.0.1:%d, certificate: tls/node.crt, key: tls/node.pem, clientRoots: tls/clients.crt, %s"
       "roles: [{identity: leader, role: operate}, {identity: bob, role: %s}]}")


class Node:
    def __init__(self, lab):
        self.folder = lab.directory / "tls"
        self.authority = Authority(self.folder)
        self.other = Authority(lab.directory / "others", "others")
        self.daemon = lab.meltemi()
        self.plain = self.daemon.node.read_text()
        self.roles("view")
        for source, name in zip((*self.authority.sign("node", "DNS:node.test,IP:127.0.0.1"), self.authority.roots), ("node.crt", "node.pem", "clients.crt")):
            self.put(source, name)
        self.put(self.authority.revoked(), "revoked.crl")
        self.leader, self.bob = self.authority.sign("leader"), self.authority.sign("bob")

    def put(self, source, name):
        shutil.copyfile(source, self.folder / f"new-{name}")
        os.rename(self.folder / f"new-{name}", self.folder / name)

    def roles(self, bob, revocations="clientRevocations: tls/revoked.crl, "):
        text = TLS % (PORT, revocations, bob)
        self.daemon.node.write_text(self.plain.replace("http: 127.0.0.1:15000", f"http: 127.0.0.1:15000, {text}"))

    def words(self, identity):
        return ["--connect", f"127.0.0.1:{PORT}", "--cert", identity[0], "--key", identity[1], "--ca", self.authority.roots]

    def run(self, identity, *words):
        with netns.inside(self.daemon.namespace):
            done = subprocess.run([SHELL, *self.words(identity), *words], text=True, capture_output=True, timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    def shell(self, identity):
        with netns.inside(self.daemon.namespace):
            return Screen([SHELL, *self.words(identity)], HOME=str(self.folder))


def may(node, identity, what, code, text):
    got = node.run(identity, *what)
    check(got[0] == code and text in got[1], f"{what}: {got}, not {code} and {text!r}")


def of_shells(daemon):
    """Sockets of shells that the daemon holds."""
    with netns.inside(daemon.namespace):
        out = subprocess.run(["ss", "-Htn", "state", "established", f"sport = :{PORT}"], text=True, capture_output=True, check=True).stdout
    return len(out.splitlines())


def role_goes(node):
    """A role is taken and given by a reload, also to who is in already; what a rollback brings back is no role."""
    may(node, node.bob, ("drain",), 1, "has the role view, which changes nothing")
    with node.shell(node.bob) as s:
        s.type("tune worker burst=16\r")
        s.sees("has the role view, which changes nothing")
        node.roles("operate")
        node.daemon.shell("reload")
        s.type("tune worker burst=16\r")
        s.sees("in force")
        node.roles("view")
        node.daemon.shell("reload")
        s.type("tune drop all\r")
        s.sees("has the role view, which changes nothing")
        version = node.daemon.show("history")["history"][0]["version"]
        node.daemon.shell("rollback", str(version), fail=False)
        s.type("tune keep all\r")
        s.sees("has the role view, which changes nothing")
        node.daemon.node.write_text(node.daemon.node.read_text().replace(", {identity: bob, role: view}", ""))
        node.daemon.shell("reload")
        within(5, lambda: of_shells(node.daemon) == 0, "the shell without a role is closed", step=0.1)
        s.type("show version\r")
        s.sees("none of its names has a role")
    check("spec.admin.tls" not in node.daemon.shell("show", "config"), "roles are said to need a restart")
    node.roles("view")
    node.daemon.shell("reload")


def listens(daemon):
    with netns.inside(daemon.namespace):
        return bool(subprocess.run(["ss", "-Htln", f"sport = :{PORT}"], text=True, capture_output=True, check=True).stdout)


def section_goes(node):
    """The reload comes from a shell that it ends."""
    with node.shell(node.leader) as s:
        s.type("show version\r")
        s.sees("serving")
        check(listens(node.daemon), "the node does not listen")
        text = node.daemon.node.read_text()
        node.daemon.node.write_text(node.plain)
        s.type("reload\r")
        s.sees("spec.admin.tls.roles changed")
        within(5, lambda: of_shells(node.daemon) == 0, "a shell of a section that went is closed", step=0.1)
        check(not listens(node.daemon), "the node still listens")
    equal(node.run(node.leader, "show", "version")[0], 3, "exit status of a shell that comes then")
    check("spec.admin.tls" not in node.daemon.shell("show", "config"), "the end of the section is said to need a restart")
    node.daemon.node.write_text(text)
    node.daemon.shell("reload")
    may(node, node.leader, ("show", "version"), 0, "serving")


def revoked(node):
    """The file is read again; nobody has to come, nor to ask, for the open shell to end."""
    with node.shell(node.bob) as s, node.shell(node.leader) as other:
        for screen in (s, other):
            screen.type("show version\r")
            screen.sees("serving")
        equal(of_shells(node.daemon), 2, "shells")
        node.put(node.authority.revoked(node.bob[0]), "revoked.crl")
        within(5, lambda: of_shells(node.daemon) == 1, "the revoked shell is closed", step=0.1)
        s.type("show version\r")
        s.sees("revoked")
        other.type("show por\t\r")
        other.sees("p0    up")
    may(node, node.bob, ("show", "version"), 3, "your certificate is revoked")
    may(node, node.leader, ("show", "version"), 0, "serving")
    node.daemon.wait_log("certificate revoked")
    (node.folder / "revoked.crl").write_text("no list\n")
    may(node, node.leader, ("show", "version"), 0, "serving")
    node.daemon.wait_log("the last certificates stay in use: admin.tls.clientRevocations")
    may(node, node.bob, ("show", "version"), 3, "your certificate is revoked")
    node.put(node.authority.revoked(), "revoked.crl")
    within(5, lambda: node.run(node.bob, "show", "version")[0] == 0, "one that is not revoked any more is let in")


def roots_change(node):
    with node.shell(node.leader) as s:
        s.type("show version\r")
        s.sees("serving")
        both = node.folder / "both.crl"
        both.write_bytes(b"".join(authority.revoked().read_bytes() for authority in (node.authority, node.other)))
        node.put(both, "revoked.crl")
        node.put(node.other.roots, "clients.crt")
        within(5, lambda: of_shells(node.daemon) == 0, "a shell whose roots went is closed", step=0.1)
    node.put(node.authority.roots, "clients.crt")
    within(5, lambda: node.run(node.leader, "show", "version")[0] == 0, "it may come again")


def passphrase(node):
    """Neither at the start, where a terminal is there to ask at, nor later."""
    key = node.folder / "locked.pem"
    subprocess.run(["openssl", "pkey", "-in", node.folder / "node.pem", "-aes256", "-passout", "pass:x", "-out", key], check=True, capture_output=True)
    good = (node.folder / "node.pem").read_bytes()
    node.put(key, "node.pem")
    may(node, node.leader, ("show", "version"), 0, "serving")
    node.daemon.wait_log("is encrypted")
    node.daemon.stop()
    with netns.inside(node.daemon.namespace), Screen([MELTEMID, "-c", node.daemon.node], HOME=str(node.folder)) as s:
        s.sees("is encrypted", absent=("Enter PEM", "pass phrase:"))
        check(s.end() != 0, "the daemon starts without its key")
    (node.folder / "node.pem").write_bytes(good)


def body():
    with Lab(servers=1) as lab:
        node = Node(lab)
        node.daemon.leaves("errors", "a key with a passphrase", "is encrypted")
        node.daemon.start()
        role_goes(node)
        section_goes(node)
        revoked(node)
        roots_change(node)
        passphrase(node)


main(body)
