#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Nodes of one name on one machine come and go at any moment of each other's start and stop: each starts, and ends with 0, and the
last one leaves no directory. A process that holds a lock on the program, or on the mount of hugetlbfs, as every local user may, delays
no start and no stop.
"""

import fcntl
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import threading
import time

from meltemi_lab import Skip, check, equal, main
from meltemi_lab.check import PATIENCE, within
from meltemi_lab.daemon import MELTEMID

NODES, ROUNDS, MB = 4, 16, 64
FREE_PAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
NODE = """\
apiVersion: meltemi.io/v1
kind: Node
metadata: {{name: {name}}}
spec:
  workers: 1
  memory: {{hugepages: {hugepages}, mb: {mb}}}
  ports:
  - {{name: p0, device: net_null{number}, addresses: [192.0.2.1/24]}}
  sources: [{{directory: {directory}/services}}]
  stateDirectory: {directory}/state{number}
  admin: {{socket: {directory}/admin{number}.sock}}
"""


def document(directory, number, hugepages="off"):
    node = f"{directory}/node{number}.yaml"
    with open(node, "w", encoding="utf-8") as file:
        file.write(NODE.format(name=f"twins{os.getpid()}", number=number, directory=directory, hugepages=hugepages, mb=MB))
    return node


def starts_and_ends(directory, hugepages, what):
    with open(f"{directory}/log", "w+", encoding="utf-8") as log, \
            subprocess.Popen([MELTEMID, "-c", document(directory, 0, hugepages)], stdout=log, stderr=log) as process:
        try:
            within(PATIENCE, lambda: "serving 0 services" in pathlib.Path(log.name).read_text(encoding="utf-8"),
                   f"the daemon starts while another process holds a lock on {what}")
            process.send_signal(signal.SIGTERM)
            equal(process.wait(PATIENCE), 0, f"exit status while another process holds a lock on {what}")
        finally:
            process.kill()


def despite_a_lock(directory):
    with open(MELTEMID, "rb") as program:
        fcntl.flock(program, fcntl.LOCK_EX | fcntl.LOCK_NB)
        starts_and_ends(directory, "off", "its program")


def mounts_of_hugepages():
    lines = pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    return [line.split()[1] for line in lines if line.split()[2] == "hugetlbfs"]


def despite_a_lock_on_hugepages(directory):
    """A lock on the mount of hugetlbfs, which every local user may open. Without free hugepages this is not tried."""
    if 2 * int(FREE_PAGES.read_text(encoding="utf-8")) < MB + 32:
        print("no free hugepages: not tried with a lock on hugetlbfs", flush=True)
        return
    os.mkdir(f"{directory}/huge")
    subprocess.run(["mount", "-t", "hugetlbfs", "none", f"{directory}/huge"], check=True)
    held = [os.open(path, os.O_RDONLY) for path in mounts_of_hugepages()]
    try:
        for fd in held:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        starts_and_ends(directory, "on", "hugetlbfs")
    finally:
        for fd in held:
            os.close(fd)
        subprocess.run(["umount", f"{directory}/huge"], check=True)


def rounds(directory, number, found):
    node, rand = document(directory, number), random.Random(number)
    for _ in range(ROUNDS):
        with subprocess.Popen([MELTEMID, "-c", node], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            said = ""
            for line in process.stderr:
                said += line
                if "serving 0 services" in line:
                    time.sleep(rand.uniform(0, 0.1))
                    process.send_signal(signal.SIGTERM)
        found.append((process.returncode, said))


def body():
    if os.geteuid():
        raise Skip("needs root")
    found = []
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(f"{directory}/services")
        despite_a_lock(directory)
        despite_a_lock_on_hugepages(directory)
        threads = [threading.Thread(target=rounds, args=(directory, number, found)) for number in range(1, NODES + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    bad = [said.strip().splitlines()[-1] for status, said in found if status]
    equal(len(found), NODES * ROUNDS, "starts")
    check(not bad, f"{len(bad)} of {len(found)} starts failed: {bad[:2]}")
    left = [str(path) for path in pathlib.Path("/var/run/dpdk").glob(f"*twins{os.getpid()}")]
    equal(left, [], "directories left")
    print(f"{len(found)} starts", flush=True)


main(body)
