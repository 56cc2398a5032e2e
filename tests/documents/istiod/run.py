#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares how Meltemi itself and a real istiod interpret the documents in scenes/, by the questions of questions.tsv. istiod's answers are
in answers.json, written by tests/interop/xds/long_istiod_answers.py --update; answers for MetaRouters are those of a real Aeraki
(long_aeraki_answers.py). Intended differences are in differences.tsv, missing features in not_yet.tsv, each with its reason. A
difference that is in neither file fails, and so does one that is in a file and does not occur.

  run.py [--show] [SCENE]...
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import asked

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", HERE.parents[2] / "build-debug"))
SECONDS = 60
NODE = """\
apiVersion: meltemi.io/v1
kind: Node
metadata: {{name: asker, labels: {labels}}}
spec:
  mesh: {{namespace: {namespace}}}
  locality: {locality}
  ports: [{{name: p0, device: net_null0, addresses: [10.255.255.1/8, 100.127.255.254/10, "2001:db8:ffff::1/32"]}}]
  dns: {{}}
"""
ENDPOINT = re.compile(r"^(.*) weight (\d+)(?: zone .*)?$")
BALANCERS = {"round robin": "round_robin", "random": "random", "maglev": "hash", "ring hash": "hash"}


class Told:
    """Meltemi's picture of a scene as a client's node compiles it."""

    def __init__(self, scene, client):
        with tempfile.TemporaryDirectory(prefix="istiod") as place:
            place = pathlib.Path(place)
            (place / "documents").mkdir()
            (place / "documents" / f"{scene}.yaml").write_text((asked.SCENES / f"{scene}.yaml").read_text())
            (place / "node.yaml").write_text(NODE.format(labels=json.dumps(client.labels), namespace=client.namespace,
                                                         locality=json.dumps(client.locality)))
            argv = [BUILD / "tests/golden/picture", "-l", "-c", "node.yaml", "documents"]
            done = subprocess.run(argv, cwd=place, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode:
            raise SystemExit(f"{scene}: {done.stderr}")
        whole = json.loads(done.stdout)
        if "refused" in whole:
            raise SystemExit(f"{scene}: {whole['refused']}")
        self.listeners = {one["address"]: one for one in whole.get("listeners", [])}
        self.services = {one["name"]: one for one in whole.get("services", [])}
        self.clusters = {one["name"]: one for one in whole.get("clusters", [])}
        self.looked_up = whole.get("looked up", {})
        self.names = {one["host"]: one["addresses"] for one in whole.get("names", {}).get("hosts", [])}

    def destinations(self, question):
        host = question.host
        addresses = [host.lstrip("@") or "::"] if host.startswith("@") else self.names.get(host, [])
        for address in addresses:
            listener = self.listeners.get(f"[{address}]:{question.port}" if ":" in address else f"{address}:{question.port}")
            for chain in listener.get("chains", []) if listener else ():
                for protocol in chain.get("protocols", []):
                    for name in protocol.get("services", []):
                        return self.of_service(self.services[name])
        return []

    def table(self, question):
        """The routes of a port of messages."""
        service = self.services[f"{question.host}:{question.port}"]
        return [self.route(one) for one in service["routes"]]

    def route(self, one):
        to = [(int(text.split()[0]), text.split(" to ", 1)[1]) for text in one["destinations"]]
        keys = one.get("hashes by") or list(dict.fromkeys(key for _, name in to for key in self.clusters[name].get("hashes by", [])))
        return {"name": one["name"], "match": [] if one["match"] == "*" else sorted(one["match"].split(", ")), "to": asked.shares(to),
                "mirror": one.get("mirrors", []),
                "request": [text.removeprefix("set ") for text in one.get("request", [])],
                "reply": [text.removeprefix("set ") for text in one.get("reply", [])],
                "hash": [key.removeprefix("key ").removesuffix(" (known)") for key in keys]}

    @staticmethod
    def of_service(service):
        shares = service.get("bytes by weight")
        if "routes" in service:
            first = service["routes"][0] if service["routes"] else {}
            shares = first.get("destinations", [])
        if shares is None:
            return [(1, service["bytes to"])] if "bytes to" in service else []
        return [(int(one.split()[0]), one.split(" to ", 1)[1]) for one in shares]

    def cluster(self, name):
        one = self.clusters.get(name)
        if one is None:
            return None
        settings = {}
        if one["balancer"] != "least request":
            settings["balancer"] = BALANCERS[one["balancer"]]
        for ours, theirs in (("connect_ms", "connect_ms"), ("max_connections", "max_connections")):
            if one.get(ours):
                settings[theirs] = one[ours]
        if one.get("outlier", {}).get("errors"):
            settings["failures"] = one["outlier"]["errors"]
        return list(self.endpoints(one)), settings

    def endpoints(self, cluster):
        """A name stands for the addresses that it leads to, and what drains is left out, as in what istiod sends."""
        levels = {level.get("first endpoint", 0) if isinstance(level, dict) else 0: number
                  for number, level in enumerate(cluster.get("priorities", []))}
        priority = 0
        for number, text in enumerate(cluster.get("endpoints", [])):
            priority = levels.get(number, priority)
            if " draining" in text:
                continue
            where, weight = ENDPOINT.match(text).groups()
            address, _, port = where.rpartition(":")
            yield int(weight), f"{self.looked_up.get(address, address)}:{port}", priority


def answers(questions):
    pairs = sorted({(one.scene, one.client) for one in questions}, key=str)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        told = dict(zip(pairs, pool.map(lambda pair: Told(*pair), pairs)))
    out = {}
    for one in questions:
        by = told[one.scene, one.client]
        out[one.name] = by.table(one) if one.rule == asked.ROUTERS else asked.answer(by.destinations(one), by.cluster)
    return out


def reasons_of(table):
    """{question: reason}"""
    rows = [line.split("\t") for line in (HERE / table).read_text().splitlines() if line and not line.startswith("#")]
    return {name: reason for reason, name in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="Meltemi's answers, as JSON")
    parser.add_argument("scenes", nargs="*")
    options = parser.parse_args()
    questions = [one for one in asked.questions() if not options.scenes or one.scene in options.scenes]
    ours = answers(questions)
    if options.show:
        print(json.dumps(ours, indent=1))
        return 0
    kept = json.loads((HERE / "answers.json").read_text())
    return 1 if compare(questions, ours, kept) else 0


def compare(questions, ours, kept):
    """How many questions are answered otherwise than they should be; tells of them."""
    theirs, meant, lacking = kept["answers"], reasons_of("differences.tsv"), reasons_of("not_yet.tsv")
    unknown = {*meant, *lacking} - {one.name for one in asked.questions()}
    chosen = {one.name for one in questions}
    meant, lacking = ({name: why for name, why in table.items() if name in chosen} for table in (meant, lacking))
    reasons = {**meant, **lacking}
    rules = collections.Counter(one.rule for one in questions)
    bad = 0 if questions else 1
    for one in questions:
        same = one.name in theirs and ours[one.name] == theirs[one.name]
        if same != (one.name in reasons):
            continue
        bad += 1
        print(f"{one.rule}: {one.name}" + (": the same as istiod's now: take it off the tables of differences" if same else ""))
        if not same:
            print(f"  istiod:  {json.dumps(theirs.get(one.name, 'was not asked'))}\n  Meltemi: {json.dumps(ours[one.name])}")
    for name in sorted(unknown):
        print(f"{name}: there is no such question")
    print(f"{len(questions)} questions to {kept['of']} and to Meltemi: {len(questions) - len(reasons) - bad} the same, {len(meant)} otherwise "
          f"for {len(set(meant.values()))} reasons, {len(lacking)} not yet, {bad + len(unknown)} wrong")
    print(", ".join(f"{rule} {number}" for rule, number in sorted(rules.items())))
    return bad + len(unknown)


if __name__ == "__main__":
    sys.exit(main())
