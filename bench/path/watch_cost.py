#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Measures what queries cost a worker, in instructions: a scraper of /metrics and `top`, by the daemon's own sockets, compared with a run
without queries.

  watch_cost.py PATH

Each loop iteration takes the same time, so a worker executes the same instructions each time, except for queries. Tables that only read
counters may cost at most 0.5 % with a query every 500 exchanges, which is more often than once a second under any full load. Their cost
is the difference of two runs. Tables that the worker fills itself (connections, exchanges) may cost as much at ten times the rate of
`top`, which is a table a second, under the smallest known full load. Their cost is that of the commands that the worker ran, and must
not be 0, because then nothing was counted. It is not a difference, because a run goes on until its queries are answered, and on a slow
machine has more exchanges than a run without queries.
"""
import json
import sys

from instructions import run

LIMIT = 0.005
FULL_LOAD = 80000  # exchanges a second of a worker with small messages over its slowest port (docs/performance.md, veth)
RHYTHM = 1  # queries a second
OPTIONS = ["--codec", "dubbo", "--conns", "64", "--outstanding", "4", "--turn-ns", "20000"]
READ, ANSWERED = ("services", "clusters"), ("connections", "exchanges")


def beside_nobody(program):
    """Without queries: (instructions of a run, its exchanges, instructions of one more exchange)"""
    (short, a), (long, b) = run(program, 1, OPTIONS), run(program, 2, OPTIONS)
    return short, a["exchanges"], (long - short) / (b["exchanges"] - a["exchanges"])


def looked_at(program, table, nobody):
    """(Instructions of a query, share of all instructions in this run, report)"""
    short, exchanges, each = nobody
    answered = table in ANSWERED
    more, report = run(program, 1, OPTIONS + ["--watch", table], only_below="mt_mailbox_run" if answered else None)
    if report["watch_rounds"] < 1:
        sys.exit(f"watch_cost: no query was made: {report}")
    if not answered:
        more -= short + (report["exchanges"] - exchanges) * each
    return more / report["watch_rounds"], more / (each * report["exchanges"]), report


def main():
    program = sys.argv[1]
    nobody = beside_nobody(program)
    failed = False
    for table in READ + ANSWERED:
        cost, share, report = looked_at(program, table, nobody)
        usual = cost * RHYTHM / (FULL_LOAD * nobody[2])
        print(json.dumps({"bench": "watch_cost", "table": table, "instructions_per_round": round(cost), "exchange": round(nobody[2], 1),
                          "rounds": report["watch_rounds"], "exchanges": report["exchanges"], "share_pct": round(100 * share, 3),
                          "share_usual_pct": round(100 * usual, 4), "share_tenfold_pct": round(1000 * usual, 3)}), flush=True)
        failed |= share > LIMIT if table in READ else not 0 < 10 * usual <= LIMIT
    sys.exit(failed)


if __name__ == "__main__":
    main()
