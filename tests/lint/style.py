#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks licence lines, formatting, sizes of files, and functions that the data path must not call."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import files

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build-debug"))
LOOK_TWICE, TOO_LONG = 500, 800

# Rooms that run per packet, and the calls that would break design §4 and §2 there.
HOT_ROOMS = ("base", "observe", "buf", "steer", "net", "l4", "stream", "tls", "tcp", "balance", "codec", "route", "cel", "accesslog", "keyed", "filter", "upstream",
             "proxy", "worker", "forward")
FORBIDDEN = set("""malloc calloc realloc free rte_malloc rte_zmalloc printf fprintf puts mt_log write read open close mmap
    clock_gettime gettimeofday time nanosleep usleep getrandom rand random pthread_mutex_lock pthread_spin_lock""".split())
MISSING = []  # tools without which something is not looked at
# Files of those rooms that run at boot or on the control thread only.
COLD = {
    "base/base_accept.c": "the control thread's doors",
    "base/base_base.c": "MT_ASSERT's last words",
    "base/base_collect.c": "bodies of HTTP, in threads of their own",
    "base/base_file.c": "files of the control thread and of tools",
    "base/base_heap.c": "what the rooms below allocate by, at boot and on the control thread",
    "base/base_idmap.c": "compiles configuration",
    "base/base_log.c": "the log of the control thread",
    "base/base_rand.c": "seeds at boot",
    "base/base_region.c": "compiles configuration",
    "base/base_std.c": "first and last call of programs",
    "base/base_strmap.c": "compiles configuration",
    "codec/codec_registry.c": "compiles configuration",
    "observe/observe_capture.c": "the control thread makes and frees captures",
    "observe/observe_trace.c": "the control thread makes and frees traces",
    "steer/steer_steer.c": "boot",
    "forward/forward_routes.c": "the control thread replaces tables",
    "balance/balance_maglev.c": "compiles configuration",
    "balance/balance_maglev_share.c": "compiles configuration",
    "balance/balance_ring.c": "compiles configuration",
    "balance/balance_wseq.c": "compiles configuration",
    "keyed/keyed_rule.c": "the table is made at boot, rules by the control thread",
    "keyed/keyed_hottest.c": "the control thread reads what workers have counted",
    "route/route_arena.c": "compiles configuration",
    "route/route_builder.c": "compiles configuration",
    "route/route_compile.c": "compiles configuration",
    "route/route_index.c": "compiles configuration",
    "cel/cel_compile.c": "compiles configuration",
    "accesslog/accesslog_filter_new.c": "compiles configuration",
    "accesslog/accesslog_format.c": "compiles configuration",
    "accesslog/accesslog_format_json.c": "compiles configuration",
    "accesslog/accesslog_labels.c": "compiles configuration",
    "accesslog/accesslog_log.c": "the control thread's part of the log",
    "accesslog/accesslog_log_thread.c": "the thread mt-log",
    "accesslog/accesslog_net.c": "the control thread makes outputs; the thread mt-log",
    "accesslog/accesslog_sieve_new.c": "compiles configuration",
    "accesslog/accesslog_sink.c": "threads of files",
    "accesslog/accesslog_sink_file.c": "threads of files",
    "accesslog/accesslog_total.c": "the control thread counts places",
    "worker/worker_wake.c": "wakes a worker that sleeps",
    "worker/worker_clock.c": "the loop's one reading of the clock a turn",
    "worker/worker_idle.c": "sleeps",
    "worker/worker_mailbox.c": "the control thread waits for a worker",
    "worker/worker_names.c": "boot",
    "worker/worker_worker.c": "boot",
    "net/net_neigh_owner.c": "the table is made at boot",
    "net/net_net.c": "boot",
    "net/net_set.c": "the control thread replaces tables",
    "net/net_table.c": "the control thread replaces tables",
    "l4/l4_compile.c": "compiles configuration",
    "l4/l4_health_memory.c": "boot only",
    "l4/l4_limit_make.c": "control thread, and boot",
    "l4/l4_compile_group.c": "compiles configuration",
    "l4/l4_compile_sources.c": "compiles configuration",
    "l4/l4_l4.c": "boot",
    "tcp/tcp_tcp.c": "boot",
    "tls/tls_context.c": "the control thread makes contexts",
    "tls/tls_handshake.c": "threads of handshakes",
    "tls/tls_layer_boot.c": "boot",
    "tls/tls_pool.c": "boot; wakes a thread of handshakes that sleeps",
    "tls/tls_thread.c": "threads of handshakes",
    "tls/tls_tickets_openssl.c": "threads of handshakes",
    "tls/tls_verify.c": "threads of handshakes",
    "filter/filter_fault_fault.c": "compiles configuration",
    "filter/filter_global_ratelimit_conf.c": "compiles configuration; boot",
    "filter/filter_inbox.c": "made at boot; filters' own threads wake a worker that sleeps",
    "filter/filter_keyed_ratelimit_conf.c": "compiles configuration",
    "filter/filter_load.c": "loads and configures",
    "filter/filter_local_ratelimit_conf.c": "compiles configuration",
    "filter/filter_tally.c": "compiles configuration",
    "filter/filter_local_ratelimit_registry.c": "compiles configuration",
    "filter/filter_mutation_mutation.c": "compiles configuration",
    "upstream/upstream_cluster.c": "compiles configuration",
    "upstream/upstream_clusters.c": "compiles configuration",
    "upstream/upstream_registry.c": "compiles configuration",
    "proxy/proxy_node_limits.c": "boot",
    "proxy/proxy_proxy.c": "boot",
    "proxy/proxy_chain_names.c": "compiles configuration",
    "proxy/proxy_snapshot.c": "compiles configuration",
}


def tracked(*suffixes):
    return [ROOT / n for n in files.tracked() if n.endswith(suffixes) and (ROOT / n).is_file()]


def licences():
    for path in tracked(".c", ".h", ".cc", ".def", ".py", ".sh"):
        if "SPDX-License-Identifier: Apache-2.0" not in "".join(path.open(errors="replace").readlines()[:3]):
            yield f"{path.relative_to(ROOT)}: no SPDX line"


def sizes():
    lengths = sorted(((sum(1 for _ in p.open(errors="replace")), p) for p in tracked(".c", ".h")), reverse=True)
    for n, path in lengths[:5]:
        print(f"  {n:4} lines: {path.relative_to(ROOT)}{'  (look twice)' if n > LOOK_TWICE else ''}")
    for n, path in lengths:
        if n > TOO_LONG:
            yield f"{path.relative_to(ROOT)}: {n} lines, more than {TOO_LONG}: split it by topic"


def formatting():
    tool = shutil.which("clang-format-14")
    if not tool:
        MISSING.append("clang-format-14")
        return
    out = subprocess.run([tool, "--dry-run", *map(str, tracked(".c", ".h"))], capture_output=True, text=True)
    for path in sorted({line.split(":")[0] for line in out.stderr.splitlines() if "code should be clang-formatted" in line}):
        yield f"{pathlib.Path(path).relative_to(ROOT)}: not as .clang-format has it; run clang-format-14 -i"


def hot_path():
    for room in HOT_ROOMS:
        archive = BUILD / f"lib/libmt_{room}.a"
        if not archive.exists():
            yield f"{archive} is not built: its calls cannot be looked at"
            continue
        out = subprocess.run(["nm", "-A", "-u", archive], capture_output=True, text=True).stdout
        for line in out.splitlines():
            match = re.search(r"libmt_\w+\.a[:.].*?([\w.-]+)\.o:\s+U (\w+)", line)
            if match and match[2] in FORBIDDEN and f"{room}/{match[1]}" not in COLD:
                yield f"lib/{room}: {match[1]} calls {match[2]}(), which the data path must not"


def programs():
    """What begins like a program is one: the runner leaves out what cannot be executed."""
    for path in tracked(".py", ".sh"):
        if path.open("rb").read(2) == b"#!" and not os.access(path, os.X_OK):
            yield f"{path.relative_to(ROOT)}: begins with #! and is not executable"


def main():
    faults = [fault for check in (licences, sizes, programs, formatting, hot_path) for fault in check()]
    print("\n".join(faults) or "clean")
    if MISSING and not faults:
        print(f"SKIPPED: not installed: {', '.join(MISSING)}")
        return 77
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
