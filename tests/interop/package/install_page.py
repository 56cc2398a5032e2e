# SPDX-License-Identifier: Apache-2.0
"""
The commands of docs/how-to/install.md that take a host from nothing to a serving node, and a client and a server for the node that they
make. A host has run(*words) and write(path, text); its interface c0 is the other end of eth1.
"""

import re

from meltemi_lab import ROOT, check, equal, within

PAGE = ROOT / "docs/how-to/install.md"
SECTION = re.compile(r"^## From nothing to a serving node\n(.*?)^## ", re.M | re.S)
MOST = 10
BUILD = ["sudo apt-get build-dep -y .", "dpkg-buildpackage -us -uc -b"]  # where the packages were built
UNIT = "meltemid.service"
ADDRESS, PORT = "240.240.3.1", "7000"  # of the page's service
NETWORK = """
ip netns add client
ip link set dev c0 netns client
ip -n client addr add 192.0.2.2/24 dev c0
ip -n client link set dev c0 up
nsenter --net=/run/netns/client ethtool -K c0 tx off gso off tso off
ip -n client route add 240.240.0.0/16 via 192.0.2.1
nsenter --net=/run/netns/client redis-server --bind 192.0.2.2 --port 7000 --protected-mode no --save '' --dir /run --daemonize yes
"""


def commands():
    """The commands, and the texts of the files that they edit, by path."""
    section = SECTION.search(PAGE.read_text())[1]
    lines = re.findall(r"^    (\S.*)$", section, re.M)
    check(len(lines) <= MOST and not [line for line in lines if "&&" in line or ";" in line], f"{len(lines)} commands: {lines}")
    equal(lines[:2], BUILD, "commands of the build")
    files = [line.split()[1] for line in lines if line.startswith("sudoedit ")]
    texts = re.findall(r"^```yaml\n(.*?)^```", section, re.M | re.S)
    equal(len(texts), len(files), "texts for files")
    return lines[2:], dict(zip(files, texts))


SUDO = 'sudo() { if [ "$1" = -u ]; then user=$2; shift 2; runuser -u "$user" -- "$@"; else "$@"; fi; }; '


def follow(host, tree):
    """Runs the commands on the host, where `tree` stands for the source tree: the packages are in the directory above it."""
    lines, texts = commands()
    for line in lines:
        words = line.split()
        if words[0] == "sudoedit":
            host.write(words[1], texts[words[1]])
            continue
        output = host.run("sh", "-euc", f"{SUDO}cd {tree}; {line}", limit=600)[1]
    # The last command shows the result.
    return output


def connect(host):
    """A client and its server, at the other end of eth1."""
    host.run("sh", "-euc", NETWORK)


def ask(host, *words):
    return host.run("nsenter", "--net=/run/netns/client", "timeout", "60", "redis-cli", "-h", ADDRESS, "-p", PORT, *words, fail=False, limit=90)[1].strip()


def is_served(host):
    """redis-cli reaches redis-server through the node."""
    within(60, lambda: ask(host, "ping") == "PONG", "the client is served")
    equal(ask(host, "set", "key", "x" * 5000), "OK", "a long request")
    equal(ask(host, "get", "key"), "x" * 5000, "a long reply")
