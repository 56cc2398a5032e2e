#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
TCP beside Envoy: which cluster, subset and endpoint 20,000 connections reach by weights and priorities (chi-square), and which filter
chain connections from many addresses to several take, question by question; then the same by what TLS says first.
"""

import pathlib
import random
import ssl
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
TLS_PORT = 11100
NAMES = ("a.test", "b.a.test", "c.b.a.test", "test", "other.example")
SUFFIXES = ("a.test", "b.a.test", "*.a.test", "*.test", "*.b.a.test")
PROTOCOLS = ("h2", "http/1.1")


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


def by_tls_chains(dice, number):
    """The same by what a ClientHello says; each chain asks for one name and one protocol at most, so that no two overlap."""
    seen, found = set(), []
    for _ in range(dice.randint(2, 6)):
        match = {}
        if dice.random() < 0.6:
            match["serverNames"] = [dice.choice(SUFFIXES)]
        if dice.random() < 0.3:
            match["applicationProtocols"] = [dice.choice(PROTOCOLS)]
        if dice.random() < 0.4:
            match["transportProtocol"] = dice.choice(("tls", "raw_buffer"))
        if dice.random() < 0.3:
            match["sourcePrefixRanges"] = [ranges(dice, dice.choice(SOURCES), (24, 26, 28))]
        key = repr(sorted(match.items())) if "sourcePrefixRanges" not in match else masked_tls(match)
        if key not in seen:
            seen.add(key)
            found.append({"filterChainMatch": match, "filters": [mesh.tcp_proxy(f"y{number}", f"chain{len(found)}")]})
    out = listener(TLS_PORT + number)
    out["filterChains"] = found
    out["listenerFilters"] = [{"name": "envoy.filters.listener.tls_inspector", "typedConfig": {
        "@type": mesh.TYPE + "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}]
    if dice.random() < 0.5:
        out["defaultFilterChain"] = {"filters": [mesh.tcp_proxy(f"y{number}", "chain6")]}
    return out


def masked_tls(match):
    key, length = masked({"sourcePrefixRanges": match["sourcePrefixRanges"]})[0][0]
    return repr(sorted((k, v) for k, v in match.items() if k != "sourcePrefixRanges")) + f" {key}/{length}"


def hello(name, protocols):
    """What a client of TLS says first."""
    out, context = ssl.MemoryBIO(), ssl.create_default_context()
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(protocols)
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise Failure("a handshake without a server")


def by_hello(o, dice):
    first = {(name_, sent): hello(name_, list(sent)) for name_ in (None, *NAMES) for sent in ((), ("h2",), ("http/1.1", "h2"), ("x",))}
    first[None] = b"in clear text"
    whats = list(first)
    asked = [((VIP, TLS_PORT + dice.randrange(SETS)), dice.choice(SOURCES), dice.choice(whats)) for _ in range(PICKS // 4)]
    ours, theirs = (o.connections(side, [(at, source, first[what]) for at, source, what in asked]) for side in (MELTEMI, ENVOY))
    wrong = [f"{one_}: Meltemi {a}, Envoy {b}" for one_, a, b in zip(asked, ours, theirs) if a != b]
    if wrong:
        raise Failure(f"{len(wrong)} of {len(asked)} connections by TLS, so {wrong[0]}")
    print(f"  {len(asked)} connections by {SETS} sets of chains for TLS: {tally(theirs)}")
    check(len(tally(theirs)) > 5, "hardly any chain was taken")


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
    resources += [chains(dice, number) for number in range(SETS)] + [by_tls_chains(dice, number) for number in range(SETS)]
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
        by_hello(o, dice)


main(body)
