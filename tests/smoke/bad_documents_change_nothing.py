#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Documents that are wrong change nothing: the last good ones go on, and show config names file, line and reason."""

import re

from meltemi_lab import TESTS, Lab, check, equal, main, within


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
    """A mistake is one line of the log, an error with file, line and field, beside those of mistakes that are gone; no line is of a success."""
    lines = [line for line in daemon.process.errors()[known:].splitlines() if "module=config" in line and 'msg="gone: ' not in line]
    equal(len(lines), 1, f"lines of one mistake: {lines}")
    check(f"dubbo-traffic-splitting.yaml:{number}: error: spec." in lines[0], f"the line is {lines[0]}")


def misnamed(daemon, document, good):
    """A file that is not read because of its name is one line of the log, however many reloads follow, and no mistake of the others."""
    def lines():
        return [line for line in daemon.process.errors()[known:].splitlines() if "copy.yaml.txt" in line]

    known = len(daemon.process.errors())
    daemon.write("copy.yaml.txt", good)
    for n in range(3):
        daemon.write(document.name, good + "\n" * n)
        daemon.shell("reload")
    equal((len(lines()), "level=warn" in lines()[0], "is not read" in lines()[0]), (1, True, True), f"lines: {lines()}")
    (daemon.services / "copy.yaml.txt").unlink()
    daemon.shell("reload")
    check("gone: " in lines()[-1], f"after its removal: {lines()}")


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
            within(5, lambda place=f"dubbo-traffic-splitting.yaml:{line}": place in daemon.shell("show", "config"), f"show config names line {line}")
            one_line(daemon, known, line)
            known = len(daemon.process.errors())
            report = lab.dubbo_client("240.240.0.10:20880", count=500, outstanding=4).result()
            equal((report["answered"], report["failed"]), (500, 0), "calls on the last good configuration")
            status, text = daemon.check()
            equal(status, 1, f"exit status of --check ({text})")
        still_told(daemon)
        equal(refused(daemon), "1", "meltemi_configuration_refused")
        daemon.write(document.name, good)
        within(5, lambda: "dubbo-traffic-splitting.yaml:" not in daemon.shell("show", "config"), "show config names the mended document no more")
        equal(daemon.check()[0], 0, "exit status of --check on good documents")
        equal(refused(daemon), "0", "meltemi_configuration_refused once it is mended")
        check(daemon.show("config")["last_reload_ok"], "show config does not say that the mended document is in use")
        misnamed(daemon, document, good)


main(body)
