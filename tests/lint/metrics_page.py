#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that docs/reference/metrics.md is the program's output, and that the Prometheus rules are valid and name existing metrics."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAEMON = pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build-debug")) / "app/meltemid/meltemid"
PAGE = ROOT / "docs/reference/metrics.md"
MISSING = []  # missing tools, without which a check is left out
RULES = ROOT / "docs/how-to/prometheus"


def page():
    if not DAEMON.is_file():
        yield f"{DAEMON} is not built: the page cannot be compared"
        return
    said = subprocess.run([DAEMON, "--metrics"], capture_output=True, text=True, check=True).stdout
    if said != PAGE.read_text():
        yield f"{PAGE.relative_to(ROOT)} is not what the program says: meltemid --metrics > {PAGE.relative_to(ROOT)}"


def described():
    """Every metric has all cells of its table's head, and a meaning that is more than a word."""
    head = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if "meaning" in cells:
            head = cells
        if not re.match(r"\| `\w+` \|", line):
            continue
        if len(cells) != len(head) or len(dict(zip(head, cells))["meaning"].split()) < 2:
            yield f"{PAGE.name}: {cells[0]} has no meaning"


def names():
    known = set(re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.M))
    used = {re.sub(r"_(bucket|sum|count)$", "", name)
            for path in sorted(RULES.iterdir()) for name in re.findall(r"\b(?<!:)(?:meltemi|istio)_\w+", path.read_text())}
    for name in sorted(used - known):
        if not any(name in k for k in known) and name not in ("meltemi_requests", "meltemi_limited", "meltemi_failures", "meltemi_duration_seconds"):
            yield f"{RULES.relative_to(ROOT)}: no metric is called {name}"


def rules():
    if not shutil.which("promtool"):
        MISSING.append("promtool (Debian: prometheus)")
        return
    for words in (["check", "rules", RULES / "rules.yml"], ["test", "rules", RULES / "rules_test.yml"]):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            yield f"promtool {' '.join(map(str, words))}: {done.stdout}{done.stderr}"


found = [line for check in (page, described, names, rules) for line in check()]
print("\n".join(found) if found else "clean")
if MISSING and not found:
    print(f"SKIPPED: not installed: {', '.join(MISSING)}")
    sys.exit(77)
sys.exit(bool(found))
