#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What being looked at costs a worker, in instructions: a scraper at /metrics and `top`, by the daemon's own sockets, beside nobody.

  watch_cost.py PATH

Time goes by turns, so a worker executes the same instructions each time but for what is asked of it. What only reads counters must
cost at most 0.5 % with a round of questions in each 500 exchanges, which no full load makes last a second, and so has no rhythm to
be argued about. The tables that the worker fills by itself (connections, exchanges) must cost so much at most at ten times the rhythm of
`top`, one table a second, at the least full load known. They must cost something: else nothing was counted.
"""
import json
import sys

from instructions import run

LIMIT = 0.005
FULL_LOAD = 80000  # exchanges a second that a worker makes of small messages over its slowest port (docs/performance.md, veth)
RHYTHM = 1  # rounds a second
OPTIONS = ["--codec", "dubbo", "--conns", "64", "--outstanding", "4", "--turn-ns", "20000"]
READ, ANSWERED = ("services", "clusters"), ("connections", "exchanges")


def beside_nobody(program):
    """(instructions of a run, its exchanges, instructions of a further exchange)"""
    (short, a), (long, b) = run(program, 1, OPTIONS), run(program, 2, OPTIONS)
    return short, a["exchanges"], (long - short) / (b["exchanges"] - a["exchanges"])


def looked_at(program, table, nobody):
    """(instructions that a round costs, share of all in this run)"""
    short, exchanges, each = nobody
    instructions, report = run(program, 1, OPTIONS + ["--watch", table])
    more = instructions - short - (report["exchanges"] - exchanges) * each
    if report["watch_rounds"] < 1:
        sys.exit(f"watch_cost: nothing was asked: {report}")
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
