#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What an operator sees when something is wrong: faults are made one by one in a running mesh, and `meltemi doctor` names each
cause in words with a remedy within seconds; before the first one it finds no fault.
"""

import json
import pathlib
import re
import socket
import struct
import subprocess
import time

from meltemi_lab import PATIENCE, Lab, becomes, check, equal, main, names, netns
from meltemi_lab.check import within
from meltemi_lab.daemon import SHELL
from meltemi_lab.documents import service, subsets, weights

SECONDS = 10
DUBBO = "tcp-metaprotocol-dubbo"
APPLICATION = """\
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
{more}"""
LIMIT = """\
  localRateLimit:
    tokenBucket: {fillInterval: 600s, maxTokens: 2, tokensPerFill: 2}
"""
NOWHERE = """\
  routes:
  - name: never
    match: {attributes: {interface: {exact: no.such.Interface}}}
    route: [{destination: {host: noroute.test}}]
"""
BOOTSTRAP = {"node": {"id": "n"}, "static_resources": {"clusters": [
    {"name": "cp", "type": "STATIC", "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}}}},
     "load_assignment": {"cluster_name": "cp", "endpoints": [{"lb_endpoints": [
         {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}}]}]}}]},
    "dynamic_resources": {"ads_config": {"api_type": "GRPC", "transport_api_version": "V3",
                                         "grpc_services": [{"envoy_grpc": {"cluster_name": "cp"}}]},
                          "cds_config": {"ads": {}, "resource_api_version": "V3"}}}


class World:
    def __init__(self, lab):
        self.lab, self.daemon = lab, lab.meltemi(workers=2)
        self.vips = {}

    def add(self, name, endpoints, port=20880, protocol=DUBBO):
        """A service NAME.test with an address of its own."""
        vip = self.vips.setdefault(name, f"240.240.3.{len(self.vips) + 1}")
        self.daemon.write(f"{name}.yaml", service(f"{name}.test", vip, port, protocol, endpoints))
        return f"{vip}:{port}"

    def calls(self, name, count=5, **more):
        more.setdefault("timeout_ms", 1500)
        return self.lab.dubbo_client(f"{self.vips[name]}:20880", count=count, **more).result()

    def doctor(self):
        argv = [SHELL, "-s", self.daemon.directory / "admin.sock", "--json", "doctor"]
        return json.loads(subprocess.run(argv, text=True, capture_output=True, timeout=30, check=False).stdout)["findings"]

    def named(self, what, about, words, state=None):
        """A finding about it that says these words, with something to do; of counters, the one of their cause that names them."""
        def told():
            return [row for row in self.doctor() if (re.search(about, row["about"]) or re.search(about, row["also_counted"] or ""))
                    and re.search(words, row["words"])]

        row = within(SECONDS, told, f"{what}: a finding about /{about}/ that says /{words}/", step=0.3)[0]
        check(row.get("remedy"), f"{what}: no remedy: {row}")
        check(state is None or row["state"] == state, f"{what}: {row['state']}, not {state}")
        print(f"    {what}: {row['state']}: {row['about']}: {row['words'][:90]}", flush=True)


def says(text):
    """A server that answers whatever comes with `text`, or closes ("")."""
    def handler(sock):
        sock.recv(65536)
        sock.sendall(text)
        time.sleep(0.05 if not text else 0.5)
        sock.close()

    return handler


def a_dead_server(w):
    w.calls("dead")
    w.named("dead server", "proxy_up_connect_failed|dead.test", "connect|ejected")


def no_arp(w):
    w.calls("absent", count=1, timeout_ms=5000)
    w.named("ARP failure", "198.51.100.77", "answers no ARP request on p1", "fault")


def an_endpoint_without_a_route(w):
    """It is the only one of its service, so calls go to it. No view calls it well."""
    name = "203.0.113.77:20880"

    def not_well(page):
        if isinstance(page, list):
            return any(not_well(one) for one in page)
        return isinstance(page, dict) and (page.get("endpoint") == name and page["health"] != "ok" or any(map(not_well, page.values())))

    def views():
        up = re.findall(rf'meltemi_endpoint_up{{.*endpoint="{name}".*}} (\d)', w.daemon.http("/metrics")[1])
        return {"endpoints": [row["health"] for row in w.daemon.show("endpoints")["endpoints"] if row["endpoint"] == name] == ["no route"],
                "clusters": [row["healthy"] for row in w.daemon.show("clusters")["clusters"] if "away.test" in row["cluster"]] == [0],
                "outliers": any(row["endpoint"] == name for row in w.daemon.show("outliers")["outliers"]),
                "metric": up == ["0"], "page": not_well(json.loads(w.daemon.http("/ui/data/now")[1])["topology"]),
                "log": f"endpoint {name} of outbound|20880||away.test ejected" in w.daemon.process.errors()}

    w.add("away", [("203.0.113.77", 20880, {})])
    w.daemon.shell("reload")
    w.calls("away")
    becomes(views, dict.fromkeys(views(), True), "views in which an endpoint without a route is not well", step=0.3)
    w.named("endpoint without a route", "away.test", "no route", "fault")


def no_route(w):
    w.calls("noroute")
    w.named("no route", "proxy_reply_no_route", "route", "warning")


def no_servers(w):
    w.named("a cluster without servers", "empty.test", "no server", "fault")


def over_limit(w):
    w.calls("limited", count=10)
    w.named("limit used up", "limited.test", "limit of 2 .* is used up; 8 refused", "note")


def garbage_from_a_client(w):
    with w.lab.connect("client", w.vips["good"], 20880) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.recv(100)
    w.named("garbage of a client", "proxy_malformed", "")


def garbage_from_a_server(w):
    with w.lab.listening("server1", 20891, says(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 64)):
        w.calls("rubbish")
    w.named("garbage of a server", "proxy_up_malformed|proxy_reply_bad_reply", "")


def a_server_that_closes(w):
    with w.lab.listening("server1", 20892, says(b"")):
        w.calls("closes")
    w.named("server closes with calls in flight", "proxy_reply_conn_lost|proxy_up_reset", "")


def a_silent_server(w):
    with w.lab.listening("server1", 20893, lambda sock: time.sleep(3)):
        w.calls("silent", count=1, timeout_ms=4000)
    w.named("server never answers", "proxy_reply_timeout", "")


def a_server_that_takes_no_connection(w):
    """A full backlog: the SYN is dropped, as by a firewall."""
    with w.lab.inside("server1"):
        full = socket.create_server(("198.51.100.11", 20894), backlog=0)
        fill = [socket.socket() for _ in range(3)]
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(("198.51.100.11", 20894))
    w.calls("full", count=2, timeout_ms=4000)
    w.named("SYNs dropped", "tcp_connect_timeouts", "")
    for sock in [full, *fill]:
        sock.close()


def a_bad_document(w):
    w.daemon.write("bad.yaml", "apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata: {name: x}\nspec: {hosst: [a]}\n")
    w.daemon.shell("reload", fail=False)
    w.named("bad document", "", r"bad\.yaml:4", "fault")
    w.daemon.services.joinpath("bad.yaml").unlink()
    w.daemon.shell("reload")


def a_route_to_nowhere(w):
    w.daemon.write("split.yaml", weights("good.test", {"v9": 100}, name="split") + "---\n" + subsets("good.test", ["v9"]))
    w.daemon.shell("reload")
    w.named("route to a subset without servers", "good.test", "no server|none of its")
    w.daemon.services.joinpath("split.yaml").unlink()
    w.daemon.shell("reload")


def too_many_clients(w):
    with w.lab.inside("client"):
        socks = [socket.socket() for _ in range(24)]
        for sock in socks:
            sock.setblocking(False)
            sock.connect_ex((w.vips["good"], 20880))
    w.named("connections used up", "proxy_down_full", "")
    for sock in socks:
        sock.close()


def unfinished_checksums(w):
    netns.run("ip", "netns", "exec", w.lab.namespace("client"), "ethtool", "-K", "c0", "tx", "on")
    try:
        with w.lab.inside("client"), socket.socket() as sock:
            sock.settimeout(1)
            try:
                sock.connect((w.vips["good"], 20880))
            except OSError:
                pass
        w.named("offloaded checksums", "tcp_checksum_bad", "checksum")
    finally:
        netns.run("ip", "netns", "exec", w.lab.namespace("client"), "ethtool", "-K", "c0", "tx", "off", "gso", "off", "tso", "off")


def control_plane_away(w):
    w.named("control plane away", "127.0.0.1:1", "^ADS: ", "warning")


def name_server_away(w):
    for number in range(3):
        names.ask_udp(w, f"a{number}.example") if hasattr(names, "ask_udp") else ask_a_name(w, f"a{number}.example")
    w.named("name server away", "198.51.100.11:53|dns_no_server_answered", "unanswered|no server|None")


def ask_a_name(w, name):
    question = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"".join(
        bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)
    with w.lab.inside("client"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.sendto(question, ("192.0.2.1", 53))
        sock.recv(512)


def node_changed(w):
    w.daemon.node.write_text(w.daemon.node.read_text().replace("mb: 512", "mb: 640"))
    w.daemon.shell("reload")
    w.named("Node document changed", "memory", "changed in the Node document", "note")


def link_down(w):
    netns.run("ip", "-n", w.lab.namespace("net"), "link", "set", "b-mesh", "down")
    w.named("link down", "^p1$", "the link is down", "fault")


FAULTS = (no_servers, control_plane_away, a_dead_server, no_arp, an_endpoint_without_a_route, no_route, over_limit, garbage_from_a_client,
          garbage_from_a_server, a_server_that_closes, a_silent_server, a_server_that_takes_no_connection, a_bad_document, a_route_to_nowhere,
          too_many_clients, unfinished_checksums, name_server_away, node_changed, link_down)


def documents(w):
    one = "198.51.100.11"
    w.add("good", [(one, 20880, {})])
    w.add("dead", [(one, 20899, {})])
    w.add("absent", [("198.51.100.77", 20880, {})])
    w.add("noroute", [(one, 20880, {})])
    w.add("limited", [(one, 20880, {})])
    w.add("rubbish", [(one, 20891, {})])
    w.add("closes", [(one, 20892, {})])
    w.add("silent", [(one, 20893, {})])
    w.add("full", [(one, 20894, {})])
    w.daemon.write("limit.yaml", APPLICATION.format(name="limit", host="limited.test", more=LIMIT))
    w.daemon.write("nowhere.yaml", APPLICATION.format(name="nowhere", host="noroute.test", more=NOWHERE))
    w.daemon.write("short.yaml", weights("silent.test", {}).replace("    route:\n", "    timeout: 0.5s\n    route:\n"
                   "    - destination: {host: silent.test}\n"))


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        w = World(lab)
        w.daemon.leaves("errors", "it is given a bad document", "module=config")
        documents(w)
        text = w.daemon.node.read_text()
        w.daemon.node.write_text(text.replace("  workers: 2", "  workers: 2\n  connections: 8\n  dns: {upstream: [198.51.100.11]}"))
        w.daemon.start()
        equal(w.calls("good")["answered"], 5, "calls before all faults")
        faults = [row for row in w.doctor() if row["state"] == "fault"]
        equal(faults, [], "faults before any was made")
        w.daemon.stop()
        w.add("empty", [])
        pathlib.Path(w.daemon.directory / "bootstrap.json").write_text(json.dumps(BOOTSTRAP))
        text = w.daemon.node.read_text()
        w.daemon.node.write_text(re.sub(r"sources: \[(.*)\]\n", rf"sources: [\1, {{xds: {{bootstrap: {w.daemon.directory}/bootstrap.json, plaintext: true}}}}]\n", text))
        w.daemon.start()
        for fault in FAULTS:
            fault(w)


main(body)
