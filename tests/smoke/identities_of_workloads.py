#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Identities beside the node's own: a workload that lives on a port of ours is seen by servers as its own serviceAccount, whoever else calls at
the same time, and clients of a service see that of its instances; one that cannot be had, or is somebody else's, refuses only its own; each is
renewed, comes and goes by itself, and no call is lost.
"""

import json
import re
import socket
import time

from meltemi_lab import PATIENCE, Lab, check, equal, main, netns, within
from meltemi_lab.meshed import ACCOUNT, BYTES, CALLER, NODE, QUOTES, VIP, Mesh

BUYER, OTHER, GUEST = "192.0.2.2", "192.0.2.3", "192.0.2.9"
BUYERS, OTHERS = (ACCOUNT % ("shop", who) for who in ("buyer", "other"))


def entry(name, address, account):
    account = f", serviceAccount: {account}" if account else ""
    return (f"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, namespace: shop}}\n"
            f"spec: {{address: '{address}'{account}}}\n---\n")


TURNS = """apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: bytes, namespace: shop}
spec: {host: bytes.shop, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
"""
WORKLOADS = entry("buyer", BUYER, "buyer") + entry("other", OTHER, "other") + entry("guest", GUEST, None)


def rows(process):
    return [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]


def peers(m, since):
    """Whom the server's sidecar has seen in connections that began since."""
    return [row["peer"][0] for row in rows(m.inbound)[since:] if row.get("peer")]


def streams(m, source, count=4):
    """Byte streams of a workload, to an instance with a sidecar and one without, by turns; open until the end of the lab."""
    with m.lab.inside("client"):
        for _ in range(count):
            sock = socket.create_connection((BYTES, 20880), timeout=PATIENCE, source_address=(source, 0))
            sock.sendall(b"\xda")
            m.lab.sockets.append(sock)


def handshakes(m):
    """Of the node's, that are over; of each the sidecar has a row, sooner or later."""
    return sum(row["done"] for row in m.daemon.show("identity")["handshakes"])


def seen(m, source, want, what):
    """A few streams; who the sidecar takes them for. Without anybody they come to the instance that no proxy is in front of."""
    before, opened, done = len(rows(m.inbound)), m.daemon.counters()["proxy_opaque_opened"], handshakes(m)
    streams(m, source)
    within(10, lambda: m.daemon.counters()["proxy_opaque_opened"] >= opened + 4, f"{what}: all are joined")
    within(10, lambda: len(peers(m, before)) == handshakes(m) - done, f"{what}: all are seen")
    equal(set(peers(m, before)), {want} if want else set(), what)


def identities(m):
    return {row["for"]: row for row in m.daemon.show("identity")["identity"]}


def metric(m, name, who):
    label = f'{{identity="{who}"}}' if who else ""
    found = re.search(rf"^{name}{re.escape(label)} (\S+)$", m.daemon.http("/metrics")[1], re.M)
    return float(found.group(1)) if found else None


def callers(m, folders):
    """Each by his own; whose own cannot be had by none, and who has none by the node's, if that is lent to him."""
    before = len(rows(m.inbound))
    report = m.calls(40)
    equal((report["failed"], set(report["by_server"])), (0, {"v1/s1", "v2/s2"}), f"calls of the buyer: {report['error_samples']}")
    equal(set(peers(m, before)), {BUYERS}, "who calls")
    seen(m, BUYER, BUYERS, "byte streams of the buyer")
    seen(m, OTHER, None, "byte streams of one whose identity cannot be had")
    seen(m, GUEST, None, "byte streams of one who has none")
    m.lend(f"clients: [{GUEST}/32, {OTHER}/32]")
    m.daemon.shell("reload")
    seen(m, GUEST, NODE, "byte streams of one who borrows the node's")
    seen(m, OTHER, None, "one whose own cannot be had does not borrow another one")
    told = identities(m)
    equal({who: row["state"] for who, row in told.items()}, {"node": "good", BUYERS: "good", OTHERS: "missing"}, "show identity")
    equal([metric(m, "meltemi_node_identity_good", who) for who in (None, BUYERS, OTHERS)], [1, 1, 0], "in the metrics")
    health = [r["words"] for r in m.daemon.show("health")["health"] if r["check"] == "identity" and r["state"] == "fault"]
    check(len(health) == 1 and "its calls and its services' clients are refused" in health[0], f"health: {health}")
    m.identify_as(OTHERS, folders["other"])
    within(5, lambda: identities(m)[OTHERS]["state"] == "good", "it comes late", step=0.1)
    seen(m, OTHER, OTHERS, "byte streams of one whose identity came late")
    said = m.daemon.shell("explain", "protocol=tcp", f"dst={BYTES}:20880", f"src={OTHER}", "--json")
    equal(json.loads(said)["identity"], OTHERS, "explain")


def somebody_elses(m, folders):
    """A certificate of another account in its place: the last good one goes on, and nobody else is touched."""
    changes = {who: row["changes"] for who, row in identities(m).items()}
    m.identify_as(BUYERS, folders["other"])
    within(5, lambda: identities(m)[OTHERS]["state"] == "last-good", "what is somebody else's is not taken", step=0.1)
    check(f"it is the certificate of {BUYERS}, not of {OTHERS}" in identities(m)[OTHERS]["reason"], identities(m)[OTHERS]["reason"])
    seen(m, OTHER, OTHERS, "byte streams by the last good one")
    equal({who: row["changes"] for who, row in identities(m).items()}, changes, "changes of all of them")
    m.identify_as(OTHERS, folders["other"])
    within(5, lambda: identities(m)[OTHERS]["state"] == "good", "its own again", step=0.1)


def by_sidecar(m, port):
    with m.lab.inside("client"):
        return m.sidecar("client", "client", CALLER, listen=f"127.0.0.1:{port}", to=f"{VIP}:20880", alpn="istio", sni="outbound_.20880_._.com.shop.quotes")


def shown(m, port, want, what):
    out = by_sidecar(m, port)
    if want:
        equal(m.calls(4, f"127.0.0.1:{port}")["failed"], 0, what)
        equal(rows(out)[0].get("peer"), [want], what)
    else:
        equal(m.calls(4, f"127.0.0.1:{port}")["answered"], 0, what)
        check(not [row for row in rows(out) if "peer" in row], f"{what}: {rows(out)}")


def services(m, folders):
    """Clients of a service see its instances' account, if the node holds it: the node's own before, nobody while it cannot be had."""
    shown(m, 20901, NODE, "a service whose account is not held")
    quotes = folders["quotes"] = m.lab.directory / "quotes"
    m.hold(**folders)
    m.daemon.shell("reload")
    within(5, lambda: QUOTES in identities(m), "its account is held", step=0.1)
    m.daemon.shell("reload")
    shown(m, 20902, None, "a service whose identity cannot be had")
    equal(m.calls(20)["failed"], 0, "calls in clear text")
    m.identify_as(QUOTES, quotes)
    within(5, lambda: identities(m)[QUOTES]["state"] == "good", "it comes", step=0.1)
    within(5, lambda: m.daemon.shell("reload") is not None, "it is compiled")
    shown(m, 20903, QUOTES, "a service whose account is held")


def come_and_go(m, folders):
    """Renewed, taken out, and put back while calls go on: none is lost, and streams by another identity are not made anew."""
    with m.lab.inside("client"):
        by_sidecar(m, 20904)
    clients = [m.lab.dubbo_client(target, seconds=8, connections=4, outstanding=4) for target in (f"{VIP}:20880", "127.0.0.1:20904")]
    for client in clients:
        client.wait_line("calling")
    drained, changes = m.daemon.counters().get("proxy_up_drained", 0), identities(m)
    for _ in range(2):
        serial = identities(m)[BUYERS]["serial"]
        m.identify_as(BUYERS, folders["buyer"])
        within(5, lambda was=serial: identities(m)[BUYERS]["serial"] != was, "the new certificate is in use", step=0.1)
    equal(m.daemon.counters().get("proxy_up_drained", 0), drained, "connections that were given up for a certificate of the same principal")
    equal([identities(m)[who]["changes"] - row["changes"] for who, row in changes.items()], [2 * (who == BUYERS) for who in changes], "who changed")
    for held in ({"other": folders["other"]}, folders, {**folders, "buyer": m.lab.directory / "moved"}):
        if "buyer" in held:
            m.identify_as(BUYERS, held["buyer"])
        m.hold(**held)
        m.daemon.shell("reload")
        within(5, lambda names=held: len(identities(m)) == len(names) + 1, "the Node's list is in force", step=0.1)
        time.sleep(0.5)
    for client in clients:
        report = client.result()
        equal((report["failed"], report["crossed"], report["strays"]), (0, 0, 0), f"calls that were lost beside {report['answered']}: {report['error_samples']}")
    equal(identities(m)[BUYERS]["directory"], str(m.lab.directory / "moved"), "where it is looked at")


def body():
    with Lab(servers=2) as lab:
        for address in (OTHER, GUEST):
            netns.run("ip", "-n", lab.namespace("client"), "addr", "add", f"{address}/24", "dev", "c0")
        m = Mesh(lab, ports=['name: p0, device: "net_af_packet0,iface=p0", profile: af_packet, addresses: [192.0.2.1/24], side: workloads',
                             'name: p1, device: "net_af_packet1,iface=p1", profile: af_packet, addresses: [198.51.100.1/24]'])
        m.daemon.write("workloads.yaml", WORKLOADS)
        m.daemon.write("turns.yaml", TURNS)
        m.lend("clients: [203.0.113.0/24]")
        folders = {name: lab.directory / name for name in ("buyer", "other")}
        m.identify_as(BUYERS, folders["buyer"])
        folders["other"].mkdir()
        m.hold(**folders)
        for why in ("No such file", "it is the certificate of"):
            m.daemon.leaves("errors", "identities are not there, and are somebody else's", why)
        m.daemon.start()
        callers(m, folders)
        somebody_elses(m, folders)
        services(m, folders)
        come_and_go(m, folders)


main(body)
