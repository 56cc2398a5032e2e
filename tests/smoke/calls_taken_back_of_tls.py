#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A sidecar's machine hears nothing any more, and resets its connections: what was sent to it by TLS has provably not been read. It was sealed in
the buffers that it lay in, and is opened again for another instance, which answers; the client knows nothing of it.
"""

import json

from meltemi_lab import Lab, check, equal, main, netns
from meltemi_lab.check import within
from meltemi_lab.meshed import QUOTES, VIP, Mesh


# By the default policy, which is random among equal endpoints, one run in sixteen would send all four calls to the other endpoint.
IN_TURN = """apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: in-turn, namespace: shop}
spec:
  host: com.shop.quotes
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
"""


def deaf(lab, role):
    """
    Its interface takes another address: frames to it are for nobody, what it sends arrives. Its kernel forgets its neighbours then; without ARP and
    with the neighbours of before it tells nobody of the new address.
    """
    def ip(*command):
        return netns.run("ip", "-n", lab.namespace(role), *command)

    neighbours = json.loads(ip("-json", "neigh", "show", "dev", "s0"))
    known = [(n["dst"], n["lladdr"]) for n in neighbours if "lladdr" in n]
    check(known, f"no neighbour is known: {neighbours}")
    ip("link", "set", "s0", "arp", "off", "address", "02:00:00:00:77:01")
    for address, link in known:
        ip("neigh", "replace", address, "lladdr", link, "dev", "s0", "nud", "permanent")


def repeated(m):
    return m.daemon.counters()["proxy_exchange_transparent_retry"]


def body():
    with Lab(servers=2) as lab:
        m = Mesh(lab)
        m.inbound.stop()
        m.inbound = m.sidecar("server1", "server", QUOTES, "--ends-by-reset", listen="198.51.100.11:15006", to="127.0.0.1:20880", alpn="istio")
        m.daemon.write("in-turn.yaml", IN_TURN)
        m.daemon.start()
        equal(set(m.calls(40)["by_server"]), {"v1/s1", "v2/s2"}, "who answers before")
        deaf(lab, "server1")
        before = repeated(m)
        # One call at a time: nothing else is under way on its connection.
        client = lab.dubbo_client(f"{VIP}:20880", count=4, connections=1, outstanding=1)
        client.wait_line("calling")
        within(5, lambda: len(m.daemon.show("exchanges")["exchanges"]) == 1, "a call waits for the deaf instance")
        m.inbound.kill()
        report = client.result()
        equal((report["answered"], report["failed"], report["crossed"], report["strays"]), (4, 0, 0, 0), f"calls: {report}")
        equal(set(report["by_server"]), {"v2/s2"}, "who has answered")
        check(repeated(m) > before, "no call was sent again")


main(body)
