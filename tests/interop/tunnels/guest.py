# SPDX-License-Identifier: Apache-2.0
"""
A virtual machine without KVM, with Debian's kernel: two servers, each with an interface on the lab's network of servers and a link to its
client. It starts from a file system in memory, in seconds (meltemi_lab.emulator, inside.py).
"""

import fcntl
import json
import os
import pathlib
import struct
import subprocess

from meltemi_lab import TESTS, Failure, check, emulator, netns
from meltemi_lab.direct import CLIENT, VIP4, VIP6

HERE = pathlib.Path(__file__).parent
UP = 300  # seconds: emulation on a machine with other work
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
INIT = """#!/usr/bin/sh
export PATH=/usr/bin LC_ALL=C.UTF-8
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t tmpfs run /run && mount -t devtmpfs dev /dev
modprobe -a virtio_pci virtio_net
exec python3 -I -S /lab/inside.py
"""
MODULES = ("virtio_pci", "virtio_net", "ipip", "ip6_tunnel", "fou")
IMPORTS = "import ctypes, hashlib, shlex, struct, threading"


def _tap(namespace, name):
    """A TAP device there, up; its file descriptor."""
    with netns.inside(namespace):
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    netns.run("ip", "-n", namespace, "link", "set", name, "up")
    return fd


class Guest:
    def __init__(self, lab):
        """Makes the devices of the lab that lead to the guest. `lab` has no servers."""
        self.lab, self.machine, self.release = lab, None, None
        self.taps = [fd for number in (1, 2) for fd in self._wire(number)]

    def _wire(self, number):
        net, client = self.lab.namespace("net"), self.lab.namespace("client")
        s0, back = _tap(net, f"g{number}"), _tap(client, f"back{number}")
        netns.run("ip", "-n", net, "link", "set", f"g{number}", "master", "br0")
        netns.run("ip", "-n", client, "addr", "add", f"10.77.{number}.2/24", "dev", f"back{number}")
        netns.run("ip", "-n", client, "addr", "add", f"fd77:{number}::2/64", "dev", f"back{number}", "nodad")
        netns.sysctl(client, net__ipv4__conf__all__rp_filter=0, **{f"net__ipv4__conf__back{number}__rp_filter": 0})
        return s0, back

    def boot(self):
        """Starts the machine, waits for its program, and gives its servers their addresses and routes."""
        tree, archive = emulator.made(), self.lab.directory / "guest.cpio"
        own = {f"lab/meltemi_lab/{name}": (TESTS / "smoke/meltemi_lab" / name).read_bytes() for name in ("check.py", "direct.py", "netns.py")}
        emulator.file_system(tree, archive, {"init": INIT.encode(), "lab/inside.py": (HERE / "inside.py").read_bytes(),
                                             "lab/meltemi_lab/__init__.py": b"", **own}, MODULES, IMPORTS)
        nics = [word for at, fd in enumerate(self.taps) for word in (
            "-netdev", f"tap,id=n{at},fd={fd}", "-device", f"virtio-net-pci,netdev=n{at},mac=52:54:00:00:0{at // 2 + 1}:0{at % 2 + 1},romfile=")]
        self.machine = self.lab.run("net", "guest", [
            *emulator.command(emulator.image(tree), archive, 512, self.lab.directory / "console.log"), *nics, "-serial", "stdio"],
            stdin=subprocess.PIPE, pass_fds=self.taps)
        try:
            self.release = self.machine.wait_line("ready", UP).split()[1]
        except Failure as failure:
            raise Failure(f"{failure}: {self.console()}") from None
        for number in (1, 2):
            self.run(number, f"""
                ip address add 198.51.100.{10 + number}/24 dev s0; ip address add 2001:db8:2::{10 + number}/64 dev s0 nodad
                ip address add 10.77.{number}.1/24 dev back; ip address add fd77:{number}::1/64 dev back nodad
                ip route add default via 10.77.{number}.2; ip -6 route add default via fd77:{number}::2""")

    def _ask(self, **order):
        self.machine.ask(json.dumps(order))
        return self.machine.answer(120, '"status"')

    def run(self, number, commands, fail=True):
        """Output of commands of the shell, in the namespace of a server."""
        answer = self._ask(server=number, run=commands)
        check(not fail or answer["status"] == 0, f"server {number}: {commands}: exit status {answer['status']}: {answer['output'][-1000:]}")
        return answer["output"]

    def serve(self, number):
        """The program of direct.Server, at both addresses of the service."""
        answer = self._ask(server=number, serve=[VIP4, VIP6])
        check(answer["status"] == 0, f"server {number}: {answer['output'][-1000:]}")

    def console(self):
        path = self.lab.directory / "console.log"
        return path.read_text(errors="replace")[-1000:] if path.exists() else ""
