#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Meltemi between Envoys, configured as Istio configures sidecars: Dubbo, Thrift and byte streams of clients behind an Envoy and of clients
without one, to instances behind an Envoy and to one without, by TLS 1.3 and 1.2; and certificates that are renewed while
calls go on.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "xds"))

import environment  # noqa: E402
from envoy_words import chain, address, cluster, common, permissive, socket_of  # noqa: E402
from meltemi_lab import Lab, check, equal, main  # noqa: E402
from meltemi_lab.check import within  # noqa: E402
from meltemi_lab.meshed import BYTES, CALLER, NODE, QUOTES, VIP, Mesh  # noqa: E402

THRIFT = "240.240.1.3"
CALC = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: calc, namespace: shop}
spec:
  hosts: [calc.shop]
  addresses: [240.240.1.3]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9090, name: tcp-metaprotocol-thrift, protocol: TCP}]
  endpoints:
  - {address: 198.51.100.11, serviceAccount: quotes, labels: {security.istio.io/tlsMode: istio}, ports: {tcp-metaprotocol-thrift: 15009}}
"""


class EnvoyMesh(Mesh):
    """Whose sidecars are Envoys."""

    def sidecar(self, role, side, who, **options):
        name = f"envoy-{role}-{options['listen'].rsplit(':', 1)[1]}"
        identity = self.lab.directory / name
        identity.mkdir()
        cert, key = self.authority.sign(name, f"URI:{who}")
        for source, file in ((cert, "cert-chain.pem"), (key, "key.pem"), (self.authority.roots, "root-cert.pem")):
            (identity / file).write_bytes(source.read_bytes())
        newest = "TLSv1_2" if options.get("max-version") == "1.2" else "TLSv1_3"
        if side == "server":
            listener, to = permissive(options["listen"], identity, "to", strict=True, newest=newest), cluster("to", options["to"])
        else:
            tls = common(identity, {"exact": NODE}, ["istio-peer-exchange", "istio"], tls_minimum_protocol_version="TLSv1_2",
                         tls_maximum_protocol_version=newest)
            listener = {"name": "out", "address": address(options["listen"]), "filter_chains": [chain("to")]}
            to = cluster("to", options["to"], socket_of("UpstreamTlsContext", tls, sni=options["sni"]))
        config = identity / "envoy.json"
        config.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [to]}}))
        process = self.lab.run(role, name, [environment.envoy(), "--concurrency", "1", "--disable-hot-restart", "--use-dynamic-base-id",
                                            "-l", "error", "-c", config])
        host, port = options["listen"].rsplit(":", 1)
        within(20, lambda: self._listens(role, host, int(port)), f"{name} listens")
        return process

    def _listens(self, role, host, port):
        try:
            self.lab.connect(role, host, port).close()
        except OSError:
            return False
        return True


def seen(process):
    rows = [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]
    return [row for row in rows if row.get("peer") or row.get("up")]


def whole(report, by):
    equal((report["failed"], set(report["by_server"])), (0, by), f"calls, of which {report['answered']} are answered: {report['error_samples']}")


def rounds(m, lab):
    """Each way in, by each version, to each way out, for each protocol."""
    both = {"v1/s1", "v2/s2"}
    ways = {"plain": (f"{VIP}:20880", f"{BYTES}:20880", f"{THRIFT}:9090")}
    for number, version in enumerate(("1.3", "1.2")):
        ports = [20900 + 10 * number + at for at in range(3)]
        for port, to, host in zip(ports, ways["plain"], ("com.shop.quotes", "bytes.shop", "calc.shop")):
            m.sidecar("client", "client", CALLER, listen=f"127.0.0.1:{port}", to=to, sni=f"outbound_.{to.rsplit(':', 1)[1]}_._.{host}",
                      **{"max-version": version})
        ways[version] = [f"127.0.0.1:{port}" for port in ports]
    for quotes, stream, calc in ways.values():
        whole(m.calls(60, quotes, connections=4, size=3000), both)
        whole(m.calls(60, stream, connections=24, size=30000), both)  # each of them goes to one at random
        report = lab.thrift_client(calc, count=50).result()
        equal((report["failed"], report["answered"]), (0, 50), f"Thrift by {calc}")


def who_was_there(m):
    """Meltemi is to the sidecars who its certificate says, by names as Istio's."""
    m.inbound.stop()
    said = seen(m.inbound)
    check(said and {row["peer"] for row in said} == {NODE}, f"whom the server's Envoy saw: {said[:3]}")
    equal({row["sni"] for row in said}, {"outbound_.20880_._.com.shop.quotes", "outbound_.20880_._.bytes.shop"}, "what it was asked for")


def renewed(m):
    """The node's certificate is renewed twice while calls go on: none is lost."""
    clients = [m.lab.dubbo_client(target, seconds=6, connections=4, outstanding=2, timeout_ms=30000) for target in (f"{VIP}:20880", "127.0.0.1:20900")]
    for client in clients:
        client.wait_line("calling")
    for _ in range(2):
        serial = m.daemon.show("identity")["identity"][0]["serial"]
        m.identify()
        within(60, lambda was=serial: m.daemon.show("identity")["identity"][0]["serial"] != was, "the new certificate is in use")
    for client in clients:
        report = client.result()
        equal((report["failed"], report["crossed"], report["strays"]), (0, 0, 0), f"calls that were lost beside {report['answered']}")


def body():
    environment.envoy()
    with Lab(servers=2) as lab:
        m = EnvoyMesh(lab)
        lab.thrift_server(1, "v1").wait_line("ready")
        m.sidecar("server1", "server", QUOTES, listen="198.51.100.11:15009", to="127.0.0.1:9090")
        m.daemon.write("calc.yaml", CALC)
        m.daemon.start()
        rounds(m, lab)
        renewed(m)
        who_was_there(m)


main(body)
