#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Names that come over discovery: of listeners alone, and of a control plane's table (Istio's NDS), which is asked for only where
the node's metadata say so. Programs that know nothing of Meltemi resolve them and reach the services; documents go before the
table, the table before listeners; rows that cannot be used hold nobody back; all of it is there after a restart without a
control plane; state of the world and delta.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import bootstrap, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main, names, netns, streams, within  # noqa: E402
from meltemi_lab.columns import every_column_selects  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

HERE, HERE6, PORT, SEARCH = "192.0.2.1", "2001:db8:1::1", 7000, "shop.svc.cluster.local"
ALONE, ALONE_VIP = f"alone.{SEARCH}", "240.240.2.1"
MANY_VIPS = [f"240.240.4.{n}" for n in range(1, 41)]
FILE_VIP = "240.240.3.1"


def bytes_at(w, vip, *hosts):
    """An address whose bytes lead to clusters of these hosts, with an echo behind each."""
    clusters = [mesh.name_of(host, PORT) for host in hosts]
    out = [part for one in clusters for part in (mesh.cluster(one), mesh.assignment(one, [w.endpoint(1, PORT)]))]
    target = dict.fromkeys(clusters, 50) if len(clusters) > 1 else clusters[0]
    return out + [mesh.listener(f"{vip}_{PORT}", vip, PORT, mesh.tcp_proxy(vip, target))]


def ask(w, name, kind="A", **how):
    return names.ask(w.lab.namespace("client"), how.pop("server", HERE), name, kind, **how)


def told(w, name):
    """The row of `show dns`."""
    return next((row for row in w.daemon.show("dns")["table"] if row["name"] == name), None)


def reached(w, host, *addresses):
    said = names.echo(w.lab, HERE, SEARCH, host)
    equal(said[:2], ["by", "name"], f"the echo of {host}")
    check(said[2] in addresses, f"{host} was reached at {said[2]}, not {addresses}")


def without_a_table(w, server):
    """Listeners lead to one host: that is their name. Nobody asks for a table."""
    w.daemon.write("file.yaml", service("file.test", FILE_VIP, PORT, "tcp", [(*w.endpoint(1, PORT), {})]))
    server.apply(*bytes_at(w, ALONE_VIP, ALONE), *bytes_at(w, "240.240.2.2", "one.test", "two.test"))
    within(10, lambda: told(w, ALONE) and told(w, "file.test"), "the names of a listener's host and of a document's")
    for host in (ALONE, "alone.shop.svc", "alone.shop", "alone"):
        reached(w, host, ALONE_VIP)
    equal((told(w, ALONE)["origin"], told(w, "file.test")["origin"]), ("listeners", "documents"), "who says it")
    equal([ask(w, host).code for host in ("one.test", "two.test", f"nobody.{SEARCH}")],
          ["REFUSED", "REFUSED", "NXDOMAIN"], "hosts without an address of their own")
    equal(server.seen("nds")["requests"], 0, "requests for a table of names")


def change_bootstrap(w, **shape):
    w.bootstrap.write_text(json.dumps(bootstrap(**shape)))
    w.daemon.shell("reload")


def a_table(w, server, delta):
    """Its rows are names; an address that nobody could name has one."""
    change_bootstrap(w, delta=delta, DNS_CAPTURE="true")
    server.apply(*bytes_at(w, "2001:db8:f::9", "six.test"), *bytes_at(w, "240.240.2.3", "wild.test"),
                 mesh.names(**{"one.test": ["240.240.2.2"], "six.test": ["240.240.2.2", "2001:db8:f::9"],
                               "*.wild.test": ["240.240.2.3"], "many.test": MANY_VIPS, "file.test": ["240.240.2.3"],
                               f"db.{SEARCH}": ["240.240.2.2"], "a..b": ["192.0.2.1"], "net.test": ["10.0.0.0/8"]}))
    # The second time another address of it is known from before.
    within(20, lambda: (told(w, "one.test") or {}).get("addresses") == "240.240.2.2", "the name of the table")
    for host, addresses in (("one.test", ["240.240.2.2"]), ("db", ["240.240.2.2"]), ("db.shop.svc", ["240.240.2.2"]),
                            ("any.wild.test", ["240.240.2.3"]), ("six.test", ["240.240.2.2", "2001:db8:f::9"]),
                            ("alone", [ALONE_VIP]), ("file.test", [FILE_VIP])):
        reached(w, host, *addresses)
    equal(told(w, "file.test"), {"name": "file.test", "addresses": FILE_VIP, "origin": "documents",
                                    "note": "another source has other addresses"}, "a host that a document has, too")
    equal((told(w, "one.test")["origin"], told(w, "one.test")["note"]), ("name table", ""), "who says it")
    equal((told(w, "a..b"), told(w, "net.test")), (None, None), "rows that cannot be used")
    rows = [row for row in w.xds()["types"] if row["type"] == "NDS"]
    equal([(row["wanted"], row["nacks"]) for row in rows], [("all", 0)], "what show xds says of the table")
    every_column_selects(w.daemon, ["show xds"], {("show xds", "problems")})
    check("NameTable" in str(w.xds()["accepted_not_used"]) or "DNS cannot name" in str(w.xds()), "what is left out is not told")


def every_way(w):
    """Over UDP and TCP, IPv4 and IPv6: addresses of both families, truncation, what does not exist, what is not ours."""
    for how in ({}, {"tcp": True}, {"server": HERE6}, {"server": HERE6, "tcp": True}):
        equal(ask(w, "six.test", "AAAA", **how).addresses, ["2001:db8:f::9"], f"AAAA {how}")
        equal(ask(w, "SIX.test", **how).addresses, ["240.240.2.2"], f"A {how}")
        equal(ask(w, "one.test", "AAAA", **how).records, [], f"no AAAA {how}")
        equal(ask(w, f"nobody.{SEARCH}", **how).code, "NXDOMAIN", f"nobody {how}")
        equal(ask(w, "a5.example", **how).addresses, ["192.0.2.5"], f"passed on {how}")
    many = ask(w, "many.test")
    check(many.truncated and not many.records, f"40 addresses in 512 bytes: {many}")
    equal(sorted(ask(w, "many.test", tcp=True).addresses), sorted(MANY_VIPS), "40 addresses over TCP")


def a_change(w, server):
    server.apply(mesh.names(**{"one.test": [ALONE_VIP], "six.test": ["240.240.2.2", "2001:db8:f::9"]}))
    within(10, lambda: ask(w, "one.test").addresses == [ALONE_VIP], "the new address")
    reached(w, "one.test", ALONE_VIP)
    equal(ask(w, f"db.{SEARCH}").code, "NXDOMAIN", "a host that the table has no more")
    equal(told(w, "file.test")["note"], "", "a host that only the document has now")


def after_a_restart(w, server):
    """The table is in the state file: the same names and addresses, and no control plane."""
    before = w.daemon.show("dns")["table"]
    equal(w.daemon.stop(), 0, "exit status")
    server.stop()
    w.daemon.start()
    key = lambda rows: sorted(tuple(row.items()) for row in rows)  # noqa: E731
    equal(key(w.daemon.show("dns")["table"]), key(before), "names after a restart without a control plane")
    reached(w, "one.test", ALONE_VIP)
    reached(w, "alone", ALONE_VIP)
    equal(ask(w, "six.test", "AAAA").addresses, ["2001:db8:f::9"], "AAAA after a restart")


def the_table_goes(w):
    """Who is not to ask for it any more forgets it; what listeners say stays."""
    server = w.server()
    server.apply(*bytes_at(w, ALONE_VIP, ALONE))
    change_bootstrap(w)
    within(40, lambda: told(w, "one.test") is None, "the table's names go")
    reached(w, "alone", ALONE_VIP)


def body():
    with world(servers=1, ipv6=True) as w, w.lab.listening("server1", PORT, streams.echo):
        names.Server(w.lab.namespace("mesh"), "127.0.0.1", 5300)
        netns.run("ip", "-n", w.lab.namespace("client"), "-6", "route", "add", "2001:db8:f::/48", "via", HERE6)
        server = w.server()
        daemon = w.meltemi(files=True)
        daemon.node.write_text(daemon.node.read_text() + f'  dns: {{upstream: ["127.0.0.1:5300"], search: [{SEARCH}]}}\n')
        daemon.start()
        without_a_table(w, server)
        a_table(w, server, delta=False)
        every_way(w)
        a_change(w, server)
        after_a_restart(w, server)
        server = w.server()
        server.apply(*bytes_at(w, ALONE_VIP, ALONE), *bytes_at(w, "240.240.2.2", "one.test", "two.test"))
        a_table(w, server, delta=True)
        a_change(w, server)
        after_a_restart(w, server)
        the_table_goes(w)
        equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    main(body)
