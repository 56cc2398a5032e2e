#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Checks that docs/reference/metrics.md is the program's output, that the Prometheus rules are valid, tested and name existing metrics
and a run-book section, and that the dashboard's variables select in each of its queries.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import links

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


def alerts():
    """(name, rule) of each alert."""
    for rule in re.split(r"^  - alert: ", (RULES / "rules.yml").read_text(), flags=re.M)[1:]:
        yield rule.split("\n", 1)[0], rule


def section(page, anchor):
    """Text below the heading with that anchor, up to the next heading."""
    parts = re.split(r"^(#{1,6} .*)$", page.read_text(), flags=re.M)
    return "".join(text for head, text in zip(parts[1::2], parts[2::2]) if anchor in links.anchors_in(head))


def runbooks():
    """The annotation `runbook` of each alert names a section that is about the alert."""
    for name, rule in alerts():
        found = re.search(r"^      runbook: (\S+\.md)#(\S+)$", rule, re.M)
        if not found or not (ROOT / found[1]).is_file():
            yield f"rules.yml: alert {name} names no run-book section"
        elif f"`{name}`" not in section(ROOT / found[1], found[2]):
            yield f"rules.yml: {found[1]}#{found[2]} is not about {name}"


def tested():
    """The tests of each alert have a time at which it fires, and one at which it does not."""
    text = (RULES / "rules_test.yml").read_text()
    for name, _ in alerts():
        if not re.search(rf"^  - alertname: {name}\n    eval_time: \S+\n    exp_alerts:\n    - ", text, re.M):
            yield f"rules_test.yml: {name} fires nowhere"
        if f"  - {{alertname: {name}, eval_time: " not in text:
            yield f"rules_test.yml: no test that {name} does not fire"


def overlap(a, b):
    return all(a[at] < b[at] + b[size] and b[at] < a[at] + a[size] for at, size in (("x", "w"), ("y", "h")))


def dashboard():
    page = json.loads((RULES / "dashboard.json").read_text())
    variables, panels = {v["name"]: v for v in page["templating"]["list"]}, page["panels"]
    if not all(variables.get(name, {}).get(field) for name in ("instance", "service") for field in ("multi", "includeAll")):
        yield "dashboard.json: variables instance and service do not select several or all"
    if len({panel["id"] for panel in panels}) != len(panels):
        yield "dashboard.json: two panels have one id"
    for i, panel in enumerate(panels):
        for other in panels[:i]:
            if overlap(panel["gridPos"], other["gridPos"]):
                yield f"dashboard.json: {panel['title']} and {other['title']} overlap"
        for query in (target["expr"] for target in panel["targets"]):
            for name in set(re.findall(r"\$(\w+)", query)) - set(variables):
                yield f"dashboard.json: {panel['title']}: no variable {name}"
            if len(re.findall(r"\b(?:meltemi|istio)_\w+", query)) != query.count('instance=~"$instance"'):
                yield f"dashboard.json: {panel['title']}: the instance does not select in {query}"


found = [line for check in (page, described, names, rules, runbooks, tested, dashboard) for line in check()]
print("\n".join(found) if found else "clean")
if MISSING and not found:
    print(f"SKIPPED: not installed: {', '.join(MISSING)}")
    sys.exit(77)
sys.exit(bool(found))
