#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Meltemi's TCP against the kernel's over wires that lose, reorder, duplicate, corrupt, delay and throttle, at MTU 576 to
9000, over IPv4 and IPv6, opened by either: bulk both ways and at once, half-close, slow readers at both ends. No byte may be lost
or changed.

    client ─── [wire] ─── Meltemi ─── server1       the client opens, by VIP; or server1 does, and Meltemi opens to the client

By default some forty cases in which each value of each factor meets each value of every other one. --long (or
MELTEMI_LONG) goes on with the whole product in a seeded order until --seconds (900) are over; --from N starts
there at the Nth case, and what was reached is printed. The table is also written as JSON: --json FILE, by default
impairment_matrix.json in the build directory.
"""

import argparse
import contextlib
import hashlib
import json
import os
import queue
import socket
import struct
import threading
import time
import traceback

from meltemi_lab import BUILD, Lab, check, main, netns, pairwise, streams
from meltemi_lab.documents import service

PORT = 7000
# By who opens over the wire: what is called, from where, and who answers.
VIP = {("kernel", 4): "240.240.2.1", ("kernel", 6): "2001:db8:f::1", ("meltemi", 4): "240.240.2.2", ("meltemi", 6): "2001:db8:f::2"}
SERVER = {("kernel", 4): "198.51.100.11", ("kernel", 6): "2001:db8:2::11", ("meltemi", 4): "192.0.2.2",
          ("meltemi", 6): "2001:db8:1::2"}
CALLER, ANSWERER = {"kernel": "client", "meltemi": "server1"}, {"kernel": "server1", "meltemi": "client"}
PATIENT = """\
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: {name}.test, trafficPolicy: {{connectionPool: {{tcp: {{connectTimeout: 30s}}}}}}}}
"""
FACTORS = {
    "path": [(576, 4), (1280, 4), (1280, 6), (1500, 4), (1500, 6), (9000, 4), (9000, 6)],
    "loss": [0, 10, 100, 300, 500],  # of 10,000
    "opens": ["kernel", "meltemi"],
    "delay_ms": [0, 10, 50, 100],
    "reorder": [0, 200],
    "dup": [0, 100],
    "corrupt": [0, 50],
    "kbit": [0, 100000, 10000],
}
HEADER = struct.Struct("!cIQd")  # what to do, seed of the content, its length, seconds that the slow side takes
PATIENCE = 150


def paced(sock, length, seconds):
    """sha256 of all that comes, in steps that take so long for `length` bytes."""
    sha, step = hashlib.sha256(), max(length // 40, 256)
    while data := sock.recv(step):
        sha.update(data)
        time.sleep(seconds * len(data) / max(length, 1))
    return sha.hexdigest()


def serve(sock):
    """The server behind Meltemi."""
    sock.settimeout(PATIENCE)
    head = b""
    while len(head) < HEADER.size:
        part = sock.recv(HEADER.size - len(head))
        if not part:
            return
        head += part
    what, seed, length, seconds = HEADER.unpack(head)
    if what in b"DB":
        sender = threading.Thread(target=sock.sendall, args=(streams.content(seed, length),), daemon=True)
        sender.start()
    sha = paced(sock, length, seconds)
    if what in b"DB":
        sender.join()
    sock.sendall(sha.encode())
    sock.close()


def client(sock, what, seed, length, seconds):
    """One stream; whether both sides got what the other one sent. The digest of the client's bytes follows the server's."""
    up = b"" if what == b"D" else streams.content(seed + 1, length)
    sock.settimeout(PATIENCE)

    def send():
        sock.sendall(HEADER.pack(what, seed, length, seconds if what == b"S" else 0) + up)
        sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    down = b"" if what in (b"U", b"S") else streams.content(seed, length)
    got = bytearray()
    step = max(length // 40, 256) if what == b"D" and seconds else 1 << 16
    while data := sock.recv(step):
        got += data
        if what == b"D" and seconds:
            time.sleep(seconds * len(data) / max(length, 1))
    sender.join()
    sock.close()
    return bytes(got) == down + hashlib.sha256(up).hexdigest().encode()


def size_of(case):
    """Bytes that take about a second, by what loss, delay and rate let pass (Mathis et al.)."""
    mtu, rtt = case["path"][0], 2 * case["delay_ms"] / 1000 + 0.002
    lost = max((case["loss"] + case["corrupt"]) / 10000, 1e-4)
    rate = min(min(mtu, 1500) / rtt / lost ** 0.5, 3e6, case["kbit"] * 125 or 3e6)
    return int(min(max(rate, 80000), 3000000))


class Lane:
    """The cases of one MTU, one after the other, in a lab of their own."""

    def __init__(self, lab, mtu, cases, results, until):
        self.lab, self.mtu, self.results, self.until = lab, mtu, results, until
        self.cases = cases
        self.stack = contextlib.ExitStack()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def prepare(self):
        for role in ANSWERER.values():
            self.stack.enter_context(self.lab.listening(role, PORT, serve))
        netns.run("ip", "-n", self.lab.namespace("server1"), "route", "add", "240.240.0.0/16", "via", "198.51.100.1")
        for role, via in (("client", "2001:db8:1::1"), ("server1", "2001:db8:2::1")):
            if self.lab.ipv6:
                netns.run("ip", "-n", self.lab.namespace(role), "-6", "route", "add", "2001:db8:f::/48", "via", via)
        daemon = self.lab.meltemi(mb=192)
        here = [way for way in VIP if way[1] == 4 or self.lab.ipv6]
        for opens, family in here:
            name = f"{opens}{family}"
            daemon.write(f"{name}.yaml", service(f"{name}.test", f'"{VIP[opens, family]}"', PORT, "tcp",
                                                 [(f'"{SERVER[opens, family]}"', PORT, {})]))
            daemon.write(f"{name}-rule.yaml", PATIENT.format(name=name))
        daemon.start()
        for opens, family in here:  # neighbours are known before anything gets lost
            sock = self.lab.connect(CALLER[opens], VIP[opens, family], PORT, timeout=20)
            check(client(sock, b"U", 1, 100, 0), "a stream over the whole wire")

    def _run(self):
        for number, case in self.cases:
            if time.monotonic() > self.until:
                return
            try:
                self.results.put({"number": number, **self._one(number, case)})
            except Exception as error:  # pylint: disable=broad-except
                self.results.put({"number": number, **case, "ok": False, "why": f"{error!r}"})
                traceback.print_exc()

    def _one(self, number, case):
        vip, length = VIP[case["opens"], case["path"][1]], size_of(case)
        wire = {key: case[key] for key in ("loss", "dup", "reorder", "corrupt", "kbit")}
        self.lab.hurt_by(seed=number + 1, delay_us=case["delay_ms"] * 1000, **wire)
        done, began = {}, time.monotonic()

        def stream(name, what, share, seconds):
            try:
                sock = self.lab.connect(CALLER[case["opens"]], vip, PORT, timeout=60)
                done[name] = (client(sock, what, number * 10 + len(name), length // share, seconds), time.monotonic() - began)
            except OSError as error:
                done[name] = (False, repr(error))

        plan = {"up": (b"U", 1, 0), "down": (b"D", 1, 0), "both": (b"B", 2, 0), "slow server": (b"S", 3, 0.8),
                "slow client": (b"D", 3, 0.8)}
        threads = [threading.Thread(target=stream, args=(name, *how), daemon=True) for name, how in plan.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE + 60)
        counts = self.lab.hurt_by()
        bad = {name: done.get(name, "not over") for name in plan if name not in done or not done[name][0]}
        return {**case, "bytes": length * 2 + length // 2 * 2 + length // 3 * 2, "seconds": round(time.monotonic() - began, 2),
                "up_s": done.get("up", (0, 0))[1], "down_s": done.get("down", (0, 0))[1], "wire": counts,
                "ok": not bad, "why": str(bad) if bad else ""}


def line(row):
    wire = row.get("wire") or {}
    mtu, family = row["path"]
    return (f"{row['number']:4} {mtu:5} IPv{family} {row['opens']:7} {row['loss'] / 100:5.1f} {row['delay_ms']:5} {row['reorder'] / 100:5.1f} "
            f"{row['dup'] / 100:5.1f} {row['corrupt'] / 100:5.1f} {row['kbit'] / 1000 or '-':>6} {row.get('bytes', 0):9} "
            f"{row.get('seconds', 0):7.2f} {wire.get('frames', 0):7} {wire.get('lost', 0):6} {wire.get('reordered', 0):6} "
            f"{wire.get('duplicated', 0):6} {wire.get('corrupted', 0):6} {wire.get('queue_full', 0):6}  "
            f"{'good' if row['ok'] else 'BAD ' + row['why']}")


HEAD = (f"{'case':>4} {'MTU':>5} {'IP':4} {'opens':7} {'loss%':>5} {'ms':>5} {'late%':>5} {'dup%':>5} {'bad%':>5} {'Mbit/s':>6} {'bytes':>9} "
        f"{'seconds':>7} {'frames':>7} {'lost':>6} {'late':>6} {'double':>6} {'bad':>6} {'full':>6}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", default=bool(os.environ.get("MELTEMI_LONG")))
    parser.add_argument("--seconds", type=int, default=900)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--only", type=int, help="one case of the product by its number")
    parser.add_argument("--json", default=str(BUILD / "impairment_matrix.json"))
    parser.add_argument("-v", action="store_true")
    return parser.parse_args()


def cases_of(options):
    """(number, case); numbers of the short form are those of the product too, so that one can be run again."""
    everything = pairwise.product(FACTORS)
    number = {json.dumps(case): i for i, case in enumerate(everything)}
    if options.only is not None:
        return [(options.only, everything[options.only])], len(everything)
    chosen = [(number[json.dumps(case)], case) for case in pairwise.covering(FACTORS)]
    if options.long:
        have = {i for i, _ in chosen}
        rest = [(i, case) for i, case in enumerate(everything) if i not in have and i >= options.first]
        chosen = (chosen if options.first == 0 else []) + rest
    return chosen, len(everything)


def run_lanes(options, cases, results):
    until = time.monotonic() + (options.seconds if options.long else 3600)
    labs, lanes = [], []
    try:
        for mtu in sorted({case["path"][0] for _, case in cases}):
            labs.append(Lab(servers=1, ipv6=mtu >= 1280, impair={}, mtu=mtu))
            labs[-1].__enter__()
            lanes.append(Lane(labs[-1], mtu, [c for c in cases if c[1]["path"][0] == mtu], results, until))
            lanes[-1].prepare()
        for lane in lanes:
            lane.thread.start()
        print(HEAD, flush=True)
        rows = []
        while any(lane.thread.is_alive() for lane in lanes) or not results.empty():
            try:
                rows.append(results.get(timeout=0.2))
                print(line(rows[-1]), flush=True)
            except queue.Empty:
                pass
        return rows
    finally:
        for lab in labs:
            lab.close()


def body():
    options = arguments()
    cases, of = cases_of(options)
    began = time.monotonic()
    rows = run_lanes(options, cases, queue.Queue())
    total = {key: sum(row["wire"][key] for row in rows if row.get("wire"))
             for key in ("frames", "lost", "reordered", "duplicated", "corrupted", "queue_full")}
    bad = [row for row in rows if not row["ok"]]
    summary = {"cases": len(rows), "of": of, "bad": len(bad), "bytes": sum(row.get("bytes", 0) for row in rows), "wire": total,
               "seconds": round(time.monotonic() - began, 1)}
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump({**summary, "rows": rows}, file, indent=1)
    print(json.dumps(summary), flush=True)
    check(len(rows) == len(cases) or options.long, f"{len(rows)} of {len(cases)} cases were run")
    check(not bad, f"{len(bad)} of {len(rows)} cases lost or changed bytes, or did not end: {[row['number'] for row in bad]}")
    for kind in ("lost", "reordered", "duplicated", "corrupted"):
        check(total[kind] > 2 * len(rows) or options.only is not None, f"the wires hardly hurt: {total}")


main(body)
