#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Routes of calls question by question: random rules of Envoy's thrift_proxy (names of methods and services, inverted ones, header
matchers of all kinds, their order), and 20,000 random calls with headers through Envoy and through Meltemi. Every call must have
the same answer; each rule leads to an endpoint of its own.
"""

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
import oracle_asks  # noqa: E402
import oracle_rules  # noqa: E402
from oracle import ENVOY, MELTEMI, PICKS, SEED, assignment, endpoint, listener, locality, oracle, tally, thrift_proxy  # noqa: E402, I001
from meltemi_lab import check, main  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402

SETS, RULES = 40, 8
NAMES = ("get", "put", "list", "store:get", "store:put", "other:get", "storex:get", "store:", "a:b:get")
METHODS = ("get", "put", "store:get", "other:get", "a:b:get", "b:get")
SERVICES = ("store", "other", "store:", "a", "a:b", "ge")


def match(dice):
    """A match of thrift_proxy."""
    out, chance = {}, dice.random()
    if chance < 0.4:
        out["methodName"] = dice.choice(METHODS)
    elif chance < 0.7:
        out["serviceName"] = dice.choice(SERVICES)
    else:
        out["methodName"] = ""
    if chance < 0.7 and dice.random() < 0.25:
        out["invert"] = True
    found = oracle_rules.header_matchers(dice)
    return {**out, **({"headers": found} if found else {})}


def rules_of(dice):
    found = [{"match": match(dice), "route": {"cluster": f"r{n}"}} for n in range(dice.randint(1, RULES - 1))]
    if dice.random() < 0.6:
        found.append({"match": {"methodName": ""}, "route": {"cluster": f"r{RULES - 1}"}})
    return found


def body():
    dice = random.Random(SEED)
    sets = [rules_of(dice) for _ in range(SETS)]
    resources = [one for n in range(RULES) for one in (mesh.cluster(f"r{n}"), assignment(f"r{n}", [locality("a", [endpoint(n)])]))]
    resources += [listener(10000 + n, thrift_proxy(f"s{n}", rules)) for n, rules in enumerate(sets)]
    wrong, answers = [], []
    with oracle() as o:
        o.start(resources)
        o.listens(*(10000 + n for n in range(SETS)))
        for n, rules in enumerate(sets):
            asked = [(dice.choice(NAMES), oracle_rules.headers(dice)) for _ in range(PICKS // SETS)]
            calls = [oracle_asks.call(*one) for one in asked]
            ours, theirs = o.thrift(MELTEMI, 10000 + n, calls), o.thrift(ENVOY, 10000 + n, calls)
            wrong += [f"{one} by {rules}: Meltemi {a}, Envoy {b}" for one, a, b in zip(asked, ours, theirs) if a != b]
            answers += theirs
    found = tally(answers)
    if wrong:
        raise Failure(f"{len(wrong)} of {len(answers)} calls, so {min(wrong, key=len)}")
    check(len(found) > RULES // 2, f"hardly any rule had calls: {found}")
    print(f"  {len(answers)} calls by {SETS} sets of rules: {found}")


main(body)
