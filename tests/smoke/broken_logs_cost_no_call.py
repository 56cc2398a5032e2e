#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Access logs that cannot be written cost no call: a directory, a link, a pipe, a second name or a file without rights in place of the file, a full
disk, a stopped reader. Each lost line is counted, health names the reason, and lines go on when the fault has gone.
"""

import contextlib
import os
import re
import subprocess
import threading

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.access_log import calls, logs_to, with_logs

MANY = 20000
NOBODY = 65534
LINE = re.compile(r'\[\d{4}-\S+Z\] "\S+ /\S+ dubbo" 200 - via_upstream .* 192\.0\.2\.2:\d+ - \S+')


def row(daemon):
    return daemon.show("telemetry")["sinks"][0]


def whole(text):
    """Number of whole lines, if there are no others."""
    odd = [line for line in text.splitlines() if not LINE.fullmatch(line)]
    check(not odd, f"{len(odd)} odd lines: {odd[:1]}")
    return len(text.splitlines())


def in_state(daemon, state, wanted):
    """The output's row of `show telemetry`, once it has that state and so many lines are wanted."""
    def found():
        now = row(daemon)
        return (now["state"], now["wanted"]) == (state, wanted) and now
    return within(10, found, f"state {state}, {wanted} lines wanted")


def warned(daemon, *words):
    """`show health` and the daemon's own log have the reason."""
    text = daemon.shell("show", "health", fail=False)
    check(all(word in text for word in words), f"show health has {words}: {text}")
    daemon.wait_log(words[-1])


def not_a_file(lab, daemon, logs):
    """(path, what is in its place, words of the reason)"""
    outside = lab.directory / "outside"
    outside.write_text("kept\n")
    (logs / "directory.log").mkdir()
    (logs / "link.log").symlink_to(outside)
    (logs / "away").symlink_to(lab.directory)
    os.mkfifo(logs / "pipe.log")
    os.link(outside, logs / "second.log")
    for path, why in (("directory.log", "irectory"), ("link.log", "link is on the way"), ("away/outside", "link is on the way"),
                      ("pipe.log", "not a regular file"), ("second.log", "several names"), ("missing/calls.log", "No such file")):
        logs_to(daemon, logs / path)
        calls(lab, 20)
        found = in_state(daemon, "not_open", 20)
        equal(found["written"], 0, f"lines written to {path}")
        check(why in found["why"], f"{path}: {found['why']}")
        warned(daemon, str(logs / path), why)
    check(f"no directory {logs}/missing" in daemon.check()[1], "--check names a directory that is missing")
    equal(outside.read_text(), "kept\n", "a file outside of the directories")


def without_rights(lab, daemon, logs):
    """A directory of another user; then everybody may write there."""
    theirs = logs / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, NOBODY, NOBODY)
    logs_to(daemon, theirs / "calls.log")
    calls(lab, 100)
    check("ermission denied" in in_state(daemon, "not_open", 100)["why"], f"{row(daemon)}")
    theirs.chmod(0o777)
    within(10, lambda: row(daemon)["written"] == 100, "all lines")
    equal(len((theirs / "calls.log").read_text().splitlines()), 100, "lines of the file")


@contextlib.contextmanager
def small_disk(path):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def full_disk(lab, daemon, disk):
    """Lines wait for a larger disk."""
    log = disk / "calls.log"
    logs_to(daemon, log)
    calls(lab, 1000)
    found = in_state(daemon, "no_space", 1000)
    check(0 < found["written"] < 1000 and found["lost"] == 0, f"{found}")
    warned(daemon, str(log), "No space left on device")
    subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
    within(10, lambda: row(daemon)["written"] == 1000, "all lines")
    equal((row(daemon)["state"], row(daemon)["lost"]), ("ok", 0), "state and lost lines")
    equal(whole(log.read_text()), 1000, "whole lines")


def read_all(pipe, got):
    while chunk := os.read(pipe, 65536):
        got.extend(chunk)


def stopped_reader(lab, daemon, pipe):
    """More lines than buffers and pipe hold: wanted = written + lost, and written lines are whole."""
    logs_to(daemon, "/dev/stdout")
    calls(lab, MANY)
    check(in_state(daemon, "stalled", MANY)["lost"] > 0, f"{row(daemon)}")
    warned(daemon, "/dev/stdout", "its reader has stopped")
    got = bytearray()
    threading.Thread(target=read_all, args=(pipe, got), daemon=True).start()
    within(20, lambda: row(daemon)["written"] + row(daemon)["lost"] == MANY, "wanted = written + lost")
    written = row(daemon)["written"]
    within(10, lambda: got.count(b"\n") == written, "lines of the reader")
    calls(lab, 100)
    within(10, lambda: got.count(b"\n") == written + 100, "lines after that")
    equal(whole(got.decode()), written + 100, "whole lines")
    equal(row(daemon)["wanted"], MANY + 100, "wanted lines")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon, logs = with_logs(lab)
        fifo = lab.directory / "stdout"
        os.mkfifo(fifo)
        pipe = os.open(fifo, os.O_RDWR)
        with small_disk(logs / "small"):
            daemon.prefix = ["sh", "-c", f'exec "$@" > {fifo}', "sh"]
            daemon.start()
            not_a_file(lab, daemon, logs)
            without_rights(lab, daemon, logs)
            full_disk(lab, daemon, logs / "small")
            stopped_reader(lab, daemon, pipe)
            equal(daemon.stop(), 0, "exit status")


main(body)
