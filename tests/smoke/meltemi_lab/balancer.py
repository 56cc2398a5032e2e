# SPDX-License-Identifier: Apache-2.0
"""A load balancer with health checks, and the load behind it: nodes have a name, ready() and blast()."""

import threading
import time

from .check import within

LOT = ("-c", 8, "-d", "300ms", "-w", "0s")  # connections that a balancer gives to one node


class Balancer:
    """
    Queries each node's /ready every 50 ms, and gives lots of connections to those that answered 200 last, in turn. pause: seconds
    after each lot of each of the two threads.
    """

    def __init__(self, nodes, rate, pause=0):
        self.nodes, self.rate, self.pause = nodes, rate, pause
        self.over, self.lock = threading.Event(), threading.Lock()
        self.well = {node: False for node in nodes}
        self.busy = {node: 0 for node in nodes}
        self.lots = {node: 0 for node in nodes}
        self.sent = self.answered = self.unsent = self.nowhere = self.turn = 0
        self.bad = []
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self._look, self._load, self._load)]

    def _look(self):
        while not self.over.is_set():
            for node in self.nodes:
                self.well[node] = node.ready()
            self.over.wait(0.05)

    def _choose(self):
        with self.lock:
            self.turn += 1
            able = [node for node in self.nodes if self.well[node]]
            if not able:
                return None
            node = able[self.turn % len(able)]
            self.busy[node] += 1
            return node

    def _load(self):
        while not self.over.is_set():
            node = self._choose()
            if not node:
                self.nowhere += 1
                time.sleep(0.01)
                continue
            try:
                self._took(node, node.blast(*LOT, "--rate", self.rate // 2))
            except Exception as error:
                self.bad.append(f"{node.name}: {error}")
            finally:
                with self.lock:
                    self.busy[node] -= 1
            self.over.wait(self.pause)

    def _took(self, node, report):
        with self.lock:
            self.lots[node] += 1
            self.sent += report["sent"]
            self.answered += report["answered"]
            self.unsent += report["unsent"]
            if report["sent"] != report["answered"] or not report["sent"]:
                self.bad.append(f"{node.name}: {report}")

    def left(self, node):
        """The load has seen that the node is not ready, and has left it."""
        return not self.well[node] and not self.busy[node]

    def __enter__(self):
        for node in self.nodes:
            within(10, node.ready, f"{node.name} is ready")
            self.well[node] = True
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(30)
