#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Calls under way and the slowest that are over, with where their time went: a server that takes 400 ms for each call, beside
one that does not. Chosen by expressions, sorted, and connections with them.
"""

import json
import signal
import subprocess
import time

from meltemi_lab import Lab, becomes, check, equal, main, within
from meltemi_lab.columns import every_column_selects
from meltemi_lab.daemon import SHELL
from meltemi_lab.documents import service
from meltemi_lab.dubbo import request

SLOW, QUICK = ("slow.example", "240.240.1.1"), ("quick.example", "240.240.1.2")
DELAY_US = 400_000


def show(daemon, what, *words):
    return json.loads(daemon.shell("--json", "show", what, *words))[what]


def under_way(daemon, lab, server):
    """Eight calls that wait for the slow server, which is stopped meanwhile: otherwise there are fewer of them between two rounds."""
    server.pause()
    client = lab.dubbo_client(f"{SLOW[1]}:20880", count=32, outstanding=8)
    within(10, lambda: len(show(daemon, "exchanges", "state=sent")) == 8, "eight calls at the server")
    rows = show(daemon, "exchanges", "service=slow.example", "method=say*", "age<10s")
    check(rows, "no exchange is chosen by its service, method and age")
    for row in rows:
        equal(row["endpoint"], f"{lab.server(1)}:20880", "its endpoint")
        check(row["client"].startswith("192.0.2.2:"), f"its client is {row['client']}")
        check(row["server_us"] <= row["age_us"], f"longer at the server than there: {row}")
    for word in (f"service={SLOW[0]}", f"cluster=*|{SLOW[0]}"):
        of = show(daemon, "connections", word)
        equal(sum(row["calls"] for row in of), 8, f"calls on connections with {word}")
        check(all(SLOW[0] in row["of"] for row in of), f"connections with {word}: {of}")
    equal(show(daemon, "connections", f"service={QUICK[0]}", "calls>0"), [], "calls for the other one")
    every_column_selects(daemon, ["show exchanges"], set())
    ages = [row["age_us"] for row in show(daemon, "exchanges")]
    equal(ages, sorted(ages, reverse=True), "order of the ages")
    for words in (("service=quick.example",), ("method=other",), ("age>60s",), ("not", "state=sent")):
        equal(show(daemon, "exchanges", *words), [], f"exchanges that are {words}")
    server.kill(signal.SIGCONT)
    equal(client.result()["answered"], 32, "answers")
    equal(show(daemon, "exchanges"), [], "exchanges when all are answered")


def over(daemon, lab):
    equal(lab.dubbo_client(f"{QUICK[1]}:20880", count=500, outstanding=8).result()["answered"], 500, "quick answers")
    rows = show(daemon, "slow")
    equal(len(rows), 16, "slow calls of one worker")
    took = [row["took_us"] for row in rows]
    equal(took, sorted(took, reverse=True), "order of what they took")
    for row in rows:
        equal((row["service"], row["method"], row["status"]), (SLOW[0], "sayHello", "ok"), "a slow call")
        parts = row["queue_us"] + row["connect_us"] + row["server_us"] + row["reply_us"]
        check(abs(parts - row["took_us"]) <= 4, f"the parts are {parts} us: {row}")
        check(row["server_us"] >= DELAY_US * 0.9, f"the server took {row['server_us']} us")
    equal(len(show(daemon, "slow", "took>300ms", "status=ok")), 16, "slow calls by what they took")
    equal(show(daemon, "slow", "status!=ok"), [], "slow calls that failed")
    equal(len(show(daemon, "slow", "where", "took>300ms", "took_us>300k", "status=ok")), 16, "slow calls by fields and columns")


def long_names(daemon, lab):
    """Of a long method the begin is kept, which says so; it is found by its whole name all the same, and a long service by its own."""
    method, host = "queryOrderDetailByCustomerId", ".".join("a" * 60 for _ in range(4))
    daemon.write("long.yaml", service(host, "240.240.1.9", 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})], name="long"))
    daemon.shell("reload")
    sock = lab.connect("client", "240.240.1.9", 20880)

    def seen(words):
        """A call that takes a while, and what is shown meanwhile."""
        sock.sendall(request(1, method, ["a"], interface=host))
        rows = show(daemon, "exchanges", *words)
        check(sock.recv(1000), "no answer of the long service")
        return rows

    for words in ((f"method={method}",), (f"method={method[:10]}*",), (f"service={host}", f"method={method}")):
        rows = within(10, lambda words=words: seen(words), f"the call that is under way, by {words}")
        equal([(row["service"], row["method"]) for row in rows], [(host, method[:24] + "…")], f"calls with {words}")
    sock.close()


def connections(daemon, lab):
    rows = show(daemon, "connections", "side=server", "dport=20880", "top", "bytes")
    both = [row["bytes_in"] + row["bytes_out"] for row in rows]
    equal(both, sorted(both, reverse=True), "order of the bytes")
    equal(len(rows), 2, "connections to servers")
    equal({row["side"] for row in rows}, {"server"}, "their side")
    equal(len(show(daemon, "connections", f"remote~{lab.server(1)}:")), 1, "connections to a server")
    equal(show(daemon, "connections", "retransmits>1000"), [], "connections that lost a lot")
    # Fields, which workers decide, and columns, with `where` and without, are one language.
    for words in (("side=server", "dport=20880", "mss>0", f"remote~{lab.server(1)}:"), ("where", "side=server", f"remote={lab.server(1)}:20880"),
                  ("side=server", "where", f"remote={lab.server(1)}:20880 or remote=nowhere"), (f"remote~{lab.server(1)}:", "where", "snd_wnd>0 side=server")):
        equal(len(show(daemon, "connections", *words)), 1, f"connections by {words}")
    for words, told in ((("method=x",), "is not a field here"), (("top", "colour"), "fields are: age"), (("rtt>5",), "is not a time")):
        done = subprocess.run([SHELL, "-s", daemon.directory / "admin.sock", "show", "connections", *words], text=True,
                              capture_output=True, timeout=30, check=False)
        check(done.returncode == 2 and told in done.stderr, f"show connections {words}: {done.stderr!r}")


def rates(daemon, lab):
    """How fast a connection is from one look to the next: what it moved between them, by its own time."""
    def look(*words):
        return show(daemon, "connections", "side=client", f"dst={QUICK[1]}", "state=established", *words)

    client = lab.dubbo_client(f"{QUICK[1]}:20880", count=10_000_000, outstanding=8)
    before = within(10, lambda: next(iter(look()), None), "the client's connection")
    equal(before["rate_ms"], before["age_ms"], "the first look counts from the connection's begin")
    time.sleep(0.8)
    after = look("top", "rate")[0]
    moved = after["bytes_in"] + after["bytes_out"] - before["bytes_in"] - before["bytes_out"]
    took = after["age_ms"] - before["age_ms"]
    equal(after["rate_ms"], took, "what the rate is of")
    check(moved > 0 and abs(after["rate"] - moved * 1000 / took) <= 2, f"{moved} bytes in {took} ms: {after}")
    check(abs(after["rate_in"] + after["rate_out"] - after["rate"]) <= 1, f"both ways together: {after}")
    becomes(lambda: len(look("rate>0")), 1, "connections with a rate")
    equal((len(look("rate>100g")), len(look("rate>0", "mss<100"))), (0, 0), "connections by a rate that none has")
    check(after["mss"] >= 1000 and after["rto_ms"] > 0 and after["snd_wnd"] > 0, f"what TCP knows: {after}")
    client.pause()
    within(10, lambda: look()[0]["rate"] == 0, "no rate when nothing moves")
    client.kill()


def talkers(daemon, lab):
    """Who moves most is seen among more connections than are shown."""
    idle = [lab.connect("client", QUICK[1], 20880) for _ in range(600)]
    client = lab.dubbo_client(f"{QUICK[1]}:20880", count=10_000_000, outstanding=8)
    moved = within(10, lambda: next((row["bytes"] for row in daemon.show("talkers")["talkers"] if row["side"] == "client"), 0),
                   "the one that talks among 600 that do not")
    check(moved > 0 and daemon.show("talkers")["connections"] > 600, f"bytes of the client: {moved}")
    client.kill()
    for sock in idle:
        sock.close()


def body():
    with Lab(servers=2) as lab:
        slow = lab.dubbo_server(1, "slow", delay=DELAY_US / 1000)
        slow.wait_line("ready")
        lab.dubbo_server(2, "quick").wait_line("ready")
        daemon = lab.meltemi()
        for (host, vip), number in ((SLOW, 1), (QUICK, 2)):
            daemon.write(f"{host}.yaml", service(host, vip, 20880, "tcp-metaprotocol-dubbo", [(lab.server(number), 20880, {})]))
        daemon.start()
        under_way(daemon, lab, slow)
        over(daemon, lab)
        connections(daemon, lab)
        long_names(daemon, lab)
        rates(daemon, lab)
        talkers(daemon, lab)


main(body)
