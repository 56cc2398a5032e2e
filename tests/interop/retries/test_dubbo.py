#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Retries by policy with Apache Dubbo for Java: providers that throw exceptions, hang, have their connections reset while they execute a
call, have no thread left, are stopped, are killed, and refuse connections. Executions are counted at the providers: at most as many as
the policy allows, more than one only if it names the reason, and calls that were not read are never lost.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from retry_lab import FIRST, NONE, OK, POLICIES, Scene, name_of, rule, virtual_service  # noqa: E402, I001
from meltemi_lab import Lab, check, main, within  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402
from meltemi_lab.documents import service, subsets  # noqa: E402

HOST, VIP, PORT, THREADS = "retries.test", "240.240.8.2", 20880, 32
BUSY_MS = 20000  # of a call that takes a thread; four callers more wait for one that is free
BY_NAME = {policy.name: policy for policy in POLICIES}


class Clients:
    """Apache's consumers; calls choose their policy by an attachment, which a rule matches. A consumer makes one call at a time."""

    def __init__(self, lab, version):
        self.usual, self.other = (lab.java_session("client", name, version, f"{VIP}:{PORT}", "--timeout", 60000) for name in ("usual", "other"))
        for session in (self.usual, self.other):
            session.wait_line('"ready"')

    def ask(self, policy, name):
        session = self.other if policy == "default" else self.usual
        session.ask(f"--scenario load --count 1 --attach policy={policy} --name {name}")
        report = session.answer(90)
        return OK if report["answered"] else f"{report['errors']} {report['error_samples']}"


def overload(lab, scene, version):
    """
    All threads of s1 are busy, so it replies with status 100 and executes nothing; calls by policies that name overload are answered
    by s2.
    """
    for policy in POLICIES:
        scene.settle(policy)
    busy = lab.java("client", "busy", version, "Consumer", "--target", f"{lab.server(1)}:{PORT}", "--scenario", "load", "--method", "slow",
                    "--slow-ms", BUSY_MS, "--millis", BUSY_MS // 2, "--concurrency", THREADS + 4, "--pause-ms", 50, "--timeout", 60000)
    busy.wait_line("calling")
    none, covered = BY_NAME["none"], [policy for policy in POLICIES if "overload" in policy.covers]
    within(60, lambda: sum(scene.ask("none", name_of("good", NONE)) != OK for _ in range(10)) >= 5, "a provider without threads")
    for policy in [none, BY_NAME["reset"], *covered]:
        before, errors = lab.daemon.counters()["proxy_retry_by_policy"], 0
        for _ in range(10):
            name = name_of("overload", FIRST)
            answer, counts = scene.ask(policy.name, name), scene.executed(name)
            errors += answer != OK
            scene.expect(counts == [0, answer == OK], policy, name, f"overload: answer {answer}, executions {counts}")
        again = lab.daemon.counters()["proxy_retry_by_policy"] - before
        scene.expect((errors == 0) == (policy in covered) and (again > 0) == (policy in covered), policy, "overload",
                     f"{errors} errors, {again} further attempts")
    check(busy.running(), "the provider had threads again before the end")
    check(busy.result(60)["answered"] >= THREADS, "the provider had threads free")


def body(version):
    with Lab(servers=2) as lab:
        daemon = lab.meltemi()
        servers = [lab.java(f"server{n}", f"provider{n}", version, "Provider", "--tag", "v1", "--id", f"s{n}", "--port", PORT,
                            "--threads", THREADS, "--faults", 1) for n in (1, 2)]
        daemon.write("service.yaml", service(HOST, VIP, PORT, "tcp-metaprotocol-dubbo", [(lab.server(n), PORT, {}) for n in (1, 2)]))
        rules = "".join(rule(HOST, policy.retries, policy.name, f"match: [{{headers: {{policy: {{exact: {policy.name}}}}}}}], ")
                        for policy in POLICIES)
        daemon.write("balancer.yaml", subsets(HOST, (), "simple: ROUND_ROBIN"))  # a server with an outstanding call also has others
        daemon.write("rules.yaml", virtual_service(HOST, rules + rule(HOST, "retries: {attempts: 0}", "rest")))
        for server in servers:
            server.wait_line('"ready"', 30)
        daemon.start()
        scene = Scene(lab, f"Dubbo {version}", servers, PORT, Clients(lab, version).ask, never=("error",))  # an exception is a reply as any other
        overload(lab, scene, version)
        for policy in POLICIES:
            scene.faults(policy, ("error", "reset", "hang"))
        scene.stops(BY_NAME["try"])
        scene.dies(BY_NAME["default"], BY_NAME["reset"])
        counters = daemon.counters()
        scene.report(f", {counters['proxy_retry_by_policy']} attempts by policy, "
                     f"{counters.get('proxy_exchange_transparent_retry', 0)} without one")
        scene.ends()
    if scene.wrong:
        raise Failure(f"{len(scene.wrong)} calls:\n  " + "\n  ".join(scene.wrong))


if __name__ == "__main__":
    main(lambda: body("3.2.16"))
