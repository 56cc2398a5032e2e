#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Every command of the table on a real node under calls, with a forwarded port: its --json fits its schema (tests/smoke/schemas), and its text
is the example in docs/reference/commands.md but for numbers. MELTEMI_WRITE=1 writes schemas and examples, to be looked at.
"""

import json
import re
import select
import socket
import subprocess

from meltemi_lab import TESTS, Lab, check, equal, main
from meltemi_lab.columns import Direct, every_column_selects
from meltemi_lab.daemon import MELTEMID, SHELL
from meltemi_lab.schemas import OF_THE_SHELL, SCHEMAS, WRITE, fits, of_command

PAGE = TESTS.parent / "docs/reference/commands.md"
MARK = "<!-- from here on written by tests/smoke/every_command_answers.py -->\n"

# A forwarded port beside the services of the talks.
RESOLVER, PORT = "240.240.0.40", 5353
FORWARDED = f"""\
# SPDX-License-Identifier: Apache-2.0
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: resolver, namespace: net}}
spec:
  hosts: [resolver.net]
  addresses: [{RESOLVER}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {PORT}, name: udp-dns}}]
  endpoints: [{{address: 198.51.100.11}}, {{address: 198.51.100.12}}]
"""
FORWARDING = f"""\
  nat: {{addresses: [198.51.100.50]}}
  forwarding:
  - {{host: resolver.net, port: {PORT}, mode: nat-full, deny: [192.0.2.128/25], limits: {{service: {{connections: 1000, packets: 5000/s}}}}}}
"""

MESH = """apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFile: /dev/stdout
"""

THRIFT = "thrift-sample-server.meta-thrift.svc.cluster.local"
# Commands that want words, or whose answer is long.
WORDS = {
    "show connections": "limit 2", "show slow": "limit 2", "show counters": "proxy_down_", "show meaning": "proxy_down_full",
    "show memory": "sort in_use limit 6", "show tables": "sort percent limit 3", "show resources": "limit 3",
    "show history": "limit 3", "show topology": "limit 2", "show log": "limit 3", "show overrides": "limit 2", "show objects": "limit 4",
    "show stages": "limit 4", "show config origin": "limit 2", "show offloads": "where port=p0 limit 4", "show clusters": "demoservice", "show endpoints": "demoservice", "show routes": "demoservice",
    "show services": "where requests>0", "help": "drain", "complete": "show po*",
    "drain endpoint": "198.51.100.11:20880", "drain service": THRIFT, "drain listener": "240.240.0.10:20880",
    "return endpoint": "198.51.100.11:20880", "return service": THRIFT, "return listener": "240.240.0.10:20880",
    "close connection": "where side=server dport=20880", "tune weight": "198.51.100.12:20880 5", "tune worker": "burst=16",
    "tune limit": f"{THRIFT}:9090 max=100 report-only=on", "tune fault": f"{THRIFT} delay=50ms delay-percent=1",
    "tune split": "org.apache.dubbo.samples.basic.api.demoservice traffic-splitting v1=50 v2=50", "tune keep": "all", "tune drop": "all", "log level": "dns warn",
    "ready": "on", "diff": "1 2", "forget": "DestinationRule meta-dubbo/dubbo-demoservice", "rollback": "1", "commit confirm": "60s",
    "trace start": "service=*demoservice count 1", "trace show": "", "capture start": "messages service=*demoservice",
    "capture read": "2", "explain": "protocol=dubbo service=org.apache.dubbo.samples.basic.api.demoservice",
}
# What comes and goes by chance; the schema still holds it.
MOVES = {"show errors", "trace show", "capture read", "show capture", "show health", "show slow", "show exchanges", "show neighbours", "show talkers", "show connections", "close connection"}
LAST = ("forget", "reload", "drain", "return")
# What makes it possible to run a command once more.
AGAIN = {"trace start": "trace stop", "trace stop": "trace start", "capture start": "capture stop",
         "capture stop": "capture start", "commit": "commit confirm 60s",
         "tune weight": "tune weight 198.51.100.12:20880 6", "tune worker": "tune worker burst=17", "log level": "log level dns error",
         "tune limit": f"tune limit {THRIFT}:9090 max=101", "tune fault": f"tune fault {THRIFT} delay=51ms",
         "tune split": "tune split org.apache.dubbo.samples.basic.api.demoservice traffic-splitting v1=51 v2=49"}
for noun in ("endpoint", "service", "listener"):
    AGAIN[f"drain {noun}"], AGAIN[f"return {noun}"] = (f"{verb} {noun} {WORDS[f'{verb} {noun}']}" for verb in ("return", "drain"))


# What says by its exit status that it has found something.
FINDS = {"analyse"}
# What is about calls that are made meanwhile.
CALLED = {"capture read", "close connection"}


# Lists without rows of a fixed form: lines of text, and what a trace or a filter tells.
ROWLESS = {("show config", "diagnostics"), ("explain", "filters"), ("trace show", "steps")}
# Tables without rows in this lab, which has no discovery server, no identity, and nothing in trouble. Other labs walk them:
# mesh_tls, authorization, tokens_are_verified, workloads_by_port, ready_again, slow_calls and documents_on_their_own those of their names,
# attack/silence `show outliers`, attack/stopped_uploads the holders of memory, interop/xds/test_admin those of sources;
# overrides are walked below.
EMPTY = {("show identity", "identity"), ("show identity", "revocations"), ("show identity", "roots"), ("show mesh", "mesh"),
         ("show xds", "sources"), ("show xds", "streams"), ("show xds", "types"), ("show resources", "resources"), ("show mesh", "versions"),
         ("show xds", "accepted_not_used"), ("show xds", "problems"), ("show exchanges", "exchanges"), ("show last-good", "last_good"),
         ("show denied", "denied"), ("show memory", "holders"), ("show memory", "sources"), ("show objects", "closed_by_policy"), ("show outliers", "outliers"),
         ("show policies", "policies"), ("show ready", "waits_for"), ("show workloads", "workloads"), ("show guests", "guests"), ("show config", "diagnostics"),
         ("show overrides", "overrides"), ("show limits", "by_key"), ("show limits top", "top")}


def plain(text):
    """The text without what differs from run to run: numbers, addresses of cards, widths of columns, equal rows, where memory is from."""
    text = re.sub(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC", text, flags=re.I)
    text = re.sub(r"\b\d+ MB (in|without) hugepages.*", "MB of memory", text)
    text = re.sub(r"\d+", "0", text)
    lines = []
    for line in text.splitlines():
        line = re.sub(r"\s+", " ", re.sub(r"(?<=\s)-(?=\s|$)", "0", line)).strip()
        if not lines or line != lines[-1]:
            lines.append(line)
    return lines


def every_command_has_a_schema(table):
    """The daemon's own table decides: `help` lists all of it, each command has a schema, and no schema or words are left of one that is gone."""
    commands = {row["command"] for row in table}
    page = subprocess.run([MELTEMID, "--commands"], capture_output=True, text=True, check=True).stdout
    equal(set(re.findall(r"^\*\*(.+?)\*\*", page, re.M)), commands, "commands of `help`")
    usage = subprocess.run([SHELL, "--help"], capture_output=True, text=True, check=True).stdout
    local = set(re.findall(r"\[--json\] ([a-z]+(?: [a-z]+)?)", usage))
    equal(local - commands - OF_THE_SHELL, {"watch"}, "commands of the shell with --json that have no schema, but watch, which repeats others")
    equal({path.stem for path in SCHEMAS.glob("*.json")}, {command.replace(" ", "_") for command in commands | OF_THE_SHELL}, "schemas")
    bare = {(command, name) for command in commands for name, part in of_command(command)["properties"].items() if part.get("items") == {}}
    equal(bare - ROWLESS, set(), "tables whose rows no schema describes")
    equal((set(WORDS) | MOVES | set(AGAIN) | FINDS | CALLED | {command for command, _ in EMPTY}) - commands, set(), "commands that this test names and are gone")


def shown_in_text(row):
    """The columns that text can have: of a time, only that with the words."""
    return [key for key in row if not (key.endswith("_unix_ms") and key.removesuffix("_unix_ms") in row)]


def text_has_ten_columns(daemon, commands):
    """
    Every table with more than ten columns has at most ten of them in text, which exist; `wide` brings all. Schemas have the tables that are
    empty in this lab.
    """
    direct, narrowed = Direct(daemon.directory / "admin.sock"), 0
    for command in commands:
        columns = (direct.ask(f"help {command}")[1]["columns"] or "").split()
        known = of_command(command)["properties"].values()
        tables = {name: part.get("items", {}).get("properties", {}) for name, part in of_command(command)["properties"].items()}
        tables |= {name: rows[0] for name, rows in direct.tables(command).items()}
        for name, row in tables.items():
            kept = [key for key in shown_in_text(row) if key in columns]
            narrowed += bool(kept)
            check(len(shown_in_text(row)) <= 10 or 8 <= len(kept) <= 10, f"{command}: text of {name} has {kept} of {list(row)}")
        if all(part.get("items") != {} for part in known):
            names = {key for part in known for key in part.get("items", {}).get("properties", {})}
            check(not set(columns) - names, f"{command} has no columns {set(columns) - names}")
    check(narrowed > 8, f"only {narrowed} tables have columns that text leaves out")
    for words, want in (([], columns_of(direct, "show services")), (["wide"], shown_in_text(direct.tables("show services")["services"][0])),
                        (["sort", "bytes_in"], [*columns_of(direct, "show services")[:8], "bytes_in", *columns_of(direct, "show services")[8:]])):
        equal(daemon.shell("show", "services", *words).splitlines()[0].split(), want, f"columns of show services {words}")


def clusters_sum_endpoints(daemon):
    """A cluster has the sums of its endpoints, of which each has a row."""
    direct = Direct(daemon.directory / "admin.sock")
    endpoints = direct.tables("show endpoints")["endpoints"]
    for row in direct.tables("show clusters")["clusters"]:
        own = [end for end in endpoints if end["cluster"] == row["cluster"]]
        equal(row["endpoints"], len(own), f"endpoints of {row['cluster']}")
        equal(row["healthy"], sum(end["health"] == "ok" for end in own), f"healthy endpoints of {row['cluster']}")
        for field in ("requests", "failures", "connections_opened", "ejections"):
            equal(row[field], sum(end[field] or 0 for end in own), f"{field} of {row['cluster']}")
    check(sum(end["requests"] or 0 for end in endpoints) >= 100, "no endpoint has the calls")


def forwards(lab):
    """A flow of the forwarded port, with a datagram and its answer."""
    ends = []
    for role in ("client", "server1", "server2"):
        with lab.inside(role):
            ends.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    lab.sockets += ends
    client, *servers = ends
    for server in servers:
        server.bind(("0.0.0.0", PORT))
    for _ in range(4):
        client.sendto(b"question", (RESOLVER, PORT))
        for server in select.select(servers, [], [], 5)[0]:
            data, source = server.recvfrom(100)
            server.sendto(b"answer to " + data, source)
        if select.select([client], [], [], 5)[0]:
            equal(client.recvfrom(100), (b"answer to question", (RESOLVER, PORT)), "the answer of the forwarded port")
            return
    check(False, "no datagram of the forwarded port was answered")


def columns_of(direct, command):
    return direct.ask(f"help {command}")[1]["columns"].split()


def examples_of_page():
    text = PAGE.read_text() if PAGE.exists() else ""
    return dict(re.findall(r"^### ([^\n]+)\n\n[^\n]+\n\n```\n\$[^\n]*\n(.*?)```\n", text, re.M | re.S))


def ordered(commands):
    """Those that end something come last, a trace is started before it is shown."""
    return [c for c in commands if c["command"] not in LAST] + [c for c in commands if c["command"] in LAST]


def body():
    page, known = [], examples_of_page()
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks")
        daemon.write("resolver.yaml", FORWARDED)
        daemon.node.write_text(daemon.node.read_text() + FORWARDING)
        daemon.write("mesh.yaml", MESH)
        daemon.start()
        table = json.loads(daemon.shell("--json", "help"))["commands"]
        if not WRITE:
            every_command_has_a_schema(table)
        fresh = {row["command"]: json.loads(daemon.shell("--json", *f"{row['command']} {WORDS.get(row['command'], '')}".split()))
                 for row in table if row["command"].startswith("show ")}

        def call(count=1):
            lab.dubbo_client("240.240.0.10:20880", count=count, outstanding=1).result()

        call(100)
        forwards(lab)
        manual = subprocess.run([MELTEMID, "--commands"], capture_output=True, text=True, check=True).stdout
        shows = [row["command"] for row in table if row["command"].startswith("show ")]
        seen = every_column_selects(daemon, shows, EMPTY)
        check(seen > 300, f"only {seen} columns")
        if not WRITE:
            text_has_ten_columns(daemon, shows)
        clusters_sum_endpoints(daemon)
        for row in ordered(table):
            check(f"**{row['command']}**" in manual, f"the manual page has no {row['command']}")
            command = row["command"]
            words = f"{command} {WORDS.get(command, '')}".split()
            if command == "show overrides":
                every_column_selects(daemon, [command], set())
            if command in CALLED:
                call()
            text = daemon.shell(*words, fail=command not in FINDS)
            if command in AGAIN:
                daemon.shell(*AGAIN[command].split())
            if command in CALLED:
                call()
            answer = json.loads(daemon.shell("--json", *words, fail=command not in FINDS))
            fits(command, answer)
            if command in fresh:
                check(fresh[command].keys() == answer.keys(), f"--json {command}: {fresh[command].keys() ^ answer.keys()} depends on luck")
            text = text.replace(str(daemon.directory), "/etc/meltemi").replace(lab.id, "node1")
            page.append(f"### {command}\n\n{row['help'][0].upper()}{row['help'][1:]}.\n\n```\n$ meltemi {' '.join(words)}\n{text}```\n")
            if not WRITE:
                check(command in known, f"{PAGE.name} has no example of {command}; write it with MELTEMI_WRITE=1")
                shown = known[command]
                if command not in MOVES:
                    check(plain(shown) == plain(text), f"the example of {command} is\n{plain(shown)}\nnow it is\n{plain(text)}")
    if WRITE:
        PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + "\n" + "\n".join(page))
        print(f"written: {PAGE}, {SCHEMAS}")


main(body)
