# SPDX-License-Identifier: Apache-2.0
"""
A bare Debian 12 in a directory: made by debootstrap, kept as an archive next to it, and run in namespaces of its own. Its systemctl is a
stand-in (systemctl.sh), because systemd itself must be the first process of a machine (guest.py).
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import zlib

from meltemi_lab import TESTS, Skip, check, within
from meltemi_lab.process import Process

MIRROR, SUITE = "http://deb.debian.org/debian", "bookworm"
SOURCES = f"""deb {MIRROR} {SUITE} main
deb {MIRROR} {SUITE}-updates main
deb {MIRROR}-security {SUITE}-security main
"""
# A host has systemd, and directories of it stay when a service is purged. bash loads completion from a package. Python runs the stand-in;
# redis is the client that is served, and the kernel is the guest's.
OF_A_HOST = "systemd-sysv, udev, bash-completion, python3, iproute2, ethtool, redis-server, linux-image-cloud-amd64, initramfs-tools"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
               "DEBIAN_FRONTEND": "noninteractive", **{k: v for k, v in os.environ.items() if k.endswith("_proxy")}}
MOUNTS = "mount --bind {0} {0} && mount -t proc proc {0}/proc && mount -t sysfs sysfs {0}/sys && mount --rbind /dev {0}/dev && exec "
# Files of dpkg and apt, caches that programs rewrite, and /run, which is empty after a boot.
NOT_COMPARED = ("./proc", "./sys", "./dev", "./run", "./var/lib/dpkg", "./var/lib/apt", "./var/cache", "./var/log/dpkg.log", "./var/log/apt",
                "./var/log/alternatives.log", "./standin", "./etc/ld.so.cache")


def _run(*words, limit=900):
    done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise Skip(f"no bare Debian: {' '.join(map(str, words[:4]))}: {done.stdout[-1000:]}{done.stderr[-1000:]}")


class Debian:
    def __init__(self, directory, name="root"):
        self.root, self.archive = directory / name, directory / f"root-{zlib.crc32(OF_A_HOST.encode()):08x}.tar"
        self.directory, self.first, self.init = directory, None, None

    def make(self, packages):
        """Unpacks or bootstraps the system, and installs what `packages` (a Depends field) names. Uses the host's network."""
        shutil.rmtree(self.root, ignore_errors=True)
        if self.archive.exists():
            self.root.mkdir()
            _run("tar", "-xf", self.archive, "-C", self.root, "--numeric-owner")
        else:
            _run("debootstrap", "--variant=minbase", SUITE, self.root, MIRROR)
        (self.root / "etc/apt/sources.list").write_text(SOURCES)
        shutil.copyfile("/etc/resolv.conf", self.root / "etc/resolv.conf")
        for words in (("update",), ("satisfy", "-y", "--no-install-recommends", f"{OF_A_HOST}, {packages}"), ("clean",)):
            _run("env", "-i", *(f"{k}={v}" for k, v in ENVIRONMENT.items()), "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec",
                 MOUNTS.format(self.root) + 'chroot "$@"', "sh", self.root, "apt-get", "-q", *words)
        if not self.archive.exists():
            _run("tar", "-cf", self.archive.with_suffix(".new"), "-C", self.root, "--numeric-owner", ".")
            os.rename(self.archive.with_suffix(".new"), self.archive)

    def boot(self):
        """Starts the namespaces. They end with this process, and all that runs in them with them."""
        standin = self.root / "usr/local/bin/systemctl"
        shutil.copyfile(pathlib.Path(__file__).with_name("systemctl.sh"), standin)
        standin.chmod(0o755)
        for path in ("standin/tree", "run/systemd/system"):
            (self.root / path).mkdir(parents=True, exist_ok=True)
        # Maintainer scripts find the stand-in also if apt runs them.
        (self.root / "etc/apt/apt.conf.d/90path").write_text('DPkg::Path "";\n')
        for name in ("unit_rights.py", "check.py"):
            shutil.copyfile(TESTS / "smoke/meltemi_lab" / name, self.root / "standin" / name)
        self.first = Process(self.directory, "init", ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-ec",
                                                      "ip link set lo up; ip link add eth1 type veth peer name c0; " + MOUNTS.format(self.root) + 'chroot "$@"', "sh", self.root, "sh", "-c",
                                                      "echo up; while :; do sleep 1000; done"], env=ENVIRONMENT)
        self.first.wait_line("up")
        children = pathlib.Path(f"/proc/{self.first.pid}/task/{self.first.pid}/children")
        self.init = within(10, lambda: children.read_text().split(), "the first process of the system")[0]

    def run(self, *words, fail=True, limit=300):
        """Runs a program there. Returns its exit status and output."""
        done = subprocess.run(["nsenter", "--target", self.init, "--mount", "--net", "--pid", "--root", "--wd", *map(str, words)], env=ENVIRONMENT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit, check=False)
        check(not fail or done.returncode == 0, f"{' '.join(map(str, words))}: exit status {done.returncode}: {done.stdout[-2000:]}")
        return done.returncode, done.stdout

    def write(self, path, text):
        (self.root / path.lstrip("/")).write_text(text)

    @staticmethod
    def listing():
        """The command that lists every path with its kind, mode and owner."""
        prune = [word for path in NOT_COMPARED for word in ("-path", path, "-o")][:-1]
        return shlex.join(["find", ".", "(", *prune, ")", "-prune", "-o", "-printf", "%y %m %U:%G %p\n"])

    def files(self):
        return set(subprocess.run(["sh", "-c", self.listing()], cwd=self.root, capture_output=True, text=True, check=True).stdout.splitlines())

    def close(self):
        if self.first:
            self.first.popen.kill()
            self.first.popen.wait()
        shutil.rmtree(self.root, ignore_errors=True)
