#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Checks what the Debian packages repeat from other files: version, build dependencies, the driver of each device profile, the options in
shell completion. Checks also that meltemid accepts the Node document of the package, and that the installed pages are complete: each link
leads to one of them, as does each name of a page in a manual page, an alert or a message.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import links

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MELTEMI_BUILD", ROOT / "build-debug"))
NOT_IN_DEBIAN = {"gcc", "g++", "ccache"}  # build-essential has the compilers; packages do not depend on a cache
SUFFIX = "23"  # the ABI of DPDK in the names of its packages


def text(name):
    return (ROOT / name).read_text()


def field(name, package=""):
    """Names of the packages in a field of debian/control, without versions and substitutions."""
    paragraph = text("debian/control").split(f"\nPackage: {package}\n")[1] if package else text("debian/control")
    value = re.search(rf"^{name}: (.*(?:\n[ #].*)*)", paragraph.split("\n\n")[0], re.M)[1]
    value = re.sub(r"^#.*\n?", "", value, flags=re.M)
    return {word.split()[0] for word in value.split(",")} - {"${misc:Depends}", "${shlibs:Depends}"}


def driver_package(driver):
    name = re.sub("^net_", "", driver.removesuffix("_pci")).replace("_", "-")
    name = {"virtio-user": "virtio"}.get(name, name)
    return f"librte-net-{name}{'-' if name[-1].isdigit() else ''}{SUFFIX}"


def versions():
    in_meson, in_debian = re.search(r"\n  version: '([^']+)'", text("meson.build"))[1], re.match(r"meltemi \(([^)]+)\)", text("debian/changelog"))[1]
    if in_meson != in_debian:
        yield f"debian/changelog has version {in_debian}, meson.build {in_meson}"


def build_dependencies():
    section = re.search(r"^\[build\]\n(.*?)\n\n", text("tests/packages.txt"), re.M | re.S)[1]
    listed = {line.split()[0] for line in section.splitlines()} - NOT_IN_DEBIAN
    wanted = field("Build-Depends") - {"debhelper-compat"}
    for name in sorted(listed ^ wanted):
        yield f"{name} is not in {'Build-Depends of debian/control' if name in listed else 'section [build] of tests/packages.txt'}"


def drivers():
    profiles = {profile: re.search(r"^drivers: \[(.*)\]$", profile.read_text(), re.M)[1].split(", ") for profile in (ROOT / "pmd-config").glob("*.yaml")}
    wanted = {driver_package(driver): profile.name for profile, names in profiles.items() for driver in names}
    found = {name for name in field("Depends", "meltemi") if name.startswith("librte-net-")}
    for name in sorted(wanted.keys() - found):
        yield f"debian/control: meltemi does not depend on {name}, the driver of pmd-config/{wanted[name]}"
    for name in sorted(found - wanted.keys()):
        yield f"debian/control: meltemi depends on {name}, and no profile in pmd-config names its driver"


def options():
    source = text("app/meltemid/args.c")
    long = {f"--{name}" for name in re.findall(r'^\t\{"([a-z-]+)", (?:no|required)_argument', source, re.M)}
    short = {f"-{letter}" for letter in re.search(r'getopt_long\(argc, argv, "([^"]+)"', source)[1].replace(":", "")}
    in_bash = set(re.search(r"local words='([^']*)'", text("app/completion/meltemid.bash"))[1].split())
    in_zsh = set(re.findall(r"(--[a-z][a-z-]*|-[a-zA-Z])(?=[],}\[])", text("app/completion/_meltemid")))
    for name, shown in (("meltemid.bash", in_bash), ("_meltemid", in_zsh)):
        for option in sorted(shown ^ (long | short)):
            yield f"app/completion/{name} {'offers' if option in shown else 'lacks'} {option}, which meltemid {'lacks' if option in shown else 'has'}"


def sample():
    with tempfile.TemporaryDirectory() as directory:
        node = pathlib.Path(directory, "node.yaml")
        node.write_text(text("debian/node.yaml").replace("/etc/meltemi/services", directory))
        done = subprocess.run([BUILD / "app/meltemid/meltemid", "-c", node, "--check"], capture_output=True, text=True, check=False)
        if done.returncode or ": warning: " in done.stdout + done.stderr:
            yield f"debian/node.yaml: --check ends with {done.returncode}: {done.stdout}{done.stderr}"


def named():
    """(file, page) of each page that a manual page, an alert or a message names."""
    for source in (*ROOT.glob("docs/man/*.md"), ROOT / "docs/how-to/prometheus/rules.yml"):
        yield from ((source, page) for page in re.findall(r"\bdocs/[\w/-]+(?:\.md)?", source.read_text()))
    for source in (*ROOT.glob("lib/**/*.[ch]"), *ROOT.glob("app/**/*.[ch]"), *ROOT.glob("lib/**/*.def")):
        for words in re.findall(r'"((?:[^"\\\n]|\\.)*)"', source.read_text()):
            yield from ((source, page) for page in re.findall(r"\bdocs/[\w/-]+\.md", words))


def installed_pages():
    with tempfile.TemporaryDirectory() as directory:
        share = pathlib.Path(directory, "share")
        environment = {**os.environ, "MESON_INSTALL_DESTDIR_PREFIX": directory}
        subprocess.run([sys.executable, ROOT / "docs/man/installed_pages.py", ROOT / "docs", "share"], check=True, env=environment)
        top = share / "doc/meltemi"
        for page in sorted(top.rglob("*.md")):
            for line, target in links.links_in(page.read_text()):
                if not (page.parent / target.partition("#")[0]).exists():
                    yield f"docs/{page.relative_to(top / 'docs')}:{line}: {target} is not installed"
        for source, page in named():
            if not (top / page).exists():
                yield f"{source.relative_to(ROOT)}: {page} is not installed"


faults = [fault for check in (versions, build_dependencies, drivers, options, sample, installed_pages) for fault in check()]
print("\n".join(faults) or "clean")
sys.exit(bool(faults))
