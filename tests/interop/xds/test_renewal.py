#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A machine that joined, over the life of its certificates: a real meltemid with the identity that `meltemi join` wrote, and an
authority whose certificates live for seconds. It is renewed while calls run, by the certificate; while the control plane is
away it expires, which is told and hurts no call; when it is back the token has its turn. Files that come later than the start
are taken all the same.
"""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import environment  # noqa: E402
import test_join  # noqa: E402
sys.path.insert(0, str(HERE.parents[1] / "smoke"))
from meltemi_lab import Lab, becomes, check, equal, main, netns, within  # noqa: E402
from meltemi_lab.daemon import SHELL  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

CONTROL = "198.18.0.2"
HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
LIFETIME = 6
CREATE = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
URI = "spiffe://cluster.local/ns/shop/sa/vm"


def bundle(lab, python):
    """What Istio would hand out, with the root and the token of an authority in a namespace of its own."""
    control = lab._add("control")
    netns.veth(lab.namespace("mesh"), "x0", control, "x1")
    netns.run("ip", "-n", lab.namespace("mesh"), "addr", "add", "198.18.0.1/30", "dev", "x0")
    netns.run("ip", "-n", control, "addr", "add", f"{CONTROL}/30", "dev", "x1")
    given = lab.directory / "given"
    given.mkdir()
    peer = lab.run("control", "istiod", [python, HERE / "istiod_peer.py", "--listen", f"{CONTROL}:15012", "--directory", given,
                                         "--lifetime", LIFETIME])
    peer.wait_line('"ready"')
    text = lambda name: (given / name).read_text()
    b = test_join.Bundle(lab.directory / "bundle", types.SimpleNamespace(pem=lambda: text("root-cert.pem")),
                         types.SimpleNamespace(token=lambda: text("istio-token")), types.SimpleNamespace(port=15012))
    b.dir.mkdir()
    b.files["hosts"] = f"{CONTROL} {test_join.HOST}\n"
    b.write()
    return peer, b


def join(lab, b):
    out = lab.directory / "identity"
    done = subprocess.run(["ip", "netns", "exec", lab.namespace("mesh"), SHELL, "join", "-o", out, b.dir], capture_output=True,
                          text=True, timeout=60, check=False)
    equal(done.returncode, 0, f"exit status of join: {done.stdout}{done.stderr}")
    return out


def start(lab, out):
    daemon = lab.meltemi()
    daemon.leaves("errors", "its identity is taken away", "identity.json: No such file")
    text = daemon.node.read_text()
    directory = f"{{directory: {daemon.services}}}"
    check(directory in text, "the Node document has no directory")
    text = text.replace(directory, f"{directory}, {{xds: {{bootstrap: {out}/bootstrap.json, identity: {out}}}}}")
    daemon.node.write_text(text + f"  identities: [{{principal: '{URI}', xds: mesh}}]\n")
    daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
    return daemon.start()


def calls_of(peer):
    return [json.loads(line) for line in peer.output().splitlines() if '"path"' in line]


def asked(peer, **how):
    """How many certificates were asked for in that way."""
    return sum(row["path"] == CREATE and all(row[k] == v for k, v in how.items()) for row in calls_of(peer))


def shown(peer):
    """How many different certificates the discovery service has seen."""
    return len({row["serial"] for row in calls_of(peer) if row["path"].startswith(ADS)})


def words(daemon):
    return next(row["identity"] for row in daemon.show("xds")["sources"] if row.get("identity"))


def left(daemon):
    """What an alert is made of, in seconds."""
    found = re.search(r'^meltemi_identity_left_seconds\{source=".*"\} (\S+)$', daemon.http("/metrics")[1], re.M)
    check(found, "there is no meltemi_identity_left_seconds")
    return float(found.group(1))


def shows(daemon, state):
    """What its peers see is that certificate, the newest one; nothing but the source says who the node is."""
    row, held = daemon.show("identity")["identity"]
    equal((row["state"], row["principal"], row["source"], row["directory"]), (state, URI, "xds:mesh", None), "the node's identity")
    equal((held["for"], held["state"], held["source"], held["serial"]), (URI, state, "xds:mesh", row["serial"]), "the same, held for its principal")
    return row["serial"]


def says(daemon, text, seconds=20):
    found = within(seconds, lambda: (w := words(daemon)) and text in w and w, f"an identity that is {text}", step=0.2)
    print(f"    {found}", flush=True)


def renewed(peer, daemon, out):
    """Twice, each time with the certificate that is there; every new one is shown to the discovery server."""
    check("listener changed" not in daemon.process.errors(), "the identity came after listeners were there")
    first, number = (out / "identity.pem").read_text(), shows(daemon, "good")
    within(30, lambda: asked(peer, certificate=URI) >= 2, "two renewals", step=0.2)
    within(10, lambda: (out / "identity.pem").read_text() != first, "a new file", step=0.2)
    # The first, which join has shown already, and those that came after.
    within(10, lambda: shown(peer) >= 3, "streams with the new certificates", step=0.2)
    within(10, lambda: shows(daemon, "good") != number, "a node that shows the new certificate", step=0.2)
    equal(asked(peer, token=True), 1, "requests with the token: the one of join")
    says(daemon, "valid for")
    check(0 < left(daemon) <= LIFETIME, f"{left(daemon)} s are left of {LIFETIME}")


def away(peer, daemon):
    """Stopped, so that connections are taken and nothing answers; the certificate's life ends."""
    peer.pause()
    says(daemon, "expired", seconds=30)
    becomes(lambda: [("has expired" in row["words"], row["state"]) for row in daemon.show("health")["health"] if row["check"] == "certificates"][:1],
            [(True, "fault")], "`show health` of an expired certificate")
    check(left(daemon) <= 0, f"{left(daemon)} s are left of a certificate that has expired")
    shows(daemon, "expired")
    peer.kill(signal.SIGCONT)
    says(daemon, "valid for", seconds=60)
    check(asked(peer, token=True) >= 2, "the token was not used")


def comes_later(daemon, out):
    """Files that cannot be read at the start are told, and taken when they are there: no restart is needed."""
    equal(daemon.stop(), 0, "exit status")
    (out / "identity.json").rename(out / "elsewhere")
    daemon.start()
    says(daemon, "identity.json: No such file")
    (out / "elsewhere").rename(out / "identity.json")
    says(daemon, "valid for")


def body():
    python = environment.control_plane()
    with Lab(servers=1) as lab:
        peer, b = bundle(lab, python)
        lab.dubbo_server(1, "v1").wait_line("ready")
        out = join(lab, b)
        daemon = start(lab, out)
        calls = lab.dubbo_client(f"{VIP}:20880", connections=2, rate=400, seconds=600)
        calls.wait_line("calling")
        for case in (lambda: renewed(peer, daemon, out), lambda: away(peer, daemon)):
            began = time.monotonic()
            case()
            print(f"  {time.monotonic() - began:.1f} s", flush=True)
        calls.kill(signal.SIGTERM)
        report = calls.result(30)
        equal(report["failed"], 0, f"failed calls {report['errors']}")
        print(f"{report['answered']} calls, none failed; {asked(peer)} certificates", flush=True)
        comes_later(daemon, out)
        equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    main(body)
