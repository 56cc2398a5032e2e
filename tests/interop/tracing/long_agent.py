#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Dubbo clients and servers with OpenTelemetry's Java agent on both sides of a node. Each call is one trace without a gap: the client's span,
the node's of the call, the node's of the attempt, the server's. So it is for contexts of W3C and for both forms of B3, and for both Dubbos.
Only for --long: the agent is downloaded, and Java is slow to start with it.
"""

import collections
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from traced import MESH, SESSION, Host, agent, built, call, play, spans_of, traces, tree  # noqa: E402, I001
import environment  # noqa: E402
from collector import Receiver  # noqa: E402
from meltemi_lab import Lab, equal, main, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

VERSIONS, PROPAGATORS = ("2.7.23", "3.2.16"), ("tracecontext", "b3multi", "b3")
VIP, CALLS = "240.240.1.1", 40


def calls(jar, client, server, found, version, propagators):
    """`found` returns the traces until now."""
    known = set(found())
    provider = server.by_agent(jar, propagators, version, "Provider", "--tag", "v1", "--id", "s1")
    provider.wait_line('"ready"', 60)
    session = client.by_agent(jar, propagators, version, *SESSION, f"{VIP}:20880", stdin=subprocess.PIPE)
    made, seen = play(session, CALLS), collections.Counter()

    def whole():
        seen.clear()
        seen.update(tree(spans) for trace, spans in found().items() if trace not in known)
        return seen[call(1)] >= made

    try:
        within(30, whole, f"a whole trace of each call, Dubbo {version}, {propagators}", step=0.5)
    finally:
        print(f"Dubbo {version}, {propagators}: {dict(seen)}", flush=True)
    equal(dict(seen), {call(1): made}, "forms of traces")
    session.kill()
    provider.stop(20)


def body():
    jar = agent()
    for version in VERSIONS:
        built("dubbo/build.sh", version)
    with Lab(servers=1) as lab:
        daemon = lab.meltemi(workers=2)
        daemon.write("mesh.yaml", MESH)
        daemon.write("dubbo.yaml", service("dubbo.interop", VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        node = Receiver(daemon, environment.otlp(), "spans")
        daemon.start()
        node.start()
        client, server = Host(lab, "client", "client"), Host(lab, "server1", "server")

        def found():
            return traces(spans_of("node", node), client.spans(), server.spans())

        try:
            for version in VERSIONS:
                for propagators in PROPAGATORS:
                    calls(jar, client, server, found, version, propagators)
        finally:
            for one in (node, client, server):
                one.stop()


main(body)
