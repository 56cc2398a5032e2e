#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Connections that are made and then misused: a byte now and then, a header and silence, single bytes all over the window,
messages in segments of one byte. The time limit hits those that stall; what is held for the others stays within their
budgets; the established service is answered; all memory comes back.
"""

import contextlib
import resource
import socket
import threading

from attack_lab import LONG, PORT, SERVED, VIP, Attack, Figures, Peak, check, goodput, row, share, within

from meltemi_lab import equal, main

LORIS = 4000 if LONG else 1000    # of each kind
HEAD = bytes.fromhex("dabbc200000000000000000100000060")
PATIENCE = 10                     # seconds that a message may take
BUFFERS_OOO = 58                  # twice the window of 64 KiB, in buffers of 2.4 KB
BUFFERS_TINY = 220                # twice 256 KiB: what an incomplete message pins before it is copied together
BUFFERS_SPARE = 1000


class Loris:
    """Kernel connections that send one byte of a message every two seconds."""

    def __init__(self, lab, number):
        self.socks, self.ended = [], 0
        with lab.inside("client"):
            for _ in range(number):
                self.socks.append(socket.create_connection((VIP, PORT), timeout=30))
        self.thread = threading.Thread(target=self._drip, daemon=True)
        self.stop = threading.Event()
        self.thread.start()

    def _drip(self):
        place = 0
        while not self.stop.is_set():
            for sock in self.socks:
                with contextlib.suppress(OSError):
                    sock.send(HEAD[place:place + 1])
            place = min(place + 1, len(HEAD) - 1)
            self.stop.wait(2)

    def end(self):
        """How many Meltemi had ended."""
        self.stop.set()
        self.thread.join()
        for sock in self.socks:
            sock.setblocking(False)
            try:
                self.ended += sock.recv(100) == b""
            except BlockingIOError:
                pass
            except OSError:
                self.ended += 1
            sock.close()
        return self.ended


def slow(lab):
    """Both kinds at once, for as long as Meltemi is patient, and a little more."""
    figures, peak = Figures(lab.daemon), Peak(lab.daemon)
    load = lab.calls(seconds=PATIENCE + 3)
    stopped = lab.flood("stop16", 5000, seconds=60, connections=LORIS)
    drip = Loris(lab, LORIS)
    report, stop = load.result(), stopped.result(90)
    within(60, lambda: figures.moved("proxy_message_stalled")["proxy_message_stalled"] >= 2 * LORIS, "all stalled ones are ended")
    ended = drip.end()
    moved = figures.moved("proxy_message_stalled")["proxy_message_stalled"]
    row("slow-loris", f"{LORIS} connections, a byte in 2 s", f"{report['sent']} calls", f"message_stalled {ended}", peak,
        goodput(report), "with the next")
    row("16 bytes and stop", f"{stop['up']} connections", "the same", f"message_stalled {moved - ended}", peak, "the same",
        f"{lab.recovery():.2f} s")
    equal((ended, stop["up"], stop["reset"]), (LORIS, LORIS, LORIS), "slow ones ended by the time limit; silent ones up, ended")
    equal(moved, 2 * LORIS, "connections counted as stalled")
    check(share(report) >= SERVED, f"beside slow ones: {goodput(report)}")
    used = peak.used()
    check(used <= LORIS * (PATIENCE // 2 + 2) + 2 * LORIS + BUFFERS_SPARE, f"{used} buffers for messages of a few bytes")


def small(lab, kind, words, conns, rate, each, reasons, seconds):
    figures, peak = Figures(lab.daemon), Peak(lab.daemon)
    load = lab.calls(seconds=seconds + 1)
    flood = lab.flood(kind, rate, seconds=seconds, connections=conns)
    report, sent = load.result(), flood.result()
    used = peak.used()
    row(words, f"{sent['sent']} segments on {sent['up']} connections", f"{report['sent']} calls", figures.words(*reasons), peak,
        goodput(report), f"{lab.recovery():.2f} s")
    check(sent["up"] >= 0.98 * conns, f"{kind}: {sent['up']} of {conns} connections came about")
    check(share(report) >= SERVED, f"{kind}: {goodput(report)}")
    check(used <= conns * each + BUFFERS_SPARE, f"{kind}: {used} buffers in use, the budget is {conns * each}")
    return figures.moved(*reasons)


def body():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with Attack() as lab:
        slow(lab)
        moved = small(lab, "ooo", "one byte at odd places", 800, 20000, BUFFERS_OOO, ("tcp_ooo_full", "tcp_ooo_given_up"),
                      20 if LONG else 3)
        check(moved["tcp_ooo_full"] > 0, f"no budget was reached: {moved}")
        moved = small(lab, "tiny", "1-byte segments", 60, 15000, BUFFERS_TINY, ("tcp_rx_coalesced", "buf_compacted", "tcp_rx_over_budget"),
                      20 if LONG else 3)
        check(moved["tcp_rx_coalesced"] + moved["buf_compacted"] > 0, f"nothing was copied together: {moved}")
        within(10, lambda: not any(lab.daemon.in_use()[f"{name}-w0"] > lab.idle[f"{name}-w0"] + 20
                                   for name in ("tcp connections", "downstream")), "connections come back")


if __name__ == "__main__":
    main(body)
