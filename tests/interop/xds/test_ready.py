#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
When a node with a discovery server is ready: not before the server has told everything once, however slow it is, or dead, unless
what was kept of it is in force; without what the server took away meanwhile; or when an operator says so, which is remembered.
"""

import json
import pathlib
import shutil
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

OTHER, OTHER_VIP, FILE_VIP = "other.example", "240.240.1.9", "240.240.3.1"


def told(w, host=HOST, vip=VIP):
    return mesh.service(host, vip, PORT, "dubbo", [w.endpoint(1)])


def waits(w):
    def both():
        """What the shell and HTTP have, unless it changed between the two."""
        ready, status = w.daemon.show("ready"), w.daemon.http("/ready")[0]
        return w.daemon.show("ready")["ready"] == ready["ready"] and (ready, status)

    ready, status = within(10, both, "an answer that does not change meanwhile")
    equal(status, 200 if ready["ready"] else 503, f"status of /ready beside {ready}")
    return [(row["what"], row["name"], row["why"]) for row in ready["waits_for"]]


def waits_for(w, what, name, *texts, seconds=10):
    def there():
        found = waits(w)
        return len(found) == 1 and found[0][:2] == (what, name) and all(text in found[0][2] for text in texts) and found

    try:
        return within(seconds, there, "what is waited for")
    except Exception:
        raise AssertionError(f"not waiting for {what} {name} {texts}, but: {waits(w)}") from None


def listed(w):
    path = w.lab.directory / "state/served.json"
    return json.loads(path.read_text()) if path.exists() else {"hosts": [], "without": []}


def hosts(w):
    return {h["host"] for h in listed(w)["hosts"]}


def forget(w):
    """A machine that has never run."""
    equal(w.daemon.stop(), 0, "exit status")
    shutil.rmtree(w.lab.directory / "state")


class Early:
    """Looks at /ready all the time: it must not say 200 while the block runs."""

    def __init__(self, daemon):
        self.daemon, self.over, self.seen, self.looks = daemon, threading.Event(), [], 0
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while not self.over.wait(0.02):
            self.looks += 1
            if self.daemon.ready():
                self.seen.append(time.monotonic())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        check(self.looks >= 10 and not self.seen, f"ready {len(self.seen)} times of {self.looks}, and should not be")


def dead_without_state(w):
    """Documents are served; the node is not ready until the server has told what it has."""
    w.meltemi(files=True)
    w.daemon.write("file.yaml", service("file.example", FILE_VIP, PORT, "tcp-metaprotocol-dubbo", [(*w.endpoint(2), {})]))
    w.daemon.start()
    with Early(w.daemon):
        waits_for(w, "source", "mesh", "Connection refused")
        w.serves(["v2/s2"], target=f"{FILE_VIP}:{PORT}")
        time.sleep(1)
        equal(hosts(w), set(), "the list of a node that was never ready")
    server = w.server()
    server.apply(*told(w))
    within(40, w.daemon.ready, "ready")
    w.serves(["v1/s1"])
    within(5, lambda: hosts(w) == {"file.example", HOST}, "the list")
    return server


def slow(w, server):
    """It answers late, and some of it later still."""
    forget(w)
    server.faults(hold=True)
    w.daemon.start()
    with Early(w.daemon):
        waits_for(w, "source", "mesh", "waiting for answers", seconds=20)
        time.sleep(2)
    server.faults()
    within(40, w.daemon.ready, "ready")
    w.serves(["v1/s1"])
    forget(w)
    # What its answers name comes later: an answer is not everything.
    server.faults(delay_ms=3000)
    w.daemon.start()
    with Early(w.daemon):
        time.sleep(3.7)
    within(40, w.daemon.ready, "ready")
    w.serves(["v1/s1"], seconds=1)
    server.faults()


def dead_with_state(w, server):
    """What was kept is in force: the node is ready at once."""
    server.apply(*told(w, OTHER, OTHER_VIP))
    within(10, lambda: hosts(w) == {"file.example", HOST, OTHER}, "the list follows")
    equal(w.daemon.stop(), 0, "exit status")
    server.stop()
    w.daemon.start()
    within(2, w.daemon.ready, "ready")
    w.serves(["v1/s1"], seconds=1)
    equal(hosts(w), {"file.example", HOST, OTHER}, "the list")


def lost_state(w):
    """
    The list is there, what was kept is not: the source and its hosts are waited for. The server comes back without one of them,
    told whole, so that one has left; for the other one the node waited.
    """
    equal(w.daemon.stop(), 0, "exit status")
    (w.lab.directory / "state/xds-mesh.bin").unlink()
    w.daemon.start()
    with Early(w.daemon):
        within(10, lambda: sorted(x[:2] for x in waits(w)) == [("host", HOST), ("host", OTHER), ("source", "mesh")],
               "the source and its hosts are waited for")
        check("has not sent it yet" in w.daemon.http("/ready")[1], "why")
        time.sleep(1)
    server = w.server()
    server.apply(*told(w))
    within(40, w.daemon.ready, "ready")
    within(5, lambda: hosts(w) == {"file.example", HOST}, "what was taken away is off the list")
    return server


def accepted(w, server):
    """Accepted without its server: ready, at the next start as well; once it has delivered, it is waited for again."""
    equal(w.daemon.stop(), 0, "exit status")
    server.stop()
    (w.lab.directory / "state/xds-mesh.bin").unlink()
    w.daemon.start()
    check(not w.daemon.ready(), "ready without being told")
    w.daemon.shell("accept")
    equal(waits(w), [], "what is waited for")
    equal((hosts(w), listed(w)["without"]), ({"file.example"}, ["mesh"]), "what is remembered")
    equal(w.daemon.stop(), 0, "exit status")
    w.daemon.start()
    within(2, w.daemon.ready, "accepted once is accepted")
    server = w.server()
    server.apply(*told(w))
    within(60, lambda: hosts(w) == {"file.example", HOST} and not listed(w)["without"], "the server has delivered")
    check(w.daemon.ready(), "ready for good")
    forget(w)
    server.stop()
    w.daemon.start()
    waits_for(w, "source", "mesh")


def body():
    with world() as w:
        w.peers(thrift=0)
        server = dead_without_state(w)
        slow(w, server)
        dead_with_state(w, server)
        server = lost_state(w)
        accepted(w, server)
        equal(w.daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    main(body)
