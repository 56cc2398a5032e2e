#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Meltemi beside a kernel proxy and beside no proxy, the same load over the same namespaces, one after the other.

  bench/peers/run.py [--proto dubbo|thrift] [--sizes 20,1024] [--loads 1x1,16x1,16x8] [--seconds 2] [--rounds 3] [--save]

For each: exchanges per second, latency, and CPU per exchange: the proxy's own (its threads' scheduler time, which
includes the kernel work done on them) and the whole machine's (busy time of all CPUs, so other programs must be quiet).
Prints a table, then one JSON line; --save keeps it in bench/results/.
"""

import argparse
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "smoke"))

from meltemi_lab import BUILD, Lab  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402

BLAST = BUILD / "bench/blast/meltemi-blast"
VIP, KERNEL_PROXY, PORT = "240.240.9.1", "198.51.100.250", 20880
HAPROXY = """\
global
  maxconn 4096
  nbthread 1
defaults
  mode tcp
  timeout connect 1s
  timeout client 1h
  timeout server 1h
listen bench
  bind {proxy}:{port}
  server s1 {server}:{port}
"""


def machine_busy():
    """Busy seconds of all CPUs since boot."""
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def measure(lab, host, proxy, options, size, connections, outstanding):
    client = lab.run("client", f"blast-{host}-{time.monotonic_ns()}",
                     [BLAST, "--json", "--proto", options.proto, "--size", size, "--connections", connections,
                      "--outstanding", outstanding, "--duration", f"{options.seconds}s", "--warm-up", "0.3s", f"{host}:{PORT}"])
    client.wait_line("measuring")
    cpu, busy = proxy.cpu_seconds() if proxy else 0, machine_busy()
    time.sleep(options.seconds - 0.1)
    elapsed = options.seconds - 0.1
    cpu, busy = (proxy.cpu_seconds() if proxy else 0) - cpu, machine_busy() - busy
    result = client.result()
    exchanges = result["per_second"] * elapsed
    if not exchanges or result["sent"] != result["answered"]:
        raise RuntimeError(f"{host}: {result}")
    latency = result["latency"]
    return {"per_second": result["per_second"], "p50_us": latency["p50_us"], "p99_us": latency["p99_us"],
            "p999_us": latency["p999_us"], "generator_busy": result["busy"],
            "proxy_cpu_us": round(cpu / exchanges * 1e6, 2), "machine_cpu_us": round(busy / exchanges * 1e6, 2)}


def best(rounds):
    """The round that was disturbed least: the one with the most exchanges."""
    return max(rounds, key=lambda r: r["per_second"])


def paths(lab, options):
    """(name, address, proxy's process) of what is compared."""
    found = [("direct", lab.server(1), None)]
    config = lab.directory / "haproxy.cfg"
    config.write_text(HAPROXY.format(proxy=KERNEL_PROXY, server=lab.server(1), port=PORT))
    lab.attach("kproxy", "k0", f"{KERNEL_PROXY}/24")
    if subprocess.run(["sh", "-c", "command -v haproxy"], capture_output=True, check=False).returncode == 0:
        proxy = lab.run("kproxy", "haproxy", ["haproxy", "-db", "-f", config])
        time.sleep(0.5)
        found.append(("haproxy", KERNEL_PROXY, proxy))
    daemon = lab.meltemi(workers=1, idle="adaptive")
    daemon.write("bench.yaml", service("org.apache.dubbo.samples.basic.api.demoservice", VIP, PORT,
                                       f"tcp-metaprotocol-{options.proto}", [(lab.server(1), PORT, {})]))
    daemon.start()
    found.append(("meltemi", VIP, daemon.process))
    return found


def awake(candidates, wanted):
    """Stops the proxies that are not measured, so that an idle one takes no CPU from the other."""
    for _, _, proxy in candidates:
        if proxy:
            proxy.popen.send_signal(signal.SIGCONT if proxy is wanted else signal.SIGSTOP)


def compare(lab, options):
    rows = []
    candidates = paths(lab, options)
    lab.run("server1", "server", [BLAST, "--server", "--proto", options.proto, PORT]).wait_line("ready")
    for size in (int(s) for s in options.sizes.split(",")):
        for load in options.loads.split(","):
            connections, outstanding = (int(n) for n in load.split("x"))
            for name, host, proxy in candidates:
                awake(candidates, proxy)
                rounds = [measure(lab, host, proxy, options, size, connections, outstanding) for _ in range(options.rounds)]
                row = {"path": name, "size": size, "connections": connections, "outstanding": outstanding, **best(rounds)}
                rows.append(row)
                print(LINE.format(**row), flush=True)
    return rows


LINE = ("{path:<8} {size:>6} B {connections:>4} x {outstanding:<3} {per_second:>9,.0f}/s  p50 {p50_us:>8.1f} us  "
        "p99 {p99_us:>9.1f} us  CPU proxy {proxy_cpu_us:>7.2f} us  machine {machine_cpu_us:>7.2f} us")


def machine():
    cpu = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
           if line.startswith("model name")]
    def first_line(command):
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return (done.stdout.strip().splitlines() or ["not installed"])[0]

    return {"cpu": cpu[0] if cpu else platform.processor(), "cpus": os.cpu_count(), "kernel": platform.release(),
            "load_before": os.getloadavg()[0], "meltemi": first_line(f"{BUILD}/app/meltemid/meltemid --version"),
            "haproxy": first_line("haproxy -v"),
            "link": "veth, af_packet"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proto", choices=("dubbo", "thrift"), default="dubbo")
    parser.add_argument("--sizes", default="20,1024")
    parser.add_argument("--loads", default="1x1,16x1,16x8")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    about = machine()
    with Lab(servers=1) as lab:
        rows = compare(lab, options)
    result = {"bench": "peers", "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "proto": options.proto,
              "command": "bench/peers/run.py " + " ".join(sys.argv[1:]), "machine": about, "rows": rows}
    if options.save:
        path = ROOT / "bench/results" / f"peers-{options.proto}-{time.strftime('%Y%m%d', time.gmtime())}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(f"kept in {path.relative_to(ROOT)}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
