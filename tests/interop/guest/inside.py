# SPDX-License-Identifier: Apache-2.0
"""
The first program of the guest. Commands of the shell come from the second serial line, as JSON, a line each; so do their answers.
"""

import json
import os
import subprocess
import traceback
import tty


def answer(order):
    """(exit status, output)"""
    done = subprocess.run(["sh", "-ec", order["run"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout


def main():
    line = os.open("/dev/ttyS1", os.O_RDWR)
    tty.setraw(line)
    with os.fdopen(line, "r+b", buffering=0) as line:
        line.write(b"ready\n")
        while order := line.readline():
            try:
                status, output = answer(json.loads(order))
            except Exception:  # the answer has it
                status, output = -1, traceback.format_exc()
            line.write(json.dumps({"status": status, "output": output}).encode() + b"\n")


main()
