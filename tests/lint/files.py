# SPDX-License-Identifier: Apache-2.0
"""The project's files, as git knows them, for lints."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked(*patterns):
    """Names of the files that match git's patterns. Without git data, as in an archive, the lint is skipped, because it would check nothing."""
    words = ["git", "-c", "safe.directory=*", "ls-files", "--", *patterns]  # another user's clone, too
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        names, why = done.stdout.splitlines(), done.stderr.strip()
    except OSError as error:
        names, why = [], str(error)
    if not names:
        print(f"SKIPPED: git does not list the project's files: {why or 'there are none'}")
        sys.exit(77)
    return names
