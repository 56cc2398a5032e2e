#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Apache's Thrift library for Go sends one-way methods as type CALL, and servers answer none of them: the ordinary calls behind
them are answered, and so are other clients', also when who sent one-way calls has left.
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import ROOT, TESTS, Lab, Skip, check, equal, main  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

VIP, PORT = "240.240.3.2", 9090
CALLER = ROOT / "build/interop/thrift/gocaller"


def build():
    done = subprocess.run([TESTS / "interop/thrift/build.sh", "go"], text=True, capture_output=True, timeout=350, check=False)
    if done.returncode:
        raise Skip(f"no Go client: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")


def go(lab, notes, calls):
    return lab.run("client", f"go{notes}-{calls}", [CALLER, "-target", f"{VIP}:{PORT}", "-notes", notes, "-calls", calls]).result(30)


def body():
    build()
    with Lab(servers=1) as lab:
        lab.thrift_server(1, "v1").wait_line("ready")
        daemon = lab.meltemi()
        daemon.write("notes.yaml", service("notes.test", VIP, PORT, "tcp-metaprotocol-thrift", [(lab.server(1), PORT, {})]))
        daemon.start()
        direct = lab.run("client", "direct", [CALLER, "-target", f"{lab.server(1)}:{PORT}"]).result(30)
        equal(direct, {"answered": 5, "wrong": [], "failed": []}, "the same past Meltemi")
        for notes in (1, 20):
            found = go(lab, notes, 5)
            equal(found, {"answered": 5, "wrong": [], "failed": []}, f"calls behind {notes} one-way calls")
        equal(go(lab, 300, 0)["failed"], [], "one-way calls and nothing more")
        found = lab.thrift_client(f"{VIP}:{PORT}", connections=4, count=25).result()
        equal((found["answered"], found["errors"], found["crossed"]), (100, {}, 0), "calls of others when that client has left")
        check(daemon.ready(), "not ready")


main(body)
