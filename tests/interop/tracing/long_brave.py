#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Dubbo clients and servers with Brave on one or both sides of a node, and OpenTelemetry's Java agent on the other: each call is one tree of
spans. If an attempt is too slow and the node makes another one, both are children of the call's span, and each server's span is below its
attempt. Only for --long: Brave and the agent are downloaded, and Java is slow to start with them.
"""

import collections
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from traced import MESH, PATIENT, SESSION, Host, agent, built, call, play, spans_of, traces, tree  # noqa: E402, I001
import environment  # noqa: E402
from collector import Receiver  # noqa: E402
from meltemi_lab import Lab, check, equal, main, within  # noqa: E402
from meltemi_lab.documents import service, subsets  # noqa: E402
from retry_lab import rule, virtual_service  # noqa: E402

VERSIONS, PAIRS = ("2.7.23", "3.2.16"), (("brave", "brave"), ("brave", "agent"), ("agent", "brave"))
PORT, CALLS, REPEATED = 20880, 40, 12
FAST, MIXED = ("fast.test", "240.240.8.1"), ("mixed.test", "240.240.8.2")  # endpoints: server 2; both
TRY_MS, SLOW_MS, MOST = 2000, 6000, 3  # of an attempt, of the first server, attempts


def started(host, by, jar, version, *args, **options):
    if by == "brave":
        return host.by_brave(version, *args, **options)
    return host.by_agent(jar, "b3multi", version, *args, **options)


def forms_of(start, found, vip, count, what):
    """The forms of the traces of a client's calls, when each call has a whole one."""
    known, forms, wanted = set(found()), collections.Counter(), {call(attempts) for attempts in range(1, MOST + 1)}
    client = start(*SESSION, f"{vip}:{PORT}", stdin=subprocess.PIPE)
    made = play(client, count)

    def whole():
        forms.clear()
        forms.update(tree(spans) for trace, spans in found().items() if trace not in known)
        return sum(forms[form] for form in wanted) >= made

    try:
        within(30, whole, f"{what}: one tree of each call", step=0.5)
    finally:
        print(f"{what}: {dict(forms)}", flush=True)
    equal((set(forms) - wanted, sum(forms.values())), (set(), made), f"{what}: odd forms of traces, and their number")
    client.kill()
    return forms


def pair(jar, hosts, found, version, ways):
    client, *servers = hosts
    providers = [started(host, ways[1], jar, version, "Provider", "--tag", "v1", "--id", f"s{number}", "--delay", delay)
                 for number, host, delay in ((1, servers[0], SLOW_MS), (2, servers[1], 0))]
    for provider in providers:
        provider.wait_line('"ready"', 60)

    def start(*args, **options):
        return started(client, ways[0], jar, version, *args, **options)

    what = f"Dubbo {version}, {ways[0]} to {ways[1]}"
    equal(set(forms_of(start, found, FAST[1], CALLS, what)), {call(1)}, f"{what}: forms of traces")
    forms = forms_of(start, found, MIXED[1], REPEATED, f"{what}, a slow server")
    check(sum(n for form, n in forms.items() if form != call(1)), f"{what}: no call has a second attempt")
    for provider in providers:
        provider.stop(20)


def body():
    jar = agent()
    built("tracing/brave/build.sh")
    for version in VERSIONS:
        built("dubbo/build.sh", version)
    with Lab(servers=2) as lab:
        daemon = lab.meltemi(workers=2)
        daemon.write("mesh.yaml", MESH)
        daemon.write("fast.yaml", service(*FAST, PORT, "tcp-metaprotocol-dubbo", [(lab.server(2), PORT, {})]))
        daemon.write("mixed.yaml", service(*MIXED, PORT, "tcp-metaprotocol-dubbo", [(lab.server(n), PORT, {}) for n in (1, 2)]))
        daemon.write("balancer.yaml", subsets(MIXED[0], (), PATIENT))
        retries = f"retries: {{attempts: {MOST - 1}, retryOn: reset, perTryTimeout: {TRY_MS}ms}}"
        daemon.write("rules.yaml", virtual_service(MIXED[0], rule(MIXED[0], retries)))
        node = Receiver(daemon, environment.otlp(), "spans")
        daemon.start()
        node.start()
        hosts = [Host(lab, "client", "client"), *(Host(lab, f"server{n}", "server") for n in (1, 2))]

        def found():
            return traces(spans_of("node", node), *(host.spans() for host in hosts))

        try:
            for version in VERSIONS:
                for ways in PAIRS:
                    pair(jar, hosts, found, version, ways)
        finally:
            for one in (node, *hosts):
                one.stop()


main(body)
