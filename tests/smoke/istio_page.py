#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
docs/tutorials/istio-mesh.md, followed to the letter from `meltemi join` on. Of the cluster there are an authority that signs certificates,
adsd with istiod's resources for one service, and a server with what a sidecar does to bytes. That server sees the node's certificate.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop/xds"))

import adsd  # noqa: E402
import environment  # noqa: E402
from meltemi_lab import equal, main, page  # noqa: E402
from meltemi_lab.paths import PYTHON  # noqa: E402

ISTIOD, NODE = "198.18.0.2", "spiffe://cluster.local/ns/shop/sa/vm"
ECHO = """\
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"hello " + line)
socketserver.ThreadingTCPServer(("127.0.0.1", 9000), Echo).serve_forever()
"""
CLUSTER = """\
set -e
ip address add {istiod}/32 dev lo
{control} tests/interop/xds/page_control.py /mnt/cluster {istiod} &
until [ -e /mnt/cluster/ready ]; do sleep 0.1; done
tail -f /dev/null | {adsd} --tls --certs /mnt/cluster --ads {istiod}:15012 --control 127.0.0.1:18000 &
curl -sSf -o /dev/null --retry 60 --retry-delay 1 --retry-connrefused --data @/mnt/cluster/resources.json http://127.0.0.1:18000/apply
cp -r /mnt/cluster/bundle bundle
ip netns add pod
ip link add p1 type veth peer name e0 netns pod
ip link set p1 up
sysctl -qw net.ipv6.conf.p1.disable_ipv6=1
ethtool -K p1 tx off gso off tso off >/dev/null
ip -n pod address add 198.51.100.254/24 dev e0
ip -n pod address add 10.244.1.5/32 dev lo
ip -n pod link set lo up
ip -n pod link set e0 up
ip netns exec pod ethtool -K e0 tx off gso off tso off >/dev/null
ip netns exec pod {python} /mnt/cluster/echo.py &
ip netns exec pod {python} tests/smoke/meltemi_lab/sidecar.py server --listen 10.244.1.5:9000 --to 127.0.0.1:9000 \\
  --cert /mnt/cluster/sidecar.pem --key /mnt/cluster/sidecar.key --roots /mnt/cluster/root.pem --alpn istio >/mnt/cluster/seen &
"""


def cluster(directory):
    """Its programs, as commands for the page's machine."""
    given = directory / "cluster"
    given.mkdir()
    (given / "echo.py").write_text(ECHO)
    return CLUSTER.format(istiod=ISTIOD, control=environment.control_plane(), adsd=adsd.PROGRAM, python=PYTHON)


def body():
    adsd.build()
    printed, seen = page.follow("istio-mesh.md", ("1. Prepare the cluster",), cluster, "cluster/seen")
    equal(printed.count("\nhello world\n"), 1, "answers of the service")
    rows = [json.loads(line) for line in seen.splitlines() if line.startswith("{")]
    equal([row["peer"] for row in rows], [[NODE]], "whom the sidecar saw")


main(body)
