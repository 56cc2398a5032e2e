#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The mesh's mutual TLS on both sides of calls and byte streams: a service of which one instance is behind a sidecar and one is not; clients
with sidecars and without; who may borrow the node's identity; an instance that is not who it should be; certificates that are renewed
while calls go on, and are revoked.
"""

import json
import signal
import ssl
import time

from meltemi_lab import Lab, becomes, check, equal, main
from meltemi_lab.check import within
from meltemi_lab.columns import every_column_selects
from meltemi_lab.dubbo import request
from meltemi_lab.meshed import ACCOUNT, BYTES, CALLER, NODE, VIP, Mesh

STRICT = """apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
"""
# On a machine that other programs share a ClientHello may come later than after 1 s, and a handshake may take longer than connectTimeout's default of 1 s.
PATIENT = "".join(f"""apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: shop}}
spec: {{host: {host}, trafficPolicy: {{connectionPool: {{tcp: {{connectTimeout: 60s}}}}}}}}
---
""" for name, host in (("quotes", "com.shop.quotes"), ("bytes", "bytes.shop"))) + """apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "protocolDetectionTimeout: 30s"}
---
"""
OWN = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: own, namespace: shop}
spec:
  hosts: [com.shop.own]
  addresses: [240.240.1.3]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}]
  endpoints: [{address: 198.51.100.12, ports: {tcp-metaprotocol-dubbo: 15007}, labels: {app: own}}]
---
"""
BY_METHOD = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: by-method, namespace: shop}
spec: {selector: {matchLabels: {app: own}}, rules: [{to: [{operation: {methods: [call]}}]}]}
---
"""
CALLERS = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec: {rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/caller]}}]}]}
"""
AUDIT = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: watched, namespace: shop}
spec: {action: AUDIT, selector: {matchLabels: {app: quotes}}, rules: [{}]}
"""


def shown_once(m):
    """A service has filter chains for callers with TLS and without, and is one service all the same, wherever it is shown."""
    services = m.daemon.show("services")["services"]
    equal(sorted(row["service"] for row in services), ["bytes.shop", "com.shop.quotes"], "rows of `show services`")
    topology = m.daemon.show("topology")
    equal((topology["services_there"], len(topology["services"])), (2, 2), "services of `show topology`")
    page = json.loads(m.daemon.http("/ui/data/now")[1])["topology"]
    for where, lists in (("`show topology`", topology), ("the page", page)):
        for name, keys in (("services", ("service", "listener")), ("links", ("service", "listener", "cluster")), ("endpoints", ("cluster", "endpoint"))):
            seen = [tuple(row[key] for key in keys) for row in lists[name]]
            check(seen and len(seen) == len(set(seen)), f"{name} of {where}, each once: {seen}")
    for row in services:
        query = f"/ui/data/service?name={row['service']}&at={row['listener']}"
        closer = json.loads(within(5, lambda query=query: m.daemon.http(query)[1], "an answer", step=0.15))  # soon after another one it is empty
        equal([one["service"] for one in closer["services"]], [row["service"]], "services of its details")
    routes = [(row["service"], row["place"]) for row in m.daemon.show("routes")["routes"]]
    equal(len(routes), len(set(routes)), f"rows of `show routes`, each once: {routes}")
    named = m.daemon.show("connections")["connections"]
    check(all(row["service"] for row in named if row["side"] == "client"), f"client connections without their service: {named}")


def told_what_changed(m, words, origin):
    """An entry of the history, and the log. A later look at the same files may have an entry, too, without a change."""
    history = m.daemon.show("history")["history"]
    changes = [row for row in history if row["what"] != "no change"]
    check(changes and words in changes[0]["what"], f"the history says {history}")
    equal(changes[0]["from"], origin, f"where it is from: {changes[0]}")
    m.daemon.wait_log(words)


def rows(process):
    return [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]


def answer(report):
    """Who did; nothing failed."""
    equal(report["failed"], 0, f"calls that failed: {report['error_samples']}")
    return set(report["by_server"])


def half_meshed(m):
    """One instance by TLS, one in clear text, of one service."""
    equal(answer(m.calls(40)), {"v1/s1", "v2/s2"}, "who answers")
    said = rows(m.inbound)
    equal(said[0], {"peer": [NODE], "sni": "outbound_.20880_._.com.shop.quotes", "alpn": "istio", "version": "TLSv1.3"}, "what the sidecar saw")


def by_sidecar(m):
    """A client's mutual TLS is ended; its bytes and its calls are the same. `show listeners` has a filter chain for each kind of client."""
    chains = [row for row in m.daemon.show("listeners")["listeners"] if row["service"] == "com.shop.quotes"]
    equal([(row["address"], row["port"], row["protocols"], row["tls"], row["min_version"], row["client_certificate"]) for row in chains],
          [(VIP, 20880, ["dubbo"], "mutual", "1.2", "required"), (VIP, 20880, ["tcp"], "passthrough", None, None),
           (VIP, 20880, ["dubbo"], "plaintext", None, None)], "the filter chains")
    check(all("istio" in row["alpn"] or row["tls"] != "mutual" for row in chains), f"ALPN: {chains}")
    check(all(row["origin"].endswith("quotes.yaml:1") for row in chains), f"origins: {chains}")
    for version in ("1.3", "1.2"):
        with m.lab.inside("client"):
            out = m.sidecar("client", "client", CALLER, listen=f"127.0.0.1:209{version[-1]}0", to=f"{VIP}:20880", alpn="istio",
                            sni="outbound_.20880_._.com.shop.quotes", **({"max-version": "1.2"} if version == "1.2" else {}))
        equal(sum(m.calls(20, f"127.0.0.1:209{version[-1]}0")["by_server"].values()), 20, "calls by a sidecar")
        equal(rows(out)[0], {"peer": [NODE], "sni": None, "alpn": "istio", "version": f"TLSv{version}"}, "what the client's sidecar saw")


def bytes_alike(m):
    """Byte streams of clients with a sidecar and without, to instances with one and without."""
    with m.lab.inside("client"):
        m.sidecar("client", "client", CALLER, listen="127.0.0.1:20940", to=f"{BYTES}:20880", alpn="istio", sni="outbound_.20880_._.bytes.shop")
    for target in (f"{BYTES}:20880", "127.0.0.1:20940"):
        equal(answer(m.calls(64, target, connections=24, size=20000)), {"v1/s1", "v2/s2"}, f"who answers byte streams by {target}")


def handshake(m, sock):
    """A client's TLS up to its last flight, which is not sent yet."""
    cert, key = m.authority.sign("paused", f"URI:{CALLER}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(m.authority.roots)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["istio"])
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, to_send, server_hostname="outbound_.20880_._.com.shop.quotes")
    while True:
        try:
            tls.do_handshake()
            return tls, received, to_send
        except ssl.SSLWantReadError:
            sock.sendall(to_send.read())
            received.write(sock.recv(65536))


def more(sock):
    try:
        data = sock.recv(65536)
    except ConnectionResetError:
        data = b""
    check(data, "the connection is closed after the pause")
    return data


def paused(m):
    """The daemon does not run for longer than a handshake may take: a client that went on meanwhile is served."""
    sock = m.lab.connect("client", VIP, 20880, timeout=60)
    tls, received, to_send = handshake(m, sock)
    m.daemon.process.pause()
    tls.write(request(1, "sayHello", ["paused"]))
    sock.sendall(to_send.read())
    time.sleep(5.2)
    m.daemon.process.kill(signal.SIGCONT)
    answered = b""
    while b"hello paused from" not in answered:
        try:
            answered += tls.read()
        except ssl.SSLWantReadError:
            received.write(more(sock))
    sock.close()


def of_their_own(m):
    """TLS between a client and a server of messages, which is none of the mesh's: bytes for the node, and authorized as bytes."""
    m.daemon.write("own.yaml", OWN)
    m.daemon.shell("reload")
    m.sidecar("server2", "server", CALLER, listen="198.51.100.12:15007", to="127.0.0.1:20880", alpn="own")
    with m.lab.inside("client"):
        m.sidecar("client", "client", CALLER, listen="127.0.0.1:20970", to="240.240.1.3:20880", alpn="own")
    equal(answer(m.calls(20, "127.0.0.1:20970")), {"v2/s2"}, "answers by TLS of their own")
    before = m.daemon.counters().get("proxy_opaque_denied", 0)
    m.daemon.write("own.yaml", OWN + BY_METHOD)
    m.daemon.shell("reload")
    equal(m.calls(4, "127.0.0.1:20970")["answered"], 0, "calls that a rule for methods cannot read")
    check(m.daemon.counters().get("proxy_opaque_denied", 0) > before, "proxy_opaque_denied counts nothing")
    (m.daemon.services / "own.yaml").unlink()
    m.daemon.shell("reload")


def only_bare(m, why, count):
    """Whom the node may not, or cannot, speak with by TLS is passed by."""
    equal(answer(m.calls(10)), {"v2/s2"}, why)
    check(m.daemon.counters().get(count, 0) > 0, f"{count} counts nothing")


def lent(m):
    """The node's identity is lent to whom the operator names: nobody, if he names nobody; callers with one of their own by that."""
    m.lend("clients: [203.0.113.0/24]")
    m.daemon.shell("reload")
    told_what_changed(m, "spec.mesh.nodeIdentityUse changed", "files")
    equal(answer(m.calls(10)), {"v2/s2"}, "who answers a client that may not borrow")
    equal(answer(m.calls(10, "127.0.0.1:20930")), {"v2/s2"}, "who answers a principal that may not")
    m.lend(f"clients: ['{CALLER}']")
    m.daemon.shell("reload")
    equal(answer(m.calls(40, "127.0.0.1:20930")), {"v1/s1", "v2/s2"}, "who answers a principal that may")
    m.lend("clients: [192.0.2.0/24]")
    m.daemon.shell("reload")


def explained(m, denied, *who):
    """What the operator is told of a call to the instance that no proxy is in front of."""
    told = m.daemon.shell("explain", "service=com.shop.quotes", "method=call", *who)
    equal([name for name in ("PeerAuthentication shop/strict", "AuthorizationPolicy shop/callers") if f"denied by {name}" in told],
          [denied] if denied else [], f"who denies a call of {who}: {told}")


def strict(m):
    """STRICT in front of the bare instance: who comes without a certificate is denied there, by name in what the operator sees."""
    m.daemon.write("strict.yaml", STRICT)
    m.daemon.shell("reload")
    report = m.calls(40)
    equal(set(report["by_server"]), {"v1/s1"}, "who answers calls in clear text")
    check(report["failed"] > 0, "no call in clear text came to the instance that wants TLS")
    equal(answer(m.calls(40, "127.0.0.1:20930")), {"v1/s1", "v2/s2"}, "who answers calls by mutual TLS")
    explained(m, "PeerAuthentication shop/strict")
    explained(m, None, f"principal={ACCOUNT % ('shop', 'quotes')}")
    m.daemon.write("strict.yaml", STRICT + CALLERS + AUDIT)
    m.daemon.shell("reload")
    equal([(row["kind"], row["name"], row["selects"], row["action"], row["mode"], row["services"], row["endpoints"], row["origin"].rsplit("/", 1)[1])
           for row in m.daemon.show("policies")["policies"]],
          [("AuthorizationPolicy", "callers", "everything", "ALLOW, 1 rule", "enforced", 2, 2, "strict.yaml:6"),
           ("AuthorizationPolicy", "watched", "app=quotes", "AUDIT, 1 rule", "report only", 2, 0, "strict.yaml:11"),
           ("PeerAuthentication", "strict", "everything", "STRICT", "enforced", 2, 2, "strict.yaml:1")], "the policies")
    equal(answer(m.calls(40, "127.0.0.1:20930")), {"v1/s1", "v2/s2"}, "who answers one who is allowed")
    explained(m, None, f"principal={CALLER}")
    explained(m, "AuthorizationPolicy shop/callers", f"principal={ACCOUNT % ('shop', 'quotes')}")
    m.daemon.write("strict.yaml", STRICT + CALLERS.replace("sa/caller", "sa/other"))
    m.daemon.shell("reload")
    equal(set(m.calls(40, "127.0.0.1:20930")["by_server"]), {"v1/s1"}, "who answers one who is not")
    (m.daemon.services / "strict.yaml").unlink()
    m.daemon.shell("reload")


def generation(m):
    return m.daemon.show("identity")["identity"][0]["serial"]


def encrypted(m):
    """What `show connections` has of the TLS of both sides, while calls go on."""
    def asked(words):
        return json.loads(m.daemon.shell("--json", "show", "connections", *words.split()))["connections"]

    becomes(lambda: {(row["tls"], row["peer"]) for row in asked("side=client tls=yes")}, {("1.3", CALLER)}, "clients with TLS")
    becomes(lambda: {row["peer"] for row in asked("side=server tls=1.3")}, {ACCOUNT % ("shop", "quotes")}, "servers with TLS")
    clients, servers = asked("side=client tls=yes"), asked("side=server tls=1.3")
    check(all(row["of"] for row in servers), f"a connection by TLS without its cluster: {servers}")
    ciphers = {row["cipher"] for row in clients + servers}
    check(ciphers <= {"AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"}, f"ciphers: {ciphers}")
    equal({(row["tls"], row["cipher"], row["peer"]) for row in asked("tls=no")}, {(None, None, None)}, "connections without TLS")
    equal({(row["side"], row["peer"]) for row in asked(f"peer={CALLER} cipher!=-")}, {("client", CALLER)}, "clients by their identity")


def renewed(m):
    """New certificates of the node's and new roots while calls go on: none is lost."""
    clients = [m.lab.dubbo_client(target, seconds=6, connections=4, outstanding=4) for target in (f"{VIP}:20880", "127.0.0.1:20930")]
    for client in clients:
        client.wait_line("calling")
    encrypted(m)
    for _ in range(3):
        serial = generation(m)
        m.identify()
        within(5, lambda was=serial: generation(m) != was, "the new certificate is in use")
    for client in clients:
        report = client.result()
        equal((report["failed"], report["crossed"], report["strays"]), (0, 0, 0), f"calls that were lost beside {report['answered']}")


def revoked(m):
    """Whose certificate the mesh's authority takes back comes in no more, also who was in; others are as before."""
    with m.lab.inside("client"):
        gone, stays = (m.sidecar("client", "client", CALLER, listen=f"127.0.0.1:{port}", to=f"{VIP}:20880", alpn="istio") for port in (20950, 20960))
    client = m.lab.dubbo_client("127.0.0.1:20950", seconds=600, connections=2)  # its end is that of its connections
    client.wait_line("calling")
    m.revoke(gone.certificate)
    within(2, lambda: m.daemon.show("identity")["revocations"], "the list is in use")
    check(client.result()["failed"] > 0, "who was in when it was revoked still is")
    equal(answer(m.calls(20, "127.0.0.1:20960")), {"v1/s1", "v2/s2"}, "who answers one who is not on the list")
    equal(stays.running() and m.calls(4, "127.0.0.1:20950")["answered"], 0, "calls of who is on it")
    within(5, lambda: m.daemon.counters().get("tls_failed_revoked", 0) > 0, "tls_failed_revoked counts it")


def somebody_else(m):
    """The meshed instance shows a certificate of another account: nothing is said to it, and why is told."""
    m.inbound.stop()
    m.inbound = m.sidecar("server1", "server", ACCOUNT % ("shop", "thief"), listen="198.51.100.11:15006", to="127.0.0.1:20880", alpn="istio")
    only_bare(m, "who answers beside an impostor", "tls_failed_wrong_san")
    check(not [row for row in rows(m.inbound) if "peer" in row], "an impostor is spoken with")


def identity_goes(m):
    """What the end of an identity changes is told as from there, on a node without discovery servers."""
    def origins():
        return {row["from"] for row in m.daemon.show("history")["history"]}

    m.forget()
    m.daemon.shell("reload")
    within(5, lambda: "identity" in origins(), f"a change from the identity: {origins()}")
    equal(origins() - {"start", "files"}, {"identity"}, "where changes are from")


def body():
    with Lab(servers=2) as lab:
        m = Mesh(lab)
        m.daemon.write("patient.yaml", PATIENT)
        m.daemon.start()
        half_meshed(m)
        shown_once(m)
        by_sidecar(m)
        bytes_alike(m)
        paused(m)
        of_their_own(m)
        lent(m)
        strict(m)
        renewed(m)
        revoked(m)
        every_column_selects(m.daemon, ["show identity"], set())
        somebody_else(m)
        identity_goes(m)


main(body)
