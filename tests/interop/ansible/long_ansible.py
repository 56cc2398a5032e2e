#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Ansible's playbooks install two nodes by package and by ssh, and a second run changes nothing. A configuration that the daemon refuses
does not replace the present one. An upgrade under load replaces both nodes without a failed call; a version that is not ready, or that
refuses the configuration, stops the play at the first node, which goes back to its previous version. Then one node is removed.

--rolls N: upgrades both nodes N times under load, to one version and back to the other, and nothing else after the installation. It prints the
calls of each time.
"""

import argparse
import pathlib
import re
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "smoke"))

from meltemi_lab import Lab, Skip, check, equal, main, within  # noqa: E402
from meltemi_lab.balancer import Balancer  # noqa: E402

from hosts import BLAST, NOT_READY, PORT, REFUSES, Ansible, Host, keys, other_package, package  # noqa: E402

# As on a host where Meltemi was not installed by the roles.
FROM_SOURCE = {"meltemi_package": "none", "meltemi_daemon": "/usr/sbin/meltemid", "meltemi_shell": "/usr/bin/meltemi"}
RATE, ROLL_RATE = 100, 400  # calls a second, of both nodes together
BAD = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "bad"},
       "spec": {"hosts": ["bad.example"], "removed": 1}}


def done(result, what):
    status, text, changes = result
    equal(status, 0, f"{what}: exit status of ansible-playbook ({text[-3000:]})")
    return changes


def stopped(result, words, what):
    """The play has failed for a reason that its output has, and has not gone on to the second host."""
    status, text, _ = result
    check(status == 2 and re.search(words, text), f"{what}: exit status {status}, without {words!r}: {text[-3000:]}")
    last = text.split("\nPLAY [")[-1].split("\nPLAY RECAP")[0]
    check("fatal: [edge-1]" in last and "[edge-2]" not in last, f"{what}: the play went on: {text[-3000:]}")


def state(hosts):
    return [(host.version(), host.daemon(), host.run("ls", "/etc/meltemi/services"), host.run("ls", "-A", "/etc/meltemi")) for host in hosts]


def installed(ansible, hosts):
    changes = done(ansible.play("site.yml"), "the first run")
    check(all(changes[host.name] for host in hosts), f"changes of the first run: {changes}")
    for host in hosts:
        check(host.ready(), f"{host.name} is not ready after the first run")
        equal(host.run("ls", "-A", "/etc/meltemi", "/etc/meltemi/services").split(), [
            "/etc/meltemi:", "node.yaml", "services", "/etc/meltemi/services:", "ledger.yaml", "orders.yaml", "reports.yaml"], "files")
        equal(host.run("stat", "-c", "%a", "/etc/meltemi/node.yaml").strip(), "640", "mode of the Node document")
    equal(done(ansible.play("site.yml"), "the second run"), {host.name: 0 for host in hosts}, "changes of the second run")


def configured(ansible, hosts):
    before = state(hosts)
    documents = [{"src": "{{ inventory_dir }}/documents/*.yaml"}, {"name": "bad.yaml", "content": BAD}]
    stopped(ansible.play("site.yml", meltemi_documents=documents), r"/etc/meltemi/services/bad\.yaml:\d+: error: spec\.removed: unknown field",
            "a document with a mistake")
    stopped(ansible.play("site.yml", "--check", meltemi_documents=documents, meltemi_check_options="--no-such-option"),
            "does not know one of the options --no-such-option", "an option that the daemon does not have")
    equal(state(hosts), before, "nodes after a configuration was refused")
    documents.pop()
    done(ansible.play("site.yml", "--limit", "edge-2", meltemi_documents=documents, **FROM_SOURCE), "a document less")
    equal(hosts[1].run("ls", "/etc/meltemi/services").split(), ["ledger.yaml", "orders.yaml"], "documents after one was removed")
    equal(hosts[1].daemon(), before[1][1], "the daemon after a change of documents")
    check("reports.example" not in hosts[1].run("meltemi", "show", "services"), "the removed service is served")


def upgraded(ansible, hosts, debs, version="0.1.1"):
    before = state(hosts)
    done(ansible.play("upgrade.yml", meltemi_deb=str(debs[version])), "the upgrade")
    equal([host.version() for host in hosts], [version] * 2, "versions after the upgrade")
    check(all(host.daemon() != was[1] for host, was in zip(hosts, before)), "a daemon was not restarted")


def rolled(ansible, balancer, hosts, debs, rolls):
    for number in range(rolls):
        lots, sent, began = dict(balancer.lots), balancer.sent, time.monotonic()
        upgraded(ansible, hosts, debs, ("0.1.1", "0.1.0")[number % 2])
        seconds = time.monotonic() - began
        for host in hosts:
            within(30, lambda host=host: balancer.lots[host] > lots[host], f"{host.name} gets calls after the upgrade")
        print(f"roll {number + 1}: {seconds:.0f} s, {balancer.sent - sent} calls so far, {balancer.sent - balancer.answered} failed of all "
              f"{balancer.sent}, {balancer.nowhere} lots without a ready node", flush=True)


def rolled_back(ansible, hosts, debs):
    for host in hosts:  # another package of the version, which is no way back
        host.run("cp", debs["bench"], "/var/cache/meltemi/meltemi-bench_0.1.1_amd64.deb")
    before = state(hosts)
    stopped(ansible.play("upgrade.yml", meltemi_deb=str(debs["0.1.2"])), r"AuthorizationPolicy default/of-the-new-version closes it to all clients",
            "a version that is not ready")
    first, second = state(hosts)
    equal((first[0], second), (before[0][0], before[1]), "nodes after a version that is not ready")
    check(first[1] != before[0][1], "the version that is not ready was not started")
    check(all(host.ready() for host in hosts), "a node is not ready after the return to the previous version")
    before = [first, second]
    from_source = {**FROM_SOURCE, "upgrade_install_command": f"dpkg -i {debs['0.1.3']}",
                   "upgrade_rollback_command": f"dpkg -i {debs['0.1.1']}"}
    stopped(ansible.play("upgrade.yml", **from_source), "spec.addresses: unknown field", "a version that refuses the configuration")
    equal(state(hosts), before, "nodes after a version that refuses the configuration")
    check(hosts[0].ready(), "a node that was not restarted is not ready")


def removed(ansible, balancer, hosts):
    status, text, _ = ansible.play("remove.yml")
    check(status == 2 and "--limit" in text and all(host.ready() for host in hosts), f"a removal without --limit: {text}")
    done(ansible.play("remove.yml", "--limit", "edge-2"), "the removal")
    gone = hosts[1]
    equal(gone.run("sh", "-c", "ls -d /etc/meltemi /var/lib/meltemi /var/cache/meltemi /usr/sbin/meltemid; pidof meltemid; dpkg -l meltemi | grep ^i",
                   fail=False).count("No such file"), 4, "paths that are gone")
    check(not gone.ready(), "the removed node answers")
    lots = balancer.lots[hosts[0]]
    within(30, lambda: balancer.lots[hosts[0]] > lots, "the other node has the load")


def all_steps(ansible, hosts, debs):
    with Balancer(hosts, RATE, pause=1) as balancer:
        configured(ansible, hosts)
        upgraded(ansible, hosts, debs)
        rolled_back(ansible, hosts, debs)
        removed(ansible, balancer, hosts)
    return balancer


def only_rolls(ansible, hosts, debs, rolls):
    with Balancer(hosts, ROLL_RATE, pause=0.1) as balancer:
        rolled(ansible, balancer, hosts, debs, rolls)
    return balancer


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rolls", type=int)
    parser.add_argument("-v", action="store_true")
    return parser.parse_args()


def body():
    rolls = arguments().rolls
    for tool in ("ansible-playbook", "sshd", "dpkg-deb", "strip"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is missing (apt-get install ansible openssh-server binutils)")
    if pathlib.Path("/usr/sbin/meltemid").exists():
        raise Skip("this machine has Meltemi, and the hosts would have it as well")
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.run(f"server{number}", f"echo{number}", [BLAST, "--server", PORT]).wait_line("ready")
        debs = {version: package(lab.directory, version, wrapper) for version, wrapper in
                (("0.1.0", None), ("0.1.1", None), ("0.1.2", NOT_READY), ("0.1.3", REFUSES))}
        keys(lab)
        debs["bench"] = other_package(lab.directory, "meltemi-bench", "0.1.1")
        for version in ("0.1.1", "0.1.3", "bench"):
            debs[version] = shutil.move(debs[version], lab.directory / "ssh")  # which is the same on all hosts
        hosts = [Host(lab, 1), Host(lab, 2)]
        for host in hosts:
            within(30, lambda host=host: "Server listening" in host.sshd.errors(), f"{host.name}: sshd")
        ansible = Ansible(lab, hosts, debs["0.1.0"])
        installed(ansible, hosts)
        balancer = only_rolls(ansible, hosts, debs, rolls) if rolls else all_steps(ansible, hosts, debs)
        check(not balancer.bad, f"calls failed: {balancer.bad[:2]}")
        check(balancer.sent > 100 and all(balancer.lots.values()), f"the load: {balancer.sent} calls, lots {balancer.lots.values()}")
        equal((balancer.sent - balancer.answered, balancer.nowhere), (0, 0), "calls that failed, and lots that found no node")
        print(f"{balancer.sent} calls, all answered", flush=True)


main(body)
