#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The recipes page: a running daemon with all its documents answers each quoted `meltemi explain` with the lines that the page shows ("..."
stands for any text), and --check --strict passes them together. pages.py loads each set by itself.

  tests/documents/recipes.py [--show]

--show prints the whole answers.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

import pages

sys.path.insert(0, str(pages.ROOT / "tests/smoke"))
from meltemi_lab import authority  # noqa: E402

PAGE = pages.ROOT / "docs/how-to/recipes.md"
CLIENT = pages.DAEMON.parent.parent / "meltemi/meltemi"
ASKED = re.compile(r"^    (meltemi explain protocol=(?!PROTOCOL).*?)\n\n```\n(.*?)^```$", re.M | re.S)
SMALL = "  connections: 1024\n  memory: {hugepages: off, mb: 64}\n"
SECONDS = 30


def prepare(place):
    """Writes the page's Node, with a device and files of this place, and its documents. Returns the Node's file."""
    pages.certificate(place / "tls")
    ca = authority.Authority(place / "authority")
    chain, key = ca.sign("node", "URI:spiffe://cluster.local/ns/bank/sa/edge")
    (place / "identity").mkdir()
    for name, path in (("cert-chain.pem", chain), ("key.pem", key), ("root-cert.pem", ca.roots)):
        (place / "identity" / name).write_bytes(path.read_bytes())
        (place / "identity" / name).chmod(0o600)
    (place / "services").mkdir()
    (place / "state").mkdir()
    for number, match in enumerate(pages.BLOCK.finditer(PAGE.read_text())):
        text = match.group(3).replace("/etc/meltemi", str(place)).replace("/var/lib/meltemi", str(place / "state")).replace("/run/meltemi", str(place))
        if "kind: Node\n" in text:
            text = re.sub(r'device: "[^"]*"', "device: net_null0", text) + SMALL
            (place / "node.yaml").write_text(text)
        else:
            (place / f"services/{number}.yaml").write_text(text)
    return place / "node.yaml"


def answers(place, process, command):
    """What the daemon says; it is asked again until it listens."""
    words = [CLIENT, "-s", place / "admin.sock", *shlex.split(command)[1:]]
    end = time.monotonic() + SECONDS
    while True:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode == 0 or "result" in done.stdout:
            return done.stdout
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"{command}: {done.stdout}{done.stderr}\n{(place / 'log').read_text()}")
        time.sleep(0.1)


def missing(quoted, said):
    """The quoted lines that the answer does not have, in their order."""
    lines, at = said.splitlines(), 0
    for line in quoted.splitlines():
        pattern = re.compile(r"\s+".join(".*".join(map(re.escape, word.split("..."))) for word in line.split()))
        found = next((i for i in range(at, len(lines)) if pattern.search(lines[i])), None)
        if found is None:
            yield line
        else:
            at = found + 1


def main():
    show, asked, faults = "--show" in sys.argv, ASKED.findall(PAGE.read_text()), []
    with tempfile.TemporaryDirectory(prefix="recipes") as place:
        place = pathlib.Path(place)
        node = prepare(place)
        checked = subprocess.run([pages.DAEMON, "-c", node, "--check", "--strict"], capture_output=True, text=True, timeout=60, check=False)
        if checked.returncode:
            faults.append(f"--strict: {checked.stdout}{checked.stderr}")
        with open(place / "log", "wb") as log, subprocess.Popen([pages.DAEMON, "-c", node], stdout=log, stderr=log, cwd=place) as process:
            try:
                for command, quoted in asked:
                    said = answers(place, process, command)
                    if show:
                        print(f"$ {command}\n{said}")
                    faults += [f"{command}: no line {line!r} in:\n{said}" for line in missing(quoted, said.replace(f"{place}/services", "/etc/meltemi/services"))]
            finally:
                process.terminate()
    print("\n".join(faults) or f"{len(asked)} answers are those of the page")
    return 1 if faults or len(asked) < 7 else 0


if __name__ == "__main__":
    if os.environ.get("MELTEMI_SOCKET"):
        del os.environ["MELTEMI_SOCKET"]
    sys.exit(main())
