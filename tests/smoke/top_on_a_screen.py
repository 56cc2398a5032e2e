#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""meltemi top on a screen of 80x24 under traffic: rates, ways in and back, sorting, sizes, lost daemons, a clean end."""

import os
import signal

from meltemi_lab import TESTS, Lab, check, equal, main
from meltemi_lab.daemon import SHELL
from meltemi_lab.screen import Screen

SERVICE = "org.apache.dubbo.samples"


def number(screen, name, title):
    """The value under a title in the line that begins with the name; k is a thousand. 0 without these lines."""
    lines = screen.splitlines()
    head = next((line for line in lines if title in line), None)
    row = next((line for line in lines if line.startswith(name)), None)
    if not head or not row:
        return 0
    end = head.index(title) + len(title)
    text = row[:end].split()[-1]
    return float(text.rstrip("kM")) * (1000 if text.endswith("k") else 1)


def shows_rates(s):
    s.sees("meltemi top", "serving", "worker 0  [", "% busy", "REQ/S", SERVICE, "services 3")
    s.until(lambda: number(s.text(), SERVICE, "REQ/S") >= 10, "no requests are seen")


def goes_in_and_back(s):
    s.key("enter")
    s.sees("MATCH", "DESTINATIONS", "routes of org.apache")
    s.key("enter")
    s.sees("ENDPOINT", "HEALTH", "198.51.100.11:20880", "endpoints of ")
    s.key("enter")
    shown = s.sees("REMOTE", "RTT us", "198.51.100.11:20880", "connections of 198.51.100.11:20880")
    others = [line for line in shown.splitlines() if line.startswith(("client", "server")) and "198.51.100.11:20880" not in line]
    equal(others, [], "connections of other servers")
    s.key("enter")
    s.sees("STATE", "AGE us", "exchanges of 198.51.100.11:20880", "sayHello", "sent")
    s.key("enter")
    s.sees("STATUS", "TOOK us", "slow calls of 198.51.100.11:20880", "sayHello", "ok")
    for name in ("exchanges", "connections", "endpoints", "routes", "services"):
        s.key("backspace")
        s.sees(name + " ")
    s.sees("services 3")


def sorts(s):
    def first():
        lines = s.text().splitlines()
        at = next((i for i, line in enumerate(lines) if line.startswith("SERVICE")), None)
        return next(iter(lines[at + 1].split()), None) if at is not None else None

    s.type("<")
    s.sees("REQ/S")
    names = [line.split()[0] for line in s.sees("thrift-").splitlines() if line.startswith(("org.", "rev", "thr"))]
    s.until(lambda: first() == min(names), "the first name in order is not the first row")
    s.type("R")
    s.until(lambda: first() == max(names), "R does not turn the order")
    s.type("R>")
    s.type("h")
    s.sees("the other way round")
    s.type("s")
    s.sees("services 3", absent=["the other way round"])
    s.type("x")
    s.sees("exchanges ")
    s.type("l")
    s.sees("slow calls ")
    s.type("w")
    s.sees("LOOPS/S")
    s.type("s")
    s.sees("services 3")


def resizes(s):
    for rows, columns in ((12, 60), (6, 30), (40, 132), (24, 80)):
        s.resize(rows, columns)
        s.sees("meltemi top")
        check(len(s.line(rows - 1)) <= columns, "the last line is too long")
    s.sees("REQ/S", "services 3")


def survives(s, daemon):
    daemon.process.popen.send_signal(signal.SIGKILL)
    daemon.process.popen.wait()
    s.sees("no daemon answers")
    daemon.start()
    s.sees("serving", "services 3", absent=["no daemon answers"])


def ends_clean(socket, how):
    with Screen([SHELL, "-s", socket, "top"], TERM="screen") as s:
        s.sees("REQ/S")
        if how == "q":
            s.type("q")
            want = 0
        elif how == "interrupt":
            s.key("interrupt")
            want = 0
        else:
            os.kill(s.child.pid, how)
            want = 128 + how
        equal(s.end(), want, f"exit status of top ended by {how}")
        # The other screen is left, and the cursor is there again.
        check(b"\x1b[?1049l" in s.raw and s.raw.rindex(b"\x1b[?1049l") > s.raw.rindex(b"\x1b[?1049h"), "the screen is not given back")
        check(s.raw.rfind(b"\x1b[?25h") > s.raw.rfind(b"\x1b[?25l") or b"\x1b[?12l\x1b[?25h" in s.raw, "the cursor stays hidden")


def body():
    with Lab(servers=2) as lab:
        # The views lead to the first server. Its calls are the slowest ones, of which `show slow` keeps only 16, also while the machine is busy.
        for n, delay in ((1, 1000), (2, 20)):
            lab.dubbo_server(n, f"v{n}", delay=delay).wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        socket = daemon.directory / "admin.sock"
        client = lab.dubbo_client("240.240.0.10:20880", count=10_000_000, outstanding=16)
        with Screen([SHELL, "-s", socket, "top"], TERM="screen") as s:
            shows_rates(s)
            goes_in_and_back(s)
            sorts(s)
            resizes(s)
            client.kill()
            survives(s, daemon)
            s.type("q")
            equal(s.end(), 0, "exit status of top")
        for how in ("q", "interrupt", signal.SIGTERM, signal.SIGHUP):
            ends_clean(socket, how)


main(body)
