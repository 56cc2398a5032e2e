#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Holds each row of docs/reference/configuration.md to its mark. A field that is "enforced" has a pair of documents that differ in it
alone and compile to different pictures (or the second one is refused by words that the case has); a required one has an object that is
refused without it; a field without effect has a pair that compiles to one picture, with a warning where the mark has one.

A row without a case (cases.py) fails, unless elsewhere.tsv names the test that proves it, or not_walked.txt contains it.

  run.py [--program PROGRAM] [--without] [--show] [KIND | FIELD]...

  --without  lists rows that have no case
  --show     prints both documents, messages and pictures of the chosen rows
"""

import argparse
import difflib
import json
import os
import pathlib
import sys
import tempfile

import cases
import certificates
import elsewhere
import judge
import loader
import reference

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", HERE.parents[1] / "build-debug"))
# Rows of not_walked.txt. Lower it with each row that gets a case, and never raise it.
NOT_WALKED = 10


def not_walked():
    return [line for line in (HERE / "not_walked.txt").read_text().splitlines() if line and not line.startswith("#")]


class Walk:
    """The loads of cases, and what is wrong with them."""

    def __init__(self, program, files):
        self.program, self.files, self.sets, self.answers = program, files, [], {}

    def key(self, case, document):
        mesh, documents = case.mesh, [*case.documents, document]
        if document["kind"] == reference.MESH_CONFIG:
            mesh, documents = {name: value for name, value in document.items() if name not in cases.OF_EACH_DOCUMENT}, case.documents
        return loader.records([self.files.replaced(one) for one in documents], None if mesh is None else self.files.replaced(mesh), case.identity)

    def load(self, case, document):
        answer = self.answers[self.key(case, document)]
        return answer if isinstance(answer, str) else judge.Load(answer, document)

    @staticmethod
    def documents(case):
        """Before, after, and without each required field on the way to it."""
        return [case.before, case.after, *(case.without(path) for path in case.required)]

    def run(self, all_cases, sets):
        keys = [self.key(case, document) for case in all_cases for document in self.documents(case)]
        self.answers, wrong = loader.answers(self.program, keys + sets)
        return wrong

    def wrong(self, case):
        loads = [self.load(case, document) for document in self.documents(case)]
        if ended := [load for load in loads if isinstance(load, str)]:
            return f"the program has ended: {ended[0]}"
        words = [judge.judge(case, *loads[:2]), *(judge.judge_required(path, load) for path, load in zip(case.required, loads[2:]))]
        return next((one for one in words if one), None)

    def show(self, case):
        for document in self.documents(case):
            load = self.load(case, document)
            print(json.dumps(document), *(load.messages if isinstance(load, judge.Load) else [load]), sep="\n    ")
        before, after = (json.dumps(self.load(case, document).picture, indent=1).splitlines() for document in (case.before, case.after))
        print("\n".join(difflib.unified_diff(before, after, "before", "after", lineterm="", n=4)))


class Others:
    """Kinds without a table: an object of each, beside a service."""

    def __init__(self, others, files):
        self.others, self.world = others, files.replaced(cases.world(["node", "a"]))

    def documents(self, one):
        return [*self.world, {"apiVersion": one.api_version, "kind": one.kind, "metadata": {"name": "subject"}, "spec": {"type": "NETWORK"}}]

    def sets(self):
        return [loader.records(documents, None, False) for documents in (self.world, *map(self.documents, self.others))]

    def wrong(self, answers):
        without, *answers = [answers[one] for one in self.sets()]
        for one, answer in zip(self.others, answers):
            if isinstance(answer, str):
                yield f"{one.kind}: the program has ended: {answer}"
                continue
            load = judge.Load(answer, self.documents(one)[-1])
            same = load.picture == judge.Load(without, self.world[0]).picture
            if load.status != ("fail-closed" if one.closes else "no-effect") or same == one.closes:
                yield f"{one.kind} ({'closes' if one.closes else 'no effect'}): {'no difference' if same else 'a difference'}, {load.status}"


def containers(rows, walked, proved):
    """Enforced maps and lists of which a field inside has a case, or is proved elsewhere."""
    held = {row for row in rows if row.enforced and (row in walked or row.name in proved)}
    return {row for row in rows if row.enforced and not held.isdisjoint(reference.below(rows, row))} - walked


def rows_without(rows, walked, proved, left):
    """Rows that nothing holds to their marks."""
    held = walked | containers(rows, walked, proved)
    return [row for row in rows if row not in held and row.name not in proved and row.name not in left and row.field not in cases.OF_EACH_DOCUMENT]


def chosen(all_cases, wanted):
    return [case for case in all_cases if not wanted or any(word in (case.row.kind, case.row.field, case.row.name) for word in wanted)]


def lists_wrong(rows, walked, proved, left):
    """What is wrong with elsewhere.tsv and not_walked.txt."""
    names = {row.name for row in rows}
    held = {row.name for row in walked} | {row.name for row in containers(rows, walked, proved)}
    out = elsewhere.wrong(proved)
    for file, listed in (("elsewhere.tsv", proved), ("not_walked.txt", left)):
        out += [f"{file}: there is no row {name}" for name in listed if name not in names]
        out += [f"{file}: {name} has a case: remove the line" for name in listed if name in held]
    out += [f"not_walked.txt: {name} is in elsewhere.tsv" for name in left if name in proved]
    if len(left) != NOT_WALKED:
        out.append(f"not_walked.txt has {len(left)} rows, run.py has {NOT_WALKED}: lower that number, or write the cases of new rows")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=BUILD / "tests/golden/loads")
    parser.add_argument("--without", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("wanted", nargs="*")
    options = parser.parse_args()
    rows, others = reference.read()
    all_cases, left, proved = cases.every(rows), not_walked(), elsewhere.read()
    walked = {case.row for case in all_cases}
    bad = [f"{row.name}: no case ({row.mark})" for row in rows_without(rows, walked, proved, left)]
    if options.without:
        print("\n".join(bad))
        return 1 if bad else 0
    bad += lists_wrong(rows, walked, proved, left)
    picked = chosen(all_cases, options.wanted)
    with tempfile.TemporaryDirectory(prefix="enforced") as place:
        walk = Walk(pathlib.Path(options.program).resolve(), certificates.Files(pathlib.Path(place)))
        unread = Others(others if not options.wanted else [], walk.files)
        bad += [f"{options.program}: {words}" for words in walk.run(picked, unread.sets())]
        bad += unread.wrong(walk.answers)
        bad += [f"{case.row.name} ({case.row.mark}): {words}" for case in picked if (words := walk.wrong(case))]
        for case in picked if options.show else ():
            walk.show(case)
    print("\n".join(bad))
    print(f"enforced: {len(rows)} rows, {len(walked)} with {len(all_cases)} cases, {len(proved)} proved elsewhere, {len(left)} not walked yet; "
          f"{len(bad)} wrong")
    return 1 if bad or not picked else 0


if __name__ == "__main__":
    sys.exit(main())
