# SPDX-License-Identifier: Apache-2.0
"""Network namespaces and veth pairs, by iproute2, and entering a namespace from one thread."""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def run(*argv, **options):
    """Runs a short command; its error text is part of what is raised."""
    done = subprocess.run(argv, text=True, capture_output=True, timeout=60, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(name):
    """The calling thread works in that namespace: a socket made there stays there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def add(name):
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")


def delete(name):
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=60, check=False)


def sysctl(name, **values):
    for key, value in values.items():
        run("ip", "netns", "exec", name, "sysctl", "-qw", f"{key.replace('__', '.')}={value}")


def veth(name, iface, peer_name, peer_iface):
    run("ip", "-n", name, "link", "add", iface, "type", "veth", "peer", "name", peer_iface, "netns", peer_name)
    for ns, dev in ((name, iface), (peer_name, peer_iface)):
        run("ip", "-n", ns, "link", "set", dev, "up")


def kernel_end(name, iface, *addresses):
    """A kernel stack's end: real frames with real checksums, as a wire would carry them."""
    run("ip", "netns", "exec", name, "ethtool", "-K", iface, "tx", "off", "gso", "off", "tso", "off")
    for address in addresses:
        nodad = ["nodad"] if ":" in address else []
        run("ip", "-n", name, "addr", "add", address, "dev", iface, *nodad)


def bare_end(name, iface):
    """An end that Meltemi takes: the kernel must own no address there, of its own making neither."""
    run("ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv6.conf.{iface}.disable_ipv6=1")
    run("ip", "netns", "exec", name, "ethtool", "-K", iface, "tx", "off", "gso", "off", "tso", "off")


def bridge(name, iface):
    run("ip", "-n", name, "link", "add", iface, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
    run("ip", "-n", name, "link", "set", iface, "up")
