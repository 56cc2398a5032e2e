#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Some test reaches each outcome (a row of lib/*/*_outcomes.def). Unit tests, packet scripts and seeds of the simulator write the
rows that they reach (tests/outcomes_seen.h) into files, which tests/run names in MELTEMI_OUTCOMES_OF; without it this program
runs them itself. Any other row is in ELSEWHERE, with the test that reaches it and names it, or in UNREACHED, with the reason why
no test does. --list prints the rows that are not reached.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build-debug")).absolute()
UNIT_BUILD = ROOT / "build-asan"
UNITS = ("buf", "dns", "filter", "net", "port", "proxy", "tcp", "tls", "upstream", "worker")
SEEDS = "1-200"

ELSEWHERE = {  # a test that needs root or the real program; it has the row's name in it
    "extauthz.allowed": "interop/authz/test_ext_authz.py",
    "extauthz.bad_answer": "interop/authz/test_ext_authz.py",
    "extauthz.denied": "interop/authz/test_ext_authz.py",
    "extauthz.late": "interop/authz/test_ext_authz.py",
    "extauthz.refused": "interop/authz/test_ext_authz.py",
    "extauthz.unreachable": "interop/authz/test_ext_authz.py",
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
    "net.neigh_full": "65,536 neighbours on one link",
    "otlp.no_memory": "the heap would have to fail on the control thread",
    "port.tx_full": "a device whose ring stays full: virtual ones here take what they are given",
    "port.tx_stranded": "a device with fewer transmit queues than workers that is full for long",
    "tls.key_worn": "2^31 records of one TLS 1.2 connection",
    "tcp.header_bad": "lib/net drops such packets before; kept for callers that are not lib/net",
}


def programs():
    yield from ([UNIT_BUILD / "tests/unit" / f"unit_{room}"] for room in UNITS)
    yield [BUILD / "tests/tcpscript/run", "--json"]
    yield [BUILD / "tests/sim/sim", "--seeds", SEEDS, "--jobs", "all", "--json"]


def rows_in(path):
    return set(path.read_text().replace(" ", ".").split())


def reached():
    seen = set()
    if "MELTEMI_OUTCOMES_OF" in os.environ:
        return seen.union(*(rows_in(path) for path in pathlib.Path(os.environ["MELTEMI_OUTCOMES_OF"]).iterdir()))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "seen")
        for argv in programs():
            path.write_text("")
            run = subprocess.run([str(a) for a in argv], env={**os.environ, "MELTEMI_OUTCOMES": str(path)}, cwd=folder,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if run.returncode:
                sys.exit(f"{argv[0]} failed")
            seen |= rows_in(path)
    return seen


def rows():
    return {f"{table.stem.removesuffix('_outcomes')}.{name}" for table in ROOT.glob("lib/*/*_outcomes.def")
            for name in re.findall(r"^MT_OUTCOME\((\w+)", table.read_text(), re.M)}


def named(row, test):
    path = ROOT / "tests" / test
    return path.exists() and re.search(rf"\b{row.split('.')[1]}\b", path.read_text())


def main():
    for program in (BUILD / "tests/sim/sim", UNIT_BUILD / "tests/unit/unit_tcp"):
        if "MELTEMI_OUTCOMES_OF" not in os.environ and not program.exists():
            print(f"SKIPPED: {program} is not built")
            sys.exit(77)
    seen, wanted = reached(), rows()
    if "--list" in sys.argv:
        print("\n".join(sorted(wanted - seen)))
        return
    excused = set(ELSEWHERE) | set(UNREACHED)
    bad = [f"{row}: no test reaches it" for row in sorted(wanted - seen - excused)]
    bad += [f"{row}: excused, but a test reaches it" for row in sorted(seen & excused)]
    bad += [f"{row}: excused, but there is no such row" for row in sorted(excused - wanted)]
    bad += [f"{row}: tests/{test} does not name it" for row, test in ELSEWHERE.items() if not named(row, test)]
    print("\n".join(bad) or f"{len(wanted)} outcomes: {len(wanted & seen)} reached, {len(ELSEWHERE)} by tests of the whole program, "
          f"{len(UNREACHED)} by none")
    sys.exit(bool(bad) or not wanted)


main()
