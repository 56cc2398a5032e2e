#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
An external authorization service that is a member of the mesh is asked by the mesh's mutual TLS: as its other clients ask it, by what is
said of its instances, or by a DestinationRule. Who is not who he should be is told nothing, and what he would have judged is denied.
"""

import json

from ext_authz_lab import ANSWERED, DENIED, PORT, SERVICE, Caller, Judge, Server, adsd, mesh, policy, write
from meltemi_lab import Lab, check, equal, main, netns
from meltemi_lab.meshed import ACCOUNT, NODE, Mesh

JUDGE, AT = "judge.shop.svc", "203.0.113.77"
BY_FILES = ACCOUNT % ("shop", "rule")  # whose files a rule names


def judges(account="judge", labels="security.istio.io/tlsMode: istio", tls=None):
    """The service, and what a DestinationRule says of it."""
    text = f"""---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: judge, namespace: shop}}
spec:
  hosts: [{JUDGE}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9000, name: grpc, protocol: GRPC}}]
  endpoints: [{{address: {AT}, serviceAccount: {account}, labels: {{{labels}}}}}]
"""
    if tls:
        text += f"""---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: judge, namespace: shop}}
spec: {{host: {JUDGE}, trafficPolicy: {{tls: {json.dumps(tls)}}}}}
"""
    return text


def told(judge, who, name, what):
    last = judge.asked()[-1]
    equal((last["by"], last["sni"]), (who, name), what)


def in_mesh(m, caller, judge, ask):
    ask()
    caller.gets(ANSWERED, "a call that it allows", "allow")
    caller.gets(DENIED, "a call that it denies")
    told(judge, NODE, f"outbound_.9000_._.{JUDGE}", "who asks it")
    for _ in range(3):
        m.identify()
        for _ in range(10):
            caller.gets(ANSWERED, "while the node's certificate is renewed", "allow")
    ask(account="somebody")
    caller.gets(DENIED, "by somebody who is not the one that is meant", "allow")
    text = m.daemon.shell("doctor", fail=False)
    check("certificate is for" in text and "sa/judge" in text and "sa/somebody" in text, f"doctor: {text}")
    ask(labels="security.istio.io/tlsMode: disabled")
    caller.gets(DENIED, "in clear text, where it takes none", "allow")


def by_rule(m, caller, judge, ask):
    ask(labels="security.istio.io/tlsMode: disabled", tls={"mode": "ISTIO_MUTUAL"})
    caller.gets(ANSWERED, "by a rule", "allow")
    told(judge, NODE, f"outbound_.9000_._.{JUDGE}", "who asks by it")
    cert, key = m.authority.sign("rule", f"URI:{BY_FILES}")
    files = {"clientCertificate": str(cert), "privateKey": str(key), "caCertificates": str(m.authority.roots)}
    ask(tls={"mode": "MUTUAL", "sni": "authz.example", "subjectAltNames": [ACCOUNT % ("shop", "judge")], **files})
    caller.gets(ANSWERED, "by files that a rule names", "allow")
    told(judge, BY_FILES, "authz.example", "who asks by them")
    ask(broken=True, tls={"mode": "MUTUAL", "sni": "authz.example", **files, "caCertificates": f"{m.authority.roots.parent}/nowhere"})
    caller.gets(ANSWERED, "by the last good version of a rule with a wrong path", "allow")
    ask(tls={"mode": "SIMPLE", "caCertificates": str(m.authority.roots)})
    caller.gets(DENIED, "without a certificate", "allow")
    ask(tls={"mode": "DISABLE"})
    caller.gets(DENIED, "in clear text, which a rule asks for", "allow")
    ask()
    ask(broken=True, tls={"mode": "MUTUAL", **files, "caCertificates": f"{m.authority.roots.parent}/nowhere"})
    caller.gets(DENIED, "by a rule that cannot be followed, and has no last good version", "allow")


def nobody(m, caller, ask):
    """A node that has no identity: what it would ask about is closed, and that is told."""
    ask()
    text = m.daemon.shell("show", "objects", "|", "grep", "custom")
    check("no identity" in text, f"show objects: {text}")
    caller.gets(DENIED, "without an identity", "allow")
    m.lend("clients: [192.0.2.0/24]")
    m.daemon.stop()
    m.daemon.start()


def body():
    adsd.build()
    server = Server()
    with Lab(servers=3) as lab, lab.listening("server3", PORT, server.handle):
        m = Mesh(lab, workers=2)
        m.identify_as(ACCOUNT % ("shop", "judge"), lab.directory / "judge")
        m.daemon.write("services.yaml", SERVICE.replace("198.51.100.11", "198.51.100.13").replace("240.240.1.1", "240.240.1.9"))

        def ask(broken=False, **how):
            m.daemon.write("judge.yaml", judges(**how))
            if broken:
                m.daemon.shell("reload", fail=False)
                return
            write(m.daemon, policy(selector={"matchLabels": {"app": "demo"}}), service=JUDGE)

        m.daemon.may_name(m.authority.roots.parent)
        m.daemon.write("judge.yaml", judges())
        m.daemon.write("mesh.yaml", mesh(service=JUDGE))
        m.forget()
        m.daemon.leaves("errors", "what nobody can be asked about is told as closed", "its provider cannot be queried")
        m.daemon.leaves("errors", "a rule names a file that is not there", r"/nowhere: No such file")
        m.daemon.start()
        netns.run("ip", "-n", m.daemon.namespace, "addr", "add", f"{AT}/32", "dev", "lo")
        judge, caller = Judge(lab, m.daemon, f"{AT}:9000", lab.directory / "judge"), Caller(lab, server, "240.240.1.9")
        nobody(m, caller, ask)
        in_mesh(m, caller, judge, ask)
        by_rule(m, caller, judge, ask)


main(body)
