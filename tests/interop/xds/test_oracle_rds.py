#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Routes of the route discovery service, the same for Envoy's HTTP router and for Meltemi's Thrift: random rules of header matchers and
their order, 20,000 random questions that must have the same answer each; and shares of weighted clusters (chi-square).
"""

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
import oracle_asks  # noqa: E402
import oracle_rules  # noqa: E402
from oracle import (ENVOY, MELTEMI, PICKS, SEED, Shares, assignment, endpoint, http_listener, listener, locality, name,  # noqa: E402
                    oracle, tally)
from meltemi_lab import check, main  # noqa: E402, I001
from meltemi_lab.check import Failure  # noqa: E402

SETS, RULES = 20, 10
VALUES = [value for value in oracle_rules.VALUES if value == value.strip()]  # spaces around it are no part of a header of HTTP
WEIGHTED = {"three": {"r0": 60, "r1": 30, "r2": 10}, "weight-0": {"r0": 1, "r1": 0, "r2": 4}, "large": {"r3": 1000000, "r4": 2000001}}


def rules_of(dice):
    found = [(oracle_rules.header_matchers(dice), f"r{n}") for n in range(dice.randint(1, RULES - 1))]
    return found + ([f"r{RULES - 1}"] if dice.random() < 0.6 else [])


def service(port, *rules):
    host = f"s{port}.example"
    return [mesh.routes(f"{host}_{port}", *rules), listener(port, mesh.meta_struct("thrift", host, port))]


def by_rules(o, sets, dice):
    wrong, answers = [], []
    for n, rules in enumerate(sets):
        asked = [oracle_rules.headers(dice, VALUES) for _ in range(PICKS // SETS)]
        ours = o.thrift(MELTEMI, 10000 + n, [oracle_asks.call("ask", one) for one in asked])
        theirs = o.http(ENVOY, 10000 + n, [oracle_asks.request(one) for one in asked])
        wrong += [f"{one} by {rules}: Meltemi {a}, Envoy {b}" for one, a, b in zip(asked, ours, theirs) if a != b]
        answers += theirs
    if wrong:
        raise Failure(f"{len(wrong)} of {len(answers)} questions, so {min(wrong, key=len)}")
    print(f"  {len(answers)} questions by {SETS} sets of rules: {tally(answers)}")
    check(len(tally(answers)) > RULES // 2, "hardly any rule was asked for")


def by_weight(o):
    counted = Shares()
    for number, (what, shares) in enumerate(WEIGHTED.items()):
        wanted = {name(int(cluster[1:])): weight for cluster, weight in shares.items()}
        counted.add(what, MELTEMI, o.thrift(MELTEMI, 11000 + number, [oracle_asks.call("ask", {})] * PICKS), wanted)
        counted.add(what, ENVOY, o.http(ENVOY, 11000 + number, [oracle_asks.request({})] * PICKS), wanted)
    counted.judge()


def body():
    dice = random.Random(SEED)
    sets = [rules_of(dice) for _ in range(SETS)]
    resources = [one for n in range(RULES) for one in (mesh.cluster(f"r{n}"), assignment(f"r{n}", [locality("a", [endpoint(n)])]))]
    resources += [one for n, rules in enumerate(sets) for one in service(10000 + n, *rules)]
    resources += [one for n, shares in enumerate(WEIGHTED.values()) for one in service(11000 + n, shares)]
    ports = [*range(10000, 10000 + SETS), *range(11000, 11000 + len(WEIGHTED))]
    with oracle() as o:
        o.start(resources, [http_listener(port, f"s{port}.example_{port}") for port in ports])
        o.listens(*ports)
        by_rules(o, sets, dice)
        by_weight(o)


main(body)
