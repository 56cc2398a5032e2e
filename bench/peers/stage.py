# SPDX-License-Identifier: Apache-2.0
"""
The environment of all measurements: namespaces, servers, the two cores, and the measurement of CPU.

Core 0 runs the load generator and the servers, core 1 the proxy. The CPU of a proxy is the scheduler's run time of its threads. The
kernel charges softirq work to the thread that runs at that moment; the time of ksoftirqd on the proxy's core is recorded separately.
"""

import contextlib
import os
import pathlib
import time

import systems
from meltemi_lab import netns

WARM_UP = 0.4
CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def core_ticks():
    """Seconds by kind since boot, for each core; the kernel counts in ticks of about 10 ms."""
    hz = os.sysconf("SC_CLK_TCK")
    cores = {}
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        words = line.split()
        if words[0].startswith("cpu") and words[0] != "cpu":
            cores[int(words[0][3:])] = dict(zip(CPU_FIELDS, (int(w) / hz for w in words[1:9])))
    return cores


def ksoftirqd(core):
    """Seconds for which the kernel's softirq thread has run on a core."""
    if core not in _ksoftirqd:
        for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
            with contextlib.suppress(OSError):
                if path.read_text().strip() == f"ksoftirqd/{core}":
                    _ksoftirqd[core] = path.parent / "schedstat"
    path = _ksoftirqd.get(core)
    return int(path.read_text().split()[0]) / 1e9 if path else 0


_ksoftirqd = {}


class Stage:
    """with Lab(servers=1) as lab: stage = Stage(lab, blast); stage.serve()"""

    def __init__(self, lab, blast):
        self.lab, self.blast = lab, blast
        self.cores = sorted(os.sched_getaffinity(0))
        self.load_core, self.proxy_core = self.cores[0], self.cores[-1]
        self.configurations = {}
        self.servers, self.clients = [], []
        self._wire = "frames"

    def serve(self):
        """Makes the links for kernel proxies, allows many local ports, and starts an echo server for each protocol."""
        lab = self.lab
        lab.attach("kproxy", "s0", "198.51.100.250/24")
        netns.veth(lab.namespace("client"), "k0", lab.namespace("kproxy"), "d0")
        netns.kernel_end(lab.namespace("client"), "k0", "203.0.114.2/24")
        netns.kernel_end(lab.namespace("kproxy"), "d0", f"{systems.PROXY}/24")
        for role in ("client", "kproxy", "server1"):
            netns.sysctl(lab.namespace(role), net__ipv4__ip_local_port_range="1025 65535", net__ipv4__tcp_tw_reuse=1,
                         net__core__somaxconn=8192, net__ipv4__tcp_max_syn_backlog=8192)
        os.sched_setaffinity(0, {self.load_core})
        for proto, port in systems.PORTS.items():
            server = lab.run("server1", f"server-{proto}", [self.blast, "--server", "--proto", proto, port])
            server.wait_line("ready")
            self.servers.append(server)

    @contextlib.contextmanager
    def all_cores(self):
        """Programs started in this context may run on all cores."""
        os.sched_setaffinity(0, set(self.cores))
        try:
            yield
        finally:
            os.sched_setaffinity(0, {self.load_core})

    def wire(self, kind):
        if kind != self._wire:
            systems.set_wire(self.lab, kind)
        self._wire = kind

    def load(self, system, proto, size, connections, seconds, *options):
        """Starts the load generator, and returns when it begins to measure."""
        argv = [self.blast, "--json", "--proto", proto, "--size", size, "--connections", connections,
                "--duration", f"{seconds}s", "--warm-up", f"{WARM_UP}s", *options, f"{system.host}:{system.port}"]
        client = self.lab.run("client", f"blast-{time.monotonic_ns()}", argv)
        self.clients.append(client)
        client.wait_line("measuring", 60)
        return client

    def clear(self):
        """Stops all load generators, so that none of a failed cell runs during the next one."""
        for client in self.clients:
            client.stop()
        self.clients = []

    def sample(self, system, client):
        """All counters at one moment."""
        ours = sum(systems.cpu_seconds(p.pid) for p in [client, *self.servers]) + time.process_time()
        now = {"at": time.monotonic(), "cpu": system.cpu(), "ours": ours, "cores": core_ticks(),
               "ksoftirqd": {c: ksoftirqd(c) for c in (self.load_core, self.proxy_core)}}
        now["user"], now["system"] = system.user_and_system()
        now["work"] = system.work()
        return now

    def window(self, system, client, seconds):
        """CPU used while the load generator measures, in shares of a core."""
        first = self.sample(system, client)
        time.sleep(max(seconds - 0.15, 0.1))
        last = self.sample(system, client)
        elapsed = last["at"] - first["at"]

        def share(name):
            return (last[name] - first[name]) / elapsed

        def ticks(core, *kinds):
            return sum(last["cores"][core][k] - first["cores"][core][k] for k in kinds) / elapsed

        soft = {c: (last["ksoftirqd"][c] - first["ksoftirqd"][c]) / elapsed for c in first["ksoftirqd"]}
        busy = sum(ticks(core, *(k for k in CPU_FIELDS if k not in ("idle", "iowait"))) for core in self.cores)
        spent = share("user") + share("system")
        return {"kernel_share": share("system") / spent if spent else 0, "core_share": share("cpu"), "work_share": share("work") if first["work"] is not None else None,
                "ksoftirqd_share": soft[self.proxy_core], "softirq_ticks": ticks(self.proxy_core, "softirq", "irq"),
                "all_share": share("cpu") + share("ours") + sum(soft.values()),
                "load_core_share": 1 - ticks(self.load_core, "idle", "iowait"),
                "others_share": max(busy - share("cpu") - share("ours") - sum(soft.values()), 0)}
