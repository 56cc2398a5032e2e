#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Programs that know nothing of Meltemi find a service by its name and reach it: DNS on the ports (UDP, TCP, IPv6) and on the
host's address; short names, wildcards, names that do not exist; addresses that stay over a restart; what is not the mesh's
is passed on to another server, truncated answers come by TCP; a server that is away, and 100,000 datagrams of garbage,
disturb nobody.
"""

import time

from meltemi_lab import Lab, check, equal, main, names, netns, streams
from meltemi_lab.check import within
from meltemi_lab.documents import service

PORT, HERE, HERE6 = 5300, "192.0.2.1", "2001:db8:1::1"
CLUSTER = "default.svc.cluster.local"


def without_address(host):
    text = service(host, "0.0.0.0", 7000, "tcp", [("198.51.100.11", 7000, {})], name=host.replace("*", "w").replace(".", "-"))
    return "\n".join(line for line in text.splitlines() if "addresses:" not in line).replace(f"[{host}]", f'["{host}"]') + "\n"


def programs_find_services(lab):
    """By getent and by an ordinary program: full name, short name, search list, wildcard."""
    address = names.program(lab, HERE, CLUSTER, "getent", "ahostsv4", f"echo.{CLUSTER}")[0]
    check(address.startswith("240.240."), f"the address of echo: {address}")
    for name in ("echo", "echo.default", "echo.default.svc", f"echo.{CLUSTER}"):
        equal(names.echo(lab, HERE, CLUSTER, name), ["by", "name", address], f"the echo of {name}")
    equal(names.echo(lab, HERE, CLUSTER, "any.thing.wild.test")[:2], ["by", "name"], "the echo behind a wildcard")
    equal(names.echo(lab, HERE, CLUSTER, "both.test")[2] in ("203.0.113.9", "2001:db8:f::9"), True, "one of its addresses")
    equal(names.program(lab, HERE, CLUSTER, "getent", "ahostsv4", "a7.example")[0], "192.0.2.7", "a name of another server")
    return address


def what_is_said(lab, ask, address):
    """One way to ask; the same answers on each."""
    equal(ask(f"echo.{CLUSTER}").addresses, [address], "echo")
    equal(ask("ECHO.Default.svc.cluster.LOCAL").name, "ECHO.Default.svc.cluster.LOCAL", "letters as they were asked")
    equal(ask("both.test", "AAAA").addresses, ["2001:db8:f::9"], "AAAA of both")
    got = ask(f"echo.{CLUSTER}", "AAAA")
    equal((got.code, got.records, got.authority), ("NOERROR", [], ["SOA svc.cluster.local"]), "no AAAA")
    got = ask(f"nobody.{CLUSTER}")
    equal((got.code, got.authority), ("NXDOMAIN", ["SOA svc.cluster.local"]), "nobody")
    equal(ask(f"both.test.{CLUSTER}").records, ["CNAME both.test", "A 203.0.113.9"], "a name with the search list's end")
    equal(ask("a5.example").addresses, ["192.0.2.5"], "passed on")
    equal(ask("none.example").code, "NXDOMAIN", "passed on: does not exist")
    equal(ask("www.elsewhere.test").code, "REFUSED", "passed on: refused")
    equal(ask("localhost").addresses, ["127.0.0.1"], "localhost")


def truncation(ask, ask_stream, server):
    many = ask("many.test")
    check(many.truncated and not many.records, f"40 addresses in 512 bytes: {many}")
    equal(len(ask("many.test", edns=1232).addresses), 40, "addresses with EDNS")
    equal(len(set(ask_stream("many.test").addresses)), 40, "addresses over TCP")
    check(ask("big.example").truncated, "another server's truncated answer")
    before = server.by_tcp
    equal(len(ask_stream("big.example").addresses), 200, "another server's long answer")
    equal(server.by_tcp, before + 1, "questions that the server got over TCP")


def away_server(lab, daemon, ask, server):
    server.stop()
    before = daemon.counters()["dns_no_server_answered"]
    began = time.monotonic()
    equal(ask("a1.example").code, "SERVFAIL", "while no server answers")
    check(3 < time.monotonic() - began < 20, f"that took {time.monotonic() - began:.1f} s")
    equal(ask(f"echo.{CLUSTER}").code, "NOERROR", "names of the mesh meanwhile")
    equal(daemon.counters()["dns_no_server_answered"], before + 1, "counted")


def garbage(lab, daemon, ask):
    idle = daemon.in_use()
    names.shower(lab.namespace("client"), HERE, 80_000, 1)
    names.shower(lab.namespace("client"), HERE6, 10_000, 2)
    names.shower(lab.namespace("mesh"), "127.0.0.1", 10_000, 3, port=15053)

    def answered():
        try:
            return ask(f"echo.{CLUSTER}", seconds=2).code == "NOERROR"
        except TimeoutError:  # behind the garbage the kernel may drop it
            return False

    within(10, answered, "an answer behind the garbage")
    daemon.memory_returns(idle)
    counters = daemon.counters()
    check(counters["dns_bad_query"] > 5000 and counters["dns_not_a_query"] > 500, f"garbage that came: {counters['dns_queries']}")
    within(10, lambda: daemon.show("dns")["waiting"] == 0, "nothing waits")
    check(streams.exchange(lab.connect("client", "203.0.113.9", 7000), 5, 100_000), "a service meanwhile")


def idle_control_thread(daemon):
    """Who has nothing to do is not woken for it: ten ticks a second, and hardly anything else."""
    status = f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/status"

    def wakeups():
        with open(status) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches"))

    before, began = wakeups(), time.monotonic()
    time.sleep(2)
    woken, seconds = wakeups() - before, time.monotonic() - began
    check(woken < 40 * seconds, f"the idle control thread was woken {woken} times in {seconds:.1f} s")


def body():
    with Lab(servers=1, ipv6=True) as lab, lab.listening("server1", 7000, streams.echo):
        server = names.Server(lab.namespace("mesh"), "127.0.0.1", PORT)
        netns.run("ip", "-n", lab.namespace("client"), "-6", "route", "add", "2001:db8:f::/48", "via", HERE6)
        daemon = lab.meltemi()
        daemon.node.write_text(daemon.node.read_text() + f'  dns: {{upstream: ["127.0.0.1:{PORT}"]}}\n')
        daemon.write("echo.yaml", without_address(f"echo.{CLUSTER}"))
        daemon.write("wild.yaml", without_address("*.wild.test"))
        daemon.write("both.yaml", service("both.test", '203.0.113.9, "2001:db8:f::9"', 7000, "tcp", [("198.51.100.11", 7000, {})]))
        vips = ", ".join(f"203.0.113.{n}" for n in range(101, 141))
        daemon.write("many.yaml", service("many.test", vips, 7000, "tcp", [("198.51.100.11", 7000, {})]))
        daemon.start()
        address = programs_find_services(lab)

        def asker(role, where, **how):
            return lambda name, kind="A", **more: names.ask(lab.namespace(role), where, name, kind, **how, **more)

        ways = [asker("client", HERE), asker("client", HERE, tcp=True), asker("client", HERE6), asker("client", HERE6, tcp=True),
                asker("mesh", "127.0.0.1", port=15053), asker("mesh", "127.0.0.1", port=15053, tcp=True)]
        for ask in ways:
            what_is_said(lab, ask, address)
        truncation(ways[0], ways[1], server)
        truncation(ways[4], ways[5], server)
        check(len(server.ports) > server.by_udp / 2, f"{server.by_udp} questions from {len(server.ports)} ports")

        daemon.write("later.yaml", without_address("later.test"))
        later = within(10, lambda: ways[0]("later.test").addresses, "a name that came by a reload")
        shown = daemon.show("dns")
        equal(shown["names"], 5, f"names: {shown}")
        equal({row["name"]: row["addresses"] for row in shown["table"]}["later.test"], later[0], "the table that is shown")
        equal(shown["servers"][0]["server"], f"127.0.0.1:{PORT}", "the server that is shown")
        check("echo.default" in daemon.shell("show", "dns"), "the shell's text")

        equal(daemon.stop(), 0, "exit status")
        daemon.start()
        equal((ways[0](f"echo.{CLUSTER}").addresses, ways[0]("later.test").addresses), ([address], later), "after a restart")
        idle_control_thread(daemon)
        garbage(lab, daemon, ways[0])
        away_server(lab, daemon, ways[0], server)
        equal(daemon.stop(), 0, "exit status")


main(body)
