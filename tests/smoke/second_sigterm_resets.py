#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second SIGTERM ends at once, and nobody is left waiting for the drain's 30 s: clients and servers are reset. Other signals do not."""

import signal
import socket
import threading
import time

from meltemi_lab import PATIENCE, Lab, check, equal, main, within
from meltemi_lab.documents import service

HOST, VIP = "bytes.example", "203.0.113.9"
CONNECTIONS = 300  # more than one turn resets


def ended(sock, out):
    """Blocks in recv; notes how and when it ended."""
    try:
        got = sock.recv(1)
        out.append(("eof" if not got else "data", time.monotonic()))
    except ConnectionResetError:
        out.append(("reset", time.monotonic()))
    except OSError as error:
        out.append((str(error), time.monotonic()))


def body():
    servers = []

    def serve(sock):
        sock.settimeout(30)
        sock.recv(100)
        sock.sendall(b"here")
        ended(sock, servers)

    with Lab(servers=1) as lab, lab.listening("server1", 7000, serve):
        daemon = lab.meltemi()
        daemon.write("service.yaml", service(HOST, VIP, 7000, "tcp", [(lab.server(1), 7000, {})]))
        daemon.start()
        clients, threads, socks = [], [], []
        for _ in range(CONNECTIONS):
            sock = lab.connect("client", VIP, 7000)
            sock.settimeout(30)
            sock.sendall(b"hello")
            equal(sock.recv(4, socket.MSG_WAITALL), b"here", "the server's word")
            socks.append(sock)
        for sock in socks:
            threads.append(threading.Thread(target=ended, args=(sock, clients)))
            threads[-1].start()
        for ignored in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
            daemon.process.popen.send_signal(ignored)
        daemon.process.popen.send_signal(signal.SIGTERM)
        daemon.wait_log("draining")
        time.sleep(0.3)
        equal(len(clients) + len(servers), 0, "connections that a drain has ended")
        began = time.monotonic()
        daemon.process.popen.send_signal(signal.SIGTERM)
        equal(daemon.process.popen.wait(PATIENCE), 0, "exit status")
        for thread in threads:
            thread.join(35)
        within(PATIENCE, lambda: len(servers) == CONNECTIONS, "servers that were told")
        for name, ends in (("clients", clients), ("servers", servers)):
            equal(len(ends), CONNECTIONS, f"{name} that were told")
            late = max(at for _how, at in ends) - began
            hows = sorted({how for how, _at in ends})
            print(f"{name}: {hows}, the last {late * 1000:.0f} ms behind the signal", flush=True)
            check(set(hows) <= {"reset", "eof"}, f"{name} ended by {hows}")
            check(late < 15, f"the last of the {name} was told after {late:.2f} s")
        check(f"reset_at_stop: {2 * CONNECTIONS}" in daemon.process.errors(), "the resets were not counted")


main(body)
