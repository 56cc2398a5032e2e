#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A discovery server that is away: at boot, later, dead without a word, and for a cold start, which serves what was good last.
A spoilt store of it is told and does no harm; a document keeps its address when discovery wants the same.
MELTEMI_LONG: also until a dead server is noticed.
"""

import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mesh  # noqa: E402
from world import HOST, PORT, VIP, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, dubbo, equal, main, netns, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

V1, V2 = "v1/s1", "v2/s2"
FILE_VIP = "240.240.3.1"
LONG = bool(os.environ.get("MELTEMI_LONG"))


def at(w, number):
    """The service of the discovery server, at that Dubbo server."""
    return mesh.service(HOST, VIP, PORT, "dubbo", [w.endpoint(number)])


def away_at_boot(w):
    """Documents serve while no discovery server is there; when it comes, its services do, too."""
    daemon = w.meltemi(files=True)
    daemon.write("file.yaml", service("file.example", FILE_VIP, PORT, "tcp-metaprotocol-dubbo", [(*w.endpoint(2), {})]))
    daemon.start()
    w.serves([V2], target=f"{FILE_VIP}:{PORT}")
    print(f"  away at boot: {w.stream()}", flush=True)
    server = w.server()
    server.apply(*at(w, 1))
    w.serves([V1], seconds=35)
    w.stream("up")
    equal({row["type"] for row in w.xds()["types"]} >= {"CDS", "EDS", "LDS", "RDS"}, True, "types that are shown")
    return server


def away_later(w, server):
    """Killed, and dead without a word: calls go on, and the next change arrives."""
    with w.traffic(thrift=False) as reports:
        server.process.kill(signal.SIGKILL)
        time.sleep(2)
        server = w.server()
        server.apply(*at(w, 2))
        w.serves([V2], seconds=20)
        server.process.pause()
        netns.run("ip", "-n", w.lab.namespace("control"), "link", "set", "x1", "down")
        if LONG:
            within(120, lambda: w.stream()["state"] != "up", "the dead server is noticed", step=1)
            print(f"  dead: {w.stream()}", flush=True)
        else:
            time.sleep(2)
        netns.run("ip", "-n", w.lab.namespace("control"), "link", "set", "x1", "up")
        server.process.kill(signal.SIGCONT)
        server.apply(*at(w, 1))
        w.serves([V1], seconds=40)
    print(f"  killed and dead: {reports['dubbo']['answered']} calls {reports['dubbo']['by_server']}, none failed", flush=True)
    return server


def first_call(w, seconds):
    """Waits until one call is answered."""
    def call():
        try:
            with w.lab.connect("client", VIP, PORT, timeout=0.2) as sock:
                sock.sendall(dubbo.request(1, "sayHello", ["first"], {}))
                return b"hello first from" in sock.recv(4096)
        except OSError:
            return False

    within(seconds, call, "the first call", step=0.005)


def cold_start(w, server):
    """The last good configuration serves at once when nobody is there to ask."""
    equal(w.daemon.stop(), 0, "exit status")
    server.stop()
    began = time.monotonic()
    w.daemon.start()
    ready = time.monotonic()
    first_call(w, 5)
    took, beyond = time.monotonic() - began, time.monotonic() - ready
    told = within(20, lambda: next((line for line in w.daemon.process.errors().splitlines() if "module=boot" in line and "serving" in line), None),
                  "the line of the start")
    print(f"  cold start without a control plane: {told}; ready after {ready - began:.2f} s, first call after {took:.2f} s", flush=True)
    check("serving 2 services" in told, f"what was good last is not there from the beginning: {told}")
    check(beyond < 15, f"the first call took {beyond:.2f} s when all was ready: it waited for the control plane")
    w.serves([V1])


def spoilt_store(w):
    """Half of a file, or noise in it: told, and not taken; with the server back all is well."""
    equal(w.daemon.stop(), 0, "exit status")
    state = w.lab.directory / "state"
    kept = [p for p in state.rglob("*") if p.is_file() and "xds" in str(p.relative_to(state))]
    check(kept, f"no store of what was good last: {list(state.rglob('*'))}")
    for path in kept:
        equal(path.stat().st_mode & 0o077, 0, f"others may read {path.name}")
        data = path.read_bytes()
        path.write_bytes(data[:len(data) // 2])
    w.daemon.start()
    w.serves([V2], target=f"{FILE_VIP}:{PORT}")
    told = [line for line in w.daemon.process.errors().splitlines() if kept[0].name in line]
    check(told, f"nothing is said of it: {w.daemon.process.errors()}")
    print(f"  half a file: {told[0]}", flush=True)
    server = w.server()
    server.apply(*at(w, 1))
    w.serves([V1], seconds=35)
    return server


def same_address(w, server):
    """Discovery wants the address of a document's service: that one keeps it, and who was left out is told."""
    load = w.lab.dubbo_client(f"{FILE_VIP}:{PORT}", connections=2, rate=200, seconds=60)
    load.wait_line("calling")
    server.apply(*at(w, 1), *mesh.service("same.example", FILE_VIP, PORT, "dubbo", [w.endpoint(1)]))
    row = w.problem(f"{FILE_VIP}_{PORT}", "in use", seconds=20)
    print(f"  same address: {row['state']}: {row['reason']}", flush=True)
    w.serves([V2], target=f"{FILE_VIP}:{PORT}")
    server.apply(remove=[("lds", f"{FILE_VIP}_{PORT}")])
    time.sleep(1)
    load.kill(signal.SIGTERM)
    report = load.result()
    equal((report["failed"], list(report["by_server"])), (0, [V2]), f"calls to the document's service {report['errors']}")
    w.serves([V1])


def body():
    with world() as w:
        w.peers(thrift=0)
        server = away_at_boot(w)
        server = away_later(w, server)
        cold_start(w, server)
        server = spoilt_store(w)
        same_address(w, server)
        equal(w.daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    main(body)
