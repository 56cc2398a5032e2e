#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Runs a worker with access logs, spans, limits and retries, in a program that ends when the worker allocates or frees memory, takes a lock or
makes a system call (trap.c). Connections are open before, but with --churn, where each call has its own.

  trap.py PATH_TRAPPED
"""
import os
import subprocess
import sys

SKIPPED = 77
COMMON = ("--hugepages", "off", "--samples", "1", "--exchanges", "4000", "--turn-ns", "20000", "--json")
DUBBO, THRIFT, TCP = (("--codec", codec, "--conns", "16") for codec in ("dubbo", "thrift", "tcp"))
SHARED = (*DUBBO, "--outstanding", "8")
ALL = ("--log-metadata", "--traced", "all", "--keyed")
CASES = ((*SHARED, *ALL), (*DUBBO, "--log-full", "--keyed", "--churn"), (*SHARED, "--access-log", "--retries", "2", "--traced", "no"),
         (*THRIFT, "--multiplexing", *ALL), (*TCP, "--access-log", "--churn"))
# What the program must find, and its words.
FOUND = {"memory": "allocates", "lock": "pthread_mutex_lock", "call": "makes system call"}


def run(program, options, **env):
    done = subprocess.run([program, *COMMON, *options], capture_output=True, text=True, check=False, env={**os.environ, **env})
    if done.returncode == SKIPPED:
        print(done.stderr)
        sys.exit(SKIPPED)
    return done


def main():
    program, failed = sys.argv[1], False
    for what, words in FOUND.items():
        done = run(program, ["--help"], PATH_TRAP_TEST=what)
        if done.returncode == 0 or words not in done.stderr:
            print(f"{what} is not found: exit status {done.returncode}: {done.stderr[-500:]}")
            failed = True
    for options in CASES:
        done = run(program, options)
        print(f"{' '.join(options)}: {done.returncode}", flush=True)
        if done.returncode:
            print(done.stderr[-3000:])
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
