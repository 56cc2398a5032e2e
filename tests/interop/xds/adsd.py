# SPDX-License-Identifier: Apache-2.0
"""The discovery server adsd: built, started, told what to serve and what to do wrong, and asked what it saw."""

import contextlib
import http.client
import json
import pathlib
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import Skip, netns, within  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402
from meltemi_lab.paths import INTEROP  # noqa: E402
from meltemi_lab.process import Process  # noqa: E402

PROGRAM = INTEROP / "xds" / "adsd"


def build():
    """Builds the program if it has changed; the first time takes a minute."""
    done = subprocess.run([HERE / "build.sh"], text=True, capture_output=True, timeout=580, check=False)
    if done.returncode:
        raise Skip(f"no discovery server: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")


def certificates(directory):
    """NAME.pem and NAME.key of every identity that the tests need; they are of today only."""
    subprocess.run([PROGRAM, "certs", directory], check=True, timeout=30)
    return directory


class Adsd:
    """
    One server with its planes "ads" and, if an address is given for it, "rds". directory: for its output; namespace: where
    it runs and where its control port is asked, None: here.
    """

    def __init__(self, directory, namespace=None, name="adsd", **options):
        argv = [PROGRAM]
        for key, value in options.items():
            argv += [f"--{key.replace('_', '-')}"] + ([] if value is True else [value])
        self.namespace = namespace
        self.process = Process(directory, name, argv, namespace, stdin=subprocess.PIPE)
        ready = json.loads(self.process.wait_line('"ready"', 20))
        self.ads, self.rds, self.control = ready["ads"], ready.get("rds"), ready["control"]

    def stop(self):
        self.process.stop()

    def ask(self, method, path, body=None):
        host, port = self.control.rsplit(":", 1)
        with netns.inside(self.namespace) if self.namespace else contextlib.nullcontext():
            sock = socket.create_connection((host, int(port)), timeout=30)
        connection = http.client.HTTPConnection(host)
        sock.settimeout(120)
        connection.sock = sock
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise Failure(f"adsd {path}: {text.strip()}")
        return json.loads(text)

    def apply(self, *resources, plane="ads", **more):
        """Sets resources (see mesh.py); remove=[("cds", name)], clear=True, version="7", ttl_ms, unreadable=[names], huge=bytes."""
        remove = [{"type": kind, "name": name} for kind, name in more.pop("remove", [])]
        return self.ask("POST", "/apply", {"plane": plane, "set": resources, "remove": remove, **more})["version"]

    def faults(self, plane="ads", **faults):
        """What it does wrong from now on; nothing, without arguments."""
        self.ask("POST", "/faults", {"plane": plane, "faults": faults})

    def drop(self, how, plane="ads"):
        """Ends all "streams", or resets all "connections"; how many."""
        return self.ask("POST", "/drop", {"plane": plane, "how": how})

    def report(self, plane="ads"):
        return self.ask("GET", "/report")[plane]

    def seen(self, kind, plane="ads"):
        return self.report(plane)["types"][kind]

    def acked(self, kind, version, seconds=10, plane="ads"):
        """Waits until the client has accepted the version."""
        def there():
            return self.seen(kind, plane)["acked"] == version

        try:
            within(seconds, there, f"ACK of {kind} {version}", step=0.05)
        except Failure:
            raise Failure(f"no ACK of {kind} {version} within {seconds} s: {self.seen(kind, plane)}") from None

    def refused(self, kind, *texts, seconds=10, plane="ads"):
        """Waits for a NACK that holds the texts; returns it."""
        def there():
            found = [t for t in self.seen(kind, plane)["texts"] if all(text in t for text in texts)]
            return found and found[-1]

        try:
            return within(seconds, there, f"NACK of {kind} with {texts}", step=0.05)
        except Failure:
            raise Failure(f"no NACK of {kind} with {texts} within {seconds} s: {self.seen(kind, plane)}") from None
