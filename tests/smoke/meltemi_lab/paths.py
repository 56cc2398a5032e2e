# SPDX-License-Identifier: Apache-2.0
"""Where things lie. MELTEMI_BUILD names another build directory (the sanitized one, say)."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
TESTS = ROOT / "tests"
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build")).resolve()
INTEROP = ROOT / "build" / "interop"
# Of a sanitized build: what is still held at the end without a pointer to it is a fault, too.
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1",
             "LSAN_OPTIONS": f"suppressions='{TESTS}/leaks.supp':print_suppressions=0"}
LABS = pathlib.Path("/run/meltemi-lab")

# Debian's own interpreter has the Thrift library of the distribution; another first in PATH may not.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
