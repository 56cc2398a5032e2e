# SPDX-License-Identifier: Apache-2.0
"""
A control plane for tests of joining: Istio's certificate service and aggregated discovery on one TLS port, with client
certificates that are optional and tokens that are verified, as istiod has it. What it does wrong is told it by name.
"""

import base64
import datetime
import json
import pathlib
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

ROOT = pathlib.Path(__file__).resolve().parents[3]
CREATE = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
HOUR = datetime.timedelta(hours=1)
OK, INVALID, PERMISSION, UNIMPLEMENTED, UNAUTHENTICATED = 0, 3, 7, 12, 16


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def messages():
    """The messages of proto/ as Python classes, by their short names."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    with tempfile.NamedTemporaryFile() as out:
        files = [f"{name}.proto" for name in ("common", "core", "discovery", "cluster", "istio_ca")]
        subprocess.run(["protoc", "-I.", f"--descriptor_set_out={out.name}", *files], check=True, cwd=ROOT / "proto")
        everything = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    found = {}
    for file in everything.file:
        pool.Add(file)
    for file in everything.file:
        for message in file.message_type:
            found[message.name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"xds.{message.name}"))
    return found


class Authority:
    """One that signs servers and workloads: a root, or signed by another."""

    def __init__(self, name="cluster.local", begins=-HOUR, ends=24 * HOUR, authority=True, by=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
        by = by or self
        self.cert = (x509.CertificateBuilder().subject_name(self.name).issuer_name(by.name).public_key(self.key.public_key())
                     .serial_number(x509.random_serial_number()).not_valid_before(now() + begins).not_valid_after(now() + ends)
                     .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
                     .sign(by.key, hashes.SHA256()))

    def pem(self):
        return self.cert.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, key, names, begins=-HOUR, ends=HOUR):
        cert = (x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.name).public_key(key)
                .serial_number(x509.random_serial_number()).not_valid_before(now() + begins).not_valid_after(now() + ends)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.SubjectAlternativeName(names), critical=True).sign(self.key, hashes.SHA256()))
        return cert.public_bytes(serialization.Encoding.PEM).decode()


class Issuer:
    """Signs tokens as a Kubernetes API server does."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @staticmethod
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def token(self, namespace="shop", account="vm", audience="istio-ca", begins=-60, ends=3600, **other):
        t = int(time.time())
        claims = {"aud": [audience], "iss": "https://kubernetes.default.svc.cluster.local", "iat": t + begins, "nbf": t + begins,
                  "exp": t + ends, "sub": f"system:serviceaccount:{namespace}:{account}",
                  "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account}}, **other}
        claims = {k: v for k, v in claims.items() if v is not None}
        signed = self.part(b'{"alg":"RS256"}') + "." + self.part(json.dumps(claims).encode())
        return signed + "." + self.part(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))

    def caller(self, token):
        """The identity that a token stands for; raises when it does not."""
        signed, signature = token.rsplit(".", 1)
        pad = lambda s: base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))
        self.key.public_key().verify(pad(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        claims = json.loads(pad(signed.split(".")[1]))
        if "istio-ca" not in claims["aud"] or claims["exp"] <= time.time():
            raise ValueError("expired, or for others")
        _, _, namespace, account = claims["sub"].split(":")
        return f"spiffe://cluster.local/ns/{namespace}/sa/{account}"


class Stream:
    def __init__(self, headers):
        self.headers = {k.decode() if isinstance(k, bytes) else k: v.decode() if isinstance(v, bytes) else v for k, v in headers}
        self.body = b""
        self.answered = False
        self.node = None

    def messages(self):
        while len(self.body) >= 5:
            size = struct.unpack(">I", self.body[1:5])[0]
            if len(self.body) < 5 + size:
                return
            message, self.body = self.body[5:5 + size], self.body[5 + size:]
            yield message


class Istiod:
    """One server; `manner` says what it does wrong: see the methods below. `log` holds what was asked of it."""

    def __init__(self, authority, issuer, name="istiod.istio-system.svc", manner="", tls=True, server_authority=None,
                 begins=-HOUR, ends=HOUR, lifetime=24 * HOUR, pb=None, address=("127.0.0.1", 0), tell=lambda **what: None):
        self.tell = tell
        self.authority, self.issuer, self.manner, self.lifetime, self.tls = authority, issuer, manner, lifetime, tls
        self.pb = pb or messages()
        self.log = []
        key = ec.generate_private_key(ec.SECP256R1())
        chain = (server_authority or authority).sign(key.public_key(), [x509.DNSName(name)], begins, ends)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w") as f:
            f.write(chain + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                              serialization.NoEncryption()).decode())
            f.flush()
            self.context.load_cert_chain(f.name)
        self.context.load_verify_locations(cadata=authority.pem())
        self.context.verify_mode = ssl.CERT_OPTIONAL
        if manner != "no_alpn":
            self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(address)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        # Wakes the thread that waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            if self.manner == "silent":
                time.sleep(30)
                return
            if self.tls:
                s = self.context.wrap_socket(s, server_side=True)
            self.talk(s)
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            s.close()

    def talk(self, s):
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        conn.initiate_connection()
        s.sendall(conn.data_to_send())
        der = s.getpeercert(binary_form=True) if self.tls else None
        uri = serial = None
        if der:
            cert = x509.load_der_x509_certificate(der)
            names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uri, serial = names.get_values_for_type(x509.UniformResourceIdentifier)[0], str(cert.serial_number)
        streams = {}
        while data := s.recv(65536):
            for event in conn.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    streams[event.stream_id] = Stream(event.headers)
                    self.tell(path=streams[event.stream_id].headers[":path"], certificate=uri, serial=serial,
                              token="authorization" in streams[event.stream_id].headers)
                elif isinstance(event, h2.events.DataReceived):
                    conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    stream = streams[event.stream_id]
                    stream.body += event.data
                    for message in stream.messages():
                        self.answer(conn, event.stream_id, stream, message, uri)
            s.sendall(conn.data_to_send())

    # ---- answers

    def reply(self, conn, number, stream, message):
        if not stream.answered:
            conn.send_headers(number, [(":status", "200"), ("content-type", "application/grpc")])
            stream.answered = True
        data = message.SerializeToString()
        conn.send_data(number, b"\0" + struct.pack(">I", len(data)) + data)

    def end(self, conn, number, stream, status, words=""):
        trailers = [("grpc-status", str(status)), ("grpc-message", words)]
        if not stream.answered:
            trailers = [(":status", "200"), ("content-type", "application/grpc")] + trailers
        conn.send_headers(number, trailers, end_stream=True)

    def answer(self, conn, number, stream, message, uri):
        path = stream.headers[":path"]
        asked = dict(stream.headers)
        self.log.append((path, uri, asked))
        if path == CREATE and self.manner != "no_ca":
            self.create(conn, number, stream, message, uri)
        elif path.startswith(ADS) and self.manner != "no_ads":
            self.discover(conn, number, stream, message, uri, path.endswith("DeltaAggregatedResources"), asked)
        else:
            self.end(conn, number, stream, UNIMPLEMENTED, f"unknown service {path}")

    def create(self, conn, number, stream, message, uri):
        request = self.pb["IstioCertificateRequest"].FromString(message)
        answer = self.pb["IstioCertificateResponse"]()
        if self.manner == "mute_ca":
            return
        if not uri or self.manner == "token_only":
            try:
                uri = self.issuer.caller(stream.headers.get("authorization", "").removeprefix("Bearer "))
            except Exception:
                return self.end(conn, number, stream, UNAUTHENTICATED, "request authenticate failure")
        csr = x509.load_pem_x509_csr(request.csr.encode())
        if not csr.is_signature_valid:
            return self.end(conn, number, stream, INVALID, "CSR signature is wrong")
        # The names of the request are not looked at: who asks is known better.
        key = csr.public_key()
        if self.manner == "wrong_identity":
            uri = "spiffe://cluster.local/ns/other/sa/other"
        if self.manner == "wrong_key":
            key = ec.generate_private_key(ec.SECP256R1()).public_key()
        signer = Authority("another.mesh") if self.manner == "wrong_signer" else self.authority
        ends = min(self.lifetime, datetime.timedelta(seconds=request.validity_duration))
        begins = -2 * HOUR if self.manner == "expired_leaf" else -HOUR / 30
        leaf = signer.sign(key, [x509.UniformResourceIdentifier(uri)], begins, -HOUR if self.manner == "expired_leaf" else ends)
        if self.manner != "empty_ca":
            answer.cert_chain.extend([leaf, self.authority.pem()])
        self.reply(conn, number, stream, answer)
        self.end(conn, number, stream, OK)

    def discover(self, conn, number, stream, message, uri, delta, asked):
        request = self.pb["DeltaDiscoveryRequest" if delta else "DiscoveryRequest"].FromString(message)
        asked["type"] = request.type_url.rpartition(".")[2]
        if request.response_nonce:
            return None
        # Who asks is told once a stream.
        stream.node = stream.node or request.node
        parts = stream.node.id.split("~")
        self.node = stream.node
        if len(parts) != 4:
            return self.end(conn, number, stream, INVALID, "missing parts in the service node")
        if not uri or self.manner == "no_peer":
            return self.end(conn, number, stream, UNAUTHENTICATED, "authentication failure")
        if self.manner == "forbidden" or f"/ns/{parts[2].split('.')[1]}/" not in uri:
            return self.end(conn, number, stream, PERMISSION, f"no identities ({uri}) matched {parts[2]}")
        if self.manner == "mute_ads":
            return None
        answer = self.pb["DeltaDiscoveryResponse" if delta else "DiscoveryResponse"](type_url=request.type_url, nonce="1")
        if request.type_url != CLUSTER:
            self.reply(conn, number, stream, answer)
            return None
        cluster = self.pb["Cluster"](name="outbound|80||shop.local").SerializeToString()
        if delta:
            answer.system_version_info = "2026/1"
            r = answer.resources.add(name="outbound|80||shop.local", version="1")
            r.resource.type_url, r.resource.value = CLUSTER, cluster
        else:
            answer.version_info = "2026/1"
            answer.resources.add(type_url=CLUSTER, value=cluster)
        self.reply(conn, number, stream, answer)
        return None


def main():
    """As a program: serves until it is killed, and writes what a bundle needs (root-cert.pem, istio-token) to a directory."""
    import argparse

    arguments = argparse.ArgumentParser(description=main.__doc__)
    arguments.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    arguments.add_argument("--directory", required=True, type=pathlib.Path)
    arguments.add_argument("--lifetime", type=int, default=86400, metavar="SECONDS", help="of the certificates that it signs")
    options = arguments.parse_args()
    host, port = options.listen.rsplit(":", 1)
    authority, issuer = Authority(), Issuer()
    (options.directory / "root-cert.pem").write_text(authority.pem())
    (options.directory / "istio-token").write_text(issuer.token())
    server = Istiod(authority, issuer, lifetime=datetime.timedelta(seconds=options.lifetime), address=(host, int(port)),
                    tell=lambda **what: print(json.dumps(what), flush=True))
    print(json.dumps({"ready": server.port}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
