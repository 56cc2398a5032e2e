#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What the administration interface answers, read by Envoy's own messages (go-control-plane) and protobuf's strict JSON, on a
node with a discovery server and with documents: a field that Envoy does not have fails, and each resource stands where readers
of a mesh look for it.
"""

import datetime
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import adsd  # noqa: E402
import mesh  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main  # noqa: E402
from meltemi_lab.columns import every_column_selects  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

DOCUMENT, DOCUMENT_VIP = "written.example", "240.240.1.9"
V1, V2 = mesh.name_of(HOST, PORT, "v1"), mesh.name_of(HOST, PORT, "v2")


def get(w, path):
    done = subprocess.run(["ip", "netns", "exec", w.daemon.namespace, "curl", "-sf", "-m", "20", "http://127.0.0.1:15000" + path],
                          text=True, capture_output=True, timeout=30, check=False)
    equal(done.returncode, 0, f"curl {path}")
    return done.stdout


def read(w, path):
    """The answer as it is, and what Envoy's messages find in it: {message: names}."""
    text = get(w, path)
    kind = path[1:].split("?")[0]
    done = subprocess.run([adsd.PROGRAM, "read", kind], input=text, text=True, capture_output=True, timeout=30, check=False)
    check(done.returncode == 0, f"{path} is not Envoy's: {done.stderr[:500]}")
    return json.loads(text), json.loads(done.stdout)


def rows(dump, array):
    return [row for part in dump["configs"] for row in part.get(array, [])]


def whole(w):
    dump, found = read(w, "/config_dump?include_eds")
    clusters = {row["cluster"]["name"]: row for row in rows(dump, "dynamic_active_clusters")}
    check({V1, V2} <= set(clusters), f"clusters of the mesh: {sorted(clusters)}")
    for row in clusters.values():
        age = time.time() - datetime.datetime.fromisoformat(row["last_updated"].replace("Z", "+00:00")).timestamp()
        check(row["version_info"] and -1 < age < 120, f"version and time of {row}")
    check(any(DOCUMENT in row["cluster"]["name"] for row in rows(dump, "static_clusters")), "clusters of documents")
    assignment = next(r["endpoint_config"] for r in rows(dump, "dynamic_endpoint_configs") if r["endpoint_config"]["cluster_name"] == V1)
    address = assignment["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    equal((address["address"], address["port_value"]), w.endpoint(1), "endpoint")
    listener = rows(dump, "dynamic_listeners")[0]
    proxy = listener["active_state"]["listener"]["filter_chains"][0]["filters"][0]["typed_config"]
    equal(proxy["application_protocol"], "dubbo", "protocol")
    table = next(r["route_config"] for r in rows(dump, "dynamic_route_configs") if r["route_config"]["name"] == proxy["rds"]["route_config_name"])
    target = table["virtual_hosts"][0]["routes"][0]["route"]
    equal({c["name"]: c["weight"] for c in target["weighted_clusters"]["clusters"]}, {V1: 70, V2: 30}, "weights")
    check("envoy.config.listener.v3.Listener" in found and "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy" in found,
          f"messages: {sorted(found)}")
    return dump


def parts(w):
    dump, _ = read(w, "/config_dump")
    check(dump["configs"][4]["@type"].endswith(".RoutesConfigDump"), "routes are in the fifth place, as aerakictl reads them")
    only, found = read(w, "/config_dump?resource=dynamic_active_clusters&name_regex=v1")
    equal([row["cluster"]["name"] for row in only["configs"]], [V1], "one array of it, and of that one name")
    equal(found["envoy.admin.v3.ClustersConfigDump.DynamicCluster"], [""], "its rows are messages")
    for array in ("static_listeners", "dynamic_listeners", "static_route_configs", "dynamic_endpoint_configs", "dynamic_active_secrets"):
        read(w, f"/config_dump?resource={array}")


def others(w):
    status, _ = read(w, "/clusters?format=json")
    v1 = next(row for row in status["cluster_statuses"] if row["name"] == V1)
    check(v1["added_via_api"] and v1["eds_service_name"] == V1, f"cluster {v1}")
    listing, _ = read(w, "/listeners?format=json")
    equal(len(listing["listener_statuses"]), 2, "listeners")
    for path in ("/server_info", "/memory", "/certs"):
        read(w, path)
    check("cluster_manager.cds.update_success: " in get(w, "/stats") and "listener_manager.lds.update_rejected: 0\n" in get(w, "/stats"),
          "what pilot-agent looks for")


def body():
    with world() as w:
        server = w.server()
        server.apply(*mesh.split(HOST, VIP, PORT, "dubbo", {"v1": [w.endpoint(1)], "v2": [w.endpoint(2)]}, {"v1": 70, "v2": 30}))
        w.peers(thrift=0)
        w.meltemi(files=True)
        w.daemon.write("written.yaml", service(DOCUMENT, DOCUMENT_VIP, 20880, "tcp-metaprotocol-dubbo", [(w.lab.server(1), 20880, {})]))
        w.daemon.start()
        w.serves(["v1/s1", "v2/s2"])
        whole(w)
        parts(w)
        others(w)
        every_column_selects(w.daemon, ["show xds", "show resources", "show mesh", "show memory"],
                             {("show xds", "accepted_not_used"), ("show xds", "problems"), ("show memory", "holders")})


main(body)
