# SPDX-License-Identifier: Apache-2.0
"""
The documents of tests/documents/calls, right or with one mistake of mistakes.tsv, and the calls of their clients. A mistake is a
replaced text. In the place of the text, <file> stands for the name of the file, which becomes another one or an empty file, and <cut> for
a file that ends before the new text.
"""

import base64
import collections
import pathlib
import shutil
import subprocess

from .authority import Authority
from .paths import BUILD, TESTS

HERE = TESTS / "documents/calls"
MELTEMID = BUILD / "app/meltemid/meltemid"
Mistake = collections.namedtuple("Mistake", "name file old new calls words")


def _text(field):
    return field.replace("\\n", "\n").replace("\\t", "\t")


def read():
    """All mistakes of the table."""
    lines = (HERE / "mistakes.tsv").read_text().splitlines()
    return [Mistake(*map(_text, (line.split("\t") + ["", ""])[:6])) for line in lines if not line.startswith("#")]


class Documents:
    """Documents in `directory`, which also has the certificates that they name."""

    def __init__(self, directory, name="calls"):
        self.directory = pathlib.Path(directory)
        self.services, self.state = self.directory / "services", self.directory / "state"
        self.node, self.socket = self.directory / "node.yaml", self.directory / "admin.sock"
        self.tls = self.directory / "tls"
        ca = Authority(self.tls / "authority")
        chain, key = ca.sign("edge", "DNS:secure.shop.example,DNS:bank.example")
        _, other = ca.sign("other", "DNS:other.example")
        for path, copy in ((ca.roots, "roots.pem"), (chain, "bank.pem"), (key, "bank.key"), (Authority(self.tls / "others").roots, "other.pem")):
            shutil.copyfile(path, self.tls / copy)
        self.words = {"tls": self.tls, "services": self.services, "state": self.state, "socket": self.socket, "name": name,
                      **{word: base64.b64encode(path.read_bytes()).decode() for word, path in (("crt", chain), ("key", key), ("otherkey", other))}}

    def _filled(self, text):
        for word, value in self.words.items():
            text = text.replace(f"@{word}@", str(value))
        return text

    def write(self, mistake=None):
        """Writes all of them, with the mistake if there is one."""
        shutil.rmtree(self.services, ignore_errors=True)
        self.services.mkdir()
        for path in [HERE / "node.yaml", *sorted((HERE / "services").iterdir())]:
            target, text = (self.node if path.name == "node.yaml" else self.services / path.name), path.read_text()
            if mistake and path.name == mistake.file:
                target, text = self._mistaken(target, text, mistake)
            target.write_text(self._filled(text))

    @staticmethod
    def _mistaken(target, text, mistake):
        if mistake.old == "<file>":
            return (target.with_name(mistake.new), text) if mistake.new else (target, "")
        if mistake.old == "<cut>":
            return target, text[:text.index(mistake.new)]
        if mistake.old not in text:
            raise ValueError(f"{mistake.name}: {mistake.file} does not have the text")
        return target, text.replace(mistake.old, mistake.new, 1)

    def check(self, *more):
        """meltemid --check of them: exit status and output."""
        done = subprocess.run([MELTEMID, "-c", self.node, "--check", *more], text=True, capture_output=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr
