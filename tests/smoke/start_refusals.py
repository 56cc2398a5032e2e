#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What cannot work is refused at start in one clear line with the remedy: no device, no privilege, bad documents."""

import json
import os
import subprocess

from meltemi_lab import Lab, check, equal, main
from meltemi_lab.daemon import MELTEMID
from meltemi_lab.paths import SANITIZED


def start(lab, node, *prefix):
    """Runs meltemid to its end: (exit status, what it printed)."""
    argv = ["ip", "netns", "exec", lab.namespace("mesh"), *prefix, str(MELTEMID), "-c", str(node)]
    done = subprocess.run(argv, text=True, capture_output=True, timeout=30, check=False,
                          env={**os.environ, **SANITIZED})
    return done.returncode, done.stdout + done.stderr


def told_to_machines(lab, node):
    """As JSON, and with the journal's priorities when standard error is the journal's."""
    file = lab.directory / "journal"
    for stream, prefix in (("{0.st_dev}:{0.st_ino}", "<3>"), ("1:1", "")):
        with open(file, "wb") as err:
            env = {**os.environ, **SANITIZED, "JOURNAL_STREAM": stream.format(os.fstat(err.fileno()))}
            argv = ["ip", "netns", "exec", lab.namespace("mesh"), str(MELTEMID), "-c", str(node), "--log-format", "json"]
            equal(subprocess.run(argv, stderr=err, timeout=30, check=False, env=env).returncode, 2, "exit status")
        for line in file.read_text().splitlines():
            check(line.startswith(prefix + "{"), f"{prefix!r} does not begin {line}")
            row = json.loads(line[len(prefix):])
            equal((row["level"], row["module"]), ("error", "config"), "whose line it is")
            check('"many"' in row["msg"], f"what is wrong: {row}")


def body():
    with Lab(servers=1) as lab:
        node = lab.meltemi().node
        good = node.read_text()

        node.write_text(good.replace("iface=p0", "iface=nosuch0"))
        status, text = start(lab, node)
        equal(status, 1, f"exit status without the device ({text})")
        check("nosuch0" in text, f"the device is not named: {text}")

        node.write_text(good.replace("workers: 1", "workers: many"))
        status, text = start(lab, node)
        equal(status, 2, f"exit status of a bad Node document ({text})")
        check("node.yaml:" in text and "workers" in text, f"file, line and field are not named: {text}")

        told_to_machines(lab, node)

        node.write_text(good.replace("mb: 512", "mb: 1048576"))
        status, text = start(lab, node)
        equal(status, 1, f"exit status when the memory is not there ({text[-300:]})")
        check("lower spec.memory.mb" in text, f"no remedy for the memory: {text}")

        node.write_text(good)
        status, text = start(lab, node, "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
        check(status not in (0, 2), f"exit status without privilege: {status} ({text})")
        check("root" in text or "CAP_NET" in text or "permission" in text.lower(), f"no remedy for the privilege: {text}")

        subprocess.run(["ip", "-n", lab.namespace("mesh"), "addr", "add", "192.0.2.1/24", "dev", "p0"], check=True)
        status, text = start(lab, node)
        equal(status, 1, f"exit status when the kernel owns a served address ({text})")
        check("192.0.2.1" in text and "addr del" in text, f"no remedy for the kernel's address: {text}")


main(body)
