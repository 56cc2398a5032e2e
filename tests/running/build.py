# SPDX-License-Identifier: Apache-2.0
"""
Builds what the chosen tests need, and nothing else. A second runner in the same clone waits for the first. Peers of labs are built if all
labs of their kind are chosen; a lab builds those that are missing.
"""

import configparser
import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import sys
import time

from . import cache
from .job import A_LAB, ALL_CORES, ASAN, BESIDE, DEBUG, FUZZ, ROOT, TESTS, TSAN
from .process import run_limited

SANITIZED = ("-Db_sanitize=address,undefined", "-Db_lundef=false")
OPTIONS = {DEBUG: ("-Dwerror=true",), ASAN: SANITIZED, FUZZ: ("-Dfuzz=true", *SANITIZED),
           TSAN: ("-Db_sanitize=thread", "-Db_lundef=false")}
# Options that change the results of tests, with meson's defaults.
DECIDE = {"buildtype": "release", "b_sanitize": "none", "b_lto": "false", "b_ndebug": "false", "tests": "true", "bench": "true",
          "fuzz": "false"}
COMPILERS = {FUZZ: ("clang", "clang++")}
NICE = 10
# Programs that build peers of labs, and a test that a run has if it has all labs that need these.
PEERS = {"brpc/build.sh": "brpc/test_brpc", "dubbo/build.sh": "dubbo/test_pairs", "javarpc/build.sh bolt": "javarpc/test_bolt",
         "javarpc/build.sh motan": "javarpc/test_motan", "thrift/build.sh cpp": "thrift/test_pairs", "thrift/build.sh go": "thrift/test_one_way_of_go",
         "tls/build.sh": "tls/test_peers", "trpc/build.sh": "trpc/test_trpc", "xds/build.sh": "xds/test_ads"}


@contextlib.contextmanager
def alone():
    """Prevents builds by other runs and demos in this clone meanwhile."""
    with open(ROOT / "meson.build", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run that builds in this clone", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unusable(directory):
    """Why this directory cannot be used, or None: it is not writable, or was configured with other options."""
    for path in (directory, *(directory / name for name in ("build.ninja", ".ninja_log", ".ninja_deps", "meson-logs", "meson-private"))):
        if path.exists() and not os.access(path, os.W_OK):
            return f"{path} cannot be written: if it belongs to another user, as after `sudo tests/run`, run as that user, or remove {directory}"
    said, wanted = configparser.ConfigParser(interpolation=None, delimiters=("=",)), dict(word[2:].split("=") for word in _options(directory))
    said.read(directory / "meson-private/cmd_line.txt", encoding="utf-8")
    if not said.has_section("options"):
        return None
    other = [f"{name}={value}" for name, want in {**DECIDE, **wanted}.items()
             if (value := said["options"].get(name, DECIDE.get(name, "its default")).lower()) != want]
    return f"{directory} was configured with {', '.join(other)}; tests need other values: remove it" if other else None


def _options(directory):
    return ("-Dbuildtype=debugoptimized", *OPTIONS[directory])


def _configure(directory):
    reason = _unusable(directory)
    if reason:
        return 1, reason, 0
    fresh = not (directory / "build.ninja").exists()
    setup = ["meson", "setup", directory, *_options(directory)]
    if (directory / "meson-private/coredata.dat").exists():
        setup.append("--reconfigure")  # meson was killed before it wrote build.ninja; without this it would do nothing
    env = {**cache.environment()[0], **cache.compilers(*COMPILERS.get(directory, ()))}
    return run_limited(setup if fresh else ["ninja", "-C", directory, "build.ninja"], 600, env)


def configured(directory):
    """Updates meson's list of tests and compiles nothing. False: meson failed."""
    with alone():
        status, output, _ = _configure(directory)
    if status != 0:
        print(output[-3000:], flush=True)
    return status == 0


@dataclasses.dataclass
class Build:
    """A job that makes some targets of a build directory. Compilers use all cores at a low priority."""
    directory: pathlib.Path
    targets: tuple
    number: int
    name: str = ""
    takes: str = ALL_CORES
    after: tuple = ()
    seconds: int = 3600

    def __post_init__(self):
        self.name = f"build/{self.directory.name.removeprefix('build-')}-{self.number}"

    def make(self):
        """Makes the targets; returns as run_limited()."""
        with alone():
            began = time.monotonic()
            done = _configure(self.directory)
            if done[0] != 0:
                return done
            left = self.seconds - (time.monotonic() - began)
            return run_limited(["ninja", "-C", self.directory, *sorted(self.targets)], left, cache.environment()[0], nice=NICE)


@dataclasses.dataclass
class Peers:
    """A job that builds peers. Labs say what is missing if it fails, so a run goes on."""
    commands: list
    name: str = "build/peers"
    takes: str = ALL_CORES
    after: tuple = ()
    seconds: int = 900  # each

    def make(self):
        """Returns as run_limited(), with the outputs of those that failed."""
        done = [run_limited(command, self.seconds, nice=NICE) for command in self.commands]
        failed = [one for one in done if one[0] != 0]
        return (failed[0][0] if failed else 0), "\n".join(one[1] for one in failed), sum(one[2] for one in done)


def _peers(jobs):
    """The build of peers that these jobs need, in a list; none: empty."""
    names = {job.name for job in jobs}
    commands = [[TESTS / "interop" / words[0], *words[1:]] for program, test in PEERS.items() if f"interop/{test}" in names
                for words in [program.split()]]
    return [Peers(commands)] if commands else []


def _build(directory, number, jobs):
    """The build of what these jobs need, which they wait for."""
    build = Build(directory, tuple({target for job in jobs for target in job.targets}), number)
    for job in jobs:
        job.after = (*job.after, build.name)
    return build


def _builds(jobs, first):
    """The builds in order: the plain one in two stages, of which the first has the targets that many labs need."""
    for directory in (DEBUG, ASAN, TSAN, FUZZ):
        chosen = [job for job in jobs if job.build == directory and job.targets]
        early = [job for job in chosen if directory == DEBUG and set(job.targets) <= first]
        late = [job for job in chosen if job not in early]
        yield from (_build(directory, number, stage) for number, stage in enumerate((early, late), 1) if stage)


def builds_of(jobs, first):
    """
    The builds that the jobs need. Sets `after` of builds and jobs, so that no lab runs beside a compiler, which would take the cores that
    its peers need: the plain build is first, then the peers, then all labs of the plain build, then the other builds, then the labs of those. Lint that needs
    no build is before all.
    """
    made = list(_builds(jobs, set(first)))
    plain, other = [build for build in made if build.directory == DEBUG], [build for build in made if build.directory != DEBUG]
    plain += _peers(jobs)
    builds = [*plain, *other]
    labs = [job for job in jobs if job.takes == A_LAB and job.stage == BESIDE]
    for lab in labs:
        lab.after = (*lab.after, *(build.name for build in (plain if lab.build == DEBUG else builds)))
    before = [job.name for job in jobs if job.name.startswith("lint/") and not job.targets and job.stage == BESIDE]
    for build in plain:
        build.after, before = tuple(before), [build.name]
    before += [lab.name for lab in labs if lab.build == DEBUG]
    for build in other:
        build.after, before = tuple(before), [*before, build.name]
    return builds


def known_of(directory):
    """(meson's tests, each with the files that it needs; the files of all libraries), from `meson introspect`."""
    status, output, _ = run_limited(["meson", "introspect", "--tests", "--targets", directory], 300)
    if status != 0:
        raise SystemExit(output[-3000:])
    found = json.loads(output)
    files = {target["id"]: [name.removeprefix(f"{directory}/") for name in target["filename"]] for target in found["targets"]}
    for test in found["tests"]:
        test["files"] = tuple(name for ident in test["depends"] for name in files.get(ident, []))
    rooms = [name for target in found["targets"] if target["name"].startswith("mt_") for name in files[target["id"]]]
    return found["tests"], tuple(rooms)
