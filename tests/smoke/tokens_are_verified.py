#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
RequestAuthentication in front of a Dubbo server, with tokens that PyJWT signs: each algorithm; every way in which a token is not valid; what
the server gets of a token and what of its claims; policies that ask for request principals and claims; keys that are written out, fetched by
HTTP and by HTTPS, found by OpenID Connect Discovery, changed, and not to be had; and a flood of new bad tokens, which harms nobody else.
Who is denied never reaches the server, and is told natively why (exchange_unauthenticated, and the outcomes of jwt, no_keys among them; of
jwks fetched and fetch_failed).
"""

import base64
import http.server
import json
import ssl
import threading
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from meltemi_lab import Lab, check, equal, main, netns, within
from meltemi_lab.asking import ANSWERED, read
from meltemi_lab.authority import Authority
from meltemi_lab.columns import every_column_selects

import wire  # noqa: E402

HOST, VIP, PORT = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1", 20880
HTTP, HTTPS, DEAD = 8081, 8082, 8083
DENIED = "meltemi: denied by policy"
FLOOD_CLIENTS, FLOOD_CALLS = 4, 400

SERVICE = f"""apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: demo, namespace: shop}}
spec:
  hosts: [{HOST}]
  addresses: [{VIP}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {PORT}, name: tcp-metaprotocol-dubbo}}]
  endpoints: [{{address: 198.51.100.11, labels: {{app: demo}}}}]
"""


AWESOME = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: awesome, namespace: shop}
spec:
  hosts: [awesome.shop]
  addresses: [240.240.1.2]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9200, name: tcp-metaprotocol-awesomeRPC}]
  endpoints: [{address: 198.51.100.11, labels: {app: demo}}]
"""


def authentication(*rules, name="r"):
    spec = json.dumps({"selector": {"matchLabels": {"app": "demo"}}, "jwtRules": rules})
    return f"---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n"


def policy(**spec):
    return (f"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: shop}}\n"
            f"spec: {json.dumps(spec)}\n")


def allow(source=None, when=None):
    rule = {"from": [{"source": source}]} if source else {}
    return policy(rules=[{**rule, **({"when": [when]} if when else {})}])


# ---- issuers -------------------------------------------------------------------------------------------------------------

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def b64(number, size=None):
    return base64.urlsafe_b64encode(number.to_bytes(size or (number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


class Key:
    def __init__(self, algorithm, kid):
        self.algorithm, self.kid = algorithm, kid
        if algorithm == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
        elif algorithm in CURVES:
            self.private = ec.generate_private_key(CURVES[algorithm])
        else:
            self.private = rsa.generate_private_key(65537, 2048)

    def jwk(self):
        public, own = self.private.public_key(), {"kid": self.kid}
        if self.algorithm == "EdDSA":
            from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
            raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
            return {**own, "kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}
        n = public.public_numbers()
        if self.algorithm in CURVES:
            size = (public.curve.key_size + 7) // 8
            return {**own, "kty": "EC", "crv": f"P-{public.curve.key_size}", "x": b64(n.x, size), "y": b64(n.y, size)}
        return {**own, "kty": "RSA", "n": b64(n.n), "e": b64(n.e)}

    def sign(self, iss="me", sub="alice", seconds=600, headers=None, algorithm=None, **claims):
        claims = {"iss": iss, "sub": sub, "exp": int(time.time()) + seconds, **claims}
        return jwt.encode({k: v for k, v in claims.items() if v is not None}, self.private, algorithm or self.algorithm,
                          headers={"kid": self.kid, **(headers or {})})


def jwks(*keys):
    return json.dumps({"keys": [key.jwk() for key in keys]})


class Web:
    """Documents by path, over HTTP or HTTPS, in the daemon's namespace; all answers of a path are counted."""

    def __init__(self, namespace, port, context=None):
        self.documents, self.asked = {}, []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append(self.path)
                text = web.documents.get(self.path)
                self.send_response(200 if text else 404)
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, *_):
                pass

        with netns.inside(namespace):
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# ---- a server that notes what it is told ----------------------------------------------------------------------------------

class Noted:
    def __init__(self):
        self.calls = []

    def handle(self, sock):
        while True:
            try:
                _, flags, _, ident, length = wire.HEADER.unpack(read(sock, wire.HEADER.size))
                body = read(sock, length)
            except EOFError:
                return
            if flags & wire.EVENT:
                sock.sendall(wire.frame(wire.EVENT, wire.OK, ident, b"N"))
                continue
            _, _, _, attachments = wire.parse_request(body)
            self.calls.append(attachments)
            sock.sendall(wire.reply(ident, "hello"))


class Caller:
    def __init__(self, lab, noted):
        self.lab, self.noted = lab, noted

    def ask(self, token=None, **attachments):
        """What the caller gets, in a word or by its text."""
        if token is not None:
            attachments["authorization"] = f"Bearer {token}"
        sock = self.lab.connect("client", VIP, PORT)
        try:
            sock.sendall(wire.request(7, "sayHello", ["x"], attachments))
            _, _, status, _, length = wire.HEADER.unpack(read(sock, wire.HEADER.size))
            text = wire.parse_reply(status, read(sock, length))
            return ANSWERED if status == wire.OK else text
        finally:
            sock.close()

    def gets(self, expected, what, token=None, **attachments):
        before = len(self.noted.calls)
        equal(self.ask(token, **attachments), expected, what)
        equal(len(self.noted.calls) - before, 1 if expected == ANSWERED else 0, f"{what}: calls at the server")
        return self.noted.calls[-1] if self.noted.calls else {}


def refused(why):
    return f"meltemi: unauthenticated: {why}"


# ---- the parts of the test ------------------------------------------------------------------------------------------------

def write(daemon, text):
    daemon.write("policies.yaml", text)
    daemon.shell("reload")


def algorithms(daemon, caller):
    keys = {name: Key(name, name) for name in ALGORITHMS}
    write(daemon, authentication({"issuer": "me", "jwks": jwks(*keys.values())}))
    for name, key in keys.items():
        caller.gets(ANSWERED, f"a token of {name}", key.sign())
        other = Key(name, name)
        caller.gets(refused("its token's signature is wrong"), f"a token of another key of {name}", other.sign())


def refusals(daemon, caller):
    key, other = Key("ES256", "k"), Key("ES256", "other")
    write(daemon, authentication({"issuer": "me", "audiences": ["shop"], "jwks": jwks(key)}))
    good = key.sign(aud="shop")
    caller.gets(ANSWERED, "no token")
    caller.gets(ANSWERED, "a good token", good)
    caller.gets(ANSWERED, "a good token again, now known", good)
    caller.gets(ANSWERED, "one with a long list of roles", key.sign(aud="shop", realm_access={"roles": ["0123456789"] * 400}))
    caller.gets(ANSWERED, "one that stands under another case", **{"Authorization": f"bearer {good}"})
    caller.gets(ANSWERED, "a value without the prefix", authorization="Basic x")
    rows = [
        ("its token has expired", key.sign(aud="shop", seconds=-61)),
        ("its token is not valid yet", key.sign(aud="shop", nbf=int(time.time()) + 3600)),
        ("its token's issuer is not known here", key.sign(iss="you", aud="shop")),
        ("its token's issuer is not known here", key.sign(iss=None, aud="shop")),
        ("its token is for another audience", key.sign(aud="other")),
        ("its token is for another audience", key.sign()),
        ("its token's issuer has no such key", other.sign(aud="shop")),
        ("its token's algorithm is not taken", jwt.encode({"iss": "me"}, "", "none")),
        ("its token's algorithm is not taken", jwt.encode({"iss": "me", "aud": "shop"}, jwks(key), "HS256")),
        ("its token's signature is wrong", good[:-8] + "AAAAAAAA"),
        ("its token is malformed", good + ".x"),
        ("its token is malformed", "x"),
        ("its token is malformed", ""),
        ("its token is too long", "a" * 8193),
        ("its token is too long", key.sign(aud="shop", g=["x"] * 1025)),
    ]
    for why, token in rows:
        caller.gets(refused(why), f"{why}: {token[:40]}", token)
    caller.gets(refused("it carries several tokens"), "two tokens", good, **{"Authorization": f"Bearer {key.sign(aud='shop', sub='b')}"})
    caller.gets(ANSWERED, "clocks may differ by a minute", key.sign(aud="shop", seconds=-30))
    caller.gets(ANSWERED, "an audience of a list, with a scheme and a slash", key.sign(aud=["x", "https://shop/"]))
    counters = daemon.counters()
    equal([name for name in ("expired", "not_yet", "issuer", "audience", "no_key", "algorithm", "signature", "malformed", "too_long",
                             "several", "valid") if not counters[f"jwt_{name}"]], [], "reasons that were not counted")
    equal(counters["proxy_exchange_unauthenticated"] >= len(rows), True, "denied calls are counted")
    errors = daemon.shell("show", "errors")
    check("expired" in errors and "have the caller renew its token" in errors, f"show errors: {errors}")
    for token, words in ((good, "answered"), (key.sign(iss="you", aud="shop"), "unauthenticated: its token's issuer is not known here")):
        told = daemon.shell("explain", "protocol=dubbo", f"service={HOST}", "method=sayHello", "src=192.0.2.2",
                            f"authorization=Bearer {token}")
        check(("unauthenticated" not in told) if words == "answered" else words in told, f"explain: {told}")


def metadata(daemon, caller):
    key = Key("EdDSA", "k")
    rule = {"issuer": "me", "jwks": jwks(key)}
    write(daemon, authentication(rule))
    equal([(row["kind"], row["action"], row["mode"], row["endpoints"]) for row in daemon.show("policies")["policies"]],
          [("RequestAuthentication", "tokens of me", "enforced", None)], "show policies")
    every_column_selects(daemon, ["show policies"], set())
    name = daemon.show("policies")["policies"][0]["name"]
    for words, n in ((name, 1), (name.upper(), 1), ("other", 0)):
        equal(len(json.loads(daemon.shell("--json", "show", "policies", words))["policies"]), n, f"show policies {words}")
    check(any(row["word"] == name for row in json.loads(daemon.shell("--json", "complete", "show", "policies", "*"))["words"]), "Tab after `show policies`")
    got = caller.gets(ANSWERED, "a token is taken out", key.sign(), team="red")
    equal((got.get("authorization"), got.get("team")), (None, "red"), "what the server gets")
    got = caller.gets(ANSWERED, "under whatever case it is", **{"AUTHORIZATION": f"Bearer {key.sign()}"})
    equal(got.get("AUTHORIZATION"), None, "what the server gets of it")
    outputs = [{"header": "x-sub", "claim": "sub"}, {"header": "x-n", "claim": "a.n"}, {"header": "x-list", "claim": "aud"}]
    write(daemon, authentication({**rule, "forwardOriginalToken": True, "outputPayloadToHeader": "x-claims", "outputClaimToHeaders": outputs}))
    token = key.sign(a={"n": 7}, aud=["x", "y"])
    got = caller.gets(ANSWERED, "claims are told", token, **{"X-Sub": "forged", "x-claims": "forged", "x-list": "forged"})
    equal({k: got.get(k) for k in ("authorization", "x-sub", "X-Sub", "x-n", "x-list", "x-claims")},
          {"authorization": f"Bearer {token}", "x-sub": "alice", "X-Sub": None, "x-n": "7", "x-list": None,
           "x-claims": token.split(".")[1]}, "what the server gets")
    got = caller.gets(ANSWERED, "without a token nobody tells them", **{"x-sub": "forged", "X-CLAIMS": "forged", "team": "red"})
    equal(got, {"path": got["path"], "team": "red"}, "what the server gets without one")
    write(daemon, authentication({**rule, "fromHeaders": [{"name": "x-token"}, {"name": "x-other", "prefix": "T "}]}))
    caller.gets(ANSWERED, "a token elsewhere is none", "x")
    got = caller.gets(ANSWERED, "a token where the rule looks", **{"x-token": key.sign()})
    equal(got.get("x-token"), None, "which is taken out")
    caller.gets(refused("its token is malformed"), "and one that is none", **{"x-other": "T x"})


def policies(daemon, caller):
    key = Key("RS256", "k")
    rules = authentication({"issuer": "https://me", "jwks": jwks(key)})
    token = key.sign(iss="https://me", groups=["ops", "dev"], scope="read write", org={"unit": "a"}, aud="shop", azp="app")
    rows = [
        ("any principal", allow({"requestPrincipals": ["*"]}), True, False),
        ("the principal", allow({"requestPrincipals": ["https://me/alice"]}), True, False),
        ("the issuer's", allow({"requestPrincipals": ["https://me/*"]}), True, False),
        ("another one", allow({"requestPrincipals": ["https://me/bob"]}), False, False),
        ("who has none is denied", policy(action="DENY", rules=[{"from": [{"source": {"notRequestPrincipals": ["*"]}}]}]), True, False),
        ("a group", allow(when={"key": "request.auth.claims[groups]", "values": ["dev"]}), True, False),
        ("another group", allow(when={"key": "request.auth.claims[groups]", "values": ["sec"]}), False, False),
        ("a scope", allow(when={"key": "request.auth.claims[scope]", "values": ["write"]}), True, False),
        ("a nested claim", allow(when={"key": "request.auth.claims[org][unit]", "values": ["a"]}), True, False),
        ("an audience", allow(when={"key": "request.auth.audiences", "values": ["shop"]}), True, False),
        ("a presenter", allow(when={"key": "request.auth.presenter", "values": ["app"]}), True, False),
        ("a group denied", policy(action="DENY", rules=[{"when": [{"key": "request.auth.claims[groups]", "values": ["ops"]}]}]), False, True),
    ]
    for what, document, with_it, without in rows:
        write(daemon, rules + document)
        caller.gets(ANSWERED if with_it else DENIED, f"{what}: with a token", token)
        caller.gets(ANSWERED if without else DENIED, f"{what}: without one")
        caller.gets(refused("its token's signature is wrong"), f"{what}: with a forged one", token[:-8] + "AAAAAAAA")


def health(daemon, about):
    return [row["state"] for row in daemon.show("health")["health"] if about in row["about"]]


def fetched(daemon, caller, webs):
    web, tls = webs
    old, new = Key("ES256", "old"), Key("ES256", "new")
    web.documents["/keys"] = jwks(old)
    write(daemon, authentication({"issuer": "me", "jwksUri": f"http://127.0.0.1:{HTTP}/keys"}))
    within(10, lambda: caller.ask(old.sign()) == ANSWERED, "keys that are fetched by HTTP")
    caller.gets(refused("its token's issuer has no such key"), "a key that is not there yet", new.sign())
    # The issuer changes its keys: who comes with a new one has them fetched before their time; the old ones are gone then.
    web.documents["/keys"] = jwks(new)
    within(40, lambda: caller.ask(new.sign()) == ANSWERED, "keys that are changed", step=0.5)
    caller.gets(refused("its token's issuer has no such key"), "a key that is gone", old.sign())
    # What was fetched is used as long as nothing else is.
    asked = len(web.asked)
    web.documents["/keys"] = ""
    within(40, lambda: caller.ask(old.sign()) and len(web.asked) > asked, "another fetch", step=0.5)
    caller.gets(ANSWERED, "the last good keys", new.sign())
    within(10, lambda: health(daemon, "/keys") == ["warning"], "what health says of them")
    # By HTTPS, whose authority the Node names; and by what the issuer itself says.
    tls.documents["/keys"] = jwks(new)
    write(daemon, authentication({"issuer": "me", "jwksUri": f"https://localhost:{HTTPS}/keys"}))
    within(10, lambda: caller.ask(new.sign()) == ANSWERED, "keys that are fetched by HTTPS")
    issuer = f"http://127.0.0.1:{HTTP}/issuer"
    web.documents["/issuer/.well-known/openid-configuration"] = json.dumps({"jwks_uri": f"https://localhost:{HTTPS}/keys"})
    write(daemon, authentication({"issuer": issuer}))
    within(10, lambda: caller.ask(new.sign(iss=issuer)) == ANSWERED, "keys that are found by discovery")
    # Who is asked by HTTPS does not lead to HTTP, where anybody could answer.
    issuer = f"https://localhost:{HTTPS}/plain"
    web.documents["/plain"], asked = jwks(new), len(web.asked)
    tls.documents["/plain/.well-known/openid-configuration"] = json.dumps({"jwks_uri": f"http://127.0.0.1:{HTTP}/plain"})
    write(daemon, authentication({"issuer": issuer}))
    within(10, lambda: health(daemon, "/plain") == ["fault"], "what health says of a discovery that leads from HTTPS to HTTP")
    caller.gets(refused("the keys of its token's issuer are not there"), "keys that are nowhere but at HTTP", new.sign(iss=issuer))
    equal(len(web.asked), asked, "questions over HTTP")
    # Nobody is there; then somebody is.
    write(daemon, authentication({"issuer": "me", "jwksUri": f"http://127.0.0.1:{DEAD}/keys"}))
    caller.gets(refused("the keys of its token's issuer are not there"), "keys that cannot be had", new.sign(sub="b"))
    caller.gets(ANSWERED, "and calls without a token")
    within(10, lambda: health(daemon, f":{DEAD}/keys") == ["fault"], "what health says of that")
    check(daemon.counters()["jwks_fetch_failed"] > 0, "failures are counted")
    late = Web(daemon.namespace, DEAD)
    late.documents["/keys"] = jwks(new)
    within(80, lambda: caller.ask(new.sign(sub="b")) == ANSWERED, "keys that come late", step=0.5)
    late.close()


def another_protocol(lab, daemon):
    """Metadata of awesomeRPC cannot be changed: its server gets the token, which is told."""
    key = Key("ES384", "k")
    lab.awesome_server(1, "v1").wait_line("ready")
    daemon.write("awesome.yaml", AWESOME)
    write(daemon, authentication({"issuer": "me", "jwks": jwks(key)}) + allow({"requestPrincipals": ["me/alice"]}))

    def answered(meta="user=x"):
        return lab.awesome_client("240.240.1.2:9200", meta=meta, count=5).result()["answered"]

    within(20, lambda: answered(f"authorization=Bearer {key.sign()}") == 5, "calls of awesomeRPC with a token", step=0.5)
    equal(answered(f"authorization=Bearer {key.sign(sub='bob')}"), 0, "calls of somebody else")
    equal(answered(f"authorization=Bearer {key.sign(seconds=-100)}"), 0, "calls with an expired token")
    equal(answered(), 0, "calls without a token")
    notes = [note["text"] for row in daemon.show("objects")["objects"] if row["kind"] == "RequestAuthentication" for note in row["notes"]]
    equal([("servers get the token" in note) for note in notes], [True], f"what is told of it: {notes}")


def flood(daemon, caller):
    key = Key("RS256", "k")
    write(daemon, authentication({"issuer": "me", "jwks": jwks(key)}))
    good, head = key.sign(), key.sign(sub="bob").rsplit(".", 1)[0]
    caller.gets(ANSWERED, "a token that is known", good)
    got, at_server = [], len(caller.noted.calls)

    def bad(number):
        sock = caller.lab.connect("client", VIP, PORT, timeout=30)
        for i in range(FLOOD_CALLS):
            sig = b64(number << 32 | i | 1 << 2040)
            sock.sendall(wire.request(i, "sayHello", ["x"], {"authorization": f"Bearer {head}.{sig}"}))
        for _ in range(FLOOD_CALLS):
            _, flags, status, _, length = wire.HEADER.unpack(read(sock, wire.HEADER.size))
            got.append(wire.parse_reply(status, read(sock, length)) if status != wire.OK else ANSWERED)
        sock.close()

    threads = [threading.Thread(target=bad, args=(n,)) for n in range(FLOOD_CLIENTS)]
    for thread in threads:
        thread.start()
    n = 0
    while any(thread.is_alive() for thread in threads) or n < 20:
        caller.ask(good)
        equal(caller.ask(), ANSWERED, "a call without a token, in the flood")
        equal(caller.ask(good), ANSWERED, "a call with a token that is known, in the flood")
        n += 1
    for thread in threads:
        thread.join()
    equal(len(got), FLOOD_CLIENTS * FLOOD_CALLS, "calls of the flood that were answered")
    words = {text.split(": ", 2)[-1] for text in got}
    equal(words - {"its token's signature is wrong", "too many tokens have to be verified"}, set(), "words of them")
    equal(len(caller.noted.calls) - at_server, 3 * n, "calls at the server: none of the flood")
    equal(daemon.counters()["proxy_token_waited"] > 0, True, "calls waited")


def body():
    with Lab(servers=1) as lab:
        authority = Authority(lab.directory / "authority")
        daemon = lab.meltemi()
        daemon.node.write_text(daemon.node.read_text() + f"  jwks: {{roots: {authority.roots}, localAddresses: true}}\n")
        daemon.write("services.yaml", SERVICE)
        daemon.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.sign("localhost", "DNS:localhost"))
        webs = Web(daemon.namespace, HTTP), Web(daemon.namespace, HTTPS, context)
        noted = Noted()
        with lab.listening("server1", PORT, noted.handle):
            caller = Caller(lab, noted)
            algorithms(daemon, caller)
            refusals(daemon, caller)
            metadata(daemon, caller)
            policies(daemon, caller)
            fetched(daemon, caller, webs)
            another_protocol(lab, daemon)
            flood(daemon, caller)
        for web in webs:
            web.close()


main(body)
