# SPDX-License-Identifier: Apache-2.0
"""
The questions of questions.tsv and the form of their answers, which is the same for istiod and Meltemi:

  to        shares of destinations, without a common divisor, as clusters that Istio would name so
  at        endpoints of each: ADDRESS:PORT, weights without a common divisor, priority if it is not the first
  settings  of each, what is not as it is by default: balancer, connect_ms, max_connections, failures

For the routes of a MetaRouter, in their order: name, match, to, mirror, request and reply (the changes), hash (the keys).
"""

import dataclasses
import functools
import math
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
SCENES = HERE / "scenes"
ROUTERS = "meta-routers"  # the rule whose questions are to Aeraki: which routes does a port have
NOWHERE = "nowhere: there is no such cluster"
CLIENT = re.compile(r"^(gateway:)?([a-z-]+)(?:\[(.*?)\])?(?:@(.*))?$")


@dataclasses.dataclass(frozen=True)
class Client:
    """Who asks: NAMESPACE, gateway:NAMESPACE, with [LABEL=VALUE;...] and @REGION/ZONE/SUBZONE."""
    text: str

    @functools.cached_property
    def parts(self):
        return CLIENT.match(self.text)

    @property
    def gateway(self):
        return bool(self.parts[1])

    @property
    def namespace(self):
        return self.parts[2]

    @property
    def labels(self):
        return dict(one.split("=") for one in (self.parts[3] or "").split(";") if one)

    @property
    def locality(self):
        return dict(zip(("region", "zone", "subzone"), (self.parts[4] or "").split("/"))) if self.parts[4] else {}


@dataclasses.dataclass(frozen=True)
class Question:
    rule: str
    scene: str
    client: Client
    target: str  # HOST:PORT, or @ADDRESS:PORT, or @:PORT at a gateway

    @property
    def name(self):
        return f"{self.scene} {self.client.text} {self.target}"

    @property
    def host(self):
        return self.target.rpartition(":")[0]

    @property
    def port(self):
        return int(self.target.rpartition(":")[2])


def questions():
    """Each row is all of its clients with all of its targets."""
    found = []
    for line in (HERE / "questions.tsv").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        rule, scene, clients, targets = line.split("\t")
        found += [Question(rule, scene, Client(client), target) for client in clients.split() for target in targets.split()]
    names = [one.name for one in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SystemExit(f"asked twice: {sorted(twice)}")
    return found


def shares(weighted):
    """[(weight, what)] with each thing once, nothing of weight 0, and no common divisor."""
    total = {}
    for weight, what in weighted:
        total[what] = total.get(what, 0) + weight
    divisor = math.gcd(*total.values()) if total else 1
    return sorted(f"{weight // divisor} {what}" for what, weight in total.items() if weight)


def answer(to, clusters):
    """to: [(weight, cluster)]; clusters: function of a name to (endpoints [(weight, ADDRESS:PORT, priority)], settings), or None."""
    known = {name: clusters(name) for weight, name in to if weight}
    out = {"to": shares((weight, name if known.get(name) else NOWHERE) for weight, name in to), "at": {}, "settings": {}}
    for name in sorted(name for name, found in known.items() if found):
        endpoints, settings = known[name]
        if isinstance(endpoints, str):
            out["at"][name] = endpoints
        else:
            out["at"][name] = shares((weight, f"{where} priority {priority}" if priority else where)
                                     for weight, where, priority in endpoints)
        if settings:
            out["settings"][name] = settings
    return out if out["to"] else None
