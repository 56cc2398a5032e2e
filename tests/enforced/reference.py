# SPDX-License-Identifier: Apache-2.0
"""Rows of the tables in docs/reference/configuration.md, which the tables in lib/source generate."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/configuration.md"
METADATA = "Metadata of every document"

ENFORCED, REQUIRED = "enforced", "enforced, required"
NO_EFFECT, KEPT = "accepted, no effect", "kept, nothing depends on it"
WARNED = ("accepted, not enforced (warning)", "checked, not enforced (warning)")
REFUSED, NOT_SERVED = "refused where it is served", "not enforced: what has it is not served"
ALWAYS_REFUSED = "refused"
MARKS = (ENFORCED, REQUIRED, NO_EFFECT, KEPT, *WARNED, REFUSED, NOT_SERVED, ALWAYS_REFUSED)


@dataclasses.dataclass(frozen=True)
class Row:
    """kind: with its group, "Gateway.gateway.networking.k8s.io"; "Service" of the core; "metadata" of every document."""
    kind: str
    field: str
    value: str
    mark: str

    @property
    def name(self):
        return f"{self.kind} {self.field}"

    @property
    def enforced(self):
        return self.mark in (ENFORCED, REQUIRED)


@dataclasses.dataclass(frozen=True)
class Other:
    """A kind without a table: its objects have no effect, or close what they select."""
    kind: str
    api_version: str
    closes: bool


def _kind_of(name, api_version):
    group = api_version.rpartition("/")[0]
    return f"{name}.{group}" if group else name


def read(text=None):
    """([Row], [Other]); a mark that is not known ends the program."""
    rows, others, title, kind = [], [], None, None
    for line in (text or PAGE.read_text()).splitlines():
        if line.startswith("### "):
            title, kind = line[4:].strip(), "metadata" if line[4:].strip() == METADATA else None
        elif found := re.match(r"`apiVersion`: `([^`]+)`", line):
            kind = _kind_of(title, found.group(1))
        elif found := re.match(r"\| `([^`]+)` \| (.*?) \| ([^|]*) \|", line):
            if kind:
                rows.append(Row(kind, found.group(1), found.group(2), found.group(3)))
            elif title:
                others.append(Other(found.group(1), found.group(2).strip("`"), "protect" in title))
    unknown = [row for row in rows if row.mark not in MARKS]
    if unknown or not rows:
        raise SystemExit(f"{PAGE}: marks that no check is written for: {sorted({row.mark for row in unknown})}")
    return rows, others


def below(rows, row):
    """The rows of the fields inside of this one."""
    return [one for one in rows if one.kind == row.kind and one.field.startswith((f"{row.field}.", f"{row.field}[]."))]
