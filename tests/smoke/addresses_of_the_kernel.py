#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A service at an address of the host's kernel is refused by name, at the start and later; whatever others write meanwhile is in force, such as a
policy that denies everything. When the kernel has left the address, a reload serves it.
"""

from meltemi_lab import Lab, check, equal, main, netns
from meltemi_lab.documents import service

HOST = "org.apache.dubbo.samples.basic.api.demoservice"
CALLS, TAKEN, FORWARDED = "240.240.1.1", "10.9.9.9", "10.9.9.8"
DENY = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: default}
spec: {}
"""


def kernel(lab, verb):
    for address in (TAKEN, FORWARDED):
        netns.run("ip", "-n", lab.namespace("mesh"), "addr", verb, f"{address}/32", "dev", "lo")


def statuses(daemon):
    return {row["name"]: row["status"] for row in daemon.show("objects")["objects"] if row["kind"] != "Node"}


def answered(lab):
    return lab.dubbo_client(f"{CALLS}:20880", count=20).result()["answered"]


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        daemon = lab.meltemi()
        daemon.leaves("errors", "services at addresses of the kernel are refused", "is an address of the host's kernel")
        daemon.node.write_text(daemon.node.read_text() + "  nat: {}\n")
        forwarded = service("forwarded.test", FORWARDED, 7000, "tcp", [("198.51.100.11", 7000, {})], "forwarded")
        daemon.write("calls.yaml", service(HOST, CALLS, 20880, "tcp-metaprotocol-dubbo", [("198.51.100.11", 20880, {})], "calls"))
        daemon.write("taken.yaml", service("taken.test", TAKEN, 7000, "tcp", [("198.51.100.11", 7000, {})], "taken"))
        daemon.write("forwarded.yaml", forwarded.replace("metadata:\n", "metadata:\n  annotations: {meltemi.io/forwarding: nat}\n", 1))
        kernel(lab, "add")
        daemon.start()
        refused = {"calls": "in-force", "taken": "refused", "forwarded": "refused"}
        served = dict.fromkeys(refused, "in-force")
        equal(statuses(daemon), refused, "statuses after a start beside the kernel's addresses")
        check(f"{TAKEN} is an address of the host's kernel (lo)" in daemon.process.errors(), "no line names the address and its interface")
        equal(answered(lab), 20, "calls of another service")

        kernel(lab, "del")
        daemon.shell("reload")
        equal(statuses(daemon), served, "statuses after the kernel has left the addresses")

        kernel(lab, "add")
        daemon.write("policy.yaml", DENY)
        daemon.shell("reload", fail=False)
        equal(statuses(daemon), refused | {"nobody": "in-force"}, "statuses after the kernel has got the addresses again")
        equal([row["mode"] for row in daemon.show("policies")["policies"]], ["enforced"], "the policy")
        equal((daemon.show("config")["newer_waits"], answered(lab)), (None, 0), "what waits, and calls that the policy denies")
        equal(daemon.stop(), 0, "exit status")


main(body)
