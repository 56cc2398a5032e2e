#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Instances whose names are written and not their addresses (resolution: DNS): they are looked up before the node is ready, again when
an answer has grown old, and keep their addresses while nobody answers. A name that leads nowhere, or back to the node, is told.
"""

from meltemi_lab import Lab, check, equal, main, names, netns
from meltemi_lab.check import within

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{host}]
  addresses: [{vip}]
  resolution: {resolution}
  ports: [{{number: 7000, name: tcp}}]
{endpoints}"""
# Without endpoints the host's own name leads to them; else their names; of round robin one address is used.
SERVICES = {
    "own": ("db.example", "240.240.2.1", "DNS", ""),
    "named": ("named.test", "240.240.2.2", "DNS", "  endpoints: [{address: both.example}]\n"),
    "one": ("one.test", "240.240.2.3", "DNS_ROUND_ROBIN", "  endpoints: [{address: both.example}]\n"),
    "lost": ("lost.test", "240.240.2.4", "DNS", "  endpoints: [{address: none.example}]\n"),
    "away": ("away.test", "240.240.2.6", "DNS", "  endpoints: [{address: away.example}]\n"),
    "loop": ("loop.test", "240.240.2.5", "DNS", "  endpoints: [{address: loop.example}]\n"),
}


def says(word):
    def serve(sock):
        sock.sendall(word)
        sock.close()
    return serve


def answer(lab, vip):
    try:
        with lab.connect("client", vip, 7000) as sock:
            return sock.recv(100).decode()
    except OSError as e:
        return type(e).__name__


def answers(lab, vip, n=12):
    return {answer(lab, vip) for _ in range(n)}


def note(daemon, name):
    return next(str(row["notes"]) + str(row.get("reason", "")) for row in daemon.show("objects")["objects"] if row["name"] == name)


def body():
    with Lab(servers=2) as lab, lab.listening("server1", 7000, says(b"first")), lab.listening("server2", 7000, says(b"second")):
        mesh = lab.namespace("mesh")
        path = lab.directory / "resolv.conf"
        netns.run("ip", "-n", mesh, "address", "add", "127.0.0.2/32", "dev", "lo")
        server = names.Server(mesh, "127.0.0.2", 53)
        server.known = {"db.example": [lab.server(1)], "both.example": [lab.server(1), lab.server(2)], "loop.example": ["198.51.100.1"],
                        "away.example": ["240.240.2.2"]}
        server.silent = True
        path.write_text("nameserver 127.0.0.2\noptions timeout:1 attempts:1\n")
        daemon = lab.meltemi(resolv_conf=path)
        for name, (host, vip, resolution, endpoints_) in SERVICES.items():
            daemon.write(f"{name}.yaml", ENTRY.format(name=name, host=host, vip=vip, resolution=resolution, endpoints=endpoints_))
        server.silent = False
        daemon.start()

        within(20, lambda: not daemon.show("ready")["waits_for"], "ready when the names were looked up")
        within(10, lambda: answers(lab, "240.240.2.1") == {"first"}, "the host's own name")
        within(10, lambda: answers(lab, "240.240.2.2") == {"first", "second"}, "both addresses of a name")
        equal(len(answers(lab, "240.240.2.3")), 1, "round robin: one address")
        check("none.example" in note(daemon, "lost") and "cannot be looked up" in note(daemon, "lost"), f"lost: {note(daemon, 'lost')}")
        check("resolves to 198.51.100.1" in note(daemon, "loop"), f"loop: {note(daemon, 'loop')}")
        check("no port and no route leads to them" in note(daemon, "away"), f"away: {note(daemon, 'away')}")

        server.known["db.example"] = [lab.server(2)]
        within(20, lambda: answers(lab, "240.240.2.1") == {"second"}, "the name has moved, and who calls it has, too")
        server.stop()
        asked = server.by_udp
        within(30, lambda: server.by_udp > asked + 2, "asked again")
        equal(answers(lab, "240.240.2.1"), {"second"}, "nobody answers for the name, which keeps its address")
        server.silent = False
        server.known["none.example"] = [lab.server(1)]
        within(30, lambda: answers(lab, "240.240.2.4") == {"first"}, "a name that is there at last")
        within(5, lambda: "none.example" not in note(daemon, "lost"), "and nothing is told of it any more")
        equal(daemon.stop(), 0, "exit status")


main(body)
