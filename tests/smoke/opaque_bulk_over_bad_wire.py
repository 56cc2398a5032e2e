#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opaque TCP: 32 MB each way through a wire that loses, duplicates, reorders and corrupts, every byte in order."""

import time

from meltemi_lab import Lab, check, main, streams
from meltemi_lab.documents import service

VIP, SIZE = "240.240.2.1", 32 << 20


def body():
    hurt = {"seed": 7, "loss": 100, "dup": 30, "reorder": 50, "corrupt": 20, "delay_us": 500}
    with Lab(servers=1, impair=hurt) as lab, lab.listening("server1", 7000, streams.echo):
        daemon = lab.meltemi()
        daemon.write("echo.yaml", service("echo.test", VIP, 7000, "tcp-echo", [(lab.server(1), 7000, {})]))
        daemon.start()
        began = time.monotonic()
        same = streams.exchange(lab.connect("client", VIP, 7000, timeout=120), 7, SIZE)
        seconds = time.monotonic() - began
        counts = lab.hurt()
        print(f"{SIZE >> 20} MB each way in {seconds:.1f} s over {counts}", flush=True)
        check(same, "the bytes that came back differ")
        for kind in ("lost", "duplicated", "reordered", "corrupted"):
            check(counts[kind] > 20, f"the wire hardly hurt: {counts}")


main(body)
