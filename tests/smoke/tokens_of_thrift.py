#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
THeader's headers carry tokens, and can be changed: a server of Apache's library gets what a caller's token says, and neither the token nor what
the caller writes in its place. Who has none, somebody else's, an old, a wrong one or two is denied natively, and never reaches the server.
"""

import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from thrift.protocol import THeaderProtocol
from thrift.Thrift import TApplicationException, TMessageType, TType
from thrift.transport import THeaderTransport, TTransport

from meltemi_lab import Lab, equal, main, within
from meltemi_lab.asking import ANSWERED

VIP, PORT = "240.240.1.3", 9090
DENIED = "meltemi: denied by policy"

SERVICE = f"""apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: calc, namespace: shop}}
spec:
  hosts: [calc.shop]
  addresses: [{VIP}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {PORT}, name: tcp-metaprotocol-thrift}}]
  endpoints: [{{address: 198.51.100.11, labels: {{app: calc}}}}]
"""

POLICIES = """apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  selector: {matchLabels: {app: calc}}
  jwtRules: [{issuer: me, jwks: %s, outputClaimToHeaders: [{header: x-sub, claim: sub}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: alice, namespace: shop}
spec:
  rules: [{from: [{source: {requestPrincipals: [me/alice]}}]}]
"""


def bearer(key, sub="alice", seconds=600):
    return "Bearer " + jwt.encode({"iss": "me", "sub": sub, "exp": int(time.time()) + seconds}, key, "ES256")


def key_with_jwk():
    """A key and its JWK. Old versions of PyJWT write coordinates without their leading zeros, which RFC 7518 (6.2.1.2) forbids: no such key."""
    while True:
        key = ec.generate_private_key(ec.SECP256R1())
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
        if len(jwk["x"]) == len(jwk["y"]) == 43:
            return key, jwk


def unauthenticated(why):
    return f"meltemi: unauthenticated: {why}"


def theader(sock):
    """Apache's own library on that socket."""
    kinds = THeaderTransport.THeaderClientType
    return THeaderProtocol.THeaderProtocol(TTransport.TFileObjectTransport(sock.makefile("rwb")), [kinds.HEADERS, kinds.FRAMED_BINARY])


def serve_theader(noted):
    """A handler of connections: the headers of each call go to `noted`."""
    def handle(sock):
        protocol = theader(sock)
        while True:
            try:
                name, _, number = protocol.readMessageBegin()
            except (EOFError, TTransport.TTransportException):
                return
            protocol.skip(TType.STRUCT)
            protocol.readMessageEnd()
            noted.append({key.decode(): value.decode() for key, value in protocol.trans.get_headers().items()})
            protocol.writeMessageBegin(name, TMessageType.REPLY, number)
            protocol.writeFieldStop()
            protocol.writeMessageEnd()
            protocol.trans.flush()
    return handle


def ask_theader(lab, **headers):
    """What a caller gets, in a word or by its text."""
    sock = lab.connect("client", VIP, PORT)
    protocol = theader(sock)
    for key, value in headers.items():
        protocol.trans.set_header(key.replace("_", "-").encode(), value.encode())
    protocol.writeMessageBegin("sayHello", TMessageType.CALL, 7)
    protocol.writeFieldStop()
    protocol.writeMessageEnd()
    protocol.trans.flush()
    try:
        _, kind, number = protocol.readMessageBegin()
        equal(number, 7, "the number of the answer")
        if kind == TMessageType.REPLY:
            return ANSWERED
        error = TApplicationException()
        error.read(protocol)
        return error.message
    finally:
        sock.close()


def body():
    (key, jwk), noted = key_with_jwk(), []
    jwks = json.dumps({"keys": [jwk]})
    with Lab(servers=1) as lab, lab.listening("server1", PORT, serve_theader(noted)):
        daemon = lab.meltemi()
        daemon.write("services.yaml", SERVICE)
        daemon.write("policies.yaml", POLICIES % json.dumps(jwks))
        daemon.start()
        good = bearer(key)
        within(20, lambda: ask_theader(lab, authorization=good) == ANSWERED, "calls of Thrift with a token", step=0.5)
        noted.clear()
        equal(ask_theader(lab, authorization=good, x_sub="admin", other="kept"), ANSWERED, "a call that says more than its token")
        equal(noted, [{"x-sub": "alice", "other": "kept"}], "headers at the server")
        equal(ask_theader(lab, Authorization=good), ANSWERED, "a token whose header is written otherwise")
        noted.clear()
        equal(ask_theader(lab, authorization=bearer(key, sub="bob")), DENIED, "somebody else's token")
        equal(ask_theader(lab), DENIED, "no token")
        equal(ask_theader(lab, authorization=bearer(key, seconds=-100)), unauthenticated("its token has expired"), "an expired token")
        equal(ask_theader(lab, authorization=good[:-8] + "AAAAAAAA"), unauthenticated("its token's signature is wrong"), "a wrong signature")
        equal(ask_theader(lab, authorization=good, Authorization=bearer(key, sub="bob")), unauthenticated("it carries several tokens"),
              "two tokens")
        equal(noted, [], "calls at the server that were refused")


main(body)
