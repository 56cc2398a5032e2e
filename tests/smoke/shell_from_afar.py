#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shell by TLS: who may do what by certificate, who is not let in and what is said, and nobody keeps anybody out."""

import os
import shutil
import socket
import ssl
import subprocess

from meltemi_lab import TESTS, Lab, check, equal, main, netns
from meltemi_lab.authority import Authority
from meltemi_lab.check import within
from meltemi_lab.daemon import SHELL
from meltemi_lab.screen import Screen

PORT = 15443
LEADER = "spiffe://ops.test/leader"


class Afar:
    """The daemon of a lab, as its operators on other machines reach it."""

    def __init__(self, lab):
        self.folder = lab.directory / "tls"
        self.authority = Authority(self.folder)
        self.other = Authority(lab.directory / "others", "somebody else")
        self.daemon = lab.meltemi(TESTS / "documents/talks")
        self.serve(self.authority)
        roles = f'[{{identity: "{LEADER}", role: operate}}, {{identity: "spiffe://ops.test/*", role: view}}, {{identity: carol, role: view}}]'
        text = self.daemon.node.read_text()
        self.daemon.node.write_text(text.replace("http: 127.0.0.1:15000", "http: 127.0.0.1:15000, tls: {listen: 127.0.0.1:%d, "
                                                 "certificate: tls/node.crt, key: tls/node.pem, clientRoots: tls/clients.crt, roles: %s}" % (PORT, roles)))
        self.leader = self.authority.sign("leader", f"URI:{LEADER}")

    def serve(self, authority):
        """The node's certificate, and whose clients are let in, from now on."""
        for source, name in zip((*authority.sign("node", "DNS:node.test,IP:127.0.0.1"), authority.roots), ("node.crt", "node.pem", "clients.crt")):
            shutil.copyfile(source, self.folder / f"new-{name}")
            os.rename(self.folder / f"new-{name}", self.folder / name)

    def words(self, identity, roots=None):
        return ["--connect", f"127.0.0.1:{PORT}", "--cert", identity[0], "--key", identity[1], "--ca", roots or self.authority.roots]

    def run(self, identity, *words, roots=None):
        with netns.inside(self.daemon.namespace):
            return subprocess.run([SHELL, *self.words(identity, roots), *words], text=True, capture_output=True, timeout=30, check=False)

    def dial(self):
        with netns.inside(self.daemon.namespace):
            return socket.create_connection(("127.0.0.1", PORT), timeout=20)


def told(done, code, *texts):
    equal(done.returncode, code, f"exit status beside {done.stderr}")
    for text in texts:
        check(text in done.stdout + done.stderr, f"no {text!r} in {done.stdout}{done.stderr}")


def who_may(a):
    """Roles by names of certificates, and what the audit keeps."""
    told(a.run(a.leader, "show", "version"), 0, "serving")
    # --ca may be less than the root authority: an intermediate one, or as here the node's certificate.
    told(a.run(a.leader, "show", "version", roots=a.folder / "node.crt"), 0, "serving")
    told(a.run(a.leader, "--json", "tune", "worker", "burst=16"), 0)
    check(LEADER in a.daemon.show("overrides")["overrides"][0]["by"], "the override does not say whose it is")
    who = next(row["who"] for row in a.daemon.show("history")["history"] if row["from"] == "tune")
    check(LEADER in who and "127.0.0.1:" in who, f"the history says {who}")
    for name, names in (("bob", "URI:spiffe://ops.test/bob,DNS:bob.test"), ("carol", "")):
        identity = a.authority.sign(name, names)
        told(a.run(identity, "show", "ports"), 0, "p0")
        told(a.run(identity, "drain"), 1, f"{names[4:25] or name} has the role view, which changes nothing")
    equal(a.daemon.http("/ready")[0], 200, "status behind refused drains")
    told(a.run(a.authority.sign("eve", "URI:spiffe://elsewhere.test/eve"), "show", "version"), 1, "none of its names has a role")


def who_may_not(a):
    """What each side does not believe, in words, without a hang."""
    told(a.run(a.other.sign("leader", f"URI:{LEADER}"), "show", "version"), 3, "does not know the authority of your certificate")
    told(a.run(a.authority.sign("late", f"URI:{LEADER}", expired=True), "show", "version"), 3, "your certificate has expired")
    told(a.run(a.leader, "show", "version", roots=a.other.roots), 3, "its certificate is refused")
    told(a.run(a.leader, "--server-name", "elsewhere.test", "show", "version"), 3, "is not for elsewhere.test")
    told(a.run(a.leader, "--server-name", "spiffe://ops.test/node", "show", "version"), 3, "is not for spiffe://ops.test/node")
    told(subprocess.run([SHELL, "--connect", "127.0.0.1:1", "help"], text=True, capture_output=True, timeout=30, check=False), 2, "needs --cert")
    nobody = ssl.create_default_context(cafile=a.authority.roots)
    with a.dial() as plain, nobody.wrap_socket(plain, server_hostname="node.test") as s:
        s.sendall(b"show version\n")
        try:
            check(b"" == s.recv(100), "one without a certificate is answered")
        except ssl.SSLError as error:
            check("CERTIFICATE_REQUIRED" in str(error), f"one without a certificate is told {error}")
    with a.dial() as s:
        s.sendall(b"show version\n" * 20)
        try:
            check(b"meltemi" not in s.recv(1000), "plain text is answered")
        except ConnectionResetError:
            pass


def nobody_in_the_way(a):
    """A hundred that say nothing, some that stop halfway: operators still get in, and the others go."""
    silent = [a.dial() for _ in range(100)]
    for s in silent[::10]:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
    told(a.run(a.leader, "show", "version"), 0, "serving")
    check("serving" in a.daemon.shell("show", "version"), "the shell of this machine waits")
    for s in silent:
        s.settimeout(60)
        try:
            equal(s.recv(100)[:1] in (b"", b"\x15"), True, "a silent one is told something")
        except ConnectionResetError:
            pass
        s.close()


def replaced_in_place(a):
    """Certificates change while shells are open: newcomers meet the new ones, and so do they, busy or idle; broken files change nothing."""
    (a.folder / "node.crt").write_text("no certificate\n")
    told(a.run(a.leader, "show", "version"), 0, "serving")
    a.daemon.wait_log("the last certificates stay in use")
    with netns.inside(a.daemon.namespace), Screen([SHELL, *a.words(a.leader)], HOME=str(a.folder)) as s:
        s.type("show version\r")
        s.sees("serving")
        a.serve(a.other)
        newcomer = a.other.sign("leader", f"URI:{LEADER}")
        within(5, lambda: a.run(newcomer, "show", "version", roots=a.other.roots).returncode == 0, "the new certificates are in use")
        told(a.run(a.leader, "show", "version", roots=a.other.roots), 3, "does not know the authority")
        s.type("show version\r")
        s.sees("is no longer accepted")
        s.type("quit\r")
        s.end()
    with netns.inside(a.daemon.namespace), Screen([SHELL, *a.words(newcomer, a.other.roots)], HOME=str(a.folder)) as s:
        s.type("show version\r")
        s.sees("serving")
        a.serve(a.authority)
        told_twice = "is closed: your certificate is no longer accepted"
        within(5, lambda: a.daemon.process.errors().count(told_twice) == 2, "the idle shell is closed, too", step=0.1)
        s.type("show version\r")
        s.sees("closed: your certificate is no longer accepted")
        s.type("quit\r")
        s.end()
    within(5, lambda: a.run(a.leader, "show", "version").returncode == 0, "the first certificates are in use again")


def all_of_it(a):
    """Completion, watch and top go over it, and files and the environment say where it is."""
    home = a.folder / "home"
    (home / ".config").mkdir(parents=True)
    (home / ".config/meltemi").write_text(f"# the node\nconnect = 127.0.0.1:{PORT}\ncert = {a.leader[0]}\nkey = {a.leader[1]}\n"
                                          f"ca = {a.authority.roots}\nserver-name = node.test\n")
    with netns.inside(a.daemon.namespace):
        with Screen([SHELL], HOME=str(home)) as s:
            s.type("sho\tver\t\r")
            s.sees("serving")
            s.type("watch -n 0.2 show version\r")
            s.sees("uptime_s", absent=("meltemi>",))
            s.key("interrupt")
            s.type("top\r")
            s.sees("services")
            s.type("q")
            s.type("quit\r")
            equal(s.end(), 0, "exit status of the shell")
        environment = {**os.environ, "HOME": str(home), "MELTEMI_SERVER_NAME": "other.test"}
        told(subprocess.run([SHELL, "show", "version"], text=True, capture_output=True, timeout=30, check=False, env=environment), 3, "not for other.test")
        told(subprocess.run([SHELL, "-s", a.daemon.directory / "admin.sock", "show", "version"], text=True, capture_output=True, timeout=30,
                            check=False, env=environment), 0, "serving")
    (home / ".config/meltemi").write_text("conect = x\n")
    told(subprocess.run([SHELL, "help"], text=True, capture_output=True, timeout=30, check=False, env=environment), 2, ".config/meltemi:1: not NAME")


def documents(a):
    """What is wrong in the Node document is said with its line."""
    good = a.daemon.node.read_text()
    for wrong, right, words in (("role: operate", "role: root", "root"), (f"listen: 127.0.0.1:{PORT}", "listen: everywhere", "is not an address with a port"),
                                (f'"{LEADER}"', '"*"', "every client with a certificate could operate"), ("certificate: tls/node.crt, ", "", "certificate")):
        a.daemon.node.write_text(good.replace(wrong, right))
        code, said = a.daemon.check()
        check(code == 2 and words in said and "node.yaml:" in said, f"--check of {right!r} says {said}")
    a.daemon.node.write_text(good)


def body():
    with Lab(servers=1) as lab:
        a = Afar(lab)
        documents(a)
        a.daemon.start()
        who_may(a)
        who_may_not(a)
        nobody_in_the_way(a)
        replaced_in_place(a)
        all_of_it(a)


main(body)
