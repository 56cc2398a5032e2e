#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Checks that no documents can crash the daemon or keep it busy. Mixtures of the documents in this directory, edited at random
(mutations.py), are loaded by the sanitized program tests/golden/loads, which compiles, publishes and analyses each set in one process;
some are also loaded by `meltemid --check --json`. A set may be accepted or partly rejected. A crash, a report of a sanitizer, a failed
assertion, or a load of more than ten CPU seconds is a fault.

  mixtures.py [--build DIRECTORY] [--sets N] [--seed N] [--chain N] [--daemon N]

A chain is a node that loads eight sets, each an edit of the one before. Data of a fault are written to BUILD/mixtures/seed-S-chain-N:
`input` for loads, the last set as `documents`, its smallest part that fails in the same way as `smallest`, and `report`.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from mutations import STEPS, Chain, Corpus, Step

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", HERE.parents[2] / "build-asan"))
CPU_SECONDS, SHRINK_SECONDS = 10, 30  # the first one: of the daemon; loads limits itself
BATCH = 40  # chains of one process, at whose end leaks are looked for
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:quarantine_size_mb=16:malloc_context_size=8", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
               "LSAN_OPTIONS": f"suppressions='{HERE.parents[1]}/leaks.supp':print_suppressions=0", **os.environ}
REPORT = re.compile(r"Sanitizer|runtime error:|MT_ASSERT|assertion", re.IGNORECASE)


class Loads:
    """The program; what it prints on stderr goes to a file."""

    def __init__(self, build):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([build / "tests/golden/loads"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        env=ENVIRONMENT)

    def send(self, records):
        """Its answer; None: it has ended."""
        try:
            self.process.stdin.write(records)
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        return self.process.stdout.readline().decode() or None

    def end(self):
        """What is wrong, in words; None: nothing."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        status = self.process.wait()
        self.errors.seek(0)
        words = self.errors.read().decode(errors="replace")
        self.errors.close()
        return f"exit status {status}\n{words}" if status else None


def run(build, flags, sets):
    """What is wrong with a node that loads these; None: nothing."""
    loads = Loads(build)
    loads.process.stdin.write(f"start {flags}\n".encode())
    for records in sets:
        if loads.send(records) is None:
            break
    return loads.end()


def signature(report):
    """Where it failed, without addresses and counts."""
    at = re.search(r"(runtime error: .*|ERROR: AddressSanitizer: \S+|ERROR: LeakSanitizer|[\w./]+:\d+: .*|no answer in .*)", report)
    frames = re.findall(r"#\d+ 0x\w+ in (\w+) \S*/(?:lib|tests|app)/", report)[:2]
    return re.sub(r"0x\w+|\d+", "N", at.group(1) if at else report[:100]), tuple(frames)


def shrink(build, chain, steps, report):
    """The steps that still fail the same way, with as few documents as can be found in a minute."""
    meant, until = signature(report), time.monotonic() + SHRINK_SECONDS

    def fails(some):
        found = run(build, chain.flags, [step.records() for step in some])
        return found is not None and signature(found) == meant

    def without(step, at, n):
        return Step(step.documents[:at] + step.documents[at + n:], [], step.words)

    for fewer in (steps[-1:], steps[-2:], steps[:1] + steps[-1:]):
        if len(fewer) < len(steps) and fails(fewer):
            steps = fewer
            break
    for which in range(len(steps) - 1, -1, -1):
        n = len(steps[which].documents) // 2
        while n and time.monotonic() < until:
            at = 0
            while at < len(steps[which].documents) and time.monotonic() < until:
                some = steps[:which] + [without(steps[which], at, n)] + steps[which + 1:]
                if fails(some):
                    steps = some
                else:
                    at += n
            n //= 2
    return steps


def write_set(step, place):
    place.mkdir(parents=True)
    for number, document in enumerate(step.documents):
        name = "mesh" if document.mesh else f"f{number:04}"
        (place / f"{name}.yaml").write_bytes(document.written().encode("utf-8", "surrogatepass") + b"\n")


def leave(options, chain, steps, report):
    """Everything that repeats it."""
    place = options.build / "mixtures" / f"seed-{chain.seed}-chain-{chain.number}"
    shutil.rmtree(place, ignore_errors=True)
    write_set(steps[-1], place / "documents")
    (place / "input").write_bytes(chain.start() + b"".join(step.records() for step in steps))
    smallest = shrink(options.build, chain, steps, report)
    for number, step in enumerate(smallest):
        write_set(step, place / "smallest" / str(number))
    (place / "smallest.input").write_bytes(chain.start() + b"".join(step.records() for step in smallest))
    edits = "\n".join(f"step {number}: {'; '.join(step.words)}" for number, step in enumerate(steps))
    (place / "report").write_text(f"directories: {chain.names}\n{edits}\n\n{report}")
    print(f"FAILED: chain {chain.number}, step {len(steps) - 1}: {' '.join(map(str, signature(report)))}; {place}/report\n"
          f"  to repeat: {HERE.relative_to(HERE.parents[2])}/mixtures.py --seed {chain.seed} --chain {chain.number}, or\n"
          f"  {options.build}/tests/golden/loads < {place}/smallest.input", flush=True)


# ---- by the daemon --------------------------------------------------------------------------------------

def sources_of(step, place):
    """The set as files, by the namespaces that they are read with; the Node document names them."""
    node, sources, number = None, {}, 0
    spec = {}
    for document in step.documents:
        number += 1
        if document.mesh:
            (place / "mesh.yaml").write_bytes(document.written().encode("utf-8", "surrogatepass"))
            spec["mesh"] = {"config": str(place / "mesh.yaml")}
        elif node is None and document.kind() == "Node" and isinstance(document.tree.get("spec"), dict):
            node = document.opened().tree
        else:
            here = place / f"documents-{document.namespace}"
            here.mkdir(exist_ok=True)
            sources[document.namespace] = {"directory": str(here), **({} if document.namespace == "-" else {"namespace": document.namespace})}
            (here / f"f{number:04}.yaml").write_bytes(document.written().encode("utf-8", "surrogatepass"))
    return node, {**spec, "sources": list(sources.values()), "stateDirectory": str(place / "state")}


def by_daemon(build, step):
    """What is wrong with the daemon's check of a set; None: nothing."""
    with tempfile.TemporaryDirectory(prefix="mixtures") as place:
        place = pathlib.Path(place)
        node, spec = sources_of(step, place)
        if node is None:
            return None
        if not isinstance(node["spec"].get("mesh"), dict):
            node["spec"].pop("mesh", None)
        node["spec"] = {**node["spec"], **spec, "mesh": {**node["spec"].get("mesh", {}), **spec.get("mesh", {})}}
        (place / "node.json").write_text(json.dumps(node, default=str))
        argv = [build / "app/meltemid/meltemid", "-c", place / "node.json", "--check", "--json"]
        done = subprocess.run(["prlimit", f"--cpu={CPU_SECONDS}", *argv], cwd=place, capture_output=True, check=False, env=ENVIRONMENT)
    words = done.stderr.decode(errors="replace")
    if done.returncode not in (0, 1, 2) or REPORT.search(words):
        return f"exit status {done.returncode}\n{words}"
    return None


# ---- all of them ----------------------------------------------------------------------------------------

class Tally:
    def __init__(self):
        self.sets = self.failed = self.by_daemon = self.rounds = 0
        self.objects = collections.Counter()

    def add(self, line):
        self.sets += 1
        for word in line.split()[1:]:
            key, value = word.split("=")
            if key == "rounds":
                self.rounds = max(self.rounds, int(value))
            else:
                self.objects[f"node {value}" if key == "node" else key] += int(value) if value.isdigit() else 1

    def __str__(self):
        counts = ", ".join(f"{n} {key}" for key, n in self.objects.most_common() if not key.startswith("node"))
        return f"{self.sets} sets, {self.objects['node used']} of them in force, at most {self.rounds} rounds; {self.by_daemon} sets by the daemon; " \
               f"objects: {counts}; {self.failed} chains failed"


def load_chain(options, loads, chain, tally):
    """False: it failed."""
    loads.process.stdin.write(chain.start())
    for number, step in enumerate(chain.steps):
        line = loads.send(step.records())
        if line is None:
            tally.failed += 1
            leave(options, chain, chain.steps[:number + 1], loads.end() or "exit status 0")
            return False
        tally.add(line)
        if options.daemon and tally.sets % options.daemon == 0:
            tally.by_daemon += 1
            report = by_daemon(options.build, step)
            if report:
                tally.failed += 1
                print(f"by the daemon: {report}")
                leave(options, chain, chain.steps[:number + 1], report)
    return True


def batch(options, corpus, numbers, tally):
    """Chains in one process, and in another one from the next chain on if it fails."""
    loads = Loads(options.build)
    for number in numbers:
        if not load_chain(options, loads, Chain(corpus, options.seed, number), tally):
            loads = Loads(options.build)
    report = loads.end()
    if not report:
        return
    # It leaks; each chain by itself says which.
    before = tally.failed
    for number in numbers:
        chain = Chain(corpus, options.seed, number)
        alone = run(options.build, chain.flags, [step.records() for step in chain.steps])
        if alone:
            tally.failed += 1
            leave(options, chain, chain.steps, alone)
    if tally.failed == before:
        tally.failed += 1
        print(f"FAILED: chains {numbers[0]} to {numbers[-1]} together, and none alone: {report}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=BUILD)
    parser.add_argument("--sets", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chain", type=int, help="no other one")
    parser.add_argument("--daemon", type=int, default=400, help="each of how many sets is also checked by the daemon; 0: none")
    options = parser.parse_args()
    options.build = options.build.absolute()
    corpus, tally = Corpus(), Tally()
    numbers = range(options.sets // STEPS) if options.chain is None else range(options.chain, options.chain + 1)
    for first in range(numbers[0], numbers[-1] + 1, BATCH):
        batch(options, corpus, range(first, min(first + BATCH, numbers[-1] + 1)), tally)
    print(tally)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
