#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A client that keeps 8 KB calls queued for a server that reads 2 MB/s; the small calls of others to it are all answered. How long they
wait is printed.
"""

import threading
import time

from others import Others, main, report, unharmed


def keep_full(lab, over):
    greedy = lab.caller()
    greedy.sock.settimeout(0.2)
    while not over.is_set():
        try:
            greedy.calls(*[(0, 0, 8000)] * 64)
        except OSError:
            return
        while len(greedy.open) > 512 and not over.is_set():
            try:
                greedy._take(greedy.sock.recv(1 << 16))
            except TimeoutError:
                continue


def body():
    with Others(serving={"rate": 2_000_000}) as lab:
        over = threading.Event()
        thread = threading.Thread(target=keep_full, args=(lab, over), daemon=True)
        thread.start()
        time.sleep(1)
        unharmed(report(lab.others(connections=2, gap_ms="10-20", seconds=6)), 2)
        over.set()
        thread.join()


main(body)
