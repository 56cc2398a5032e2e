#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A node is ready when what it served is served again: not while the document of a host that it served is there and does not serve
it, but without the one whose document was taken away, or after `accept`, which is remembered; once ready it stays so. The list
that knows is written when it changes, and kept state of a node that had none yet takes its place.
"""

import json
import os
import shutil

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.columns import every_column_selects
from meltemi_lab.check import within
from meltemi_lab.documents import service


def tcp(host, vip):
    return service(host, vip, 80, "tcp", [("10.88.0.11", 80, {})])


def spoilt(host, vip):
    """A slip of a word: the port is there and nobody serves it."""
    return tcp(host, vip).replace("protocol: TCP", "protocol: UDP")


def without_address(host):
    return tcp(host, "240.240.3.99").replace("  addresses: [240.240.3.99]\n", "")


def listed(daemon):
    """Hosts of the list by name. Its own thread writes it, so that a node may be ready before it is there: then it has no host."""
    file = daemon.directory / "state/served.json"
    return {h["host"]: h for h in json.loads(file.read_text())["hosts"]} if file.exists() else {}


def waits(daemon):
    """Names of what is waited for, the same by /ready, the shell, health and the metrics."""
    status, text = daemon.http("/ready")
    show, version = daemon.show("ready"), daemon.show("version")
    names = sorted(row["name"] for row in show["waits_for"])
    equal((status == 200, version["ready"], version["waits_for"]), (show["ready"], show["ready"], len(names)), "who says ready")
    lines = text.splitlines()
    equal(len(lines) - 1, len(names), f"lines of /ready: {text}")
    for row in show["waits_for"]:
        check(any(f"{row['what']} {row['name']} ({row['source']}): {row['why']}" == line for line in lines), f"{row} is not in {text}")
    metrics = daemon.http("/metrics")[1].splitlines()
    check(f"meltemi_ready {int(show['ready'])}" in metrics, "the metric of it")
    check(f'meltemi_ready_waits_for{{what="host"}} {sum(row["what"] == "host" for row in show["waits_for"])}' in metrics,
          "the metric of what is waited for")
    told = [row for row in daemon.show("health")["health"] if row["words"].startswith("not ready")]
    equal(sorted(row["about"] for row in told), names, "what health says")
    check(all(row["state"] == "fault" and "accept" in row["remedy"] for row in told), f"how it says it: {told}")
    return names


def held_and_removed(daemon):
    for host, vip in (("a.example", "240.240.3.1"), ("b.example", "240.240.3.2"), ("c.example", "240.240.3.3")):
        daemon.write(f"{host[0]}.yaml", tcp(host, vip))
    daemon.start()
    within(10, daemon.ready, "ready, with nothing to compare with")
    within(10, lambda: set(listed(daemon)) == {"a.example", "b.example", "c.example"}, "the list is written")
    check(listed(daemon)["a.example"]["where"].endswith("/a.yaml"), "where it is written")
    # While it runs: what goes is off the list, at once and not at the end.
    os.unlink(daemon.services / "c.yaml")
    within(10, lambda: "c.example" not in listed(daemon), "the list follows")
    equal(daemon.stop(), 0, "exit status")
    daemon.write("a.yaml", spoilt("a.example", "240.240.3.1"))
    daemon.start()
    equal(waits(daemon), ["a.example"], "what is waited for")
    check("a.example" in daemon.http("/ready")[1], "the body names the host")
    check("STATUS" not in daemon.process.errors() and "not ready: waits for 1" in daemon.process.errors(), "the log says it")
    equal(daemon.stop(), 0, "exit status")
    # A node that ends without having been ready has forgotten nothing.
    daemon.start()
    equal(waits(daemon), ["a.example"], "what is waited for behind another start")
    daemon.write("a.yaml", tcp("a.example", "240.240.3.1"))
    within(10, daemon.ready, "ready, once the slip is mended")
    # Once ready it stays ready; what was closed live is off the list.
    daemon.write("a.yaml", spoilt("a.example", "240.240.3.1"))
    within(10, lambda: set(listed(daemon)) == {"b.example"}, "the list follows")
    check(daemon.ready(), "ready for good")
    equal(daemon.stop(), 0, "exit status")
    daemon.start()
    within(5, daemon.ready, "what was closed live is not waited for")
    daemon.write("a.yaml", tcp("a.example", "240.240.3.1"))
    within(10, lambda: len(listed(daemon)) == 2, "the list follows")
    equal(daemon.stop(), 0, "exit status")
    os.unlink(daemon.services / "a.yaml")
    daemon.start()
    within(5, daemon.ready, "ready without the host whose document was taken away")
    within(10, lambda: set(listed(daemon)) == {"b.example"}, "it is off the list")
    equal(daemon.stop(), 0, "exit status")


def refused(daemon):
    """
    A mistake in the file of a served host: its last good version goes on, so the node is ready; without one (the file of them is
    gone) it is waited for, illegible or read and wrong; taken away, it is not.
    """
    for text in ("kind: [ServiceEntry\nspec: {\n", tcp("g.example", "240.240.3.7").replace("number: 80", "number: none")):
        daemon.write("g.yaml", tcp("g.example", "240.240.3.7"))
        daemon.start()
        within(10, lambda: daemon.ready() and "g.example" in listed(daemon), "ready")
        equal(daemon.stop(), 0, "exit status")
        daemon.write("g.yaml", text)
        daemon.leaves("errors", "a document with a mistake", "g.yaml")
        daemon.start()
        within(5, daemon.ready, f"ready: the last good version is held: {daemon.show('ready')}")
        equal(daemon.stop(), 0, "exit status")
        (daemon.directory / "state/objects.jsonl").unlink()
        daemon.start()
        equal(waits(daemon), ["g.example"], "what is waited for")
        os.unlink(daemon.services / "g.yaml")
        within(10, daemon.ready, "ready: its document was taken away")
        equal(daemon.stop(), 0, "exit status")


def accepted(daemon):
    daemon.write("b.yaml", spoilt("b.example", "240.240.3.2"))
    daemon.write("d.yaml", tcp("d.example", "240.240.3.4"))
    daemon.start()
    equal(waits(daemon), ["b.example"], "what is waited for")
    said = json.loads(daemon.shell("--json", "accept"))["accept"]
    check("1 hosts are what this node is to serve; 1 sources and hosts" in said, f"accept says {said}")
    check(daemon.ready(), "ready at once")
    equal(waits(daemon), [], "what is waited for")
    equal(set(listed(daemon)), {"d.example"}, "the list, on disk when the answer comes")
    equal(daemon.stop(), 0, "exit status")
    daemon.start()
    within(5, daemon.ready, "accepted once is accepted")
    equal(daemon.stop(), 0, "exit status")


CLOSING = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closing, namespace: default}
spec: {action: DENY, rules: [{when: [{key: experimental.nobody.knows, values: [x]}]}]}
"""


def only_closed(daemon):
    """No list, no other state, and a policy that cannot be evaluated closes every service: none is served."""
    for path in daemon.services.glob("*.yaml"):
        path.unlink()
    shutil.rmtree(daemon.directory / "state")
    daemon.write("c.yaml", tcp("c.example", "240.240.3.3"))
    daemon.write("p.yaml", CLOSING)
    daemon.leaves("errors", "a policy that closes", "p.yaml")
    daemon.start()
    equal([row["what"] for row in daemon.show("ready")["waits_for"]], ["services"], "what is waited for")
    every_column_selects(daemon, ["show ready"], set())
    equal(daemon.http("/ready")[0], 503, "/ready while every service is closed")
    equal([(s["host"], s["status"]) for s in daemon.show("objects")["services"]], [("c.example", "closed")], "the service's status")
    metric = 'meltemi_service_closed{service="c.example",by="AuthorizationPolicy default/closing"} 1'
    check(metric in daemon.http("/metrics")[1].splitlines(), "the metric of it")
    os.unlink(daemon.services / "p.yaml")
    within(10, daemon.ready, "ready, once it is not closed")
    daemon.wait_log("service c.example open again, ")
    check("meltemi_service_closed{" not in daemon.http("/metrics")[1], "the metric of a service that is open")
    log = daemon.process.errors()
    equal(log.count('level=warn module=worker msg="service c.example closed by AuthorizationPolicy default/closing'), 1, f"closed: {log}")
    equal(log.count("service c.example open again, "), 1, f"open again: {log}")
    equal(daemon.stop(), 0, "exit status")
    os.unlink(daemon.services / "c.yaml")


def beside_what_cannot_be_read(daemon):
    """A file that cannot be read keeps its own hosts from having left, and no others."""
    daemon.write("i.yaml", tcp("i.example", "240.240.3.9"))
    daemon.write("j.yaml", tcp("j.example", "240.240.3.10"))
    daemon.start()
    within(10, lambda: {"i.example", "j.example"} <= set(listed(daemon)), "the list is written")
    equal(daemon.stop(), 0, "exit status")
    (daemon.services / "i.yaml").unlink()
    (daemon.services / "i.yaml").symlink_to("/nowhere/i.yaml")
    os.unlink(daemon.services / "j.yaml")
    daemon.leaves("errors", "a dangling symbolic link", "i.yaml")
    daemon.start()
    within(5, daemon.ready, f"ready without the host of the file that was deleted: {daemon.show('ready')}")
    equal(daemon.stop(), 0, "exit status")
    (daemon.directory / "state/objects.jsonl").unlink()
    daemon.start()
    equal(waits(daemon), ["i.example"], "the host of the file that cannot be read is waited for")
    os.unlink(daemon.services / "i.yaml")
    within(10, daemon.ready, "ready: its document was taken away")
    equal(daemon.stop(), 0, "exit status")


def beside_a_misspelled_source(daemon):
    """A typo in the Node's source: all goes on, nothing leaves the list, and a host that is not served is waited for."""
    daemon.write("k.yaml", tcp("k.example", "240.240.3.11"))
    daemon.write("l.yaml", tcp("l.example", "240.240.3.12"))
    daemon.start()
    within(10, lambda: {"k.example", "l.example"} <= set(listed(daemon)), "the list is written")
    hosts, good = set(listed(daemon)), daemon.node.read_text()
    wrong = f"{daemon.services}z"
    daemon.leaves("errors", "a misspelled source", wrong)
    daemon.node.write_text(good.replace(f"directory: {daemon.services}", f"directory: {wrong}"))
    within(10, lambda: {"k-example", "l-example"} <= {row["name"] for row in daemon.show("last-good")["last_good"]}, "the objects stay")
    check(f"{wrong}: warning: no object is removed until it can be read" in daemon.process.errors(), "the log names the directory")
    told = [row["words"] for row in daemon.show("health")["health"]]
    check(any(f"{wrong} cannot be read: no object is removed" in words for words in told), f"health names the directory: {told}")
    check(daemon.ready(), "ready for good")
    equal(daemon.stop(), 0, "exit status")
    daemon.start()
    within(5, daemon.ready, f"ready, as all is served: {daemon.show('ready')}")
    daemon.shell("forget", "ServiceEntry", "default/k-example", fail=False)
    within(10, lambda: "k.example" not in {s["host"] for s in daemon.show("objects")["services"]}, "it is not served")
    equal(daemon.stop(), 0, "exit status")
    equal(set(listed(daemon)), hosts, "the list beside the typo")
    (daemon.directory / "state/objects.jsonl").unlink()
    daemon.start()
    equal(waits(daemon), sorted(hosts), "what is waited for")
    equal(daemon.http("/ready")[1].count(f"{wrong} cannot be read"), len(hosts), "/ready names the directory")
    equal(daemon.stop(), 0, "exit status")
    equal(set(listed(daemon)), hosts, "the list beside the typo")
    daemon.start()
    daemon.node.write_text(good)
    within(10, daemon.ready, "ready, once the Node is corrected")
    daemon.write("k.yaml", spoilt("k.example", "240.240.3.11"))
    within(10, lambda: set(listed(daemon)) == hosts - {"k.example"}, "the list follows again")
    os.unlink(daemon.services / "k.yaml")
    equal(daemon.stop(), 0, "exit status")
    # An operator decides: what is served beside the typo is all.
    daemon.node.write_text(good.replace(f"directory: {daemon.services}", f"directory: {wrong}"))
    (daemon.directory / "state/objects.jsonl").unlink()
    daemon.start()
    equal(waits(daemon), sorted(hosts - {"k.example"}), "what is waited for")
    daemon.shell("accept")
    equal((set(listed(daemon)), (daemon.directory / "state/served.json").exists()), (set(), True), "the list after accept")
    equal(daemon.stop(), 0, "exit status")


def nothing_served(daemon):
    """No list, no other state: at least one service must be served, or there is nothing to serve."""
    (daemon.directory / "state/served.json").unlink()
    os.unlink(daemon.services / "d.yaml")
    daemon.start()
    equal([row["what"] for row in daemon.show("ready")["waits_for"]], ["services"], "what is waited for")
    os.unlink(daemon.services / "b.yaml")
    within(10, daemon.ready, "ready: there is nothing to serve")
    equal(daemon.stop(), 0, "exit status")


def state_of_before(daemon):
    """A node that kept addresses and no list; a list that is damaged says nothing either."""
    for text in (None, "{", '{"version": 1, "hosts": [{}], "without": []}'):
        daemon.write("e.yaml", without_address("e.example"))
        daemon.write("f.yaml", without_address("f.example"))
        daemon.start()
        within(10, lambda: daemon.ready() and len(listed(daemon)) == 2, "ready")
        equal(daemon.stop(), 0, "exit status")
        path = daemon.directory / "state/served.json"
        path.unlink()
        if text:
            path.write_text(text)
        os.unlink(daemon.services / "f.yaml")
        daemon.write("e.yaml", without_address("e.example").replace("protocol: TCP", "protocol: UDP"))
        daemon.start()
        equal(waits(daemon), ["e.example"], "what is waited for")
        if text:
            check("served.json is damaged" in daemon.process.errors(), "a damaged list is told")
            daemon.leaves("errors", "a damaged list", "damaged")
        daemon.write("e.yaml", without_address("e.example"))
        within(10, daemon.ready, "ready")
        equal(daemon.stop(), 0, "exit status")


def body():
    with Lab(servers=1) as lab:
        daemon = lab.meltemi()
        held_and_removed(daemon)
        refused(daemon)
        accepted(daemon)
        nothing_served(daemon)
        state_of_before(daemon)
        only_closed(daemon)
        beside_what_cannot_be_read(daemon)
        beside_a_misspelled_source(daemon)


main(body)
