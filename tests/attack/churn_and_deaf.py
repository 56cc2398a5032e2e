#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Connections that come and go (open, one call, close; open, one call, reset; open and reset; SYNs and nothing more), and
clients that call and never read beside those that do: the established service is answered, what the others pin is bounded,
and every connection, record and buffer is given back.
"""

import threading
import time

from attack_lab import LONG, PORT, SERVED, VIP, Attack, Figures, Peak, check, dubbo, goodput, row, share, within

from meltemi_lab import equal, main, streams

SECONDS = 20 if LONG else 2
DEAF = 40
HELD = 3 << 20  # of one deaf client, at most: the hard budget of 1 MiB, as much again on its way, and its requests
GREEDY = b"".join(dubbo.request(n, "sayHello", ["x" * 4000]) for n in range(50))
HELD_BACK = ("proxy_paused_budget", "proxy_slow_reader")
# Half-open records are given up after a minute.
SLABS = ("tcp out of order", "downstream", "exchange") + (("tcp half-open",) if LONG else ())
CHURN = 2000    # connections a second: a client has 28,000 ports, and each is in TIME-WAIT for a minute after a FIN


def beside(lab, what, offered, attack, *reasons):
    """attack() lasts about SECONDS and returns what the row says of it."""
    figures, peak = Figures(lab.daemon), Peak(lab.daemon)
    load = lab.calls(seconds=SECONDS + 1)
    came = attack()
    report = load.result()
    row(what, offered.format(came), f"{report['sent']} calls", figures.words(*reasons), peak, goodput(report),
        f"{lab.recovery():.2f} s")
    check(share(report) >= SERVED, f"{what}: {goodput(report)}")
    equal(report["reset"] + report["closed"] + report["malformed"] + report["wrong_answer"], 0, f"{what}: calls that broke")
    return came, figures


def churn(lab, close):
    def attack():
        report = lab.run("client", f"churn-{close}", [
            *lab.blast(connections=64, seconds=SECONDS), "-r", CHURN, "-w", "0s", "--calls-per-connection", "1", "--close", close,
            f"{VIP}:{PORT}"]).result()
        check(report["answered"] >= 0.9 * report["sent"], f"calls of the churn {report}")
        equal(report["wrong_answer"] + report["malformed"] + report["reset"], 0, f"calls that broke {report}")
        return report["connected"]

    came, figures = beside(lab, f"open, one call, {close}", "{} connections", attack)
    moved = figures.moved("proxy_down_accepted", "proxy_down_closed")
    check(came > 100 and moved["proxy_down_accepted"] >= came, f"no churn: {came}, {moved}")


def open_and_reset(lab):
    def attack():
        end, n = time.monotonic() + SECONDS, 0
        with lab.inside("client"):
            while time.monotonic() < end:
                streams.reset(streams.socket.create_connection((VIP, PORT), timeout=30))
                n += 1
        return n

    came, figures = beside(lab, "open and reset", "{} connections", attack, "tcp_resets_in")
    moved = figures.moved("tcp_resets_in")["tcp_resets_in"]
    check(moved >= 0.9 * came, f"{moved} resets of {came} connections came in")


def never_finish(lab):
    def attack():
        return lab.flood("syn", 1000, seconds=SECONDS).result()["sent"]

    beside(lab, "half-open", "{} SYNs", attack, "tcp_cookies_sent", "tcp_half_open_timeouts")


def stuff(sock, enough):
    """Sends calls until the socket takes no more; a send goes on where the one before has stopped, also within a call."""
    sock.settimeout(0.2)
    rest = b""
    while not enough.is_set():
        rest = rest or GREEDY
        try:
            rest = rest[sock.send(rest):]
        except TimeoutError:
            continue
        except OSError:
            return


def deaf(lab):
    def attack():
        socks = [lab.connect("client", VIP, PORT) for _ in range(DEAF)]
        for sock in socks:
            sock.setsockopt(streams.socket.SOL_SOCKET, streams.socket.SO_RCVBUF, 8 << 10)
        enough, before, began = threading.Event(), Figures(lab.daemon), time.monotonic()
        threads = [threading.Thread(target=stuff, args=(sock, enough), daemon=True) for sock in socks]
        for thread in threads:
            thread.start()
        time.sleep(SECONDS)
        # How soon their budgets are full is the machine's.
        while not any(before.moved(*HELD_BACK).values()) and time.monotonic() < began + 30 * SECONDS:
            time.sleep(0.5)
        enough.set()
        for thread in threads:
            thread.join()
        held = lab.daemon.held_back(lab.idle)
        for sock in socks:
            sock.close()
        return held

    held, figures = beside(lab, "deaf clients", f"{DEAF} that never read, " + "{} bytes held", attack, *HELD_BACK)
    moved = figures.moved(*HELD_BACK)
    check(sum(moved.values()) > 0, "nobody was held back")
    check(held <= DEAF * HELD, f"{held} bytes are held for {DEAF} deaf clients")


def given_back(lab):
    def left():
        now = lab.daemon.in_use()
        out = {name: n - lab.idle[name] for name, n in now.items()
               if name.rsplit("-w", 1)[0] in SLABS and n > lab.idle[name] + 2}
        # Those to servers stay for later calls: how many there are depends on how many calls were out at once.
        kept = lab.daemon.show("connections side=server")["total"]
        ours = sum(n for name, n in now.items() if name.startswith("tcp connections")) - kept
        return {**out, **({"tcp connections": ours} if ours > 2 else {})}

    within(90 if LONG else 10, lambda: not left(), "objects come back", step=0.5)


def body():
    with Attack() as lab:
        never_finish(lab)
        open_and_reset(lab)
        churn(lab, "reset")
        churn(lab, "fin")
        deaf(lab)
        lab.daemon.memory_returns(lab.idle)
        given_back(lab)


if __name__ == "__main__":
    main(body)
