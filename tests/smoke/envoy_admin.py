#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Envoy's administration interface: what curl gets from each page in each form, and wrong questions. No request changes the node,
whatever the kernel knows of its sender's socket; the shell's commands do, and clients feel its drain.
"""

import json
import os
import pathlib
import pwd
import socket
import subprocess

from meltemi_lab import TESTS, Lab, check, equal, main, netns
from meltemi_lab.check import within
from meltemi_lab.documents import service

BASE = "http://127.0.0.1:15000"


def curl(lab_daemon, path, *more, base=BASE):
    """(status, content type, body)"""
    done = subprocess.run(["ip", "netns", "exec", lab_daemon.namespace, "curl", "-s", "-m", "20", "-w", "\n%{http_code} %{content_type}",
                           *more, base + path], text=True, capture_output=True, timeout=30, check=False)
    body, _, last = done.stdout.rpartition("\n")
    status, _, kind = last.partition(" ")
    return int(status), kind, body


def get(daemon, path, *more):
    status, kind, body = curl(daemon, path, *more)
    equal(status, 200, f"status of {path}: {body[:200]}")
    return json.loads(body) if kind.startswith("application/json") else body


def stats(daemon):
    lines = dict(line.split(": ") for line in get(daemon, "/stats").splitlines())
    equal((lines["server.state"], lines["listener_manager.workers_started"]), ("0", "1"), "state of the server")
    named = {row["name"]: row["value"] for row in get(daemon, "/stats?format=json")["stats"]}
    check(set(named) == set(lines), "both forms have the same names")
    calls = [int(v) for k, v in lines.items() if k.startswith("cluster.outbound|20880|v1|") and k.endswith(".upstream_rq_total")]
    check(calls and calls[0] > 0, f"calls in the cluster's numbers: {calls}")
    found = get(daemon, "/stats?filter=%5Eserver%5C.state%24&usedonly")
    equal(found, "server.state: 0\n", "what pilot-agent asks for")
    used = get(daemon, "/stats?usedonly")
    check(0 < len(used) < len(get(daemon, "/stats")) and ": 0\n" not in used.replace("server.state: 0\n", ""), "only what is used")
    for path in ("/stats/prometheus", "/stats?format=prometheus"):
        check("# TYPE istio_requests_total counter" in get(daemon, path), f"{path} is not a scrape")


def objects(daemon):
    text = get(daemon, "/clusters")
    check("::added_via_api::false\n" in text and "::health_flags::healthy\n" in text, "clusters as text")
    rows = get(daemon, "/clusters?format=json")["cluster_statuses"]
    v1 = next(row for row in rows if row["name"].startswith("outbound|20880|v1|"))
    host = v1["host_statuses"][0]
    equal(host["health_status"]["eds_health_status"], "HEALTHY", "health")
    numbers = {s["name"]: s.get("value") for s in host["stats"]}
    check(int(numbers["rq_total"]) > 0 and int(numbers["cx_total"]) > 0, f"numbers of a host: {numbers}")
    check(f'{v1["name"]}::{host["address"]["socket_address"]["address"]}:20880::rq_total::{numbers["rq_total"]}\n' in text, "both forms agree")
    equal(len(get(daemon, "/clusters?format=json&filter=%5C%7Cv1%5C%7C")["cluster_statuses"]), len([r for r in rows if "|v1|" in r["name"]]), "filtered")
    check("240.240.0.10_20880::240.240.0.10:20880\n" in get(daemon, "/listeners"), "listeners as text")
    names = [row["name"] for row in get(daemon, "/listeners?format=json")["listener_statuses"]]
    check("240.240.0.10_20880" in names, f"listeners: {names}")


def numbers_of(daemon, cluster):
    rows = get(daemon, "/clusters?format=json")["cluster_statuses"]
    host = next(row for row in rows if row["name"] == cluster)["host_statuses"][0]
    return {s["name"]: int(s.get("value", 0)) for s in host["stats"]}


def numbers_add_up(lab, daemon):
    """As Envoy counts them: calls to a server that answers are successes, calls to an address where nothing listens are errors."""
    good = next(row["name"] for row in get(daemon, "/clusters?format=json")["cluster_statuses"] if row["name"].startswith("outbound|20880|v1|"))
    found = numbers_of(daemon, good)
    check(found["rq_total"] > 0 and (found["rq_success"], found["rq_error"], found["rq_active"]) == (found["rq_total"], 0, 0), f"all were answered: {found}")
    lab.dubbo_client("240.240.3.2:20880", count=20, outstanding=1).result()
    found = numbers_of(daemon, "outbound|20880||dead.example")
    check(found["cx_connect_fail"] > 0 and found["rq_error"] > 0 and found["rq_success"] == 0, f"none was answered: {found}")
    text = get(daemon, "/stats?filter=dead.example.upstream_rq_error")
    equal(text.split(": ")[1].strip(), str(found["rq_error"]), "the cluster's number")


def dump(daemon):
    configs = get(daemon, "/config_dump")["configs"]
    equal([c["@type"].rsplit(".", 1)[1] for c in configs],
          [f"{name}ConfigDump" for name in ("Bootstrap", "Clusters", "Listeners", "ScopedRoutes", "Routes", "Secrets")], "order")
    table = next(r["route_config"] for r in configs[4]["static_route_configs"] if "demoservice" in r["route_config"]["name"])
    said = table["virtual_hosts"][0]["routes"][0]["metadata"]["filter_metadata"]["meltemi"]
    check(".yaml:" in said["origin"], f"the line that said it: {said}")
    # The name of a file is bytes: one that is no text keeps nobody from the rest.
    check("odd\\\\xff.yaml:" in json.dumps(configs[4]), "the file whose name is no text")
    for what in ("services", "routes"):
        said = {row["service"]: row["origin"] for row in daemon.show(what)[what]}
        check("odd\\xff.yaml:" in said["odd.example"], f"show {what} says {said}")


def one_array(daemon):
    rows = get(daemon, "/config_dump?resource=static_listeners&name_regex=240.240.0.10_20880")["configs"]
    equal([(row["@type"].rsplit(".", 1)[1], row["listener"]["address"]["socket_address"]["port_value"]) for row in rows], [("StaticListener", 20880)], "one array")
    daemon.shell("clear", "counters")
    daemon.shell("clear", "counters", "undo")
    again = get(daemon, "/config_dump?resource=static_listeners&name_regex=240.240.0.10_20880")["configs"]
    equal(again[0]["last_updated"], rows[0]["last_updated"], "time of the configuration after an action that changed none")
    equal([len(get(daemon, f"/config_dump?{words}resource=static_endpoint_configs")["configs"]) > 2 for words in ("", "include_eds&")], [True, True], "by its name")


def server(daemon):
    info = get(daemon, "/server_info")
    equal((info["state"], info["node"]["id"]), ("LIVE", daemon.lab.id), "server_info")
    check(int(get(daemon, "/memory")["total_physical_bytes"]) > 1 << 20, "memory")
    check("/logging" not in get(daemon, "/help"), "help")
    equal(curl(daemon, "/ready")[0], 200, "ready")
    daemon.shell("ready", "off")
    status, _, text = curl(daemon, "/ready")
    check(status == 503 and "`ready off`" in text, f"/ready after `ready off`: {status} {text}")
    daemon.shell("ready", "on")
    equal(curl(daemon, "/ready")[0], 200, "ready again")


WRONG = (
    (("/nothing",), 404, "no such page"),
    (("/logging?level=debug",), 403, "`meltemi log level "),
    (("/logging?level=debug", "-X", "POST"), 403, "`meltemi log level "),
    (("/drain_listeners?graceful", "-X", "POST"), 403, "`meltemi drain`"),
    (("/healthcheck/fail", "-X", "POST", "-d", "x=1"), 403, "`meltemi ready off`"),
    (("/healthcheck/ok", "-X", "POST"), 403, "`meltemi ready on`"),
    (("/quitquitquit", "-X", "POST"), 403, "`systemctl stop meltemid`"),
    (("/stats", "-X", "POST"), 405, "only GET and HEAD"),
    (("/clusters", "-X", "DELETE"), 405, "only GET and HEAD"),
    (("/config_dump?resource=nothing",), 404, "not found"),
    (("/config_dump?mask=bootstrap",), 400, "?mask= is not supported"),
    (("/stats?format=xml",), 400, "format=json"),
    (("/stats?filter=%5B",), 400, "Invalid regex"),
    (("/clusters?filter=" + "a" * 2000,), 400, "Invalid regex"),
    (("/clusters", "-H", "Host: evil.example"), 403, "Host"),
)


def wrong(daemon):
    for args, status, words in WRONG:
        got, _, body = curl(daemon, *args)
        check(got == status and words in body, f"{args}: {got} {body[:200]!r}, not {status} {words!r}")
    done = subprocess.run(["ip", "netns", "exec", daemon.namespace, *AS_NOBODY, "curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", BASE + "/clusters"],
                          text=True, capture_output=True, timeout=20, check=False)
    equal(done.stdout, "200", "/clusters by another user")


AS_NOBODY = ["setpriv", f"--reuid={pwd.getpwnam('nobody').pw_uid}", "--clear-groups"]
ROUNDS = "250"  # of CHANGES: 1,000 requests
CHANGES = ("/healthcheck/fail", "/logging?level=debug", "/drain_listeners", "/quitquitquit")
# A long head makes the server's kernel acknowledge the FIN at once, so that no socket has an owner when the daemon reads.
POST = """
import socket, sys
host, source, closes, rounds, *paths = sys.argv[1:]
for path in paths * int(rounds):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if int(source):
        sock.bind(("", int(source)))
    sock.connect((host, 15000))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    sock.sendall(f"POST {path} HTTP/1.1\\r\\nHost: {host}\\r\\nX-Pad: {'x' * 4000}\\r\\nContent-Length: 0\\r\\n\\r\\n".encode())
    if closes == "closes":
        sock.close()
        continue
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
    print(sock.recv(65536).split()[1].decode())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
    sock.close()
"""


def posts(namespace, *argv, user=()):
    done = subprocess.run(["ip", "netns", "exec", namespace, *user, "/usr/bin/python3", "-c", POST, *argv, *CHANGES], text=True, capture_output=True, timeout=60, check=False)
    equal((done.returncode, done.stderr), (0, ""), "the client's own end")
    return done.stdout.split()


def nothing_changes(lab, daemon):
    """A client that closes early as another user, and one on another host whose source port is that of a listener of root here."""
    levels = daemon.show("log")
    posts(daemon.namespace, "127.0.0.1", "0", "closes", ROUNDS, user=AS_NOBODY)
    netns.veth(lab.namespace("client"), "afar", daemon.namespace, "admin")
    netns.kernel_end(lab.namespace("client"), "afar", "172.31.0.1/24")
    netns.kernel_end(daemon.namespace, "admin", "172.31.0.2/24")
    with netns.inside(daemon.namespace):
        listener = socket.create_server(("0.0.0.0", 22))
    with listener:
        equal(posts(lab.namespace("client"), "172.31.0.2", "22", "stays", ROUNDS), ["403"] * len(CHANGES) * int(ROUNDS), "answers to source port 22")
    equal(curl(daemon, "/ready")[0], 200, "/ready")
    equal([row["level"] for row in daemon.show("log")["log"]], [row["level"] for row in levels["log"]], "levels of the log")
    equal(get(daemon, "/server_info")["state"], "LIVE", "state")
    check(gets_in(lab), "new clients get in")


def gets_in(lab):
    try:
        lab.connect("client", "240.240.0.10", 20880).close()
        return True
    except OSError:
        return False


def drained(lab, daemon):
    held = lab.connect("client", "240.240.0.10", 20880)
    daemon.shell("drain")
    equal(get(daemon, "/server_info")["state"], "DRAINING", "state")
    equal(curl(daemon, "/ready")[0], 503, "ready while draining")
    check(gets_in(lab), "new clients get in while the node drains")
    within(10, lambda: not held.recv(100), "the end of the connection of a client from before")
    equal(daemon.stop(), 0, "exit status")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks")
        daemon.node.write_text(daemon.node.read_text().replace("http: 127.0.0.1:15000", "http: 0.0.0.0:15000, envoy: any"))
        odd = service("odd.example", "240.240.3.1", 20880, "tcp-metaprotocol-dubbo", [("198.51.100.11", 20880, {})])
        pathlib.Path(os.fsdecode(os.fsencode(daemon.directory / "services") + b"/odd\xff.yaml")).write_text(odd)
        daemon.write("dead.yaml", service("dead.example", "240.240.3.2", 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 1, {})]))
        daemon.start()
        lab.dubbo_client("240.240.0.10:20880", count=200, outstanding=4).result()
        stats(daemon)
        objects(daemon)
        numbers_add_up(lab, daemon)
        dump(daemon)
        one_array(daemon)
        server(daemon)
        wrong(daemon)
        nothing_changes(lab, daemon)
        drained(lab, daemon)


main(body)
