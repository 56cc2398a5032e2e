# SPDX-License-Identifier: Apache-2.0
"""
A page of the documentation, followed to the letter: its documents are written where it says, its commands run in its order, each must
succeed, and prints what the page shows. The machine of the page is a network, mount and process namespace of its own.
"""

import os
import re
import subprocess
import sys

from . import record
from .check import Failure, Skip, check
from .paths import BUILD, ROOT, SANITIZED
from .process import Process

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
SECONDS = 280
STARTS = ">>> "


def blocks(text):
    """
    (heading, kind, name, text) of each code block: "commands" are indented; a "document" is fenced and named before; an "output" is
    fenced without a language.
    """
    heading = name = fence = None
    lines = []
    for line in [*text.split("\n"), ""]:
        if fence is not None:
            if line != "```":
                lines.append(line)
                continue
            if name or not fence:
                yield heading, "document" if name else "output", name, "\n".join(lines) + "\n"
            name = fence = None
            lines = []
        elif line.startswith("    "):
            lines.append(line[4:])
        else:
            if lines:
                yield heading, "commands", None, "\n".join(lines) + "\n"
                lines = []
            if line.startswith("## "):
                heading = line[3:]
            elif match := re.match(r"`(\S+\.yaml)`:$", line):
                name = match.group(1)
            elif line.startswith("```"):
                fence = line[3:]


def commands(text):
    """One for each line; a backslash at its end joins the next one."""
    return text.replace("\\\n", " ").splitlines()


def script(page, done_before):
    """The page as a shell script that stops at the first command that fails, and prints each before it."""
    out = ["set -e", 'trap \'kill $(jobs -p) 2>/dev/null || true\' EXIT']
    for heading, kind, name, text in page:
        if heading in done_before:
            continue
        if kind == "document":
            out.append(f"cat > {name} <<'END-OF-DOCUMENT'\n{text}END-OF-DOCUMENT")
        elif kind == "commands":
            for command in commands(text):
                out.append(f"cat <<'END-OF-COMMAND'\n{STARTS}{command}\nEND-OF-COMMAND\n{command}")
    return "\n".join(out) + "\n"


def project(directory):
    """The project's directory as the page sees it, and a sudo for root."""
    place = directory / "project"
    place.mkdir()
    (place / "build").symlink_to(BUILD)
    (place / "tests").symlink_to(ROOT / "tests")
    tools = directory / "tools"
    tools.mkdir()
    (tools / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tools / "sudo").chmod(0o755)
    return {**os.environ, "PATH": f"/mnt/tools:{os.environ['PATH']}", **SANITIZED}


def shape(line):
    """A line of the page's output as a regular expression: digits, widths of columns, and `...` may be other text."""
    parts = re.split(r"(\.\.\.|[\d,.]*\d|\s+|-{2,})", line.strip())
    return re.compile("".join(r".*" if part == "..." else r"[\d,.]*\d" if re.fullmatch(r"[\d,.]*\d", part) else r"\s*" if part.isspace() else
                              "-+" if re.fullmatch("-{2,}", part) else re.escape(part) for part in parts))


def compare(page, done_before, printed):
    """Each line of an output is printed by the last command before it, in order; returns their number."""
    ran, last, n = {}, None, 0
    for piece in printed.split(f"\n{STARTS}"):
        command, _, text = piece.removeprefix(STARTS).partition("\n")
        ran.setdefault(command.strip(), []).append(text.splitlines())
    for heading, kind, _, text in page:
        if heading in done_before:
            continue
        if kind == "commands":
            last = commands(text)[-1].strip()
        elif kind == "output":
            check(ran.get(last), f"{last} did not run")
            lines = iter(ran[last].pop(0))
            for line in filter(str.strip, text.splitlines()):
                seen = []
                if not any(shape(line).search(seen.append(found) or found) for found in lines):
                    raise Failure(f"{last}\ndoes not print this line of the page:\n{line}\nbut:\n" + "\n".join(seen))
                n += 1
    return n


def follow(name, done_before, prepare=lambda directory: "", left="page.sh"):
    """
    Runs the page of docs/tutorials but for the headings of done_before. prepare(directory): what the page takes for granted; returns
    commands to run first. The directory is /mnt for them. Returns what was printed, and a file that is left there.
    """
    if os.geteuid():
        raise Skip("a machine of its own needs root")
    page = [*blocks((ROOT / "docs/tutorials" / name).read_text())]
    record.sweep()
    directory = record.create(f"mt{os.getpid()}-page")
    try:
        env = project(directory)
        (directory / "page.sh").write_text(f"{prepare(directory)}\n{script(page, done_before)}")
        status, printed = _run(directory, env)
        file = directory / left
        text = file.read_text() if file.exists() else ""
    finally:
        record.remove(directory)
    if "-v" in sys.argv:
        print(printed)
    ran = [line for line in printed.split("\n") if line.startswith(STARTS)]
    check(status == 0, f"exit status {status} of: {ran[-1:]}\n{printed[-1500:]}")
    shown = compare(page, done_before, printed)
    print(f"{len(ran)} commands of the page, and {shown} lines of output as it shows them")
    return printed, text


def _run(directory, env):
    """(exit status, or None if it took too long; what was printed)"""
    page = Process(directory, "page", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                                       "sh", "-c", PRIVATE, "page", directory], env=env)
    try:
        return page.popen.wait(SECONDS), page.output() + page.errors()
    except subprocess.TimeoutExpired:
        return None, page.output() + page.errors()
    finally:
        page.kill()
