# SPDX-License-Identifier: Apache-2.0
"""Clients of Java libraries that obey orders, and documents of their labs."""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import ROOT, Skip, check, equal, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

VIP = "240.240.9.1"


def build(peer):
    """Without a registry to download from: a failure in CI, a skip elsewhere (tests/run says which)."""
    done = subprocess.run([HERE / "build.sh", peer], text=True, capture_output=True, timeout=900, check=False)
    if done.returncode:
        raise Skip(f"no peers of {peer}: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")


class Client:
    """A client of the library `peer`, which answers orders in turn."""

    def __init__(self, lab, peer, name):
        self.process = lab.run("client", name, [HERE / "peer.sh", peer, "Client"], stdin=subprocess.PIPE)
        self.answers = 0

    def ready(self):
        self.process.wait_line('"ready"')
        return self

    def order(self, *words):
        self.process.popen.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.popen.stdin.flush()

    def answer(self):
        """The next answer, or the error with its text."""
        def lines():
            return [json.loads(line) for line in self.process.output().split("\n")[:-1] if line.startswith(('{"answer"', '{"error"'))]

        within(30, lambda: len(lines()) > self.answers or not self.process.running(), f"an answer of {self.process.name}", step=0.01)
        check(self.process.running(), f"{self.process.name} has ended: {self.process.tail()}")
        line = lines()[self.answers]
        self.answers += 1
        return line.get("answer", line.get("error"))

    def ask(self, *words):
        self.order(*words)
        return self.answer()


def server(lab, peer, number):
    return lab.run(f"server{number}", f"{peer}{number}", [HERE / "peer.sh", peer, "Server", f"s{number}"])


def codecs(daemon):
    """The daemon reads the shipped files, as if they were installed."""
    daemon.node.write_text(f"{daemon.node.read_text()}  codecs: [{ROOT / 'codecs'}]\n")


def rule(host, *routes):
    """A VirtualService; each route is its fields and the number of a server, or None for all."""
    lines = ""
    for fields, number in routes:
        subset = f", subset: s{number}" if number else ""
        lines += f"  - {{{fields}, route: [{{destination: {{host: {host}{subset}}}}}]}}\n"
    return f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {host.replace('.', '-')}}}\nspec:\n  hosts: [{host}]\n  http:\n{lines}"


def connections(lab, number, port):
    """That a server's kernel has now."""
    argv = ["ip", "netns", "exec", lab.namespace(f"server{number}"), "ss", "-Htn", "state", "established", f"sport = :{port}"]
    return len(subprocess.run(argv, text=True, capture_output=True, check=True).stdout.splitlines())


__all__ = ["VIP", "Client", "build", "check", "codecs", "connections", "equal", "rule", "server", "service", "within"]
