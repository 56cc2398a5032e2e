#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The drain of role node, which its restarts and role upgrade use, on a node whose clients keep their connections: Thrift clients, which are
not notified and go on calling, have left when it ends. A client that stays stops the play, and the node serves as before. A node that cannot be
returned stops the play with the reason, as does a daemon that runs and does not answer.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import PATIENCE, ROOT, Lab, Skip, check, equal, main, streams, within  # noqa: E402
from meltemi_lab.daemon import SHELL  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

THRIFT, OPAQUE = ("hello.example", "240.240.1.2", 9090), ("bytes.example", "240.240.1.3", 7000)
CLIENTS = 4


def play(daemon, tasks="drain.yml", environment=None, **settings):
    """Runs the tasks. Returns exit status and output."""
    path = daemon.directory / "play.json"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [
        {"ansible.builtin.include_role": {"name": "node", "tasks_from": tasks}}]}]))
    settings = {"ansible_python_interpreter": "/usr/bin/python3", "meltemi_shell": str(SHELL),
                "meltemi_socket": str(daemon.directory / "admin.sock")} | settings
    done = subprocess.run(["ansible-playbook", "-i", "inventory.local.yml", "-e", json.dumps(settings), path], cwd=ROOT / "ansible",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_CONFIG": "ansible.cfg", "ANSIBLE_ROLES_PATH": "roles", "ANSIBLE_NOCOLOR": "1",
                               **(environment or {})})
    return done.returncode, done.stdout


def clients(daemon):
    return json.loads(daemon.shell("--json", "show", "connections", "where", "side=client"))["connections"]


def load(lab, daemon, again):
    thrift = lab.thrift_client(f"{THRIFT[1]}:{THRIFT[2]}", connections=CLIENTS, count=1 << 30, pause_ms=20, again=again, timeout_ms=30000)
    thrift.wait_line("calling")
    within(PATIENCE, lambda: len(clients(daemon)) == CLIENTS, "Thrift clients")
    return thrift


class Balancer:
    """Lets new connections in as long as /ready answers 200, as a load balancer in front of the node does."""

    def __init__(self, lab):
        self.namespace = lab.namespace("client")
        self.rule = ["OUTPUT", "-p", "tcp", "--syn", "-d", THRIFT[1], "-j", "REJECT", "--reject-with", "tcp-reset"]

    def iptables(self, how):
        subprocess.run(["ip", "netns", "exec", self.namespace, "iptables", how, *self.rule], check=True)


def stays(lab, daemon):
    """A client with an opaque connection."""
    opaque = lab.connect("client", *OPAQUE[1:])
    opaque.sendall(b"here")
    status, text = play(daemon, meltemi_balancer_seconds=0, meltemi_drain_seconds=3)
    check(status == 2 and "Clients are still connected after 3 s" in text, f"a client that stays: exit status {status}: {text[-3000:]}")
    equal(daemon.http("/ready"), (200, "ready\n"), "/ready after a play that has stopped")
    equal(len(clients(daemon)), 1, "clients after it")
    status, text = play(daemon, meltemi_balancer_seconds=0, meltemi_drain_seconds=1, meltemi_drain_force=True)
    equal(status, 0, f"with meltemi_drain_force: {text[-3000:]}")
    equal(daemon.http("/ready")[0], 503, "/ready after it")
    daemon.shell("return")
    daemon.shell("ready", "on")
    opaque.close()
    within(PATIENCE, lambda: not clients(daemon), "the client leaves")


def leave(lab, daemon):
    balancer, thrift = Balancer(lab), load(lab, daemon, again=0)
    balancer.iptables("-A")
    status, text = play(daemon, meltemi_balancer_seconds=0, meltemi_drain_seconds=60)
    equal(status, 0, f"Thrift clients that keep their connections: {text[-3000:]}")
    equal(clients(daemon), [], "clients")
    equal(daemon.http("/ready")[0], 503, "/ready")
    thrift.kill(signal.SIGTERM)
    balancer.iptables("-D")


def cannot_return(daemon):
    """The shell fails at `return`, and the node still becomes ready as far as `ready off` goes."""
    shell = daemon.directory / "shell.sh"
    shell.write_text(f'#!/bin/sh\n[ "$3" != return ] || {{ echo "no role" >&2; exit 1; }}\nexec {SHELL} "$@"\n')
    shell.chmod(0o755)
    daemon.shell("ready", "off")
    status, text = play(daemon, "undrain.yml", meltemi_shell=str(shell))
    check(status == 2 and "was not made ready again: no role" in text, f"`return` fails: exit status {status}: {text[-3000:]}")
    equal(daemon.http("/ready")[0], 200, "/ready after it")
    status, text = play(daemon, "undrain.yml")
    equal(status, 0, f"`return` without a drain: {text[-3000:]}")


def does_not_answer(daemon):
    """The daemon does not answer: the role takes it for stopped only if its unit is not active."""
    systemctl = daemon.directory / "bin/systemctl"
    systemctl.parent.mkdir()
    for state, wanted in (("active", 2), ("reloading", 2), ("activating", 0), ("inactive", 0)):
        systemctl.write_text(f"#!/bin/sh\necho ActiveState={state}\n")
        systemctl.chmod(0o755)
        status, text = play(daemon, "running.yml", {"PATH": f"{systemctl.parent}:{os.environ['PATH']}"}, meltemi_service="systemd",
                            meltemi_socket="/nowhere/admin.sock")
        equal(status, wanted, f"a unit that is {state}, and no answer: {text[-3000:]}")
        equal("does not answer at /nowhere/admin.sock" in text, wanted == 2, f"the reason, of a unit that is {state}: {text[-3000:]}")
    systemctl.write_text("#!/bin/sh\necho ActiveState=active\n")
    status, text = play(daemon, "running.yml", {"PATH": f"{systemctl.parent}:{os.environ['PATH']}"}, meltemi_service="systemd")
    equal(status, 0, f"a daemon that answers: {text[-3000:]}")


def body():
    if not shutil.which("ansible-playbook"):
        raise Skip("ansible-playbook is missing (apt-get install ansible)")
    with Lab(servers=2) as lab, lab.listening("server1", OPAQUE[2], streams.echo):
        lab.thrift_server(2, "v1").wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("hello.yaml", service(*THRIFT, "tcp-metaprotocol-thrift", [(lab.server(2), 9090, {})]))
        daemon.write("bytes.yaml", service(*OPAQUE, "tcp", [(lab.server(1), OPAQUE[2], {})]))
        daemon.start()
        within(PATIENCE, daemon.ready, "ready")
        stays(lab, daemon)
        cannot_return(daemon)
        does_not_answer(daemon)
        leave(lab, daemon)


main(body)
