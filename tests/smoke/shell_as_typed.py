#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shell as a person types: completion of live names, ?, short forms, filters, pages, colours, roles, lost daemons."""

import os
import signal
import subprocess
import time

from meltemi_lab import TESTS, Lab, check, equal, main
from meltemi_lab.daemon import SHELL
from meltemi_lab.screen import Screen

CLEAR = "\x15"  # Ctrl-U
SERVICE = "240.240.0.10"


def ask(*arguments, **more):
    return subprocess.run([SHELL, *arguments], text=True, capture_output=True, timeout=30, check=False, **more)


def completes(s):
    """Commands, names of what is there now, fields, filters."""
    s.type("sho\tserv\t")
    s.sees("meltemi> show services")
    s.type("org\t")
    s.sees("meltemi> show services org.apache.dubbo.samples.basic.api.demoservice")
    s.type(CLEAR + "show clusters so\treq\tli\t1\r")
    s.sees("sort requests limit 1", "health")
    s.type(CLEAR + "show ports | c\t\r")
    s.sees("| count", "ports")
    s.type("show ports whe\tna\t")
    s.sees("where name=")
    s.type(CLEAR + "show c?")
    s.sees("connections", "counters", "TCP connections, both sides")
    inside_expressions(s)
    s.type(CLEAR + "help dr\t\r")
    s.sees("take the node out of use", "role", "operate")


def inside_expressions(s):
    """Fields, and the values that they have now, of whatever command takes an expression."""
    s.type(CLEAR + "trace start serv\torg\t")
    s.sees("trace start service=org.apache.dubbo.samples.basic.api.demoservice")
    s.type(CLEAR + "trace start stat\tover_\t")
    s.sees("trace start status=over_limit")
    s.type(CLEAR + "trace start pack\tdire\tr\tdp\t")
    s.sees("trace start packets direction=rx dport=")
    s.type(CLEAR + "trace start .inter\t")
    s.sees("trace start .interface=")
    s.type(CLEAR + "trace start .t?")
    s.sees(".timeout=", "dubbo")
    s.type(CLEAR + "trace start packets se?")
    s.sees("nothing may stand here")
    s.type(CLEAR + "capture start mess\tclie\t(meth\t")
    s.sees("capture start messages client (method=")
    s.type(CLEAR + "show conn\tsid\tcl\trtt\t")
    s.sees("show connections side=client rtt>")
    s.type(CLEAR + "explain prot\tdub\tlis\t240.240.0.1\t")
    s.sees("explain protocol=dubbo listener=240.240.0.10:20880")


def explains_mistakes(s):
    s.type(CLEAR + "show co\r")
    s.sees("which one: `show connections`, `show counters`, `show config`")
    s.type("frobnicate\r")
    s.sees("no command `frobnicate`")
    s.type("show ports where mtu\r")
    s.sees("needs an operator and a value after it")
    s.type("show ports sort nothing\r")
    s.sees("`nothing` is not a field here; fields are: name, link, mac")
    s.type("--watch 0 show ports\r")
    s.sees("--watch needs seconds from 0.1 to 3600")


def pages(socket, home):
    with Screen([SHELL, "-s", socket], rows=12, HOME=str(home), LESS="RX") as s:
        s.sees("meltemi>")
        s.type("show meaning\r")
        s.sees("\n:", "unit")
        s.type("q")
        s.sees("meltemi>")
        s.type("quit\r")
        equal(s.end(), 0, "exit status behind a pager")


def colours(socket):
    bright, plain = "\x1b[32mserving\x1b[0m", "serving"
    for environment, want in (({}, bright), ({"NO_COLOR": "1"}, plain), ({"TERM": "dumb"}, plain)):
        with Screen([SHELL, "-s", socket, "show", "version"], **environment) as s:
            equal(s.end(), 0, "exit status of a command")
            check(want in s.raw.decode(), f"with {environment}: {s.raw!r}")
            equal("\x1b" in s.raw.decode(), want is bright, f"colours with {environment}")
    check("\x1b" not in ask("-s", socket, "show", "version").stdout, "colours in a pipe")


def shells_complete(socket):
    """What bash would offer for the line, by the script that `meltemi completion bash` prints."""
    script = (f'export PATH={os.path.dirname(SHELL)}:$PATH MELTEMI_SOCKET={socket}; source <(meltemi completion bash); '
              'COMP_WORDS=(meltemi show services org.); COMP_CWORD=3; _meltemi; echo "${COMPREPLY[@]}"')
    check("org.apache.dubbo.samples.basic.api.demoservice" in subprocess.run(["bash", "-c", script], text=True, capture_output=True, timeout=30,
                                                check=False).stdout, "bash completes no service")
    # The name of a route is any text; bash would run it with the line.
    script = ("source <(meltemi completion bash); meltemi() { printf '%s\\n' 'x$(touch${IFS}y)'; }; "
              'COMP_WORDS=(meltemi show x); COMP_CWORD=2; _meltemi; echo "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", f"export PATH={os.path.dirname(SHELL)}:$PATH; {script}"], text=True, capture_output=True, timeout=30, check=False)
    equal(done.stdout.strip(), r"x\$\(touch\$\{IFS\}y\)", "a name that is a command, as bash would insert it")
    for shell in ("zsh", "fish"):
        check("--complete" in ask("completion", shell).stdout, f"no script for {shell}")
    equal(ask("completion", "csh").returncode, 2, "exit status of a script for csh")
    equal(ask("-s", "/nonexistent", "--complete", "show", "").stderr, "", "words of completion without a daemon")
    for words, want in ((("show", "nei"), ["neighbours"]), (("drai",), ["drain"]), (("to",), ["top"]), (("--js",), ["--json"])):
        done = ask("-s", "/nonexistent", "--complete", "--", *words)
        equal((done.returncode, [line.split("\t")[0] for line in done.stdout.splitlines()]), (0, want), f"completion of {words} without a daemon")


def looks_only(daemon):
    view = daemon.directory / "view.sock"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SHELL, "-s"]

    def as_nobody(*words, socket=view):
        return subprocess.run([*nobody, socket, *words], text=True, capture_output=True, timeout=30, check=False)

    check("serving" in as_nobody("show", "version").stdout, "the view socket shows nothing")
    for command in ("drain", "reload"):
        refused = as_nobody(command)
        equal(refused.returncode, 1, f"exit status of {command} by the view socket")
        check("nobody has the role view, which changes nothing" in refused.stderr, f"{command} says {refused.stderr}")
    equal(daemon.http("/ready")[0], 200, "status after a refused drain")
    # The socket of the operators is closed to them, so the one beside it is taken.
    check("serving" in as_nobody("show", "version", socket=daemon.directory / "admin.sock").stdout, "view.sock is not found")


def daemon_comes_back(daemon, home):
    with Screen([SHELL, "-s", daemon.directory / "admin.sock"], HOME=str(home)) as s:
        s.sees("meltemi>")
        daemon.process.popen.send_signal(signal.SIGKILL)
        daemon.process.popen.wait()
        s.type("show version\r")
        s.sees("no daemon answers")
        s.type("show po?")
        s.sees("no daemon answers")
        daemon.start()
        s.type(CLEAR + "show version\r")
        s.sees("serving")
        s.type("quit\r")
        equal(s.end(), 0, "exit status behind a daemon that came back")


def two_at_once(socket, home):
    with Screen([SHELL, "-s", socket], HOME=str(home)) as one, Screen([SHELL, "-s", socket], HOME=str(home)) as two:
        for s in (one, two):
            s.sees("meltemi>")
        one.type("reload\r")
        two.type("reload\r")
        for s in (one, two):
            s.sees("meltemi> reload\n", "\nmeltemi>")


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks")
        daemon.admin(viewSocket=daemon.directory / "view.sock", viewGroup="65534")
        os.chmod(daemon.directory, 0o755)
        daemon.start()
        socket, home = daemon.directory / "admin.sock", daemon.directory
        lab.dubbo_client(f"{SERVICE}:20880", count=20, outstanding=1).result()
        with Screen([SHELL, "-s", socket], HOME=str(home)) as s:
            s.sees("meltemi>")
            completes(s)
            explains_mistakes(s)
            s.type("quit\r")
            equal(s.end(), 0, "exit status of the shell")
        check("show services" not in (home / ".meltemi_history").read_text().splitlines()[-1], "history")
        pages(socket, home)
        colours(socket)
        shells_complete(socket)
        looks_only(daemon)
        two_at_once(socket, home)
        started = time.monotonic()
        watching = ask("-s", socket, "show", "version", "--watch", "nonsense")
        equal(watching.returncode, 2, "exit status of a watch without a number")
        daemon_comes_back(daemon, home)
        check(time.monotonic() - started < 60, "it took too long")


main(body)
