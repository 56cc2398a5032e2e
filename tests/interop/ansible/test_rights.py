#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Role node on a copy of this machine's file system, with the real daemon: what it lets the daemon's group read, where the daemon's
user has planted links to files of root, and what the daemon's user can read.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import ROOT, Skip, check, equal, main  # noqa: E402
from meltemi_lab.daemon import MELTEMID  # noqa: E402
from meltemi_lab.private_root import ETC, KEY, NODE, configure, enter, give_key  # noqa: E402

VICTIM = pathlib.Path("/etc/victim")


def play(tasks, **settings):
    """Runs these tasks of the role on this host, in order. Returns exit status and output."""
    pathlib.Path("/etc/play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [
        {"ansible.builtin.include_role": {"name": "node", "tasks_from": name}} for name in tasks]}]))
    settings |= {"ansible_python_interpreter": "/usr/bin/python3", "meltemi_daemon": settings.get("meltemi_daemon", str(MELTEMID))}
    done = subprocess.run(["ansible-playbook", "-i", "inventory.local.yml", "-e", json.dumps(settings), "/etc/play.json"], cwd=ROOT / "ansible",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_CONFIG": "ansible.cfg", "ANSIBLE_ROLES_PATH": "roles", "ANSIBLE_NOCOLOR": "1"})
    return done.returncode, done.stdout


def prepare():
    for program in ("adduser", "ansible-playbook"):
        if not shutil.which(program):
            raise Skip(f"{program} is missing (apt-get install ansible adduser)")
    subprocess.run(["adduser", "--quiet", "--system", "--group", "--no-create-home", "--home", "/nonexistent", "meltemi"], check=True)
    pathlib.Path(shutil.which("udevadm") or "/usr/bin/udevadm").write_text("#!/bin/sh\n")  # there is no udev
    configure()
    for directory in (ETC / "services/more", ETC / "mesh", VICTIM):
        directory.mkdir()
    (ETC / "services/more/a.yaml").write_text("")
    (VICTIM / "secret").write_text("secret")
    for path in (ETC / "node.yaml", ETC / "services/more/a.yaml", VICTIM / "secret"):
        path.chmod(0o600)
    VICTIM.chmod(0o700)


def rights(path):
    state = path.stat()
    return f"{path.owner()}:{path.group()} {state.st_mode & 0o777:o}"


def planted_links():
    """In the directory of a joined node, which belongs to the daemon's user."""
    for name, target in (("identity.pem", VICTIM / "secret"), ("all", VICTIM)):
        (ETC / "mesh" / name).symlink_to(target)
    (ETC / "services/c.yaml").symlink_to(VICTIM / "secret")
    shutil.chown(ETC / "mesh", "meltemi", "meltemi")
    (ETC / "mesh/own.json").write_text("{}")
    (ETC / "mesh/own.json").chmod(0o600)
    status, text = play(["rights.yml"])
    equal(status, 0, f"exit status of ansible-playbook: {text}")
    for path, want in ((VICTIM, "root:root 700"), (VICTIM / "secret", "root:root 600"), (ETC / "mesh/own.json", "root:root 600"),
                       (KEY, "root:root 600"), (ETC / "node.yaml", "root:meltemi 640"), (ETC / "services", "root:meltemi 755"),
                       (ETC / "services/more/a.yaml", "root:meltemi 640")):
        equal(rights(path), want, f"owner, group and mode of {path}")
    drop_in = pathlib.Path("/etc/systemd/system/meltemid.service.d/rights.conf").read_text()
    check("[Service]\n" in drop_in, f"drop-in: {drop_in}")


def the_check():
    """By the daemon's user, after its group may read the documents: a key that only root can read is an error."""
    for name in ("c.yaml", "more/a.yaml"):
        (ETC / "services" / name).unlink()
    shutil.chown(ETC / "node.yaml", group="root")
    status, text = play(["check.yml"], meltemi_check_options="")
    check(status == 2 and f"chown meltemi {KEY} && chmod 400 {KEY}" in text, f"a key that only root can read: {status}: {text}")
    give_key()
    status, text = play(["check.yml"], meltemi_check_options="")
    equal(status, 0, f"a key of the daemon's user: {text}")


def rights_unknown():
    """An error of --rights stops the play before the start; an older daemon, which has no such option, does not."""
    (ETC / "node.yaml").write_text(NODE.replace("net_null0", '"ffff:1f:1f.7", profile: ice'))
    status, text = play(["rights.yml"])
    check(status == 2 and f"{ETC}/node.yaml:6: port p0: " in text, f"a card that is not there: {status}: {text}")
    older = pathlib.Path("/etc/older")
    older.write_text("#!/bin/sh\necho \"meltemid: unrecognized option '--rights'\" >&2; exit 2\n")
    older.chmod(0o755)
    status, text = play(["rights.yml"], meltemi_daemon=str(older))
    equal(status, 0, f"a daemon without --rights: {text}")


def body():
    enter()
    prepare()
    planted_links()
    the_check()
    rights_unknown()


main(body)
