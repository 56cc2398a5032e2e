# SPDX-License-Identifier: Apache-2.0
"""The scenes of the demo, in order. Each checks only the replies that real clients got."""

import json
import time

from layer4 import forwarded
from meltemi_lab import ROOT, netns

DUBBO, THRIFT, AWESOME = "240.240.0.10:20880", "240.240.0.20:9090", "240.240.0.30:9200"
THRIFT_PLAIN = "240.240.0.21:9090"
TIMEOUT_MS = 2000


def share(report, tag):
    return sum(count for server, count in report["by_server"].items() if server.startswith(tag)) / max(1, report["answered"])


def ask(stage, version="3.2.16", **options):
    """Lets the Java client of this version run a scenario; it uses one connection for all scenarios."""
    client = stage.clients[version]
    client.ask(" ".join(f"--{key.replace('_', '-')} {value}" for key, value in options.items()))
    return client


def answered(stage):
    stage.scene("1. Unmodified clients call unmodified servers")
    running = [ask(stage, version, scenario="checks", timeout=TIMEOUT_MS) for version in stage.clients]
    thrift = stage.lab.thrift_client(THRIFT_PLAIN, scenario="checks").result()
    for version, client in zip(stage.clients, running):
        checks = client.answer()["checks"]
        good = [name for name, verdict in checks.items() if verdict == "ok"]
        stage.fact(f"Apache Dubbo {version} (Java), every shape of call", f"{len(good)} of {len(checks)} answered as they should"
                   + "".join(f"; {n}: {v}" for n, v in checks.items() if v != "ok"), len(good) == len(checks))
    good = sum(verdict == "ok" for verdict in thrift["checks"].values())
    stage.fact("Apache Thrift (Python), every shape of call", f"{good} of {len(thrift['checks'])} answered as they should",
               thrift["passed"])


def split(stage):
    stage.scene("2. 20/80, call by call, on one TCP connection (the document of the talks)")
    load = ask(stage, scenario="load", count=10000, concurrency=8)
    load.answer(what="calling")
    count = netns.run("ip", "netns", "exec", stage.lab.namespace("client"), "ss", "-Htnp", "state", "established", "dst",
                      DUBBO).count(f"pid={load.pid},")
    report = load.answer()
    v1 = share(report, "v1")
    stage.fact("weights 20 / 80", f"{v1 * 100:.1f} % / {share(report, 'v2') * 100:.1f} % of {report['answered']} calls, "
               f"{count} connection, {report['failed']} failed", 0.18 < v1 < 0.22 and count == 1 and not report["failed"])


def canary(stage):
    stage.scene("3. A canary for one user, by a value in the call (the talks' private protocol)")
    jason = stage.lab.awesome_client(AWESOME, meta="user=Jason", count=500).result()
    ada = stage.lab.awesome_client(AWESOME, meta="user=Ada", count=500).result()
    stage.fact("user Jason / user Ada", f"{jason['by_server']} / {ada['by_server']}",
               jason["by_server"] == {"v2/s2": 500} and ada["by_server"] == {"v1/s1": 500})


def limits(stage):
    stage.scene("4. A rate limit by method (the document of the talks)")
    for method, admitted in (("sayHello", 2), ("sayGoodbye", 5)):
        report = stage.lab.thrift_client(THRIFT, method=method, count=10).result()
        stage.fact(f"10 calls of {method} at once", f"{report['answered']} answered, {report['failed']} refused by a native error, "
                   f"connection {'kept' if not report['reopened'] else 'closed'}, {report['seconds'] * 1000:.0f} ms",
                   report["answered"] == admitted and not report["reopened"])
    stage.limited_at = time.monotonic()


def limits_later(stage):
    wait = stage.limited_at + 10.5 - time.monotonic()
    stage.scene("8. The rate limit again, 10 s later")
    time.sleep(max(0, wait))
    report = stage.lab.thrift_client(THRIFT, method="sayHello", count=10).result()
    stage.fact("10 calls of sayHello, after 10 s", f"exactly {report['answered']} more answered", report["answered"] == 2)


def placed(stage):
    report = ask(stage, "2.7.23", scenario="load", method="greet", keys=200, count=1000, concurrency=8).answer()
    return report["keys"], report["failed"]


def sticky(stage):
    stage.scene("5. Stickiness by a key in the call, over five servers; then one leaves")
    before, failed = placed(stage)
    single = sum(len(servers) == 1 for servers in before.values())
    used = {server for servers in before.values() for server in servers}
    stage.fact("200 users, 5 calls each", f"{single} stay with one server each, spread over {len(used)} servers, {failed} failed",
               single == 200 and len(used) == 5 and not failed)
    (stage.daemon.services / "dubbo-server-15.yaml").unlink()
    stage.daemon.shell("reload")
    after, failed = placed(stage)
    left = [key for key, servers in before.items() if servers == ["v2/s5"]]
    moved = [key for key, servers in before.items() if servers != ["v2/s5"] and after.get(key) != servers]
    stage.fact("one of five servers leaves", f"its {len(left)} users move, {len(moved)} of the other {200 - len(left)} do, "
               f"{failed} failed", len(moved) <= 20 and not failed and all(after[key] != ["v2/s5"] for key in left))


def live_weights(stage):
    stage.scene("6. The weights edited live, under load")
    document = stage.daemon.services / "dubbo-traffic-splitting.yaml"
    original = document.read_text()
    load = ask(stage, scenario="load", millis=3500, concurrency=8)
    for v1 in (30, 40, 60, 70, 90, 100):
        time.sleep(0.5)
        stage.daemon.write(document.name, original.replace("weight: 20", f"weight: {v1}").replace("weight: 80", f"weight: {100 - v1}"))
    report = load.answer()
    stage.fact("weights edited six times under load", f"{report['answered']} calls, {report['failed']} failed",
               not report["failed"] and report["answered"] > 100)
    stage.daemon.shell("reload")  # the last edit is read by itself, too, but the calls above may be over before
    after = ask(stage, "2.7.23", scenario="load", count=2000, concurrency=8).answer()
    stage.fact("the last edit, 100 / 0, holds", f"{share(after, 'v1') * 100:.1f} % to v1", share(after, "v1") == 1.0)
    stage.daemon.write(document.name, original)


def killed(stage):
    stage.scene("7. kill -9 of a server with calls in flight")
    load = ask(stage, scenario="load", method="slow", slow_ms=100, millis=3000, concurrency=48)
    load.answer(what="calling")
    time.sleep(1.0)
    stage.servers[4].kill()
    report = load.answer()
    stage.fact("calls in flight on it", f"{report['failed']} got a native error {report['errors']}, the slowest after "
               f"{report['slowest_error_us'] / 1000:.0f} ms, all within {report['error_span_ms']} ms",
               0 < report["failed"] <= 48 and set(report["errors"]) == {"network"} and report["error_span_ms"] < 1000)
    after = ask(stage, "2.7.23", scenario="load", count=1000, concurrency=8).answer()
    stage.fact("calls after that", f"{after['answered']} of 1000 answered elsewhere: {after['by_server']}", after["answered"] == 1000
               and "v2/s4" not in after["by_server"])


def shell(stage):
    stage.scene("10. The operator's view: meltemi -s .../admin.sock show ...")
    for what in ("workers", "connections", "limits", "errors"):
        lines = stage.daemon.shell("show", what).rstrip().splitlines()
        stage.say(f"  > show {what}")
        for line in lines[:14]:
            stage.say(f"    {line[:160]}")
        if len(lines) > 14:
            stage.say(f"    ... {len(lines) - 14} more lines")


# tests/smoke/peers_side_by_side.py checks that these cells still exist.
COMPARISON = ["--quick", "--systems", "direct,haproxy,kernel-nat,meltemi,meltemi-l4", "--protocols", "dubbo,tcp", "--only", "/20/16x8", "--seconds", "1.5"]


def cost(stage):
    stage.scene("11. Cost compared with the direct path, a kernel proxy (HAProxy, TCP) and the kernel's NAT; same load, one core each")
    path = stage.directory / "peers.json"
    stage.step("16 connections x 8 calls outstanding, 20 B",
               ["/usr/bin/python3", ROOT / "bench/peers/run.py", *COMPARISON, "--output", path], 240)
    cells = json.loads(path.read_text())["cells"]
    for key, cell in cells.items():
        _, protocol, system, *_ = key.split("/")
        cpu = "" if system in ("direct", "kernel-nat") else f"of the proxy {cell['cpu_us']:.2f} us, "
        stage.say(f"    {protocol:<5} {system:<10} {cell['per_second']:>8,.0f} calls/s, p50 {cell['p50_us']:.0f} us, p99 {cell['p99_us']:.0f} us; CPU per call: "
                  f"{cpu}with client and server {cell['all_us']:.2f} us")
    of = {key.split("/")[2]: cell for key, cell in cells.items() if key.startswith("closed/tcp/")}
    stage.fact("opaque TCP, calls/s: direct, HAProxy, Meltemi", ", ".join(f"{of[s]['per_second']:,.0f}" for s in ("direct", "haproxy", "meltemi")
               if s in of), "meltemi" in of and of["meltemi"]["ok"])
    stage.fact("the same forwarded at layer 4: the kernel's NAT, Meltemi", ", ".join(f"{of[s]['per_second']:,.0f}" for s in ("kernel-nat", "meltemi-l4")
               if s in of), "meltemi-l4" in of and of["meltemi-l4"]["ok"])
    stage.say("  On veth the kernel carries all packets for Meltemi, too; with ports of DPDK it carries none (README.md, Numbers).")


ALL = (answered, split, canary, limits, sticky, live_weights, killed, limits_later, forwarded, shell)
