#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Documents that are wrong change nothing: the last good ones go on, and show config names file, line and reason."""

import re
import time

from meltemi_lab import TESTS, Lab, check, equal, main


def refused(daemon):
    """What an alert is made of."""
    return re.search(r"^meltemi_configuration_refused (\d)$", daemon.http("/metrics")[1], re.M).group(1)


def still_told(daemon):
    """Something else that comes into force meanwhile does not make them good."""
    service = daemon.show("services")["services"][0]["service"]
    daemon.shell("tune", "fault", service, "delay=1ms")
    config = daemon.show("config")
    check(not config["last_reload_ok"], f"show config calls a refused document taken: {config}")
    check("error" in daemon.shell("show", "config"), "show config forgets what is wrong with the document")
    check("refused" in daemon.shell("show", "health", fail=False), "show health forgets the refused document")
    daemon.shell("tune", "drop", "all")


def one_line(daemon, known, number):
    """A mistake is one line of the log, an error with file, line and field; no line calls the reload a success."""
    lines = [line for line in daemon.process.errors()[known:].splitlines() if "module=config" in line]
    equal(len(lines), 1, f"lines of one mistake: {lines}")
    check(f"dubbo-traffic-splitting.yaml:{number}: error: spec." in lines[0], f"the line is {lines[0]}")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        daemon.leaves("errors", "it is given a bad document", "module=config")
        document = daemon.services / "dubbo-traffic-splitting.yaml"
        good = document.read_text()
        known = len(daemon.process.errors())
        for wrong, line in ((good.replace("weight: 80", "weight: many"), 19), (good.replace("subset: v2", "subset: [v9]"), 18),
                            (good + "  surprise: true\n", 20)):
            daemon.write(document.name, wrong)
            time.sleep(0.7)
            text = daemon.shell("show", "config")
            check(f"dubbo-traffic-splitting.yaml:{line}" in text, f"show config does not name line {line}:\n{text}")
            one_line(daemon, known, line)
            known = len(daemon.process.errors())
            report = lab.dubbo_client("240.240.0.10:20880", count=500, outstanding=4).result()
            equal((report["answered"], report["failed"]), (500, 0), "calls on the last good configuration")
            status, text = daemon.check()
            equal(status, 1, f"exit status of --check ({text})")
        still_told(daemon)
        equal(refused(daemon), "1", "meltemi_configuration_refused")
        daemon.write(document.name, good)
        time.sleep(0.7)
        equal(daemon.check()[0], 0, "exit status of --check on good documents")
        check("dubbo-traffic-splitting.yaml:" not in daemon.shell("show", "config"), "show config still names the mended document")
        equal(refused(daemon), "0", "meltemi_configuration_refused once it is mended")
        check(daemon.show("config")["last_reload_ok"], "show config does not say that the mended document is in use")


main(body)
