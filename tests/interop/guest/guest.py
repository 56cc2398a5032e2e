# SPDX-License-Identifier: Apache-2.0
"""
A virtual machine whose network is a vhost-user socket that the emulator makes, in the directory that the package makes for such sockets. The
emulator runs as a user of its own, as with libvirt. Inside are an unchanged client of the Apache Thrift library, and inside.py.
"""

import grp
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

from meltemi_lab import ROOT, TESTS, Failure, check, emulator, netns
from meltemi_lab.paths import PYTHON
from meltemi_lab.unit_rights import USER

HERE = pathlib.Path(__file__).parent
THRIFT = TESTS / "interop/thrift"
TMPFILES = ROOT / "app/meltemid/meltemi.tmpfiles"
PACKAGES = "/usr/lib/python3/dist-packages"
OWNER = 64055  # the user libvirt-qemu of Debian
UP = 300  # seconds: emulation on a machine with other work
MAC = "52:54:00:09:00:0b"
GATEWAY, BUYER, OTHER = "10.9.0.1", "10.9.0.11", "10.9.0.12"
INIT = f"""#!/usr/bin/sh
export PATH=/usr/bin LC_ALL=C.UTF-8 PYTHONPATH={PACKAGES}
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t devtmpfs dev /dev
modprobe -a virtio_pci virtio_net
ip link set lo up; ip link set eth0 up
ip address add {BUYER}/24 dev eth0; ip address add {OTHER}/24 dev eth0
ip route add default via {GATEWAY} src {BUYER}
exec python3 -S /lab/inside.py
"""
RESOLVER = f"nameserver {GATEWAY}\nsearch shop.svc.cluster.local\n"


def directory(path, conf):
    """Makes the directory of the sockets as the package does, at another place; conf: a file for systemd-tmpfiles."""
    text = TMPFILES.read_text().replace("/run/meltemi-guests", str(path)).replace("user:meltemi:", f"user:{USER}:")
    check(text.count(str(path)) == 2 and text.count(f"user:{USER}:") == 2, f"{TMPFILES}: {text}")
    conf.write_text(text)
    netns.run("systemd-tmpfiles", "--create", str(conf))


def _as_owner(umask):
    """The words that start a command as the emulator's user. libvirt's umask is 002."""
    return ["sh", "-c", f'umask {umask} && exec "$@"', "sh",
            "setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", f"--groups={grp.getgrnam('kvm').gr_gid}", "--"]


class Guest:
    def __init__(self, lab, socket):
        self.lab, self.socket, self.machine = lab, socket, None
        self.kernel, self.archive, self.console = (lab.directory / name for name in ("vmlinuz", "guest.cpio", "console.log"))
        netns.run(str(THRIFT / "build.sh"))
        tree = emulator.made()
        shutil.copyfile(emulator.image(tree), self.kernel)  # the emulator's user may not read it elsewhere
        imports = f"sys.path[:0] = ['{PACKAGES}', '{THRIFT}']; import client"
        emulator.file_system(tree, self.archive, {"init": INIT.encode(), "etc/resolv.conf": RESOLVER.encode(),
                                                  "lab/inside.py": (HERE / "inside.py").read_bytes()}, ("virtio_pci", "virtio_net"), imports)

    def closed(self):
        """Makes a socket without a right for its group, which limits the access control list, too."""
        netns.run(*_as_owner("022"), PYTHON, "-c", f"import socket; socket.socket(socket.AF_UNIX).bind('{self.socket}')")

    def start(self):
        """Starts the emulator, which waits for Meltemi."""
        self.console.touch()
        os.chown(self.console, OWNER, OWNER)
        self.machine = self.lab.run("client", "qemu", [
            *_as_owner("002"), *emulator.command(self.kernel, self.archive, 256, self.console), "-object", "memory-backend-memfd,id=memory,size=256M,share=on",
            "-machine", "memory-backend=memory", "-chardev", f"socket,id=meltemi,path={self.socket},server=on,wait=off",
            "-netdev", "vhost-user,id=net,chardev=meltemi",
            # With interrupts by messages QEMU 7.2 crashes when it emulates the processor.
            "-device", f"virtio-net-pci,netdev=net,mac={MAC},vectors=0,romfile=", "-serial", "stdio"], stdin=subprocess.PIPE)

    def wait(self):
        """Waits for the guest's program."""
        try:
            self.machine.wait_line("ready", UP)
        except Failure as failure:
            raise Failure(f"{failure}: {self.console.read_text(errors='replace')[-1000:]}") from None

    def kill(self):
        self.machine.kill()
        self.machine.popen.wait(30)

    def run(self, commands, fail=True):
        """Output of commands of the shell."""
        self.machine.ask(json.dumps({"run": commands}))
        answer = self.machine.answer(120, '"status"')
        check(not fail or answer["status"] == 0, f"guest: {commands}: exit status {answer['status']}: {answer['output'][-1000:]}")
        return answer["output"]

    def comes_from(self, address):
        """The address that the guest's connections have from now on."""
        self.run(f"ip route replace default via {GATEWAY} src {address}")

    def calls(self, target, method="sayHello", count=4):
        """The report of the Thrift client, with its count of answers and failures."""
        words = ["python3", "-S", THRIFT / "client.py", "--target", target, "--method", method, "--count", count]
        output = self.run(shlex.join(map(str, words)))
        report = re.search(r'^\{"answered".*$', output, re.M)
        check(report, f"the client's report: {output[-1000:]}")
        return json.loads(report[0])
