#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The kernel interface of a port is deleted and made again, or moved to another namespace and back with the same index: the node is not ready
until a restart, log, health, /ready and the shell name the port and the remedy, and the restarted node serves.
"""

from meltemi_lab import Lab, becomes, check, equal, main, netns, streams, within
from meltemi_lab.documents import service

VIP = "240.240.2.9"
GONE = "p1: its device was removed: bring it back, then run `systemctl restart meltemid`"


def serves(lab):
    try:
        with lab.connect("client", VIP, 7000, timeout=2) as sock:
            sock.settimeout(2)
            sock.sendall(b"hello")
            return sock.recv(5) == b"hello"
    except OSError:
        return False


def made_again(lab):
    mesh, net = lab.namespace("mesh"), lab.namespace("net")
    netns.run("ip", "-n", mesh, "link", "del", "dev", "p1")
    netns.veth(mesh, "p1", net, "b-mesh")
    netns.run("ip", "-n", net, "link", "set", "b-mesh", "master", "br0")
    netns.bare_end(mesh, "p1")


def index(lab):
    return netns.run("ip", "netns", "exec", lab.namespace("mesh"), "cat", "/sys/class/net/p1/ifindex")


def moved(lab):
    """Faster than the daemon looks."""
    mesh, away, before = lab.namespace("mesh"), lab.namespace("server1"), index(lab)
    netns.run("sh", "-c", f"ip -n {mesh} link set p1 netns {away} && ip -n {away} link set p1 netns {mesh} && ip -n {mesh} link set p1 up")
    equal(index(lab), before, "index of the interface that is back")
    netns.bare_end(mesh, "p1")


def comes_back(lab, daemon, away):
    daemon.start()
    within(10, daemon.ready, "the node is ready", step=0.1)
    within(10, lambda: serves(lab), "it serves", step=0.1)
    away(lab)
    daemon.wait_log(GONE)
    equal(daemon.http("/ready"), (503, "not ready: waits for 1\nport p1: its device was removed\n"), "/ready")
    check("port" in daemon.shell("show", "ready") and "its device was removed" in daemon.shell("show", "ready"), daemon.shell("show", "ready"))
    equal(daemon.show("version")["ready"], False, "show version")
    rows = [row for row in daemon.show("health")["health"] if row["about"] == "p1"]
    equal(sorted((row["state"], row["words"]) for row in rows), [("fault", "not ready: waits for this port: its device was removed"),
                                                                 ("fault", "the device was removed")], "health")
    check(all("systemctl restart meltemid" in row["remedy"] for row in rows), f"remedies: {rows}")
    equal([port["link"] for port in daemon.show("ports")["ports"]], ["up", "down"], "links")
    check(not serves(lab), "it serves by an interface that was removed")
    check("meltemi_ready 0" in daemon.http("/metrics")[1], "meltemi_ready is not 0")
    # `accept` is about services.
    daemon.shell("accept", fail=False)
    equal(daemon.http("/ready")[0], 503, "/ready after accept")
    equal(daemon.stop(), 0, "exit status")
    daemon.start()
    within(10, daemon.ready, "the restarted node is ready", step=0.1)
    becomes(lambda: serves(lab), True, "the restarted node serves")
    equal(daemon.stop(), 0, "exit status")


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, streams.echo):
        daemon = lab.meltemi()
        daemon.write("echo.yaml", service("echo.test", VIP, 7000, "tcp", [(lab.server(1), 7000, {})]))
        daemon.leaves("errors", "its device is removed", "its device was removed")
        comes_back(lab, daemon, made_again)
        comes_back(lab, daemon, moved)


main(body)
