# SPDX-License-Identifier: Apache-2.0
"""A collector in the namespace of a daemon: receiver.py, what it got, and what the daemon counts."""

import json
import pathlib
import subprocess

from meltemi_lab import check, netns

HERE = pathlib.Path(__file__).resolve().parent
PORTS = {"als": 9000, "otel": 9001, "spans": 9002, "spans-http": 9003, "zipkin": 9004}


class Receiver:
    def __init__(self, daemon, python, kind):
        self.daemon, self.python, self.kind = daemon, python, kind
        self.records, self.mode = daemon.directory / f"{kind}.jsonl", daemon.directory / f"{kind}.mode"
        self.records.touch()
        self.server = None
        self.answers("ok")

    def answers(self, mode):
        self.mode.write_text(mode)

    def start(self):
        with netns.inside(self.daemon.namespace):
            self.server = subprocess.Popen([self.python, HERE / "receiver.py", self.kind, str(PORTS[self.kind]), self.records, self.mode],
                                           stdout=subprocess.PIPE, text=True)
        check(self.server.stdout.readline().startswith("ready"), "the receiver does not start")

    def stop(self):
        if self.server:
            self.server.kill()
            self.server.wait(30)

    def messages(self):
        # The last line may be under way.
        rows = [json.loads(line) for line in self.records.read_text().splitlines(keepends=True) if line.endswith("\n")]
        check(all(row["all_known"] for row in rows), "fields that the original does not know")
        return [row["message"] for row in rows]


def sink(daemon, provider):
    return next(row for row in daemon.show("telemetry")["sinks"] if row["sink"] == f"provider {provider}")


def settled(row):
    return row["wanted"] == row["written"] + row["lost"]
