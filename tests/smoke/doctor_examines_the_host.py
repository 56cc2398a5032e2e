#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
`meltemi doctor` on hosts that are trees of files: each thing that is wrong with one is named with a remedy, and a host that is
as it should be has nothing named. The daemon is a real one; its cores are those of this machine.
"""

import json
import os
import socket
import subprocess

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.daemon import SHELL
from meltemi_lab.schemas import fits

CPU = "sys/devices/system/cpu"
CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"
GOOD = {
    "proc/meminfo": "HugePages_Total:    1024\nHugePages_Free:      900\nHugepagesize:       2048 kB\n",
    "proc/cpuinfo": "flags : fpu tsc constant_tsc nonstop_tsc\n",
    "proc/stat": "cpu  1000 0 1000 90000 0 0 0 10 0 0\n",
    "sys/fs/cgroup/cpu.max": "max 100000\n",
    CLOCK: "tsc\n",
    f"{CPU}/isolated": "0-63\n",
    f"{CPU}/nohz_full": "0-63\n",
}
CORES = range(8)
for core in CORES:
    GOOD.update({f"{CPU}/cpu{core}/cpuidle/state0/latency": "0\n", f"{CPU}/cpu{core}/cpuidle/state1/latency": "2\n",
                 f"{CPU}/cpu{core}/cpufreq/scaling_governor": "performance\n",
                 f"{CPU}/cpu{core}/topology/thread_siblings_list": f"{core}\n"})


def on_all(path, text):
    return {f"{CPU}/cpu{core}/{path}": text for core in CORES}


# What is different from a good host; the check that says so, and a word of it.
BAD = [
    ({"proc/meminfo": "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n"}, "hugepages", "no hugepages"),
    ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, "cpu quota", "1.50 cores"),
    ({CLOCK: "hpet\n"}, "clock", "not the TSC"),
    ({"proc/cpuinfo": "flags : fpu tsc\n"}, "clock", "changes its pace"),
    ({"proc/stat": "cpu  1000 0 1000 6000 0 0 0 2000 0 0\n"}, "steal", "20 %"),
    ({f"{CPU}/isolated": "\n"}, "isolation", "runs other programs"),
    ({f"{CPU}/nohz_full": "\n"}, "isolation", "timer tick"),
    (on_all("cpuidle/state2/latency", "133\n") | on_all("cpuidle/state2/name", "C6\n"), "sleep states", "C6, from which it wakes in 133 us"),
    (on_all("cpufreq/scaling_governor", "powersave\n"), "sleep states", "governor is powersave"),
    (on_all("topology/thread_siblings_list", "0-7\n"), "siblings", "share one physical core"),
    ({"sys/class/net/p1/operstate": "down\n"}, "interfaces", "p1 is down"),
    ({"sys/class/net/p0/master/operstate": "up\n"}, "interfaces", "bridge or bond"),
]


def tree(root, files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def findings(daemon, root):
    argv = [SHELL, "-s", daemon.directory / "admin.sock", "--json", "doctor", "--root", root]
    done = subprocess.run(argv, text=True, capture_output=True, timeout=30, check=False)
    answer = json.loads(done.stdout)
    fits("doctor", answer)
    # Of its counters a live node may tell this or that at any moment.
    return [row for row in answer["findings"] if row["check"] != "errors"]


def doctor(path, *before):
    return subprocess.Popen([*before, SHELL, "-s", path, "--json", "doctor"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def about_the_daemon(process):
    printed, _ = process.communicate(timeout=60)
    equal(process.returncode, 1, "exit status without an answer of the daemon")
    rows = [row for row in json.loads(printed)["findings"] if row["check"] == "daemon"]
    equal([row["state"] for row in rows], ["fault"], "findings about the daemon")
    return rows[0]["words"] + " / " + rows[0]["remedy"]


def body():
    with Lab(servers=1) as lab:
        # Stands in for a daemon that is stopped: the queue of its socket is full.
        stopped, waiting = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        stopped.bind(str(lab.directory / "stopped.sock"))
        stopped.listen(0)
        waiting.connect(str(lab.directory / "stopped.sock"))
        of_stopped = doctor(lab.directory / "stopped.sock")
        daemon = lab.meltemi(workers=2).start()
        good = [row for row in findings(daemon, tree(lab.directory / "good", GOOD)) if row["state"] != "ok"]
        equal(good, [], "findings on a host that is as it should be")
        for number, (changes, name, words) in enumerate(BAD):
            rows = findings(daemon, tree(lab.directory / f"bad{number}", GOOD | changes))
            told = [row for row in rows if row["state"] != "ok"]
            check(told and all(row["check"] == name for row in told), f"{changes}: {told}")
            check(words in told[0]["words"], f"{changes}: {told[0]}")
            check(told[0]["remedy"] or "pace" in words, f"no remedy: {told[0]}")
        alone = subprocess.run([SHELL, "-s", lab.directory / "nobody.sock", "doctor", "--root", lab.directory / "bad0"], text=True,
                               capture_output=True, timeout=30, check=False)
        equal(alone.returncode, 1, "exit status without a daemon")
        check("no daemon answers" in alone.stdout and "no hugepages" in alone.stdout, alone.stdout)
        os.chmod(daemon.directory, 0o755)
        told = about_the_daemon(doctor(daemon.directory / "admin.sock", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
        check("may not open" in told and "sudo" in told, told)
        told = about_the_daemon(of_stopped)
        check("does not answer" in told and "start meltemid" not in told, told)


main(body)
