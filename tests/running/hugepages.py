# SPDX-License-Identifier: Apache-2.0
"""A run with hugepages, or without, whatever the machine has: labs take them from MELTEMI_HUGEPAGES."""

import contextlib
import os
import pathlib

POOL = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
A_LAB = 2 * 640  # MB, at most: two daemons, or two workers


@contextlib.contextmanager
def as_wanted(want, beside):
    """want: on, off or None (what the machine has, where there are enough); beside: labs at once."""
    if want is None:
        yield
        return
    os.environ["MELTEMI_HUGEPAGES"] = "auto" if want == "on" else "off"
    before = POOL.read_text()
    try:
        if want == "on":
            POOL.write_text(str(max(int(before), beside * A_LAB // 2)))
            have = int(POOL.read_text())
            if have < A_LAB // 2:
                raise SystemExit(f"this machine gave {2 * have} MB of hugepages, fewer than a lab may want")
            print(f"{2 * have} MB of hugepages", flush=True)
        yield
    finally:
        if POOL.read_text() != before:
            POOL.write_text(before)
