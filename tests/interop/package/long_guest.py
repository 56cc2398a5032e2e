#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The service under systemd, in a virtual machine with Debian 12: the commands of docs/how-to/install.md make a node that serves a client. It
runs as user meltemi without a capability, is restarted when it hangs or is killed, and not when its Node document cannot be used. The
journal has the access log's line of each call, also if it limits all other units. An upgrade leaves the service running, and after a purge
no file is left.
"""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import ROOT, TESTS, check, equal, main, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

import bare_debian  # noqa: E402
import install_page  # noqa: E402
from guest import Guest, is_missing  # noqa: E402
from packages import OUT, build, depends, of_version  # noqa: E402

NODE = "/etc/meltemi/node.yaml"
WATCHDOG = 30  # seconds, of the unit
# Stops one worker for a while: the control loop goes on, and systemd hears nothing.
HANG = """
import ctypes, os, pathlib, sys, time
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long] * 4
for task in pathlib.Path(f"/proc/{sys.argv[1]}/task").iterdir():
    if (task / "comm").read_text().startswith(("lcore-worker", "rte-worker", "dpdk-worker")):
        assert ptrace(16, int(task.name), 0, 0) == 0, os.strerror(ctypes.get_errno())
        time.sleep(float(sys.argv[2]))
"""
# The calls of the access log, from the namespace of install_page.py's client to a server in it.
PEERS = [TESTS / "interop/dubbo" / name for name in ("pydubbo_client.py", "pydubbo_server.py", "wire.py", "hessian2.py")]
CALLS, VIP = 12000, "240.240.3.2"
IN_CLIENT = "nsenter --net=/run/netns/client python3 /standin/pydubbo"
MESH = """apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFile: /dev/stdout
    accessLogFormat: "call %STREAM_ID% %RESPONSE_CODE%"
"""
# Far fewer messages of a unit than there are calls; journald multiplies the burst by at most 6, for the free space of its disk.
LIMITED = "[Journal]\nRateLimitIntervalSec=6h\nRateLimitBurst=1000\n"
# Files that systemd and its timers keep while a machine runs.
OF_A_RUN = re.compile(r" \./(tmp/systemd-private-|var/tmp/systemd-private-|var/lib/systemd/|var/log/|etc/\.updated|etc/resolv)")


def state(guest, *names):
    """Properties of the unit, as systemd shows them."""
    rows = guest.run("systemctl", "show", "meltemid", "--property", ",".join(names))[1].splitlines()
    found = dict(row.split("=", 1) for row in rows)
    return [found[name] for name in names]


def runs(guest):
    """The pid of the service, which is active."""
    active, sub, pid = state(guest, "ActiveState", "SubState", "MainPID")
    equal((active, sub), ("active", "running"), "state of the unit")
    return pid


def is_confined(guest, pid):
    """User, capabilities and filters of every thread, as the kernel shows them."""
    user = guest.run("id", "-u", "meltemi")[1].strip()
    rows = guest.run("sh", "-c", f"cat /proc/{pid}/task/*/status")[1]
    names = re.findall(r"^Name:\t(.*)$", rows, re.M)
    for field, want in (("Uid", [user] * 4), ("Gid", [guest.run("id", "-g", "meltemi")[1].strip()] * 4), ("CapEff", ["0" * 16]), ("CapPrm", ["0" * 16]),
                        ("CapAmb", ["0" * 16]), ("NoNewPrivs", ["1"]), ("Seccomp", ["2"])):
        found = [value.split() for value in re.findall(rf"^{field}:\t(.*)$", rows, re.M)]
        equal(found, [want] * len(names), f"{field} of {names}")
    print(f"{len(names)} threads: uid {user}, CapEff 0, seccomp", flush=True)


def exposure(guest, most):
    text = guest.run("systemd-analyze", "security", "--no-pager", f"--threshold={most}", "meltemid")[1]
    print(text.strip().splitlines()[-1].strip(), flush=True)


def serves_nothing(guest, package):
    guest.run("dpkg", "-i", f"/standin/{package.name}")
    is_confined(guest, runs(guest))
    check(re.search("^services +0$", guest.run("meltemi", "show", "node")[1], re.M), "the installed node serves something")
    exposure(guest, 15)
    guest.run("dpkg", "--purge", "meltemi")


def by_the_page(guest):
    install_page.connect(guest)
    answer = install_page.follow(guest, "/standin/tree")
    check(answer.startswith("ready"), f"the last command: {answer}")
    install_page.is_served(guest)
    is_confined(guest, runs(guest))
    exposure(guest, 21)
    check("serving 1 service" in state(guest, "StatusText")[0], f"status: {state(guest, 'StatusText')}")


def owners(guest):
    """Directories belong to the users that the unit's page lists, also after they belonged to root."""
    rows = re.findall(r"^\| `(/\S+)` \| `(\S+)` ([0-7]+) \|", (ROOT / "docs/reference/unit.md").read_text(), re.M)
    equal(len(rows), 5, "rows of directories in docs/reference/unit.md")
    guest.run("systemctl", "stop", "meltemid")
    guest.run("chown", "-R", "root:root", "/var/lib/meltemi", "/var/log/meltemi")
    guest.run("systemctl", "start", "meltemid")
    for path, owner, mode in rows:
        equal(guest.run("stat", "-c", "%U:%G %a", path)[1].strip(), f"{owner} {int(mode, 8):o}", f"owner and mode of {path}")
    equal(guest.run("find", "/var/lib/meltemi", "/var/log/meltemi", "!", "-user", "meltemi")[1].strip(), "", "files of another user")
    equal(guest.run("stat", "-c", "%U:%G %a", NODE)[1].strip(), "root:meltemi 640", f"owner and mode of {NODE}")
    install_page.is_served(guest)


def restarted(guest, before, cause):
    """One reading, because the process that ended still runs for systemd until it is reaped."""
    within(120, lambda: state(guest, "ActiveState", "SubState", "NRestarts") == ["active", "running", "1"], f"a restart after {cause}", step=1)
    check(runs(guest) != before, f"the process is the same after {cause}")
    install_page.is_served(guest)
    guest.run("systemctl", "restart", "meltemid")


def supervised(guest):
    """systemd starts the daemon again after SIGKILL, and after a worker has hung for longer than its watchdog waits."""
    pid = runs(guest)
    guest.run("kill", "-KILL", pid)
    restarted(guest, pid, "SIGKILL")
    pid = runs(guest)
    guest.run("python3", "-c", HANG, pid, WATCHDOG + 15, fail=False, limit=120)
    restarted(guest, pid, "a worker that hangs")
    check("Watchdog timeout" in guest.run("journalctl", "-u", "meltemid", "--no-pager")[1], "the journal does not name the watchdog")


def refused(guest):
    """A Node document that cannot be used ends the start with status 2 and one line, and systemd does not try again."""
    text = guest.run("cat", NODE)[1]
    guest.write(NODE, text + "  removed: 1\n")
    check(guest.run("systemctl", "restart", "meltemid", fail=False)[0] != 0, "a Node that cannot be used is started")
    equal(state(guest, "ActiveState", "ExecMainStatus", "NRestarts"), ["failed", "2", "0"], "state after a Node that cannot be used")
    errors = guest.run("journalctl", "-u", "meltemid", "-p", "err", "-t", "meltemid", "-o", "cat", "--no-pager", "-b")[1].splitlines()
    check(errors and "spec.removed: unknown field" in errors[-1], f"errors in the journal: {errors}")
    guest.write(NODE, text)
    guest.run("systemctl", "restart", "meltemid")
    install_page.is_served(guest)


def stopped(guest):
    guest.run("systemctl", "stop", "meltemid")
    equal(state(guest, "ActiveState", "Result", "ExecMainStatus"), ["inactive", "success", "0"], "state after a stop")
    check(guest.run("test", "-e", "/run/meltemi", fail=False)[0] != 0, "/run/meltemi is left")
    guest.run("systemctl", "start", "meltemid")
    install_page.is_served(guest)
    guest.run("systemctl", "reload", "meltemid")
    install_page.is_served(guest)


def in_the_journal(guest):
    """The journal has a line of each call, and each has its own name."""
    guest.write("/etc/meltemi/services/dubbo.yaml", service("dubbo.interop", VIP, 20880, "tcp-metaprotocol-dubbo", [("192.0.2.2", 20880, {})]))
    guest.write("/etc/meltemi/services/mesh.yaml", MESH)
    guest.run("meltemi", "reload")
    guest.run("sh", "-c", f"{IN_CLIENT}_server.py </dev/null >/run/dubbo.out 2>&1 &")
    within(60, lambda: guest.run("grep", "-q", "ready", "/run/dubbo.out", fail=False)[0] == 0, "a Dubbo server")
    output = guest.run("sh", "-c", f"{IN_CLIENT}_client.py --target {VIP}:20880 --count {CALLS} --outstanding 16 --timeout-ms 60000", limit=600)[1]
    report = json.loads(output.splitlines()[-1])
    equal((report["answered"], report["failed"]), (CALLS, 0), "answered and failed")

    def row():
        return next(row for row in json.loads(guest.run("meltemi", "--json", "show", "telemetry")[1])["sinks"] if row["sink"] == "/dev/stdout")

    within(60, lambda: row()["written"] == CALLS, "all lines are written", step=1)
    equal((row()["wanted"], row()["lost"]), (CALLS, 0), "lines wanted and lost")
    guest.run("journalctl", "--sync")
    lines = "journalctl -u meltemid -o cat --no-pager -b | grep '^call [^ ]* 200$'"
    equal([int(number) for number in guest.run("sh", "-c", f"{lines} | wc -l; {lines} | sort -u | wc -l", limit=600)[1].split()], [CALLS, CALLS],
          "lines of calls in the journal, and different ones")
    print(f"{CALLS} calls in {report['seconds']} s, {CALLS} lines in the journal", flush=True)
    guest.run("rm", "/etc/meltemi/services/dubbo.yaml", "/etc/meltemi/services/mesh.yaml")
    guest.run("meltemi", "reload")


def limit_journal(debian):
    """Before the boot."""
    place = debian.root / "etc/systemd/journald.conf.d"
    place.mkdir(parents=True, exist_ok=True)
    (place / "lab.conf").write_text(LIMITED)


def upgraded(guest, package):
    pid = runs(guest)
    said = guest.run("dpkg", "-i", f"/standin/{package.name}")[1]
    check(f"the new version accepts {NODE}" in said, f"the upgrade: {said}")
    equal(runs(guest), pid, "the daemon's pid after an upgrade")
    install_page.is_served(guest)
    guest.run("systemctl", "restart", "meltemid")
    install_page.is_served(guest)


def gone(guest, before):
    guest.run("dpkg", "--remove", "meltemi")
    equal(state(guest, "ActiveState", "LoadState"), ["inactive", "not-found"], "the unit after the removal")
    guest.run("dpkg", "--purge", "meltemi")
    after = guest.files()
    left, lost = ([row for row in sorted(rows) if not OF_A_RUN.search(row)] for rows in (after - before, before - after))
    equal((left, lost), ([], []), "files after the purge that were not there before, and the reverse")


def body():
    is_missing()
    package = build()["meltemi"]
    newer = of_version(package, "0.1.0+1")
    debian = bare_debian.Debian(OUT, "guest-root")
    guest = None
    try:
        debian.make(depends(package))
        limit_journal(debian)
        guest = Guest(debian, (package, newer, *PEERS))
        guest.boot()
        before = guest.files()
        serves_nothing(guest, package)
        by_the_page(guest)
        owners(guest)
        stopped(guest)
        in_the_journal(guest)
        refused(guest)
        supervised(guest)
        upgraded(guest, newer)
        gone(guest, before)
    finally:
        if guest:
            guest.close()
        debian.close()


main(body)
