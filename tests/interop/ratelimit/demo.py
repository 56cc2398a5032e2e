# SPDX-License-Identifier: Apache-2.0
"""A Dubbo service under a global rate limit, for the labs of this folder: its documents, and its server."""

import json

import wire
from meltemi_lab.asking import read

HOST, VIP, PORT, AT = wire.INTERFACE.lower(), "240.240.1.1", 20880, ("203.0.113.8", 9000)
ENTRY = """---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: [{host}]
  addresses: [{vip}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{port}]
  endpoints: [{{address: {address}}}]
"""
# The service is at an address of the host's kernel, through which its queries go.
SERVICES = (ENTRY.format(name="demo", namespace="shop", host=HOST, vip=VIP, port=f"{{number: {PORT}, name: tcp-metaprotocol-dubbo}}",
                         address="198.51.100.11")
            + ENTRY.format(name="limits", namespace="istio-system", host="limits.test", vip="240.240.1.2",
                           port=f"{{number: 8081, targetPort: {AT[1]}, name: grpc}}", address=AT[0])
            + "  exportTo: [., shop]\n")
LIMIT = {"domain": "shop", "rateLimitService": "outbound|8081||limits.test", "requestTimeout": "400ms",
         "descriptors": [{"property": "method", "descriptorKey": "m"}, {"property": "user", "descriptorKey": "u"}]}


def write(daemon, local=None, **limit):
    spec = {"hosts": [HOST], "globalRateLimit": {**LIMIT, **limit}, **({"localRateLimit": local} if local else {})}
    daemon.write("limits.yaml", "apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: {name: demo, namespace: shop}\n"
                 f"spec: {json.dumps(spec)}\n")
    daemon.shell("reload")


class Server:
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
            _, _, args, attachments = wire.parse_request(body)
            self.calls.append(attachments)
            sock.sendall(wire.reply(ident, f"hello {args[0]} from v1/s1"))
