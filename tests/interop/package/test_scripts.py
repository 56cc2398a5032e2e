#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The package's maintainer scripts on a copy of this machine's file system, with the real daemon and unit: what an upgrade reports about the
configuration and its rights, and what a purge leaves.
"""

import pathlib
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import BUILD, ROOT, Skip, check, equal, main  # noqa: E402
from meltemi_lab.daemon import MELTEMID  # noqa: E402
from meltemi_lab.private_root import ETC, KEY, NODE, configure, enter, give_key  # noqa: E402

DROP_INS = pathlib.Path("/etc/systemd/system/meltemid.service.d")
PACKETS, ABSENT = '"net_af_packet0,iface=lo", profile: af_packet', '"ffff:1f:1f.7", profile: ice'


def run(script, *words):
    """Returns the lines that a script prints for the operator."""
    done = subprocess.run(["sh", ROOT / "debian" / f"meltemi.{script}", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    equal(done.returncode, 0, f"exit status of {script} {words}: {done.stdout}")
    return [line for line in done.stdout.splitlines() if line.startswith("meltemi: ")]


def upgrade(want, what):
    lines = run("postinst", "configure", "0.1.0")
    check(len(lines) == 1 and want in lines[0], f"{what}: {lines}")


def files_not_listed():
    """The Node lists no directory of files that documents name, as all Nodes before this field."""
    node = ETC / "node.yaml"
    node.write_text("".join(line for line in NODE.splitlines(True) if "tlsFiles" not in line))
    lines = run("postinst", "configure", "0.1.0")
    check(len(lines) == 2 and "reports mistakes in documents" in lines[0] and "before the restart, list the directory of the file in spec.tlsFiles" in lines[1]
          and str(KEY.parent) in lines[1], f"files that the Node does not list: {lines}")
    node.write_text(NODE)


def reports():
    upgrade(f"chown meltemi {KEY} && chmod 400 {KEY}", "a key that only root can read")
    DROP_INS.mkdir(parents=True)
    (DROP_INS / "rights.conf").write_text("[Service]\nUser=root\n")
    upgrade("the new version accepts /etc/meltemi/node.yaml", "a unit that runs as root")
    shutil.rmtree(DROP_INS)
    give_key()
    upgrade("the new version accepts /etc/meltemi/node.yaml", "a key of the daemon's user")


def rights():
    """The second line of an upgrade, if the ports need rights, or if those are not known."""
    node = ETC / "node.yaml"
    for device, want in ((PACKETS, f"--rights --unit -c {node}"), (ABSENT, f"{node}:6: port p0: ")):
        node.write_text(NODE.replace("net_null0", device))
        lines = run("postinst", "configure", "0.1.0")
        check(len(lines) == 2 and "accepts" in lines[0] and want in lines[1], f"rights of {device}: {lines}")
    equal(len(run("postinst", "configure", "")), 1, "lines of a first installation")
    node.write_text(NODE.replace("spec:", "spec:\n  removed: 1"))
    upgrade("do not restart meltemid", "a Node document that the daemon refuses")
    node.write_text(NODE)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def readers():
    """Others cannot read the Node document of a first installation. An upgrade leaves its mode, and names headers that others can read."""
    node = ETC / "node.yaml"
    node.chmod(0o644)
    run("postinst", "configure", "")
    equal((oct(mode_of(node)), node.group()), (oct(0o640), "meltemi"), "mode and group of a first installation")
    upgrade("the new version accepts /etc/meltemi/node.yaml", "a document that others cannot read")
    node.chmod(0o644)
    upgrade("the new version accepts /etc/meltemi/node.yaml", "a document without headers that others can read")
    node.write_text(NODE.replace("spec:", "spec:\n  otlp: {endpoint: 'http://192.0.2.1:4317', headers: {authorization: Bearer abc}}"))
    lines = run("postinst", "configure", "0.1.0")
    check(any(f"chgrp meltemi {node} && chmod 0640 {node}" in line for line in lines), f"headers that others can read: {lines}")
    equal(oct(mode_of(node)), oct(0o644), "mode after an upgrade")
    node.chmod(0o640)
    check(not any("headers" in line for line in run("postinst", "configure", "0.1.0")), "headers that others cannot read")
    node.write_text(NODE)


def purged():
    """The purge removes what meltemid printed, and the user, but no rule that the operator wrote."""
    rules = pathlib.Path("/etc/udev/rules.d/70-meltemi.rules")
    rules.parent.mkdir(parents=True, exist_ok=True)
    printed = subprocess.run(["meltemid", "--rights", "--udev", "-c", ETC / "node.yaml"], text=True, capture_output=True, check=True).stdout
    for text, left in (('SUBSYSTEM=="vfio", GROUP="ops"\n', True), (printed, False)):
        rules.write_text(text)
        run("postrm", "purge")
        equal(rules.exists(), left, f"after the purge there is a rule {text!r}")
    check(not ETC.exists(), f"{ETC} is left")


def body():
    enter()
    if not shutil.which("adduser"):
        raise Skip("adduser is missing (apt-get install adduser)")
    configure()
    pathlib.Path("/usr/sbin/meltemid").symlink_to(MELTEMID)
    shutil.copyfile(BUILD / "app/meltemid/meltemid.service", "/lib/systemd/system/meltemid.service")
    reports()
    files_not_listed()
    rights()
    readers()
    purged()


main(body)
