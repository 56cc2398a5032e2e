#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Floods without a connection: SYNs, ACKs, resets (blind, and in the window), garbage. During each at least 98 % of the calls to the
established service are answered, none of its connections dies, newcomers get in, and counters show what was refused.
"""

import contextlib

from attack_lab import PORT, SECONDS, SERVED, VIP, Attack, Figures, Peak, check, dubbo, goodput, meanwhile, row, share, within

from meltemi_lab import equal, main
from meltemi_lab.streams import ended

COUNTED = 500  # of what is sent, at least: a machine that has no time for Meltemi drops frames before it sees them
RATES = {"syn": 20000, "ack": 20000, "garbage": 20000, "rst": 20000, "rst-near": 5000}
REASONS = {
    "syn": ("tcp_cookies_sent", "tcp_half_open_timeouts", "tcp_cookies_bad"),
    "ack": ("tcp_no_connection", "tcp_resets_withheld", "tcp_cookies_bad"),
    "garbage": ("net_ethertype_unknown", "net_frame_short", "net_truncated", "net_ip_header_bad", "net_ip_checksum_bad",
                "net_ip_fragment_refused", "net_martian_source", "net_not_local", "net_tcp_header_bad", "net_tcp_checksum_bad",
                "tcp_options_bad", "tcp_no_connection", "tcp_cookies_sent", "net_proto_unserved"),
    "rst": ("tcp_rst_out_of_window", "tcp_rst_not_exact", "tcp_challenges_withheld"),
    "rst-near": ("tcp_rst_not_exact", "tcp_rst_out_of_window", "tcp_challenge_acks", "tcp_challenges_withheld"),
}

# The packet socket's kernel puts fragments together, and drops those that have no other part.
GARBAGE = tuple(name for name in REASONS["garbage"] if name not in ("net_frame_short", "net_ip_fragment_refused", "net_proto_unserved",
                                                                    "net_not_local", "tcp_cookies_sent"))


def one(lab, kind):
    figures, peak = Figures(lab.daemon), Peak(lab.daemon)
    load = lab.calls()
    flood = lab.flood(kind, RATES[kind])
    newcomers = meanwhile(lab.one_call, SECONDS - 1.5)
    tries, entered = newcomers()
    sent, report = flood.result(), load.result()
    moved = figures.moved(*REASONS[kind])
    row(kind, f"{sent['sent']} frames", f"{report['sent']} calls, {tries} newcomers", figures.words(*REASONS[kind]), peak,
        f"{goodput(report)}, newcomers {entered}", f"{lab.recovery():.2f} s")
    check(sent["sent"] > 2000, f"{kind}: the flood did not flood: {sent}")
    check(share(report) >= SERVED, f"{kind}: the established service had {goodput(report)}: {report}")
    equal(report["reset"] + report["closed"] + report["malformed"] + report["wrong_answer"], 0, f"{kind}: calls that broke")
    check(tries > 0 and entered >= 0.9 * tries, f"{kind}: {entered} of {tries} new connections got in")
    return moved


def exact_reset_ends(lab):
    """The one reset that is exact does end its connection: the others were not just lost."""
    figures, peak = Figures(lab.daemon), Peak(lab.daemon)
    with contextlib.closing(lab.connect("client", VIP, PORT)) as sock:
        flood = lab.flood("rst-exact", 1000, seconds=1)
        sock.sendall(dubbo.request(9, "sayHello", ["x"]))
        check(len(sock.recv(4096)) > 16, "the call before the exact reset is not answered")
        equal(flood.result()["flows"], 1, "connections overheard")
        within(5, lambda: figures.moved("tcp_resets_in")["tcp_resets_in"] == 1, "the exact reset ends the connection")
        sock.sendall(dubbo.request(10, "sayHello", ["x"]))
        check(ended(sock), "the connection that was reset answers")
    row("rst-exact", "1 frame", "1 call", "resets_in 1", peak, "-", f"{lab.recovery():.2f} s")


def body():
    with Attack() as lab:
        exact_reset_ends(lab)  # while no cookies are out: then strays are not told that their connection is gone
        moved = one(lab, "syn")
        check(moved["tcp_cookies_sent"] > 500, f"the flood was no matter for cookies: {moved}")
        moved = one(lab, "ack")
        check(sum(moved.values()) > COUNTED, f"ACKs are not counted: {moved}")
        moved = one(lab, "rst")
        check(moved["tcp_rst_out_of_window"] > COUNTED, f"blind resets are not counted: {moved}")
        moved = one(lab, "rst-near")
        check(moved["tcp_rst_not_exact"] > COUNTED, f"resets in the window are not counted: {moved}")
        moved = one(lab, "garbage")
        missing = [name for name in GARBAGE if not moved[name]]
        check(not missing, f"kinds of garbage that are not counted: {missing}")
        lab.daemon.memory_returns(lab.idle)


if __name__ == "__main__":
    main(body)
