#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares the documents of this directory with the rows of their expected status: each object of each file has exactly one row, each row
belongs to one object, its words are from the allowed sets, and the numbers are those of README.md. Documents are split at `---` before
YAML is parsed. A document that cannot be parsed is matched by a scan of its lines, and its row marks this.

  check.py          checks; prints a line for each fault, and exits with 1 if there is one
  check.py --table  prints the summary by kind for README.md
"""

import collections
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
DIRECTORIES, DOCUMENTS, CLOSING, PASSING = 40, 150, 30, 30
STATUSES = ("in-force", "in-force-with-notes", "elsewhere", "shadowed", "no-effect", "ignored", "waiting", "last-good", "refused", "fail-closed")
CLOSES = ("-", "method", "port", "endpoint", "host", "namespace", "ready")
COLUMNS = ("origin", "kind", "namespace", "name", "without", "with", "touches", "closes", "page", "reason")
CLUSTER_SCOPED = ("Namespace", "ApplicationProtocol")
# Kinds that can close, and those of others that users write for the same purpose.
RESTRICTING = ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication", "DubboAuthorizationPolicy", "EnvoyFilter",
               "WasmPlugin", "NetworkPolicy")
SERVED = """VirtualService DestinationRule ServiceEntry WorkloadEntry WorkloadGroup Gateway Sidecar EnvoyFilter ProxyConfig Telemetry
    AuthorizationPolicy PeerAuthentication RequestAuthentication WasmPlugin MetaRouter ApplicationProtocol DubboAuthorizationPolicy
    RedisService RedisDestination Service Endpoints EndpointSlice Pod Namespace ConfigMap Secret TCPRoute TLSRoute HTTPRoute GRPCRoute
    ReferenceGrant""".split()
Thing = collections.namedtuple("Thing", "file piece item group kind namespace name content legible")


class Loader(yaml.SafeLoader):
    """A key that stands twice in one map is a fault, as for Kubernetes."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(map(str, keys))) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def pieces(path):
    """What stands between lines of `---`, numbered from 1; pieces of blanks and comments alone are not counted."""
    piece, found = [], []
    for line in path.read_bytes().decode("utf-8-sig").splitlines():
        divider = re.match(r"---(?:\s+(.*))?$", line)
        if divider or re.match(r"\.\.\.\s*$", line):
            found.append(piece)
            piece = [divider.group(1)] if divider and divider.group(1) else []
        else:
            piece.append(line)
    found.append(piece)
    said = ["\n".join(lines) for lines in found if any(line.strip() and not line.lstrip().startswith("#") for line in lines)]
    return list(enumerate(said, 1))


def scanned(text):
    """Kind, namespace and name of what cannot be parsed; a template's are not known."""
    def word(pattern):
        match = re.search(pattern, text, re.MULTILINE)
        return "-" if not match or "{{" in match.group(1) else match.group(1).strip("\"'")
    group = word(r"^apiVersion:[ \t]*(\S.*?)\s*$")
    return ("-" if group == "-" else group.rpartition("/")[0], word(r"^kind:[ \t]*(\S.*?)\s*$"),
            word(r"^[ \t]+namespace:[ \t]*(\S.*?)\s*$"), word(r"^[ \t]+name:[ \t]*(\S.*?)\s*$"))


def fallback(directory):
    """Where objects are that do not say it: sources[].namespace of the Node beside the directory."""
    node = HERE / f"{directory.name}.node.yaml"
    if not node.exists():
        return "default"
    return next((s["namespace"] for s in yaml.safe_load(node.read_text())["spec"].get("sources", []) if "namespace" in s), "default")


def things(directory):
    unwritten = fallback(directory)
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory)
        if path.suffix not in (".yaml", ".yml", ".json") or any(part.startswith(".") for part in inside.parts):
            continue
        for number, text in pieces(path):
            try:
                document = yaml.load(text, Loader)
            except yaml.YAMLError:
                group, kind, namespace, name = scanned(text)
                yield Thing(str(inside), number, 1, group, kind, namespace, name, text, False)
                continue
            a_list = isinstance(document, dict) and str(document.get("kind", "")).endswith("List") and "items" in document
            for item, body in enumerate(document["items"] if a_list else [document], 1):
                if not isinstance(body, dict) or "kind" not in body or "apiVersion" not in body:
                    yield Thing(str(inside), number, item, "-", "-", "-", "-", body, True)
                    continue
                metadata = body.get("metadata") or {}
                kind = body["kind"]
                namespace = metadata.get("namespace") or ("-" if kind in CLUSTER_SCOPED else unwritten)
                yield Thing(str(inside), number, item, body["apiVersion"].rpartition("/")[0], kind, namespace, metadata.get("name", "-"),
                            body, True)


def named(origin, found):
    """The objects that one origin of a row may mean: FILE, FILE#PIECE or FILE#PIECE.ITEM."""
    match = re.fullmatch(r"([^#]+)(?:#(\d+)(?:\.(\d+))?)?", origin)
    file, piece, item = match.groups()
    return [t for t in found if t.file == file and piece in (None, str(t.piece)) and item in (None, str(t.item))]


def words(row):
    for column in ("without", "with"):
        if row[column] not in STATUSES:
            yield f"{row[column]} is no status"
    if row["closes"] not in CLOSES:
        yield f"{row['closes']} is nothing that can be closed"
    ends = {row["without"], row["with"]}
    if "fail-closed" in ends if row["closes"] == "-" else not ends & {"fail-closed", "refused"}:
        yield "what it closes and its status disagree"
    if not re.fullmatch(r"https://[a-z0-9.-]+/\S+", row["page"]):
        yield "no page that says why"
    if len(row["reason"]) < 10:
        yield "no reason"
    if row["touches"] != "-" and ends <= {"ignored", "no-effect", "shadowed"}:
        yield "touches something and has no part in it"
    if row["touches"] != ",".join(sorted(row["touches"].split(","))):
        yield "hosts are not in order"


def directory_faults(directory, found, rows):
    taken = collections.Counter()
    for row in rows:
        where = f"{directory.name}/expected.tsv:{row['line']}"
        yield from (f"{where}: {fault}" for fault in words(row))
        contents = []
        for origin in row["origin"].split(","):
            meant = [t for t in named(origin, found) if (t.kind, t.namespace, t.name) == (row["kind"], row["namespace"], row["name"])]
            if len(meant) != 1:
                yield f"{where}: {origin} holds {len(meant)} objects {row['kind']} {row['namespace']}/{row['name']}"
                continue
            taken[meant[0][:3]] += 1
            contents.append(meant[0].content)
            if meant[0].legible == row["reason"].startswith("unparsable:"):
                yield f"{where}: the reason and the file do not agree on whether it can be parsed"
            row["group"] = meant[0].group
        if any(content != contents[0] for content in contents):
            yield f"{where}: one object of several origins has one content"
    for thing in found:
        if taken[thing[:3]] != 1:
            yield f"{directory.name}/{thing.file}#{thing.piece}.{thing.item}: {thing.kind} {thing.namespace}/{thing.name} has " \
                  f"{taken[thing[:3]]} rows"


def read_rows(directory):
    table = directory / "expected.tsv"
    lines = table.read_text().splitlines() if table.exists() else []
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != len(COLUMNS):
            raise SystemExit(f"{directory.name}/expected.tsv:{number}: {len(fields)} columns, not {len(COLUMNS)}")
        yield {**dict(zip(COLUMNS, fields)), "line": number, "directory": directory.name}


def table(rows):
    """Kinds of what group, how many, and how many of each status without and with an identity."""
    shown = [s for s in STATUSES if s not in ("waiting", "last-good")]
    kinds = collections.defaultdict(list)
    for row in rows:
        known = row["kind"] in SERVED
        kinds[(0 if known else 1, row["kind"] if known else "others", row.get("group", "") if known else "")].append(row)
    out = ["| kind | group | objects | " + " | ".join(shown) + " | closing |", "|" + "---|" * (len(shown) + 4)]
    for (_, kind, group), of in sorted(kinds.items()):
        cells = []
        for status in shown:
            pair = [sum(row[column] == status for row in of) for column in ("without", "with")]
            cells.append("" if pair == [0, 0] else str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} / {pair[1]}")
        out.append(f"| {kind} | {group} | {len(of)} | " + " | ".join(cells) + f" | {sum(row['closes'] != '-' for row in of) or ''} |")
    return "\n".join(out)


def totals(directories, documents, rows):
    closing = sum(row["closes"] != "-" and "fail-closed" in (row["without"], row["with"]) for row in rows)
    passing = sum(row["kind"] in RESTRICTING and row["closes"] == "-" for row in rows)
    for what, count, least in (("directories", directories, DIRECTORIES), ("documents", documents, DOCUMENTS),
                               ("rows that end closed", closing, CLOSING), ("restricting rows that do not close", passing, PASSING)):
        print(f"{count} {what}")
        if count < least:
            yield f"{count} {what}, not {least}"
    kinds = collections.Counter(row["kind"] for row in rows)
    yield from (f"{kind}: {kinds[kind]} objects, not 2" for kind in SERVED if kinds[kind] < 2)


def main():
    faults, rows, documents, directories = [], [], 0, 0
    for directory in sorted(p for p in HERE.iterdir() if p.is_dir()):
        found, of = list(things(directory)), list(read_rows(directory))
        directories += 1
        documents += len({thing[:2] for thing in found})
        faults += directory_faults(directory, found, of)
        rows += of
    for node in HERE.glob("*.node.yaml"):
        if not (HERE / node.name.removesuffix(".node.yaml")).is_dir():
            faults.append(f"{node.name}: there is no such directory")
    if sys.argv[1:] == ["--table"]:
        print(table(rows))
        return 0
    faults += totals(directories, documents, rows)
    readme = HERE / "README.md"
    if not readme.exists() or table(rows) not in readme.read_text():
        faults.append("README.md: the summary is not what check.py --table prints")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
