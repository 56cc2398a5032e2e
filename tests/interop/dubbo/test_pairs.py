#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Apache Dubbo 2.7 and 3.x, all four pairs of client and server: every shape of call, 50 callers on one connection,
and a server that leaves in order. Through Meltemi, or past it: test_pairs.py --direct
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import Failure, Lab, Skip, equal, main  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

VERSIONS = ("2.7.23", "3.2.16")
DIRECT = "--direct" in sys.argv
VIP = "240.240.1.1"


def build():
    """Without a registry to download from: a failure in CI, a skip elsewhere (tests/run says which)."""
    done = subprocess.run([HERE / "build.sh"], text=True, capture_output=True, timeout=900, check=False)
    if done.returncode:
        raise Skip(f"no Dubbo peers: {done.stderr.strip().splitlines()[-1]}")


def pair(lab, client, server, number):
    target = f"{lab.server(number)}:20880" if DIRECT else f"{VIP}:{20880 + number}"
    name = f"{client}-to-{server}"
    checks = lab.java("client", f"checks-{name}", client, "Consumer", "--target", target, "--timeout", 5000,
                      "--heartbeat", 1000).result(90)
    bad = {check: verdict for check, verdict in checks["checks"].items() if verdict != "ok"}
    load = lab.java("client", f"load-{name}", client, "Consumer", "--target", target, "--scenario", "load",
                    "--count", 4000, "--concurrency", 50, "--timeout", 30000).result(90)
    if load["failed"] or load["answered"] != 4000:
        bad["load"] = f"{load['answered']} answered, {load['failed']} failed {load['error_samples']}"
    print(f"client {client}, server {server}: {len(checks['checks']) - len(bad)} of {len(checks['checks'])} checks, "
          f"{load['answered']} calls on one connection, p50 {load['latency_us']['p50']} us", flush=True)
    for check, verdict in bad.items():
        print(f"    {check}: {verdict}", flush=True)
    return len(bad)


def body():
    build()
    with Lab(servers=len(VERSIONS)) as lab:
        if not DIRECT:
            daemon = lab.meltemi()
            for number in range(1, len(VERSIONS) + 1):
                daemon.write(f"{number}.yaml", service(f"dubbo{number}.interop", VIP, 20880 + number, "tcp-metaprotocol-dubbo",
                                                       [(lab.server(number), 20880, {})]))
            daemon.start()
        for number, version in enumerate(VERSIONS, 1):
            lab.java(f"server{number}", f"provider-{version}", version, "Provider", "--tag", f"v{number}",
                     "--id", f"s{number}", "--heartbeat", 1000).wait_line('"ready"', 30)
        wrong = sum(pair(lab, client, server, number)
                    for client in VERSIONS for number, server in enumerate(VERSIONS, 1))
        equal(wrong, 0, "checks that failed")


if __name__ == "__main__":
    main(body)
