#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Checks that the order of documents, and how they are split into files, have no effect. All documents in the directories next to this
script are shuffled and split at random, and read by `meltemid --check --json` and by the program that prints the snapshot. Both outputs
must be those of the first order, except for files and lines. Documents without a name are compared as a set: --check sorts them by file.

  orders.py [--build DIRECTORY] [--orders N] [--seed N] [DIRECTORY]...
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import check
from run import NODE

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", HERE.parents[2] / "build-debug"))
SECONDS = 300  # beside compilers
LINE = re.compile(r"^ *\"line\": \d+,?$", re.MULTILINE)
PLACE = re.compile(r"[^\s\"]*/?f\d+\.yaml(?::\d+)?")


def texts_of(directory):
    """Its documents, as they stand between the lines of `---`."""
    for path in sorted(directory.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
        if path.suffix in (".yaml", ".yml", ".json") and not hidden:
            yield from (text for _, text in check.pieces(path))


def spread(texts, chance, directory):
    """In files of any number of documents, some of them in directories below."""
    order, number = list(texts), 0
    chance.shuffle(order)
    while order:
        take = chance.choice((1, 2, 3, 10, 100))
        here = directory / chance.choice((".", ".", "a", "b/c"))
        here.mkdir(parents=True, exist_ok=True)
        name = f"f{number:04d}.yaml" if chance.random() < 0.5 else f"z{9999 - number:04d}-f{number}.yaml"
        (here / name).write_text("\n---\n".join(order[:take]) + "\n")
        order, number = order[take:], number + 1


def without_places(item):
    """Objects without their files and lines, in which a sentence may name another one's."""
    if isinstance(item, dict):
        return {key: without_places(value) for key, value in item.items() if key not in ("file", "line", "origins")}
    if isinstance(item, list):
        return [without_places(value) for value in item]
    return PLACE.sub("PLACE", item) if isinstance(item, str) else item


def said(argv, place):
    done = subprocess.run(argv, cwd=place, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{argv}: exit status {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def one_order(build, texts, seed):
    """What both programs say of one order."""
    with tempfile.TemporaryDirectory(prefix="orders") as place:
        place = pathlib.Path(place)
        node = json.loads(json.dumps(NODE))
        node["spec"] |= {"stateDirectory": str(place / "state"), "sources": [{"directory": str(place / "documents")}]}
        (place / "documents").mkdir()
        (place / "node.json").write_text(json.dumps(node))
        spread(texts, random.Random(seed), place / "documents")
        objects = said([build / "app/meltemid/meltemid", "-c", "node.json", "--check", "--json"], place)
        picture = said([build / "tests/golden/picture", "-c", "node.json", "documents"], place)
    objects = without_places(json.loads(objects)["objects"])
    nameless = sorted(json.dumps(each, sort_keys=True) for each in objects if not each["name"])
    named = [json.dumps(each, sort_keys=True) for each in objects if each["name"]]
    return nameless + named, LINE.sub("", PLACE.sub("PLACE", picture)).splitlines()


def differing(name, seed, first, now):
    for what, a, b in zip(("object", "line of the snapshot"), first, now):
        if a == b:
            continue
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        yield f"{name}, order {seed}: {len(b)} {what}s, not {len(a)}" if len(a) != len(b) else f"{name}, order {seed}: {what} {at}"
        for word, lines in (("first", a), ("now", b)):
            yield f"  {word}: {lines[at][:1500] if at < len(lines) else 'nothing'}"


def judge(build, name, texts, orders, seed):
    first = one_order(build, texts, seed)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = list(pool.map(lambda each: list(differing(name, each, first, one_order(build, texts, each))), range(seed + 1, seed + orders)))
    wrong = [words for words in wrong if words]
    print(f"{name}: {len(texts)} documents, {len(first[0])} objects, {len(first[1])} lines of a snapshot, {orders} orders, "
          f"{len(wrong)} of them differ", flush=True)
    for words in wrong[:3]:
        print("\n".join(words))
    return len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=BUILD)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("directories", nargs="*", help="each by itself; without any, all of them as one")
    options = parser.parse_args()
    every = sorted(path.parent for path in HERE.glob("*/expected.tsv"))
    sets = {name: list(texts_of(HERE / name)) for name in options.directories}
    sets = sets or {"all": [text for directory in every for text in texts_of(directory)]}
    return 1 if sum(judge(options.build, name, texts, options.orders, options.seed) for name, texts in sets.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
