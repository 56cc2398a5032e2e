#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Before it reads documents the daemon has given up what its ports do not need, and --check what it does not need to read files. Once its
ports are open the daemon has given up what it does not need any more: no thread of it has more than two capabilities, none can start
a program, workers have a filter of their own, private keys are locked in memory, and when it dies the kernel writes no core file. It goes
on to serve, and to read what belongs to others. --no-seccomp leaves out the filters.
"""

import os
import pathlib
import resource
import signal
import subprocess

from meltemi_lab import Lab, check, equal, main, unit
from meltemi_lab.check import within
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.documents import service

CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, NET_ADMIN, NET_RAW, IPC_LOCK = 0, 1, 2, 12, 13, 14
NOBODY = 65534
KEYS_KB = 4096


def before_documents(of, *ports, filters):
    """The status of the daemon, or of --check, when it opens a document."""
    allowed = sum(1 << number for number in (CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, IPC_LOCK, *ports))
    equal(f"{unit.held_by(of) & ~allowed:x}", "0", "capabilities that it has besides while it reads documents")
    equal((of["NoNewPrivs"], of["Seccomp_filters"]), ("1", str(filters)), "no new privileges, and filters, while it reads documents")


def check_before_documents(daemon, document):
    started = []

    def launch():
        started.append(subprocess.Popen([MELTEMID, "-c", daemon.node, "--check"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[0].pid

    of = unit.at_first_read(document, launch)
    check(started[0].wait(60) in (0, 1), "--check")
    before_documents(of, filters=1 if unit.sanitized() else 2)


def threads_are_bound(daemon):
    pid = daemon.process.popen.pid
    names = set()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        of = unit.status(task / "status")
        names.add(of["Name"])
        for which in ("CapPrm", "CapEff", "CapInh"):
            more = int(of[which], 16) & ~(1 << DAC_READ_SEARCH | 1 << IPC_LOCK)
            equal(more, 0, f"{which} that {of['Name']} has besides")
        equal((of["NoNewPrivs"], of["Seccomp"]), ("1", "2"), f"no new privileges, and the filter, of {of['Name']}")
        own = not unit.sanitized() and unit.has_own_filter(of["Name"])
        equal(of["Seccomp_filters"], str(unit.filters(daemon) + own), f"filters of {of['Name']}")
    check(len(names) >= 4, f"the worker, the disk's, the handshakes' and DPDK's threads were looked at: {names}")


def without_filters(daemon):
    daemon.options = ["--no-seccomp"]
    daemon.start()
    daemon.wait_log("--no-seccomp: the daemon does not limit its system calls")
    for task in pathlib.Path(f"/proc/{daemon.process.popen.pid}/task").iterdir():
        equal(unit.status(task / "status")["Seccomp"], "0", "filter of a thread with --no-seccomp")
    equal(daemon.stop(), 0, "exit status")
    daemon.options = []


def echoes(lab, address):
    with lab.connect("client", address, 7000) as sock:
        sock.sendall(b"hello")
        return sock.recv(5) == b"hello"


def somebody_elses(lab, daemon):
    """A document that only its owner may read."""
    scratch = daemon.directory / "theirs"
    scratch.write_text(service("theirs.example", "203.0.113.10", 7000, "tcp", [(lab.server(1), 7000, {})]))
    scratch.chmod(0o600)
    os.chown(scratch, NOBODY, NOBODY)
    os.rename(scratch, daemon.services / "theirs.yaml")
    within(10, lambda: "theirs.example" in daemon.shell("show", "services"), "somebody else's document is read")
    check(echoes(lab, "203.0.113.10"), "its service is not served")


def dies_without_a_core(daemon):
    pid = daemon.process.popen.pid
    resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.kill(pid, signal.SIGSEGV)
    _, how = os.waitpid(pid, 0)
    daemon.process.popen.returncode = -signal.SIGSEGV
    daemon.process.asked_by.append(-signal.SIGSEGV)
    equal((os.WTERMSIG(how), os.WCOREDUMP(how)), (signal.SIGSEGV, False), "the signal that ended it, and a core file")


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, lambda sock: sock.sendall(sock.recv(5))):
        daemon = lab.meltemi()
        daemon.write("ours.yaml", service("ours.example", "203.0.113.9", 7000, "tcp", [(lab.server(1), 7000, {})]))
        document = daemon.services / "ours.yaml"
        check_before_documents(daemon, document)
        without_filters(daemon)
        before_documents(unit.at_first_read(document, daemon.launch), NET_ADMIN, NET_RAW, filters=unit.filters(daemon) - 1)
        daemon.comes_up()
        pid = daemon.process.popen.pid
        daemon.wait_log("of the capabilities are left: cap_dac_read_search cap_ipc_lock")
        threads_are_bound(daemon)
        check(int(unit.status(pathlib.Path(f"/proc/{pid}/status"))["VmLck"].split()[0]) >= KEYS_KB, "keys are not locked in memory")
        check(echoes(lab, "203.0.113.9"), "the service is not served")
        somebody_elses(lab, daemon)
        daemon.leaves("memory", "it is killed")
        dies_without_a_core(daemon)


main(body)
