#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Checks the links of Markdown pages: each relative link leads to a file or directory of the project, and each #anchor to a heading, as
GitHub names it. Checks also that every page below docs/ that another file names exists, and that a reader reaches each of these
pages from docs/README.md in at most two clicks.
"""

import functools
import os
import pathlib
import re
import subprocess
import sys

import prose
from files import tracked

ROOT = pathlib.Path(__file__).resolve().parents[2]
INDEX, CLICKS = "docs/README.md", 2
LINK = re.compile(r"\]\(\s*<?([^()\s<>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^]]+\]:\s*(\S+)|<(?:a href|img src)=\"([^\"]+)\"", re.M)
ELSEWHERE = re.compile(r"[a-z][a-z\d+.-]*:|//")
HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t]*#*$", re.M)
SAMPLE = "# Of `a_b`, C++ & more: [x](y)\n## Twice\n## Twice\n```\n# code\n[a](nowhere)\n```\n`[a](nowhere)` [a](#twice-1) ![i](i.svg \"t\") [web](https://x/y#z)\n"


def slug(heading):
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", re.sub(r"<[^>]*>|[`*]", "", text).lower()).replace(" ", "-")


def anchors_in(text):
    found = set(re.findall(r"<[^>]* (?:id|name)=\"([^\"]+)\"", text))
    for heading in HEADING.findall(prose.FENCED.sub("", text)):
        name, n = slug(heading), 0
        while (f"{name}-{n}" if n else name) in found:
            n += 1
        found.add(f"{name}-{n}" if n else name)
    return found


@functools.lru_cache(None)
def anchors(path):
    return anchors_in(path.read_text())


def links_in(text):
    """(line, target) of each link outside of code."""
    plain = prose.QUOTED.sub("_", prose.FENCED.sub(lambda m: "\n" * m[0].count("\n"), text))
    for match in LINK.finditer(plain):
        target = match[1] or match[2] or match[3]
        if not ELSEWHERE.match(target):
            yield plain.count("\n", 0, match.start()) + 1, target


def missing(page, target, files):
    """The fault of a link, or None."""
    name, _, anchor = target.partition("#")
    path = pathlib.Path(os.path.normpath(page.parent / name)) if name else page
    known = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else None
    if known not in files:
        return "there is no such file in the project"
    if anchor and path.suffix == ".md" and anchor not in anchors(path):
        return f"{known} has no heading #{anchor}"
    return None


def bad_links(files):
    for name in sorted(name for name in files if name.endswith(".md")):
        for line, target in links_in((ROOT / name).read_text()):
            if why := missing(ROOT / name, target, files):
                yield f"{name}:{line}: ({target}): {why}"


def bad_names(files):
    """Pages below docs/ that a file names and that do not exist."""
    found = subprocess.run(["git", "-c", "safe.directory=*", "grep", "-InoE", r"[A-Za-z0-9_./-]*docs/[A-Za-z0-9_/-]+\.md\b"], cwd=ROOT, capture_output=True, text=True, check=False)
    for row in found.stdout.splitlines():
        name, line, path = row.split(":", 2)
        if path.startswith("docs/") and path not in files:
            yield f"{name}:{line}: there is no {path}"


def pages_linked(name):
    """Names of the Markdown pages that a page links."""
    for _, target in links_in((ROOT / name).read_text()):
        path = os.path.normpath(os.path.join(os.path.dirname(name), target.partition("#")[0]))
        if path.endswith(".md") and (ROOT / path).exists():
            yield path


def orphans(pages, linked):
    """Pages that take more than CLICKS from the index; linked(page) gives the pages that it links."""
    reached, last = {INDEX}, {INDEX}
    for _ in range(CLICKS):
        last = {target for page in last for target in linked(page)} - reached
        reached |= last
    for name in sorted(set(pages) - reached):
        yield f"{name}: neither {INDEX} nor a page that it links has a link to this page"


def faults():
    names = [name for name in tracked() if (ROOT / name).exists()]
    files = {*names, *(parent.as_posix() for name in names for parent in pathlib.PurePath(name).parents)}
    pages = [name for name in names if name.startswith("docs/") and name.endswith(".md")]
    return [*bad_links(files), *bad_names(files), *orphans(pages, pages_linked)]


def blind_to():
    """Faults of this lint itself, by the sample."""
    found = sorted(anchors_in(SAMPLE))
    if found != ["of-a_b-c--more-x", "twice", "twice-1"]:
        yield f"this check finds the anchors {found}"
    found = [*links_in(SAMPLE)]
    if found != [(1, "y"), (8, "#twice-1"), (8, "i.svg")]:
        yield f"this check finds the links {found}"
    page = ROOT / "docs/design.md"
    files = {".", "README.md", "docs", "docs/design.md", "docs/internals"}
    for target, good in (("design.md", True), ("nowhere.md", False), ("../README.md", True), ("../../x", False), ("#no-such", False), ("..", True),
                         ("../..", False), ("internals/", True)):
        if (missing(page, target, files) is None) != good:
            yield f"this check takes {target} in {page.name} for {'bad' if good else 'good'}"
    chain = {INDEX: ["a"], "a": ["b", INDEX], "b": ["c"], "c": []}
    found = [why.partition(":")[0] for why in orphans([*chain, "d"], chain.get)]
    if found != ["c", "d"]:
        yield f"this check finds the orphans {found}"


def main():
    bad = [*blind_to(), *faults()]
    print("\n".join(bad) or "every link leads somewhere, and every page is found")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
