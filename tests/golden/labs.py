# SPDX-License-Identifier: Apache-2.0
"""
Documents and resources of labs: made by those of their functions that need no lab, and taken from the texts at the start of their
scripts, which are parsed and not run.
"""

import ast
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "smoke/meltemi_lab"), str(TESTS / "interop/xds")]
import documents  # noqa: E402
import mesh  # noqa: E402

DUBBO, THRIFT = "tcp-metaprotocol-dubbo", "tcp-metaprotocol-thrift"
ONE, TWO, THREE = "198.51.100.11", "198.51.100.12", "198.51.100.13"
LISTS = {"Cluster": "clusters", "ClusterLoadAssignment": "endpoints", "Listener": "listeners", "RouteConfiguration": "routes",
         "NameTable": "names"}


def texts(script):
    """What stands at the head of a lab's script under names, as far as it is made of texts and of each other."""
    known = {}
    for node in ast.parse((TESTS / script).read_text()).body:
        if not isinstance(node, ast.Assign):
            continue
        try:
            value = eval(compile(ast.Expression(node.value), script, "eval"), {"__builtins__": {}}, dict(known))
        except Exception:  # it needs more than texts
            continue
        targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else [node.targets[0]]
        values = value if isinstance(node.targets[0], ast.Tuple) else [value]
        known.update({target.id: one for target, one in zip(targets, values) if isinstance(target, ast.Name)})
    return known


def resources(*bodies):
    """What mesh.py makes, in lists by type."""
    out = {}
    for body in bodies:
        kind = body["@type"].rsplit(".", 1)[-1]
        out.setdefault(LISTS[kind], []).append({name: value for name, value in body.items() if name != "@type"})
    return {"resources": [out]}


def written(**files):
    return {"documents": {f"{name}.yaml": text for name, text in files.items()}}


def anywhere(host):
    """A service that writes no address."""
    text = documents.service(f'"{host}"', "0.0.0.0", 7000, "tcp", [(ONE, 7000, {})], name=host.replace("*", "w").replace(".", "-"))
    return "".join(line for line in text.splitlines(True) if "0.0.0.0" not in line)


def of_documents():
    host, vip = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
    servers = [(ONE, 20880, {"version": "v1"}), (TWO, 20880, {"version": "v2"})]
    service, two = documents.service(host, vip, 20880, DUBBO, servers), documents.subsets(host, ["v1", "v2"])
    yield "canary_by_metadata", written(service=service, subsets=two, canary=texts("smoke/canary_by_metadata.py")["CANARY"])
    for share in (0, 20, 50, 100):
        yield f"reload_under_load {share}", written(service=service, subsets=two,
                                                    weights=documents.weights(host, {"v1": 100 - share, "v2": share}))
    yield "sticky_by_key", written(service=service, sticky=documents.subsets(host, [], "consistentHash: {httpHeaderName: user-id}"))
    yield "database_through_meltemi", written(
        shop=documents.service("shop.test", vip, 3306, "tcp-mysql", [(ONE, 3306, {}), (TWO, 3306, {})]),
        rule=documents.subsets("shop.test", [], "simple: ROUND_ROBIN"))
    yield "ipv6", written(echo=documents.service("echo.test", '"2001:db8:f::1"', 7000, "tcp", [('"2001:db8:1::2"', 7000, {})]),
                          dubbo=documents.service("dubbo.test", '"2001:db8:f::1"', 20880, DUBBO, [('"2001:db8:1::2"', 20880, {})]))
    yield "names_by_dns", written(
        wild=anywhere("*.wild.test"), none=anywhere("none.test"),
        both=documents.service("both.test", '203.0.113.9, "2001:db8:f::9"', 7000, "tcp", [(ONE, 7000, {})]))
    yield "opaque", written(**{f"p{port}": documents.service(f"half{port}.test", vip, port, "tcp", [(ONE, port, {})])
                               for port in (7000, 7001, 7002)})


def of_attacks():
    host, vip = "attacked.test", "240.240.1.1"
    known = texts("attack/others.py")
    for protocol, name in ((DUBBO, "dubbo"), (THRIFT, "thrift")):
        service = documents.service(host, vip, 20880, protocol, [(a, 20880, {}) for a in (ONE, TWO, THREE)])
        for policy in ("ROUND_ROBIN", "LEAST_REQUEST"):
            yield f"silence {name} {policy}", written(
                service=service, balancer=known["BALANCER"].format(host=host, policy=policy),
                route=known["ROUTE"].format(host=host, more="    timeout: 1s\n"))
    crowd = documents.service("crowd.test", vip, 20880, DUBBO, [(ONE, 20990, {})])
    yield "flash_crowd", written(crowd=crowd, timeout=texts("attack/flash_crowd.py")["TIMEOUT"])
    faults = texts("smoke/faults_are_named.py")
    good = documents.service("good.test", vip, 20880, DUBBO, [(ONE, 20880, {})])
    more = documents.service("noroute.test", "240.240.1.2", 20880, DUBBO, [(ONE, 20880, {})])
    yield "faults_are_named", written(
        good=good, noroute=more, limit=faults["APPLICATION"].format(name="limit", host="good.test", more=faults["LIMIT"]),
        nowhere=faults["APPLICATION"].format(name="nowhere", host="noroute.test", more=faults["NOWHERE"]))
    yield "faults_are_named split", written(good=good, split=documents.weights("good.test", {"v9": 100}, name="split") + "---\n" +
                                            documents.subsets("good.test", ["v9"]))


def of_meshes():
    host, vip, port = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1", 20880
    two = {"v1": [(ONE, port)], "v2": [(TWO, port, 3)]}
    aeraki = mesh.service("thrift.example", "240.240.1.2", 9090, "thrift", [(ONE, 9090)], kind=mesh.meta_binary, source=mesh.AERAKI)
    yield "xds split and service", resources(*mesh.split(host, vip, port, "dubbo", two, {"v1": 20, "v2": 80}), *aeraki)
    yield "xds bytes", resources(*mesh.service("bytes.example", "240.240.1.3", 7000, "tcp", [(ONE, 7000), (TWO, 7000)]))
    yield "xds names", resources(mesh.names(**{"db.example.com": ["240.240.9.1", "2001:db8:f::1"]}),
                                 *mesh.service("bytes.example", "240.240.1.3", 7000, "tcp", [(ONE, 7000)]))


def every():
    yield from of_documents()
    yield from of_attacks()
    yield from of_meshes()
