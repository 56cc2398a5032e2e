# SPDX-License-Identifier: Apache-2.0
"""The daemon under test: its Node document, its documents' directory, readiness, and the shell beside it."""

import gzip
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

from . import netns
from .check import PATIENCE, Failure, check, within
from .paths import BUILD, SANITIZED
from .process import Process

MELTEMID = BUILD / "app" / "meltemid" / "meltemid"
SHELL = BUILD / "app" / "meltemi" / "meltemi"

HUGEPAGES = os.environ.get("MELTEMI_HUGEPAGES", "auto")

NODE = """\
apiVersion: meltemi.io/v1
kind: Node
metadata: {{name: {name}, labels: {{zone: lab}}}}
spec:
  workers: {workers}
  idle: {idle}
  memory: {{hugepages: {hugepages}, mb: {mb}}}
  ports:
{ports}
  sources: [{{directory: {services}}}]
  stateDirectory: {directory}/state
  admin: {{socket: {directory}/admin.sock, http: 127.0.0.1:15000}}
"""


class Replaced(type(pathlib.Path())):
    """A file that is replaced by a rename, as operators should: a daemon that looks just then would meet a part of it, and log an error."""

    def write_text(self, data, *options, **more):
        scratch = pathlib.Path(self.parent, f".{self.name}.new")
        written = scratch.write_text(data, *options, **more)
        if self.exists():
            shutil.copymode(self, scratch)
            os.chown(scratch, self.stat().st_uid, self.stat().st_gid)
        os.rename(scratch, self)
        return written


class Daemon:
    """
    One meltemid in a namespace of the lab. ports: lines of the Node document's port list; resolv_conf: a file in its place; name:
    of one beside others, which has a directory of its own then.
    """

    def __init__(self, lab, namespace, ports, workers=1, idle="adaptive", mb=512, hugepages=HUGEPAGES, resolv_conf=None, name=None):
        self.resolv_conf = resolv_conf
        self.lab, self.namespace = lab, namespace
        self.name = f"meltemid-{name}" if name else "meltemid"
        self.directory = lab.directory / name if name else lab.directory
        self.directory.mkdir(exist_ok=True)
        self.services = self.directory / "services"
        self.services.mkdir(exist_ok=True)
        self.node = Replaced(self.directory / "node.yaml")
        self.process, self.earlier = None, []  # the last one started, and those before it
        self.prefix, self.options = [], []  # of its command: unit.prefix(), and more options
        self.at_start, self.left_behind = {}, {}
        listing = "\n".join(f"  - {{{port}}}" for port in ports)
        self.node.write_text(NODE.format(name=f"{name}-{lab.id}" if name else lab.id, workers=workers, idle=idle, mb=mb, hugepages=hugepages,
                                         ports=listing, services=self.services, directory=self.directory))

    def admin(self, **settings):
        """More settings of spec.admin; before the start."""
        more = "".join(f", {name}: {json.dumps(value if isinstance(value, dict) else str(value))}"
                       for name, value in settings.items())
        self.node.write_text(self.node.read_text().replace("http: 127.0.0.1:15000", f"http: 127.0.0.1:15000{more}"))

    def may_name(self, *directories):
        """The Node lets documents name files there, and nowhere else."""
        lines = [line for line in self.node.read_text().splitlines() if not line.startswith("  tlsFiles:")]
        if directories:
            listed = ", ".join(f"{{directory: {directory}}}" for directory in directories)
            lines.insert(lines.index("spec:") + 1, f"  tlsFiles: [{listed}]")
        self.node.write_text("\n".join(lines) + "\n")

    def documents(self, *paths):
        """Copies documents into the watched directory, unmodified."""
        for path in paths:
            path = pathlib.Path(path)
            for file in sorted(path.glob("*.yaml")) if path.is_dir() else [path]:
                self._put(file.name, file.read_bytes())

    def write(self, name, text):
        """Puts a document in place the way editors and operators should: by an atomic rename."""
        self._put(name, text.encode())

    def _put(self, name, data):
        scratch = self.directory / f".{name}.new"
        scratch.write_bytes(data)
        os.rename(scratch, self.services / name)

    def launch(self):
        """Starts the process, and waits for nothing. Returns its pid."""
        if not MELTEMID.exists():
            raise Failure(f"{MELTEMID} is not built: meson setup build && ninja -C build")
        argv = [*self.prefix, MELTEMID, "-c", self.node, *self.options]
        if self.resolv_conf:
            argv = ["sh", "-c", f'mount --bind {self.resolv_conf} /etc/resolv.conf && exec "$@"', "sh", *argv]
        if self.process:
            self.earlier.append(self.process)
        self.process = Process(self.lab.directory, self.name, argv, self.namespace,
                               env={**os.environ, **SANITIZED})
        self.lab.processes.append(self.process)
        return self.process.popen.pid

    def start(self, seconds=60):
        """Until it serves what it can; whether that is all that it should is another question: ready()."""
        self.launch()
        return self.comes_up(seconds)

    def comes_up(self, seconds=60):
        """After launch()."""
        end = time.monotonic() + seconds
        while not self.up():
            if not self.process.running():
                raise Failure(f"meltemid ended with {self.process.popen.returncode}: {self.process.tail()}")
            if time.monotonic() > end:
                raise Failure(f"meltemid was not up within {seconds} s: {self.process.tail()}")
            time.sleep(0.05)
        self.at_start = self.in_use()
        return self

    def leaves(self, what, why, text=None):
        """
        What the end of the lab does not ask of this daemon: "memory", "exit", or "errors" with the text of a line of the log. The
        reason is for who reads the test.
        """
        check(what in ("memory", "exit", "errors") and why, f"{what} is nothing that a daemon may leave")
        self.left_behind.setdefault(what, []).append(text)

    def wait_log(self, text, seconds=20):
        """Waits for a line of the log that holds the text."""
        within(seconds, lambda: text in self.process.errors(), f'"{text}" in the log', step=0.1)

    def http(self, path, method="GET", **headers):
        """GET, or another method, on the admin address, from inside the daemon's namespace: (status, body), which is unpacked when it is gzip."""
        with netns.inside(self.namespace):
            sock = socket.create_connection(("127.0.0.1", 15000), timeout=PATIENCE)
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = sock
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            body = answer.read()
            if answer.getheader("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            return answer.status, body.decode()
        finally:
            connection.close()

    def ready(self):
        try:
            return self.http("/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def up(self):
        try:
            status, text = self.http("/ready")
        except (OSError, http.client.HTTPException):
            return False
        return status == 200 or text.startswith("not ready")

    def shell(self, *words, fail=True):
        """One command of the operator's shell; its text."""
        done = subprocess.run([SHELL, "-s", self.directory / "admin.sock", *words], text=True, capture_output=True,
                              timeout=30, check=False)
        if fail and done.returncode:
            raise Failure(f"meltemi {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def show(self, what):
        return json.loads(self.shell("--json", "show", what))

    def counters(self):
        return self.show("counters")

    def in_use(self):
        """Objects in use of each pool, by name."""
        return {pool["name"]: pool["in_use"] for pool in self.show("memory")["pools"]}

    def held_back(self, idle):
        """Bytes that the data pools hold more than when idle."""
        return sum((pool["in_use"] - idle.get(pool["name"], 0)) * pool["object_bytes"]
                   for pool in self.show("memory")["pools"] if pool["name"].startswith("data"))

    def memory_returns(self, idle, seconds=10):
        """Waits until no packet buffer is in use that was not when idle."""
        def leaked():
            now = self.in_use()
            return {name: now[name] - idle.get(name, 0) for name in now
                    if name.startswith(("data", "control")) and now[name] > idle.get(name, 0)}

        try:
            within(seconds, lambda: not leaked(), "packet buffers come back", step=0.2)
        except Failure as failure:
            raise Failure(f"{failure}; still in use: {leaked()}") from None

    def check(self, *more):
        """meltemid --check on the same documents: (exit status, what it printed)."""
        done = subprocess.run([MELTEMID, "-c", self.node, "--check", *more], text=True, capture_output=True, timeout=30,
                              check=False)
        return done.returncode, done.stdout + done.stderr

    def stop(self, seconds=40):
        """SIGTERM: drains and ends. Returns the exit status."""
        return self.process.stop(seconds)
