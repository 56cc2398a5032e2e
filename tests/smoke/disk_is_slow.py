#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A disk that does not come back holds up what has to be kept there, and nothing else: no file is synced on the control
thread. A new address is published when it is in its file, an override that is kept counts then, and who asked for
either hears of it then; who looks is answered at once. A disk that never comes back does not keep the daemon from its end.
"""

import os
import subprocess
import time

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.check import within
from meltemi_lab.daemon import SHELL
from meltemi_lab.documents import service
from meltemi_lab.paths import BUILD, SANITIZED


class Disk:
    def __init__(self, lab):
        self.slow = lab.directory / "slow"
        self.callers = lab.directory / "slow.callers"
        os.environ["SLOW_DISK"] = str(self.slow)
        os.environ["LD_PRELOAD"] = str(BUILD / "tests/smoke/libslow_disk.so")
        SANITIZED["ASAN_OPTIONS"] += ":verify_asan_link_order=0"

    def stops(self):
        self.slow.touch()

    def goes_on(self):
        self.slow.unlink()

    def names(self):
        return self.callers.read_text().split() if self.callers.exists() else []

    def wait(self, count):
        within(10, lambda: len(self.names()) > count, "somebody waits for the disk")


def without_address(name):
    return "\n".join(line for line in service(name, "0.0.0.0", 7000, "tcp", [("198.51.100.11", 7000, {})]).splitlines()
                     if "addresses:" not in line) + "\n"


def asks(lab, *words):
    return subprocess.Popen([SHELL, "-s", lab.directory / "admin.sock", *words], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"})


def answered(asker):
    text = asker.communicate(timeout=20)[0]
    return asker.returncode, text


def new_address(lab, daemon, disk):
    state = lab.directory / "state" / "vips.json"
    before, seen = daemon.show("config"), len(disk.names())
    disk.stops()
    daemon.write("b.yaml", without_address("b.example"))
    reload = asks(lab, "reload")
    disk.wait(seen)
    held = asks(lab, "tune", "worker", "burst=8")
    time.sleep(0.5)
    now = daemon.show("config")
    equal((now["version"], now["services"]), (before["version"], before["services"]), "what is in force")
    check("b.example" not in state.read_text(), "the address is in its file already")
    equal(daemon.show("overrides")["overrides"], [], "overrides while another change is under way")
    equal((reload.poll(), held.poll()), (None, None), "who asked for a change")
    disk.goes_on()
    status, text = answered(reload)
    equal(status, 0, f"reload: {text}")
    check("1 listener added" in text or "1 service added" in text, f"what the reload says: {text}")
    check("b.example" in state.read_text(), "it is published and not in its file")
    equal(daemon.show("config")["services"], before["services"] + 1, "services")
    status, text = answered(held)
    check(status == 0 and "in force" in text, f"who waited: {text}")


def kept_override(lab, daemon, disk):
    seen, state = len(disk.names()), lab.directory / "state" / "overrides"
    override = daemon.show("overrides")["overrides"][0]
    disk.stops()
    keep = asks(lab, "tune", "keep", str(override["id"]))
    disk.wait(seen)
    time.sleep(0.3)
    check(not daemon.show("overrides")["overrides"][0]["kept"], "kept before it is written")
    equal(keep.poll(), None, "who keeps it")
    disk.goes_on()
    status, text = answered(keep)
    equal(status, 0, text)
    check(daemon.show("overrides")["overrides"][0]["kept"] and "burst=8" in state.read_text(), "it is not kept")


def accepted(lab, disk):
    seen = len(disk.names())
    disk.stops()
    accept = asks(lab, "accept")
    disk.wait(seen)
    time.sleep(0.3)
    equal(accept.poll(), None, "who accepts")
    disk.goes_on()
    status, text = answered(accept)
    check(status == 0 and "2 hosts are what this node is to serve" in text, text)


def never_comes_back(daemon, disk):
    seen = len(disk.names())
    disk.stops()
    daemon.write("c.yaml", without_address("c.example"))
    disk.wait(seen)
    began = time.monotonic()
    equal(daemon.stop(), 0, "exit status")
    check(time.monotonic() - began < 35, "the end waited for the disk")
    check("the disk has not answered" in daemon.process.errors(), "an empty answer")
    daemon.leaves("errors", "a disk that never answers is one", "the disk has not answered")
    disk.goes_on()


def body():
    with Lab(servers=1) as lab:
        disk = Disk(lab)
        daemon = lab.meltemi()
        daemon.write("a.yaml", without_address("a.example"))
        daemon.start()
        within(10, lambda: (lab.directory / "state" / "served.json").exists(), "served.json")
        at_start = len(disk.names())
        new_address(lab, daemon, disk)
        kept_override(lab, daemon, disk)
        accepted(lab, disk)
        never_comes_back(daemon, disk)
        equal(sorted(set(disk.names()[at_start:])), ["mt-disk"], "threads that waited for the disk")


main(body)
