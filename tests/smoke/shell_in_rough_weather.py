#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong at a terminal: names made to take it over, odd keys, pipes that close, full disks, two who tune at once."""

import os
import pathlib
import signal
import socket as socket_of
import subprocess
import threading
import time

from meltemi_lab import PATIENCE, TESTS, Lab, check, equal, main
from meltemi_lab.daemon import SHELL
from meltemi_lab.screen import Screen

SERVICE = "240.240.0.10"
EVIL = "say\x1b]0;owned\x07\x1b[2J\x9b31mHello\x7f\r\n"
THRIFT = "thrift-sample-server.meta-thrift.svc.cluster.local:9090"


def ask(socket, *words, **more):
    return subprocess.run([SHELL, "-s", socket, *words], text=True, capture_output=True, timeout=30, check=False, **more)


def says(socket, words, code, *texts):
    done = ask(socket, *words.split())
    equal(done.returncode, code, f"exit status of {words[:60]!r} beside {done.stderr}")
    for text in texts:
        check(text in done.stderr, f"{words[:60]!r} says {done.stderr!r}, not {text!r}")


def takes_no_orders_from_the_wire(socket, home):
    """Names of calls that hold escape sequences are shown, not obeyed: in text, JSON, watch, and while words are completed."""
    for words in (["show", "slow"], ["--json", "show", "slow"], ["--json", "show", "exchanges"], ["trace", "show"]):
        with Screen([SHELL, "-s", socket, *words], rows=200, columns=240, HOME=str(home), NO_COLOR="1") as s:
            equal(s.end(), 0, f"exit status of {words}")
            raw = s.raw.replace(b"\r\n", b"\n")
            odd = {byte for byte in raw if byte < 0x20 and byte != 0x0a} | ({0x9b} if b"\xc2\x9b" in raw else set()) | ({0x7f} & set(raw))
            check(not odd, f"{words} sends {sorted(odd)} to the terminal")
            if words[-1] == "slow":
                check(b"owned" in raw, f"{words} does not show the method: {raw!r}")
    check("\x1b" not in ask(socket, "show", "slow").stdout, "a pipe gets what nobody escaped")


def mistakes(socket):
    says(socket, "shwo ports", 2, "no command `shwo ports`", "did you mean `show ports`?")
    says(socket, "show servces", 2, "did you mean `show services`?")
    says(socket, "show co", 2, "which one: ")
    says(socket, "show connections where state", 2, "`state` needs an operator and a value")
    says(socket, "show exchanges service=", 2, "service")
    says(socket, "show exchanges (service=x", 2)
    says(socket, "trace start took>", 2)
    says(socket, "show ports | grep", 2, "grep")
    says(socket, "x" * 2000, 2, "too long")
    says(socket, "show ports \x01", 2, "control characters")
    # What would hold for nothing is no answer of "none".
    says(socket, "show errors sort", 2, "sort needs a field after it")
    says(socket, "show services where requests>many", 2, "requests: `many` is not a number")
    says(socket, "show slow status=overlimit", 2, "status: `overlimit` is none of: ok", "over_limit")
    says(socket, "show connections side=upstream", 2, "is none of: client server")
    says(socket, "trace start packets outcome=no_such", 2, "outcome: `no_such` is none of:")
    says(socket, "trace start status==ok", 2, "`==` is not an operator")
    # One text for an unknown field, wherever the expression is.
    for words, field in (("show connections sied=x", "side"), ("show connections where sied=x", "side"), ("show services where reqests>1", "requests"),
                         ("show services sort reqests", "requests"), ("trace start metod=x", "method"), ("capture start lne>1", "len")):
        says(socket, words, 2, f"is not a field here; did you mean `{field}`? fields are: ")
    says(socket, "trace show from here", 1, "usage: trace show [from N]")


def helps(socket, home):
    """--help behind a command is no text to look for, and no file."""
    for words, text in (("show ports --help", "usage    show ports"), ("show services limit 5 --help", "usage    show services"),
                        ("tune --help", "tune weight"), ("top --help", "usage: meltemi"), ("watch --help", "usage: meltemi"),
                        ("capture --help", "usage: capture FILE")):
        done = ask(socket, *words.split(), cwd=home)
        equal((done.returncode, done.stderr), (0, ""), f"exit status and complaints of {words!r}")
        check(done.stdout.startswith(text) or text in done.stdout, f"{words!r} says {done.stdout[:200]!r}")
    done = ask(socket, "capture", "--seconds", "1", cwd=home)
    equal(done.returncode, 2, "exit status of an option that capture has not")
    equal([path.name for path in home.glob("-*")], [], "files named like options")


def line(s):
    """The cursor's."""
    return s.line(s.screen.cursor.y)


def at_the_prompt(socket, home):
    with Screen([SHELL, "-s", socket], HOME=str(home)) as s:
        s.sees("meltemi>")
        s.type("drain and then")
        s.sees("drain and then")
        s.key("interrupt")
        s.type("show version\r")
        s.sees("serving")
        # A paste of many lines is as many commands.
        s.type("show version\rfrobnicate\r" * 20 + "show nothing\r")
        s.sees("no command `show nothing`")
        s.type("show " + "x" * 1500 + "\r")
        s.sees("long")
        s.resize(10, 40)
        s.type("show por\t\r")
        s.sees("mtu")
        s.resize(24, 80)
        s.type("watch -n 0.1 show version\r")
        s.sees("uptime_s", absent=("meltemi>",))
        s.key("interrupt")
        s.sees("meltemi>")
        s.type("top\r")
        s.sees("worker", absent=("meltemi>",))
        s.key("interrupt")
        s.sees("meltemi>")
        s.type("trace start service=nobody count 1\r")
        s.type("trace show --follow\r")
        s.sees("trace show --follow")
        # An interrupt that comes before the first query has no effect.
        s.until(lambda: line(s).endswith("meltemi>") or (line(s) in ("", "^C") and s.key("interrupt")), "no prompt after an interrupt")
        s.type("trace stop\r")
        s.sees("it was stopped")
        # An end of input between two prompts would be lost.
        s.until(lambda: line(s).endswith("meltemi>"), "no prompt after the last command")
        s.child.sendeof()
        ended = s.end()
        check(ended in (0, 2), f"the end of input: exit status {ended}\n{s.text()}")


def interrupted_while_it_writes(socket, home):
    """A terminal that takes nothing for a while, and a person who wants to end it: no write has failed."""
    with Screen([SHELL, "-s", socket], HOME=str(home)) as s:
        s.sees("meltemi>")
        s.type("watch -n 0.1 show meaning\r")
        end = time.monotonic() + PATIENCE
        while pathlib.Path(f"/proc/{s.child.pid}/syscall").read_text().split()[:2] != ["1", "0x1"]:
            check(time.monotonic() < end, "the terminal is never full")
            time.sleep(0.1)
        for _ in range(10):
            os.kill(s.child.pid, signal.SIGINT)
            time.sleep(0.02)
        s.sees("meltemi>", absent=("Interrupted",))
        s.type("\x0cshow version\r")
        s.sees("uptime_s", "meltemi>")
        s.type("quit\r")
        equal(s.end(), 0, "exit status")
        check(b"cannot be written" not in s.raw, "an interrupt is no full disk")


def pipes_and_disks(socket):
    """Who reads on only to the first line is not told anything; who cannot write is."""
    for command in ("show meaning", "watch -n 0.1 show meaning", "trace show"):
        done = subprocess.run(f"set -o pipefail; {SHELL} -s {socket} {command} | head -1", shell=True, executable="/bin/bash", text=True,
                              capture_output=True, timeout=30, check=False)
        equal(done.stderr, "", f"what `{command} | head -1` says")
    with open("/dev/full", "w", encoding="ascii") as full:
        for words in (["show", "meaning"], ["watch", "-n", "0.1", "show", "ports"]):
            done = subprocess.run([SHELL, "-s", socket, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
            equal(done.returncode, 1, f"exit status of {words} on a full disk")
            check("No space left on device" in done.stderr, f"on a full disk: {done.stderr}")
    done = subprocess.run([SHELL, "-s", socket], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    equal((done.returncode, done.stdout), (0, b""), "a shell without input")
    closed = subprocess.run(f"{SHELL} -s {socket} show version <&- ; {SHELL} -s {socket} show version >&-", shell=True, capture_output=True, timeout=30, check=False)
    check(b"serving" in closed.stdout, "a command without standard input")
    with Screen([SHELL, "-s", socket, "show", "ports"], TERM="dumb") as s:
        equal(s.end(), 0, "exit status on a dumb terminal")
        check(b"\x1b" not in s.raw, "a dumb terminal gets sequences")


def forbidden(daemon):
    os.chmod(daemon.directory, 0o755)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SHELL, "-s", daemon.directory / "admin.sock", "help"],
                          text=True, capture_output=True, timeout=30, check=False)
    equal(done.returncode, 3, "exit status without the right")
    check("belongs to root, group root (mode 0660): join that group" in done.stderr, f"without the right: {done.stderr}")


def two_who_tune(socket, home):
    """The last one wins, and each is told of the other; a version or a commit that waits keeps them apart."""
    with Screen([SHELL, "-s", socket], HOME=str(home), columns=160) as one, Screen([SHELL, "-s", socket], HOME=str(home), columns=160) as two:
        for s in (one, two):
            s.sees("meltemi>")
        one.type(f"tune limit {THRIFT} max=100\r")
        one.sees("version")
        two.type(f"tune limit {THRIFT} max=50\r")
        two.sees("in_place_of", "max=100", "root (pid")
        one.type("\x0cshow overrides\r")
        one.sees("max=50", absent=("max=100",))
        one.type(f"tune limit {THRIFT} max=70 version=1\r")
        one.sees("nothing was changed: the overrides are at version")
        one.type("commit confirm 60s\r")
        one.sees("undone in 60 s")
        two.type("\x0ccommit confirm 90s\r")
        two.sees("had started it already", "root (pid")
        two.type("show history limit 1\r")
        two.sees("to_be_confirmed")
        one.type("commit\r")
        one.sees("the active configuration stays")


def comes_back(daemon, socket, home):
    with Screen([SHELL, "-s", socket], HOME=str(home), columns=120) as s:
        s.type("show version\r")
        s.sees("serving")
        daemon.process.popen.send_signal(signal.SIGKILL)
        daemon.process.popen.wait()
        s.type("show version\r")
        s.sees("no daemon answers; it has ended")
        daemon.start()
        s.type("\x0cshow version\r")
        s.sees("connected again", "serving")


def sent_once(directory):
    """A daemon that ends while it works on a command may have carried it out: nobody asks for it again."""
    path, seen = str(directory / "dies.sock"), []
    with socket_of.socket(socket_of.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)
        listener.settimeout(PATIENCE)

        def serve():
            for _ in range(2):
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                seen.append(peer.recv(100))
                peer.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        says(path, "drain", 3, "closed the connection before it answered", "`show history`")
        time.sleep(0.2)
        equal(seen, [b"drain\n"], "what the daemon was asked")


def cut_short(directory):
    """A capture of which a part could not be read is no success."""
    path, out = str(directory / "odd.sock"), directory / "cut.pcapng"
    answers = [b'{"id": 1}', b'{"packets": [', b'{"capture": "ended"}']
    with socket_of.socket(socket_of.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)
        listener.settimeout(PATIENCE)

        def serve():
            peer, _ = listener.accept()
            with peer:
                for body in answers:
                    if not peer.recv(1000):
                        return
                    peer.sendall(b"meltemi 0 %d\n%s" % (len(body), body))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        says(path, f"capture {out}", 1, "the daemon's answer cannot be read")
        thread.join(PATIENCE)


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        socket, home = daemon.directory / "admin.sock", daemon.directory
        ask(socket, "trace", "start", "count", "1")
        lab.dubbo_client(f"{SERVICE}:20880", count=2, outstanding=1, method=EVIL, timeout_ms=300).result()
        takes_no_orders_from_the_wire(socket, home)
        mistakes(socket)
        helps(socket, home)
        at_the_prompt(socket, home)
        interrupted_while_it_writes(socket, home)
        pipes_and_disks(socket)
        forbidden(daemon)
        two_who_tune(socket, home)
        comes_back(daemon, socket, home)
        sent_once(daemon.directory)
        cut_short(daemon.directory)


main(body)
