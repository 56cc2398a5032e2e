#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
maxConnections of a DestinationRule is that of the node, whichever of its workers a client comes to. spec.connections: one client more than it says is refused by a reset and counted, `show capacity` says so before; another's place
may be taken when it has gone; a hundred thousand are a number like any other; what the machine's memory, or that of the daemon's cgroup, cannot hold
is refused at start in words, which --check has as a warning.
"""

import re
import subprocess

from meltemi_lab import Lab, becomes, check, equal, main, streams, within
from meltemi_lab.documents import service
from meltemi_lab.process import Process
from meltemi_lab.daemon import MELTEMID

VIP = "240.240.2.9"
LIMIT = 4
ROUNDS = 15
POOL = """apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pool}
spec: {host: echo.test, trafficPolicy: {connectionPool: {tcp: {maxConnections: %d}}}}
"""


def says_hello(sock):
    sock.sendall(b"hello")
    return sock.recv(5) == b"hello"


def refused(lab):
    try:
        sock = lab.connect("client", VIP, 7000)
        sock.sendall(b"hello")
        return not sock.recv(5)
    except (ConnectionResetError, BrokenPipeError):
        return True


def pairs(daemon):
    return sum(n for name, n in daemon.in_use().items() if name.startswith("opaque connections-w"))


def pool_is_of_the_node(lab, daemon, good):
    """Clients come to either worker at random: as many as the limit are served in each round, and never one more."""
    daemon.node.write_text(good.replace("  workers: 1", "  workers: 2"))
    daemon.write("pool.yaml", POOL % 1)
    daemon.start()
    for most in (1, 2, 3):
        daemon.write("pool.yaml", POOL % most)
        daemon.shell("reload")
        for number in range(ROUNDS):
            socks = [lab.connect("client", VIP, 7000) for _ in range(most)]
            check(all(says_hello(sock) for sock in socks), f"round {number}: fewer than {most} connections are served")
            check(refused(lab), f"round {number}: {most + 1} connections are served")
            for sock in socks:
                sock.close()
            within(5, lambda: not pairs(daemon), "the closed connections leave their places", step=0.02)
    (daemon.services / "pool.yaml").unlink()
    daemon.stop()


def limited(lab, daemon, good):
    daemon.node.write_text(good.replace("  workers: 1", f"  workers: 1\n  connections: {LIMIT}"))
    daemon.start()
    check(daemon.show("capacity")["capacity"][0]["fullest_percent"] < 100, "an idle node has no room")
    socks = [lab.connect("client", VIP, 7000) for _ in range(LIMIT)]
    check(all(says_hello(sock) for sock in socks), "a connection within the limit does not work")
    becomes(lambda: [daemon.show("capacity")["capacity"][0][name] for name in ("remedy", "fullest_percent")], ["spec.connections", 100],
            "the limit that comes first")
    capacity = daemon.show("capacity")["capacity"][0]
    check(capacity["first_limit"] == capacity["fullest_table"] and capacity["cpu_left_percent"] > 50, f"{capacity}")
    before = daemon.counters()["proxy_down_full"]
    for number in range(3):
        check(refused(lab), f"connection {LIMIT + number + 1} was not refused")
    equal(daemon.counters()["proxy_down_full"] - before, 3, "refusals that were counted")
    check("spec.connections" in daemon.shell("show", "errors"), "the refusal's line does not name the setting")
    daemon.wait_log("new clients are refused: as many as spec.connections allows are connected")
    check(all(says_hello(sock) for sock in socks), "a refusal disturbed those that are connected")
    socks.pop().close()
    within(5, lambda: daemon.in_use()["opaque connections-w0"] == LIMIT - 1, "the closed connection leaves its place", step=0.05)
    sock = lab.connect("client", VIP, 7000)
    check(says_hello(sock), "a place that became free is not given")
    for sock in [sock, *socks]:
        sock.close()
    daemon.stop()


def large(daemon, good):
    daemon.node.write_text(good.replace("  workers: 1", "  workers: 1\n  connections: 100000"))
    daemon.start()
    sizes = {pool["name"]: pool["size"] for pool in daemon.show("memory")["pools"]}
    check(100000 <= sizes["downstream-w0"] < 104000, f"places for clients, and for copies of calls to mirrors: {sizes['downstream-w0']}")
    check(sizes["upstream-w0"] >= 100000, f"{sizes['upstream-w0']} places for servers' connections")
    check(sizes["tcp connections-w0"] >= 200000, f"{sizes['tcp connections-w0']} places for connections in all")
    daemon.stop()


def too_large(lab, daemon, good):
    """On a machine that has 2,000 MB left, whatever this one has."""
    meminfo = daemon.directory / "meminfo"
    meminfo.write_text("MemTotal: 4096000 kB\nMemFree: 100000 kB\nMemAvailable: 2048000 kB\nHugepagesize: 2048 kB\n")
    daemon.node.write_text(good.replace("  workers: 1", "  workers: 1\n  connections: 1500000"))
    argv = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /proc/meminfo && exec "$@"', meminfo, MELTEMID, "-c", daemon.node]
    process = Process(daemon.directory, "too-large", argv, lab.namespace("mesh"))
    lab.processes.append(process)
    within(20, lambda: not process.running(), "meltemid ends by itself", step=0.1)
    equal(process.popen.returncode, 1, f"exit status when connections do not fit ({process.tail()})")
    found = re.search(r"spec.connections: 1500000 connections .* 2000 MB left: lower it to (\d+)", process.errors())
    check(found, f"no remedy: {process.tail()}")
    check(400_000 < int(found.group(1)) < 800_000, f"advice of {found.group(1)} connections in 2,000 MB")
    done = subprocess.run([str(word) for word in argv] + ["--check"], capture_output=True, text=True, timeout=30, check=False)
    equal(done.returncode, 0, f"exit status of --check, which warns only ({done.stderr})")
    check(f"2000 MB left: lower it to {found.group(1)}" in done.stdout + done.stderr, f"--check does not warn: {done.stdout + done.stderr}")


def too_large_for_a_cgroup(lab, daemon, good):
    """In a cgroup (version 2) of 1,000 MB, of which 200 are used, on a machine that has more."""
    group = daemon.directory / "sys" / "system.slice" / "meltemid.service"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{1000 << 20}\n")
    (group / "memory.current").write_text(f"{200 << 20}\n")
    own = daemon.directory / "cgroup"
    own.write_text("0::/system.slice/meltemid.service\n")
    argv = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /proc/$$/cgroup && mount --bind "$1" /sys/fs/cgroup && shift && exec "$@"',
            own, daemon.directory / "sys", MELTEMID, "-c", daemon.node]

    def refused_at_start(name, settings, words):
        daemon.node.write_text(re.sub(r"  memory: .*", f"  memory: {{hugepages: off, mb: {settings['mb']}}}", good)
                               .replace("  workers: 1", f"  workers: 1\n  connections: {settings['connections']}"))
        process = Process(daemon.directory, name, argv, lab.namespace("mesh"))
        lab.processes.append(process)
        within(20, lambda: not process.running(), "meltemid ends by itself", step=0.1)
        equal(process.popen.returncode, 1, f"exit status of {name} ({process.tail()})")
        check(re.search(words, process.errors()), f"{name} does not name the cgroup: {process.tail()}")
        done = subprocess.run([str(word) for word in argv] + ["--check"], capture_output=True, text=True, timeout=30, check=False)
        equal(done.returncode, 0, f"exit status of --check, which warns only ({done.stderr})")
        return done.stdout + done.stderr

    name = "cgroup /system.slice/meltemid.service \\(memory.max"
    found = refused_at_start("more-buffers", {"mb": 1100, "connections": 100}, f"1100 MB wanted, and {name}.* has 800 MB free")
    check(re.search(f"spec.memory.mb: {name}.* has 1000 MiB", found), f"--check does not warn: {found}")
    found = refused_at_start("more-connections", {"mb": 128, "connections": 800000}, f"spec.connections: 800000 .* {name}.* has 800 MB left")
    check("1000 MiB" not in found and re.search(f"{name}.* has 800 MB left: lower it to", found), f"--check does not warn: {found}")


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, streams.echo):
        daemon = lab.meltemi()
        good = daemon.node.read_text()
        daemon.write("echo.yaml", service("echo.test", VIP, 7000, "tcp", [(lab.server(1), 7000, {})]))
        pool_is_of_the_node(lab, daemon, good)
        limited(lab, daemon, good)
        large(daemon, good)
        too_large(lab, daemon, good)
        too_large_for_a_cgroup(lab, daemon, good)


main(body)
