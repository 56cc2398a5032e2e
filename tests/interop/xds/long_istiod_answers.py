#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Asks a real istiod 1.31 the questions of tests/documents/istiod: each scene's documents are served by it (Istio's as files, those of
Kubernetes by a real API server), each client connects as a proxy would, and what is told is read down to the endpoints. The answers
must be those that are kept there, with which tests/documents/istiod/run.py compares Meltemi's own reading of the same documents.

  long_istiod_answers.py [--update] [--show] [--keep DIRECTORY] [SCENE]...
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import environment  # noqa: E402

OF = "istiod 1.31 (istio.io/istio v0.0.0-20260827124520-eed52ebb66ad), of MetaRouters to Aeraki 56e4de0"
SETTLED = 0.5


def settled(reading, target, questions):
    """What istiod says twice in a row: its collections fill one after the other."""
    before = None
    for _ in range(20):
        now = reading.answers(target, questions)
        if now == before:
            return now
        before = now
        time.sleep(SETTLED)
    raise SystemExit(f"{questions[0].scene}: istiod says something else each time")


def istiods(lab, questions):
    import istiod_reading as reading

    target = lab.scene((reading.asked.SCENES / f"{questions[0].scene}.yaml").read_text())
    return settled(reading, target, questions)


def asked_all(options, lab_class, ask, routers):
    """Asks, scene by scene, what is to be asked of that lab: `routers`: of MetaRouters."""
    from istiod_reading import asked

    everything = asked.questions()
    questions = [one for one in everything if (one.rule == asked.ROUTERS) == routers]
    scenes = options.scenes or list(dict.fromkeys(one.scene for one in questions))
    found = {}
    with tempfile.TemporaryDirectory(prefix="istiod") as place:
        lab = lab_class(options.keep or place)
        try:
            for scene in scenes:
                found.update(ask(lab, [one for one in questions if one.scene == scene]))
                print(f"  {scene}", flush=True)
        finally:
            lab.close()
    return asked.HERE / "answers.json", found, [one.name for one in everything]


def main(lab=None, ask=istiods, routers=False, words=__doc__):
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="keep what istiod answers")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--keep", help="an empty directory in which logs are left")
    parser.add_argument("scenes", nargs="*")
    options = parser.parse_args()
    import istiod_lab

    try:
        path, found, names = asked_all(options, lab or istiod_lab.Lab, ask, routers)
    except istiod_lab.Missing as e:
        print(f"skipped: {e}")
        return environment.SKIP
    if options.show:
        print(json.dumps(found, indent=1))
        return 0
    kept = json.loads(path.read_text())["answers"] if path.exists() else {}
    if options.update:
        whole = {**kept, **found}
        path.write_text(json.dumps({"of": OF, "answers": {name: whole[name] for name in names if name in whole}}, indent=0) + "\n")
        return 0
    bad = [name for name in found if name not in kept or kept[name] != found[name]]
    for name in bad:
        print(f"{name}\n  kept: {json.dumps(kept.get(name))}\n  now:  {json.dumps(found[name])}")
    print(f"{len(found)} questions to {OF}: {len(bad)} answered otherwise than kept")
    return 1 if bad or not found else 0


def inside(file):
    """Goes on as this script in the Python that has what is needed."""
    if os.environ.get("MELTEMI_ISTIOD_INSIDE") != "1":
        python = environment.istiod()
        os.execve(python, [str(python), file, *sys.argv[1:]], {**os.environ, "MELTEMI_ISTIOD_INSIDE": "1"})


if __name__ == "__main__":
    inside(__file__)
    sys.exit(main())
