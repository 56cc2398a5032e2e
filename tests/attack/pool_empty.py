#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Who would use up the packet buffers of a Meltemi with little memory, by streams that nobody reads and bytes all over the windows of many
connections, does not come far: each kind of buffer has its share, who holds most of it gives way, which is counted. Others do not notice,
and when it is over the buffers come back: within a second in the simulator's pool_empty, on virtual time; here after some time.
"""

import time

from attack_lab import LONG, OTHER, PORT, VIP, Attack, Figures, Peak, check, goodput, row, share, within

from meltemi_lab import equal, main, streams
from meltemi_lab.documents import service

SECONDS = 20 if LONG else 5
# A bomb must hold more than an honest connection that waits for a busy machine, which has CALLS messages at most.
MB, READERS, BOMBS, CALLS = 64, 150, 500, 4
REASONS = ("proxy_evicted_receiving", "proxy_evicted_streaming", "tcp_tx_throttled", "tcp_ooo_full", "tcp_ooo_given_up", "tcp_rx_over_budget", "tcp_rx_no_memory", "tcp_cookies_sent",
           "proxy_reply_overload", "proxy_no_memory", "buf_data_pool_empty", "buf_compacted")


def pours(sock):
    for _ in range(1000):
        sock.sendall(b"z" * (64 << 10))
    sock.close()


def squeeze(lab):
    figures, peak = Figures(lab.daemon), Peak(lab.daemon)
    load = lab.calls(seconds=SECONDS + 2, outstanding=CALLS)
    deaf = [lab.connect("client", OTHER, 7000) for _ in range(READERS)]
    flood = lab.flood("ooo", 20000, seconds=SECONDS, connections=BOMBS)
    sent = flood.result()
    ended = time.monotonic()
    for sock in deaf:
        streams.reset(sock)
    within(60, lab.one_call, "a call after the squeeze", step=0.01)
    answered = time.monotonic() - ended
    lab.daemon.memory_returns(lab.idle, 60)
    back = time.monotonic() - ended
    report = load.result()
    row("pool emptied", f"{sent['sent']} segments on {sent['up']} connections, {READERS} streams", f"{report['sent']} calls",
        f"native_error {report['native_error']}, " + figures.words(*REASONS), peak, goodput(report),
        f"a call {answered:.2f} s, buffers {back:.2f} s")
    return report, figures.moved(*REASONS), peak


def body():
    opaque = service("pour.test", OTHER, 7000, "tcp", [("198.51.100.11", 7000, {})])
    with Attack(mb=MB, documents={"pour.yaml": opaque}) as lab, lab.listening("server1", 7000, pours):
        report, moved, peak = squeeze(lab)
        check(0.2 * peak.size < peak.used() < 0.75 * peak.size, f"nothing was tried, or the pool was emptied: {peak}")
        check(sum(moved.values()) > 0, f"nobody counted: {moved}")
        equal(report["reset"] + report["closed"] + report["malformed"] + report["wrong_answer"], 0, f"calls that broke {report}")
        equal(report["answered"] + report["native_error"] + report["timeout"] + report["abandoned"], report["sent"], f"calls without an end {report}")
        check(share(report) >= 0.9, f"the established service: {goodput(report)}")
        after = lab.calls(seconds=1).result()
        equal(after["answered"], after["sent"], f"calls after it {after}")


if __name__ == "__main__":
    main(body)
