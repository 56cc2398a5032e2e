#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What a service manager hears (sd_notify(3)) and gives (RUNTIME_DIRECTORY), at a path and at an abstract name: ready once, alive as long as the control loop and
all workers turn and not while one hangs, a reload's begin and end, words for `systemctl status`, and the end. The unit gives the daemon no
more than its ports need.
"""

import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from meltemi_lab import BUILD, ROOT, Lab, check, equal, main, netns
from meltemi_lab import unit as unit_files
from meltemi_lab.check import within
from meltemi_lab.daemon import SHELL
from meltemi_lab.documents import service

ATTACH, DETACH, WALL = 16, 17, 0x40000000  # ptrace(2), waitpid(2)
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Manager:
    """Listens as systemd does, and gives the daemon its environment."""

    def __init__(self, name, namespace, **environment):
        with netns.inside(namespace):  # abstract names belong to one
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + name[1:] if name.startswith("@") else name)
        self.sock.settimeout(0.2)
        self.heard = []
        os.environ.update(NOTIFY_SOCKET=name, **environment)

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.heard.append(self.sock.recv(4096).decode())
            except TimeoutError:
                pass

    def hears(self, pattern, what, seconds=15):
        def found():
            self.listen(0.2)
            return next((text for text in self.heard if re.search(pattern, text)), None)

        return within(seconds, found, what)

    def count(self, text):
        return self.heard.count(text)

    def close(self):
        self.sock.close()
        for name in ("NOTIFY_SOCKET", "RUNTIME_DIRECTORY", "WATCHDOG_USEC", "WATCHDOG_PID"):
            os.environ.pop(name, None)


def alive(manager):
    """Signs of life, on average more often than WATCHDOG_USEC asks for."""
    signs, seconds = 8, 2
    before, began = manager.count("WATCHDOG=1"), time.monotonic()
    within(signs * seconds, lambda: manager.listen(0.2) or manager.count("WATCHDOG=1") >= before + signs, f"{signs} signs of life")
    took = time.monotonic() - began
    check(took < signs * seconds, f"{signs} signs of life in {took:.1f} s")


def worker_thread(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith(("lcore-worker", "rte-worker", "dpdk-worker")):
            return int(task.name)
    raise AssertionError(f"threads: {[(t.name, (t / 'comm').read_text()) for t in pathlib.Path(f'/proc/{pid}/task').iterdir()]}")


def hung_worker(manager, daemon):
    """One thread stands still, all others go on; nothing is said of life until it turns again."""
    thread = worker_thread(daemon.process.popen.pid)
    equal(LIBC.ptrace(ATTACH, thread, None, None), 0, "ptrace attaches")
    os.waitpid(thread, WALL)
    try:
        manager.listen(1.0)  # what was under way
        manager.heard.clear()
        manager.listen(6.0)
        check(not manager.count("WATCHDOG=1"), f"alive while a worker hangs: {manager.heard}")
        manager.hears("STATUS=worker 0 has not turned", "the status names the worker")
        status, text = daemon.http("/ready")
        equal((status, text), (503, "not ready: waits for 1\nworker 0: it has not turned for seconds\n"), "what /ready says")
    finally:
        equal(LIBC.ptrace(DETACH, thread, None, None), 0, "ptrace detaches")
    manager.hears("^WATCHDOG=1$", "alive again")
    within(5, daemon.ready, "ready again")


def a_rollback_between(manager, daemon):
    """Files are read in one turn and taken in the next; who goes back between both ends the reload that has begun."""
    version = daemon.show("config")["version"]
    for i in range(4):
        manager.listen(0.5)
        manager.heard.clear()
        daemon.write("c.yaml", service(f"c{i}.example", "240.240.3.3", 80, "tcp", [("10.88.0.11", 80, {})]))
        time.sleep(0.05)  # the watch waits for quiet
        daemon.process.pause()
        time.sleep(0.15)
        command = [SHELL, "-s", daemon.directory / "admin.sock", "rollback", str(version)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as shell:
            time.sleep(0.2)
            daemon.process.popen.send_signal(signal.SIGCONT)
            equal(shell.wait(20), 0, "a rollback's exit status")
        manager.listen(1.0)

        def told():
            manager.listen(0.2)
            return [text.split("\n")[0] for text in manager.heard if text.startswith(("RELOADING=1", "READY=1"))]

        within(15, lambda: "RELOADING=1" in (words := told()) and words[-1] == "READY=1", "a reload begins, and has ended")


def at_a_path(lab, daemon):
    runtime = lab.directory / "run"
    runtime.mkdir()
    manager = Manager(str(lab.directory / "notify"), daemon.namespace, RUNTIME_DIRECTORY=str(runtime), WATCHDOG_USEC="2000000")
    daemon.start()
    check([*runtime.glob("dpdk/*/dpdk_telemetry*")], "DPDK's directory is the service's")
    check(not [*pathlib.Path("/var/run/dpdk").glob(f"*{lab.id}")], "nothing is in a directory that the unit cannot write")
    manager.hears("^READY=1$", "ready")
    manager.hears("^STATUS=serving 1 service, configuration 1$", "the status")
    alive(manager)
    equal(manager.count("READY=1"), 1, "times ready")
    manager.heard.clear()
    daemon.write("b.yaml", service("b.example", "240.240.3.2", 80, "tcp", [("10.88.0.11", 80, {})]))
    manager.hears("STATUS=serving 2 services", "the status of the next configuration")
    check(manager.heard.index("READY=1") > next(i for i, t in enumerate(manager.heard) if t.startswith("RELOADING=1\nMONOTONIC_USEC=")),
          f"begin and end of a reload: {manager.heard}")
    manager.heard.clear()
    daemon.process.popen.send_signal(signal.SIGHUP)
    manager.hears("^RELOADING=1\nMONOTONIC_USEC=[0-9]+$", "a reload that was asked for begins")
    manager.hears("^READY=1$", "and ends")
    a_rollback_between(manager, daemon)
    hung_worker(manager, daemon)
    manager.heard.clear()
    daemon.shell("drain")
    manager.hears("^STATUS=draining by command", "the status during `drain`")
    daemon.shell("return")
    manager.hears("^STATUS=serving", "the status after `return`")
    manager.heard.clear()
    equal(daemon.stop(), 0, "exit status")
    manager.hears("^STOPPING=1$", "the end")
    manager.hears("^STATUS=draining", "why it takes a while")
    manager.hears("^EXTEND_TIMEOUT_USEC=20000000$", "that a drain may take longer than the manager's limit")
    manager.close()


def at_an_abstract_name(daemon):
    """Whose watchdog it is is said by WATCHDOG_PID, too."""
    manager = Manager("@meltemi-lab-notify", daemon.namespace, WATCHDOG_USEC="1000000", WATCHDOG_PID="1")
    daemon.start()
    manager.hears("^READY=1$", "ready")
    manager.listen(2)
    equal(manager.count("WATCHDOG=1"), 0, "life signs for another process's watchdog")
    equal(daemon.stop(), 0, "exit status")
    manager.hears("^STOPPING=1$", "the end")
    manager.close()


def nobody_listens(lab, daemon):
    """A name that leads nowhere keeps nobody from serving."""
    for name in (str(lab.directory / "nothing"), "@nothing", "vsock:2:1", "", "x" * 300):
        os.environ["NOTIFY_SOCKET"] = name
        daemon.start()
        equal(daemon.stop(), 0, "exit status")
    del os.environ["NOTIFY_SOCKET"]


def port_removed(lab, daemon):
    """The status names a port whose interface was deleted. No test starts the daemon after this."""
    manager = Manager(str(lab.directory / "notify-port"), daemon.namespace)
    daemon.leaves("errors", "its device is removed", "its device was removed")
    daemon.start()
    manager.hears("^STATUS=serving", "the status")
    netns.run("ip", "-n", lab.namespace("mesh"), "link", "del", "dev", "p1")
    manager.hears("^STATUS=not ready: port p1: its device was removed", "the status names the port")
    equal(daemon.stop(), 0, "exit status")
    manager.close()


def unit(lab):
    """systemd reads the unit without a message, and the unit starts the daemon where meson installs it."""
    text = (BUILD / "app/meltemid/meltemid.service").read_text()
    options = {option["name"]: option["value"] for option in json.loads((BUILD / "meson-info/intro-buildoptions.json").read_text())}
    installed = pathlib.Path(options["prefix"], options["sbindir"], "meltemid")
    equal(re.findall("^ExecStart=(.*)$", text, re.M), [f"{installed} -c /etc/meltemi/node.yaml"], "the command of the unit")
    check("\nType=notify\n" in text and "\nWatchdogSec=" in text and "ExecStartPre" not in text, "the unit's way to start")
    check("\nRuntimeDirectoryMode=0711\n" in text, "a group can reach its socket in the runtime directory")
    check("\nReadWritePaths" not in text and "ProtectSystem=strict" in text, "the unit writes to its own directories only")
    check("\nMemorySwapMax=0\n" in text and "/run/systemd/private" in text and "/run/dbus" in text, "neither swapped, nor at managers' sockets")
    check("\nUser=meltemi\n" in text and "\nCapabilityBoundingSet=\n" in text, "the unit gives neither root nor a capability")
    check("\nMemoryMax=" in text and "\nTasksMax=" in text, "memory and threads have a bound")
    copy = lab.directory / "meltemid.service"
    copy.write_text(re.sub("ExecStart=\\S+", "ExecStart=/bin/true", text).replace("Documentation=man:meltemid(8)\n", ""))
    done = subprocess.run(["systemd-analyze", "verify", copy], text=True, capture_output=True, timeout=60, check=False)
    equal((done.returncode, done.stdout + done.stderr), (0, ""), "systemd-analyze verify")


def owners():
    """The table of directories has the owners and modes of the unit and of tmpfiles.d."""
    page, text = (ROOT / "docs/reference/unit.md").read_text(), unit_files.installed()
    made = re.search("^d (\\S+) ([0-7]+) (\\S+) (\\S+) -$", (ROOT / "app/meltemid/meltemi.tmpfiles").read_text(), re.M)
    rows = [(made[1], f"{made[3]}:{made[4]}", made[2])]
    for kind, above in (("Runtime", "/run"), ("State", "/var/lib"), ("Logs", "/var/log")):
        name, mode = (re.search(f"^{kind}Directory{field}=(.*)$", text, re.M)[1] for field in ("", "Mode"))
        rows.append((f"{above}/{name}", "meltemi:meltemi", mode))
    for path, owner, mode in rows:
        check(f"| `{path}` | `{owner}` {mode} |" in page, f"docs/reference/unit.md has no row for {path} of {owner}, mode {mode}")


# Ports; what the drop-in of the unit has, and the figure of `systemd-analyze security` times 10 that it may reach.
PROFILES = [
    ("net_memif0", "", 15),
    ("net_vhost0,iface=/run/meltemi/vm.sock", "", 15),
    ("net_af_packet0,iface=p0", "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN\nRestrictAddressFamilies=AF_PACKET\nSystemCallFilter=capset\n", 21),
    ("net_tap0,iface=t0", "AmbientCapabilities=CAP_NET_ADMIN\nPrivateDevices=no\nDeviceAllow=/dev/net/tun rw\nSystemCallFilter=capset\n", 21),
    ("net_af_xdp0,iface=p0", "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN CAP_SYS_ADMIN\nRestrictAddressFamilies=AF_XDP\nSystemCallFilter=capset bpf\n", 24),
]
LOGS = "  accessLog: {directories: [/var/log/meltemi/calls, /data/log]}\n"
VFIO = "[Service]\nPrivateDevices=no\nDeviceAllow=/dev/vfio/vfio rw\nDeviceAllow=/dev/vfio/42 rw\n"  # as unit/rights has them
OF_ROOT = ("[Service]\nUser=root\nGroup=root\nCapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN CAP_IPC_LOCK CAP_SYS_ADMIN CAP_SYS_RAWIO CAP_DAC_OVERRIDE "
           "CAP_DAC_READ_SEARCH CAP_CHOWN\nPrivateDevices=no\nDeviceAllow=/dev/vfio/vfio rw\nDeviceAllow=char-uio rw\nDeviceAllow=char-vfio rw\n"
           "ProtectKernelTunables=no\nSystemCallFilter=capset\n")


def exposure(directory, text, drop_in, most):
    """The unit with its drop-in, judged by systemd."""
    (directory / "meltemid.service.d").mkdir(parents=True, exist_ok=True)
    (directory / "meltemid.service").write_text(text)
    (directory / "meltemid.service.d/rights.conf").write_text(drop_in)
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={most}", "--no-pager", directory / "meltemid.service"],
                          text=True, capture_output=True, timeout=60, check=False)
    equal(done.returncode, 0, f"systemd-analyze security above {most / 10} with {drop_in}: {done.stdout[-200:]}{done.stderr}")
    print(done.stdout.strip().splitlines()[-1].strip(), flush=True)


def profiles(lab, daemon):
    """What --rights prints for each kind of port, and how exposed the service is with it."""
    text = re.sub("ExecStart=\\S+", "ExecStart=/bin/true", unit_files.installed())
    node = daemon.node.read_text()
    for number, (device, lines, most) in enumerate(PROFILES):
        file = lab.directory / f"profile{number}.yaml"
        ports = f'  ports: [{{name: p0, device: "{device}", addresses: [192.0.2.1/24]}}]\n'
        file.write_text(re.sub("  ports:\n.*?(?=  sources)", ports + LOGS, node, flags=re.S))
        got = unit_files.drop_in(file)
        check("\nReadWritePaths=-/data/log\n" in got and "/var/log/meltemi" not in got, f"directories of access logs: {got}")
        got = got.replace("ReadWritePaths=-/data/log\n", "")
        for line in lines.splitlines():
            check(f"\n{line}\n" in got, f"{line} is not in the drop-in of {device}: {got}")
        got = got.replace(f"ReadWritePaths=-{daemon.directory}/state\n", "")
        check(lines or got.endswith("\n[Service]\n"), f"the drop-in of {device}: {got}")
        exposure(lab.directory / f"unit{number}", text, got, most)
    exposure(lab.directory / "unit-vfio", text, VFIO, 20)
    exposure(lab.directory / "unit-root", text, OF_ROOT, 34)


def reads_the_node_alone(daemon):
    """Root runs --rights, so it opens no document that others may write."""
    with unit_files.watching(daemon.services / "a.yaml") as is_opened:
        unit_files.drop_in(daemon.node)
        check(not is_opened(0), "--rights reads a document of a source")


def too_many_directories(lab, daemon):
    """The first directory that has no place in the drop-in is named, and nothing is printed without it."""
    file = lab.directory / "directories.yaml"
    logs = "".join(f"      - /srv/log{i}\n" for i in range(17))
    file.write_text(daemon.node.read_text().replace("  sources", f"  accessLog:\n    directories:\n{logs}  sources", 1))
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if text.endswith("/srv/log15"))
    for kind, code in (("--unit", 2), ("--udev", 0)):
        done = subprocess.run([unit_files.MELTEMID, "--rights", kind, "-c", file], capture_output=True, text=True, timeout=60, check=False)
        equal((done.returncode, bool(done.stdout)), (code, code == 0), f"--rights {kind} with 17 directories")
        if code:
            check(f'directories.yaml:{line}: spec.accessLog.directories: "/srv/log15" is one of more than 16' in done.stderr, done.stderr)


def body():
    with Lab(servers=1) as lab:
        daemon = lab.meltemi()
        daemon.write("a.yaml", service("a.example", "240.240.3.1", 80, "tcp", [("10.88.0.11", 80, {})]))
        at_a_path(lab, daemon)
        at_an_abstract_name(daemon)
        nobody_listens(lab, daemon)
        port_removed(lab, daemon)
        unit(lab)
        owners()
        profiles(lab, daemon)
        reads_the_node_alone(daemon)
        too_many_directories(lab, daemon)


main(body)
