#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Who the node is, by an agent's socket: the secrets `default` and `ROOTCA` over Envoy's secret discovery service, from go-control-plane.
There before the start, changed one by one, bad ones refused with a reason, the agent gone and back: the last good identity stays in use.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import adsd  # noqa: E402  (makes meltemi_lab known)
from meltemi_lab import Lab, becomes, check, equal, main, within  # noqa: E402
from meltemi_lab.authority import Authority  # noqa: E402

URI = "spiffe://cluster.local/ns/edge/sa/meltemi"
BUYER = "spiffe://cluster.local/ns/shop/sa/buyer"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def own(cert, key, name="default"):
    return {"@type": SECRET, "name": name, "tlsCertificate": {"certificateChain": {"inlineString": cert.read_text()},
                                                                  "privateKey": {"inlineString": key.read_text()}}}


def roots(*authorities, **more):
    return {"@type": SECRET, "name": "ROOTCA",
            "validationContext": {"trustedCa": {"inlineString": "".join(a.roots.read_text() for a in authorities)}, **more}}


def identity(daemon):
    return daemon.show("identity")["identity"][0]


def soon(daemon, what, seconds=4, **want):
    within(seconds, lambda: all(identity(daemon)[name] == value for name, value in want.items()), what, step=0.05)


def agent(lab, socket, *resources):
    one = adsd.Adsd(lab.directory, name=f"agent-{len(lab.processes)}", ads=f"unix:{socket}", linear=True)
    lab.processes.append(one.process)
    one.apply(*resources)
    return one


def held(daemon):
    return {row["for"]: (row["state"], row["serial"], row["changes"]) for row in daemon.show("identity")["identity"][1:]}


def beside(lab, daemon, ca, one):
    """An identity beside the node's own, of the same agent, by the secret's name; another principal's in it is not taken."""
    mine, others = (ca.sign(name, f"URI:{uri}") for name, uri in (("buyer", BUYER), ("gate", URI)))
    one.apply(own(*mine, name=BUYER))
    daemon.node.write_text(daemon.node.read_text() + f"  identities: [{{principal: '{BUYER}', sds: {lab.directory}/late.sock, secret: '{BUYER}'}}]\n")
    within(10, lambda: held(daemon) == {BUYER: ("good", "1004", 1)}, "an identity beside the node's own", step=0.05)
    one.apply(own(*others, name=BUYER))
    within(4, lambda: held(daemon) == {BUYER: ("last-good", "1004", 1)}, "somebody else's", step=0.05)
    equal((identity(daemon)["state"], identity(daemon)["serial"]), ("good", "1003"), "the node's own beside it")
    daemon.stop()
    one.apply(own(*mine, name=BUYER))
    daemon.start()
    equal(held(daemon), {BUYER: ("good", "1004", 1)}, "the first answer of a restart")


def body():
    adsd.build()
    with Lab(servers=1) as lab:
        daemon = lab.meltemi(workers=1)
        for place in ("agent.sock", "late.sock"):
            daemon.leaves("errors", "agents are taken away, and tell what is bad", place)
        ca, other = Authority(lab.directory / "ca"), Authority(lab.directory / "other", "other")
        pairs = [ca.sign(f"g{i}", f"URI:{URI}") for i in range(4)]
        socket = lab.directory / "agent.sock"
        daemon.node.write_text(daemon.node.read_text() + f"  identity: {{sds: {socket}}}\n")
        equal(daemon.check()[0], 0, "exit status of --check, which asks nobody")
        first = agent(lab, socket, own(*pairs[0]), roots(ca))
        daemon.start()
        row = identity(daemon)
        equal((row["state"], row["serial"], row["principal"], row["directory"], row["changes"]), ("good", "1000", URI, f"unix:{socket}", 1),
              "the first answer")
        check("reloaded" not in daemon.process.errors(), "it came only after the first documents were in force")
        # A key of another certificate: refused, with the reason.
        first.apply(own(pairs[1][0], pairs[2][1]))
        check("does not belong to the certificate" in first.refused("sds", "does not belong"), "the reason of the refusal")
        soon(daemon, "a pair that is none", state="last-good", serial="1000")
        first.apply(own(*pairs[1]))
        soon(daemon, "a new certificate", state="good", serial="1001", reason=None)
        first.apply(roots(ca, other, crl={"inlineString": ca.revoked().read_text()}))
        within(4, lambda: len(daemon.show("identity")["roots"]) == 2 and daemon.show("identity")["revocations"], "two roots and a list")
        first.apply(roots(ca, matchTypedSubjectAltNames=[{"sanType": "URI", "matcher": {"exact": URI}}]))
        first.refused("sds", "with more than roots")
        soon(daemon, "roots that ask for more", state="last-good", serial="1001")
        # The agent is gone, and another one comes.
        first.process.stop()
        within(8, lambda: "is not renewed" in (identity(daemon)["note"] or ""), "that the agent is gone is told")
        equal(identity(daemon)["serial"], "1001", "the identity without an agent")
        socket.unlink(missing_ok=True)
        agent(lab, socket, own(*pairs[2]), roots(ca))
        soon(daemon, "another agent", seconds=20, state="good", serial="1002", note=None, reason=None)
        becomes(lambda: len(daemon.show("identity")["roots"]), 1, "roots of the other agent")
        # A node whose agent is not there yet starts all the same.
        daemon.stop()
        daemon.node.write_text(daemon.node.read_text().replace(str(socket), f"{lab.directory}/late.sock"))
        daemon.start()
        check("late.sock" in identity(daemon)["reason"] and identity(daemon)["state"] == "missing", f"a late agent: {identity(daemon)}")
        late = agent(lab, f"{lab.directory}/late.sock", own(*pairs[3]), roots(ca))
        soon(daemon, "an agent that comes late", seconds=20, state="good", serial="1003")
        beside(lab, daemon, ca, late)


main(body)
