# SPDX-License-Identifier: Apache-2.0
"""
The bare Debian as a virtual machine without KVM: Debian's kernel, its systemd, and the packages. Interfaces eth1 and c0 are on one wire.
Commands go through a serial line to agent.sh, which is a service of the guest.
"""

import base64
import pathlib
import shlex
import shutil
import socket
import subprocess
import time

from meltemi_lab import Failure, Skip, check, within
from meltemi_lab.process import Process

HERE = pathlib.Path(__file__).parent
MB = 1536
UP = 600  # seconds: emulation on a machine with other work
AGENT = """[Unit]
Description=commands of the lab
After=network.target
[Service]
ExecStart=/bin/bash /standin/agent.sh
[Install]
WantedBy=multi-user.target
"""
# The kernel names the interfaces eth0 and eth1.
LINKS = 'SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="52:54:00:00:00:01", NAME="c0"\n'
# Not needed, and slow on an emulated machine.
MASKED = " ".join(f"systemd.mask={name}" for name in ("redis-server.service", "serial-getty@ttyS0.service", "getty@tty1.service", "apt-daily.timer",
                                                      "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
                                                      "fstrim.timer", "systemd-timesyncd.service"))
OPTIONS = ["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(MB), "-nodefaults", "-display", "none", "-no-reboot"]


def _nic(number):
    return ["-netdev", f"hubport,id=n{number},hubid=1", "-device", f"virtio-net-pci,netdev=n{number},mac=52:54:00:00:00:0{number},romfile="]


class Guest:
    """`debian` is a bare Debian that was made, and not booted; files go into its /standin."""

    def __init__(self, debian, files):
        self.debian, self.directory = debian, debian.directory
        self.image, self.line, self.machine, self.reader = self.directory / "guest.img", self.directory / "guest.sock", None, None
        standin = debian.root / "standin"
        (standin / "tree").mkdir(parents=True, exist_ok=True)
        for path in (HERE / "agent.sh", *files):
            shutil.copyfile(path, standin / path.name)
        (debian.root / "etc/systemd/system/lab.service").write_text(AGENT)
        (debian.root / "etc/systemd/system/multi-user.target.wants/lab.service").symlink_to("../lab.service")
        (debian.root / "etc/udev/rules.d/70-lab.rules").write_text(LINKS)
        (debian.root / "etc/fstab").write_text("/dev/vda / ext4 rw 0 0\n")

    def _of_kernel(self, name):
        found = sorted((self.debian.root / "boot").glob(f"{name}-*-cloud-amd64"))
        check(found, f"no {name} in /boot")
        return found[-1]

    def boot(self):
        """Makes the disk, starts the machine and waits for its agent."""
        self.image.unlink(missing_ok=True)
        made = subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", self.debian.root, self.image, "3G"], capture_output=True,
                              text=True, timeout=600, check=False)
        check(made.returncode == 0, f"mke2fs: {made.stderr}")
        self.line.unlink(missing_ok=True)
        self.machine = Process(self.directory, "guest", [
            "qemu-system-x86_64", *OPTIONS, "-kernel", self._of_kernel("vmlinuz"), "-initrd", self._of_kernel("initrd.img"), "-append",
            f"root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=-1 quiet {MASKED}", "-drive", f"file={self.image},format=raw,if=virtio,cache=unsafe",
            *_nic(1), *_nic(2), "-serial", f"file:{self.directory / 'console.log'}", "-serial", f"unix:{self.line},server=on,wait=off"])
        within(60, self.line.exists, "the serial line of qemu")
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(UP)
        sock.connect(str(self.line))
        self.line_of, self.reader = sock, sock.makefile("rb")
        self._answer(b"ready\n", UP)

    def console(self):
        path = self.directory / "console.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def _answer(self, wanted=None, seconds=60):
        """The next line of the agent, or the first that is wanted."""
        end = time.monotonic() + seconds
        while True:
            self.line_of.settimeout(max(end - time.monotonic(), 0.1))
            try:
                line = self.reader.readline()
            except TimeoutError:
                raise Failure(f"the guest does not answer within {seconds} s: {self.console()}") from None
            if not line:
                raise Failure(f"the guest has ended: {self.machine.tail()}{self.console()}")
            if wanted is None or line.replace(b"\r", b"") == wanted:
                return line

    def run(self, *words, fail=True, limit=300):
        """Runs a program there. Returns its exit status and output."""
        self.line_of.sendall(base64.b64encode(shlex.join(str(word) for word in words).encode()) + b"\n")
        status, _, text = self._answer(seconds=limit).strip().partition(b" ")
        status, output = int(status), base64.b64decode(text).decode(errors="replace")
        check(not fail or status == 0, f"{' '.join(map(str, words))}: exit status {status}: {output[-2000:]}")
        return status, output

    def write(self, path, text):
        self.run("python3", "-c", "import sys; open(sys.argv[1], 'w').write(sys.argv[2])", path, text)

    def files(self):
        """Every path with its kind, mode and owner."""
        return set(self.run("sh", "-c", "cd / && " + self.debian.listing())[1].splitlines())

    def close(self):
        if self.machine:
            self.machine.kill()
            self.machine.popen.wait(30)
        self.image.unlink(missing_ok=True)


def is_missing():
    """Raises Skip if the machine cannot be emulated here."""
    for tool in ("qemu-system-x86_64", "mke2fs"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is missing (tests/packages install package)")
