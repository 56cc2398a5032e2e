#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
installed_pages.py DOCS DATADIR: installs the pages for operators in DATADIR/doc/meltemi/docs, so that manual pages, remedies and alerts name
them from DATADIR/doc/meltemi on, and the files for Prometheus and Grafana in DATADIR/meltemi/prometheus. Pages about the source are not
installed: a link to one becomes its text.
"""

import os
import pathlib
import re
import shutil
import sys

FOLDERS = ("tutorials", "how-to", "explanation", "reference", "protocols")
ALONE = ("README.md", "performance.md")
LINK = re.compile(r"(?<!!)\[([^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def pages(docs):
    """The files that are installed, as paths in `docs`."""
    found = [path for folder in FOLDERS for path in sorted((docs / folder).rglob("*")) if path.is_file()]
    return {path.relative_to(docs) for path in found} | {pathlib.Path(name) for name in ALONE}


def of_installed(text, page, names):
    """The text of a page without links to files that are not installed."""

    def kept(link):
        target = link[2]
        if "://" in target or target.startswith("mailto:"):
            return link[0]
        path = pathlib.Path(os.path.normpath(page.parent / target))
        return link[0] if path in names or any(path in name.parents for name in names) else link[1]

    return LINK.sub(kept, text)


def main(docs, share):
    names = pages(docs)
    target, prometheus = share / "doc/meltemi/docs", share / "meltemi/prometheus"
    for name in sorted(names):
        path = (prometheus / name.name) if name.parent.name == "prometheus" else target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.suffix == ".md":
            path.write_text(of_installed((docs / name).read_text(), name, names))
        else:
            shutil.copyfile(docs / name, path)
        path.chmod(0o644)
    link = target / "how-to/prometheus"
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(prometheus, link.parent))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"]) / sys.argv[2])
