#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A port of `side: workloads`: who lives there is known by its address, in clear text, and satisfies STRICT; an AuthorizationPolicy names its
serviceAccount. Another account's is denied, an address that lives nowhere is dropped, as is one from another station
(source_unbound, source_other_mac) and one that lives there and comes by another port (source_elsewhere); a second owner of its namespace takes
the name away, on open connections, too, and one of another namespace gets none, with a warning. A TrafficPolicy limits each account.
"""

import socket

from meltemi_lab import PATIENCE, Lab, check, equal, main, netns, streams, within
from meltemi_lab.columns import every_column_selects
from meltemi_lab.documents import service

HOST = "org.apache.dubbo.samples.basic.api.demoservice"
CALLS, ECHO, ECHO6, AROUND = "240.240.1.1", "240.240.1.2", "2001:db8:f::2", "203.0.113.5"
BUYER, OTHER, NOBODY, BUYER6, OUTSIDE = "192.0.2.2", "192.0.2.3", "192.0.2.9", "2001:db8:1::2", "198.51.100.2"

POLICIES = """apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: buyers, namespace: default}
spec: {rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/buyer]}}]}]}
"""


LIMIT = "---\n".join(f"""apiVersion: meltemi.io/v1
kind: TrafficPolicy
metadata: {{name: {name}, namespace: default}}
spec:
  targetRefs: [{{group: networking.istio.io, kind: ServiceEntry, name: {target}}}]
  rateLimit: {{local: {{rules: [{{limit: {{requests: {n}, unit: Day}}, clientSelectors: [{{principal: {{type: Distinct}}}}]}}]}}}}
""" for name, target, n in (("calls", HOST.replace(".", "-"), 5), ("echo", "echo-test", 2)))


def entry(name, address, account, namespace="shop"):
    return (f"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
            f"spec: {{address: '{address}', serviceAccount: {account}}}\n---\n")


WORKLOADS = entry("buyer", BUYER, "buyer") + entry("buyer-6", BUYER6, "buyer") + entry("other", OTHER, "other")


def documents(daemon):
    server, six = "198.51.100.11", '"2001:db8:2::11"'

    daemon.write("calls.yaml", service(HOST, CALLS, 20880, "tcp-metaprotocol-dubbo", [(server, 20880, {})]))
    daemon.write("echo.yaml", service("echo.test", ECHO, 7000, "tcp", [(server, 7000, {})]))
    daemon.write("echo6.yaml", service("echo6.test", f'"{ECHO6}"', 7000, "tcp", [(six, 7000, {})]))
    daemon.write("around.yaml", service("around.test", AROUND, 7000, "tcp", [(server, 7000, {})]))
    daemon.write("policies.yaml", POLICIES)
    daemon.write("workloads.yaml", WORKLOADS)


def opened(lab, source, address, timeout=PATIENCE):
    with lab.inside("client"):
        sock = socket.create_connection((address, 7000), timeout=timeout, source_address=(source, 0))
    lab.sockets.append(sock)
    return sock


def says(sock):
    try:
        sock.settimeout(PATIENCE)
        sock.sendall(b"hello")
        return sock.recv(5) == b"hello"
    except (ConnectionResetError, BrokenPipeError):
        return False


def answer(lab, source, address, timeout=PATIENCE):
    """passes, denied, or dropped: nobody answers at all."""
    try:
        return "passes" if says(opened(lab, source, address, timeout)) else "denied"
    except (ConnectionRefusedError, ConnectionResetError):
        return "denied"
    except TimeoutError:
        return "dropped"


def calls(lab):
    report = lab.dubbo_client(f"{CALLS}:20880", count=20).result()
    return report["answered"]


def is_dropped(lab, daemon, source, address, counter):
    before = daemon.counters()[counter]
    equal(answer(lab, source, address, 0.7), "dropped", f"a connection from {source} to {address}")
    within(5, lambda: daemon.counters()[counter] > before, f"{counter} grows")


def workloads(daemon):
    return {row["address"]: (row["port"], row["principal"], row["mac"]) for row in daemon.show("workloads")["workloads"]}


def judge(lab, daemon):
    buyer = "cluster.local/ns/shop/sa/buyer"
    equal(workloads(daemon), {BUYER: ("p0", buyer, None), OTHER: ("p0", "cluster.local/ns/shop/sa/other", None),
                              BUYER6: ("p0", buyer, None)}, "who lives on the port")
    equal(calls(lab), 20, "calls of the buyer")
    equal(answer(lab, BUYER, ECHO), "passes", "a byte stream of the buyer")
    equal(answer(lab, BUYER6, ECHO6), "passes", "a byte stream of the buyer by IPv6")
    equal(answer(lab, OTHER, ECHO), "denied", "a byte stream of another account")
    is_dropped(lab, daemon, NOBODY, ECHO, "net_source_unbound")
    is_dropped(lab, daemon, BUYER, AROUND, "net_source_elsewhere")
    equal(answer(lab, OUTSIDE, AROUND), "denied", "a byte stream of somebody on the other port")
    equal([row["status"] for row in daemon.show("objects")["objects"] if row["kind"] == "WorkloadEntry"], ["in-force"] * 3,
          "status of the workloads")
    said = daemon.shell("explain", "protocol=dubbo", f"service={HOST}", f"src={BUYER}", "--json")
    check(f"by port p0: {buyer}" in said, f"explain: {said}")


def limited(lab, daemon):
    """Calls and byte streams of each principal by a TrafficPolicy, whichever port of the target they are for."""
    daemon.write("limit.yaml", LIMIT)
    daemon.shell("reload")
    equal(calls(lab), 5, "calls of the buyer that a limit admits")
    equal([answer(lab, BUYER, ECHO) for _ in range(3)], ["passes", "passes", "denied"], "byte streams of the buyer that a limit admits")
    equal({row["key"] for row in daemon.show("limits top")["top"]}, {"cluster.local/ns/shop/sa/buyer"}, "whom limits refuse")
    (daemon.services / "limit.yaml").unlink()
    daemon.shell("reload")


def second_owner(lab, daemon):
    sock = opened(lab, BUYER, ECHO)
    check(says(sock), "the stream passes before")
    daemon.write("second.yaml", entry("thief", BUYER, "thief", "elsewhere"))
    daemon.shell("reload", fail=False)
    thief = [row for row in daemon.show("objects")["objects"] if row["name"] == "thief"]
    equal([row["status"] for row in thief], ["in-force-with-notes"], "an owner of another namespace")
    check("no principal" in str(thief[0]["notes"]), f"its warning: {thief[0]['notes']}")
    check(says(sock), "the stream passes beside an owner of another namespace")
    equal(answer(lab, BUYER, ECHO), "passes", "an address that another namespace wants")
    daemon.write("second.yaml", entry("thief", BUYER, "thief"))
    daemon.shell("reload")
    within(5, lambda: not says(sock), "the open stream ends")
    equal((calls(lab), answer(lab, BUYER, ECHO)), (0, "denied"), "an address of two owners")
    equal(workloads(daemon)[BUYER], ("p0", None, None), "an address of two owners")
    (daemon.services / "second.yaml").unlink()
    daemon.shell("reload")
    daemon.wait_log("1 workload changed")
    equal((calls(lab), answer(lab, BUYER, ECHO)), (20, "passes"), "an address that has one owner again")


def lists(daemon, mac):
    """The Node's list of who lives there, which is followed without a restart."""
    text = daemon.node.read_text().split("\n")
    at = next(i for i, line in enumerate(text) if "side: workloads" in line)
    text[at] = text[at].split(", workloads: [")[0].rstrip("}") + f", workloads: [{{address: {BUYER}, mac: '{mac}'}}]}}"
    daemon.node.write_text("\n".join(text))
    daemon.shell("reload")
    within(5, lambda: str(workloads(daemon)[BUYER][2]).lower() == mac, "the list is in force")


def station(lab, daemon):
    mac = netns.run("ip", "netns", "exec", lab.namespace("client"), "cat", "/sys/class/net/c0/address").strip()
    lists(daemon, "02:00:00:00:00:77")
    is_dropped(lab, daemon, BUYER, ECHO, "net_source_other_mac")
    lists(daemon, mac)
    equal(answer(lab, BUYER, ECHO), "passes", "the address from the station that is listed")
    is_dropped(lab, daemon, OTHER, ECHO, "net_source_unbound")
    every_column_selects(daemon, ["show workloads"], set())


def body():
    with Lab(servers=1, ipv6=True) as lab, lab.listening("server1", 7000, streams.echo):
        lab.dubbo_server(1, "v1").wait_line("ready")
        client = lab.namespace("client")
        for address in (OTHER, NOBODY):
            netns.run("ip", "-n", client, "addr", "add", f"{address}/24", "dev", "c0")
        netns.run("ip", "-n", client, "-6", "route", "add", "2001:db8:f::/48", "via", "2001:db8:1::1")
        netns.run("ip", "-n", client, "route", "replace", "203.0.113.0/24", "via", "198.51.100.1")
        daemon = lab.meltemi(ports=[
            'name: p0, device: "net_af_packet0,iface=p0", profile: af_packet, addresses: [192.0.2.1/24, "2001:db8:1::1/64"], side: workloads',
            'name: p1, device: "net_af_packet1,iface=p1", profile: af_packet, addresses: [198.51.100.1/24, "2001:db8:2::1/64"]'])
        documents(daemon)
        daemon.start()
        judge(lab, daemon)
        limited(lab, daemon)
        second_owner(lab, daemon)
        station(lab, daemon)


main(body)
