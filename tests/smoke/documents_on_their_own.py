#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
One document that is wrong, ignored or illegible costs itself only, its last good version goes on over a restart, and what
protects and cannot be evaluated closes its services: who connects is refused, calls on connections of before are denied natively, and
nothing reaches a server (outcomes exchange_closed, opaque_closed, down_closed_by_policy).
"""

import json
import re
import signal
import subprocess
import time

from meltemi_lab import TESTS, Lab, check, equal, main, within
from meltemi_lab.check import PATIENCE
from meltemi_lab.columns import every_column_selects
from meltemi_lab.daemon import MELTEMID

DUBBO = "240.240.0.10:20880"
ECHO = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bytes, namespace: meta-dubbo}
spec:
  hosts: [bytes.example.com]
  addresses: [240.240.0.77]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9000, name: tcp}]
  endpoints: [{address: 198.51.100.11, ports: {tcp: 20880}}]
"""
FOREIGN = """apiVersion: v1
kind: List
items:
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: meta-dubbo}, spec: {replicas: 2}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: meta-dubbo}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: for-nobody}
spec: {host: nowhere.example.com}
"""
POLICY = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: nobody, namespace: meta-dubbo}\nspec: %s\n"


def statuses(daemon):
    return {(o["kind"], o["name"]): o for o in daemon.show("objects")["objects"]}


def calls(lab, **wanted):
    report = lab.dubbo_client(DUBBO, count=200, outstanding=4).result()
    for name, value in wanted.items():
        equal(report[name], value, f"{name} of 200 calls: {report}")
    return report


def is_refused(lab, address, port):
    try:
        lab.connect("client", address, port).close()
    except ConnectionRefusedError:
        return True
    return False


def is_reset(sock):
    sock.settimeout(PATIENCE)
    try:
        return sock.recv(10) is None
    except ConnectionResetError:
        return True


def settle(daemon, seconds=PATIENCE, **wanted):
    """Waits until objects have these statuses: KIND_NAME=status."""
    end = time.monotonic() + seconds
    while True:
        have = {f"{kind}_{name}".replace("-", "_"): o["status"] for (kind, name), o in statuses(daemon).items()}
        if all(have.get(name) == status for name, status in wanted.items()):
            return
        check(time.monotonic() < end, f"objects are {have}, not {wanted}")
        time.sleep(0.1)


def foreign_and_wrong(lab, daemon):
    """What has nothing to do with us, and what is wrong, beside what is good."""
    daemon.write("foreign.yaml", FOREIGN)
    daemon.write("broken.yaml", "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: half\n")
    settle(daemon, Deployment_web="ignored", ConfigMap_meta_dubbo="ignored", DestinationRule_for_nobody="no-effect", Gateway_half="refused",
           VirtualService_test_dubbo_route="in-force")
    calls(lab, answered=200, failed=0)
    metrics = daemon.http("/metrics")[1]
    for words in ('meltemi_configuration_objects{status="ignored"} 2', 'meltemi_configuration_objects{status="refused"} 1',
                  "meltemi_configuration_refused 1", "meltemi_control_loop_longest_seconds 0."):
        check(words in metrics, f"/metrics does not say {words}")
    status, text = daemon.check()
    equal(status, 1, f"exit status of --check beside a broken document ({text})")
    check(re.findall("warning: .*", text) == re.findall("warning: no effect: spec.host: .*nowhere.example.com.*", text) and "cannot be read" not in text and "broken.yaml:4: error" in text, f"--check says {text}")
    daemon.write("broken.yaml", "# nothing\n")
    settle(daemon, Gateway_half=None)
    equal(daemon.check()[0], 0, "exit status of --check beside ignored documents")


def last_good(lab, daemon):
    """The last good version goes on, also over a restart, while others change; deleted is deleted."""
    document = daemon.services / "dubbo-traffic-splitting.yaml"
    good = document.read_text()
    daemon.write(document.name, good.replace("subset: v2", "subset: [v9]"))
    settle(daemon, VirtualService_test_dubbo_route="last-good")
    before = calls(lab, answered=200, failed=0)
    check("subset" in statuses(daemon)[("VirtualService", "test-dubbo-route")]["reason"], "the reason does not name the subset")
    equal(daemon.show("last-good")["last_good"][0]["name"], "test-dubbo-route", "show last-good")
    check("; but 1 object stays in force in its last good version (" in daemon.show("config")["last_reload"], "show config does not count the document")
    every_column_selects(daemon, ["show last-good"], set())
    daemon.process.popen.send_signal(signal.SIGKILL)
    daemon.process.popen.wait()
    daemon.start()
    settle(daemon, VirtualService_test_dubbo_route="last-good")
    after = calls(lab, answered=200, failed=0)
    equal(set(after["hosts"]), set(before["hosts"]), "servers that are called after a restart") if "hosts" in after else None
    check("last-good" in daemon.shell("show", "health", fail=False), "show health does not report a document in its last good version")
    done = daemon.shell("forget", "VirtualService", "meta-dubbo/test-dubbo-route", fail=False)
    settle(daemon, VirtualService_test_dubbo_route="refused")
    check("; but 1 object is refused (" in daemon.show("config")["last_reload"], "show config does not count the refused document")
    daemon.write(document.name, good)
    settle(daemon, VirtualService_test_dubbo_route="in-force")
    return done


def unenforced(lab, daemon):
    """The Node's word leaves one object out, as soon as its file says so, and is taken back the same way."""
    said = daemon.node.read_text()
    policy = statuses(daemon)[("AuthorizationPolicy", "nobody")]
    row = {"kind": "AuthorizationPolicy", "namespace": "meta-dubbo", "name": "nobody", "hash": policy["hash"], "until": "2099-12-31",
           "because": "a test"}
    daemon.node.write_text(said.rstrip("\n") + f"\n  unenforced: [{json.dumps(row)}]\n")
    settle(daemon, AuthorizationPolicy_nobody="no-effect")
    calls(lab, answered=200, failed=0)
    check("not enforced until 2099-12-31" in daemon.shell("show", "health", fail=False), "show health says nothing of what is not enforced")
    daemon.node.write_text(said)
    settle(daemon, AuthorizationPolicy_nobody="fail-closed")


def closed(lab, daemon):
    """Refused, or denied natively who was there before; nothing reaches a server, byte streams end; what makes no difference closes nothing."""
    daemon.write("bytes.yaml", ECHO)
    daemon.write("policy.yaml", POLICY % "{action: AUDIT, rules: [{}]}")
    settle(daemon, ServiceEntry_bytes="in-force", AuthorizationPolicy_nobody="in-force-with-notes")
    calls(lab, answered=200, failed=0)
    stream = lab.connect("client", "240.240.0.77", 9000)
    load, before = lab.dubbo_client(DUBBO, connections=2, outstanding=2, seconds=600), daemon.counters()["proxy_exchange_answered"]
    within(20, lambda: daemon.counters()["proxy_exchange_answered"] >= before + 20, "calls before the service is closed")
    custom = POLICY % "{action: CUSTOM, provider: {name: none}, rules: [{}]}"
    daemon.write("policy.yaml", custom)
    settle(daemon, AuthorizationPolicy_nobody="fail-closed")
    served = daemon.counters()["proxy_up_opened"]
    check(is_reset(stream), "a byte stream of before is not reset")
    equal(daemon.counters()["proxy_opaque_closed"], 1, "byte streams of before that were closed")
    for address, port in (("240.240.0.77", 9000), tuple(DUBBO.split(":"))):
        check(is_refused(lab, address, int(port)), f"{address}:{port} of a closed service is open")
    equal(daemon.counters()["proxy_down_closed_by_policy"], 2, "connections refused")
    within(20, lambda: daemon.counters().get("proxy_exchange_closed", 0) >= 200, "calls on connections of before are denied")
    load.kill(signal.SIGTERM)
    report = load.result()
    equal(set(report["errors"]), {"status-70"} if report["failed"] else set(), f"calls on connections of before: {report}")
    check(report["failed"] >= 200 and report["answered"] >= 20, f"calls on connections of before: {report}")
    equal(daemon.counters()["proxy_up_opened"], served, "connections to servers for closed services")
    equal(daemon.counters()["proxy_exchange_closed"], report["failed"], "calls that are counted as closed")
    equal(daemon.counters()["proxy_reply_denied"], report["failed"], "native denials")
    every_column_selects(daemon, ["show objects"], set())
    refused = daemon.show("objects")["closed_by_policy"]
    equal([(row["name"], row["refused"]) for row in refused], [("nobody", report["failed"] + 3)], "what its object has refused")
    rows = {row["host"]: row for row in daemon.show("objects")["services"]}
    equal(rows["bytes.example.com"]["status"], "closed", "status of the service of bytes")
    check("meta-dubbo/nobody" in rows["bytes.example.com"]["by"], f"who closes it: {rows['bytes.example.com']}")
    equal(rows["reviews.prod.svc.cluster.local"]["status"], "served", "status of a service of another namespace")
    unenforced(lab, daemon)
    # Illegible, it goes on closing; deleted, it does not.
    daemon.write("policy.yaml", custom + "x: [\n")
    settle(daemon, AuthorizationPolicy_nobody="last-good")
    check(is_refused(lab, *DUBBO.split(":")), "a service beside a broken policy is open")
    (daemon.services / "policy.yaml").unlink()
    settle(daemon, AuthorizationPolicy_nobody=None)
    calls(lab, answered=200, failed=0)


def same_before_a_start(daemon):
    """--check --json says of objects what show objects says."""
    done = subprocess.run([MELTEMID, "-c", daemon.node, "-d", daemon.services, "--check", "--json"], text=True, capture_output=True, timeout=60, check=False)
    equal(done.returncode, 0, f"exit status of --check --json ({done.stderr})")
    check(json.loads(done.stdout)["objects"] == daemon.show("objects")["objects"], "--check --json and show objects differ")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        daemon.leaves("errors", "documents are broken", "module=config")
        foreign_and_wrong(lab, daemon)
        last_good(lab, daemon)
        closed(lab, daemon)
        same_before_a_start(daemon)


main(body)
