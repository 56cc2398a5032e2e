#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Documents in any state: each row of docs/how-to/documents.md, for a ServiceEntry, a VirtualService and a DestinationRule, and for
a PeerAuthentication and an AuthorizationPolicy, while the daemon runs and with a kill and a start between: what calls get, what
`show objects`, `show last-good` and `--check` say, and what `forget` lets go of. --check beside the daemon writes nothing.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import meltemi_lab.daemon
from meltemi_lab import TESTS, Lab, check, equal, main
from meltemi_lab.check import PATIENCE, within
from meltemi_lab.daemon import MELTEMID

PAGE = TESTS.parent / "docs/how-to/documents.md"

# Each object has a service of its own in a namespace of its own, at the address behind it.
NAMES = {"se": 41, "vs": 42, "dr": 43, "pa": 44, "ap": 45}
KINDS = {"se": "ServiceEntry", "vs": "VirtualService", "dr": "DestinationRule", "pa": "PeerAuthentication", "ap": "AuthorizationPolicy"}
ORDINARY, RESTRICTING = ("se", "vs", "dr"), ("pa", "ap")

SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: n-{name}, creationTimestamp: "{time}"}}
spec:
  hosts: [{name}.example]
  addresses: [240.240.0.{vip}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 20880, name: tcp-metaprotocol-dubbo, protocol: TCP}}]
  endpoints: [{endpoints}]
"""
ENDPOINTS = {n: f"{{address: 198.51.100.1{n}, labels: {{v: v{n}}}}}" for n in (1, 2)}
HEAD = 'apiVersion: {group}/v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: n-{name}\n  creationTimestamp: "{time}"\nspec:\n'
SPECS = {
    "vs": ("  hosts: [vs.example]\n  http: [{route: [{destination: {host: vs.example, subset: v1}}]}]\n",
           "  hosts: [vs.example]\n  http: [{route: [{destination: {host: vs.example, subset: v2}}]}]\n"),
    "dr": ("  host: dr.example\n  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: user-id}}}\n",
           "  host: dr.example\n  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n"),
    "pa": ("  mtls: {mode: STRICT}\n", "  mtls: {mode: PERMISSIVE}\n"),
    "ap": ("  action: ALLOW\n", "  action: ALLOW\n  rules: [{}]\n"),
}
TIMES = ("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z")
# What calls get of the first version, of the second, and without any.
CALLS = {
    "se": ("s1", "s2", "nothing"),
    "vs": ("s1", "s2", "s1 s2"),
    "dr": ("one", "s1 s2", "s1 s2"),
    "pa": ("refused", "s1 s2", "s1 s2"),
    "ap": ("denied", "s1 s2", "s1 s2"),
}
FIRST, SECOND, NONE = 0, 1, 2


def text(name, version):
    """An object's document: its first version or its second, which is younger."""
    if name == "se":
        return SERVICE.format(name=name, vip=NAMES[name], time=TIMES[version], endpoints=ENDPOINTS[version + 1])
    group = "security.istio.io" if name in RESTRICTING else "networking.istio.io"
    return HEAD.format(group=group, kind=KINDS[name], name=name, time=TIMES[version]) + SPECS[name][version]


def good(name, version):
    """The status of a version that is in force."""
    if name == "pa":
        return "fail-closed" if version == FIRST else "in-force-with-notes"
    return "in-force"


def status_of(row):
    """The status without the notes that services of this test have because they share endpoints with services that policies protect."""
    shared = row["status"] == "in-force-with-notes" and all(" bypass " in note["text"] for note in row["notes"])
    return "in-force" if shared else row["status"]


class Scene:
    """The files of the five objects, each in one of its own, below the directory that is read."""

    def __init__(self, lab):
        self.lab = lab
        self.daemon = lab.meltemi()
        self.root = self.daemon.services
        self.node = self.daemon.node.read_text()
        self.set = self.root / "set"
        self.set.mkdir()
        services = [SERVICE.format(name=name, vip=NAMES[name], time=TIMES[0], endpoints=", ".join(ENDPOINTS.values()))
                    for name in NAMES if name != "se"]
        subsets = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: subsets, namespace: n-vs}\n" \
                  "spec: {host: vs.example, subsets: [{name: v1, labels: {v: v1}}, {name: v2, labels: {v: v2}}]}\n"
        self.daemon.write("base.yaml", "---\n".join([*services, subsets]))
        self.all(FIRST)

    def file(self, name):
        return self.set / f"{name}.yaml"

    def write(self, path, content):
        """By a hidden name beside it, as rsync does."""
        scratch = path.with_name(f".{path.name}.new")
        scratch.write_text(content)
        os.rename(scratch, path)

    def all(self, version, names=NAMES):
        for name in names:
            self.write(self.file(name), text(name, version))

    def restore(self):
        """From whatever state: only the first versions, each in its file."""
        if self.daemon.node.read_text() != self.node:
            self.write(self.daemon.node, self.node)
        away = self.lab.directory / "away"
        if not self.root.exists():
            os.rename(away, self.root)
        for path in self.root.rglob("*"):
            if path.is_file():
                path.chmod(0o600)
        self.set.mkdir(exist_ok=True)
        self.all(FIRST)
        for path in self.root.rglob("*.yaml"):
            if path != self.root / "base.yaml" and path not in [self.file(name) for name in NAMES]:
                path.unlink()

    def rows(self):
        """The rows of each object that is not ignored."""
        found = {name: [] for name in NAMES}
        for row in self.daemon.show("objects")["objects"]:
            if row["name"] in NAMES and row["kind"] == KINDS[row["name"]]:
                found[row["name"]].append(row)
        return found

    def statuses(self):
        return {name: sorted(status_of(row) for row in rows) for name, rows in self.rows().items()}

    def settle(self, wanted, what, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while True:
            have = self.statuses()
            if have == wanted:
                return
            check(time.monotonic() < end, f"{what}: objects are {have}, not {wanted}\n{self.daemon.process.tail()}")
            time.sleep(0.1)

    def calls(self, what, wanted, **but):
        """What calls of each service get: servers, "denied", "refused" (who connects is), or "nothing"."""
        clients = {}
        wants = {name: but.get(name, CALLS[name][wanted[name]]) for name in NAMES}
        for name, vip in NAMES.items():
            try:
                self.lab.connect("client", f"240.240.0.{vip}", 20880, timeout=2 if wants[name] == "nothing" else PATIENCE).close()
                clients[name] = self.lab.dubbo_client(f"240.240.0.{vip}:20880", count=40, outstanding=2, attach="user-id=7")
            except OSError as error:
                clients[name] = "refused" if isinstance(error, ConnectionRefusedError) and name != "se" else "nothing"
        for name, client in clients.items():
            report = None if isinstance(client, str) else client.result()
            if not report:
                got = client
            elif report["failed"] == 40 and all(kind.startswith("status-") for kind in report["errors"]):
                got = "denied"
            else:
                equal(report["answered"], 40, f"{what}: calls of {name} that were answered ({report})")
                got = " ".join(server.split("/")[1] for server in report["by_server"])
            want = wants[name]
            check(got == want or (want == "one" and got in ("s1", "s2")), f"{what}: calls of {name} get {got}, not {want}")

    def live(self, make):
        """While it runs; the daemon has read what was made, by itself."""
        began = time.monotonic()
        made = make(self)

        def reloaded():
            ago = self.daemon.show("config").get("last_reload_ago_s")
            return ago is not None and time.monotonic() - began >= ago + 1

        within(15, reloaded, "a reload by itself")
        return made

    def restart(self, between=lambda: None):
        """Killed without a word, and started on what is there then."""
        self.daemon.process.kill(signal.SIGKILL)
        self.daemon.process.popen.wait()
        between()
        self.daemon.start()


# ---- the states ----------------------------------------------------------------------------------------
# Each returns (what is in force of each object, statuses of its rows); the scene is as restore() leaves it.

def every(version, status=None):
    return {name: version for name in NAMES}, {name: [status] if status else [good(name, version)] for name in NAMES}


def edited(scene):
    scene.all(SECOND)
    return every(SECOND)


def mistake(scene):
    for name in NAMES:
        scene.write(scene.file(name), text(name, SECOND) + "surprise: 1\n")
    return every(FIRST, "last-good")


def deleted(scene):
    for name in NAMES:
        scene.file(name).unlink()
    return {name: NONE for name in NAMES}, {name: [] for name in NAMES}


def other_file(scene):
    for name in NAMES:
        os.rename(scene.file(name), scene.set / f"moved-{name}.yaml")
    return every(FIRST)


def other_directory(scene):
    (scene.root / "another").mkdir(exist_ok=True)
    for name in NAMES:
        os.rename(scene.file(name), scene.root / "another" / f"{name}.yaml")
    return every(FIRST)


def same_twice(scene):
    for name in NAMES:
        scene.write(scene.root / f"copy-{name}.yaml", "# another layout\n" + text(name, FIRST) + "status: {seen: true}\n")
    return every(FIRST)


def twice(scene):
    for name in NAMES:
        scene.write(scene.root / f"copy-{name}.yaml", text(name, SECOND))
    both = {"pa": ["fail-closed", "shadowed"], "ap": ["in-force-with-notes", "in-force-with-notes"]}
    return every(FIRST)[0], {name: both.get(name, ["in-force-with-notes", "refused"]) for name in NAMES}


def illegible(scene):
    for name in NAMES:
        scene.write(scene.file(name), text(name, SECOND) + "  x: [\n")
    return every(FIRST, "last-good")


def nameless(scene):
    for name in NAMES:
        scene.write(scene.file(name), "{{ what is this\n")
    return every(FIRST, "last-good")


def half_switched(scene):
    scene.all(SECOND, ("se", "pa"))
    versions = {name: SECOND if name in ("se", "pa") else FIRST for name in NAMES}
    return versions, {name: [good(name, version)] for name, version in versions.items()}


def switched(scene):
    """Another directory in its place, as releases and mounted volumes do it."""
    new = scene.root / ".next"
    new.mkdir()
    for name in NAMES:
        (new / f"{name}.yaml").write_text(text(name, SECOND))
    os.rename(scene.set, scene.lab.directory / "old")
    os.rename(new, scene.set)
    shutil.rmtree(scene.lab.directory / "old")
    return every(SECOND)


def unreadable(scene):
    for name in NAMES:
        scene.file(name).chmod(0)
    return every(FIRST, "last-good")


def directory_gone(scene):
    os.rename(scene.set, scene.lab.directory / "set-gone")
    shutil.rmtree(scene.lab.directory / "set-gone")
    return {name: NONE for name in NAMES}, {name: [] for name in NAMES}


def named_directory_gone(scene):
    os.rename(scene.root, scene.lab.directory / "away")
    return every(FIRST, "last-good")


def misspelled(scene):
    """One letter too many in the Node."""
    text = scene.node.replace(f"directory: {scene.root}", f"directory: {scene.root}z")
    check(text != scene.node, "the Node names the directory")
    scene.write(scene.daemon.node, text)
    return every(FIRST, "last-good")


def emptied(scene):
    for name in NAMES:
        scene.file(name).write_text("")
    return every(FIRST)


# Name in the page: what is done, the exit status of --check, and the statuses after a start where they differ.
STATES = {
    "edited": (edited, 0, None),
    "a mistake in it": (mistake, 1, None),
    "deleted": (deleted, 0, None),
    "moved to another file": (other_file, 0, None),
    "moved to another directory": (other_directory, 0, None),
    "twice, the same": (same_twice, 0, None),
    "twice, with different content": (twice, 1, None),
    "illegible, with its name": (illegible, 1, None),
    "illegible, without a name": (nameless, 1, None),
    "a directory half switched": (half_switched, 0, None),
    "a directory replaced as a whole": (switched, 0, None),
    "a file that cannot be read": (unreadable, 1, None),
    "a directory below that is gone": (directory_gone, 0, None),
    "a named directory that is gone": (named_directory_gone, 1, None),
    "a source that is misspelled in the Node": (misspelled, 1, None),
    "a file of 0 bytes": (emptied, 1, "last-good"),
}


def page_names_every_row():
    rows = re.findall(r"^\| ([^|]+?) +\|", PAGE.read_text(), re.M)
    listed = [row for row in rows if row not in ("state", "---")]
    equal(listed, list(STATES), f"rows of {PAGE.name}")


def state_files(daemon):
    """What --check must not touch."""
    state = daemon.directory / "state"
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(state.iterdir()) if path.is_file()}


def settled_state_files(daemon):
    """Those once the daemon, whose own thread writes them, has not for a second."""
    for _ in range(30):
        files = state_files(daemon)
        time.sleep(1)
        if state_files(daemon) == files:
            return files
    raise AssertionError("the state directory is written to for ever")


def check_says(scene, what, code):
    before = settled_state_files(scene.daemon)
    status, words = scene.daemon.check()
    equal(status, code, f"{what}: exit status of --check ({words})")
    equal(state_files(scene.daemon), before, f"{what}: files of the state directory behind --check")


def held_says(scene, what, statuses):
    kept = {row["name"] for row in scene.daemon.show("last-good")["last_good"]}
    equal(kept & set(NAMES), {name for name, rows in statuses.items() if "last-good" in rows}, f"{what}: show last-good")


def run_state(scene, name, restart):
    make, code, after_start = STATES[name]
    what = f"{name}{', with a start between' if restart else ''}"
    made = []
    if restart:
        scene.restart(lambda: made.append(make(scene)))
    else:
        made.append(scene.live(make))
    versions, statuses = made[0]
    if restart and after_start:
        statuses = {each: [after_start] for each in NAMES}
    scene.settle(statuses, what)
    scene.calls(what, versions)
    held_says(scene, what, statuses)
    check_says(scene, what, code)
    if name == "twice, the same":
        equal({each: len(rows[0]["origins"]) for each, rows in scene.rows().items()}, {each: 1 for each in NAMES}, f"{what}: origins")
    if name == "a directory half switched":
        scene.live(lambda of: of.all(SECOND))
        scene.settle(every(SECOND)[1], f"{what}, and the rest")
        scene.calls(f"{what}, and the rest", every(SECOND)[0])
    print(f"{what}: {statuses}", flush=True)
    scene.restore()
    scene.settle(every(FIRST)[1], f"behind {what}")


def lax_before(scene, restart):
    """A restriction that let everybody in goes on doing so while its stricter version is wrong; put right, it closes."""
    scene.live(lambda of: of.all(SECOND))
    scene.settle(every(SECOND)[1], "the lax versions")

    def broken():
        for name in NAMES:
            scene.write(scene.file(name), text(name, FIRST) + "surprise: 1\n")

    if restart:
        scene.restart(broken)
    else:
        broken()
    scene.settle(every(SECOND, "last-good")[1], "a mistake in the stricter version")
    scene.calls("a mistake in the stricter version", every(SECOND)[0])
    scene.restore()
    scene.settle(every(FIRST)[1], "the stricter version put right")
    scene.calls("the stricter version put right", every(FIRST)[0])


def forgotten(scene):
    """No last good version is in force any more: what is ordinary is not served, what restricts closes its namespace. Also behind a start."""
    for name in NAMES:
        scene.write(scene.file(name), text(name, FIRST) + "surprise: 1\n")
    scene.settle(every(FIRST, "last-good")[1], "before forget")
    for name in NAMES:
        scene.daemon.shell("forget", KINDS[name], f"n-{name}/{name}", fail=False)
    wanted = {name: NONE for name in ORDINARY} | {name: FIRST for name in RESTRICTING}
    for again in (False, True):
        if again:
            scene.restart()
        scene.settle({name: ["refused"] for name in NAMES}, "behind forget")
        scene.calls("behind forget", wanted, ap="refused")
        check_says(scene, "behind forget", 1)
    scene.restore()
    scene.settle(every(FIRST)[1], "behind what was forgotten")


def check_of_other_documents(scene):
    """Documents that are only tried, on the daemon's own state directory: nothing of them is kept there."""
    tried = scene.lab.directory / "tried"
    tried.mkdir()
    (tried / "new.yaml").write_text(SERVICE.format(name="new", vip=60, time=TIMES[0], endpoints=ENDPOINTS[1])
                                    .replace("  addresses: [240.240.0.60]\n", ""))
    (tried / "se.yaml").write_text(text("se", FIRST) + "surprise: 1\n")
    node = scene.lab.directory / "tried.yaml"
    node.write_text(scene.daemon.node.read_text().replace(f"directory: {scene.root}}}", f"directory: {tried}}}"))
    before = settled_state_files(scene.daemon)
    done = subprocess.run([MELTEMID, "-c", node, "--check", "--json"], text=True, capture_output=True, timeout=30, check=False)
    equal(done.returncode, 1, f"exit status ({done.stderr})")
    rows = {row["name"]: row["status"] for row in json.loads(done.stdout)["objects"]}
    equal((rows["new"], rows["se"]), ("in-force", "last-good"), "statuses of what is tried, with the daemon's kept state")
    equal(state_files(scene.daemon), before, "files of the state directory behind --check of other documents")
    check("vips.json" in before and "objects.jsonl" in before, f"the state directory has no such files: {list(before)}")


def resident_mib(daemon):
    pid = daemon.process.pid  # "ip netns exec" has become the daemon
    return int(re.search(r"^VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)) // 1024


def rubbish(scene):
    """All of it at once, in a directory of its own: told, bounded, and nothing else changes; taken away, nothing is left of it."""
    before = resident_mib(scene.daemon)

    def pour(_scene):
        new = scene.root / ".rubbish"
        new.mkdir()
        (new / "huge.yaml").touch()
        os.truncate(new / "huge.yaml", 100 << 20)
        (new / "binary.yaml").write_bytes(os.urandom(1 << 20))
        (new / "many.yaml").write_text("---\nkind: {{\n" * 10000)
        (new / "line.yaml").write_text("x: {" + "a," * (7 << 20))
        (new / "latin1.yaml").write_bytes(text("se", SECOND).encode() + b"x: caf\xe9\n")
        (new / ("n" * 250 + ".yaml")).write_text("{{")
        (new / "a\x1b[31m\n\x07.yaml").write_text("{{")
        os.mkfifo(new / "pipe.yaml")
        os.symlink("self.yaml", new / "self.yaml")
        os.symlink("..", new / "round")
        for number in range(10000):
            (new / f"{number}.yml").write_text("nothing of a mesh\n")
        os.rename(new, scene.root / "rubbish")

    scene.live(pour)
    scene.settle({"se": ["in-force-with-notes", "refused"]} | {name: [good(name, FIRST)] for name in NAMES if name != "se"}, "beside rubbish")
    scene.calls("beside rubbish", every(FIRST)[0])
    grown = resident_mib(scene.daemon) - before
    print(f"beside rubbish: {grown} MiB more", flush=True)
    check(grown < 300, f"the daemon has grown by {grown} MiB")
    told = scene.daemon.shell("show", "config")
    for words in ("huge.yaml: error: cannot be read: File too large", "pipe.yaml: error: cannot be read: it is a pipe",
                  "self.yaml: error: cannot be read: Too many levels", "latin1.yaml:", "a\\x1b[31m"):
        check(words in told, f"show config does not say {words}: {told[:2000]}")
    check("\x1b" not in told and "\x07" not in told, "control characters reach the operator's terminal")
    scene.live(lambda _scene: shutil.rmtree(scene.root / "rubbish"))
    scene.settle(every(FIRST)[1], "behind rubbish")
    check_says(scene, "behind rubbish", 0)


def many_directories(scene):
    """The Node names 80 directories: a change in the last of them takes effect by itself."""
    many = [scene.lab.directory / f"many-{n}" for n in range(80)]
    for directory in many:
        directory.mkdir()
    sources = "".join(f", {{directory: {directory}}}" for directory in many)
    scene.write(scene.daemon.node, scene.node.replace(f"{{directory: {scene.root}}}", f"{{directory: {scene.root}}}{sources}"))

    def names():
        return {row["name"] for row in scene.daemon.show("objects")["objects"]} & {"first", "second"}

    for name, vip, wanted in (("first", 63, {"first"}), ("second", 64, {"first", "second"})):
        scene.write(many[-1] / f"{name}.yaml", SERVICE.format(name=name, vip=vip, time=TIMES[0], endpoints=ENDPOINTS[1]))
        within(PATIENCE, lambda wanted=wanted: names() == wanted, f"{name} in the last directory")
    scene.restore()
    within(PATIENCE, lambda: not names(), "directories that left")


def the_nodes_file(scene):
    """It is watched, too: another directory is read and watched at once, and what needs a restart is named."""
    node, more = scene.daemon.node, scene.lab.directory / "more"
    before = node.read_text()
    more.mkdir()
    new = SERVICE.format(name="more", vip=62, time=TIMES[0], endpoints=ENDPOINTS[1])
    (more / "more.yaml").write_text(new)

    def server(seconds=PATIENCE):
        try:
            scene.lab.connect("client", "240.240.0.62", 20880, timeout=seconds).close()
        except OSError:
            return ""
        return " ".join(scene.lab.dubbo_client("240.240.0.62:20880", count=20).result()["by_server"])

    listing = f"sources: [{{directory: {scene.root}}}"
    scene.live(lambda _scene: scene.write(node, before.replace(listing, f"{listing}, {{directory: {more}}}").replace("workers: 1", "workers: 2")))
    within(5, lambda: server() == "v1/s1", "a directory that the Node's file names now is read")
    config = scene.daemon.show("config")
    equal((config["restart_needed_for"], str(more) in config["directories"]), ("spec.workers", True), "what show config says")
    scene.live(lambda _scene: scene.write(more / "more.yaml", new.replace("198.51.100.11", "198.51.100.12")))
    within(5, lambda: server() == "v2/s2", "a directory that the Node's file names now is watched")
    scene.live(lambda _scene: scene.write(node, "{{"))
    equal(server(), "v2/s2", "beside a Node's file that cannot be read")
    equal(scene.daemon.check()[0], 2, "exit status of --check of a Node that cannot be read")
    scene.live(lambda _scene: scene.write(node, before))
    within(5, lambda: not server(2), "a directory that the Node's file names no more is not served")
    scene.settle(every(FIRST)[1], "behind the Node's file")


def without_roots_rights(lab):
    """The daemon as a program that cannot read each and every file; false: it can be no such program."""
    if not shutil.which("setpriv"):
        return False
    program = lab.directory / "meltemid-bounded"
    program.write_text(f'#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search {MELTEMID} "$@"\n')
    program.chmod(0o755)
    meltemi_lab.daemon.MELTEMID = program
    return True


def body():
    page_names_every_row()
    with Lab(servers=2) as lab:
        bounded = without_roots_rights(lab)
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        scene = Scene(lab)
        scene.daemon.write("auto.yaml", SERVICE.format(name="auto", vip=61, time=TIMES[0], endpoints=ENDPOINTS[1])
                           .replace("  addresses: [240.240.0.61]\n", ""))
        scene.daemon.start()
        scene.daemon.leaves("errors", "documents are broken", "module=config")
        scene.settle(every(FIRST)[1], "at first")
        scene.calls("at first", every(FIRST)[0])
        check_says(scene, "at first", 0)
        for name in STATES:
            if name == "a file that cannot be read" and not bounded:
                print(f"{name}: left out, there is no setpriv to take root's rights away", flush=True)
                continue
            for restart in (False, True):
                run_state(scene, name, restart)
        for restart in (False, True):
            lax_before(scene, restart)
        rubbish(scene)
        the_nodes_file(scene)
        many_directories(scene)
        forgotten(scene)
        check_of_other_documents(scene)


main(body)
