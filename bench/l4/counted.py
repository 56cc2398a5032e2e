# SPDX-License-Identifier: Apache-2.0
"""Instructions by callgrind, which do not depend on the processor or on what else runs."""
import json
import re
import subprocess
import sys


def counted(program, function, *arguments):
    """(instructions in a function of the program and what it calls, the last line that the program prints)."""
    out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect={function}*", program, *arguments],
                         capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r"Collected : (\d+)", out.stderr)
    if out.returncode or not found:
        sys.exit(out.stderr[-2000:] + f"\n{program} failed under callgrind")
    return int(found.group(1)), json.loads(out.stdout.splitlines()[-1])
