#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Weights of endpoints, of clusters and subsets, of localities, and the load of priorities at partial health, each by 20,000 Thrift
calls through Envoy and through Meltemi, which take the same resources from one discovery server: both must fit the shares that
Envoy's documentation gives (chi-square).
"""

import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
import oracle_asks  # noqa: E402
from oracle import LONG, MELTEMI, PICKS, SIDES, Shares, assignment, endpoint, listener, locality, name, oracle, thrift_proxy  # noqa: E402, I001
from meltemi_lab import main  # noqa: E402

NOBODY = oracle_asks.NOBODY
# Asked by MELTEMI_LONG only: others hold nearly the same.
MORE = {"equal endpoints", "endpoints in millions", "random, equal", "factor 100", "endpoints 997:1009:30",
        "least request, equal", "subsets 3:1", "a subset nobody of which is healthy, without panic",
        "all healthy: the first priority", "all unhealthy but the last", "below the panic threshold: all",
        "a threshold of a fifth", "both in panic, alike", "nobody is healthy in two priorities", "draining ones alone",
        "degraded ones wait", "factor 200", "localities 3:1", "a locality without weight", "no locality has a weight",
        "localities of two priorities"}


@dataclasses.dataclass
class Case:
    """clusters: {name: localities}; shares: {number of an endpoint, or NOBODY: share}, of both sides."""
    what: str
    clusters: dict
    shares: dict
    route: object = None       # a cluster's name, or {name: weight}; otherwise the one cluster
    fields: dict = dataclasses.field(default_factory=dict)
    policy: dict = dataclasses.field(default_factory=dict)
    meltemi: dict = None       # its own shares, where they differ
    window: int = 32


def flat(*endpoints):
    return [locality("a", endpoints)]


def healths(*words, first=0):
    """One priority for each word, one endpoint for each letter (HEALTH)."""
    out, number = [], first
    for priority, word in enumerate(words):
        out.append(locality("a", [endpoint(number + n, health=letter) for n, letter in enumerate(word)], priority))
        number += len(word)
    return out


def levels(what, words, shares, threshold=None, **more):
    """shares: in each priority's own share, spread evenly over the endpoints (numbers) that it names: [(share, numbers)]."""
    fields = {} if threshold is None else {"commonLbConfig": {"healthyPanicThreshold": {"value": threshold}}}
    said = {number: share / len(numbers) for share, numbers in shares for number in numbers}
    return Case(what, {"only": healths(*words)}, said, fields=fields, **more)


def weights():
    lr = {"lbPolicy": "LEAST_REQUEST"}
    yield Case("equal endpoints", {"only": flat(*(endpoint(n) for n in range(3)))}, {0: 1, 1: 1, 2: 1})
    yield Case("endpoints 1:2:5", {"only": flat(endpoint(0, 1), endpoint(1, 2), endpoint(2, 5))}, {0: 1, 1: 2, 2: 5})
    yield Case("endpoints 997:1009:30", {"only": flat(endpoint(0, 997), endpoint(1, 1009), endpoint(2, 30))}, {0: 997, 1: 1009, 2: 30})
    yield Case("endpoints in millions", {"only": flat(endpoint(0, 1000000), endpoint(1, 2999999))}, {0: 1, 1: 3})
    yield Case("least request, equal", {"only": flat(*(endpoint(n) for n in range(4)))}, {n: 1 for n in range(4)}, fields=lr)
    if LONG:  # each call waits for the answer to the one before
        yield Case("least request 1:4", {"only": flat(endpoint(0, 1), endpoint(1, 4))}, {0: 1, 1: 4}, fields=lr, window=1)
    yield Case("random, equal", {"only": flat(*(endpoint(n) for n in range(4)))}, {n: 1 for n in range(4)}, fields={"lbPolicy": "RANDOM"})


def subsets():
    def one(number, weight=None):
        return flat(endpoint(number, weight))

    three = {"v1": one(0), "v2": one(1), "v3": one(2)}
    yield Case("subsets 60/30/10", three, {0: 60, 1: 30, 2: 10}, {"v1": 60, "v2": 30, "v3": 10})
    yield Case("subsets 3:1", {"v1": one(0), "v2": one(1)}, {0: 3, 1: 1}, {"v1": 3, "v2": 1})
    yield Case("weights of subsets and in them", {"v1": flat(endpoint(0, 1), endpoint(1, 3)), "v2": flat(endpoint(2), endpoint(3))},
               {0: 10, 1: 30, 2: 30, 3: 30}, {"v1": 40, "v2": 60})
    yield Case("a subset without endpoints", {"v1": one(0), "v2": []}, {0: 75, NOBODY: 25}, {"v1": 75, "v2": 25})
    yield Case("a subset nobody of which is healthy, without panic", {"v1": one(0), "v2": healths("uu", first=1)},
               {0: 75, NOBODY: 25}, {"v1": 75, "v2": 25}, fields={"commonLbConfig": {"healthyPanicThreshold": {"value": 0}}})


def priorities():
    yield levels("all healthy: the first priority", ["hh", "hh"], [(1, [0, 1])])
    yield levels("half healthy: 70 %", ["hhuu", "hh"], [(70, [0, 1]), (30, [4, 5])])
    yield levels("a quarter healthy: 35 %", ["huuu", "hh"], [(35, [0]), (65, [4, 5])])
    yield levels("three priorities", ["huuuu", "huuu", "hhh"], [(28, [0]), (35, [5]), (37, [9, 10, 11])])
    yield levels("all unhealthy but the last", ["uu", "dt", "h"], [(1, [4])])
    yield levels("all sorts of health", ["h?udt"], [(1, [0, 1])], threshold=20)
    yield levels("below the panic threshold: all", ["huuuu"], [(1, range(5))])
    yield levels("a threshold of a fifth", ["huuuu"], [(1, [0])], threshold=20)
    yield levels("the sum below 100: shares of it", ["huuuuu", "huuu"], [(40, [0]), (60, [6])], threshold=0)
    yield levels("one of two in panic", ["huuuu", "hhuu"], [(29, range(5)), (71, [5, 6])])
    yield levels("both in panic, alike", ["huuu", "huuu"], [(1, range(8))])
    yield levels("all in panic, of different sizes", ["uu", "huuuuu"], [(1, range(8))])
    yield levels("nobody is healthy in two priorities", ["uu", "dddd"], [(34, [0, 1]), (66, range(2, 6))])
    yield levels("no panic, nobody healthy", ["uu"], [(1, [NOBODY])], threshold=0)
    yield levels("draining ones do not count", ["hhud", "h"], [(93, [0, 1]), (7, [4])])
    yield levels("draining ones alone", ["dd"], [(1, [0, 1])])
    yield levels("degraded ones take what is left", ["hg"], [(70, [0]), (30, [1])])
    yield levels("degraded ones wait", ["hhhg"], [(1, [0, 1, 2])])
    yield levels("the next priority before degraded ones", ["huug", "h"], [(35, [0]), (65, [4])])
    yield levels("degraded ones of two priorities", ["hguuuuuu", "hhuu"], [(17, [0]), (70, [8, 9]), (13, [1])])
    yield Case("factor 100", {"only": healths("hhuu", "hh")}, {0: 25, 1: 25, 4: 25, 5: 25}, policy={"overprovisioningFactor": 100})
    yield Case("factor 200", {"only": healths("huuu", "hh")}, {0: 50, 4: 25, 5: 25}, policy={"overprovisioningFactor": 200})


def localities():
    by = {"commonLbConfig": {"localityWeightedLbConfig": {}}}

    def two(first, second, weight=(3, 1), priority=(0, 0)):
        return [locality("a", [endpoint(n, *rest) for n, *rest in first], priority[0], weight[0]),
                locality("b", [endpoint(n, *rest) for n, *rest in second], priority[1], weight[1])]

    yield Case("localities 3:1", {"only": two([(0,)], [(1,), (2,)])}, {0: 6, 1: 1, 2: 1}, fields=by)
    yield Case("localities 3:1 with weights in them", {"only": two([(0, 1), (1, 2)], [(2, 5), (3, 3)])},
               {0: 8, 1: 16, 2: 5, 3: 3}, fields=by)
    yield Case("localities' weights without being asked for", {"only": two([(0,)], [(1,), (2,)])}, {0: 1, 1: 1, 2: 1})
    yield Case("a locality of half health", {"only": two([(0,), (1, None, "u")], [(2,), (3,)], (1, 1))},
               {0: 70, 2: 50, 3: 50}, fields=by)
    yield Case("a locality without weight", {"only": two([(0,)], [(1,)], (1, None))}, {0: 1}, fields=by)
    yield Case("no locality has a weight", {"only": two([(0,)], [(1,), (2,)], (None, None))}, {0: 1, 1: 1, 2: 1}, fields=by)
    yield Case("a locality with one that drains", {"only": two([(0,), (1, None, "d"), (2, None, "u")], [(3,)], (1, 1))},
               {0: 70, 3: 100}, fields=by)
    yield Case("localities in panic", {"only": two([(0, None, "u")], [(1, None, "u"), (2, None, "u")])}, {0: 1, 1: 1, 2: 1}, fields=by)
    yield Case("localities of degraded ones", {"only": two([(0,), (1, None, "g")], [(2,), (3, None, "g"), (4, None, "g")], (1, 3))},
               {0: 56 / 3, 2: 56 * 2 / 3, 1: 44 / 5, 3: 44 * 2 / 5, 4: 44 * 2 / 5}, fields=by)
    yield Case("localities of two priorities", {"only": two([(0,), (1, None, "u")], [(2,), (3,)], (1, 1), (0, 1))},
               {0: 70, 2: 15, 3: 15}, fields=by)


def differing():
    """Known differences, each with what Envoy does and what Meltemi does; docs/reference/xds.md says why."""
    yield Case("random looks at weights", {"only": flat(endpoint(0, 1), endpoint(1, 3))}, {0: 1, 1: 1}, fields={"lbPolicy": "RANDOM"},
               meltemi={0: 1, 1: 3})


def resources_of(number, case):
    port, prefix = 10000 + number, f"c{number}-"
    for cluster, listed in case.clusters.items():
        yield mesh.cluster(prefix + cluster, **case.fields)
        yield assignment(prefix + cluster, listed, **case.policy)
    route = case.route or "only"
    if isinstance(route, dict):
        action = {"weightedClusters": {"clusters": [{"name": prefix + cluster, "weight": weight} for cluster, weight in route.items()]}}
    else:
        action = {"cluster": prefix + route}
    yield listener(port, thrift_proxy(f"c{number}", [{"match": {"methodName": ""}, "route": action}]))


def by_name(shares):
    return {answer if answer == NOBODY else name(answer): share for answer, share in shares.items()}


def body():
    every = [*weights(), *subsets(), *priorities(), *localities(), *differing()]
    cases = [(number, case) for number, case in enumerate(every) if LONG or case.what not in MORE]
    with oracle() as o:
        o.start([resource for number, case in cases for resource in resources_of(number, case)])
        o.listens(*(10000 + number for number, _ in cases))
        counted = Shares()
        questions = [oracle_asks.call("pick")] * PICKS
        for number, case in cases:
            for side in SIDES:
                shares = case.meltemi if case.meltemi and side == MELTEMI else case.shares
                counted.add(case.what, side, o.thrift(side, 10000 + number, questions, window=case.window), by_name(shares))
        counted.judge()


main(body)
