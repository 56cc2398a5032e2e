# SPDX-License-Identifier: Apache-2.0
"""
AuthorizationPolicies and requests by chance, an Envoy with RBAC filters that is asked them, and lib/authz (authz_judge) that is, too. What
HTTP has and RPC has alike: addresses, ports, principals, server names, paths, methods, metadata. Each set of policies is a virtual host of
one Envoy; who calls is a client's address and certificate. MELTEMI_SEED: others.
"""

import collections
import json
import os
import pathlib
import random
import socket
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "xds"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tls"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

import environment  # noqa: E402
from envoy_words import TYPE, address, socket_of  # noqa: E402
from meltemi_lab import check  # noqa: E402
from meltemi_lab.authority import Authority  # noqa: E402
from meltemi_lab.paths import BUILD  # noqa: E402
from tls_lab import Server, free_port, wait_for_port  # noqa: E402

OURS = BUILD / "tests/interop/authz/authz_judge"
DOMAINS = ["td", "old-td"]
PEOPLE = [None, "td/ns/prod/sa/web", "td/ns/dev/sa/web", "old-td/ns/prod/sa/job", "other/ns/prod/sa/web"]
# Whom Istio's expressions may take for somebody of a namespace, or not: where that is asked for they are denied here.
ODD = ["td/w", "td/ns/prod/x/sa/web", "td/ns/prod/sa/web/x"]
PEERS = ["127.0.0.1", "127.0.0.2", "127.1.0.1"]
NAMES = [None, "a.shop", "b.shop"]
INTERFACES, METHODS = ["com.Shop", "com.shop.Cart", "Cart"], ["GET", "PUT", "POST"]
VALUES = ["red", "redder", "blue"]

WORDS = {
    "ipBlocks": ["127.0.0.1", "127.0.0.0/24", "127.0.0.0/8", "10.0.0.0/8", "0.0.0.0/0", "127.1.0.0/16", "::/0"],
    "principals": ["*", *(p for p in PEOPLE if p), "cluster.local/ns/prod/sa/web", "*/sa/web", "*/ns/prod/sa/web", "td/*", "*-td/ns/prod/sa/job",
                   "*td/ns/prod/sa/web", "td/ns/prod/*", "td/ns/prod/sa/w*", "other/ns/prod/sa/*", "nobody"],
    "namespaces": ["prod", "dev", "d*", "*v", "p*d", "*", "*e*", "de"],
    "serviceAccounts": ["prod/web", "dev/web", "prod/job", "web", "a/web"],
    "trustDomains": ["td", "*td", "old-td", "*", "other", "o*", "cluster.local"],
    "requestPrincipals": ["*", "issuer/sub", "issuer/*"],
    "methods": ["GET", "PUT", "POST", "P*", "*T", "*", "G"],
    "paths": ["/com.Shop/GET", "/com.Shop/*", "/com.*", "*/PUT", "*Cart/GET", "*", "/Cart/P*", "/com.Shop", "*T", "/com.shop.Cart/POST"],
    "values": ["red", "red*", "*der", "*", "blue", "green"],
    "sni": ["a.shop", "*.shop", "b*", "*", "shop"],
}
WORDS["remoteIpBlocks"] = WORDS["ipBlocks"]


class Chance:
    def __init__(self, seed, ports):
        self.r = random.Random(seed)
        self.words = {**WORDS, "ports": [*map(str, ports), "9"]}

    def some(self, name):
        return self.r.sample(self.words[name], self.r.choice((1, 1, 2)))

    def part(self, names, rarely):
        """Of a source or an operation: at least one field."""
        while True:
            out = {}
            for name in names:
                if self.r.random() < rarely:
                    out[name] = self.some(name)
                if self.r.random() < rarely / 2:
                    out[f"not{name[0].upper()}{name[1:]}"] = self.some(name)
            if out:
                return out

    def condition(self):
        key, words = self.r.choice((("source.ip", "ipBlocks"), ("remote.ip", "ipBlocks"), ("destination.ip", "ipBlocks"),
                                    ("destination.port", "ports"), ("source.principal", "principals"), ("source.namespace", "namespaces"),
                                    ("connection.sni", "sni"), ("source.trustDomain", "trustDomains"), ("request.headers[k]", "values"), ("request.headers[k]", "values"),
                                    ("request.headers[l]", "values"), ("request.auth.principal", "requestPrincipals"),
                                    ("request.auth.claims[groups]", "requestPrincipals")))
        which = self.r.choice((("values",), ("values",), ("notValues",), ("values", "notValues")))
        return {"key": key, **{name: self.some(words) for name in which}}

    def rule(self):
        out = {}
        if n := self.r.choice((0, 1, 1, 2)):
            # Accounts stand beside neither principals nor namespaces (the API's own rule).
            names = [("serviceAccounts",), ("principals", "namespaces")]
            out["from"] = [{"source": self.part(("ipBlocks", "remoteIpBlocks", *self.r.choice(names), "trustDomains", "requestPrincipals"), 0.2)}
                           for _ in range(n)]
        if n := self.r.choice((0, 1, 1, 2)):
            out["to"] = [{"operation": self.part(("ports", "methods", "paths"), 0.35)} for _ in range(n)]
        if n := self.r.choice((0, 0, 1, 2)):
            out["when"] = [self.condition() for _ in range(n)]
        return out

    def policies(self):
        out = []
        for _ in range(self.r.choice((1, 1, 1, 2, 2, 2, 3, 3, 24))):  # of many rules there is an index
            action = self.r.choice(("ALLOW", "ALLOW", "DENY"))
            # DENY without rules is nothing that Istio takes.
            rules = [self.rule() for _ in range(self.r.choice((1 if action == "DENY" else 0, 1, 1, 2, 3)))]
            out.append({"action": action, **({"rules": rules} if rules else {})})
        return out

    def call(self, ports):
        return {"who": self.r.choice(ODD if self.r.random() < 0.05 else PEOPLE), "peer": self.r.choice(PEERS), "sni": self.r.choice(NAMES), "port": self.r.choice(ports),
                "interface": self.r.choice(INTERFACES), "method": self.r.choice(METHODS),
                "headers": {k: self.r.choice(VALUES) for k in ("k", "l") if self.r.random() < 0.6}}


# ---- Envoy ------------------------------------------------------------------------------------------------------------------

def manager():
    http = TYPE + "filters.http."
    return {"name": "http", "typed_config": {
        "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
        "rds": {"route_config_name": "sets", "config_source": {"path_config_source": {"path": "sets.json"}}},
        "http_filters": [{"name": name, "typed_config": {"@type": http + "rbac.v3.RBAC"}} for name in ("DENY", "ALLOW")]
        + [{"name": "router", "typed_config": {"@type": http + "router.v3.Router"}}]}}


def listener(port, at, authority):
    cert, key = authority.sign("server", "DNS:server")
    common = {"tls_certificates": [{"certificate_chain": {"filename": str(cert)}, "private_key": {"filename": str(key)}}],
              "validation_context": {"trusted_ca": {"filename": str(authority.roots)}}}
    # Keys' file names change with each certificate, so that each listener has its own.
    secure = {"filter_chain_match": {"transport_protocol": "tls"}, "filters": [manager()],
              "transport_socket": socket_of("DownstreamTlsContext", common, require_client_certificate=False)}
    plain = {"filter_chain_match": {"transport_protocol": "raw_buffer"}, "filters": [manager()]}
    inspector = {"@type": TYPE + "filters.listener.tls_inspector.v3.TlsInspector"}
    return {"name": f"l{port}", "address": address(f"0.0.0.0:{port}"),
            "listener_filters": [{"name": "envoy.filters.listener.tls_inspector", "typed_config": inspector}], "filter_chains": [secure, plain]}


def routes(filters):
    hosts = []
    for number, (deny, allow) in enumerate(filters):
        hosts.append({"name": f"s{number}", "domains": [f"s{number}"], "typed_per_filter_config": {"DENY": deny, "ALLOW": allow},
                      "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]})
    return {"version_info": "1", "resources": [{"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "sets",
                                                "virtual_hosts": hosts}]}


def write_config(at, filters, ports, authority):
    (at / "sets.json").write_text(json.dumps(routes(filters)))
    path = at / "envoy.json"
    config = {"node": {"id": "x", "cluster": "x"}, "static_resources": {"listeners": [listener(port, at, authority) for port in ports]}}
    path.write_text(json.dumps(config).replace('"sets.json"', json.dumps(str(at / "sets.json"))))
    return path


class Asker:
    """A connection for each who, peer, name and port."""

    def __init__(self, authority):
        self.authority, self.contexts = authority, {}

    def context(self, who):
        if who not in self.contexts:
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            c.check_hostname = False
            c.load_verify_locations(self.authority.roots)
            if who:
                c.load_cert_chain(*self.authority.sign(f"p{len(self.contexts)}", f"URI:spiffe://{who}"))
            self.contexts[who] = c
        return self.contexts[who]

    def connect(self, who, peer, sni, port):
        sock = socket.create_connection(("127.0.0.1", port), 20, (peer, 0))
        return self.context(who).wrap_socket(sock, server_hostname=sni) if who or sni else sock

    def ask(self, how, calls):
        """calls: (set, call); for each "allowed" or "denied". One by one, as Envoy ends a connection of several that it denies."""
        out = []
        with self.connect(*how) as sock:
            for one in calls:
                sock.sendall(request(*one))
                status = sock.recv(65536)[:12]
                check(status in (b"HTTP/1.1 200", b"HTTP/1.1 403"), f"an answer of Envoy's: {status}")
                out.append("allowed" if status.endswith(b"200") else "denied")
        return out


def request(number, call):
    headers = "".join(f"{k}: {v}\r\n" for k, v in call["headers"].items())
    return (f"{call['method']} /{call['interface']}/{call['method']} HTTP/1.1\r\nhost: s{number}\r\n{headers}\r\n").encode()


def by_envoy(path, ports, authority, calls):
    grouped = collections.defaultdict(list)
    for at, (_, call) in enumerate(calls):
        grouped[call["who"], call["peer"], call["sni"], call["port"]].append(at)
    out = [None] * len(calls)
    asker = Asker(authority)
    with Server(environment.envoy(), "--concurrency", "1", "--disable-hot-restart", "--use-dynamic-base-id", "-l", "error", "-c", path):
        for port in ports:
            wait_for_port(port)
        for how, places in grouped.items():
            for at, answer in zip(places, asker.ask(how, [calls[at] for at in places])):
                out[at] = answer
    return out


# ---- ours -------------------------------------------------------------------------------------------------------------------

def line(call):
    words = [call["peer"], "127.0.0.1", str(call["port"]), call["who"] or "-", call["sni"] or "-", call["interface"], call["method"],
             *(f"{k}={v}" for k, v in call["headers"].items())]
    return "\t".join(["call", *words])


def by_us(sets, calls):
    lines, last = [], None
    for number, call in calls:
        if number != last:
            lines += ["done"] if last is not None else []
            lines += [f"policy {json.dumps(policy)}" for policy in sets[number]]
            last = number
        lines.append(line(call))
    done = subprocess.run([OURS, "dubbo", *DOMAINS], input="\n".join(lines) + "\n", text=True, capture_output=True, timeout=120, check=False)
    check(done.returncode == 0, f"authz_judge: {done.stderr[-500:]}")
    return done.stdout.split()


# ---- both -------------------------------------------------------------------------------------------------------------------

def compared(sets, calls, ports, filters):
    """filters: for each of the sets the two that Envoy has, as RBACPerRoute. Fails if both do not let in the same calls."""
    with tempfile.TemporaryDirectory() as at:
        at = pathlib.Path(at)
        authority = Authority(at / "ca")
        envoy = by_envoy(write_config(at, filters, ports, authority), ports, authority, calls)
    ours = by_us(sets, calls)
    check(len(ours) == len(calls), f"{len(ours)} judgements of {len(calls)} calls")
    strict = [at for at, call in enumerate(calls) if call[1]["who"] in ODD and (envoy[at], ours[at]) == ("allowed", "denied")]
    wrong = [at for at, (a, b) in enumerate(zip(envoy, ours)) if a != b and at not in strict]
    for at in wrong[:3]:
        print(f"Envoy {envoy[at]}, here {ours[at]}: {json.dumps(calls[at][1])}\n  {json.dumps(sets[calls[at][0]])}")
    count = collections.Counter(envoy)
    print(f"{len(calls)} calls of {len(sets)} sets of policies: {dict(count)}, {len(wrong)} differences; {len(strict)} of odd names denied here alone")
    check(min(count["allowed"], count["denied"]) > len(calls) / 10, f"one answer is rare: {count}")
    check(not wrong, f"{len(wrong)} of {len(calls)} are judged otherwise")


def by_chance(sets, calls, ports):
    """So many sets of policies, and of each so many calls."""
    chance = Chance(int(os.environ.get("MELTEMI_SEED", "1")), ports)
    policies = [chance.policies() for _ in range(sets)]
    return policies, [(number, chance.call(ports)) for number in range(sets) for _ in range(calls)]
