#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A state directory that cannot be written is refused at start, with the remedy; one that fills up later makes the newer
configuration wait: told once, shown by the shell, health and a metric, tried again less and less often, and taken as soon as
there is room. Only one daemon uses a directory; a lock on the directory, which other users of the host can hold, does not count.
"""

import fcntl
import os
import pathlib
import subprocess
import time

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.check import within
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.documents import service
from meltemi_lab.paths import SANITIZED


def start(lab, node):
    argv = ["ip", "netns", "exec", lab.namespace("mesh"), str(MELTEMID), "-c", str(node)]
    done = subprocess.run(argv, text=True, capture_output=True, timeout=30, check=False,
                          env={**os.environ, **SANITIZED})
    return done.returncode, done.stdout + done.stderr


def refused_at_start(lab, daemon):
    good = daemon.node.read_text()
    state = f"stateDirectory: {lab.directory}/state"
    blocked = lab.directory / "a-file"
    blocked.write_text("")
    for where in (blocked, lab.directory / "no" / "such", pathlib.Path("/proc/meltemi")):
        daemon.node.write_text(good.replace(state, f"stateDirectory: {where}"))
        status, text = start(lab, daemon.node)
        equal(status, 1, f"exit status with stateDirectory {where} ({text})")
        lines = [line for line in text.splitlines() if "stateDirectory" in line]
        equal(len(lines), 1, f"lines about {where}: {text}")
        check(str(where) in lines[0] and "install -d" in lines[0], f"no remedy: {lines[0]}")
        equal(daemon.check()[0], 0, "--check, which writes nothing and needs no directory")
    daemon.node.write_text(good)


DENY = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: default}
spec: {}
"""


def without_address(name):
    """A service that needs an address of Meltemi's, which has to be kept."""
    return "\n".join(line for line in service(name, "0.0.0.0", 7000, "tcp", [("198.51.100.11", 7000, {})]).splitlines()
                     if "addresses:" not in line) + "\n"


def policies(daemon):
    return [row["name"] for row in daemon.show("policies")["policies"]]


def fill(state):
    with open(state / "ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            pass


def no_space(daemon):
    """The reason why the newer configuration waits, once that is the disk."""
    reason = daemon.show("config")["newer_waits"] or ""
    return reason if "No space left" in reason else ""


def shown(daemon):
    """The state and words of the directory's row in `show health`, and its metric."""
    row = next(row for row in daemon.show("health")["health"] if row["check"] == "state directory")
    metric = next(line for line in daemon.http("/metrics")[1].splitlines() if line.startswith("meltemi_state_directory_writable "))
    return row["state"], "No space left" in row["words"], metric.split()[1]


def waits_for_room(lab, daemon):
    state = lab.directory / "state"
    state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(state)], check=True)
    try:
        daemon.write("a.yaml", without_address("a.example"))
        daemon.start()
        equal(shown(daemon), ("ok", False, "1"), "a directory that can be written")
        fill(state)
        before = daemon.show("config")
        check(not before["newer_waits"], f"something waits already: {before}")
        daemon.write("b.yaml", without_address("b.example") + "---\n" + DENY)
        # Until the writer has met the full disk, it waits for the writer.
        waiting = within(10, lambda: no_space(daemon), "the newer configuration waits, and `show config` gives the reason")
        check("stateDirectory" in waiting, f"the field is not named: {waiting}")
        within(5, lambda: shown(daemon) == ("warning", True, "0"), "health and metric of a full directory")
        equal(daemon.show("config")["version"], before["version"], "configuration in use")
        time.sleep(4)  # tries behind 1 and 2 s more
        equal(daemon.process.errors().count("newer configuration waits"), 1, "lines about it in the log")
        equal(policies(daemon), [], "policies in force while a newer configuration with one waits")
        within(5, lambda: not list(state.glob(".vips*")), "no file of a try is left")
        (state / "ballast").unlink()
        within(10, lambda: daemon.show("config")["version"] > before["version"], "the newer configuration is taken")
        after = daemon.show("config")
        check(not after["newer_waits"] and after["services"] == before["services"] + 1, f"after it: {after}")
        equal(policies(daemon), ["nobody"], "policies in force after it")
        check("b.example" in (state / "vips.json").read_text(), "the address was not kept")
        within(20, lambda: shown(daemon) == ("ok", False, "1"), "health and metric of a directory with room")
        equal(daemon.process.errors().count("can be written again"), 1, "lines about the end in the log")
        equal(daemon.stop(), 0, "exit status")
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def belongs_to_one(lab, daemon):
    """A second daemon would write its own addresses over the first one's."""
    state = os.open(lab.directory / "state", os.O_RDONLY)
    fcntl.flock(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
    daemon.start()
    os.close(state)
    other = lab.directory / "other.yaml"
    text = daemon.node.read_text()
    ports = text[text.index("  ports:"):text.index("  sources:")]
    text = text.replace(ports, '  ports:\n  - {name: x, device: "net_ring0", addresses: [203.0.113.1/24]}\n')
    text = text.replace("admin.sock", "other.sock").replace(":15000", ":15001")
    other.write_text(text)
    status, text = start(lab, other)
    equal(status, 1, f"exit status on another daemon's stateDirectory ({text})")
    check("another meltemid uses it" in text, f"the reason is not told: {text}")
    equal(daemon.stop(), 0, "exit status")


def body():
    with Lab(servers=1) as lab:
        daemon = lab.meltemi()
        refused_at_start(lab, daemon)
        waits_for_room(lab, daemon)
        belongs_to_one(lab, daemon)


main(body)
