#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Measures the cost of mutual TLS in the mesh and of the TLS library alone in one run; prints Markdown tables.

  tls_cost.py [--build DIR] [--link ring|memif] [--rounds N] [--many]

Exchanges: runs bench/path alternately in plaintext and with mutual TLS on both sides, and takes the least of all samples, in cycles of
the time stamp counter and for Meltemi's loop iterations only. The limit for an exchange by TLS is the plaintext one and four records; a
record may cost the library's own cycles for 256 bytes and those of MORE below. `--many` adds 4,096 connections, which is more than the
number of expanded keys that are kept. Handshakes and the memory of idle connections follow. Use a release build with LTO. A missed limit
does not make the program fail, because other load on the machine may be the cause.
"""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CIPHERS = {"aes-128-gcm": "AES-128-GCM", "aes-256-gcm": "AES-256-GCM", "chacha20-poly1305": "CHACHA20-POLY1305"}
CASES = (("dubbo", "64 x 1", []), ("dubbo", "16 x 8", ["--conns", "16", "--outstanding", "8"]), ("thrift", "64 x 1", []), ("tcp", "64 x 1", []))
# Cycles that a record may take beyond the library's own cost: with at most 64 connections, and with more connections than expanded keys.
# 60 and 300 are for Meltemi's code. AES-GCM has 50 more, because ipsec-mb takes longer for a short record in an exchange than in a loop
# of equal records, and 220 more where the library expands a key for each record.
MORE = {"AES-128-GCM": (110, 520), "AES-256-GCM": (110, 520), "CHACHA20-POLY1305": (60, 300)}
# Dubbo, because its clients share connections to servers. 4,096 opaque TCP streams would need as many handshakes with servers at once,
# which takes one core too long.
MANY = (("dubbo", "4,096 x 1", ["--conns", "4096"]),)


def lines(program, *words):
    ran = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{program} {' '.join(words)}: exit status {ran.returncode}\n{ran.stderr[-2000:]}")
    return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


def records(build):
    """(The provider in use, cycles by cipher and number of connections: (the library's seal and open, Meltemi's)), for 256 bytes."""
    rows = [r for r in lines(build / "bench/micro/bench_record") if r["bytes"] == 256]
    used = rows[-1]["provider"]
    return used, {(r["cipher"], r["connections"] > 64): ((r["library_seal"], r["library_open"]), (r["seal"], r["open"]))
                  for r in rows if r["provider"] == used}


def exchange(o, options, rounds, samples):
    """(Least, best median) in cycles, without and with TLS."""
    best = {"off": [], "both": []}
    for _ in range(rounds):
        for tls, found in best.items():
            found.append(lines(o.build / "bench/path/path", "--json", "--tls", tls, "--link", o.link, *samples, *options)[-1])
    return {tls: (min(r["cycles_min"] for r in found), min(r["cycles_median"] for r in found)) for tls, found in best.items()}


def rows(o, cases, rounds, library, many, samples):
    for codec, name, options in cases:
        for cipher, called in CIPHERS.items():
            cost = exchange(o, ["--codec", codec, "--cipher", cipher, *options], rounds, samples)
            (plain, _), (tls, median) = cost["off"], cost["both"]
            seal, opened = library[called, many][0]
            allowed = 2 * (seal + opened) + 4 * MORE[called][many]
            print(f"| {codec}, {name} | {called} | {plain:,.0f} | {tls:,.0f} | {median:,.0f} | {tls - plain:,.0f} | {allowed:,.0f} | "
                  f"{'yes' if tls - plain <= allowed else 'no'} |", flush=True)


def held(build):
    """Memory of an idle opaque TCP stream, in plaintext and with TLS on both sides."""
    return [lines(build / "bench/scale/scale", "--conns", "10000", "--samples", "0", "--churn", "0", "--idle-hours", "0", "--tls", tls)[-1]
            for tls in ("off", "both")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--link", choices=("ring", "memif"), default="ring", help="link between Meltemi and the hosts on both sides (default: ring)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", action="store_true", help="also 4,096 connections, which takes a minute of handshakes for each line")
    o = parser.parse_args()
    provider, library = records(o.build)
    print(f"Exchanges over {o.link}. Records of 256 bytes, {provider}; library: 64 keys, all expanded.\n\n| cipher | connections | library, seal / open | ours |\n|---|---|---|---|")
    for (cipher, many), (theirs, ours) in library.items():
        print(f"| {cipher} | {'65,536' if many else '64'} | {theirs[0]} / {theirs[1]} | {ours[0]} / {ours[1]} |")
    print("\n| exchange of 20 B | cipher | plain, least | mTLS on both sides, least | its best median | more | limit: 4 records | within |\n"
          "|---|---|---|---|---|---|---|---|")
    rows(o, CASES, o.rounds, library, False, ["--samples", "300", "--exchanges", "300"])
    if o.many:
        rows(o, MANY, o.rounds, library, True, ["--samples", "30", "--exchanges", "20000"])
    shake = lines(o.build / "bench/micro/bench_handshake")[-1]
    print(f"\nFull handshake with certificates on both sides, server, thousands of cycles of CPU ({shake['library']}): library alone {shake['library_kcycles']}, "
          f"ours in line {shake['in_line_kcycles']} ({shake['in_line_more_pct']:+} %), by the thread {shake['thread_kcycles']} ({shake['thread_more_pct']:+} %).")
    plain, tls = held(o.build)
    print(f"\nAn idle byte stream with both its connections: {plain['bytes']:,.0f} bytes, by TLS on both sides {tls['bytes']:,.0f} "
          f"({tls['bytes'] - plain['bytes']:+,.0f}; resident {tls['bytes_resident'] - plain['bytes_resident']:+,.0f}).")


if __name__ == "__main__":
    main()
