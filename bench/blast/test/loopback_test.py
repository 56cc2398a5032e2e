#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
meltemi-blast against servers whose answers are known: its own with a stated delay or a stall, and one made here
that answers wrongly. Bounds are wide upwards, so that a busy machine passes, and tight downwards: no call can be
faster than the server's delay, and none may be left out.
"""
import contextlib
import json
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = sys.argv.pop(1)


def free_port():
    """
    One that the kernel gives to no connection (ip_local_port_range): otherwise one could have it before it is listened on, and who finds nobody
    there could connect to himself.
    """
    while True:
        port = random.SystemRandom().randrange(20000, 32768)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


class Server:
    """with Server("--delay", "5ms") as port: ..."""

    def __init__(self, *options, host="127.0.0.1"):
        self.port = free_port()
        self.process = subprocess.Popen([PROGRAM, "--server", *options, f"{host}:{self.port}"], stdout=subprocess.PIPE,
                                        text=True)

    def __enter__(self):
        assert "ready" in self.process.stdout.readline()
        return self.port

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.process.stdout.close()


class Liar(threading.Thread):
    """A server of byte streams that answers each call by what `answer` makes of it; None: it closes."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        data, n = b"", 0
        with connection:
            while True:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
                while len(data) >= 4 and len(data) >= (length := struct.unpack("!I", data[:4])[0]):
                    reply = self.answer(n, data[:length])
                    data, n = data[length:], n + 1
                    if reply is None:
                        return
                    connection.sendall(reply)

    def __enter__(self):
        return self.port

    def __exit__(self, *_):
        self.listener.close()


def blast(port, *options, host="127.0.0.1"):
    done = subprocess.run([PROGRAM, "--json", "--timeout", "2s", "--warm-up", "100ms", "--duration", "1s", *options,
                           f"{host}:{port}"], capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.strip().splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else None, done.stderr


FATES = ("answered", "native_error", "wrong_answer", "reset", "closed", "timeout", "malformed", "abandoned")


class Loopback(unittest.TestCase):
    def nothing_lost(self, r):
        self.assertGreater(r["sent"], 0)
        self.assertEqual(r["sent"], sum(r[f] for f in FATES))

    def test_protocols(self):
        for proto in ("dubbo", "thrift", "thrift-compact", "awesomerpc", "tcp"):
            with self.subTest(proto), Server("--proto", proto) as port:
                rc, r, _ = blast(port, "--proto", proto, "-c", "4", "-o", "4", "--size", "20@8,1K-120000@1", "--reply-size",
                                 "20@8,120000@1", "--verify", "bytes", "--duration", "300ms")
                self.assertEqual(rc, 0)
                self.nothing_lost(r)
                self.assertEqual(r["sent"], r["answered"])

    def test_known_delays(self):
        with Server("--delay", "5ms@99,50ms@1") as port:
            rc, r, _ = blast(port, "-c", "16", "--rate", "2000", "--duration", "2s", "--threads", "2")
        self.assertEqual(rc, 0)
        self.nothing_lost(r)
        latency = r["latency"]
        self.assertEqual(latency["n"], r["sent"])
        self.assertGreater(r["sent"], 3400)  # 4,000 expected; Poisson's deviation is 63
        self.assertLess(r["sent"], 4600)
        self.assertGreaterEqual(latency["min_us"], 5000)
        self.assertGreaterEqual(latency["p995_us"], 49800)

    def test_closed_loop_counts_by_the_delay(self):
        """16 calls are always outstanding, so calls per second times mean latency is 16 (Little's law) at any pace."""
        with Server("--delay", "20ms") as port:
            rc, r, _ = blast(port, "-c", "8", "-o", "2", "--duration", "3s")
        self.assertEqual(rc, 0)
        self.assertLessEqual(r["per_second"], 16 / 0.020 * 1.05)
        self.assertGreaterEqual(r["latency"]["min_us"], 20000)
        self.assertAlmostEqual(r["per_second"] * r["latency"]["mean_us"] / 1e6, 16, delta=4)

    def test_stall_is_charged_to_all_that_it_delayed(self):
        """A second of 1,000/s: 1,000 calls wait 0..1 s, evenly. A generator that waits for answers would report 16."""
        with Server("--stall", "500ms:1s") as port:
            rc, r, _ = blast(port, "-c", "16", "-o", "1", "--rate", "1000", "--arrivals", "uniform", "--duration", "3s")
        self.assertEqual(rc, 0)
        self.nothing_lost(r)
        self.assertEqual(r["unsent"], 0)
        self.assertAlmostEqual(r["sent"], 3000, delta=3)
        latency, service = r["latency"], r["service"]
        self.assertGreater(latency["max_us"], 950_000)
        # A third of all calls was delayed by the stall, half of these by more than half a second.
        self.assertGreater(latency["p90_us"], 450_000)
        self.assertGreater(latency["mean_us"], 120_000)
        # Of the calls that were sent, hardly one waited: what the omission would have shown.
        self.assertLess(service["p90_us"], latency["p90_us"] / 1.5)
        self.assertGreater(r["max_lag_us"], 900_000)

    def test_poisson_and_uniform(self):
        with Server() as port:
            for arrivals in ("poisson", "uniform"):
                rc, r, _ = blast(port, "-c", "4", "--rate", "800", "--arrivals", arrivals, "--threads", "2")
                self.assertEqual(rc, 0)
                self.assertAlmostEqual(r["sent"], 800, delta=3 if arrivals == "uniform" else 150)
                self.assertIn(arrivals.capitalize() if arrivals == "poisson" else arrivals, r["loop"])

    def test_own_stack(self):
        """Both sides on lib/tcp, joined by a memif: bytes are verified, the delay shows, connections come and go."""
        with tempfile.TemporaryDirectory() as directory:
            link = f"socket={directory}/memif.sock,socket-abstract=no"
            server = ["--device", f"net_memif0,role=server,{link}", "--address", "10.1.0.1/24", "--delay", "2ms"]
            with Server(*server, host="10.1.0.1") as port:
                rc, r, stderr = blast(port, "--device", f"net_memif0,role=client,{link}", "--address", "10.1.0.2/24", "-c", "8",
                                      "--rate", "500", "--size", "20@8,1K-120000@1", "--verify", "bytes",
                                      "--calls-per-connection", "20", host="10.1.0.1")
        self.assertEqual(rc, 0, stderr)
        self.nothing_lost(r)
        self.assertEqual(r["sent"], r["answered"])
        self.assertGreater(r["sent"], 350)
        self.assertGreaterEqual(r["latency"]["min_us"], 2000)
        self.assertGreaterEqual(r["connected"], r["sent"] // 20 - 8)

    def test_ring(self):
        """Caller and server in one process, two threads each, joined by rings: over lib/tcp, and with the stripped server."""
        for options in ([], ["--stripped"]):
            rc, r, stderr = blast(20880, "--device", "ring", "-t", "2", "-c", "8", "--size", "300", "--verify", "bytes", *options,
                                  host="10.0.0.2")
            self.assertEqual(rc, 0, stderr)
            self.nothing_lost(r)
            self.assertEqual((r["sent"], r["connections_up"], r["connections_answered"], r["threads"], r["backend"]),
                             (r["answered"], 8, 8, 2, "ring"))

    def test_stripped_knows_each_protocol(self):
        for proto in ("dubbo", "thrift", "thrift-compact", "awesomerpc", "tcp"):
            with self.subTest(proto):
                # On a busy machine 200 ms may be too short for 100 calls.
                for duration in ("200ms", "1s", "5s"):
                    rc, r, stderr = blast(20880, "--device", "ring", "--stripped", "--proto", proto, "-c", "4", "-o", "8", "--size",
                                          "101", "--reply-size", "3003", "--verify", "bytes", "--calls-per-connection", "9",
                                          "--duration", duration, host="10.0.0.2")
                    self.assertEqual(rc, 0, stderr)
                    self.nothing_lost(r)
                    if r["answered"] > 100:
                        break
                self.assertGreater(r["answered"], 100)

    def test_stripped_refuses_other_calls(self):
        """A call that is not the known one ends its connection, at once and with a count on the server's side."""
        with tempfile.TemporaryDirectory() as directory:
            link = f"socket={directory}/memif.sock,socket-abstract=no"
            server = ["--stripped", "--size", "100", "--device", f"net_memif0,role=server,{link}", "--address", "10.1.0.1/24"]
            with Server(*server, host="10.1.0.1") as port:
                options = ["--device", f"net_memif0,role=client,{link}", "--address", "10.1.0.2/24", "--duration", "200ms"]
                self.assertEqual(blast(port, *options, "--size", "100", host="10.1.0.1")[0], 0)
                # Beside other tests its connections may not come up in time: it says so, and is asked again.
                for _ in range(3):
                    rc, r, stderr = blast(port, *options, "--size", "5000", host="10.1.0.1")
                    if rc != 4:
                        break
        self.assertIsNotNone(r, stderr)
        self.assertEqual((rc, r["answered"]), (3, 0))
        self.nothing_lost(r)
        self.assertGreater(r["reset"], 0)

    def test_two_devices(self):
        """A thread for each device, on both sides; their reports are one."""
        with tempfile.TemporaryDirectory() as directory:
            def devices(role):
                return [word for i in (0, 1) for word in
                        ("--device", f"net_memif{i},role={role},id={i},socket={directory}/memif{i}.sock,socket-abstract=no")]

            with Server(*devices("server"), "--address", "10.1.0.1/24", host="10.1.0.1") as port:
                rc, r, stderr = blast(port, *devices("client"), "--address", "10.1.0.2/24", "-c", "6", "--verify", "bytes",
                                      "--source", "10.1.0.2-10.1.0.5", host="10.1.0.1")
        self.assertEqual(rc, 0, stderr)
        self.nothing_lost(r)
        self.assertEqual((r["threads"], r["connections_up"], r["connections_answered"], r["backend"]), (2, 6, 6, "device"))

    def test_too_many_connections_are_refused_with_a_remedy(self):
        rc, r, stderr = blast(1, "-c", "600000")
        self.assertEqual((rc, r), (4, None))
        self.assertRegex(stderr, "ulimit -Hn|--source 127.0.0.2-127.0.0.")

    def test_churn(self):
        for close in ("fin", "reset"):
            with Server() as port:
                rc, r, _ = blast(port, "-c", "4", "--calls-per-connection", "5", "--rate", "500", "--close", close)
            self.assertEqual(rc, 0)
            self.nothing_lost(r)
            self.assertGreaterEqual(r["connected"], r["sent"] // 5 - 4)

    def test_wrong_token_fails(self):
        with Liar(lambda n, call: call[:8] + b"zzzzzzzzzzzz" + call[20:] if n % 10 == 9 else call) as port:
            rc, r, _ = blast(port, "--proto", "tcp", "--duration", "300ms")
        self.assertEqual(rc, 1)
        self.nothing_lost(r)
        self.assertGreater(r["wrong_answer"], 0)
        self.assertGreater(r["answered"], r["wrong_answer"])

    def test_wrong_length_fails(self):
        with Liar(lambda n, call: struct.pack("!I", len(call) + 1) + call[4:] + b"a") as port:
            rc, r, _ = blast(port, "--proto", "tcp", "--duration", "300ms")
        self.assertEqual((rc, r["answered"]), (1, 0))

    def test_wrong_byte_fails_when_all_are_verified(self):
        with Liar(lambda n, call: call[:-1] + b"!") as port:
            self.assertEqual(blast(port, "--proto", "tcp", "--size", "30", "--duration", "200ms")[0], 0)
            self.assertEqual(blast(port, "--proto", "tcp", "--size", "30", "--duration", "200ms", "--verify", "bytes")[0], 1)

    def test_swapped_ids_fail(self):
        with Liar(lambda n, call: call[:4] + struct.pack("!I", struct.unpack("!I", call[4:8])[0] ^ 1) + call[8:]) as port:
            rc, r, _ = blast(port, "--proto", "tcp", "-o", "2", "--duration", "300ms")
        self.assertEqual((rc, r["answered"]), (1, 0))
        self.nothing_lost(r)

    def test_garbage_fails(self):
        with Liar(lambda n, call: b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            rc, r, _ = blast(port, "--proto", "tcp", "--duration", "500ms")
        self.assertEqual((rc, r["answered"]), (1, 0))
        self.nothing_lost(r)
        self.assertGreater(r["malformed"], 0)

    def test_closed_by_the_server(self):
        with Liar(lambda n, call: None if n == 3 else call) as port:
            rc, r, _ = blast(port, "--proto", "tcp", "--duration", "500ms")
        self.assertEqual(rc, 3)
        self.nothing_lost(r)
        self.assertGreater(r["closed"] + r["reset"], 0)

    def test_replies_before_a_reset_count(self):
        """
        More connections than one round of events get their replies and a reset while the generator stands still. Its next calls fail on
        those that it has not read yet.
        """
        answered = 0
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
            run = subprocess.Popen([PROGRAM, "--json", "--proto", "tcp", "-c", "200", "-r", "20000", "-w", "0s", "-d", "3s",
                                    f"127.0.0.1:{listener.getsockname()[1]}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            connections = [listener.accept()[0] for _ in range(200)]
            self.assertIn("measuring", run.stdout.readline())
            time.sleep(0.5)
            run.send_signal(signal.SIGSTOP)
            time.sleep(0.1)
        for connection in connections:
            data = connection.recv(1 << 20)
            length = struct.unpack("!I", data[:4])[0]
            calls = len(data) // length
            connection.sendall(data[:calls * length])
            answered += calls
        time.sleep(0.2)
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        run.send_signal(signal.SIGCONT)
        r = json.loads(run.communicate(timeout=30)[0].splitlines()[-1])
        self.nothing_lost(r)
        self.assertGreater(answered, 199)
        self.assertEqual(r["answered"], answered)

    def test_timeouts_and_late_replies(self):
        with Server("--delay", "1ms@9,600ms@1") as port:
            rc, r, _ = blast(port, "-c", "4", "--rate", "100", "--timeout", "300ms", "--duration", "2s")
        self.assertEqual(rc, 3)
        self.nothing_lost(r)
        self.assertGreater(r["timeout"], 0)
        self.assertGreater(r["late"], 0)
        self.assertEqual((r["unknown_id"], r["wrong_answer"]), (0, 0))

    def test_no_server(self):
        rc, r, stderr = blast(free_port(), "--timeout", "300ms")
        self.assertEqual((rc, r), (4, None))
        self.assertIn("Connection refused", stderr)

    def test_capacity(self):
        """10 ms each, one at a time on two connections: 200/s, and open-loop queueing makes it less."""
        with Server("--delay", "10ms") as port:
            rc, r, _ = blast(port, "--find-capacity", "-c", "2", "-o", "1", "--rate", "100", "--step", "300ms", "--max-p99",
                             "500ms", "--arrivals", "uniform", "--timeout", "600ms")
        self.assertEqual(rc, 0)
        self.assertGreater(r["capacity"], 40)
        self.assertLess(r["capacity"], 215)

    def walk(self, *options):
        with Server("--delay", "10ms", *options) as port:
            return subprocess.run([PROGRAM, "--find-capacity", "-c", "2", "-o", "1", "--rate", "100", "--step", "300ms",
                                   "--max-p99", "500ms", "-w", "100ms", "--arrivals", "uniform", "--timeout", "600ms", *options,
                                   f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=120, check=False).stdout

    def test_capacity_tells_why_and_whom(self):
        said = self.walk("--proto", "thrift")
        for line in (line for line in said.splitlines() if "too much" in line):
            self.assertRegex(line, r"too much: .*bound")
        self.assertIn("too much: answers came to", said)
        self.assertIn("- service.example.com\n", said)
        said = self.walk("--proto", "tcp")
        self.assertNotIn("kind: MetaRouter", said)
        self.assertIn("limits are for message protocols", said)

    def test_interruption(self):
        """Calls that are out when it is interrupted did not time out, and are no failure."""
        with Server("--delay", "1ms@1,600ms@1") as port:
            run = subprocess.Popen([PROGRAM, "--json", "-c", "8", "-w", "1ms", f"127.0.0.1:{port}"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
            self.assertIn("measuring", run.stdout.readline())
            time.sleep(1)
            run.send_signal(signal.SIGINT)
            r = json.loads(run.communicate(timeout=20)[0].splitlines()[-1])
        self.nothing_lost(r)
        self.assertEqual((run.returncode, r["timeout"]), (0, 0))
        self.assertGreater(r["abandoned"], 0)

    def test_connect_failures_fail(self):
        """The server goes while no call is out, and comes back: all calls are answered, some connections were refused."""
        with Server() as port:
            run = subprocess.Popen([PROGRAM, "--json", "-c", "1", "-r", "20", "-w", "1ms", "-d", "2s", f"127.0.0.1:{port}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.assertIn("measuring", run.stdout.readline())
            time.sleep(0.3)
        time.sleep(0.5)
        again = subprocess.Popen([PROGRAM, "--server", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL)
        r = json.loads(run.communicate(timeout=20)[0].splitlines()[-1])
        again.terminate()
        again.wait(20)
        self.nothing_lost(r)
        self.assertGreater(r["connect_failed"], 0)
        self.assertEqual(run.returncode, 3)

    def test_arguments_are_refused_with_a_remedy(self):
        for arguments, words in ((["--size", "5", "1.2.3.4:5"], "from 20"), (["--duration", "10", "1.2.3.4:5"], "its unit"),
                                 (["--proto", "http", "1.2.3.4:5"], "one of: dubbo"), (["1.2.3.4"], "HOST:PORT"), ([], "--help"),
                                 (["-t", "2", "1.2.3.4:5"], "fewer threads"), (["--delay", "1ms", "1.2.3.4:5"], "--server"),
                                 (["--nonsense", "1.2.3.4:5"], "--help"),
                                 (["--stripped", "1.2.3.4:5"], "--device"),
                                 (["--device", "0000:3b:00.0", "--address", "10.0.0.1/24", "10.0.0.2:5"], "--profile mlx5"),
                                 (["--device", "ring", "11.0.0.2:5"], "10.0.0.1/8"),
                                 (["--source", "127.0.0.2-x", "1.2.3.4:5"], "'x' is not"),
                                 (["--source", "127.0.0.5-127.0.0.2", "1.2.3.4:5"], "reversed; write 127.0.0.2-127.0.0.5"),
                                 (["--device", "ring", "--stripped", "--size", "20@1,30@1", "10.0.0.2:5"], "one --size"),
                                 (["-t", "3", "--device", "a", "--device", "b", "--address", "10.0.0.1/24", "1.2.3.4:5"],
                                  "repeat --device"), (["--arrivals", "bursts", "1.2.3.4:5"], "uniform")):
            done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
            self.assertIn(done.returncode, (2, 4), arguments)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
