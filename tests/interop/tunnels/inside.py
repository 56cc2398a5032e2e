# SPDX-License-Identifier: Apache-2.0
"""
The first program of the guest. Each of its two servers is a network namespace with two interfaces: s0 on the servers' network, and `back`,
a link to the client. Commands come from the second serial line, as JSON, a line each; so do their answers.
"""

import json
import os
import subprocess
import sys
import traceback
import tty

sys.path.insert(0, "/lab")
from meltemi_lab import direct, netns  # noqa: E402

MAC = "52:54:00:00:0{}:0{}"  # of the server, and of its interface


class Inside:
    """What direct.Server needs of a lab."""

    def __init__(self):
        self.sockets = []

    @staticmethod
    def inside(role):
        return netns.inside(role)


def interfaces():
    """{address: name}"""
    return {row["address"]: row["ifname"] for row in json.loads(netns.run("ip", "-j", "link"))}


def namespace(number):
    name = f"server{number}"
    netns.add(name)
    names = interfaces()
    for last, device in ((1, "s0"), (2, "back")):
        netns.run("ip", "link", "set", names[MAC.format(number, last)], "name", device, "netns", name)
        netns.run("ip", "-n", name, "link", "set", device, "up")


def serve(lab, number, vips):
    for vip in vips:
        direct.Server(lab, number, vip)


def answer(lab, order):
    """(exit status, output) of an order: a command of the shell in a server's namespace, or addresses to serve at."""
    number = order["server"]
    if "serve" in order:
        serve(lab, number, order["serve"])
        return 0, ""
    done = subprocess.run(["ip", "netns", "exec", f"server{number}", "sh", "-ec", order["run"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def main():
    lab = Inside()
    for number in (1, 2):
        namespace(number)
    line = os.open("/dev/ttyS1", os.O_RDWR)
    tty.setraw(line)
    with os.fdopen(line, "r+b", buffering=0) as line:
        line.write(b"ready " + os.uname().release.encode() + b"\n")
        while order := line.readline():
            try:
                status, output = answer(lab, json.loads(order))
            except Exception:  # the answer has it
                status, output = -1, traceback.format_exc()
            line.write(json.dumps({"status": status, "output": output}).encode() + b"\n")


main()
