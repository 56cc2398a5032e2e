#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares the compiled form of every test document and of resources of discovery services with the pictures in this directory: clusters,
endpoints, services, routes, listeners and names. Change a picture only on purpose: look at the difference, write the picture by
--update, and give the reason in the commit.

  run.py [--program PROGRAM] [--update] [--list] [--show] [GROUP[/CASE]]...
"""

import argparse
import concurrent.futures
import difflib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import cases

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", HERE.parents[1] / "build-debug"))
SHOWN = 80  # lines of one difference
SECONDS = 60


def picture(program, case):
    """What the program says of one case, and words on what is wrong with that."""
    with tempfile.TemporaryDirectory(prefix="golden") as place:
        place = pathlib.Path(place)
        argv = [program]
        (place / "documents").mkdir()
        for name, text in case.documents.items():
            (place / "documents" / name).write_text(text)
        if case.node:
            (place / "node.yaml").write_text(case.node)
            argv += ["-c", "node.yaml"]
        for option, files in (("-b", case.before), ("-x", case.resources)):
            for number, resources in enumerate(files):
                (place / f"resources{option}{number}.json").write_text(json.dumps(resources))
                argv += [option, f"resources{option}{number}.json"]
        if case.identity:
            argv.append("-i")
        if case.overrides:
            (place / "overrides").write_text(case.overrides)
            argv += ["-o", "overrides"]
        done = subprocess.run([*argv, "documents"], cwd=place, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        return None, f"exit status {done.returncode}: {done.stderr}"
    return json.loads(done.stdout), done.stderr if done.returncode else ""


def all_of(program, wanted):
    """{group: {case: (picture, words)}}"""
    found = [case for case in cases.every() if not wanted or case.group in wanted or f"{case.group}/{case.name}" in wanted]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda case: picture(program, case), found))
    groups = {}
    for case, result in zip(found, results):
        if case.name in groups.setdefault(case.group, {}):
            raise SystemExit(f"there are two of {case.group}/{case.name}")
        groups[case.group][case.name] = result
    return groups


def text_of(item):
    return json.dumps(item, indent=1) + "\n"


def kept_of(group):
    path = HERE / "pictures" / f"{group}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def differs(name, kept, now):
    """Prints what is different; true if something is."""
    if text_of(kept) == text_of(now):  # members in their order, too
        return False
    before = text_of(kept).splitlines() if kept is not None else []
    after = text_of(now).splitlines() if now is not None else []
    lines = list(difflib.unified_diff(before, after, f"kept/{name}", f"now/{name}", lineterm="", n=4))
    print("\n".join(lines[:SHOWN]))
    if len(lines) > SHOWN:
        print(f"... and {len(lines) - SHOWN} more lines")
    return True


def compare(groups, wanted):
    """How many cases are not what they were."""
    bad = 0
    for group, results in groups.items():
        kept = kept_of(group)
        for name, (now, words) in results.items():
            if words:
                print(f"{group}/{name}: {words}")
            bad += differs(f"{group}/{name}", kept.get(name), now) or bool(words)
        for name in kept.keys() - results.keys() if not wanted else ():
            print(f"{group}/{name}: kept, and there is no such case")
            bad += 1
    for path in sorted((HERE / "pictures").glob("*.json")) if not wanted else ():
        if path.stem not in groups:
            print(f"{path.stem}: kept, and there is no such group")
            bad += 1
    return bad


def update(groups, wanted):
    (HERE / "pictures").mkdir(exist_ok=True)
    bad = 0
    for group, results in groups.items():
        whole = kept_of(group) if any("/" in name for name in wanted) else {}
        for name, (now, words) in results.items():
            if now is not None:
                whole[name] = now
            if words:
                print(f"{group}/{name}: {words}")
                bad += 1
        (HERE / "pictures" / f"{group}.json").write_text(text_of(dict(sorted(whole.items()))))
    for path in (HERE / "pictures").glob("*.json") if not wanted else ():
        if path.stem not in groups:
            path.unlink()
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=BUILD / "tests/golden/picture")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("wanted", nargs="*")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{case.group}/{case.name}" for case in cases.every()))
        return 0
    groups = all_of(pathlib.Path(options.program).resolve(), options.wanted)
    if options.show:
        print(text_of({f"{group}/{name}": now for group, results in groups.items() for name, (now, _) in results.items()}))
        return 0
    total = sum(map(len, groups.values()))
    bad = (update if options.update else compare)(groups, options.wanted)
    print(f"golden: {total} pictures, {bad} {'wrong' if options.update else 'differ'}")
    return 1 if bad or not total else 0


if __name__ == "__main__":
    sys.exit(main())
