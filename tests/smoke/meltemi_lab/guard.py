# SPDX-License-Identifier: Apache-2.0
"""Outlives the owner of a lab, however that ended, and removes what it left: python3 -m meltemi_lab.guard DIRECTORY."""

import os
import pathlib
import signal
import sys
import time

from . import record


def main(directory):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.read(0, 1)  # ends when the owner does
    time.sleep(0.1)
    if directory.exists():
        record.remove(directory)


main(pathlib.Path(sys.argv[1]))
