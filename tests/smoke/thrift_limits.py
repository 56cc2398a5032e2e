#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The talks' rate-limit document: of calls made at once, 2 sayHello and 5 others are answered, the rest refused natively
without closing the connection; after 10 s exactly 2 more sayHello. With 1 and 2 workers, with 1 and 4 clients.
"""

import time

from meltemi_lab import TESTS, Lab, check, equal, main

TARGET = "240.240.0.20:9090"
INTERNAL_ERROR = "application-6"


def calls(lab, method, clients, admitted):
    report = lab.thrift_client(TARGET, method=method, connections=clients, count=10).result()
    print(f"    {method}: {report['answered']} of {10 * clients} answered, errors {report['errors']}", flush=True)
    equal(report["answered"], admitted, f"{method} answered")
    equal(report["errors"], {INTERNAL_ERROR: 10 * clients - admitted}, f"{method} refused")
    equal(report["reopened"], 0, "connections closed by a refusal")
    check(report["seconds"] < 5.0, f"the calls took {report['seconds']} s: no longer the same interval of 10 s")


def limits(workers, clients):
    print(f"{workers} worker(s), {clients} client(s)", flush=True)
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.thrift_server(number, f"v{number}").wait_line("ready")
        lab.meltemi(TESTS / "documents/talks", workers=workers).start()
        calls(lab, "sayHello", clients, 2)
        began = time.monotonic()
        calls(lab, "sayGoodbye", clients, 5)
        time.sleep(max(0, began + 10.3 - time.monotonic()))
        calls(lab, "sayHello", clients, 2)
        calls(lab, "sayGoodbye", clients, 0)


def body():
    limits(workers=1, clients=1)
    limits(workers=2, clients=4)


main(body)
