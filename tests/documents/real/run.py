#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares the output of `meltemid --check --json` for each directory next to this script with its expected.tsv. Each object appears exactly
once, with the objects that it touches, and with the status in the column "without"; or with the status in the column "with" if the node
has an identity in the trust domain cluster.local. Rows that the program does not meet yet are in not_yet.tsv and not_yet_with.tsv, which
may only get shorter: a wrong row that is not in its list fails, and so does a correct row in a list.

  run.py [--program MELTEMID] [--column without|with] [--show] [--update [--admit]] [DIRECTORY]...

--show prints the faults of every row, listed or not. --update removes correct rows from the lists, and updates the others. --admit adds
wrong rows that are not listed.

Directories in clean.txt pass --strict without an identity, and no other does: a warning there is new, or its reason is gone. --table
prints the exit status of each directory with --strict.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

import check

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))
from meltemi_lab import authority  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", HERE.parents[2] / "build-debug"))
CLEAN = HERE / "clean.txt"
LISTS = {"without": HERE / "not_yet.tsv", "with": HERE / "not_yet_with.tsv"}
HEAD = "#directory\torigin\tkind\tnamespace\tname\tnow\n"
SECONDS = 300
# A wide one: a port with a network, and nothing else that a document could ask for.
NODE = {"apiVersion": "meltemi.io/v1", "kind": "Node", "metadata": {"name": "real"},
        "spec": {"ports": [{"name": "p0", "device": "net_null0", "addresses": ["192.0.2.1/24"]}]}}
STRICT = {}  # directory: whether it passes --strict
Found = collections.namedtuple("Found", "kind namespace name status touches reason notes")


def identity_in(place):
    """A directory as an agent writes it."""
    ca = authority.Authority(place / "authority")
    chain, key = ca.sign("node", "URI:spiffe://cluster.local/ns/default/sa/meltemi")
    here = place / "identity"
    here.mkdir()
    for name, path in (("cert-chain.pem", chain), ("key.pem", key), ("root-cert.pem", ca.roots)):
        (here / name).write_bytes(path.read_bytes())
        (here / name).chmod(0o600)
    return here


def node_document(directory, state, identity):
    """The Node of a directory, from wherever it is started, and without kept state; identity None: it has none."""
    own = HERE / f"{directory.name}.node.yaml"
    node = yaml.safe_load(own.read_text()) if own.exists() else json.loads(json.dumps(NODE))
    spec = node["spec"]
    spec["stateDirectory"] = str(state)
    spec.setdefault("routes", [{"to": network, "port": spec["ports"][0]["name"]} for network in ("0.0.0.0/0", "::/0")])
    if identity:
        spec["identity"] = {"directory": str(identity)}
    for source in spec.setdefault("sources", [{"directory": directory.name}]):
        source["directory"] = str(HERE / source["directory"])
    if "codecs" in spec:
        spec["codecs"] = [str((HERE / folder).resolve()) for folder in spec["codecs"]]
    if "config" in spec.get("mesh", {}):
        spec["mesh"]["config"] = str(HERE / spec["mesh"]["config"])
    return json.dumps(node)


def said(program, directory, identity):
    """What the program prints of a directory, and whether it passes --strict; an exit status other than 0 and 1 is a fault of its own."""
    with tempfile.TemporaryDirectory(prefix="real") as place:
        place = pathlib.Path(place)
        (place / "node.json").write_text(node_document(directory, place / "state", identity))
        done = subprocess.run([program, "-c", place / "node.json", "--check", "--strict", "--json"], capture_output=True, text=True,
                              timeout=SECONDS, check=False)
    if done.returncode not in (0, 1):
        return None, False, f"exit status {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
    return json.loads(done.stdout), done.returncode == 0, None


def first_lines(path):
    """The line that each piece of a file begins on, as check.pieces() counts them."""
    begin, held, lines = 1, False, []
    for number, line in enumerate(path.read_bytes().decode("utf-8-sig").splitlines(), 1):
        divider = re.match(r"---(?:\s+(.*))?$", line)
        if divider or re.match(r"\.\.\.\s*$", line):
            if held:
                lines.append(begin)
            begin, held = number, bool(divider and divider.group(1) and not divider.group(1).startswith("#"))
        elif line.strip() and not line.lstrip().startswith("#"):
            held = True
    return lines + [begin] if held else lines


def by_thing(directory, objects):
    """{(file, piece, item): Found} and faults: things that appear never, or more often than once."""
    places, faults = collections.defaultdict(list), []
    for o in objects:
        found = Found(o["kind"] or "-", o["namespace"] or "-", o["name"] or "-", o["status"], ",".join(o["touches"]) or "-", o["reason"],
                      "; ".join(f"{n['field']}: {n['text']}" for n in o["notes"]))
        for origin in [o, *o["origins"]]:
            path = pathlib.Path(origin["file"])
            if path.is_relative_to(directory):
                starts = first_lines(path)
                piece = sum(start <= max(origin["line"], 1) for start in starts)
                places[(str(path.relative_to(directory)), max(piece, 1))].append((origin["line"], len(places), found))
    out = {}
    things = collections.defaultdict(list)
    for thing in check.things(directory):
        things[thing[:2]].append(thing)
    for place, of in things.items():
        here = [found for _, _, found in sorted(places.pop(place, []), key=lambda p: p[:2])]
        if len(here) != len(of):
            faults.append(f"{directory.name}/{place[0]}#{place[1]}: {len(here)} objects, not {len(of)}")
        out.update((thing[:3], found) for thing, found in zip(of, here))
    faults += [f"{directory.name}/{file}#{piece}: {len(found)} objects, where there is none"
               for (file, piece), found in places.items()]
    return out, faults


def wrong(row, found, column):
    """Why what was found of a row is not what it says; None: it is."""
    if found is None:
        return "it does not appear"
    identity = (row["kind"], row["namespace"], row["name"])
    if found[:3] != identity:
        return f"it is called {' '.join(found[:3])}"
    if found.status != row[column]:
        return f"{found.status}, not {row[column]}"
    return None if found.touches == row["touches"] else f"touches {found.touches}, not {row['touches']}"


def judge(program, directory, column, identity):
    """[(key, found, why it is wrong)] of each row, and faults of the directory as a whole."""
    report, passes, fault = said(program, directory, identity)
    rows = list(check.read_rows(directory))
    if fault:
        return [], [f"{directory.name}: {fault}"]
    found, faults = by_thing(directory, report["objects"])
    if column == "without":
        STRICT[directory.name] = passes
        if passes != (directory.name in CLEAN.read_text().split()):
            faults.append(f"{directory.name}: --strict {'passes' if passes else 'fails'}: correct the documents, or {CLEAN.name}")
    things, out = list(check.things(directory)), []
    for row in rows:
        meant = [t for origin in row["origin"].split(",") for t in check.named(origin, things)
                 if (t.kind, t.namespace, t.name) == (row["kind"], row["namespace"], row["name"])]
        ones = {found.get(thing[:3]) for thing in meant}
        one = ones.pop() if len(ones) == 1 else None
        key = (directory.name, row["origin"], row["kind"], row["namespace"], row["name"])
        out.append((key, one, wrong(row, one, column), row["reason"]))
    return out, faults


def read_list(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return {tuple(line.split("\t")[:5]): line.split("\t")[5] for line in lines if not line.startswith("#")}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default=BUILD / "app/meltemid/meltemid", type=pathlib.Path)
    p.add_argument("--column", choices=LISTS)
    p.add_argument("--show", action="store_true")
    p.add_argument("--update", action="store_true")
    p.add_argument("--admit", action="store_true")
    p.add_argument("--table", action="store_true")
    p.add_argument("directories", nargs="*")
    return p.parse_args()


def hold(a, column, judged):
    """Faults of one column; writes its list anew where that is asked for."""
    path = LISTS[column]
    listed, faults, right, now = read_list(path), [], 0, {}
    for rows, of_directory in judged:
        faults += of_directory
        for key, found, why, reason in rows:
            words = f"{key[0]}/{key[1]}: {' '.join(key[2:])} {column}: {why}"
            if why:
                now[key] = why
            right += not why
            if a.show and why:
                print(words, f"[{reason}]", *([f"\n    {found.reason} | {found.notes}"] if found else []))
            if why and key not in listed and not a.admit:
                faults.append(words)
            if not why and key in listed and not a.update:
                faults.append(f"{key[0]}/{key[1]}: {' '.join(key[2:])} is right: take it out of {path.name} (--update)")
    if not a.directories:
        faults += [f"{path.name}: there is no row {' '.join(key)}" for key in listed
                   if key not in {k for rows, _ in judged for k, *_ in rows} and not a.update]
    if a.update:
        kept = {key: why for key, why in now.items() if key in listed or a.admit}
        kept.update({key: why for key, why in listed.items() if a.directories and key[0] not in a.directories})
        path.write_text(HEAD + "".join("\t".join((*key, why)) + "\n" for key, why in sorted(kept.items())))
    print(f"{column} an identity: {len(judged)} directories, {right + len(now)} rows: {right} as they should be, {len(now)} not yet")
    return faults


def main():
    a = arguments()
    wanted = [p for p in sorted(HERE.iterdir()) if p.is_dir() and (p / "expected.tsv").exists()
              and (not a.directories or p.name in a.directories)]
    faults = []
    with tempfile.TemporaryDirectory(prefix="real") as place, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        identity = identity_in(pathlib.Path(place))
        for column in [a.column] if a.column else LISTS:
            one = identity if column == "with" else None
            faults += hold(a, column, list(pool.map(lambda d: judge(a.program, d, column, one), wanted)))
    for name, passes in sorted(STRICT.items() if a.table else ()):
        print(0 if passes else 1, name, sep="\t")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
