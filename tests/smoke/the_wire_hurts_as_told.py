#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The wire that hurts (impair), which other tests believe: it hurts as many frames as it says, as often as it was told, no
other ones, the same ones for the same seed, and its delay, rate and MTU are what was asked for.

Numbered frames of an experimental Ethernet type go both ways between two interfaces that no IP stack uses.
"""

import socket
import struct
import threading
import time
import zlib

from meltemi_lab import Lab, check, equal, main, netns

TYPE = 0x88B5
FRAMES, PAYLOAD = 12000, 100
SHARES = {"loss": 300, "dup": 200, "reorder": 250, "corrupt": 150}  # of 10,000
COUNTS = {"loss": "lost", "dup": "duplicated", "reorder": "reordered", "corrupt": "corrupted"}


class Ends:
    """Packet sockets on the two outer interfaces of the wire: c0 of the client's namespace and p0 of the mesh's."""

    def __init__(self, lab):
        self.sockets = []
        for role, iface in (("client", "c0"), ("mesh", "p0")):
            with lab.inside(role):
                sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE))
            sock.bind((iface, TYPE))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
            sock.settimeout(1)
            self.sockets.append(sock)

    def send(self, side, number, payload=PAYLOAD):
        body = struct.pack("!IQ", number, time.monotonic_ns()) + bytes([number & 255]) * payload
        self.sockets[side].send(b"\x02\0\0\0\0\x0b" + b"\x02\0\0\0\0\x0a" + struct.pack("!H", TYPE) + body
                                + struct.pack("!I", zlib.crc32(body)))

    def receive(self, side, sent_all):
        """Frames until all are sent and then none comes for a second: (number, when sent, when received, whole)."""
        got = []
        while True:
            try:
                frame, _, _, _, _ = self._one(side)
            except TimeoutError:
                if sent_all.is_set():
                    return got
                continue
            body, crc = frame[14:-4], struct.unpack("!I", frame[-4:])[0]
            number, sent = struct.unpack("!IQ", body[:12])
            got.append((number, sent, time.monotonic_ns(), zlib.crc32(body) == crc))

    def _one(self, side):
        while True:
            frame, address = self.sockets[side].recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING:
                return frame, *address[:4]

    def through(self, side, frames, pace=0.0, payload=PAYLOAD):
        """What comes out at the other side when that many go in at this one."""
        found, sent_all = [], threading.Event()
        reader = threading.Thread(target=lambda: found.extend(self.receive(1 - side, sent_all)))
        reader.start()
        for number in range(frames):
            self.send(side, number, payload)
            if pace and number % 50 == 49:
                time.sleep(pace * 50)
        sent_all.set()
        reader.join()
        return found


def near(found, share, of, what):
    """Within five standard deviations of what a fair coin gives."""
    expected = of * share / 10000
    spread = 5 * (of * share / 10000 * (1 - share / 10000)) ** 0.5 + 1
    check(abs(found - expected) <= spread, f"{what}: {found} of {of}, {expected:.0f} +- {spread:.0f} expected")


def each_alone(lab, ends):
    """One kind of damage at a time, both ways: the counts, and what the frames themselves show."""
    for kind, share in SHARES.items():
        lab.hurt_by(seed=5, **{kind: share})
        got = [ends.through(side, FRAMES, pace=5e-6) for side in (0, 1)]
        counts = lab.hurt_by()
        frames = sum(len(g) for g in got)
        whole = sum(f[3] for g in got for f in g)
        numbers = [[f[0] for f in g if f[3]] for g in got]
        late = sum(sum(1 for a, b in zip(n, n[1:]) if b < a) for n in numbers)
        shown = {"loss": 2 * FRAMES - frames, "dup": frames - 2 * FRAMES, "corrupt": frames - whole, "reorder": late}
        print(f"{kind}: told {share / 100} %, says {counts[COUNTS[kind]]} of {counts['frames']}, seen {shown}", flush=True)
        equal((counts["from_first"], counts["from_second"], counts["refused"]), (FRAMES, FRAMES, 0), "frames each way")
        near(counts[COUNTS[kind]], share, 2 * FRAMES, kind)
        for other, name in COUNTS.items():
            if other != kind:
                equal(counts[name], 0, f"{name} beside {kind}")
        for seen in ("loss", "dup", "corrupt"):
            if seen == kind:
                equal(shown[seen], counts[COUNTS[seen]], f"frames that show {seen}")
            elif (seen, kind) not in (("loss", "dup"), ("dup", "loss")):
                equal(shown[seen], 0, f"{seen} beside {kind}")
        check((late > 0) == (kind in ("reorder", "dup")), f"{late} frames out of order with {kind}")


def same_seed(lab, ends):
    """The same frames are lost for the same seed, others for another one."""
    kept = []
    for seed in (9, 9, 10):
        lab.hurt_by(seed=seed, loss=1000)
        kept.append({number for number, _, _, _ in ends.through(0, 1000, pace=1e-5)})
    lab.hurt_by()
    equal(kept[0], kept[1], "frames that pass with the same seed")
    check(kept[0] != kept[2], "another seed loses the same frames")


def delay(lab, ends):
    fastest = []
    for want in (10, 50):
        lab.hurt_by(delay_us=want * 1000)
        took = sorted((received - sent) / 1e6 for _, sent, received, _ in ends.through(1, 200, pace=1e-3))
        print(f"delay {want} ms: {took[0]:.2f} to {took[-1]:.2f} ms, median {took[100]:.2f}", flush=True)
        equal(len(took), 200, "frames")
        fastest.append(took[0])
        check(took[0] >= want, f"a frame came after {took[0]:.2f} ms")
    check(fastest[0] < 50 <= fastest[1], f"the fastest frames took {fastest} ms")  # a busy machine only adds to it


def rate(lab, ends):
    """Of 600 frames of 1,030 bytes that come at once those pass that the queue of 125,000 bytes holds, at 20 Mbit/s."""
    lab.hurt_by(kbit=20000)
    got = ends.through(0, 600, payload=1000)
    counts = lab.hurt_by()
    seconds = (got[-1][2] - got[0][1]) / 1e9
    kbit = len(got) * 1030 * 8 / seconds / 1000
    print(f"rate 20000 kbit/s: {len(got)} frames in {seconds * 1000:.0f} ms, {kbit:.0f} kbit/s, {counts['queue_full']} found the "
          f"queue full", flush=True)
    equal(len(got) + counts["queue_full"], 600, "frames that passed or found the queue full")
    check(counts["queue_full"] > 0, "the queue has no end")
    check(kbit <= 21000, f"{kbit:.0f} kbit/s")


def size(lab, ends):
    lab.hurt_by(mtu=600)
    longer, shorter = ends.through(0, 50, payload=600), ends.through(0, 50, payload=584)
    equal((len(longer), len(shorter), lab.hurt_by()["too_long"]), (0, 50, 50), "packets of 616 and of 600 bytes")


def body():
    with Lab(servers=0, impair={}) as lab:
        netns.run("ip", "netns", "exec", lab.namespace("client"), "sysctl", "-qw", "net.ipv6.conf.c0.disable_ipv6=1")
        ends = Ends(lab)
        for part in (each_alone, same_seed, delay, rate, size):
            part(lab, ends)


main(body)
