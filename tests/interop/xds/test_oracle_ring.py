#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The hash ring beside Envoy's: 20,000 keys through Envoy's HTTP router, with a header as the key, and through Meltemi as calls of
Thrift with the same header, by the same routes, clusters and endpoints of one discovery server. Every key must lead to the same
endpoint: then the rings have the same contents.
"""

import dataclasses
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
import oracle_asks  # noqa: E402
from oracle import ENVOY, LONG, MELTEMI, PICKS, SEED, assignment, endpoint, http_listener, listener, locality, oracle, tally  # noqa: E402, I001
from meltemi_lab import main  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402

KEY = "user"
SOURCES = [f"192.0.2.{n}" for n in range(20, 60)]


@dataclasses.dataclass
class Case:
    what: str
    localities: list
    ring: dict = dataclasses.field(default_factory=dict)
    common: dict = dataclasses.field(default_factory=dict)
    differs: bool = False  # known to, as docs/reference/xds.md says
    unkeyed: bool = False  # the calls have another header
    long: bool = False     # asked by MELTEMI_LONG only
    policy: tuple = ({"header": {"headerName": KEY}},)


def flat(*endpoints):
    return [locality("a", endpoints)]


def cases():
    dice = random.Random(SEED)
    yield Case("three alike", flat(*(endpoint(n) for n in range(3))))
    yield Case("weights 1:2:5", flat(endpoint(0, 1), endpoint(1, 2), endpoint(2, 5)))
    yield Case("forty of random weights", flat(*(endpoint(n, dice.randint(1, 100)) for n in range(40))))
    yield Case("a small ring whose parts are not whole", flat(*(endpoint(n, w) for n, w in enumerate((3, 7, 11)))), {"minimumRingSize": 10})
    yield Case("a ring that is bounded", flat(*(endpoint(n, w) for n, w in enumerate((1, 50, 100)))),
               {"minimumRingSize": 64, "maximumRingSize": 100})
    yield Case("more endpoints than points", flat(*(endpoint(n) for n in range(30))), {"minimumRingSize": 8, "maximumRingSize": 16})
    yield Case("a large ring", flat(endpoint(0), endpoint(1, 3)), {"minimumRingSize": 100000}, long=True)
    yield Case("who is not healthy has no points", flat(endpoint(0), endpoint(1, health="u"), endpoint(2), endpoint(3, health="d")))
    yield Case("panic: all have", flat(endpoint(0), endpoint(1, health="u"), endpoint(2, health="u"), endpoint(3, health="d")))
    yield Case("localities with weights", [locality("a", [endpoint(0, 1), endpoint(1, 2)], 0, 3), locality("b", [endpoint(2)], 0, 1)],
               common={"localityWeightedLbConfig": {}}, long=True)
    yield Case("two priorities", [locality("a", [endpoint(0), endpoint(1, health="u"), endpoint(2, health="u")]),
                                  locality("a", [endpoint(3), endpoint(4)], 1)])
    yield Case("two priorities in panic", [locality("a", [endpoint(0), *(endpoint(n, health="u") for n in range(1, 5))]),
                                           locality("a", [endpoint(5), endpoint(6), endpoint(7, health="u"), endpoint(8, health="u")], 1)])
    yield Case("localities with weights, and one of half health",
               [locality("a", [endpoint(0), endpoint(1, health="u")], 0, 1), locality("b", [endpoint(2)], 0, 1)],
               common={"localityWeightedLbConfig": {}})
    yield Case("localities with weights in panic",
               [locality("a", [endpoint(0), endpoint(1, health="u"), endpoint(2, health="u")], 0, 3),
                locality("b", [endpoint(3, health="u")], 0, 1)],
               common={"localityWeightedLbConfig": {}}, long=True)
    keyed = [{**endpoint(n), "metadata": {"filterMetadata": {"envoy.lb": {"hash_key": f"instance-{n}"}}}} for n in range(3)]
    yield Case("hash_key of endpoints", flat(*keyed), differs=True)
    yield Case("two keys", flat(*(endpoint(n) for n in range(3))), differs=True,
               policy=({"header": {"headerName": KEY}}, {"header": {"headerName": "tier"}}))
    yield Case("clients' addresses", flat(*(endpoint(n) for n in range(3))),
               policy=({"connectionProperties": {"sourceIp": True}},))
    yield Case("calls without the key", flat(*(endpoint(n) for n in range(3))), differs=True, unkeyed=True)


def resources_of(number, case):
    cluster, host = f"c{number}", f"ring{number}.example"
    fields = {"lbPolicy": "RING_HASH", **({"ringHashLbConfig": case.ring} if case.ring else {}),
              **({"commonLbConfig": case.common} if case.common else {})}
    yield mesh.cluster(cluster, **fields)
    yield assignment(cluster, case.localities)
    routes = mesh.routes(f"{host}_{10000 + number}", cluster)
    routes["virtualHosts"][0]["routes"][0]["route"]["hashPolicy"] = list(case.policy)
    yield routes
    yield listener(10000 + number, mesh.meta_struct("thrift", host, 10000 + number))


def keys():
    """Texts of all lengths that a header may have, the hash's blocks of 4, 8 and 32 bytes among them."""
    dice = random.Random(SEED)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/=+"
    return [f"{n}" + "".join(dice.choices(letters, k=dice.choice((0, 1, 3, 4, 7, 8, 15, 31, 32, 33, 64, 100)))) for n in range(PICKS)]


def ask(o, number, case, asked):
    """(what was asked, Meltemi's answers, Envoy's)"""
    port = 10000 + number
    if any("connectionProperties" in one for one in case.policy):
        return (SOURCES, [o.thrift(MELTEMI, port, [oracle_asks.call("pick")], source=source)[0] for source in SOURCES],
                [o.http(ENVOY, port, [oracle_asks.request({})], source=source)[0] for source in SOURCES])
    carried = [{"other" if case.unkeyed else KEY: value, "tier": value[::-1]} for value in asked]
    return (asked, o.thrift(MELTEMI, port, [oracle_asks.call("pick", one) for one in carried]),
            o.http(ENVOY, port, [oracle_asks.request(one) for one in carried]))


def compare(o, number, case, asked):
    """None, or how the answers differ."""
    asked, ours, theirs = ask(o, number, case, asked)
    same = sum(a == b for a, b in zip(ours, theirs))
    print(f"  {case.what}: {same} of {len(asked)} keys alike, {len(tally(theirs))} endpoints", flush=True)
    if case.differs:
        return f"{case.what}: they do not differ any more; the page says so" if same == len(asked) else None
    if same == len(asked):
        return None
    value, a, b = next((value, a, b) for value, a, b in zip(asked, ours, theirs) if a != b)
    return f"{case.what}: {len(asked) - same} keys differ, so {value!r}: Meltemi {a}, Envoy {b}"


def body():
    listed, asked = [(n, case) for n, case in enumerate(cases()) if LONG or not case.long], keys()
    with oracle() as o:
        o.more_addresses(sources=SOURCES)
        o.start([one for number, case in listed for one in resources_of(number, case)], [http_listener(10000 + number, f"ring{number}.example_{10000 + number}") for number, _ in listed])
        o.listens(*(10000 + number for number, _ in listed))
        wrong = [compare(o, number, case, asked[:2000] if case.differs else asked) for number, case in listed]
    if any(wrong):
        raise Failure("; ".join(text for text in wrong if text))


main(body)
