#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A codec file serves the talks' private protocol, beside the native codec of the same protocol. Its service is opaque TCP until there is a file, connections
to servers stay while the file means the same, and a mistake leaves the last good version in use. Documents in the shape of Aeraki's
demonstration of a private protocol (qza) are refused without its file, and in force and served with it.
"""

from meltemi_lab import TESTS, Lab, check, equal, main, within

OF_FILE, NATIVE, PRIVATE = "240.240.0.31:9200", "240.240.0.32:9200", "240.240.0.33:9200"
SERVICE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: prod}}
spec:
  hosts: [{name}.example.com]
  addresses: [{address}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9200, name: tcp-metaprotocol-{protocol}}}]
  endpoints: [{{address: 198.51.100.11}}, {{address: 198.51.100.12}}]
---
"""
APPLICATION = """apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: ApplicationProtocol
metadata: {name: qza, namespace: istio-system}
spec: {protocol: qza, codec: aeraki.meta_protocol.codec.qza}
"""
FILE = (TESTS / "codecfiles/files/awesome.yaml").read_text()


def status(daemon, kind, name):
    return next((o["status"] for o in daemon.show("objects")["objects"] if (o["kind"], o["name"]) == (kind, name)), None)


def has_status(daemon, wanted, name="awesome", kind="Codec"):
    within(20, lambda: status(daemon, kind, name) == wanted, f"{kind} {name} is {wanted}")


def calls(lab, target):
    """200 calls, and how many of them were read as messages."""
    before = lab.daemon.counters()["proxy_exchange_answered"]
    report = lab.awesome_client(target, count=200, outstanding=8).result()
    equal((sum(report["by_server"].values()), report["errors"]), (200, {}), f"calls to {target}: {report}")
    return lab.daemon.counters()["proxy_exchange_answered"] - before


def opened(daemon):
    return daemon.counters()["proxy_up_opened"]


def private(lab, codecs):
    daemon = lab.daemon
    daemon.write("qza.yaml", SERVICE.format(name="teller", address="240.240.0.33", protocol="qza") + APPLICATION)
    has_status(daemon, "refused", "qza", "ApplicationProtocol")
    equal(calls(lab, PRIVATE), 0, "messages of qza without its file")
    type(daemon.node)(codecs / "qza.yaml").write_text(FILE.replace("name: awesome", "name: qza"))
    has_status(daemon, "in-force", "qza")
    has_status(daemon, "in-force", "qza", "ApplicationProtocol")
    equal(calls(lab, PRIVATE), 200, "messages of qza that the codec of the file read")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.awesome_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi()
        codecs = daemon.directory / "codecs"
        codecs.mkdir()
        daemon.node.write_text(daemon.node.read_text().rstrip("\n") + "\n  codecs: [codecs]\n")
        daemon.write("services.yaml", SERVICE.format(name="file", address="240.240.0.31", protocol="awesome") +
                     SERVICE.format(name="native", address="240.240.0.32", protocol="awesomerpc"))
        daemon.start()
        daemon.leaves("errors", "a codec file is broken", "module=config")
        file = type(daemon.node)(codecs / "awesome.yaml")

        equal(calls(lab, OF_FILE), 0, "messages at a port without its codec")
        file.write_text(FILE)
        has_status(daemon, "in-force")
        equal(calls(lab, OF_FILE), 200, "messages that the codec of the file read")
        equal(calls(lab, NATIVE), 200, "messages that the native codec read")

        before = opened(daemon)
        file.write_text(FILE + "# The same in other words.\n")
        daemon.shell("reload")
        equal(calls(lab, OF_FILE), 200, "messages after a comment")
        equal(opened(daemon), before, "connections to servers after a comment")

        file.write_text(FILE.replace("calls: multiplexed", "calls: often"))
        has_status(daemon, "last-good")
        equal(calls(lab, OF_FILE), 200, "messages beside a mistake")
        equal(opened(daemon), before, "connections to servers beside a mistake")

        file.write_text(FILE.replace("max: 16777216", "max: 16777215"))
        has_status(daemon, "in-force")
        equal(calls(lab, OF_FILE), 200, "messages after a change")
        check(opened(daemon) > before, "the servers' connections of the earlier version are used")

        file.unlink()
        has_status(daemon, None)
        equal(calls(lab, OF_FILE), 0, "messages after the file was removed")
        equal(calls(lab, NATIVE), 200, "messages that the native codec read")

        private(lab, codecs)


main(body)
