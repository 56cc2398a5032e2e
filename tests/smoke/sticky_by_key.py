#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls stay with one of five servers by a metadata key; when a server leaves, the keys of the others hardly move."""

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.documents import service, subsets

HOST, VIP, KEYS = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1", 500


def entry(lab, numbers):
    return service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo",
                   [(lab.server(n), 20880, {"version": f"v{n}"}) for n in numbers])


def placed(lab):
    """Which server holds which key, after each key has called four times."""
    report = lab.dubbo_client(f"{VIP}:20880", keys=KEYS, count=4 * KEYS, outstanding=16, connections=2).result()
    equal(report["failed"], 0, "failed calls")
    wandering = [key for key, servers in report["keys"].items() if len(servers) != 1]
    equal(wandering, [], "keys that were answered by more than one server")
    return {key: servers[0] for key, servers in report["keys"].items()}


def body():
    with Lab(servers=5) as lab:
        for number in range(1, 6):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("service.yaml", entry(lab, range(1, 6)))
        daemon.write("sticky.yaml", subsets(HOST, [], "consistentHash: {httpHeaderName: user-id}"))
        daemon.start()
        before = placed(lab)
        sizes = sorted(list(before.values()).count(server) for server in set(before.values()))
        print(f"{KEYS} keys on five servers: {sizes}", flush=True)
        check(len(sizes) == 5 and sizes[0] > 0.1 * KEYS, f"keys are spread {sizes}")

        daemon.write("service.yaml", entry(lab, range(1, 5)))
        daemon.shell("reload")
        after = placed(lab)
        check("v5/s5" not in after.values(), "the server that left is still called")
        moved = [key for key, server in before.items() if server != "v5/s5" and after[key] != server]
        print(f"one server left: {len(moved)} of {KEYS} keys moved that it did not hold", flush=True)
        check(len(moved) <= 0.1 * KEYS, f"{len(moved)} keys moved without need")


main(body)
