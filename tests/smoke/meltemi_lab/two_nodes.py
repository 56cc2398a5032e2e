# SPDX-License-Identifier: Apache-2.0
"""Two nodes between the same router, which is the lab's client, and the same servers, as docs/how-to/two-nodes.md has them."""

import re

from . import netns
from .paths import ROOT

RANGE = "240.240.0.0/16"
HOPS = ("192.0.2.1", "203.0.113.1")
PAGE = ROOT / "docs/how-to/two-nodes.md"


def _management(lab, number, mesh):
    """The management network of a node, which ends at the client."""
    client = lab.namespace("client")
    netns.veth(client, f"m{number}", mesh, "m0")
    netns.kernel_end(client, f"m{number}", f"10.9.{number}.1/24")
    netns.kernel_end(mesh, "m0", f"10.9.{number}.2/24")


def _second_ports(lab):
    """The second node has a link of its own to the client."""
    client, mesh = lab.namespace("client"), lab._add("mesh2")
    netns.veth(client, "c2", mesh, "p0")
    netns.kernel_end(client, "c2", "203.0.113.2/24")
    netns.veth(mesh, "p1", lab.namespace("net"), "b-mesh2")
    netns.run("ip", "-n", lab.namespace("net"), "link", "set", "b-mesh2", "master", "br0")
    netns.bare_end(mesh, "p0")
    netns.bare_end(mesh, "p1")
    return ['name: p0, device: "net_af_packet0,iface=p0", profile: af_packet, addresses: [203.0.113.1/24]',
            'name: p1, device: "net_af_packet1,iface=p1", profile: af_packet, addresses: [198.51.100.202/24]']


def callers(lab):
    """The lab's client becomes the router of the page; callers are one hop behind it, in the role `caller`."""
    inner, outer = lab.namespace("client"), lab._add("caller")
    netns.veth(outer, "e0", inner, "r0")
    netns.kernel_end(outer, "e0", "10.50.0.2/24")
    netns.kernel_end(inner, "r0", "10.50.0.1/24")
    netns.run("ip", "-n", outer, "route", "add", "default", "via", "10.50.0.1")
    netns.run("ip", "netns", "exec", inner, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def way_back(number):
    """A line of the spec of node 1 or 2: its route to the callers."""
    return f"  routes: [{{to: 10.50.0.0/24, via: {HOPS[number - 1][:-1]}2}}]\n"


def node(lab, number, documents, more=""):
    """Starts node 1 or 2. `documents`: texts by name; `more`: lines of its spec."""
    second = {"ports": _second_ports(lab), "role": "mesh2", "name": "node2"} if number == 2 else {}
    daemon = lab.meltemi(mb=192, **second)
    daemon.node.write_text(daemon.node.read_text().replace("127.0.0.1:15000", "0.0.0.0:15000") + more)
    for name, text in documents.items():
        daemon.write(name, text)
    _management(lab, number, daemon.namespace)
    return daemon.start()


def follow(lab, script):
    """Runs this script of the page at the client, for both nodes in order of preference."""
    path = lab.directory / f"{script}.sh"
    path.write_text(next(text for text in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S) if f"# {path.name} " in text))
    return lab.run("client", script, ["sh", path, RANGE, *(f"{hop}=http://10.9.{i}.2:15000/ready" for i, hop in enumerate(HOPS, 1))])
