#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Meltemi between sidecars as a real istiod (1.31) configures them: Envoys under Istio's own agent, with its bootstrap, istiod's listeners,
clusters and endpoints, certificates that istiod signed, and Istio's redirection. One is in front of servers, as its istiod says PERMISSIVE
or STRICT and with its AuthorizationPolicy; one is in front of clients, whose calls come to Meltemi by mutual TLS. Dubbo, Thrift and byte
streams inside, by istiod's word and by documents, to a service of which one instance has a sidecar and one has none, without a DestinationRule.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import environment  # noqa: E402
import long_istiod_join as j  # noqa: E402
import sidecar_lab  # noqa: E402
from real_istiod import Istiod  # noqa: E402
from world import world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import Failure, check, equal, main, streams, within  # noqa: E402

BY_ISTIOD, BY_DOCUMENTS, MESHED_CALLER, PLAIN_CALLER, SIDECAR = "240.240.0.1", "240.240.0.9", "240.240.7.1", "203.0.113.7", "198.51.100.11"
NODE, CALLER = j.URI, "spiffe://cluster.local/ns/edge/sa/caller"
LIFE = 40  # seconds, of certificates while they are renewed
BOTH = {"s1", "s2"}
DUBBO, THRIFT, BYTES = 20880, 9090, 7000
# By istiod's word: a name that Istio does not know, so that its proxies look at the bytes, one that it does, and one of TCP.
OPAQUE = {DUBBO: "dubbo", THRIFT: "thrift", BYTES: "tcp-bytes"}
KNOWN = {DUBBO: "tcp-metaprotocol-dubbo", THRIFT: "tcp-metaprotocol-thrift", BYTES: "tcp-bytes"}
OF_DEMO = {"workloadSelector": {"labels": {"app": "demo"}}}
TLS, PLAIN = {"security.istio.io/tlsMode": "istio"}, {"security.istio.io/tlsMode": "disabled"}


def entry(namespace, host, vip, ports, **more):
    return document("networking.istio.io/v1", "ServiceEntry", namespace, host.split(".")[0], hosts=[host], addresses=[vip], resolution="STATIC",
                    location="MESH_INTERNAL", ports=[{"number": n, "name": name, "protocol": "TCP", "targetPort": n} for n, name in ports.items()], **more)


def document(api, kind, namespace, name, **spec):
    return json.dumps({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}) + "\n---\n"


def peer(mode):
    return document("security.istio.io/v1", "PeerAuthentication", "meta", "default", mtls={"mode": mode})


def allow(*principals):
    rule = {"from": [{"source": {"principals": [one.removeprefix("spiffe://") for one in principals]}}]}
    return document("security.istio.io/v1", "AuthorizationPolicy", "meta", "callers", action="ALLOW", rules=[rule])


WORKLOADS = "".join(document("networking.istio.io/v1", "WorkloadEntry", "meta", f"demo-v{n}", address=f"198.51.100.1{n}", serviceAccount="demo",
                             labels={"app": "demo", **mode}) for n, mode in ((1, TLS), (2, PLAIN)))
OF_ISTIOD = {
    "demo.yaml": entry("meta", "demo.example", BY_ISTIOD, OPAQUE, **OF_DEMO) + WORKLOADS,
    # For the callers' sidecar: its instance is Meltemi.
    "front.yaml": entry("shop", "front.example", MESHED_CALLER, OPAQUE, exportTo=["edge"],
                        endpoints=[{"address": PLAIN_CALLER, "serviceAccount": "vm", "labels": TLS}])}
OF_DOCUMENTS = (entry("meta", "documents.example", BY_DOCUMENTS, KNOWN, **OF_DEMO) + entry("meta", "front.example", PLAIN_CALLER, KNOWN, **OF_DEMO)
                + WORKLOADS)


# ---- calls: who answers, and what went wrong

def took(who):
    """A server that takes as many bytes as the first eight say, or, if they say nothing, all that there are, and then answers how many those were."""
    def handler(sock):
        wanted, length = int(sock.recv(8, socket.MSG_WAITALL) or 0), 0
        while (not wanted or length < wanted) and (data := sock.recv(streams.CHUNK)):
            length += len(data)
        sock.sendall(b"%d bytes by %s" % (length, who.encode()))
        sock.close()

    return handler


def tally(reports):
    """Of several clients' reports: who answered, and how many calls failed how."""
    who, wrong = set(), {}
    for report in reports:
        who |= {name.split("/")[1] for name in report["by_server"]}
        for kind, number in report["errors"].items():
            wrong[kind] = wrong.get(kind, 0) + number
    return who, wrong


def of_one(client):
    """A Dubbo client's report; one whose connection is reset as it is made has none."""
    try:
        return client.result()
    except Failure as failure:
        check("ConnectionResetError" in str(failure), str(failure))
        return {"by_server": {}, "errors": {"closed": 1}}


def dubbo(w, host):
    clients = [w.lab.dubbo_client(f"{host}:{DUBBO}", count=8, size=500) for _ in range(6)]
    return tally(of_one(client) for client in clients)


def thrift(w, host):
    return tally([w.lab.thrift_client(f"{host}:{THRIFT}", count=8, connections=8).result()])


def stream(w, host, length=200000):
    """
    Streams whose client ends its half first, and hears of all its bytes. Not those by the callers' sidecar: seen once in a thousand, Envoy (1.40)
    does not pass that end on, and says neither close-notify nor FIN.
    """
    who, wrong = set(), {}
    for _ in range(8):
        try:
            sock = w.lab.connect("client", host, BYTES)
            sock.sendall(b"%08d" % (length if host == MESHED_CALLER else 0) + b"x" * length)
            if host != MESHED_CALLER:
                sock.shutdown(socket.SHUT_WR)
            size, _, name = streams_text(sock).partition(" bytes by ")
            equal(size, str(length), "bytes that came")
            who.add(name)
            sock.close()
        except OSError as error:
            wrong[type(error).__name__] = wrong.get(type(error).__name__, 0) + 1
    return who, wrong


def streams_text(sock):
    text = b""
    while data := sock.recv(1000):
        text += data
    if not text:
        raise ConnectionAbortedError
    return text.decode()


HOW = {"native": {"dubbo": ("status-",), "thrift": ("application-",), "stream": ("Connection", "BrokenPipe")},
       "cut": {"dubbo": ("closed",), "thrift": ("closed",), "stream": ("Connection", "BrokenPipe")}}


def ends_as(found, who, how):
    """Each protocol's calls are answered by these; without `how` none fails, else some do, as a proxy of calls says it, or as the end of a stream."""
    for kind, (names, wrong) in found.items():
        if names != who or bool(wrong) != bool(how) or any(not text.startswith(HOW[how][kind]) for text in wrong):
            return False
    return True


def soon(w, host, who, how=None, seconds=40):
    found = {}

    def there():
        found.update({one.__name__: one(w, host) for one in (dubbo, thrift, stream)})
        return ends_as(found, who, how)

    try:
        within(seconds, there, f"{who} by {host}, {how or 'none fails'}")
    except Failure:
        raise Failure(f"calls to {host} within {seconds} s: {found}, expected {who} and {how or 'no error'}") from None


# ---- the lab

@contextlib.contextmanager
def bytes_servers(lab):
    with lab.listening("server1", BYTES, took("s1")), lab.listening("server2", BYTES, took("s2")):
        yield


def meltemi(w, out):
    daemon = w.daemon = w.lab.meltemi()
    daemon.write("services.yaml", OF_DOCUMENTS)
    directory = f"{{directory: {daemon.services}}}"
    text = daemon.node.read_text().replace(directory, f"{directory}, {{xds: {{bootstrap: {out}/bootstrap.json, identity: {out}}}}}")
    daemon.node.write_text(text.replace("spec:\n", f"spec:\n  mesh: {{namespace: shop, nodeIdentityUse: {{clients: [192.0.2.0/24, '{CALLER}']}}}}\n", 1))
    return daemon


@contextlib.contextmanager
def short_lives(lab, root):
    """While this lasts istiod signs with an authority that has LIFE left at most, and with another one every few seconds."""
    over = threading.Event()

    def work():
        while not over.wait(LIFE / 4):
            j.intermediate(lab.directory / "cacerts", root, LIFE)

    j.intermediate(lab.directory / "cacerts", root, LIFE)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        j.intermediate(lab.directory / "cacerts", root, 3600)


def control_plane(w, issuer, root):
    lab = w.lab
    j.keys_of(lab, issuer)
    istiod = Istiod(lab, lab.directory / "cacerts", j.server_pair(lab, root), lab.directory / "root.pem", sidecar_lab.MESH)
    for name, text in OF_ISTIOD.items():
        istiod.write(name, text)
    istiod.start(JWT_RULE=json.dumps({"issuer": j.ISSUER, "jwks_uri": f"http://127.0.0.1:{j.KEYS}/", "audiences": ["istio-ca"]}),
                 AUTO_RELOAD_PLUGIN_CERTS="true", **sidecar_lab.ISTIOD)
    return istiod


# ---- what istiod has made of the sidecars

def at(found, *path):
    """Whatever stands there, of each item of lists; nothing where nothing does."""
    if not path:
        return [found]
    if isinstance(found, list):
        return [one for item in found for one in at(item, *path)]
    return at(found[path[0]], *path[1:]) if isinstance(found, dict) and path[0] in found else []


def whole(sidecar):
    """Envoy runs all of what istiod says: no resource was refused; the certificate is istiod's for its account."""
    text = sidecar.admin("/config_dump")
    check("error_state" not in text, f"{sidecar.role}: Envoy refuses what istiod says: {text[text.find('error_state') - 200:][:800]}")
    dump = json.loads(text)
    equal(set(at(dump, "configs", "dynamic_active_secrets", "name")), {"default", "ROOTCA"}, f"{sidecar.role}: secrets of the agent")
    equal(set(at(json.loads(sidecar.admin("/certs")), "certificates", "cert_chain", "subject_alt_names", "uri")),
          {f"spiffe://cluster.local/ns/{sidecar.namespace}/sa/{sidecar.account}"}, f"{sidecar.role}: who it is")
    return dump


PERMISSIVE = {("raw_buffer", False, False), ("tls", True, True), ("tls", False, False)}


def of_servers(dump):
    """The chains in front of the servers' port: what transport they are for, whether for Istio's ALPN alone, whether they end mutual TLS."""
    inbound = next(one for one in at(dump, "configs", "dynamic_listeners", "active_state", "listener") if one["name"] == "virtualInbound")
    out = set()
    for one in inbound["filter_chains"]:
        match = one.get("filter_chain_match", {})
        if match.get("destination_port") == DUBBO:
            tls = one.get("transport_socket", {}).get("typed_config", {})
            out.add((match.get("transport_protocol"), "istio" in match.get("application_protocols", []), tls.get("require_client_certificate", False)))
    return out


def of_clients(dump):
    """What leads callers: mutual TLS to instances that istiod says have a sidecar, by the service's name, expecting its account."""
    cluster = next(one for one in at(dump, "configs", "dynamic_active_clusters", "cluster") if one["name"] == f"outbound|{DUBBO}||front.example")
    tls = cluster["transport_socket_matches"][0]
    equal(tls["match"], {"tlsMode": "istio"}, "which instances are spoken with by TLS")
    context = tls["transport_socket"]["typed_config"]
    equal(context["sni"], f"outbound_.{DUBBO}_._.front.example", "the name")
    equal(at(context, "common_tls_context", "combined_validation_context", "default_validation_context", "match_subject_alt_names", "exact"), [NODE],
          "whom it expects")
    equal(context["common_tls_context"]["alpn_protocols"], ["istio"], "what it offers")


def came_in(sidecar):
    """Connections that came to the servers' sidecar: who, for what name."""
    return {(row["peer"], row["sni"]) for row in sidecar.rows() if (row["cluster"] or "").startswith("inbound|")}


def went_out(sidecar):
    """To whom the callers' connections went, of those that came about."""
    return [row["up"] for row in sidecar.rows() if (row["cluster"] or "").startswith("outbound|") and row["flags"] == "-"]


# ---- what is held to

def put(w, istiod, text=None):
    """The same objects for istiod and for Meltemi."""
    for folder, write in ((istiod.config, istiod.write), (w.daemon.services, w.daemon.write)):
        if text:
            write("policies.yaml", text)
        else:
            (folder / "policies.yaml").unlink()
    w.daemon.shell("reload")


def stage(text):
    print(f"  {text}", flush=True)


def permissive(w, server, client):
    stage("PERMISSIVE: half meshed, by istiod's word and by documents, callers with a sidecar and without")
    for host in (BY_ISTIOD, BY_DOCUMENTS, PLAIN_CALLER, MESHED_CALLER):
        soon(w, host, BOTH)
    soon(w, SIDECAR, {"s1"})
    within(20, lambda: of_servers(whole(server)) == PERMISSIVE, "chains of PERMISSIVE")
    of_clients(whole(client))
    within(5, lambda: len(went_out(client)) > 20 and set(went_out(client)) == {NODE}, "to whom callers' connections went")
    # Connections of byte streams alone: those of messages are kept.
    wanted = {(NODE, f"outbound_.{port}_._.demo.example") for port in OPAQUE} | {(NODE, f"outbound_.{BYTES}_._.front.example"), (None, None)}
    within(5, lambda: wanted <= came_in(server), "who came to the servers' sidecar, for what name")


def strict(w, istiod, server):
    stage("STRICT: nobody in clear text, neither at the sidecar nor in front of the instance without one")
    put(w, istiod, peer("STRICT"))
    within(30, lambda: of_servers(whole(server)) == {("tls", False, True)}, "STRICT is in force at the sidecar", step=0.2)
    soon(w, SIDECAR, set(), "cut")
    soon(w, MESHED_CALLER, BOTH)
    soon(w, PLAIN_CALLER, {"s1"}, "native")
    soon(w, BY_DOCUMENTS, {"s1"}, "native")
    soon(w, BY_ISTIOD, {"s1"}, "cut")


def disabled(w, istiod, server):
    stage("DISABLE: in clear text alone, also to who has a sidecar, which would pass TLS on to the server")
    put(w, istiod, peer("DISABLE"))
    within(30, lambda: not any(tls for _, _, tls in of_servers(whole(server))), "DISABLE is in force at the sidecar", step=0.2)
    for host in (BY_ISTIOD, BY_DOCUMENTS, PLAIN_CALLER):
        soon(w, host, BOTH)


def serials(w, *sidecars):
    """Of everybody's certificate."""
    return [at(json.loads(one.admin("/certs")), "certificates", "cert_chain", "serial_number")[0] for one in sidecars] + [
        w.daemon.show("identity")["identity"][0]["serial"]]


def renewed(w, *sidecars):
    stage("certificates of all three are renewed by istiod, under other and other intermediate authorities, and no call is lost")
    clients = [w.lab.dubbo_client(f"{host}:{DUBBO}", connections=4, rate=100, seconds=600) for host in (BY_DOCUMENTS, MESHED_CALLER)]
    clients.append(w.lab.thrift_client(f"{MESHED_CALLER}:{THRIFT}", scenario="load", connections=2, seconds=600))
    for client in clients:
        client.wait_line("calling")
    before = serials(w, *sidecars)

    def there():
        for host in (BY_ISTIOD, MESHED_CALLER):  # new connections meanwhile
            equal(stream(w, host)[1], {}, f"streams to {host} that failed")
        return not set(before) & set(serials(w, *sidecars))

    within(2 * LIFE, there, "all certificates are other ones")
    for client in clients:
        client.kill(signal.SIGTERM)
        report = client.result(30)
        equal((report["failed"], report["crossed"]), (0, 0), f"calls that failed {report['errors']}")
        check(report["answered"] > 100, f"only {report['answered']} calls were answered")


def policies(w, istiod, server):
    stage("one AuthorizationPolicy for both: the sidecar judges Meltemi's principal, Meltemi that of the caller's sidecar")
    put(w, istiod, allow(NODE, CALLER))
    soon(w, SIDECAR, set(), "cut")
    soon(w, MESHED_CALLER, BOTH)
    soon(w, PLAIN_CALLER, {"s1"}, "native")
    put(w, istiod, allow(NODE))
    soon(w, MESHED_CALLER, {"s1"}, "native")
    check(w.daemon.counters()["proxy_exchange_denied"] > 0, "Meltemi denied no call")
    put(w, istiod, allow(CALLER))
    soon(w, MESHED_CALLER, {"s2"}, "native")
    soon(w, BY_ISTIOD, set(), "cut")
    within(5, lambda: any(row["peer"] == NODE and "rbac_access_denied" in (row["why"] or "") for row in server.rows()), "the sidecar's own word of it")
    put(w, istiod)
    for host in (BY_ISTIOD, BY_DOCUMENTS, PLAIN_CALLER, MESHED_CALLER):
        soon(w, host, BOTH)


def body():
    from istiod_peer import Authority, Issuer

    sidecar_lab.needed()
    with world() as w, bytes_servers(w.lab):
        lab, root, issuer = w.lab, Authority(), Issuer()
        w.peers(thrift=2)
        sidecar_lab.reach_istiod(lab, "server1", "client")
        with short_lives(lab, root):
            istiod = control_plane(w, issuer, root)
            server = sidecar_lab.Sidecar(lab, "server1", issuer, "meta", "demo", SIDECAR, {"app": "demo"}, outbound="*")
            client = sidecar_lab.Sidecar(lab, "client", issuer, "edge", "caller", "192.0.2.2", outbound=f"{MESHED_CALLER}/32", inbound="")
            daemon = meltemi(w, j.joined(lab, root, issuer))
            daemon.start()
            server.wait()
            client.wait()
            permissive(w, server, client)
            renewed(w, server, client)
        strict(w, istiod, server)
        disabled(w, istiod, server)
        policies(w, istiod, server)
        equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    if sys.argv[1:] != ["inside"]:
        python = environment.control_plane()
        os.execv(python, [python, __file__, "inside"])
    main(body)
