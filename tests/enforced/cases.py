# SPDX-License-Identifier: Apache-2.0
"""
Cases of the rows: pairs of documents that differ in one field only. Each file KIND*.yaml contains groups (YAML documents):

  kind, apiVersion  of the object that has the fields; `kind: metadata` with `object.kind`: rows of every document's metadata;
                    `kind: MeshConfig`: the object is the mesh's configuration
  identity          true: the node has one
  world             what stands beside the object: names of worlds.yaml, and documents
  object            the object's other fields
  at                {PREFIX: [IN DOCUMENTS, IN MESSAGES]}: where fields are whose names in the tables are shorter
  below             for fields that are repeated: {PREFIX: {FIELD: value}}, what the object has where they stand below that prefix
  cases             {FIELD: case}; a field that begins with a dot stands below each prefix that has such a row

A case has any of:

  from, to          the field's values; without `from` it is not written. Default of `to`: a text, for fields whose values are not read
  with              {FIELD: value}: other fields of the object, in both documents; a dot begins a field below the prefix
  also              {FIELD: value}: other fields of the second document, where one cannot change alone
  without           [FIELD]: other fields that the object does not have, in both
  beside            documents in both
  mesh              a MeshConfig in both
  identity          true: the node has one
  refused           the object with `to` is refused by these words: an enforced field whose effect is that
  status            true: the field changes the object's status or messages, and no picture: which proxies are meant

A list in a field's name is `a[]`, its first item, or `a[N]`.
"""

import copy
import dataclasses
import pathlib
import re

import yaml

import reference

HERE = pathlib.Path(__file__).resolve().parent
NOT_WRITTEN = object()
KEYS = {"from", "to", "with", "also", "without", "beside", "mesh", "identity", "refused", "status"}
GROUP_KEYS = {"kind", "apiVersion", "identity", "world", "object", "at", "below", "cases"}


@dataclasses.dataclass
class Case:
    """path, in_messages: of the field, in documents and in messages; documents: of both; before, after: the object."""
    row: object
    group: object
    path: list
    in_messages: list
    documents: list
    before: dict
    after: dict
    identity: bool
    mesh: object
    refused: str
    status: bool
    required: list = dataclasses.field(default_factory=list)  # paths without which the object is refused

    def without(self, path):
        """The object without this field."""
        return edited(self.after, [(path, NOT_WRITTEN)])


def steps(field):
    """"a[].b[1]" as ["a", 0, "b", 1]."""
    out = []
    for name in field.split("."):
        word, *indexes = re.split(r"\[(\d*)\]", name)
        out.append(word)
        out += [int(index or 0) for index in indexes[0::2]]
    return out


def _enter(place, step, then):
    """Makes the container below `step`, a list where the next step is an index."""
    if isinstance(step, int):
        place.extend({} for _ in range(step + 1 - len(place)))
    elif place.get(step) is None:
        place[step] = [] if isinstance(then, int) else {}
    return place[step]


def edited(document, changes):
    """A copy; a value NOT_WRITTEN makes what is above the field, but not the field."""
    document = copy.deepcopy(document)
    for path, value in changes:
        place = document
        for step, then in zip(path, path[1:]):
            place = _enter(place, step, then)
        if value is not NOT_WRITTEN:
            if isinstance(path[-1], int):
                _enter(place, path[-1], None)
            place[path[-1]] = copy.deepcopy(value)
        elif isinstance(place, dict):
            place.pop(path[-1], None)
        else:
            del place[path[-1]]
    return document


def _documents_of(path):
    """By libyaml, which is ten times as fast."""
    return list(yaml.load_all(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _world(names, worlds):
    out = []
    for one in names:
        out += worlds[one] if isinstance(one, str) else [one]
    return out


class Group:
    def __init__(self, path, text, worlds):
        self.path, self.text, self.worlds = path, text, worlds
        if unknown := text.keys() - GROUP_KEYS:
            raise SystemExit(f"{path}: a group has no {sorted(unknown)}")
        api_version, self.identity = text["apiVersion"], bool(text.get("identity"))
        group = api_version.rpartition("/")[0]
        self.object = {"apiVersion": api_version, "kind": text["kind"], **text["object"]}
        self.kind = f"{text['kind']}.{group}" if group else text["kind"]
        if text["kind"] == "metadata":
            self.kind, self.object["kind"] = "metadata", text["object"]["kind"]
        self.world = _world(text.get("world", []), worlds)

    def place(self, field, which):
        """The field's path in documents (0) or in messages (1)."""
        found = [prefix for prefix in self.text.get("at", {}) if field.startswith(prefix)]
        if not found:
            return steps(field)
        prefix = max(found, key=len)
        return steps(self.text["at"][prefix][which] + field.removeprefix(prefix))

    def case(self, row, prefix, text):
        """`prefix`: what fields that begin with a dot stand below."""
        if unknown := text.keys() - KEYS:
            raise SystemExit(f"{self.path}: {row.field}: a case has no {sorted(unknown)}")
        common = dict(self.text.get("below", {}).get(prefix, {}))
        common |= {f"{prefix}{name}" if name.startswith(".") else name: value for name, value in text.get("with", {}).items()}
        changes = [(self.place(name, 0), value) for name, value in common.items()]
        changes += [(self.place(f"{prefix}{name}" if name.startswith(".") else name, 0), NOT_WRITTEN) for name in text.get("without", [])]
        path = self.place(row.field, 0)
        if isinstance(row.value, str) and "to" not in text and row.value != "any":
            raise SystemExit(f"{self.path}: {row.field}: write `to`")
        before = edited(self.object, [*changes, (path, text.get("from", NOT_WRITTEN))])
        also = [(self.place(name, 0), value) for name, value in text.get("also", {}).items()]
        after = edited(self.object, [*changes, (path, text.get("to", "something")), *also])
        if before == after:
            raise SystemExit(f"{self.path}: {row.field}: both documents are the same")
        return Case(row, self, path, self.place(row.field, 1), [*self.world, *_world(text.get("beside", []), self.worlds)], before, after,
                    text.get("identity", self.identity), text.get("mesh"), text.get("refused"), bool(text.get("status")))

    def cases(self, rows):
        """Of its fields; one that no row has ends the program."""
        known = {row.field: row for row in rows if row.kind == self.kind}
        for field, text in self.text["cases"].items():
            prefixes = self.text.get("below", {}) if field.startswith(".") else [""]
            found = [(known[f"{prefix}{field}"], prefix) for prefix in prefixes if f"{prefix}{field}" in known]
            if not found:
                raise SystemExit(f"{self.path}: no row {self.kind} {field}")
            for row, prefix in found:
                yield self.case(row, prefix, text or {})


    def plain(self, row):
        """The case of a field whose values are not read."""
        prefixes = [one for one in self.text.get("below", {}) if row.field.startswith(f"{one}.")]
        return self.case(row, max(prefixes, key=len, default=""), {})


# Objects are found by these, so they are in each document of each case.
OF_EACH_DOCUMENT = ("apiVersion", "kind", "metadata")


def _plain(rows, groups, written):
    """Of fields that any value may have and none changes anything, in the first group of their kind."""
    first = {}
    for group in groups:
        first.setdefault(group.kind, group)
    return [first[row.kind].plain(row) for row in rows
            if row.value == "any" and not row.enforced and row not in written and row.kind in first and row.field not in OF_EACH_DOCUMENT]


def world(names):
    """Documents of worlds.yaml."""
    return _world(names, _documents_of(HERE / "worlds.yaml")[0])


def _add_required(rows, cases):
    """Each required field is left out once: in the first case of its own, else in that of a field below it."""
    for row in rows:
        if row.mark == reference.REQUIRED:
            inside = {one for one in reference.below(rows, row) if one.enforced}
            own = [case for case in cases if case.row == row]
            for case in (own or [case for case in cases if case.row in inside])[:1]:
                case.required.append(case.group.place(row.field, 0))


def every(rows):
    """[Case] of all files."""
    worlds = _documents_of(HERE / "worlds.yaml")[0]
    paths = [path for path in sorted(HERE.glob("[A-Za-z]*.yaml")) if path.name != "worlds.yaml"]
    groups = [Group(path.name, text, worlds) for path in paths for text in _documents_of(path)]
    out = [case for group in groups for case in group.cases(rows)]
    out += _plain(rows, groups, {case.row for case in out})
    _add_required(rows, out)
    return out
