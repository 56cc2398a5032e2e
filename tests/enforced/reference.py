# SPDX-License-Identifier: Apache-2.0
"""Rows of the tables in docs/reference/configuration.md, which the tables in lib/source generate."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/configuration.md"
METADATA = "Metadata of every document"
MESH_CONFIG = "MeshConfig"  # a file without apiVersion, kind and metadata, or a text in a ConfigMap

ENFORCED, REQUIRED = "enforced", "enforced, required"
NO_EFFECT, KEPT = "accepted, no effect", "kept, nothing depends on it"
IGNORED = "accepted, no effect (note)"
WARNED = ("accepted, not enforced (warning)", "checked, not enforced (warning)")
NOTED = ("accepted, not enforced (note)", "checked, not enforced (note)", IGNORED)
REFUSED, NOT_SERVED = "refused where it is served", "not enforced: what has it is not served"
ALWAYS_REFUSED = "refused"
MARKS = (ENFORCED, REQUIRED, NO_EFFECT, IGNORED, KEPT, *WARNED, *NOTED, REFUSED, NOT_SERVED, ALWAYS_REFUSED)


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


def _inside(rows, place):
    """(the rest of its field, row) of the rows of the fields inside `place`."""
    for row in rows:
        if found := re.match(re.escape(place) + r"(?:\[\])?\.(.*)", row.field):
            yield found.group(1), row


def _expanded(rows, tables):
    """
    The rows with those that the page writes once: a value with "as `FIELD`" refers to the rows inside of that field, which are
    above it in the same table, and a link to one of `tables` refers to all of its rows.
    """
    out = []
    for row in rows:
        out.append(row)
        at = row.field + ("[]." if row.value.startswith(("list", "map or list")) else ".")
        if found := re.search(r" as `([^`]+)`", row.value):
            inside = list(_inside(out[:-1], found.group(1)))
        elif found := re.search(r"\[([\w ]+)\]\(#", row.value):
            inside = [(one.field, one) for one in _expanded(tables[found.group(1)], tables)]
        else:
            continue
        if not inside:
            raise SystemExit(f"{PAGE}: {row.name} refers to {found.group(1)}, which has no rows")
        out += [Row(row.kind, at + rest, one.value, one.mark) for rest, one in inside]
    return out


def _tables(text):
    """({title: [Row]} of tables of fields, in the page's order, and [Other])"""
    tables, others, title, kind, of_fields = {}, [], None, None, False
    for line in text.splitlines():
        if line.startswith("### "):
            title, kind = line[4:].strip(), "metadata" if line[4:].strip() == METADATA else None
        elif found := re.match(r"`apiVersion`: `([^`]+)`", line):
            kind = _kind_of(title.split(" (")[0], found.group(1))
        elif line.startswith("| field |"):
            tables[title], of_fields = [], True
        elif line.startswith("| kind |"):
            of_fields = False
        elif title and (found := re.match(r"\| ((?:`[^`]+`(?:, )?)+) \| (.*?) \| ([^|]*) \|", line)):
            names = re.findall(r"`([^`]+)`", found.group(1))
            if of_fields:
                tables[title] += [Row(kind, name, found.group(2), found.group(3)) for name in names]
            else:
                others.append(Other(names[0], found.group(2).strip("`"), "protect" in title))
    return tables, others


def read(text=None):
    """([Row], [Other]); a mark that is not known ends the program. A table without an apiVersion has the rows of others' fields."""
    tables, others = _tables(text or PAGE.read_text())
    parts = {title: rows for title, rows in tables.items() if rows and not rows[0].kind}
    unread = {title for title in parts if not any(f"[{title}](" in row.value for table in tables.values() for row in table)}
    if unread != {MESH_CONFIG}:
        raise SystemExit(f"{PAGE}: tables that no field refers to: {sorted(unread)}")
    tables[MESH_CONFIG] = [dataclasses.replace(row, kind=f"{MESH_CONFIG}.mesh.istio.io") for row in parts.pop(MESH_CONFIG)]
    rows = [row for title, table in tables.items() if title not in parts for row in _expanded(table, parts)]
    unknown = [row for row in rows if row.mark not in MARKS]
    if unknown or not rows:
        raise SystemExit(f"{PAGE}: marks that no check is written for: {sorted({row.mark for row in unknown})}")
    return rows, others


def below(rows, row):
    """The rows of the fields inside of this one."""
    return [one for one in rows if one.kind == row.kind and one.field.startswith((f"{row.field}.", f"{row.field}[]."))]
