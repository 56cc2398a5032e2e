#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Weights edited live, twenty times under load: not one call fails, the new weights hold, memory comes back."""

import time

from meltemi_lab import Lab, check, equal, main, within
from meltemi_lab.documents import service, subsets, weights

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}", delay="0-5").wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo",
                                             [(lab.server(n), 20880, {"version": f"v{n}"}) for n in (1, 2)]))
        daemon.write("subsets.yaml", subsets(HOST, ["v1", "v2"]))
        daemon.write("weights.yaml", weights(HOST, {"v1": 100, "v2": 0}))
        daemon.start()
        lab.dubbo_client(f"{VIP}:20880", connections=4, count=2000, outstanding=16).result()
        idle = daemon.in_use()
        load = lab.dubbo_client(f"{VIP}:20880", connections=4, outstanding=8, seconds=8)
        load.wait_line("calling")
        for turn in range(20):
            share = 5 * (turn + 1)
            daemon.write("weights.yaml", weights(HOST, {"v1": 100 - share, "v2": share}))
            time.sleep(0.3)
        report = load.result()
        print(f"{report['answered']} answered by {report['by_server']}, failed {report['errors']}", flush=True)
        equal(report["failed"], 0, "failed calls")
        equal((report["crossed"], report["strays"]), (0, 0), "replies of others")
        within(10, lambda: set(lab.dubbo_client(f"{VIP}:20880", count=20).result()["by_server"]) == {"v2/s2"}, "the last weights are in force")
        after = lab.dubbo_client(f"{VIP}:20880", count=500).result()
        equal(after["by_server"], {"v2/s2": 500}, "servers at 0/100")
        check(report["by_server"].get("v1/s1", 0) > 500, "the first weights never held")
        daemon.memory_returns(idle)


main(body)
