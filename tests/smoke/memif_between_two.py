#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two Meltemis joined by shared memory: the client's side is started first and finds its server when that comes."""

import os

from meltemi_lab import Lab, check, equal, main, streams, within
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.documents import service

NEAR, FAR = "240.240.2.1", "240.241.2.1"

FAR_NODE = """\
apiVersion: meltemi.io/v1
kind: Node
metadata: {{name: far-{id}}}
spec:
  memory: {{mb: 192}}
  ports:
  - {{name: m0, device: "net_memif0,role=server,socket={dir}/memif.sock,socket-abstract=no", addresses: [10.77.0.2/24]}}
  - {{name: p1, device: "net_af_packet1,iface=p1", addresses: [198.51.100.1/24]}}
  sources: [{{directory: {dir}/far}}]
  stateDirectory: {dir}/far-state
  admin: {{socket: {dir}/far.sock}}
"""


def body():
    with Lab(servers=1) as lab, lab.listening("server1", 7000, streams.echo):
        here = lab.directory
        near = lab.meltemi(mb=192, ports=[
            'name: p0, device: "net_af_packet0,iface=p0", addresses: [192.0.2.1/24]',
            f'name: m0, device: "net_memif0,role=client,socket={here}/memif.sock,socket-abstract=no", '
            'addresses: [10.77.0.1/24]'])
        near.node.write_text(near.node.read_text() + f"  routes: [{{to: {FAR}/32, via: 10.77.0.2}}]\n")
        near.write("echo.yaml", service("echo.test", NEAR, 7000, "tcp", [(FAR, 7000, {})]))
        near.start()

        os.mkdir(here / "far")
        (here / "far" / "echo.yaml").write_text(service("echo.test", FAR, 7000, "tcp", [(lab.server(1), 7000, {})]))
        (here / "far.yaml").write_text(FAR_NODE.format(id=lab.id, dir=here))
        far = lab.run("mesh", "far", [MELTEMID, "-c", here / "far.yaml"])
        near.wait_log("m0: link up")
        within(10, lambda: "serving 1 service " in far.errors(), "the second one serves")
        for seed in range(4):
            check(streams.exchange(lab.connect("client", NEAR, 7000), seed, 2_000_000), "the echo through two Meltemis")
        equal((near.stop(), far.stop()), (0, 0), "exit status")


main(body)
