#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
AuthorizationPolicy in front of Dubbo and byte-stream servers: by method, path, metadata and address, `{}`, AUDIT, a dry run,
selectors and namespaces, Aeraki's policies, a gateway's gates, rules that change under traffic, and Pods: one with a proxy of its own, one without, one that is not there. Who is denied never reaches a server, and is told natively; a
byte stream whose rules deny it is reset (outcomes exchange_denied, exchange_closed, opaque_denied), and who connects to what is closed altogether is refused (down_closed_by_policy).
"""

import re
import signal
import socket
import threading
import time

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.columns import every_column_selects

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
INTERFACE = "org.apache.dubbo.samples.basic.api.DemoService"
ECHO, NODE = "240.240.1.2", "192.0.2.1"
CALLS = 50

SERVICES = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: demo, namespace: shop}
spec:
  hosts: [%s]
  addresses: [240.240.1.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]
  endpoints: [{address: 198.51.100.11, labels: {app: demo}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: echo, namespace: shop}
spec:
  hosts: [echo.shop]
  addresses: [240.240.1.2]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9000, name: tcp}]
  endpoints: [{address: 198.51.100.11, labels: {app: echo}}]
""" % HOST

# The same servers as Kubernetes has them; the Pod's parts are %%s.
KUBERNETES = """apiVersion: v1
kind: Service
metadata: {name: demo, namespace: shop}
spec:
  clusterIP: 240.240.1.1
  ports: [{port: 20880, name: tcp-metaprotocol-dubbo}]
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: shop}
spec:
  clusterIP: 240.240.1.2
  ports: [{port: 9000, name: tcp}]
---
apiVersion: v1
kind: Endpoints
metadata: {name: demo, namespace: shop}
subsets: [{addresses: [{ip: 198.51.100.11}], ports: [{port: 20880, name: tcp-metaprotocol-dubbo}]}]
---
apiVersion: v1
kind: Endpoints
metadata: {name: echo, namespace: shop}
subsets: [{addresses: [{ip: 198.51.100.11}], ports: [{port: 9000, name: tcp}]}]
"""
POD = """---
apiVersion: v1
kind: Pod
metadata: {name: demo-1, namespace: shop, labels: {app: demo}, annotations: {%s}}
spec: {serviceAccountName: demo}
status: {phase: Running, podIP: 198.51.100.11, podIPs: [{ip: 198.51.100.11}], conditions: [{type: Ready, status: 'True'}]}
"""
BARE, MESHED, UNKNOWN = POD % "", POD % "sidecar.istio.io/status: '{}'", ""

def policy(spec, name="p", namespace="shop", annotations="{}"):
    return (f"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
            f"metadata: {{name: {name}, namespace: {namespace}, annotations: {annotations}}}\nspec: {spec}\n")


def one(field):
    return f"{{rules: [{{{field}}}]}}"


def to(fields):
    return f"to: [{{operation: {{{fields}}}}}]"


# Of a policy: what it is, its words, whether sayHello passes, whether a byte stream does.
ROWS = [
    ("everybody", policy("{rules: [{}]}"), True, True),
    ("nobody", policy("{}"), False, False),
    ("nobody of a selector", policy("{selector: {matchLabels: {app: demo}}}"), False, True),
    ("nobody of another selector", policy("{selector: {matchLabels: {app: other}}}"), True, True),
    ("nobody of another namespace", policy("{}", namespace="other"), True, True),
    ("nobody, of the root namespace", policy("{}", namespace="istio-system"), False, False),
    ("a method", policy("{selector: {matchLabels: {app: demo}}, rules: [{" + to("methods: [sayHello]") + "}]}"), True, True),
    ("another method", policy(one(to("methods: [sayBye]"))), False, False),
    ("a path", policy(one(to(f"paths: [/{INTERFACE}/say*]"))), True, False),
    ("a denied path", policy("{action: DENY, rules: [{" + to(f"paths: ['*/sayHello']") + "}]}"), False, False),
    ("a denied address", policy("{action: DENY, rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}"), False, False),
    ("others' address denied", policy("{action: DENY, rules: [{from: [{source: {ipBlocks: [192.0.3.0/24]}}]}]}"), True, True),
    ("an allowed address", policy(one("from: [{source: {ipBlocks: [192.0.2.2]}}]")), True, True),
    ("the server's port", policy(one(to("ports: ['20880']"))), True, False),
    ("metadata", policy(one("when: [{key: 'request.headers[team]', values: [red]}]")), True, False),
    ("other metadata", policy(one("when: [{key: 'request.headers[team]', values: [blue]}]")), False, False),
    ("a principal", policy(one("from: [{source: {principals: ['*']}}]")), False, False),
    ("audit", policy("{action: AUDIT, rules: [{}]}"), True, True),
    ("a dry run", policy("{}", annotations="{istio.io/dry-run: 'true'}"), True, True),
    ("custom", policy("{action: CUSTOM, provider: {name: none}, rules: [{" + to("methods: [sayHello], ports: ['20880']") + "}]}"),
     False, True),
]


def aeraki(spec, namespace="shop"):
    return (f"apiVersion: dubbo.aeraki.io/v1alpha1\nkind: DubboAuthorizationPolicy\n"
            f"metadata: {{name: d, namespace: {namespace}}}\nspec: {spec}\n")


# Aeraki's policies are Dubbo's, and a call has to pass Istio's, too.
ROWS += [
    ("Aeraki's nobody", aeraki("{}"), False, True),
    ("Aeraki's everybody", aeraki("{rules: [{}]}"), True, True),
    ("an interface", aeraki("{rules: [{" + to(f"interfaces: [{INTERFACE}], methods: ['say*']") + "}]}"), True, True),
    ("a denied interface", aeraki("{action: DENY, rules: [{" + to(f"interfaces: ['*.DemoService']") + "}]}"), False, True),
    ("others' interface denied", aeraki("{action: DENY, rules: [{" + to("interfaces: [other.Service]") + "}]}"), True, True),
    ("whoever has no name", aeraki("{action: DENY, rules: [{from: [{source: {notPrincipals: [a]}}], " + to("methods: [sayHello]") + "}]}"),
     False, True),
    ("Aeraki's nobody elsewhere", aeraki("{}", "other"), True, True),
    ("Aeraki's nobody, Istio's everybody", aeraki("{}") + "---\n" + policy("{rules: [{}]}"), False, True),
    ("Aeraki's everybody, Istio's nobody", aeraki("{rules: [{}]}") + "---\n" + policy("{}"), False, False),
]

SELECTS = "selector: {matchLabels: {app: demo}}"
OTHERS = "selector: {matchLabels: {app: other}}"
DENIES = "action: DENY, rules: [{}]"
CLEAR = """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: clear, namespace: shop}
spec: {host: "*.shop.svc.cluster.local", trafficPolicy: {tls: {mode: DISABLE}}}
"""
# Of Pods: what it is, the Pod, the policy, its status, whether calls pass (byte streams do as well as they).
PODS = [
    ("a Pod without a proxy", BARE, policy("{%s, %s}" % (SELECTS, DENIES)), "in-force", False),
    ("a Pod without a proxy, selected by nobody", BARE, policy("{%s, %s}" % (OTHERS, DENIES)), "no-effect", True),
    ("a Pod with a proxy, in clear text", MESHED, policy("{%s, %s}" % (SELECTS, DENIES)) + CLEAR, "elsewhere", True),
    ("a Pod with a proxy, which expects mTLS", MESHED, policy("{%s, %s}" % (SELECTS, DENIES)), "elsewhere", False),
    ("a Pod that nobody has seen", UNKNOWN, policy("{%s}" % DENIES), "in-force", False),
    ("a Pod that nobody has seen, and a selector", UNKNOWN, policy("{%s, %s}" % (OTHERS, DENIES)), "fail-closed", False),
    ("a Pod that nobody has seen, and who may", UNKNOWN, policy("{%s, rules: [{}]}" % OTHERS), "no-effect", True),
    ("a Service as target", BARE, policy("{targetRefs: [{group: '', kind: Service, name: demo}, "
                                         "{group: '', kind: Service, name: echo}], %s}" % DENIES), "in-force", False),
]


def echo(sock):
    with sock:
        while data := sock.recv(4096):
            sock.sendall(data)


class Servers:
    """Byte streams that have come to the server."""

    def __init__(self):
        self.seen = 0

    def handle(self, sock):
        self.seen += 1
        echo(sock)


def stream_passes(lab, address=ECHO, port=9000):
    try:
        with lab.connect("client", address, port) as sock:
            sock.sendall(b"hello")
            return sock.recv(5) == b"hello"
    except (ConnectionResetError, BrokenPipeError, ConnectionRefusedError):
        return False


def is_refused(lab, address, port):
    try:
        lab.connect("client", address, port).close()
    except ConnectionRefusedError:
        return True
    return False


def opened(daemon):
    """Calls that were ever given to a server's endpoint."""
    return sum(row["requests"] or 0 for row in daemon.show("clusters")["clusters"] if "|20880|" in row["cluster"])


def in_force(daemon, text):
    daemon.write("policy.yaml", text)
    daemon.shell("reload", fail=False)


def refused(daemon):
    """What each object that closes has refused: as `show objects` has it, which is what a scrape has."""
    shown = {(row["kind"], row["namespace"], row["name"]): row["refused"] for row in daemon.show("objects")["closed_by_policy"]}
    scraped = {}
    for line in daemon.http("/metrics")[1].splitlines():
        if match := re.match(r'meltemi_closed_by_policy_total\{kind="(.*)",namespace="(.*)",name="(.*)"\} (\d+)', line):
            scraped[match.groups()[:3]] = int(match.group(4))
    equal({key: n for key, n in scraped.items() if n}, shown, "what was refused by object, scraped and shown")
    return shown


def judge(lab, daemon, servers, row):
    what, text, calls, bytes_ = row
    in_force(daemon, text)
    before, seen = opened(daemon), servers.seen
    report = lab.dubbo_client(f"{VIP}:20880", count=CALLS, attach="team=red").result()
    equal(report["answered"], CALLS if calls else 0, f"{what}: calls answered: {report['errors']}")
    equal(report["failed"], 0 if calls else CALLS, f"{what}: calls denied")
    equal(opened(daemon), before + (CALLS if calls else 0), f"{what}: calls that came to the server")
    if not calls:
        # Whoever is called by nobody is not asked what its policies say.
        check("denied" in str(report["error_samples"]) or "no endpoint left" in str(report["error_samples"]), f"{what}: {report['error_samples']}")
    equal(stream_passes(lab), bytes_, f"{what}: a byte stream passes")
    equal(servers.seen, seen + (1 if bytes_ else 0), f"{what}: byte streams that came to the server")


def told_afterwards(daemon):
    """Who was denied: policy, client and service of calls and byte streams, by which each column selects."""
    rows = [row for row in daemon.show("denied")["denied"] if row["policy"] == "AuthorizationPolicy shop/p" and row["client"] == "192.0.2.2"]
    equal({row["service"] for row in rows}, {HOST, "echo.shop"}, "services of denied callers")
    equal({row["reason"] for row in rows}, {"denied by policy"}, "reasons of denials")
    check(max(row["denied"] for row in rows) >= CALLS and all(row["at_least"] == row["denied"] for row in rows), f"denials: {rows}")
    every_column_selects(daemon, ["show denied"], set())


def judge_pods(lab, daemon, servers):
    for what, pod, text, status, calls in PODS:
        daemon.write("services.yaml", KUBERNETES + pod)
        if status == "fail-closed":
            in_force(daemon, text)
            check(is_refused(lab, VIP, 20880) and is_refused(lab, ECHO, 9000), f"{what}: services of which all is closed are open")
        else:
            judge(lab, daemon, servers, (what, text, calls, calls))
        found = [row for row in daemon.show("objects")["objects"] if row["kind"] == "AuthorizationPolicy"]
        equal([row["status"] for row in found], [status], f"{what}: status of the policy: {found}")
    daemon.write("services.yaml", SERVICES)


GATEWAY = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: edge}
spec:
  selector: {}
  servers: [{port: {number: 8090, name: tcp-metaprotocol-dubbo}, hosts: ['*']}, {port: {number: 8089, name: tcp-raw}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: calls, namespace: edge}
spec: {hosts: [%s], gateways: [edge], dubbo: [{route: [{destination: {host: %s, port: {number: 20880}}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bytes, namespace: edge}
spec: {hosts: ['*'], gateways: [edge], tcp: [{route: [{destination: {host: echo.shop, port: {number: 9000}}}]}]}
---
""" % (HOST, HOST)
TARGETS = "targetRefs: [{group: networking.istio.io, kind: Gateway, name: edge}]"
# At a gateway: what it is, the policy's fields, whether calls pass, whether byte streams do. Who calls the service itself meets none.
GATES = [
    ("a gateway's nobody", "{%s}" % TARGETS, False, False),
    ("a gateway's method", "{%s, rules: [{%s}]}" % (TARGETS, to("methods: [sayHello]")), True, False),
    ("a gateway's denied method", "{%s, action: DENY, rules: [{%s}]}" % (TARGETS, to("methods: [sayHello], ports: ['8090']")), False, True),
    ("a gateway's denied port", "{%s, action: DENY, rules: [{%s}]}" % (TARGETS, to("ports: ['8089']")), True, False),
    ("a gateway's metadata", "{%s, rules: [{when: [{key: 'request.headers[team]', values: [red]}]}]}" % TARGETS, True, False),
    ("a gateway's address", "{rules: [{from: [{source: {ipBlocks: [192.0.2.2]}}]}]}", True, True),
    ("another gateway's", "{targetRefs: [{group: networking.istio.io, kind: Gateway, name: other}]}", True, True),
]


def judge_gates(lab, daemon):
    daemon.write("gateway.yaml", GATEWAY)
    for what, spec, calls, bytes_ in GATES:
        in_force(daemon, policy(spec, namespace="edge"))
        before = opened(daemon)
        report = lab.dubbo_client(f"{NODE}:8090", count=CALLS, attach="team=red").result()
        equal((report["answered"], report["failed"]), (CALLS, 0) if calls else (0, CALLS), f"{what}: {report['errors']}")
        equal(opened(daemon), before + (CALLS if calls else 0), f"{what}: calls that came to the server")
        equal(stream_passes(lab, NODE, 8089), bytes_, f"{what}: a byte stream passes")
        equal((lab.dubbo_client(f"{VIP}:20880", count=CALLS).result()["answered"], stream_passes(lab)), (CALLS, True),
              f"{what}: who does not come by the gateway")
    in_force(daemon, policy("{%s, action: CUSTOM, rules: [{}]}" % TARGETS, namespace="edge"))
    for port in (8089, 8090):
        check(is_refused(lab, NODE, port), f"port {port} of a gateway that is closed for everybody is open")
    equal(refused(daemon), {("AuthorizationPolicy", "edge", "p"): 2}, "connections refused by the gateway")
    daemon.write("gateway.yaml", "# nothing\n")


def was_reset(sock):
    try:
        return sock.recv(1) == b"" and False
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False


def explained(daemon):
    """Who denies a message is named, to who asks on the node; the caller is not told."""
    in_force(daemon, policy("{action: DENY, rules: [{" + to("methods: [sayHello]") + "}]}"))
    for method, denied in (("sayHello", True), ("sayBye", False)):
        told = daemon.shell("explain", "protocol=dubbo", f"service={HOST}", f"method={method}", "src=192.0.2.2")
        equal("denied by AuthorizationPolicy shop/p" in told, denied, f"explain of {method}: {told}")


def closed(name, field):
    return policy("{%s, action: CUSTOM, provider: {name: none}, rules: [{%s}]}" % (SELECTS, field), name)


STRICT = """---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {selector: {matchLabels: {app: echo}}, mtls: {mode: STRICT}}
"""


def counted(lab, daemon):
    """What is refused because of an object is counted by that one, and what is denied by nobody."""
    # Streams of before would be ended, and counted, too.
    within(5, lambda: not any(n for name, n in daemon.in_use().items() if name.startswith("opaque connections-")), "byte streams of before end")
    in_force(daemon, closed("hello", to("methods: [sayHello]")) + "---\n" + closed("bye", to("methods: [sayBye]")) + STRICT)
    equal(refused(daemon), {}, "refused by nobody has called")
    equal(lab.dubbo_client(f"{VIP}:20880", count=CALLS).result()["failed"], CALLS, "calls of a closed method")
    hello, strict = ("AuthorizationPolicy", "shop", "hello"), ("PeerAuthentication", "shop", "strict")
    equal(refused(daemon), {hello: CALLS}, "refused because of the method")
    equal(stream_passes(lab), False, "a byte stream to what asks for certificates")
    equal(refused(daemon), {hello: CALLS, strict: 1}, "refused because of either")
    # Numbers are the object's, whatever it or others say now; another one in its place begins anew.
    in_force(daemon, closed("hello", to("methods: [sayHello, sayBye]")) + STRICT)
    equal(refused(daemon), {hello: CALLS, strict: 1}, "after another one has left")
    in_force(daemon, closed("another", to("methods: [sayHello]")))
    equal(lab.dubbo_client(f"{VIP}:20880", count=CALLS).result()["failed"], CALLS, "calls of a method that another one closes")
    equal(refused(daemon), {("AuthorizationPolicy", "shop", "another"): CALLS}, "refused because of another one")
    in_force(daemon, policy("{action: DENY, rules: [{}]}"))
    equal(lab.dubbo_client(f"{VIP}:20880", count=CALLS).result()["failed"], CALLS, "calls that are denied")
    equal(refused(daemon), {}, "what is denied is not closed")


OTHER = """---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: other, namespace: shop, annotations: {interface: a.b.Other}}
spec:
  hosts: [other.shop]
  addresses: [240.240.1.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]
  endpoints: [{address: 198.51.100.11, labels: {app: other}}]
"""


def peers(app, mode="STRICT"):
    return STRICT.replace("app: echo", f"app: {app}").replace("name: strict", f"name: {app}").replace("STRICT", mode)


def some_of_a_listener(lab, daemon):
    """One of two services of an address is closed: everybody connects, its calls are denied and the other's answered. Both: nobody does."""
    daemon.write("services.yaml", SERVICES.replace("metadata: {name: demo, namespace: shop}", "metadata: {name: demo, namespace: shop, "
                                                   "annotations: {interface: %s}}" % INTERFACE) + OTHER)
    for strict, answered in (("other", CALLS), ("demo", 0)):
        in_force(daemon, peers(strict))
        report = lab.dubbo_client(f"{VIP}:20880", count=CALLS).result()
        equal((report["answered"], report["failed"]), (answered, CALLS - answered), f"calls beside {strict}, which is closed: {report}")
    equal(report["error_samples"][:1], ["meltemi: denied by policy"], "calls of a closed service on an open connection")
    in_force(daemon, peers("other") + peers("demo"))
    check(is_refused(lab, VIP, 20880), "an address of which all services are closed is open")
    in_force(daemon, peers("other", "PERMISSIVE") + peers("demo", "PERMISSIVE"))
    equal(lab.dubbo_client(f"{VIP}:20880", count=CALLS).result()["answered"], CALLS, "calls once nothing is closed")
    daemon.write("services.yaml", SERVICES)


def further(daemon, counter, number):
    """Waits until so many more have been counted."""
    before = daemon.counters()[counter]
    within(20, lambda: daemon.counters()[counter] >= before + number, f"{number} more of {counter}")


def swap(lab, daemon):
    """Under traffic: streams of the denied end, calls are told, and nothing fails while every client may call."""
    in_force(daemon, policy("{rules: [{}]}"))
    stays = lab.connect("client", ECHO, 9000)
    stays.sendall(b"hello")
    equal(stays.recv(5), b"hello", "echo")
    load = lab.dubbo_client(f"{VIP}:20880", connections=2, outstanding=4, seconds=600)
    further(daemon, "proxy_exchange_answered", 100)
    in_force(daemon, policy("{action: DENY, rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}"))
    began = time.monotonic()
    check(was_reset(stays), "a byte stream that its rules deny goes on")
    print(f"reset {time.monotonic() - began:.3f} s after the reload was done", flush=True)
    further(daemon, "proxy_exchange_denied", 20)
    in_force(daemon, policy("{rules: [{}]}"))
    further(daemon, "proxy_exchange_answered", 100)
    load.kill(signal.SIGTERM)
    report = load.result()
    check(report["answered"] > 100 and report["failed"] > 10, f"under traffic: {report}")
    equal((report["crossed"], report["strays"]), (0, 0), "replies of others")
    check(stream_passes(lab), "a byte stream after the swap")


def body():
    servers = Servers()
    with Lab(servers=1) as lab, lab.listening("server1", 9000, servers.handle):
        lab.dubbo_server(1, "v1").wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.write("services.yaml", SERVICES)
        daemon.leaves("errors", "what CUSTOM closes is told as one", "its provider cannot be queried")
        daemon.leaves("errors", "so is what closes instances without a Pod", "with Pods that are not among the documents")
        daemon.leaves("errors", "and what asks for certificates", "no certificate of a caller can be verified")
        daemon.start()
        for row in ROWS:
            judge(lab, daemon, servers, row)
        told_afterwards(daemon)
        judge_pods(lab, daemon, servers)
        judge_gates(lab, daemon)
        counted(lab, daemon)
        some_of_a_listener(lab, daemon)
        explained(daemon)
        swap(lab, daemon)
        counters = daemon.counters()
        denied = sum(CALLS for what, _, calls, _ in ROWS if not calls and what != "custom")
        denied += sum(CALLS for _, _, _, status, calls in PODS if not calls and status != "fail-closed")
        check(counters["proxy_exchange_denied"] > denied, f"calls denied by policies: more than {denied}")
        equal(counters["proxy_exchange_closed"], 4 * CALLS, "calls closed by policies")
        equal(counters["proxy_down_closed_by_policy"], 6, "connections to what is closed")
        # A client's first bytes, on their way when its connection is reset, may ask once more.
        check(counters["proxy_opaque_denied"] > sum(not row[3] for row in ROWS), "byte streams denied are not counted")


main(body)
