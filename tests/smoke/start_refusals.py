#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What cannot work is refused at start in one clear line with the remedy: no device, no privilege, bad documents, an address, a socket or a TAP
of another process, hugepages that are missing.
"""

import contextlib
import fcntl
import json
import os
import re
import socket
import struct
import subprocess

from meltemi_lab import Lab, check, equal, main, netns
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.paths import SANITIZED

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 2, 0x1000  # if_tun.h
NO_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


def start(lab, node, *prefix, options=()):
    """Runs meltemid to its end: (exit status, what it printed)."""
    argv = ["ip", "netns", "exec", lab.namespace("mesh"), *prefix, str(MELTEMID), "-c", str(node), *options]
    done = subprocess.run(argv, text=True, capture_output=True, timeout=30, check=False,
                          env={**os.environ, **SANITIZED})
    return done.returncode, done.stdout + done.stderr


def told_to_machines(lab, node):
    """As JSON, and with the journal's priorities when standard error is the journal's."""
    file = lab.directory / "journal"
    for stream, prefix in (("{0.st_dev}:{0.st_ino}", "<3>"), ("1:1", "")):
        with open(file, "wb") as err:
            env = {**os.environ, **SANITIZED, "JOURNAL_STREAM": stream.format(os.fstat(err.fileno()))}
            argv = ["ip", "netns", "exec", lab.namespace("mesh"), str(MELTEMID), "-c", str(node), "--log-format", "json"]
            equal(subprocess.run(argv, stderr=err, timeout=30, check=False, env=env).returncode, 2, "exit status")
        for line in file.read_text().splitlines():
            check(line.startswith(prefix + "{"), f"{prefix!r} does not begin {line}")
            row = json.loads(line[len(prefix):])
            equal((row["level"], row["module"]), ("error", "config"), "whose line it is")
            check('"many"' in row["msg"], f"what is wrong: {row}")


@contextlib.contextmanager
def listening(lab, address, kind=socket.SOCK_STREAM):
    """Another process's socket in the daemon's namespace: (host, port), a path, or an abstract name."""
    with netns.inside(lab.namespace("mesh")), socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX, kind) as sock:
        sock.bind(address)
        if kind != socket.SOCK_DGRAM:
            sock.listen()
        yield


@contextlib.contextmanager
def foreign_tap(lab, name):
    with netns.inside(lab.namespace("mesh")), open("/dev/net/tun", "r+b", buffering=0) as tap:
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
        yield


def refused(lab, node, text, words, *prefix):
    """One line of errors, with the cause and the remedy, exit status 1, and nothing is left."""
    node.write_text(text)
    before = sorted(path.name for path in lab.directory.iterdir())
    status, output = start(lab, node, *prefix)
    equal(status, 1, f"exit status for {words}: {output}")
    errors = [line for line in output.splitlines() if "level=error" in line]
    check(len(errors) == 1 and all(word in errors[0] for word in words), f"no line with {words}: {output}")
    equal(sorted(path.name for path in lab.directory.iterdir()), before, f"files after {words}")


def taken(lab, node, good):
    """Addresses, sockets and a TAP that other processes have; the driver's own words would not help."""
    ports = good[good.index("  ports:"):good.index("  sources:")]

    def of(device):
        return good.replace(ports, f'  ports:\n  - {{name: x, device: "{device}", addresses: [203.0.113.1/24]}}\n')

    path = str(lab.directory / "peer.sock")
    with listening(lab, ("127.0.0.1", 15000)):
        refused(lab, node, good, ("admin.http 127.0.0.1:15000", "Address already in use", "`ss -lntup`"))
    refused(lab, node, good.replace("127.0.0.1:15000", "203.0.113.77:15000"), ("admin.http 203.0.113.77:15000", "`ip addr`"))
    with listening(lab, ("127.0.0.1", 15053), socket.SOCK_DGRAM):
        refused(lab, node, good + "  dns: {listen: 127.0.0.1:15053}\n", ("spec.dns.listen 127.0.0.1:15053", "`ss -lntup`"))
    with listening(lab, "\0" + path, socket.SOCK_SEQPACKET):
        refused(lab, node, of(f"net_memif0,role=server,socket={path}"), ("another process listens on socket", path))
    refused(lab, node, of("net_memif0,role=server,socket=/nowhere/m.sock,socket-abstract=no"), ("/nowhere/m.sock cannot be made", "/run/meltemi"))
    refused(lab, node, of("net_vhost0,iface=/nowhere/v.sock"), ("/nowhere/v.sock cannot be made", "/run/meltemi"))
    refused(lab, node, of(f"net_virtio_user0,path={path}"), (path, "start its server first"))
    with listening(lab, path):
        refused(lab, node, of(f"net_vhost0,iface={path}"), ("another process listens on socket", path))
    with foreign_tap(lab, "t8"):
        refused(lab, node, of("net_tap0,iface=t8"), ("TAP t8 belongs to another program", "another iface="))
    refused(lab, node, of("net_tap0,iface=t7"), ("not permitted to make interface t7", "meltemid --rights"), *NO_RIGHTS)


def socket_of_a_dead_process(lab, daemon):
    """The file of a socket stays when its process is killed. It does not keep the next one from starting."""
    text, path = daemon.node.read_text(), lab.directory / "peer.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        path.unlink(missing_ok=True)
        sock.bind(str(path))
    daemon.node.write_text(re.sub("  ports:\n.*?(?=  sources)", f'  ports: [{{name: x, device: "net_vhost0,iface={path}", addresses: [203.0.113.1/24]}}]\n', text,
                                  flags=re.S))
    daemon.start()
    equal(daemon.stop(), 0, "exit status")
    daemon.node.write_text(text)


def interface_is_prepared(lab, daemon):
    """A kernel interface that is down is set up and joins no segments any more; without the right to do that it is refused."""
    namespace, text = lab.namespace("mesh"), daemon.node.read_text()
    subprocess.run(["ip", "-n", namespace, "tuntap", "add", "dev", "t9", "mode", "tap"], check=True)
    daemon.node.write_text(text.replace("iface=p1", "iface=t9"))
    status, output = start(lab, daemon.node, "setpriv", "--bounding-set=-net_admin", "--inh-caps=-all")
    equal(status, 1, f"exit status without CAP_NET_ADMIN ({output})")
    check("interface t9 is down: `ip link set dev t9 up`" in output, f"no remedy for an interface that is down: {output}")
    daemon.start()
    daemon.wait_log("p1: interface t9 was down and is set up")
    daemon.wait_log("p1: gro and lro of interface t9 are switched off")
    shown = netns.run("ip", "netns", "exec", namespace, "ethtool", "-k", "t9")
    check("generic-receive-offload: off" in str(shown), f"ethtool: {shown}")
    equal(daemon.stop(), 0, "exit status")
    daemon.node.write_text(text)


def card_vanishes(lab, daemon):
    """The log and health name a device that was removed; the daemon runs on, ends as always, and does not start without it."""
    daemon.leaves("errors", "its device is removed", "its device was removed")
    daemon.start()
    netns.run("ip", "-n", lab.namespace("mesh"), "link", "del", "dev", "p1")
    daemon.wait_log("p1: its device was removed: bring it back, then run `systemctl restart meltemid`")
    rows = [row["words"] for row in daemon.show("health")["health"] if row["about"] == "p1" and row["state"] == "fault"]
    check("the device was removed" in rows, f"health: {rows}")
    status, text = daemon.http("/ready")
    check(status == 503 and "port p1: its device was removed" in text, f"/ready: {status} {text}")
    # Another interface with its name is another one.
    netns.run("ip", "-n", lab.namespace("mesh"), "tuntap", "add", "dev", "p1", "mode", "tap")
    equal(daemon.show("ports")["ports"][1]["link"], "down", "link of a port whose device was removed")
    netns.run("ip", "-n", lab.namespace("mesh"), "link", "del", "dev", "p1")
    equal(daemon.stop(), 0, "exit status")
    refused(lab, daemon.node, daemon.node.read_text(), ("there is no interface p1", "`ip link`"))


def made_by_the_daemon(lab, daemon):
    """A TAP or socket that is removed under the node: a restart makes it again."""
    good, path, namespace = daemon.node.read_text(), lab.directory / "made.sock", lab.namespace("mesh")
    for device, remove, what in (("net_tap0,iface=t6", lambda: netns.run("ip", "-n", namespace, "link", "del", "dev", "t6"), "TAP"),
                                 (f"net_vhost0,iface={path}", path.unlink, "socket")):
        daemon.leaves("errors", f"its {what} is removed", f"its {what} was removed")
        daemon.node.write_text(re.sub("  ports:\n.*?(?=  sources)", f'  ports: [{{name: x, device: "{device}", addresses: [203.0.113.1/24]}}]\n', good,
                                      flags=re.S))
        daemon.start()
        if what == "TAP":
            # It works by another name, too.
            for name in (("t6", "t5"), ("t5", "t6")):
                for words in (("set", name[0], "down"), ("set", name[0], "name", name[1]), ("set", name[1], "up")):
                    netns.run("ip", "-n", namespace, "link", *words)
        check(not [row for row in daemon.show("health")["health"] if "was removed" in row["words"]], "nothing was removed yet")
        remove()
        daemon.wait_log(f"x: its {what} was removed: run `systemctl restart meltemid`, which makes it again")
        rows = [row["words"] for row in daemon.show("health")["health"] if row["about"] == "x" and row["state"] == "fault"]
        check(f"the {what} was removed" in rows, f"health: {rows}")
        equal(daemon.http("/ready")[0], 503, "/ready")
        equal(daemon.stop(), 0, "exit status")
        daemon.start()
        check(not [row for row in daemon.show("health")["health"] if "was removed" in row["words"]], "a restart makes it again")
        equal(daemon.stop(), 0, "exit status")
    daemon.node.write_text(good)


def node_in_a_directory(lab, daemon, good):
    """Authors of a directory do not write the Node when the file of -c has none: not at a start, and not at a reload. A copy does no harm."""
    node, directory = daemon.node, lab.directory / "directory"
    words = "a Node document in a directory is not used"
    directory.mkdir()
    node.write_text(good)
    daemon.options = ["-d", directory]
    daemon.start()
    daemon.leaves("errors", "the file of -c has no Node", "module=config")
    (directory / "node.yaml").write_text(good)
    daemon.shell("reload")
    node.write_text("# nothing\n")
    daemon.shell("reload", fail=False)
    check(words in daemon.shell("show", "config"), "a reload uses the Node of a directory")
    equal(daemon.stop(), 0, "exit status")
    daemon.options = []
    for option in ((), ("--check",)):
        status, text = start(lab, node, options=("-d", directory, *option))
        equal(status, 2, f"exit status without a Node in the file of -c ({text})")
        check(words in text and f"{directory}/node.yaml:" in text and "name its file with -c" in text, f"no remedy: {text}")
    node.write_text(good)


def body():
    with Lab(servers=1) as lab:
        daemon = lab.meltemi()
        node = daemon.node
        good = node.read_text()

        node.write_text(good.replace("iface=p0", "iface=nosuch0"))
        status, text = start(lab, node)
        equal(status, 1, f"exit status without the device ({text})")
        check("nosuch0" in text, f"the device is not named: {text}")

        node.write_text(good.replace("workers: 1", "workers: many"))
        status, text = start(lab, node)
        equal(status, 2, f"exit status of a bad Node document ({text})")
        check("node.yaml:" in text and "workers" in text, f"file, line and field are not named: {text}")

        told_to_machines(lab, node)

        node_in_a_directory(lab, daemon, good)

        node.write_text(good.replace("mb: 512", "mb: 1048576"))
        status, text = start(lab, node)
        equal(status, 1, f"exit status when the memory is not there ({text[-300:]})")
        check("lower spec.memory.mb" in text, f"no remedy for the memory: {text}")

        refused(lab, node, re.sub("hugepages: [a-z]+, mb: 512", "hugepages: on, mb: 1048576", good), ("hugepages wanted", "`sysctl -w vm.nr_hugepages="))

        node.write_text(good)
        status, text = start(lab, node, *NO_RIGHTS)
        check(status not in (0, 2), f"exit status without privilege: {status} ({text})")
        check("root" in text or "CAP_NET" in text or "permission" in text.lower(), f"no remedy for the privilege: {text}")
        check("setcap" not in text, f"the remedy gives the privilege to each user who can run the program: {text}")

        taken(lab, node, good)
        node.write_text(good)
        socket_of_a_dead_process(lab, daemon)
        interface_is_prepared(lab, daemon)
        made_by_the_daemon(lab, daemon)

        subprocess.run(["ip", "-n", lab.namespace("mesh"), "addr", "add", "192.0.2.1/24", "dev", "p0"], check=True)
        status, text = start(lab, node)
        equal(status, 1, f"exit status when the kernel owns a served address ({text})")
        check("192.0.2.1" in text and "addr del" in text, f"no remedy for the kernel's address: {text}")
        subprocess.run(["ip", "-n", lab.namespace("mesh"), "addr", "del", "192.0.2.1/24", "dev", "p0"], check=True)
        card_vanishes(lab, daemon)


main(body)
