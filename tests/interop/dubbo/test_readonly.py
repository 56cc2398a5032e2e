#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A Java provider that is stopped announces itself as read-only: from then on Meltemi sends it nothing new and lets it
finish what it has. With 2.7 and 3.x. Clients see no error but this: Dubbo 2.7 takes its services down some 30 ms before
it says that it is read-only, and answers calls of that moment itself with "Not found exported service"; it would go on
doing so for 3 s.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import Lab, check, equal, main, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

VIP = "240.240.1.1"
MOMENT = 10  # calls that the provider may answer so; 75 would come to it if its announcement were not heard


def leaves_in_order(version):
    with Lab(servers=2) as lab:
        providers = [lab.java(f"server{n}", f"provider{n}", version, "Provider", "--tag", f"v{n}", "--id", f"s{n}")
                     for n in (1, 2)]
        daemon = lab.meltemi()
        daemon.write("service.yaml", service("dubbo.interop", VIP, 20880, "tcp-metaprotocol-dubbo",
                                             [(lab.server(n), 20880, {}) for n in (1, 2)]))
        daemon.start()
        for provider in providers:
            provider.wait_line('"ready"', 30)
        load = lab.java("client", "load", version, "Consumer", "--target", f"{VIP}:20880", "--scenario", "readonly",
                        "--millis", 8000)
        load.wait_line("calling", 30)
        within(30, lambda: daemon.counters()["proxy_exchange_started"] > 30, "30 calls")
        providers[0].stop(20)
        report = load.result(60)
        print(f"{version}: {report['answered']} answered by {report['by_server']}, errors {report['errors']} "
              f"{report['error_samples']}", flush=True)
        unexported = report["errors"].get("unexported", 0)
        # On a busy machine the provider's process may end while one call is on its way to it.
        check(report["errors"].get("network", 0) <= 1, f"calls cut off: {report['errors']}")
        equal(report["failed"], unexported + report["errors"].get("network", 0), "calls that failed, and those that failed by the provider's own doing")
        check(unexported <= MOMENT, f"{unexported} calls went to a provider that takes none")
        check(daemon.counters()["proxy_up_event_drain"] > 0, "no announcement was heard")
        check(report["by_server"].get("v1/s1", 0) > 0, "the server that left had no call before")
        # As long as both serve they have equally many calls.
        check(report["by_server"].get("v2/s2", 0) > report["by_server"]["v1/s1"] + 5, "the other server did not take over")


def body():
    leaves_in_order("2.7.23")
    leaves_in_order("3.2.16")


main(body)
