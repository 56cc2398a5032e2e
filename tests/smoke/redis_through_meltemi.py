#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Redis through Meltemi: redis-cli, large values, a pipeline of 10,000 commands, and subscribe."""

import shutil
import subprocess

from meltemi_lab import Lab, Skip, check, equal, main
from meltemi_lab.documents import service

VIP = "240.240.2.1"


def body():
    if not shutil.which("redis-server") or not shutil.which("redis-cli"):
        raise Skip("redis-server and redis-tools are not installed")
    with Lab(servers=1) as lab:
        lab.run("server1", "redis", ["redis-server", "--port", 6379, "--bind", "0.0.0.0", "--protected-mode", "no",
                                     "--save", "", "--daemonize", "no"]).wait_line("Ready to accept")
        daemon = lab.meltemi()
        daemon.write("redis.yaml", service("redis.test", VIP, 6379, "tcp-redis", [(lab.server(1), 6379, {})]))
        daemon.start()

        def cli(*words, given=None):
            argv = ["ip", "netns", "exec", lab.namespace("client"), "redis-cli", "-h", VIP, *words]
            return subprocess.run(argv, input=given, text=True, capture_output=True, timeout=30, check=False).stdout

        equal(cli("ping").strip(), "PONG", "ping")
        equal(cli("-x", "set", "big", given="v" * 3_000_000).strip(), "OK", "set of 3 MB")
        equal(len(cli("get", "big").strip()), 3_000_000, "length of what get gave back")
        piped = cli("--pipe", given="".join(f"SET k{n} {n}\r\n" for n in range(10000)))
        check("errors: 0, replies: 10000" in piped, f"pipeline: {piped}")
        equal(cli("dbsize").strip(), "10001", "keys")
        subscriber = lab.run("client", "subscriber", ["redis-cli", "-h", VIP, "subscribe", "news"])
        subscriber.wait_line("news")
        cli("publish", "news", "first-light")
        subscriber.wait_line("first-light", 5)


main(body)
