# SPDX-License-Identifier: Apache-2.0
"""
Decides whether a failed test runs a second time, alone. Only tests do that have peers, threads or programs that they start, so that
their result depends on the load of the machine, and only if their output shows no fault that load cannot cause.
"""

import re

from . import verdict
from .catalog import THREADED

# Deliberate bugs, fixed seeds, packet scripts and instruction counts have the same result on each machine. So have documents, except
# of the tests that start a daemon and wait for it, and the kernel's connection tracking, whose time-outs that test sets to an hour.
ONE_TRY = re.compile(r"(lint|sim|asan/sim|mutants|fuzz|bench|conntrack)/|documents/(?!(memory|recipes|sizing)$)|differential/broken$")
UNITS = re.compile(r"(?:(?:asan/)?unit/|tsan/)(\w+)")
# Unit tests that may run again: of libraries with threads, and against peers in real time. A data race is a fault.
UNITS_IN_TIME = {*THREADED, "blast_loopback", "callout", "extauthz", "grpc", "rls"}

# Exit statuses of a program that crashed (verdict.CRASHED), as Python and as a shell write them.
CRASH = r"(?:-(?:4|6|7|8|11)|13[24569])\b"

FAULTS = {
    "a sanitizer's report": r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|: runtime error: ",
    "a broken assertion": r": broken invariant: |Assertion `.*' failed|MT_ASSERT",
    "a crash": r"ended by itself with|\bSIG(SEGV|ABRT|BUS|ILL|FPE)\b|Segmentation fault|double free|core dumped|"
               rf"\bexit(?: status| code)?\W{{0,3}}{CRASH}|\bend(?:s|ed) with {CRASH}(?! [a-z]+s\b)|"
               # As meltemi_lab.check.equal() writes it; lines of the program's output may come before "found".
               rf"FAILED: .*\bexit (?:status|code)\b[\s\S]{{0,4000}}?: found \(?(?:-?\d+, )?{CRASH}.*, expected ",
    "an error of the teardown": r"FAILED: (at the end of the lab |exit status at the end of the lab|meltemid does not end: |the log has errors: )",
    # Labs compare (failed, crossed) or (failed, crossed, strays), with or without errors in between. Calls that fail may only be late,
    # and a reply that comes after its call has failed is a stray.
    "a lost or foreign reply": r"FAILED: .*(another's|(?<![\"'])crossed|executed twice|answered twice|(?<![\"'])lost)|"
                               r"\b(?:answers|replies) of others:? (?:found )?\(?(?:0, )?[1-9]|FAILED: .*\breply of another call|"
                               r"FAILED: .*wrong answers.*: found \(?\[[^\]]|FAILED: .*calls of others that were answered: found |"
                               r"FAILED: .*(?:calls .*that failed|calls of others|others' answers).*: found \((?:\d+, (?:\{.*\}, )?|0, 0, )[1-9]|"
                               r"FAILED: .*[\"'](unanswered|wrong|crossed|strays)[\"']: (?!0|\[\]|\{\})",
}
FAULTS = {what: re.compile(pattern) for what, pattern in FAULTS.items()}


def _in_time(job):
    """True if the result of a job depends on the load of the machine."""
    unit = UNITS.match(job.name)
    if unit:
        return unit.group(1) in UNITS_IN_TIME
    return not ONE_TRY.match(job.name) and not job.must_fail and job.name not in verdict.EXPECTED


def refusal(job, status, output):
    """Why a failed job has no second try, or None if it has one."""
    # Counts of instructions do not depend on the load, but the time that counting takes does.
    late = status is None and job.name.startswith("bench/")
    if not late and not _in_time(job):
        return "its result does not depend on the load"
    if status is None and UNITS.match(job.name):
        return "a hang"  # their limits are many times what they take
    if status in verdict.CRASHED:
        return "a crash"
    return next((what for what, pattern in FAULTS.items() if pattern.search(output)), None)
