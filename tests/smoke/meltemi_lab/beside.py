# SPDX-License-Identifier: Apache-2.0
"""
Calls of others during an attack. They run in a closed loop, so the machine's pace decides how long they take and not whether
they pass: each must be answered, by its own server, while the attack goes on. What an attack adds to the latency of others is
held on virtual time by the simulator's victim_* scenarios.
"""

import os

from .check import equal

CALLS, CONNECTIONS, OUTSTANDING = 4000, 4, 2
TIMEOUT_MS = 30_000
ATTACKS = 3  # at least


def gives_way(pid):
    """From now on the process runs only when no other one wants to."""
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def all_answered(lab, target, attack):
    """Repeats attack() until all calls of others have ended. Returns the report of the calls."""
    load = lab.dubbo_client(target, count=CALLS, connections=CONNECTIONS, outstanding=OUTSTANDING, timeout_ms=TIMEOUT_MS)
    load.wait_line("calling")
    attacks = 0
    while load.popen.poll() is None or attacks < ATTACKS:
        attack()
        attacks += 1
    report = load.result()
    print(f"{attacks} attacks; calls of others: {report['answered']} answered", flush=True)
    equal((report["failed"], report["crossed"], report["strays"]), (0, 0, 0), f"calls of others that failed {report['errors']}")
    equal(report["answered"], CALLS, "calls of others that were answered")
    return report
