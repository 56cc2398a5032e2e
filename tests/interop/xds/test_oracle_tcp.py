#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
TCP beside Envoy: which cluster, subset and endpoint 20,000 connections reach by weights and priorities (chi-square), and which filter
chain connections from many addresses to several take, question by question.
"""

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from oracle import (ENVOY, LONG, MELTEMI, PICKS, SEED, SIDES, TCP, VIP, Shares, assignment, endpoint, listener, locality, name,  # noqa: E402
                    oracle, tally)
from meltemi_lab import check, main  # noqa: E402, I001
from meltemi_lab.check import Failure  # noqa: E402

VIPS = (VIP, "240.240.7.2", "240.240.7.3")
SOURCES = [f"192.0.2.{n}" for n in (3, *range(16, 33), 64, 65, 127, 128, 200, 254)]
SETS = 8


def one(number, **more):
    return endpoint(number, ports=TCP, **more)


def shared():
    """(what, port, resources, shares)"""
    def proxy(port, target):
        return listener(port, mesh.tcp_proxy(f"t{port}", target))

    subsets = [one_ for n in range(3) for one_ in (mesh.cluster(f"v{n}"), assignment(f"v{n}", [locality("a", [one(n)])]))]
    yield ("subsets 60/30/10", 10000, [*subsets, proxy(10000, {"v0": 60, "v1": 30, "v2": 10})], {0: 60, 1: 30, 2: 10})
    partly = [locality("a", [one(3, weight=1), one(4, weight=4), one(5, health="u"), one(6, health="u")]), locality("a", [one(7)], 1)]
    yield ("weights of endpoints, half of a priority healthy", 10001,
           [mesh.cluster("partly"), assignment("partly", partly), proxy(10001, "partly")], {3: 14, 4: 56, 7: 30})
    if LONG:
        yield ("equal", 10002, [mesh.cluster("equal"), assignment("equal", [locality("a", [one(n) for n in range(3)])]),
                                proxy(10002, "equal")], {0: 1, 1: 1, 2: 1})


def ranges(dice, first, lengths):
    length = dice.choice(lengths)
    return {"addressPrefix": f"{first}", "prefixLen": length}


def chains(dice, number):
    """A listener of random chains, each to a cluster of its own; two of the same match are not one listener."""
    seen, found = set(), []
    for _ in range(dice.randint(2, 6)):
        match = {}
        if dice.random() < 0.75:
            match["sourcePrefixRanges"] = [ranges(dice, dice.choice(SOURCES), (8, 24, 26, 28, 30, 32))]
        if dice.random() < 0.5:
            match["prefixRanges"] = [ranges(dice, dice.choice(VIPS), (16, 30, 31, 32))]
        if dice.random() < 0.2:
            match["destinationPort"] = dice.choice((11000 + number, 80))
        key = masked(match)
        if key not in seen:
            seen.add(key)
            found.append({"filterChainMatch": match, "filters": [mesh.tcp_proxy(f"x{number}", f"chain{len(found)}")]})
    out = listener(11000 + number)
    out["filterChains"] = found
    out["additionalAddresses"] = [{"address": {"socketAddress": {"address": vip, "portValue": 11000 + number}}} for vip in VIPS[1:]]
    if dice.random() < 0.5:
        out["defaultFilterChain"] = {"filters": [mesh.tcp_proxy(f"x{number}", "chain6")]}
    return out


def masked(match):
    """What of a match tells it from others."""
    def network(listed):
        value = int.from_bytes(bytes(map(int, listed[0]["addressPrefix"].split("."))), "big")
        return value >> (32 - listed[0]["prefixLen"]), listed[0]["prefixLen"]

    return tuple(match[key] if key == "destinationPort" else network(match[key]) for key in sorted(match)), tuple(sorted(match))


def by_chain(o, dice):
    asked = [((dice.choice(VIPS), 11000 + dice.randrange(SETS)), dice.choice(SOURCES)) for _ in range(PICKS)]
    for side in SIDES:  # everybody knows everybody
        o.connections(side, [((VIP, 10000), source) for source in SOURCES])
    ours, theirs = o.connections(MELTEMI, asked), o.connections(ENVOY, asked)
    wrong = [f"{one_}: Meltemi {a}, Envoy {b}" for one_, a, b in zip(asked, ours, theirs) if a != b]
    if wrong:
        raise Failure(f"{len(wrong)} of {PICKS} connections, so {wrong[0]}")
    print(f"  {PICKS} connections by {SETS} sets of chains: Envoy {tally(theirs)}, Meltemi {tally(ours)}")
    check(len(tally(theirs)) > 5, "hardly any chain was taken")


def body():
    dice = random.Random(SEED)
    listed = list(shared())
    resources = [one_ for _, _, found, _ in listed for one_ in found]
    resources += [one_ for n in range(7) for one_ in (mesh.cluster(f"chain{n}"), assignment(f"chain{n}", [locality("a", [one(10 + n)])]))]
    resources += [chains(dice, number) for number in range(SETS)]
    with oracle() as o:
        o.more_addresses(VIPS[1:], SOURCES)
        o.start(resources)
        o.listens(*(port for _, port, _, _ in listed), *range(11000, 11000 + SETS))
        counted = Shares()
        for what, port, _, shares in listed:
            for side in SIDES:
                answers = o.connections(side, [((VIP, port), None)] * PICKS)
                counted.add(what, side, answers, {name(number, TCP): share for number, share in shares.items()})
        counted.judge()
        by_chain(o, dice)


main(body)
