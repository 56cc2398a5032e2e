#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
docs/tutorials/first-service.md, followed to the letter: its documents are written where it says, its commands run in its order, each
must succeed. The machine of the page is a network, mount and process namespace of its own.
"""

import os
import re
import subprocess
import sys

from meltemi_lab import BUILD, ROOT, Skip, check, equal, main, record
from meltemi_lab.paths import SANITIZED
from meltemi_lab.process import Process

PAGE = ROOT / "docs/tutorials/first-service.md"
DONE_BEFORE = "1. Build"  # what runs the tests has built, and installed what is needed
# The page's paths are the machine's; this machine's own are not touched.
PRIVATE = """\
set -e
mount --make-rprivate /
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
mount --bind "$1" /mnt
mount -t tmpfs run /run
mount -t tmpfs lib /var/lib
ip link set lo up
cd /mnt/project
exec sh /mnt/page.sh 2>&1
"""


def blocks(text):
    """(heading, file or None, text) of each code block: commands are indented, a document is fenced and named before."""
    heading = name = None
    fenced, lines = None, []
    for line in [*text.split("\n"), ""]:
        if fenced is not None:
            if line != "```":
                fenced.append(line)
                continue
            yield heading, name, "\n".join(fenced) + "\n"
            fenced = None
        elif line.startswith("    "):
            lines.append(line[4:])
        else:
            if lines:
                yield heading, None, "\n".join(lines) + "\n"
                lines = []
            if line.startswith("## "):
                heading = line[3:]
            elif match := re.match(r"`(\S+\.yaml)`:$", line):
                name = match.group(1)
            elif line.startswith("```"):
                fenced = []


def script(page):
    """The page as a shell script that stops at the first command that fails, and tells which."""
    out = ["set -e", 'trap \'kill $(jobs -p) 2>/dev/null || true\' EXIT']
    for heading, name, text in blocks(page):
        if heading == DONE_BEFORE:
            continue
        if name and "apiVersion" in text:
            out.append(f"cat > {name} <<'END-OF-DOCUMENT'\n{text}END-OF-DOCUMENT")
            continue
        for command in text.splitlines():
            out.append(f"echo '>>> {command}'\n{command}")
    return "\n".join(out) + "\n"


def project(directory):
    """The project's directory as the page sees it, and a sudo for root."""
    place = directory / "project"
    place.mkdir()
    (place / "build").symlink_to(BUILD)
    tools = directory / "tools"
    tools.mkdir()
    (tools / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tools / "sudo").chmod(0o755)
    return {**os.environ, "PATH": f"/mnt/tools:{os.environ['PATH']}", **SANITIZED}


def follow(directory):
    """(exit status, what was printed)"""
    env = project(directory)
    (directory / "page.sh").write_text(script(PAGE.read_text()))
    page = Process(directory, "page", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                                       "sh", "-c", PRIVATE, "page", directory], env=env)
    try:
        return page.popen.wait(120), page.output() + page.errors()
    except subprocess.TimeoutExpired:
        return None, page.output() + page.errors()
    finally:
        page.kill()


def body():
    if os.geteuid():
        raise Skip("a machine of its own needs root")
    record.sweep()
    directory = record.create(f"mt{os.getpid()}-page")
    try:
        status, printed = follow(directory)
    finally:
        record.remove(directory)
    if "-v" in sys.argv:
        print(printed)
    commands = [line.removeprefix(">>> ") for line in printed.split("\n") if line.startswith(">>> ")]
    check(status == 0, f"exit status {status} of: {commands[-1:]}\n{printed[-1500:]}")
    equal(printed.count("<title>Directory listing"), 2, "pages that came through Meltemi")
    print(f"{len(commands)} commands of the page")


main(body)
