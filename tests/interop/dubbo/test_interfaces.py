#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two interfaces of Java providers on one address and port: each call goes to its own interface's servers."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import Lab, equal, main  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

VIP, PACKAGE = "240.240.1.1", "org.apache.dubbo.samples.basic.api"


def body():
    with Lab(servers=2) as lab:
        providers = [lab.java(f"server{n}", f"provider{n}", version, "Provider", "--tag", f"v{n}", "--id", f"s{n}")
                     for n, version in ((1, "2.7.23"), (2, "3.2.16"))]
        daemon = lab.meltemi()
        for number, name in ((1, "demoservice"), (2, "greetservice")):
            daemon.write(f"{name}.yaml", service(f"{PACKAGE}.{name}", VIP, 20880, "tcp-metaprotocol-dubbo",
                                                 [(lab.server(number), 20880, {})]))
        daemon.start()
        for provider in providers:
            provider.wait_line('"ready"', 30)
        for version in ("2.7.23", "3.2.16"):
            for method, expected in (("sayHello", "v1/s1"), ("greet", "v2/s2")):
                report = lab.java("client", f"{method}-{version}", version, "Consumer", "--target", f"{VIP}:20880",
                                  "--scenario", "load", "--method", method, "--count", 500, "--concurrency", 4, "--timeout", 30000).result(60)
                print(f"client {version}, {method}: {report['by_server']} {report['errors']}", flush=True)
                equal(report["by_server"], {expected: 500}, f"servers of {method}")


main(body)
