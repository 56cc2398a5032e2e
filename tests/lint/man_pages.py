#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that each page of docs/man becomes a manual page that groff renders without a warning and with all sections."""

import pathlib
import re
import shutil
import subprocess
import sys

MAN = pathlib.Path(__file__).resolve().parents[2] / "docs/man"

if not shutil.which("lowdown") or not shutil.which("groff"):
    print("SKIPPED: lowdown or groff is not installed: the manual pages are not checked")
    sys.exit(77)
bad = 0
for page in sorted(MAN.glob("*.md")):
    troff = subprocess.run([sys.executable, MAN / "troff.py", page, "0"], capture_output=True, text=True, check=True).stdout
    shown = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou"], input=troff, capture_output=True, text=True, check=False)
    for section in re.findall(r"^# (.*)", page.read_text(), re.M):
        if not re.search(f"^{re.escape(section)}$", shown.stdout, re.M):
            print(f"{page.name}: no section {section} in what man shows")
            bad += 1
    if shown.returncode or shown.stderr:
        print(f"{page.name}: {shown.stderr}")
        bad += 1
sys.exit(bad > 0)
