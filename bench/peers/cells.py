# SPDX-License-Identifier: Apache-2.0
"""Measures a cell: one kind of load on one system. Each function returns a dictionary with `ok`, and with `why` if `ok` is false."""

import json
import subprocess
import time

import install

MEBI = 1 << 20
LATENCIES = ("p50_us", "p90_us", "p99_us", "p999_us", "p9999_us", "p99999_us", "max_us")
TROUBLE = ("native_error", "wrong_answer", "reset", "closed", "timeout", "malformed", "abandoned", "unsent", "unknown_id", "late", "connect_failed")


def trouble(report, rate=None):
    """Why the run is not used: it lost calls, or did not reach the requested rate. None: it is used."""
    lost = {name: report[name] for name in TROUBLE if report[name]}
    if lost or report["sent"] != report["answered"]:
        return ", ".join(f"{n} {name}" for name, n in lost.items()) or f"{report['sent'] - report['answered']} without an answer"
    if not report["answered"]:
        return "no call was answered"
    if rate and report["per_second"] < 0.98 * rate:
        return f"reached {report['per_second']:,.0f}/s only"
    return None


def figures(report, used, system, rate=None):
    """The results of a measurement that are kept, from the CPU used and the generator's report."""
    per_call = 1e6 / report["per_second"] if report["per_second"] else 0
    why = trouble(report, rate)
    if not why and system.process and used["core_share"] <= 0:
        why = f"{system.name} ended meanwhile"
    work = used["work_share"]
    return {"ok": why is None, **({"why": why} if why else {}), "per_second": report["per_second"],
            **{name: report["latency"][name] for name in LATENCIES},
            "cpu_us": round(used["core_share"] * per_call, 3), "work_us": None if work is None else round(work * per_call, 3),
            "all_us": round(used["all_share"] * per_call, 3), "ksoftirqd_us": round(used["ksoftirqd_share"] * per_call, 3),
            **{name: round(value, 4) for name, value in used.items() if value is not None}}


def closed(stage, system, proto, size, connections, outstanding, seconds):
    """Closed loop: the next call follows each reply."""
    client = stage.load(system, proto, size, connections, seconds, "--outstanding", outstanding, "--close", "reset")
    used = stage.window(system, client, seconds)
    return figures(client.result(), used, system)


def fixed(stage, system, proto, size, connections, rate, seconds):
    """Open loop with a fixed rate: Poisson arrivals; latency is counted from the time at which a call was due."""
    client = stage.load(system, proto, size, connections, seconds, "--rate", rate, "--close", "reset")
    used = stage.window(system, client, seconds)
    return figures(client.result(seconds + 30), used, system, rate)


def idle(stage, system, seconds):
    """No load and no connection."""
    class Nobody:
        pid = 0

    time.sleep(WARM_DOWN)
    used = stage.window(system, Nobody, seconds)
    return {"ok": True, **{name: round(value, 4) for name, value in used.items() if value is not None}}


WARM_DOWN = 0.5


def churn(stage, system, proto, size, connections, seconds):
    """A connection for each call."""
    client = stage.load(system, proto, size, connections, seconds, "--calls-per-connection", 1, "--close", "fin")
    used = stage.window(system, client, seconds)
    return figures(client.result(), used, system)


def memory(stage, system, proto, few, many, seconds):
    """
    Memory of each additional connection, in bytes: nearly idle, and with a call in flight. The system has just been started. The few
    connections come first and are the base of both, because proxies seldom return memory that they have allocated.
    """
    found = {}
    for name, counts, options in (("open", (few, many), ("--rate", 50)), ("calling", (many,), ("--outstanding", 1))):
        for connections in counts:
            client = stage.load(system, proto, 20, connections, seconds, "--close", "reset", *options)
            time.sleep(seconds / 2)
            found[name, connections] = system.memory()
            report = client.result()
            if trouble(report):
                return {"ok": False, "why": f"{connections} connections: {trouble(report)}"}
    return {"ok": True, "few": few, "many": many,
            **{f"{name}_bytes": round((found[name, many] - found["open", few]) / (many - few)) for name in ("open", "calling")},
            "total_bytes": found["calling", many]}


def path(codec, mtu, size, connections, outstanding):
    """Meltemi over a memif, DPDK's packet interface between two programs: runs bench/path."""
    calls = max(100, min(20000, 20 * MEBI // (size + 2000)))
    argv = [install.BUILD / install.PATH, "--json", "--link", "memif", "--codec", codec, "--size", size, "--conns", connections,
            "--outstanding", outstanding, "--samples", 20 if size < 100000 else 10, "--exchanges", calls,
            *(["--mtu", mtu] if mtu != 1500 else [])]
    try:
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return {"ok": False, "why": "not finished within 60 s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"ok": False, "why": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    result = json.loads(lines[-1])
    good = result["errors"] == 0 and result["idle_share"] < 0.01
    return {"ok": good, **({} if good else {"why": f"errors {result['errors']}, idle {result['idle_share']}"}),
            "cpu_us": result["ns_median"] / 1e3, "least_us": result["ns_min"] / 1e3,
            "per_second": round(1e9 / result["ns_median"], 1), "cycles": result["cycles_median"], "io_share": result["io_share"],
            "command": " ".join(["bench/path/path", *(str(a) for a in argv[1:])])}
