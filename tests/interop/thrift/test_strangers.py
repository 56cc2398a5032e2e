#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A client's one-way calls of methods that return something, which Apache's servers answer: no other client gets such an answer,
although all calls have the same id, and all others' calls are answered.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "smoke"))

from meltemi_lab import Lab, Skip, check, equal, main, within  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402
from meltemi_lab.paths import INTEROP, PYTHON  # noqa: E402

VIP = "240.240.3.4"
SERVERS = {"py": (9300, [PYTHON, HERE / "server.py"]), "cpp": (9301, [INTEROP / "thrift" / "server"])}
CALLERS, COUNT = 6, 300


def build():
    done = subprocess.run([HERE / "build.sh", "cpp"], text=True, capture_output=True, timeout=300, check=False)
    if done.returncode:
        raise Skip(f"no Thrift servers: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def serve(lab):
    daemon = lab.meltemi()
    for language, (port, program) in SERVERS.items():
        words = ["--port", str(port), "--transport", "framed", "--protocol", "binary", "--kind", "threaded"]
        lab.run("server1", f"server-{language}", [*program, *words]).wait_line('"ready"', 30)
        daemon.write(f"{language}.yaml", service(f"{language}.test", VIP, port, "tcp-metaprotocol-thrift",
                                                 [(lab.server(1), port, {})]))
    daemon.start()
    return daemon


def late_replies(daemon):
    return daemon.counters().get("proxy_up_late_reply", 0)


def body():
    build()
    with Lab(servers=1) as lab:
        daemon = serve(lab)
        for language, (port, _) in SERVERS.items():
            before = late_replies(daemon)
            found = lab.run("client", f"strangers-{language}", [PYTHON, HERE / "strangers.py", "--target", f"{VIP}:{port}", "--callers",
                                                                str(CALLERS), "--count", str(COUNT)]).result(120)
            equal((found["answered"], found["wrong"], found["failed"]), (CALLERS * COUNT, [], []), f"{language}: calls beside one-way ones")
            check(found["oneway"] > 0, f"{language}: no one-way call was sent")
            within(20, lambda: late_replies(daemon) > before, f"{language}: the server answers one-way calls")


main(body)
