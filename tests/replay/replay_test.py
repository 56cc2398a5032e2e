#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""meltemi-replay on captures made here: conversations with known bytes, and files that are none."""
import ipaddress
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop(1)
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER = 0, 1


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Recording:
    """Both sides of one TCP connection, as a recorder between them sees it."""

    def __init__(self, client="10.1.1.1", server="192.0.2.80", sport=40000, dport=80, options=True):
        self.addr = [ipaddress.ip_address(client), ipaddress.ip_address(server)]
        self.port = [sport, dport]
        self.isn = [1_000_000, 4_294_900_000]
        self.next = list(self.isn)
        self.options = options
        self.time = 0.0
        self.frames = []

    def segment(self, side, flags, data=b"", seq=None, broken=False):
        other = 1 - side
        seq = self.next[side] if seq is None else seq
        options = b""
        if self.options:
            if flags & SYN:
                options += bytes([2, 4, 5, 180, 4, 2, 3, 3, 7, 1])
            stamp = int(self.time * 1000) + 7000 * (side + 1)
            echo = 0 if flags & SYN and side == CLIENT else stamp - 5
            options += struct.pack("!BBII", 8, 10, stamp, echo)
        options += b"\1" * (-len(options) % 4)
        ack = self.next[other] % 2**32 if flags & ACK else 0
        head = struct.pack("!HHIIBBHHH", self.port[side], self.port[other], seq % 2**32, ack,
                           (20 + len(options)) // 4 << 4, flags, 60000, 0, 0) + options + data
        src, dst = self.addr[side].packed, self.addr[other].packed
        total = checksum(src + dst + struct.pack("!II", len(head), 6) + head) ^ (0x1234 * broken)
        head = head[:16] + struct.pack("!H", total) + head[18:]
        if len(src) == 4:
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(head), 1, 0x4000, 64, 6, 0) + src + dst
            ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
            kind = 0x0800
        else:
            ip = struct.pack("!IHBB", 6 << 28, len(head), 6, 64) + src + dst
            kind = 0x86DD
        self.frames.append((self.time, kind, ip + head))
        end = seq + len(data) + bool(flags & SYN) + bool(flags & FIN)
        self.next[side] = max(self.next[side], end)
        self.time += 0.002

    def handshake(self):
        self.segment(CLIENT, SYN)
        self.segment(SERVER, SYN | ACK)
        self.segment(CLIENT, ACK)

    def goodbye(self):
        self.segment(CLIENT, FIN | ACK)
        self.segment(SERVER, FIN | ACK)
        self.segment(CLIENT, ACK)


def capture(path, frames, dlt=1, nano=False):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 65535, dlt))
        for time, kind, packet in frames:
            if dlt == 1:
                packet = bytes.fromhex("aabbccddeeff 020000000099") + struct.pack("!H", kind) + packet
            elif dlt == 113:
                packet = struct.pack("!HHH8sH", 0, 1, 6, b"\2\0\0\0\0\x99\0\0", kind) + packet
            part = time % 1 * (1e9 if nano else 1e6)
            f.write(struct.pack("<IIII", 1_700_000_000 + int(time), int(part), len(packet), len(packet)))
            f.write(packet)


class Replay(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "in.pcap")

    def tearDown(self):
        self.folder.cleanup()

    def run_it(self, *args, expect=0):
        done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def report(self, recording, *args, dlt=1, nano=False):
        capture(self.path, recording.frames if isinstance(recording, Recording) else recording, dlt, nano)
        return json.loads(self.run_it("--json", *args, self.path).stdout.splitlines()[-1])

    def talk(self, **kw):
        r = Recording(**kw)
        r.handshake()
        r.segment(CLIENT, PSH | ACK, b"question" * 10)
        r.segment(SERVER, PSH | ACK, b"answer" * 100)
        r.segment(CLIENT, ACK)
        for i in range(20):
            r.segment(SERVER, ACK, bytes([i]) * 1400)
            r.segment(CLIENT, ACK)
        r.goodbye()
        return r

    def test_whole_conversation(self):
        for kw in ({}, {"client": "2001:db8:1::1", "server": "2001:db8:2::80"}, {"options": False}):
            for dlt in (1, 101, 113):
                out = self.report(self.talk(**kw), dlt=dlt, nano=dlt == 101)
                self.assertEqual((out["connections"], out["accepted"], out["ended"]), (1, 1, 1), out)
                self.assertEqual(out["bytes_in"], 80)
                self.assertEqual(out["bytes_out"], 600 + 20 * 1400)
                self.assertEqual(out["counters"]["tcp.accepts"], 1)
                self.assertNotIn("tcp.retransmits", out["counters"], "every byte was acknowledged in time")

    def test_runs_are_equal(self):
        r = self.talk()
        first = self.report(r)
        self.assertEqual(first, self.report(r))
        self.assertNotEqual(first["trace"], self.report(r, "--seed", "2")["trace"])

    def test_loss_and_damage(self):
        r = Recording()
        r.handshake()
        at = r.next[CLIENT]
        r.segment(CLIENT, ACK, b"b" * 1000, seq=at + 1000)
        r.segment(CLIENT, ACK, b"a" * 1000, seq=at, broken=True)
        r.segment(CLIENT, ACK, b"a" * 1000, seq=at)
        r.goodbye()
        out = self.report(r)
        self.assertEqual(out["counters"]["net.tcp_checksum_bad"], 1)
        self.assertEqual(out["counters"]["tcp.ooo_queued"], 1)
        self.assertEqual(out["bytes_in"], 2000)
        out = self.report(r, "--checksums")
        self.assertNotIn("net.tcp_checksum_bad", out["counters"])

    def test_lost_reply_is_sent_again(self):
        r = Recording()
        r.handshake()
        r.segment(SERVER, PSH | ACK, b"x" * 100)
        r.time += 3
        r.segment(CLIENT, ACK)
        r.goodbye()
        self.assertGreater(self.report(r)["counters"]["tcp.retransmits"], 1)

    def test_reset(self):
        r = Recording()
        r.handshake()
        r.segment(CLIENT, RST | ACK)
        out = self.report(r)
        self.assertEqual((out["accepted"], out["ended"], out["sent"]), (1, 1, 2), out)  # ARP, SYN-ACK

    def test_one_sided_recording(self):
        r = self.talk()
        out = self.report([f for f in r.frames if f[2][12:16] == r.addr[CLIENT].packed])
        self.assertEqual((out["accepted"], out["bytes_in"], out["bytes_out"]), (1, 80, 0))

    def test_verbatim_does_not_connect(self):
        out = self.report(self.talk(), "--verbatim")
        self.assertEqual(out["accepted"], 0)

    def test_local_and_foreign(self):
        out = self.report(self.talk(), "--local", "192.0.2.81")
        self.assertEqual((out["connections"], out["fed"]), (0, 0))
        self.assertGreater(out["unmatched"], 20)

    def test_writes_a_capture(self):
        to = os.path.join(self.folder.name, "out.pcap")
        out = self.report(self.talk(), "--write", to)
        again = json.loads(self.run_it("--json", to).stdout)
        self.assertEqual(again["frames"], out["fed"] + out["sent"])
        self.assertEqual((again["accepted"], again["bytes_in"]), (1, 80))

    def test_text(self):
        capture(self.path, self.talk().frames)
        text = self.run_it("-v", self.path).stdout
        self.assertIn("> 10.1.1.1:40000 > 192.0.2.80:80 [S]", text)
        self.assertIn("< 192.0.2.80:80 > 10.1.1.1:40000 [SA]", text)
        self.assertIn("1 recorded, 1 accepted, 1 ended", text)

    def test_every_truncation(self):
        capture(self.path, self.talk().frames[:6])
        with open(self.path, "rb") as f:
            whole = f.read()
        for n in list(range(0, len(whole), 97)) + [23, 24, 25, 39, 40, 41]:
            with open(self.path, "wb") as f:
                f.write(whole[:n])
            done = subprocess.run([PROGRAM, self.path], capture_output=True, timeout=60, check=False)
            self.assertIn(done.returncode, (0, 2), n)

    def test_bad_arguments(self):
        for args in ((), ("/nonexistent",), ("a", "b"), ("--tail", "x", "a"), ("--local", "x", "a"), ("-?",)):
            self.assertTrue(self.run_it(*args, expect=2).stderr)
        with open(self.path, "wb") as f:
            f.write(b"not a capture at all, but some text")
        self.assertIn("meltemi-replay:", self.run_it(self.path, expect=2).stderr)
        self.assertIn("usage", self.run_it("--help").stdout)


if __name__ == "__main__":
    unittest.main()
