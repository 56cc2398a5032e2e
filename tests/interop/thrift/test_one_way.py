#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
One-way calls of Apache's Thrift libraries for Python and C++: the ordinary calls behind them get their own answers, each was executed
once, also a lone one whose client leaves, and other clients' calls are answered.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import Lab, Skip, check, equal, main, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402
from meltemi_lab.paths import INTEROP, PYTHON  # noqa: E402

VIP, PORT = "240.240.3.2", 9090
LANGUAGES = {"py": [PYTHON, HERE / "client.py"], "cpp": [INTEROP / "thrift" / "client"]}
DIALECTS = ("framed", "unframed", "header")
NOTES, CALLS, LONE = (1, 20, 300), 5, 3


def build():
    done = subprocess.run([HERE / "build.sh", "cpp"], text=True, capture_output=True, timeout=300, check=False)
    if done.returncode:
        raise Skip(f"no Thrift clients: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


class Notes:
    """The library's servers, one for each transport, and Meltemi in front of them."""

    def __init__(self, lab):
        self.lab, self.serial = lab, 0
        self.ports = {transport: PORT + number for number, transport in enumerate(DIALECTS)}
        for transport, port in self.ports.items():
            server = lab.python("server1", f"server-{transport}", "interop/thrift/server.py", "--port", port, "--transport", transport)
            server.wait_line("ready")
        self.daemon = lab.meltemi()
        for transport, port in self.ports.items():
            self.daemon.write(f"{transport}.yaml", service(f"{transport}.test", VIP, port, "tcp-metaprotocol-thrift",
                                                           [(lab.server(1), port, {})]))
        self.daemon.start()

    def client(self, argv, transport, host=VIP, **options):
        self.serial += 1
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        return self.lab.run("client", f"caller{self.serial}", [*argv, "--target", f"{host}:{self.ports[transport]}", "--transport", transport,
                                                               *words]).result(60)

    def taken(self, transport):
        """How many one-way calls the server has executed: asked past Meltemi."""
        return self.client(LANGUAGES["py"], transport, self.lab.server(1), scenario="taken")["taken"]

    def notes(self, language, transport, notes, calls):
        before, what = self.taken(transport), f"{language}, {transport}: {calls} calls behind {notes} one-way ones"
        found = self.client(LANGUAGES[language], transport, scenario="notes", notes=notes, calls=calls)
        equal(found, {"answered": calls, "wrong": [], "failed": []}, what)
        within(5, lambda: self.taken(transport) == before + notes, f"the one-way calls are executed: {what}")

    def others(self, transport):
        found = self.client(LANGUAGES["py"], transport, connections=4, count=25)
        equal((found["answered"], found["errors"], found["crossed"]), (100, {}, 0), f"{transport}: calls of others")


def body():
    build()
    with Lab(servers=1) as lab:
        lab_notes = Notes(lab)
        for language in LANGUAGES:
            for transport in DIALECTS:
                for notes in NOTES:
                    lab_notes.notes(language, transport, notes, CALLS)
                for _ in range(LONE):
                    lab_notes.notes(language, transport, 1, 0)
                lab_notes.others(transport)
        check(lab_notes.daemon.ready(), "not ready")


main(body)
