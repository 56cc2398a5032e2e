#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Clients are killed while their server hangs, and their kernel has soon forgotten them: Meltemi finds that out and lets their
connections and calls go long before the server's time-out of five minutes.
"""

import time

from others import Others, check, equal, main, netns, within

CLIENTS, SECONDS = 20, 25


def connections(lab):
    return lab.daemon.show("connections side=client")["connections"]


def body():
    with Others() as lab:
        netns.sysctl(lab.namespace("client"), net__ipv4__tcp_fin_timeout=1)
        clients = [lab.caller() for _ in range(CLIENTS)]
        for client in clients:
            client.calls((200_000, 0, 0))
        within(5, lambda: len(lab.daemon.show("exchanges")["exchanges"]) == CLIENTS, "the calls are out")
        equal(len(connections(lab)), CLIENTS, "connections of clients")
        for client in clients:
            client.sock.close()
        time.sleep(2)
        within(SECONDS, lambda: not lab.daemon.show("exchanges")["exchanges"], "calls of clients that are gone are let go", step=0.5)
        within(5, lambda: not connections(lab), "their connections are let go", step=0.5)
        check(lab.daemon.ready(), "not ready")


main(body)
