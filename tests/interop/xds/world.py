# SPDX-License-Identifier: Apache-2.0
"""
A lab whose Meltemi has a discovery server: adsd in a namespace of its own, reached by a veth that nothing else uses.

    mesh x0 198.18.0.1/30 ─── x1 198.18.0.2/30 control
"""

import contextlib
import itertools
import json
import signal

import adsd
from adsd import HERE  # noqa: F401  (its import makes meltemi_lab known)
from meltemi_lab import Lab, check, equal, netns, within
from meltemi_lab.check import Failure

HOST, VIP, PORT = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1", 20880
THRIFT, THRIFT_VIP, THRIFT_PORT = "thrift.example", "240.240.1.2", 9090
CONTROL, ADS, RDS, ADMIN = "198.18.0.2", "198.18.0.2:15010", "198.18.0.2:15011", "127.0.0.1:18000"
_serial = itertools.count(1)


def _cluster(name, target, tls=None):
    host, port = target.rsplit(":", 1)
    endpoint = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}
    out = {"name": name, "type": "STATIC", "connect_timeout": "1s",
           "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
               "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
               "explicit_http_config": {"http2_protocol_options": {}}}},
           "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}}
    if tls:
        out["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": tls["name"],
            "common_tls_context": {
                "tls_certificates": [{"certificate_chain": {"filename": f"{tls['certs']}/{tls['client']}.pem"},
                                      "private_key": {"filename": f"{tls['certs']}/{tls['client']}.key"}}],
                "validation_context": {"trusted_ca": {"filename": f"{tls['certs']}/root.pem"},
                                       "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": tls["name"]}}]}}}}
    return out


def bootstrap(delta=False, tls=None, aeraki=None, target=ADS, **metadata):
    """A bootstrap as Envoy's. tls and aeraki: {"certs": directory, "client": identity, "name": the server's}."""
    clusters = [_cluster("xds-grpc", target, tls)]
    if aeraki:
        clusters.append(_cluster("aeraki-xds", RDS, aeraki))
    source = {"ads": {}, "resource_api_version": "V3"}
    return {
        "node": {"id": "sidecar~192.0.2.1~lab.meta~meta.svc.cluster.local", "cluster": "lab.meta",
                 "metadata": {"NAMESPACE": "meta", **metadata}, "locality": {"region": "lab"}},
        "dynamic_resources": {
            "ads_config": {"api_type": "DELTA_GRPC" if delta else "GRPC", "transport_api_version": "V3",
                           "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}]},
            "cds_config": source, "lds_config": source},
        "static_resources": {"clusters": clusters}}


class World:
    """The lab, its servers and clients; server() starts adsd, daemon is Meltemi."""

    def __init__(self, lab):
        self.lab = lab
        self.adsd = self.daemon = None
        self.bootstrap = lab.directory / "bootstrap.json"
        mesh_ns, control = lab.namespace("mesh"), lab._add("control")
        netns.veth(mesh_ns, "x0", control, "x1")
        netns.run("ip", "-n", mesh_ns, "addr", "add", "198.18.0.1/30", "dev", "x0")
        netns.run("ip", "-n", control, "addr", "add", f"{CONTROL}/30", "dev", "x1")
        self.certs = adsd.certificates(lab.directory / "certs")

    def server(self, **options):
        """Starts the discovery server; a second one takes the place of one that was stopped."""
        self.adsd = adsd.Adsd(self.lab.directory, self.lab.namespace("control"), f"adsd{next(_serial)}", ads=ADS, control=ADMIN,
                              **({"certs": self.certs, **options}))
        self.lab.processes.append(self.adsd.process)
        return self.adsd

    def meltemi(self, files=False, on_demand=None, resolv_conf=None, **shape):
        """
        Writes the Node document with the source beside the directory (files) or instead of it; on_demand: its onDemand, as
        YAML; start() is the caller's.
        """
        self.bootstrap.write_text(json.dumps(bootstrap(**shape), indent=1))
        self.daemon = self.lab.meltemi(**({"resolv_conf": resolv_conf} if resolv_conf else {}))
        text = self.daemon.node.read_text()
        directory = f"{{directory: {self.daemon.services}}}"
        more = f", onDemand: {on_demand}" if on_demand else ""
        source = f"{{xds: {{bootstrap: {self.bootstrap}, plaintext: true{more}}}}}"
        check(directory in text, "the Node document has no directory")
        self.daemon.node.write_text(text.replace(directory, f"{directory}, {source}" if files else source))
        return self.daemon

    def peers(self, dubbo=2, thrift=1, **options):
        """Real servers: Dubbo ones tagged v1, v2 on servers 1, 2; Thrift ones of the Apache library."""
        started = [self.lab.dubbo_server(n, f"v{n}", **options) for n in range(1, dubbo + 1)]
        started += [self.lab.thrift_server(n, f"t{n}") for n in range(1, thrift + 1)]
        for one in started:
            one.wait_line("ready", 30)

    def endpoint(self, number, port=PORT):
        return (self.lab.server(number), port)

    def xds(self):
        """What the shell shows of discovery."""
        return self.daemon.show("xds")

    def stream(self, state=None, reason="", stream="ADS", seconds=10):
        """Waits until `show xds` says of the stream that it is in that state and, last, had trouble in these words."""
        def there():
            return next((row for row in self.xds()["streams"] if row["stream"] == stream and state in (None, row["state"]) and
                         reason in (row["reason"] or "")), None)

        try:
            return within(seconds, there, "the stream", step=0.2)
        except Failure:
            raise Failure(f"the stream {stream} is not {state} with {reason!r} within {seconds} s: {self.xds()['streams']}") from None

    def problem(self, *texts, seconds=10):
        """Waits until `show xds` has a problem whose row holds the texts."""
        def there():
            return next((row for row in self.xds()["problems"] if all(text in json.dumps(row) for text in texts)), None)

        try:
            return within(seconds, there, "the problem", step=0.2)
        except Failure:
            raise Failure(f"show xds has no problem with {texts} within {seconds} s: {self.xds()['problems']}") from None

    def serves(self, expected, count=100, seconds=10, target=f"{VIP}:{PORT}"):
        """Waits until calls are answered by exactly these servers."""
        report = None

        def there():
            nonlocal report
            try:
                report = self.lab.dubbo_client(target, count=count, outstanding=4).result()
            except Failure:  # its listener is not there yet
                return False
            return set(report["by_server"]) == set(expected) and report["answered"] == count

        try:
            within(seconds, there, f"calls answered by {expected}", step=0.05)
        except Failure:
            raise Failure(f"not answered by {expected} within {seconds} s: {report}") from None
        return report

    @contextlib.contextmanager
    def traffic(self, thrift=True):
        """Calls without a pause while the block runs; not one of them may fail. Yields what the reports fill at its end."""
        reports = {}
        clients = {"dubbo": self.lab.dubbo_client(f"{VIP}:{PORT}", connections=2, rate=400, seconds=600)}
        if thrift:
            clients["thrift"] = self.lab.thrift_client(f"{THRIFT_VIP}:{THRIFT_PORT}", scenario="load", connections=2, seconds=600)
        for client in clients.values():
            client.wait_line("calling")
        yield reports
        for name, client in clients.items():
            client.kill(signal.SIGTERM)
            found = reports[name] = client.result(30)
            equal((found["failed"], found["crossed"]), (0, 0), f"{name} calls that failed or were crossed {found['errors']}")
            check(found["answered"] > 0, f"no {name} call was answered")


@contextlib.contextmanager
def world(servers=2, **shape):
    adsd.build()
    with Lab(servers=servers, **shape) as lab:
        yield World(lab)
