#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
`meltemi analyse` on a node under calls says what `meltemid --analyse` says of the same files, which policy is in the way of a caller, and
disturbs nothing: the same version of the configuration is in force, and no call fails. There is a bound to what it costs.
"""

import json
import pathlib
import subprocess

from meltemi_lab import TESTS, Lab, check, equal, main
from meltemi_lab.daemon import MELTEMID, SHELL
from meltemi_lab.schemas import fits

# Clients of the lab come from 192.0.2.0/24, in clear text.
POLICY = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: %s, namespace: meta-dubbo}
spec:
  rules:
  - from: [{source: {ipBlocks: [192.0.2.0/24]}}]
%s"""
POLICIES, VALUES = 400, 200
METHOD = "    to: [{operation: {methods: [sayHello]}}]\n"


def asked(daemon, *words):
    """(exit status, answer, what went to standard error)"""
    done = subprocess.run([SHELL, "-s", daemon.directory / "admin.sock", "--json", "analyse", *words], text=True, capture_output=True,
                          timeout=30, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def of_files(daemon):
    done = subprocess.run([MELTEMID, "-c", daemon.node, "--analyse", "--json"], text=True, capture_output=True, timeout=30, check=False)
    return done.returncode, json.loads(done.stdout)


def without_a_node(daemon):
    """`meltemi analyse` of files needs no daemon: as the node's document has them, and with a Node document that is made for a directory."""
    def analyse(*words):
        done = subprocess.run([SHELL, "-s", "/nowhere/admin.sock", "--json", "analyse", *words], text=True, capture_output=True, timeout=30, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout, done.stderr

    equal(analyse("--config", daemon.node)[:2], of_files(daemon), "what is said of the node's files")
    status, answer, error = analyse("--directory", daemon.services)
    equal((status, len(answer["services"]) > 0), (1, True), f"what is said of a directory: {error}")
    fits("analyse", answer)
    places = [row["where"] for row in answer["findings"] if row["where"]]
    check(places and all(place.startswith(f"{daemon.services}/") for place in places), f"places have other names than the user's: {places}")
    equal(analyse("--directory", daemon.services / "nothing-here")[0], 2, "a directory that is not there")
    equal(analyse("--directory", daemon.services, "surprise")[0], 2, "a word that means nothing")
    status, text, error = analyse("--help")
    equal((status, "--directory" in text), (0, True), f"help without a daemon: {error}")
    equal(analyse()[0], 3, "without a directory it is a daemon's")


def many(daemon):
    """So many rules in front of one service that each value against each other one would be billions of comparisons."""
    values = ", ".join(f"cluster.local/ns/web/sa/client-%d-{n}" for n in range(VALUES))
    rule = "  - from: [{source: {principals: [" + values + "]}}]\n"
    daemon.write("many.yaml", "---\n".join(
        f"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: many-{k}, namespace: meta-dubbo}}\nspec:\n  rules:\n"
        + rule % ((k,) * VALUES) for k in range(POLICIES)))
    daemon.shell("reload")
    before = cpu_seconds(daemon)
    status, answer, error = asked(daemon)
    spent = cpu_seconds(daemon) - before
    print(f"{POLICIES} policies of {VALUES} values: {spent:.2f} s", flush=True)
    equal((status, error, answer["bounded"]), (1, "", True), "the exit status, standard error, and whether not all was looked at")
    check(spent < 4, f"{spent} s of the control thread for one question: all of it would be more than a minute")


def cpu_seconds(daemon):
    """Of the control thread."""
    pid = daemon.process.pid
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks")
        daemon.write("clients.yaml", POLICY % ("clients", ""))
        daemon.write("hello.yaml", POLICY % ("hello", METHOD))
        daemon.start()
        version = daemon.show("version")["configuration"]
        client = lab.dubbo_client("240.240.0.10:20880", seconds=4, outstanding=4)
        for _ in range(20):
            status, answer, error = asked(daemon)
            equal((status, error), (1, ""), "the exit status, and standard error")
        report = client.result()
        equal(report["failed"], 0, f"calls that failed meanwhile: {report}")
        equal(daemon.show("version")["configuration"], version, "the version of the configuration")
        equal(of_files(daemon), (1, answer), "what is said of files, and of the node that reads them")
        without_a_node(daemon)
        found = {f["finding"]: f for f in answer["findings"]}
        check("hello.yaml:6" in found["shadowed-rule"]["where"] and "clients.yaml:6" in found["shadowed-rule"]["reason"], f"{found}")
        inside, outside = (asked(daemon, "principal=", f"from={address}")[1]["calls"] for address in ("192.0.2.7", "203.0.113.7"))
        may = [{row["service"].split(".")[-1]: row["may"] for row in rows} for rows in (inside, outside)]
        equal([m["demoservice"] for m in may], ["all", "nothing"], "who may call: from within, and from elsewhere")
        daemon.write("hello.yaml", "# nothing\n")
        daemon.shell("reload")
        equal(asked(daemon)[1]["bounded"], False, "whether not all was looked at")
        check("shadowed-rule" not in [f["finding"] for f in asked(daemon)[1]["findings"]], "it is still found when it is mended")
        many(daemon)


main(body)
