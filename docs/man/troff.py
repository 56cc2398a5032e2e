#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""troff.py PAGE.md VERSION: the page as man(1) wants it, by lowdown(1). What stands in front of it says title and section."""

import pathlib
import re
import subprocess
import sys

text = pathlib.Path(sys.argv[1]).read_text()
head, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", text, re.S).groups()
words = dict(line.split(": ", 1) for line in head.splitlines())
# The mark of the daemon's commands, where they are not filled in.
body = re.sub(r"<!--.*?-->\n", "", body)
page = subprocess.run(["lowdown", "-sTman", "--out-no-smarty", "-m", f"title={words['title']}", "-m", f"section={words['section']}", "-m",
                       f"source={words['header']} {sys.argv[2]}", "-m", "date="], input=body, capture_output=True, text=True, check=True).stdout
# A font that terminals have not.
sys.stdout.write(page.replace(r"\fC", r"\fB"))
