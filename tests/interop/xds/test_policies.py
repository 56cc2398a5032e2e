#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Policies that are documents, in front of instances that a discovery server names: by the namespace of their metadata, whatever their
labels are, and only where no proxy of their own is told of. What cannot be known closes. Calls and byte streams of real clients to
real servers; one that is denied never reaches a server.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from mesh import assignment, service  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main, within  # noqa: E402

ECHO, ECHO_VIP, ECHO_PORT = "echo.shop.svc.cluster.local", "240.240.1.3", 9000
CALLS = 40


def policy(spec, namespace="shop", kind="AuthorizationPolicy"):
    return f"apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: p, namespace: {namespace}}}\nspec: {spec}\n"


def told(name, endpoints, namespace, meshed=False):
    """As istiod tells of instances: the namespace for telemetry, and which ones end TLS."""
    out = assignment(name, endpoints)
    for row in out["endpoints"][0]["lbEndpoints"]:
        row["metadata"] = {"filterMetadata": {}}
        if namespace:
            row["metadata"]["filterMetadata"]["istio"] = {"workload": f"demo;{namespace};demo;v1;Kubernetes"}
        if meshed:
            row["metadata"]["filterMetadata"]["envoy.transport_socket_match"] = {"tlsMode": "istio"}
    return out


def services(w, namespace="shop", meshed=False):
    out = []
    for host, vip, port, protocol in ((HOST, VIP, PORT, "dubbo"), (ECHO, ECHO_VIP, ECHO_PORT, "tcp")):
        one = service(host, vip, port, protocol, [w.endpoint(1, port)])
        one[1] = told(one[1]["clusterName"], [w.endpoint(1, port)], namespace, meshed)
        out += one
    return out


NOBODY, EVERYBODY = "{}", "{rules: [{}]}"
SELECTS = "selector: {matchLabels: {app: demo}}"
DENY = "action: DENY, rules: [{}]"
REFUSED, DENIED, PASSES = "refused", "denied", "passes"


def rule(field):
    return "rules: [{to: [{operation: {%s}}]}]" % field


# What it is, the document, its status, what becomes of calls and of byte streams.
ROWS = [
    ("nobody", policy(NOBODY), "in-force", DENIED, DENIED),
    ("everybody", policy(EVERYBODY), "in-force", PASSES, PASSES),
    ("nobody of another namespace", policy(NOBODY, "other"), "no-effect", PASSES, PASSES),
    ("nobody, of the root namespace", policy(NOBODY, "istio-system"), "in-force", DENIED, DENIED),
    ("a method", policy("{%s}" % rule("methods: [sayHello]")), "in-force-with-notes", PASSES, DENIED),
    ("a denied method", policy("{action: DENY, %s}" % rule("methods: [sayHello], ports: ['20880']")), "in-force", DENIED, PASSES),
    ("a denied port of the server", policy("{action: DENY, %s}" % rule("ports: ['9000']")), "in-force", PASSES, DENIED),
    ("a selector that nobody can judge", policy("{%s, %s}" % (SELECTS, DENY)), "fail-closed", REFUSED, REFUSED),
    ("a selector that protects nobody", policy("{%s, rules: [{}]}" % SELECTS), "no-effect", PASSES, PASSES),
    ("a Service as target", policy("{targetRefs: [{group: '', kind: Service, name: echo}], %s}" % DENY), "in-force", PASSES, DENIED),
    ("another Service as target", policy("{targetRefs: [{group: '', kind: Service, name: demo}], %s}" % DENY), "no-effect", PASSES, PASSES),
    ("a ServiceEntry that may be one's", policy("{targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: demo}], %s}" % DENY),
     "fail-closed", REFUSED, PASSES),
    ("certificates", policy("{mtls: {mode: STRICT}}", kind="PeerAuthentication"), "fail-closed", REFUSED, REFUSED),
    ("certificates, if there are any", policy("{mtls: {mode: PERMISSIVE}}", kind="PeerAuthentication"), "in-force-with-notes", PASSES, PASSES),
]


def echo(sock):
    with sock:
        while data := sock.recv(4096):
            sock.sendall(data)


def stream(lab):
    try:
        with lab.connect("client", ECHO_VIP, ECHO_PORT) as sock:
            sock.sendall(b"hello")
            return PASSES if sock.recv(5) == b"hello" else "ended"
    except ConnectionRefusedError:
        return REFUSED
    except (ConnectionResetError, BrokenPipeError):
        return DENIED


def calls(lab):
    try:
        lab.connect("client", VIP, PORT).close()
    except ConnectionRefusedError:
        return REFUSED
    report = lab.dubbo_client(f"{VIP}:{PORT}", count=CALLS).result()
    if report["answered"] == CALLS:
        return PASSES
    return DENIED if report["error_samples"][:1] == ["meltemi: denied by policy"] and not report["answered"] else str(report)


def status(daemon):
    return [row["status"] for row in daemon.show("objects")["objects"] if row["name"] == "p"]


def judge(w, rows, what):
    for name, text, wanted, of_calls, of_bytes in rows:
        w.daemon.write("policy.yaml", text)
        w.daemon.shell("reload", fail=False)
        equal((status(w.daemon), calls(w.lab), stream(w.lab)), ([wanted], of_calls, of_bytes), f"{what}: {name}")


def body():
    with world(servers=1) as w:
        w.lab.dubbo_server(1, "v1").wait_line("ready", 30)
        daemon = w.meltemi(files=True)
        daemon.leaves("errors", "what closes is told as one", "fails closed:")
        server = w.server()
        with w.lab.listening("server1", ECHO_PORT, echo):
            daemon.start()
            server.apply(*services(w))
            w.serves(["v1/s1"])
            judge(w, ROWS, "bare")
            refused = {(row["kind"], row["name"]): row["refused"] for row in daemon.show("objects")["closed_by_policy"]}
            equal(refused, {}, "PERMISSIVE refuses nobody")
            meshed = [("nobody", policy(NOBODY), "elsewhere", PASSES, PASSES),
                      ("a selector", policy("{%s, %s}" % (SELECTS, DENY)), "elsewhere", PASSES, PASSES)]
            server.apply(*services(w, meshed=True))
            daemon.write("policy.yaml", policy(NOBODY))
            within(10, lambda: status(daemon) == ["elsewhere"], "instances have proxies of their own")
            judge(w, meshed, "meshed")
            # Without a namespace a policy that selects nothing else may be theirs.
            server.apply(*services(w, namespace=None))
            within(10, lambda: status(daemon) == ["fail-closed"], "nobody says whose the instances are")
            judge(w, [("nobody", policy(NOBODY), "fail-closed", REFUSED, REFUSED),
                      ("everybody", policy(EVERYBODY), "no-effect", PASSES, PASSES)], "of an unknown namespace")
            daemon.write("policy.yaml", "# nothing\n")
            w.serves(["v1/s1"])
            check(not daemon.show("objects")["closed_by_policy"], "what has gone refuses nobody")


main(body)
