#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""with_commands.py PAGE MELTEMID: the page, with what MELTEMID --commands says at its mark."""

import pathlib
import subprocess
import sys

MARK = "<!-- commands of the daemon -->\n"

page = pathlib.Path(sys.argv[1]).read_text()
if page.count(MARK) != 1:
    sys.exit(f"{sys.argv[1]}: no line {MARK.strip()}")
sys.stdout.write(page.replace(MARK, subprocess.run([sys.argv[2], "--commands"], capture_output=True, text=True, check=True).stdout))
