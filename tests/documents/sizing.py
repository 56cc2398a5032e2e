#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The rows of docs/how-to/sizing.md about documents are those that bench/scale/documents.py prints: bytes and resident memory are close to those of
a running daemon, and the table has the numbers of services that the program measures. Times depend on the machine and are not compared.
"""

import re
import sys

import pages

sys.path.insert(0, str(pages.ROOT / "bench/scale"))
import documents  # noqa: E402

PAGE = (pages.ROOT / "docs/how-to/sizing.md").read_text()
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
SIZES = re.compile(r"^\| from documents: .* \| (.*) \| heap \|$", re.M)
TIMES = re.compile(r"^\| [\d,]+ \| [\d.]+ s \| \d+ MB \|.*$", re.M)
MARGIN = 0.25


def form(row):
    return NUMBER.sub("N", row)


def numbers(text):
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def differ(what, documented, measured):
    if abs(documented - measured) > measured * MARGIN:
        yield f"{what}: {measured:,.0f}, the page has {documented:,.0f}"


def faults():
    sizes, empty, _ = documents.memory_of(pages.DAEMON.parents[2], documents.SERVICES)
    row, rows = SIZES.search(PAGE), [numbers(line) for line in TIMES.findall(PAGE)]
    if not row or form(row[0]) != form(documents.sizes_row(sizes)):
        yield f"the page has no row like {documents.sizes_row(sizes)}"
        return
    for (part, measured), documented in zip(sizes.items(), numbers(row[1]), strict=True):
        yield from differ(f"bytes of {part}", documented, measured)
    if [line[0] for line in rows] != documents.RELOADED:
        yield f"the page has rows for {[line[0] for line in rows]} services, not for {documents.RELOADED}"
    for services, _, resident, *_ in rows:
        yield from differ(f"MB of {services:,.0f} services", resident, (empty + services * sizes["a service"]) / 1e6)


def main():
    found = list(faults())
    print("\n".join(found) or "bytes and memory of documents are those of the daemon")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
