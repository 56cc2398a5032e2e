# SPDX-License-Identifier: Apache-2.0
"""
The demo: unmodified Apache Dubbo and Apache Thrift clients call unmodified servers through Meltemi, which owns its ports by
DPDK. Network namespaces represent the hosts: a client, Meltemi, five servers. --keep leaves everything running after the demo.
"""

import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
os.environ.setdefault("MELTEMI_BUILD", str(ROOT / "build"))
sys.path[:0] = [str(ROOT / "tests" / "smoke"), str(ROOT / "tests"), str(HERE)]

import layer4  # noqa: E402
import scenes  # noqa: E402
from meltemi_lab import BUILD, Failure, Lab, Skip  # noqa: E402
from running import cache  # noqa: E402
from running.build import alone  # noqa: E402
from stage import Stage  # noqa: E402

PROGRAMS = ("app/meltemid/meltemid", "app/meltemi/meltemi", "bench/blast/meltemi-blast")
PICTURE = """\
  client 192.0.2.2 ──veth── p0 [ Meltemi: DPDK af_packet, TCP on mbufs ] p1 ──veth── 5 servers 198.51.100.11-15
"""
SERVERS = ((1, "v1", "3.2.16"), (2, "v2", "2.7.23"), (3, "v1", "2.7.23"), (4, "v2", "3.2.16"), (5, "v2", "3.2.16"))


def build(stage):
    stage.scene("Building")
    environment, warning = cache.environment()
    if warning:
        stage.say(f"  {warning}")
    environment = {**os.environ, **environment, **cache.compilers()}
    peers = stage.start("Apache Dubbo peers (the first time Maven downloads Dubbo: 30 MB)", [ROOT / "tests/interop/dubbo/build.sh"], 1800)
    with alone():
        if not (BUILD / "build.ninja").exists():
            stage.step("meson setup", ["meson", "setup", BUILD, "-Dbuildtype=release", "-Db_lto=true", "-Dtests=false"], 120, cwd=ROOT,
                       env=environment)
        stage.step("ninja, while Maven builds the Java peers", ["ninja", "-C", BUILD, *PROGRAMS], 1800, env=environment)
    stage.wait(peers)


def start(stage):
    stage.scene("Starting five Dubbo servers (Java 2.7.23 and 3.2.16), two Thrift servers, two of a private protocol, Meltemi")
    lab = stage.lab
    stage.servers = {number: lab.java(f"server{number}", f"provider{number}", version, "Provider", "--tag", tag, "--id",
                                      f"s{number}") for number, tag, version in SERVERS}
    others = [make(number, f"v{number}") for number in (1, 2) for make in (lab.thrift_server, lab.awesome_server)]
    stage.daemon = lab.meltemi(ROOT / "tests/documents/talks", HERE / "documents")
    stage.daemon.node.write_text(stage.daemon.node.read_text() + f"  nat: {{addresses: [{layer4.SOURCE}]}}\n")
    stage.daemon.start()
    for process in [*stage.servers.values(), *others]:
        process.wait_line('"ready"', 40)
    stage.clients = {version: lab.java_session("client", f"client-{version}", version, scenes.DUBBO, "--timeout", scenes.TIMEOUT_MS)
                     for version in ("2.7.23", "3.2.16")}
    for client in stage.clients.values():
        client.wait_line('"ready"', 40)
    stage.say(PICTURE)


def unchanged(stage):
    """Shows that the applications are unchanged in the repository, because they need no change for Meltemi."""
    done = subprocess.run(["git", "-C", ROOT, "diff", "--stat", "--", "tests/interop"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        stage.fact("git diff of the applications", "empty" if not done.stdout else done.stdout.strip(), not done.stdout)


def try_next(stage):
    stage.say("""
What to try next
  sudo ./demo.sh --keep          keep the demo running; edit the documents that Meltemi watches, kill servers, make calls
  sudo tests/run                 all tests
  docs/tutorials/first-service.md             Meltemi on your own ports
  tests/documents/talks/         the documents of the demo""")


def keep(stage):
    lab = stage.lab
    stage.say(f"""
Running until Ctrl-C. Documents: {stage.daemon.services}
  shell:   {BUILD}/app/meltemi/meltemi -s {stage.directory}/admin.sock
  call:    sudo ip netns exec {lab.namespace('client')} tests/interop/dubbo/peer.sh 3.2.16 Consumer --target {scenes.DUBBO} --scenario load""")
    while True:
        time.sleep(3600)


def play(stage):
    build(stage)
    with Lab(servers=5) as lab:
        stage.lab, stage.directory = lab, lab.directory
        start(stage)
        for scene in scenes.ALL:
            scene(stage)
        if "--keep" in sys.argv:
            keep(stage)
    scenes.cost(stage)
    unchanged(stage)


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # until the lab sets its own handler: ends the programs that build
    stage = Stage()
    try:
        play(stage)
    except KeyboardInterrupt:
        stage.say("\ninterrupted; everything that the demo made is removed")
        return 130
    except (Failure, Skip, RuntimeError) as error:
        stage.say(f"\nthe demo cannot continue: {error}")
        return 1
    finally:
        stage.end()
    bad = stage.report()
    try_next(stage)
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit("the demo's output was closed; everything that it made is removed")
    except OSError as error:
        sys.exit(f"the demo cannot continue: {error}")
