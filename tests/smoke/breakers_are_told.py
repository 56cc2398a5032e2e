#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is said of a cluster's breakers is what they do: http2MaxRequests refuses nothing, so nothing says that it guards; connections and
calls that wait are bounded, and are said to be."""

import json

from meltemi_lab import TESTS, Lab, check, equal, main

SERVICE = "org.apache.dubbo.samples.basic.api.demoservice"
COMPANION = "companion-dubbo.yaml"


def covered(daemon):
    return next(row["breakers"] for row in daemon.show("coverage")["coverage"] if row["service"] == SERVICE)


def pool(daemon, settings):
    """The service's documents, with that connectionPool in its DestinationRule."""
    text = (TESTS / "documents/talks" / COMPANION).read_text()
    before, rule = text.split("kind: DestinationRule", 1)
    daemon.write(COMPANION, before + "kind: DestinationRule" + rule.replace("  subsets:", f"  trafficPolicy: {{connectionPool: {settings}}}\n  subsets:", 1))


def cluster_of(daemon):
    configs = json.loads(daemon.http("/config_dump?resource=dynamic_active_clusters")[1]).get("configs", [])
    configs += json.loads(daemon.http("/config_dump?resource=static_clusters")[1]).get("configs", [])
    return next(row["cluster"] for row in configs if row["cluster"]["name"].endswith("||" + SERVICE))


def body():
    with Lab(servers=1) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks/dubbo-application-protocol.yaml", workers=1)
        pool(daemon, "{http: {http2MaxRequests: 2}}")
        daemon.start()
        done = lab.dubbo_client("240.240.0.10:20880", count=2000, outstanding=64).result()
        equal((done["answered"], done.get("failed", 0) or 0), (2000, 0), "64 calls at a time where 2 are written")
        check(covered(daemon).startswith("none"), f"show coverage: breakers {covered(daemon)}")
        check("http2MaxRequests" in covered(daemon), "show coverage does not say what is written and not enforced")
        equal(daemon.show("coverage")["without_breakers"], daemon.show("coverage")["services"], "services without breakers")
        said = cluster_of(daemon)
        equal(said["circuit_breakers"]["thresholds"], [{"priority": "DEFAULT"}], "/config_dump: fields that have no effect are not in it")
        check("max_requests::2" not in daemon.http("/clusters")[1], "/clusters names a bound that nothing keeps")
        check("http2MaxRequests" in daemon.check()[1], "--check does not tell")
        pool(daemon, "{tcp: {maxConnections: 4}, http: {http2MaxRequests: 2}}")
        daemon.shell("reload")
        equal(covered(daemon), "yes", "breakers with maxConnections")
        check("max_connections::4" in daemon.http("/clusters")[1], "/clusters names no bound of connections")
        daemon.stop()


main(body)
