#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The Debian packages: built from this tree, accepted by lintian, and installed on a bare Debian 12 with nothing but their dependencies. The
installed daemon starts and serves nothing. An upgrade, a downgrade and a version that refuses the configuration leave the running daemon
as it is. After a purge no file is left. The commands of docs/how-to/install.md then take the system from nothing to a node that serves a
client with least rights, and a purge takes it back.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

import pexpect  # noqa: E402

from meltemi_lab import ROOT, Failure, Skip, check, equal, main, unit  # noqa: E402

import bare_debian  # noqa: E402
import install_page  # noqa: E402
from packages import OUT, build, depends, of_version, run  # noqa: E402

NODE = "etc/meltemi/node.yaml"
COMPLETED = "COMP_WORDS=(meltemi {0}); COMP_CWORD={1}; . /usr/share/bash-completion/completions/meltemi; _meltemi; echo ${{COMPREPLY[@]}}"


def judged():
    changes = next(OUT.glob("*.changes"))
    print(run("lintian", "--allow-root", "--fail-on", "error,warning", "--pedantic", "-I", changes, cwd=OUT))


def programs(package, directory):
    """Programs are hardened, and know nothing of the directory that they were built in."""
    shutil.rmtree(directory, ignore_errors=True)
    run("dpkg-deb", "-x", package, directory)
    found = [path for path in (*directory.glob("usr/bin/*"), *directory.glob("usr/sbin/*"))]
    equal(sorted(path.name for path in found), {"meltemi": ["meltemi", "meltemid"], "meltemi-bench": ["meltemi-blast", "meltemi-replay"]}[
        package.name.split("_")[0]], "programs")
    for path in found:
        check("BIND_NOW" in run("readelf", "-d", path) and re.search(r"Type: +DYN", run("readelf", "-h", path)), f"{path.name} is not hardened")
        check(str(OUT).encode() not in path.read_bytes(), f"{path.name} names the directory of its build")
    if package.name.startswith("meltemi_"):
        zsh_completes(directory)
        pages(directory / "usr/share")
    else:
        check(not [*directory.glob("usr/share/doc/*/docs")], f"{package.name} has pages, too")
    shutil.rmtree(directory)


def pages(share):
    """The alerts name pages that are there, as text; the page on telemetry reaches alerts and dashboard."""
    names = ["dashboard.json", "rules.yml", "rules_test.yml"]
    equal(sorted(path.name for path in (share / "meltemi/prometheus").iterdir()), names, "files for Prometheus and Grafana")
    runbooks = set(re.findall(r"runbook: (docs/.*)#", (share / "meltemi/prometheus/rules.yml").read_text()))
    equal(sorted(page for page in runbooks if not (share / "doc/meltemi" / page).is_file()), [], "pages of alerts that are not installed")
    equal(sorted(path.name for path in (share / "doc/meltemi/docs/how-to/prometheus").iterdir()), names, "files beside the page")


def zsh_completes(directory):
    """zsh finds both functions by their names, and completes without a daemon."""
    shell = pexpect.spawn("zsh", ["-f", "-i"], encoding="utf-8", timeout=60, dimensions=(24, 200), env={
        **os.environ, "PATH": f"{directory}/usr/bin:{directory}/usr/sbin:{os.environ['PATH']}", "MELTEMI_SOCKET": "/nonexistent", "TERM": "dumb"})
    shell.sendline(f"PS1='> '; unsetopt beep; fpath=({directory}/usr/share/zsh/vendor-completions $fpath); autoload -Uz compinit; compinit -D -u; echo rea''dy")
    shell.expect("ready")
    for typed, rest in (("meltemi show nei", "ghbours"), ("meltemi doc", "tor"), ("meltemid --core", "-files"), ("meltemid --log-level i", "nfo")):
        shell.send(f"\x15{typed}\t")
        try:
            shell.expect(typed[-3:] + rest)
        except pexpect.ExceptionPexpect:
            raise Failure(f"zsh completes {typed!r} as {shell.before!r}") from None
    shell.close(force=True)


class Host:
    """The bare system, and the packages in it."""

    def __init__(self, debian):
        self.debian = debian

    def dpkg(self, *words):
        files = []
        for word in words:
            if isinstance(word, pathlib.Path):
                shutil.copyfile(word, self.debian.root / "standin" / word.name)
                word = f"/standin/{word.name}"
            files.append(word)
        return self.debian.run("dpkg", *files)[1]

    def calls(self):
        """The verbs of systemctl for the unit since the last time."""
        path = self.debian.root / "standin/calls"
        text = path.read_text() if path.exists() else ""
        path.write_text("")
        return re.findall(r"\b(start|stop|restart|reload|try-restart)\b.* meltemid\b", text)

    def pid(self):
        path = self.debian.root / "standin/pid"
        return path.read_text().strip() if path.exists() else None

    def shell(self, *words):
        return self.debian.run("meltemi", *words)[1]


def serves_nothing(host):
    debian = host.debian
    log = debian.root / "standin/log"
    check(host.pid(), f"the daemon does not run: {log.exists() and log.read_text()[-2000:]}")
    node = host.shell("show", "node")
    check(re.search("^services +0$", node, re.M) and re.search("^ports +1$", node, re.M), f"show node: {node}")
    listening = [line for name in ("tcp", "tcp6") for line in debian.run("cat", f"/proc/net/{name}")[1].splitlines() if line.split()[3] == "0A"]
    equal(listening, [], "TCP sockets that listen")
    equal(debian.run("ps", "-o", "user=", "-p", host.pid())[1].strip(), "meltemi", "user of the daemon")
    for path, mode in (("run/meltemi", 0o711), ("var/lib/meltemi", 0o700), ("var/log/meltemi", 0o750)):
        equal((debian.root / path).stat().st_mode & 0o777, mode, f"mode of {path}")


def drivers(debian):
    """DPDK finds the driver of every profile among the installed packages."""
    plugins = b"".join(path.read_bytes() for path in debian.root.glob("usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_net_*.so.*"))
    for profile in sorted(debian.root.glob("usr/share/meltemi/pmd-config/*.yaml")):
        for driver in re.search(r"^drivers: \[(.*)\]$", profile.read_text(), re.M)[1].split(", "):
            check(f"\0{driver}\0".encode() in plugins, f"{profile.name}: no installed package has driver {driver}")


def codec_files(debian):
    """The installed codec files are those of the source, and the installed shell reads them."""
    names = sorted(path.name for path in (ROOT / "codecs").glob("*.yaml"))
    equal(sorted(path.name for path in debian.root.glob("usr/share/meltemi/codecs/*")), names, "installed codec files")
    for name in names:
        equal(debian.run("meltemi", "codec", "test", f"/usr/share/meltemi/codecs/{name}")[0], 0, f"exit of codec test {name}")


def completes(debian, running):
    """bash completes commands with and without a daemon, and names of the node with one."""
    for words, at, want in (("sho", 1, "show"), ("show nei", 2, "neighbours"), ("doc", 1, "doctor"), ("--js", 1, "--json")):
        equal(debian.run("bash", "-c", COMPLETED.format(words, at))[1].split(), [want], f"completion of {words}, daemon {running}")
    equal(debian.run("bash", "-c", COMPLETED.format("show ports no", 3))[1].split(), ["none"] if running else [], "completion of a port's name")
    options = "COMP_WORDS=(meltemid --log-level i); COMP_CWORD=2; . /usr/share/bash-completion/completions/meltemid; _meltemid; echo ${COMPREPLY[@]}"
    equal(debian.run("bash", "-c", options)[1].split(), ["info"], "completion of meltemid")


def installed(host, packages):
    host.dpkg("-i", *packages)
    equal(host.calls(), ["start"], "what the installation does with the unit")
    serves_nothing(host)
    drivers(host.debian)
    codec_files(host.debian)
    completes(host.debian, True)
    said = host.debian.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "/lib/systemd/system/meltemid.service", fail=False)
    equal(said[0], 0, f"systemd-analyze: {said[1]}")
    host.debian.run("meltemi-blast", "--device", "ring", "-d", "200ms", "-w", "100ms", "10.0.0.2:20880")
    host.debian.run("meltemi-replay", "--help")


def keeps_running(host, package, want, what):
    """Another version is installed while the daemon runs: the process stays, and one line of output reports what a restart would do."""
    before = host.pid()
    said = host.dpkg("-i", package)
    lines = [line for line in said.splitlines() if line.startswith("meltemi: ")]
    check(len(lines) == 1 and want in lines[0], f"{what}: output {said}")
    equal(host.pid(), before, f"{what}: the daemon's pid")
    verbs = host.calls()
    check(not {"stop", "restart", "try-restart"} & set(verbs), f"{what}: {verbs}")
    program = host.debian.run("readlink", f"/proc/{before}/exe")[1].strip()
    check(program.endswith(" (deleted)"), f"{what}: the process runs {program}")
    host.shell("show", "node")


def versions(host, package, version):
    debian = host.debian
    node, bad = debian.root / NODE, debian.root / "etc/meltemi/services/bad.yaml"
    sample = node.read_text()
    keeps_running(host, of_version(package, f"{version}+1"), "the new version accepts /etc/meltemi/node.yaml", "an upgrade")
    debian.run("systemctl", "restart", "meltemid")
    serves_nothing(host)
    host.calls()
    bad.write_text("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [a.example], ports: [{number: 80, name: tcp}], resolution: STATIC, removed: 1}\n")
    keeps_running(host, of_version(package, f"{version}+2"), "services/bad.yaml:4: error: spec.removed: unknown field", "an upgrade that refuses a document")
    bad.unlink()
    node.write_text(sample + "  removed: 1\n")
    keeps_running(host, of_version(package, f"{version}+3"), f"{NODE}:{len(sample.splitlines()) + 1}: error: spec.removed: unknown field",
                  "an upgrade that refuses the Node")
    node.write_text(sample)
    keeps_running(host, package, "the new version accepts /etc/meltemi/node.yaml", "a downgrade")


def gone(host, before, *packages):
    debian, daemon = host.debian, host.pid()
    host.dpkg("--remove", *packages)
    equal(host.calls(), ["stop"], "what the removal does with the unit")
    check(debian.run("kill", "-0", daemon, fail=False)[0] != 0, "the daemon runs after the removal")
    check((debian.root / NODE).exists() and not (debian.root / "run/meltemi").exists(), "the removal took the configuration, or left sockets")
    host.dpkg("--purge", *packages)
    check(debian.run("getent", "passwd", "meltemi", fail=False)[0] != 0, "the purge leaves the user")
    after = debian.files()
    equal((sorted(after - before), sorted(before - after)), ([], []), "files after the purge that were not there before, and the reverse")


def status_of(debian, pid):
    rows = debian.run("cat", f"/proc/{pid}/status")[1].splitlines()
    return dict(line.split(":\t", 1) for line in rows if ":\t" in line)


def by_the_page(host, package, before):
    """From nothing to a node that serves, and back."""
    debian = host.debian
    shutil.copyfile(package, debian.root / "standin" / package.name)
    install_page.connect(debian)
    log = debian.root / "standin/log"
    log.write_text("")
    answer = install_page.follow(debian, "/standin/tree")
    check(answer.startswith("ready"), f"the last command: {answer}")
    equal(host.calls(), ["start", "restart"], "what the commands do with the unit")
    install_page.is_served(debian)
    of = status_of(debian, host.pid())
    user = debian.run("id", "-u", "meltemi")[1].strip()
    held = (int(of["CapEff"], 16) | int(of["CapPrm"], 16)) & ~unit.stand_in()
    equal((of["Uid"].split(), held, of["NoNewPrivs"]), ([user] * 4, 0, "1"), "user and capabilities")
    equal(of["Seccomp_filters"], "4", "filters of the unit and of the daemon")
    for line in ("interface eth1 was down and is set up", "ports are open; of the capabilities are left: "):
        check(line in log.read_text(), f"not in the log: {line}: {log.read_text()[-2000:]}")
    # The command for ports of vfio (docs/reference/unit.md).
    debian.run("sh", "-euc", "mkdir -p /etc/udev/rules.d; meltemid --rights --udev -c /etc/meltemi/node.yaml | tee /etc/udev/rules.d/70-meltemi.rules")
    keeps_running(host, of_version(package, "0.1.0+4"), "the new version accepts /etc/meltemi/node.yaml", "an upgrade under a client")
    install_page.is_served(debian)
    gone(host, before, "meltemi")


def body():
    for tool in ("lintian", "zsh"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is missing (tests/packages install package)")
    packages = build()
    both = (packages["meltemi"], packages["meltemi-bench"])
    judged()
    for package in both:
        programs(package, OUT / "unpacked")
    debian = bare_debian.Debian(OUT)
    try:
        debian.make(", ".join(depends(package) for package in both))
        debian.boot()
        host, before = Host(debian), debian.files()
        installed(host, both)
        versions(host, packages["meltemi"], run("dpkg-deb", "--field", packages["meltemi"], "Version").strip())
        debian.run("systemctl", "stop", "meltemid")
        completes(debian, False)
        debian.run("systemctl", "start", "meltemid")
        host.calls()
        gone(host, before, "meltemi", "meltemi-bench")
        by_the_page(host, packages["meltemi"], before)
    finally:
        debian.close()


main(body)
