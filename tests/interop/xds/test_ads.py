#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The gRPC client and the discovery protocol (state of the world, and delta) against go-control-plane: what is asked for
comes, changes come, refusals say why and do not loop, and whatever the server does (spoilt, late, huge or no answers, ended
streams, reset, cut and dead connections, strange certificates) is said in words and over when the server is well again.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import adsd  # noqa: E402
import mesh  # noqa: E402
from meltemi_lab import BUILD, check, equal, main, within  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402
from meltemi_lab.process import Process  # noqa: E402

PROBE = BUILD / "tests/interop/xds/xds_probe"
MESSAGE = 1 << 20  # the probe's bound
A, B = [mesh.name_of(host, 7000) for host in ("a.example", "b.example")]


class Probe:
    """The program under test, its events, and orders to it."""

    serial = 0

    def __init__(self, directory, target, *options):
        Probe.serial += 1
        self.process = Process(directory, f"probe{Probe.serial}", [PROBE, "--max", MESSAGE, *options, target], stdin=subprocess.PIPE)
        self.mark = 0

    def order(self, *lines):
        for line in lines:
            self.process.popen.stdin.write(line.encode() + b"\n")
        self.process.popen.stdin.flush()

    def events(self):
        return [json.loads(line) for line in self.process.output().split("\n")[:-1]]

    def here(self):
        """wait() looks at what comes from now on."""
        self.mark = len(self.events())

    def wait(self, seconds=10, **wanted):
        """The first event since here() with these values; a function is asked."""
        def fits(event):
            return all(value(event.get(key)) if callable(value) else event.get(key) == value for key, value in wanted.items())

        def found():
            if not self.process.running():
                raise Failure(f"the probe ended: {self.process.tail()}")
            return next((event for event in self.events()[self.mark:] if fits(event)), None)

        try:
            return within(seconds, found, "event", step=0.02)
        except Failure:
            raise Failure(f"no event {wanted} within {seconds} s: {self.events()[self.mark:][-5:]}") from None

    def update(self, kind, *names, seconds=10, **more):
        """Waits for an update of a type that holds these names."""
        return self.wait(seconds, event="update", type=kind, names=lambda found: set(names) <= set(found or []), **more)

    def quiet(self):
        """Waits until nothing has come for half a second: what a new stream asked for may come in any order."""
        seen = -1
        while seen != len(self.events()):
            seen = len(self.events())
            time.sleep(0.5)

    def status(self, kind):
        self.here()
        self.order(f"status {kind}")
        return self.wait(event="status")

    def stop(self):
        self.process.stop()


def services():
    return (mesh.service("a.example", "240.240.1.1", 7000, "dubbo", [("198.51.100.11", 20880)]) +
            mesh.service("b.example", "240.240.1.2", 7000, "thrift", [("198.51.100.12", 9090)], kind=mesh.meta_binary))


WANTED = ("wildcard cds", "wildcard lds", f"subscribe eds {A}", f"subscribe eds {B}", "subscribe rds a.example_7000")


def first_answers(server, probe):
    """Everything that was asked for comes, and is accepted."""
    version = server.apply(*services(), clear=True)
    probe.order(*WANTED)
    probe.update("CDS", A, B)
    probe.update("LDS", "240.240.1.1_7000", "240.240.1.2_7000")
    probe.update("EDS", A)
    probe.update("RDS", "a.example_7000")
    for kind in ("cds", "lds", "eds", "rds"):
        server.acked(kind, version)
    report = server.report()
    check("probe" in report["node"] and report["cluster"] == "probe", f"node as seen: {report['node']}")
    equal(probe.status("cds")["synced"], True, "everything answered")


def shapes(server, probe, delta):
    """What is not sound is refused by name, field and reason, and what stands beside it is taken."""
    address = mesh.cluster("bad.example", type="STATIC", loadAssignment=static(("no-address", 1)))
    port = mesh.cluster("bad.example", type="STATIC", loadAssignment=static(("198.51.100.1", 0)))
    nowhere = mesh.listener("bad.example", "no-address", 7000, mesh.tcp_proxy("x", A))
    soon = mesh.listener("bad.example", "240.240.1.9", 7000, mesh.meta_struct("dubbo", "a.example", 7000, idleTimeout="soon"))
    for kind, resource, field in (("cds", port, "port"), ("lds", soon, "idle")) if delta else \
            (("cds", address, "address"), ("lds", nowhere, "address")):
        probe.here()
        server.apply(resource)
        probe.wait(event="update", type=kind.upper(), good=False)
        print(f"    {server.refused(kind, field, *(['bad.example'] if delta else []))}", flush=True)
        probe.here()
        server.apply(remove=[(kind, "bad.example")])
        probe.wait(event="update", type=kind.upper(), good=True)


def static(*endpoints):
    body = mesh.assignment("bad.example", endpoints)
    del body["@type"]
    return body


def changes(server, probe, delta):
    """Of a change, delta carries what changed alone; what is removed is heard of; versions may go back."""
    probe.here()
    server.apply(mesh.assignment(A, [("198.51.100.13", 20880)]))
    found = probe.update("EDS", A)
    if delta:
        equal(found["names"], [A], "what came of one changed resource")
    probe.here()
    server.apply(remove=[("cds", B)])
    if delta:
        equal(probe.wait(event="update", type="CDS")["gone"], [B], "removed")
    else:
        found = probe.wait(event="update", type="CDS", names=lambda names: B not in names)
        equal((found["complete"], found["names"]), (True, [A]), "a complete answer without what was removed")
    probe.here()
    server.apply(mesh.cluster(B), version="99")
    probe.update("CDS", B)
    server.acked("cds", "99")
    server.apply(mesh.cluster(B, connectTimeout="2s"), version="7")
    server.acked("cds", "7")


def refusals(server, probe, delta):
    """A NACK names the resource and the reason; a server that sends the same again at once makes no loop."""
    probe.here()
    before = server.report()
    server.faults(resend=True)
    server.apply(mesh.cluster("c.example"), unreadable=["broken.example"])
    found = probe.update("CDS", "c.example")
    equal(found["good"], False, "one was bad")
    time.sleep(3.2)
    # In the state of the world only the bytes have a name.
    server.refused("cds", "broken.example" if delta else "no such message")
    after = server.report()
    server.faults()
    nacks = after["types"]["cds"]["nacks"] - before["types"]["cds"]["nacks"]
    rest = after["types"]["cds"]["requests"] - before["types"]["cds"]["requests"]
    print(f"    {nacks} NACKs, {rest} requests in 3 s of a server that sends again at once", flush=True)
    check(1 <= nacks <= 4 and rest <= 6, f"a loop: {after['types']['cds']}")
    probe.here()
    server.apply(remove=[("cds", "broken.example"), ("cds", "c.example")])
    probe.wait(event="update", type="CDS", good=True)
    within(5, lambda: probe.status("cds")["error"] == "", "the refusal is history")


def interruptions(server, probe, delta):
    """After each ended stream and reset or cut connection everything is asked for again; delta says what it has."""
    for how in ("streams", "connections"):
        before = server.report()
        probe.here()
        server.drop(how)
        probe.wait(event="end" if how == "streams" else "down")
        within(10, lambda: server.report()["streams_opened"] > before["streams_opened"], "a new stream")
        within(10, lambda: set(server.seen("eds")["names"]) == {A, B}, "the endpoints are asked for again")
        time.sleep(0.3)
        came = server.seen("cds")["resources"] - before["types"]["cds"]["resources"]
        if delta:
            equal(came, 0, f"clusters sent again after {how} were dropped")
    probe.here()
    server.faults(cut=200)
    server.apply(mesh.assignment(A, [(f"198.51.100.{n}", 20880) for n in range(1, 100)]))
    print(f"    cut: {probe.wait(event='down')['why']}", flush=True)
    probe.update("EDS", A)


def spoilt(server, probe, delta):
    """Answers that are no protobuf or lack their end cost the stream, and nothing else."""
    for serial, fault in enumerate(({"garbage": 1}, {"truncate": 1})):
        probe.here()
        server.faults(**fault)
        server.apply(mesh.assignment(A, [("198.51.100.14", 20881 + serial)]))
        print(f"    {fault}: {probe.wait(event='end')['words']}", flush=True)
        probe.update("EDS", A)
    probe.quiet()
    server.faults(hold=True)
    probe.here()
    server.apply(mesh.assignment(A, [("198.51.100.15", 20881)]))
    time.sleep(0.5)
    equal([event for event in probe.events()[probe.mark:]], [], "events while the server holds its answer")
    server.faults(rate=4000)
    probe.update("EDS", A)
    server.faults()


def too_large(server, probe, delta):
    """A message beyond the bound ends the stream, in words; tries come further and further apart."""
    probe.here()
    before = server.report()["streams_opened"]
    server.apply(huge=2 * MESSAGE)
    print(f"    huge: {probe.wait(event='end')['words']}", flush=True)
    time.sleep(2)
    opened = server.report()["streams_opened"] - before
    check(opened <= 25, f"{opened} streams in 2 s")
    probe.here()
    server.apply(remove=[("cds", "huge.example")])
    probe.wait(event="update", type="CDS", names=lambda names: delta or A in (names or []))


def refused_streams(server, probe, delta):
    """A server that ends each stream says why."""
    probe.here()
    server.faults(refuse=16, words="authentication failure")
    server.drop("streams")
    probe.wait(event="end", status=16, words=lambda words: "authentication failure" in words)
    probe.here()
    server.faults()
    within(10, lambda: server.report()["streams"] == 1, "a stream again")


CASES = (shapes, changes, refusals, interruptions, spoilt, too_large, refused_streams)


def plaintext(directory):
    for delta in (False, True):
        server = adsd.Adsd(directory, name=f"adsd-{delta}")
        probe = Probe(directory, server.ads, *(["--delta"] if delta else []))
        print("delta" if delta else "state of the world", flush=True)
        probe.wait(event="up")
        first_answers(server, probe)
        equal(server.report()["delta"], delta, "the kind of requests")
        for case in CASES:
            began = time.monotonic()
            case(server, probe, delta)
            print(f"  {case.__name__}: {time.monotonic() - began:.1f} s", flush=True)
        probe.stop()
        server.stop()


def silent(directory):
    """A server that neither says nor closes anything is given up, and used again when it speaks."""
    server = adsd.Adsd(directory, name="adsd-silent", ping_min="1ms")
    server.apply(*services())
    probe = Probe(directory, server.ads, "--ping-ms", "500")
    probe.order(*WANTED)
    probe.update("CDS", A)
    time.sleep(2)
    equal([event for event in probe.events() if event["event"] == "down"], [], "ends while the server answers pings")
    probe.here()
    server.faults(freeze=True)
    print(f"silent: {probe.wait(event='down')['why']}", flush=True)
    server.faults()
    probe.wait(event="up")
    probe.update("CDS", A)
    probe.stop()
    server.stop()


def identities(directory):
    """Mutual TLS: who is not who it should be is refused, in words; a certificate that was renewed is taken."""
    certs = adsd.certificates(directory / "certs")
    server = adsd.Adsd(directory, name="adsd-tls", certs=certs, tls=True)
    server.apply(*services())
    probe = Probe(directory, server.ads, "--certs", certs)
    probe.order(*WANTED)
    probe.update("CDS", A)
    equal(server.report()["peer"], ["spiffe://cluster.local/ns/meta/sa/default"], "who the server sees")
    for identity, word in (("wrong-name", "mismatch"), ("expired", "expired"), ("stranger", "issuer")):
        server.faults(identity=identity)
        probe.here()
        server.drop("connections")
        why = probe.wait(event="down", why=lambda text, word=word: word in (text or ""))["why"]
        print(f"server {identity}: {why}", flush=True)
    server.faults()
    probe.here()
    probe.update("CDS", A, seconds=20)
    probe.stop()
    other = Probe(directory, server.ads, "--certs", certs, "--client", "client-expired")
    print(f"client-expired: {other.wait(event='down', why=lambda text: 'certificate' in (text or ''))['why']}", flush=True)
    other.stop()
    server.stop()


def aeraki(directory):
    """Routes over a stream of their own, from a server as Aeraki's; its empty answer is an answer without routes."""
    certs = adsd.certificates(directory / "certs")
    server = adsd.Adsd(directory, name="adsd-aeraki", certs=certs, rds="127.0.0.1:0")
    server.apply(mesh.routes("a.example_7000", A), mesh.routes("b.example_7000", B), plane="rds")
    probe = Probe(directory, server.rds, "--certs", certs, "--path",
                  "/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes")
    began = time.monotonic()
    probe.order("subscribe rds a.example_7000")
    found = probe.update("RDS", "a.example_7000")
    check(time.monotonic() - began > 0.9, "the server answered before it was quiet for a second")
    equal((found["names"], found["complete"]), (["a.example_7000"], False), "routes that came")
    check(int(found["version"]) > 1_700_000_000, f"its version is a time: {found['version']}")
    time.sleep(1)  # versions are seconds
    probe.here()
    server.faults(plane="rds", empty=True)
    server.apply(plane="rds")
    found = probe.wait(event="update", type="RDS")
    equal((found["names"], found["gone"], found["complete"]), ([], [], False), "the empty answer")
    time.sleep(1)
    probe.here()
    server.faults(plane="rds")
    server.apply(mesh.routes("a.example_7000", B), plane="rds")
    probe.update("RDS", "a.example_7000")
    probe.stop()
    server.stop()


def body():
    adsd.build()
    if not PROBE.exists():
        raise Failure(f"{PROBE} is not built: ninja -C {BUILD}")
    with tempfile.TemporaryDirectory(prefix="meltemi-ads-") as name:
        directory = pathlib.Path(name)
        plaintext(directory)
        silent(directory)
        identities(directory)
        aeraki(directory)


if __name__ == "__main__":
    main(body)
