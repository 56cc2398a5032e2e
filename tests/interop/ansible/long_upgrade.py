#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Playbook upgrade.yml, with two nodes behind the router of docs/how-to/two-nodes.md whose clients keep their connections: Thrift clients, which
nobody notifies, and a Dubbo client that obeys READONLY. They go to the other node when theirs is drained, and no call fails.

The playbook runs five times, or --rolls N times. It installs nothing, and restarts the daemons by commands: long_ansible.py has packages.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import PATIENCE, ROOT, Lab, Skip, check, equal, main, netns, two_nodes, within  # noqa: E402
from meltemi_lab.daemon import MELTEMID, SHELL  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402
from meltemi_lab.obeys import Obeys  # noqa: E402

DUBBO, THRIFT = ("calls.example", "240.240.1.1", 20880), ("hello.example", "240.240.1.2", 9090)
INTERFACE = "org.apache.dubbo.samples.basic.api.DemoService"
CLIENTS = 4
ORDER = "touch {0} && while [ -e {0} ]; do sleep 0.1; done"  # obeyed by supervise()


def node(lab, number):
    documents = {"calls.yaml": service(*DUBBO, "tcp-metaprotocol-dubbo", [(lab.server(1), DUBBO[2], {})]),
                 "hello.yaml": service(*THRIFT, "tcp-metaprotocol-thrift", [(lab.server(2), THRIFT[2], {})])}
    return two_nodes.node(lab, number, documents, f"{two_nodes.way_back(number)}  drain: {{time: 6s}}\n")


def inventory(lab, nodes):
    settings = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3", "meltemi_package": "none", "meltemi_service": "none",
                "meltemi_daemon": str(MELTEMID), "meltemi_shell": str(SHELL), "meltemi_balancer_seconds": 1,
                "upgrade_install_command": "true", "upgrade_rollback_command": "true"}
    hosts = {f"edge-{number}": {
        "meltemi_directory": str(daemon.directory), "meltemi_socket": str(daemon.directory / "admin.sock"),
        "meltemi_ready_url": f"http://10.9.{number}.2:15000/ready",
        "meltemi_stop_command": ORDER.format(daemon.directory / "stop"), "meltemi_start_command": ORDER.format(daemon.directory / "start")}
        for number, daemon in enumerate(nodes, 1)}
    path = lab.directory / "inventory.json"
    path.write_text(json.dumps({"all": {"vars": settings, "hosts": hosts}}))
    return path


def supervise(nodes):
    """Stops and starts the daemons as the playbook's commands want it."""
    for daemon in nodes:
        if (daemon.directory / "stop").exists():
            equal(daemon.stop(), 0, "exit status")
            (daemon.directory / "stop").unlink()
        if (daemon.directory / "start").exists():
            daemon.start()
            (daemon.directory / "start").unlink()


def upgraded(lab, nodes, hosts):
    """Runs the playbook at the router, which reaches both nodes."""
    before, began = [daemon.process.pid for daemon in nodes], time.monotonic()
    play = lab.run("client", "play", ["ansible-playbook", "-i", hosts, ROOT / "ansible/upgrade.yml"], env={
        **os.environ, "LC_ALL": "C.UTF-8", "HOME": str(lab.directory), "ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg"),
        "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1"})
    while play.running():
        check(time.monotonic() - began < 600, f"the playbook does not end: {play.output()[-3000:]}")
        supervise(nodes)
        time.sleep(0.05)
    equal(play.popen.returncode, 0, f"exit status of ansible-playbook ({play.output()[-3000:]})")
    check(all(daemon.process.pid != pid for daemon, pid in zip(nodes, before)), "a daemon was not restarted")
    return time.monotonic() - began


def thrift_clients(lab):
    argv = ["--target", f"{THRIFT[1]}:{THRIFT[2]}", "--connections", CLIENTS, "--count", 1 << 30, "--pause-ms", 20, "--again", 1, "--timeout-ms", 30000]
    thrift = lab.python("caller", "thrift-load", "interop/thrift/client.py", *argv)
    thrift.wait_line("calling")
    return thrift


def ended(obeys, thrift, rolls):
    obeys.over.set()
    obeys.join(60)
    thrift.kill(signal.SIGTERM)
    report = thrift.result()
    print(f"{rolls} upgrades of two nodes; Dubbo: {obeys.calls} calls, {obeys.notified} times notified, {obeys.again} made again; "
          f"Thrift: {report['answered']} calls, {report['reopened']} connections again", flush=True)
    equal(obeys.failed, [], "Dubbo calls that failed")
    equal((report["failed"], report["errors"], report["crossed"]), (0, {}, 0), f"Thrift calls that failed: {report['error_samples']}")
    check(obeys.notified >= 2 * rolls, "the Dubbo client was not notified by each drain")
    check(report["reopened"] >= 2 * rolls * CLIENTS, "the Thrift clients did not leave at each drain")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rolls", type=int, default=5)
    parser.add_argument("-v", action="store_true")
    return parser.parse_args()


def body():
    rolls = arguments().rolls
    if not shutil.which("ansible-playbook"):
        raise Skip("ansible-playbook is missing (apt-get install ansible)")
    with Lab(servers=2) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        lab.thrift_server(2, "v1").wait_line("ready")
        two_nodes.callers(lab)
        nodes = [node(lab, 1), node(lab, 2)]
        two_nodes.follow(lab, "keep-flows")
        within(PATIENCE, lambda: netns.run("ip", "-n", lab.namespace("client"), "route", "show", two_nodes.RANGE), "the route of new flows")
        obeys, thrift, hosts = Obeys(lab, "caller", *DUBBO[1:], INTERFACE), thrift_clients(lab), inventory(lab, nodes)
        obeys.start()
        within(PATIENCE, lambda: obeys.calls > 50, "calls are answered")
        for number in range(rolls):
            print(f"roll {number + 1}: {upgraded(lab, nodes, hosts):.0f} s", flush=True)
        ended(obeys, thrift, rolls)


main(body)
