# SPDX-License-Identifier: Apache-2.0
"""
What the attack tests share: Meltemi between a client and servers in namespaces, an established service with a fixed load,
an attacker beside the client, and the row of figures that each case prints.

The established service is offered a rate that takes a small part of a core. A case asserts how many of the calls that were
sent are answered within a time-out of half a minute, never how fast the machine is. A case's attack lasts a few seconds, longer
with MELTEMI_LONG.
"""

import contextlib
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "smoke"))

from meltemi_lab import BUILD, Failure, Lab, check, dubbo, netns, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

LONG = bool(os.environ.get("MELTEMI_LONG"))
SECONDS = 20 if LONG else 3
VIP, PORT, OTHER = "240.240.3.1", 20880, "240.240.3.2"
SOURCES = "10.66.0.0"  # addresses that no kernel owns; Meltemi's route to them goes by the client, who drops what comes
RATE, SERVED = 500, 0.98
FEWEST = 100  # calls that an attack of some seconds must leave the established service, on any machine
TIMEOUT = "30s"
BLAST, FLOOD = BUILD / "bench/blast/meltemi-blast", BUILD / "tests/attack/flood"
COLUMNS = ("case", "offered", "served", "refused or dropped, by reason", "data buffers, most in use", "goodput", "recovered")


class Peak:
    """The most data buffers in use, looked at ten times a second, from here until the first look at it."""

    def __init__(self, daemon):
        self.daemon, self.most, self.size, self.over = daemon, 0, 0, threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.over.is_set():
            try:
                pools = [pool for pool in self.daemon.show("memory")["pools"] if pool["name"].startswith("data")]
            except Failure:
                return  # the lab is over
            self.size = sum(pool["size"] for pool in pools)
            self.most = max(self.most, sum(pool["in_use"] for pool in pools))
            self.over.wait(0.1)

    def used(self):
        self.over.set()
        self.thread.join()
        return self.most

    def __str__(self):
        used = self.used()
        return f"{used} of {self.size} ({100 * used / max(1, self.size):.1f} %)"


def row(*fields):
    print(" | ".join(str(field) for field in fields), flush=True)


class Figures:
    """Counters and memory around one case."""

    def __init__(self, daemon):
        self.daemon, self.before = daemon, daemon.counters()

    def moved(self, *names):
        now = self.daemon.counters()
        return {name: now[name] - self.before[name] for name in names}

    def words(self, *names):
        return ", ".join(f"{name.split('_', 1)[1]} {n}" for name, n in self.moved(*names).items() if n) or "-"


class Attack(Lab):
    """with Attack() as lab: the daemon runs, and VIP answers calls."""

    def __init__(self, servers=1, documents=None, delay=None, proto="dubbo", **settings):
        super().__init__(servers=servers)
        self.more, self.delay, self.proto, self.settings = documents or {}, delay, proto, settings

    def __enter__(self):
        super().__enter__()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def _begin(self):
        for number in range(1, self.servers + 1):
            self.serve(number)
        daemon = self.meltemi(**self.settings)
        node = daemon.node.read_text()
        daemon.node.write_text(node.replace("  sources:", f"  routes: [{{to: {SOURCES}/16, via: 192.0.2.2}}]\n  sources:"))
        daemon.write("service.yaml", service("attacked.test", VIP, PORT, f"tcp-metaprotocol-{self.proto}",
                                             [(self.server(n), PORT, {}) for n in range(1, self.servers + 1)]))
        for name, text in self.more.items():
            daemon.write(name, text)
        daemon.start()
        check(self.calls(seconds=1).result()["answered"] > 0, "no call is answered before any attack")
        self.idle = daemon.in_use()
        row(*COLUMNS)

    def serve(self, number, *options):
        extra = ["--delay", self.delay] if self.delay else []
        self.run(f"server{number}", f"blast-server{number}", [BLAST, "--server", "-p", self.proto, *extra, *options, PORT])
        within(10, lambda: self._listens(number), f"server {number} listens")

    def _listens(self, number):
        try:
            self.connect("client", self.server(number), PORT, timeout=1).close()
            return True
        except OSError:
            return False

    def calls(self, seconds=SECONDS, rate=RATE, connections=8, target=f"{VIP}:{PORT}", **options):
        """The established service's load; result() is the report."""
        words = [w for key, value in options.items() for w in (f"--{key.replace('_', '-')}", str(value))]
        load = self.run("client", f"calls{time.monotonic_ns()}",
                        [*self.blast(connections, seconds), "-r", rate, "-w", "200ms", "--timeout", TIMEOUT, *words, target])
        load.wait_line('"measuring"')
        return load

    def blast(self, connections, seconds):
        return [BLAST, "-p", self.proto, "-c", connections, "-d", f"{seconds}s", "--json"]

    def flood(self, kind, rate, seconds=None, connections=1, port=PORT, vip=VIP):
        argv = [FLOOD, kind, "c0", self.station(), SOURCES, vip, port, rate, seconds or max(2, SECONDS - 1), 7, connections]
        flood = self.run("client", f"flood-{kind}-{time.monotonic_ns()}", argv)
        flood.wait_line("flooding")
        return flood

    def station(self):
        """Ethernet address of Meltemi's port on the client's side."""
        out = netns.run("ip", "-n", self.namespace("mesh"), "-br", "link", "show", "p0")
        return out.split()[2]

    def one_call(self, vip=VIP, port=PORT, timeout=30):
        """A new connection, one call, its answer by a server: status 20, no error of Meltemi's."""
        with contextlib.closing(self.connect("client", vip, port, timeout=timeout)) as sock:
            sock.sendall(dubbo.request(5, "sayHello", ["x"]))
            reply = sock.recv(4096)
            return len(reply) > 16 and reply[3] == 20

    def recovery(self, seconds=10):
        """How long until a new connection's call is answered and every packet buffer is back."""
        began = time.monotonic()
        within(seconds, self.one_call, "a call after the attack")
        self.daemon.memory_returns(self.idle, seconds)
        return time.monotonic() - began


def share(report):
    """Of the calls that were sent, how many were answered; 0 if hardly any was sent."""
    return report["answered"] / report["sent"] if report["sent"] >= FEWEST else 0


def goodput(report):
    return f"{100 * share(report):.1f} % of {report['sent']}"


def meanwhile(action, seconds):
    """Repeats action() from a thread until the time is over; a function that waits and gives (tries, successes)."""
    counts, end = [0, 0], time.monotonic() + seconds

    def body():
        while time.monotonic() < end:
            counts[0] += 1
            try:
                counts[1] += bool(action())
            except OSError:
                pass
            time.sleep(0.05)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()

    def result():
        thread.join(seconds + 30)
        return counts

    return result
