#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Checks that a test reaches each outcome (a row of lib/*/*_outcomes.def). Unit tests, packet scripts and seeds of the simulator write
the rows that they reach (tests/outcomes_seen.h) to files in the directory MELTEMI_OUTCOMES_OF, which tests/run sets. Every other row
is in ELSEWHERE, with the test that reaches and names it, or in UNREACHED, with the reason why no test reaches it.
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

ELSEWHERE = {  # a test that needs root or the real program; it has the row's name in it
    "extauthz.allowed": "interop/authz/test_ext_authz.py",
    "extauthz.bad_answer": "interop/authz/test_ext_authz.py",
    "extauthz.denied": "interop/authz/test_ext_authz.py",
    "extauthz.late": "interop/authz/test_ext_authz.py",
    "extauthz.refused": "interop/authz/test_ext_authz.py",
    "extauthz.unreachable": "interop/authz/test_ext_authz.py",
    "filter.global_granted": "interop/ratelimit/test_ratelimit.py",
    "jwks.fetch_failed": "smoke/tokens_are_verified.py",
    "jwks.fetched": "smoke/tokens_are_verified.py",
    "jwt.algorithm": "smoke/tokens_are_verified.py",
    "jwt.audience": "smoke/tokens_are_verified.py",
    "jwt.expired": "smoke/tokens_are_verified.py",
    "jwt.issuer": "smoke/tokens_are_verified.py",
    "jwt.malformed": "smoke/tokens_are_verified.py",
    "jwt.no_key": "smoke/tokens_are_verified.py",
    "jwt.no_keys": "smoke/tokens_are_verified.py",
    "jwt.not_yet": "smoke/tokens_are_verified.py",
    "jwt.several": "smoke/tokens_are_verified.py",
    "jwt.signature": "smoke/tokens_are_verified.py",
    "jwt.too_long": "smoke/tokens_are_verified.py",
    "jwt.valid": "smoke/tokens_are_verified.py",
    "otlp.exports": "interop/otlp/test_otlp.py",
    "otlp.points": "interop/otlp/test_otlp.py",
    "otlp.retries": "interop/otlp/test_otlp.py",
    "otlp.unreachable": "interop/otlp/test_otlp.py",
    "otlp.late": "interop/otlp/test_otlp.py",
    "otlp.refused": "interop/otlp/test_otlp.py",
    "otlp.points_rejected": "interop/otlp/test_otlp.py",
    "otlp.bad_answer": "interop/otlp/test_otlp.py",
    "port.tx_no_memory": "smoke/ports_of_all_kinds.py",
}
UNREACHED = {
    "dns.no_socket": "the kernel would have to refuse a socket",
    "extauthz.no_memory": "the heap would have to fail on the thread that asks",
    "jwt.internal": "the heap would have to fail on the thread that verifies",
    "otlp.no_memory": "the heap would have to fail on the control thread",
    "port.tx_stranded": "a device with fewer transmit queues than workers that is full for long",
    "tls.key_limit_reached": "2^31 records of one TLS 1.2 connection",
    "tcp.header_bad": "lib/net drops such packets before; kept for callers that are not lib/net",
}


def reached(folder):
    return set().union(*(path.read_text().replace(" ", ".").split() for path in folder.iterdir()))


def rows():
    return {f"{table.stem.removesuffix('_outcomes')}.{name}" for table in ROOT.glob("lib/*/*_outcomes.def")
            for name in re.findall(r"^MT_OUTCOME\((\w+)", table.read_text(), re.M)}


def named(row, test):
    path = ROOT / "tests" / test
    return path.exists() and re.search(rf"\b{row.split('.')[1]}\b", path.read_text())


def main():
    if "MELTEMI_OUTCOMES_OF" not in os.environ:
        print("SKIPPED: reads what other tests of a run reach; run it with all others, or with `tests/run --quick`")
        sys.exit(77)
    seen, wanted = reached(pathlib.Path(os.environ["MELTEMI_OUTCOMES_OF"])), rows()
    excused = set(ELSEWHERE) | set(UNREACHED)
    bad = [f"{row}: no test reaches it" for row in sorted(wanted - seen - excused)]
    bad += [f"{row}: excused, but a test reaches it" for row in sorted(seen & excused)]
    bad += [f"{row}: excused, but there is no such row" for row in sorted(excused - wanted)]
    bad += [f"{row}: tests/{test} does not name it" for row, test in ELSEWHERE.items() if not named(row, test)]
    print("\n".join(bad) or f"{len(wanted)} outcomes: {len(wanted & seen)} reached, {len(ELSEWHERE)} by tests of the whole program, "
          f"{len(UNREACHED)} by none")
    sys.exit(bool(bad) or not wanted)


main()
