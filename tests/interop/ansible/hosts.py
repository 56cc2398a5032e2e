# SPDX-License-Identifier: Apache-2.0
"""
Hosts for Ansible: each has its own file system (an overlay of this machine's, in memory), processes and network, and a real sshd. Packages
of the build, which the host's dpkg installs, and playbooks of ansible/ that run against the hosts.
"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess

from meltemi_lab import BUILD, ROOT, Failure, check, netns
from meltemi_lab.daemon import HUGEPAGES, MELTEMID, SHELL

BLAST = BUILD / "bench/blast/meltemi-blast"
VIP, PORT = "240.240.1.1", 20880  # of ansible/example/documents/orders.yaml
SSHD = """\
ListenAddress 0.0.0.0
HostKey {0}/hostkey
AuthorizedKeysFile {0}/key.pub
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
"""
# The first process of a host is sshd. /run and /tmp are empty, as after a boot.
BOOT = """\
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc; mount -t sysfs sysfs sys; mount --rbind /dev dev
mkdir -p "$2.keep"; mount --bind "$2" "$2.keep"
mount -t tmpfs none run; mount -t tmpfs none tmp
mkdir -p run/sshd "./$2"; mount --bind "$2.keep" "./$2"
rm -rf etc/meltemi var/lib/meltemi var/log/meltemi var/cache/meltemi
exec chroot . /usr/sbin/sshd -D -e -f "$2/sshd_config"
"""
START = """\
mkdir -p /run/meltemi
setsid meltemid -c /etc/meltemi/node.yaml </dev/null >>/var/log/meltemid.log 2>&1 &
echo $! >/run/meltemid.pid
until meltemi show version >/dev/null 2>&1; do kill -0 "$(cat /run/meltemid.pid)" && sleep 0.1 || exit 1; done
"""
STOP = """\
pid=$(cat /run/meltemid.pid)
kill "$pid"
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
"""
# A version that accepts the configuration and closes its services all the same, and one that refuses the configuration.
NOT_READY = """\
#!/bin/sh
case " $* " in *" --check "*) exec /usr/lib/meltemi/meltemid "$@" ;; esac
exec /usr/lib/meltemi/meltemid "$@" -d /usr/lib/meltemi/policies
"""
POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: of-the-new-version}
spec: {action: ALOW}
"""
REFUSES = """\
#!/bin/sh
case " $* " in *" --check "*) echo "/etc/meltemi/services/orders.yaml:8: error: spec.addresses: unknown field" >&2; exit 1 ;; esac
exec /usr/lib/meltemi/meltemid "$@"
"""


def package(directory, version, wrapper=None):
    """A Debian package of the programs in the build directory, without debug information."""
    tree, deb = directory / "package", directory / f"meltemi_{version}_amd64.deb"
    for path in ("DEBIAN", "usr/sbin", "usr/bin", "usr/lib/meltemi/policies", "etc/meltemi/services"):
        (tree / path).mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(f"Package: meltemi\nVersion: {version}\nArchitecture: amd64\nMaintainer: Lab <lab@example.org>\n"
                                         "Description: programs of the build\n")
    (tree / "DEBIAN/postrm").write_text('#!/bin/sh\n[ "$1" != purge ] || rm -rf /etc/meltemi /var/lib/meltemi\n')
    (tree / "DEBIAN/postrm").chmod(0o755)
    daemon = tree / ("usr/lib/meltemi/meltemid" if wrapper else "usr/sbin/meltemid")
    for program, place in ((MELTEMID, daemon), (SHELL, tree / "usr/bin/meltemi")):
        subprocess.run(["strip", "-g", "-o", place, program], check=True)
    if wrapper:
        (tree / "usr/sbin/meltemid").write_text(wrapper)
        (tree / "usr/sbin/meltemid").chmod(0o755)
        (tree / "usr/lib/meltemi/policies/policy.yaml").write_text(POLICY)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, deb], check=True, capture_output=True)
    shutil.rmtree(tree)
    return deb


def other_package(directory, name, version):
    """An empty package of another name."""
    tree, deb = directory / "other", directory / f"{name}_{version}_amd64.deb"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Lab <lab@example.org>\n"
                                         "Description: nothing\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, deb], check=True, capture_output=True)
    shutil.rmtree(tree)
    return deb


class Host:
    """A host with the ports and the client of a node of the lab; a node for meltemi_lab.balancer."""

    def __init__(self, lab, number):
        self.lab, self.number, self.serial = lab, number, 0
        self.name, suffix = f"edge-{number}", "" if number == 1 else str(number)
        self.client, self.namespace = f"client{suffix}", lab.namespace(f"mesh{suffix}")
        self.ports = lab.beside(number) if number > 1 else [
            'name: p0, device: "net_af_packet0,iface=p0", profile: af_packet, addresses: [192.0.2.1/24]',
            'name: p1, device: "net_af_packet1,iface=p1", profile: af_packet, addresses: [198.51.100.1/24]']
        directory = lab.directory / self.name
        directory.mkdir()
        self.sshd = lab.run(f"mesh{suffix}", self.name, ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", BOOT, "sh",
                                                         directory, lab.directory / "ssh"])

    def inventory(self):
        # ssh runs in the host's network namespace, where sshd has the loopback addresses.
        program = self.lab.directory / f"ssh-{self.number}"
        program.write_text(f'#!/bin/sh\nexec nsenter --net=/run/netns/{self.namespace} ssh "$@"\n')
        program.chmod(0o755)
        return {"ansible_host": f"127.0.0.{self.number}", "ansible_ssh_executable": str(program), "node_ports": [_mapping(p) for p in self.ports]}

    def run(self, *words, fail=True):
        """Runs a program on the host. Returns its output."""
        first = self._first()
        done = subprocess.run(["nsenter", "--target", first, "--all", "--root", "--wd", *map(str, words)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        check(not fail or done.returncode == 0, f"{self.name}: {' '.join(map(str, words))}: exit status {done.returncode}: {done.stdout}")
        return done.stdout.strip()

    def _first(self):
        """The number of the host's first process on this machine: the child of unshare."""
        pids = subprocess.run(["ip", "netns", "pids", self.namespace], text=True, capture_output=True, check=True).stdout.split()
        for pid in pids:
            try:
                with open(f"/proc/{pid}/status", encoding="utf-8") as status:
                    if re.search(r"^NSpid:.*\t1$", status.read(), re.M):
                        return pid
            except OSError:
                continue
        raise Failure(f"{self.name} does not run: {self.sshd.tail()}")

    def version(self):
        return self.run("dpkg-query", "-W", "-f", "${Version}", "meltemi")

    def daemon(self):
        """The pid, on the host."""
        return self.run("cat", "/run/meltemid.pid")

    def ready(self):
        try:
            with netns.inside(self.namespace):
                sock = socket.create_connection(("127.0.0.1", 15000), timeout=5)
            connection = http.client.HTTPConnection("127.0.0.1")
            connection.sock = sock
            try:
                connection.request("GET", "/ready")
                return connection.getresponse().status == 200
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return False

    def blast(self, *options):
        self.serial += 1
        run = self.lab.run(self.client, f"blast{self.number}-{self.serial}", [BLAST, "--json", *options, f"{VIP}:{PORT}"])
        report = run.result()
        self.lab.processes.remove(run)
        return report


def _mapping(port):
    """{"name": "p0", ...} of a line of a Node document's list of ports."""
    found = dict(re.findall(r'(\w+): ("[^"]*"|\[[^]]*\]|\w+)', port))
    return {key: value.strip('"') if value[0] != "[" else value.strip("[]").split(", ") for key, value in found.items()}


def keys(lab):
    """Keys of sshd and its only user, in the directory that is the same on all hosts."""
    directory = lab.directory / "ssh"
    directory.mkdir()
    for name in ("hostkey", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    (directory / "sshd_config").write_text(SSHD.format(directory))


class Ansible:
    """Playbooks of ansible/, with its example of two nodes."""

    def __init__(self, lab, hosts, deb):
        self.lab, self.directory, self.plays = lab, lab.directory / "ansible", 0
        shutil.copytree(ROOT / "ansible/example", self.directory)
        (self.directory / "inventory.yml").unlink()
        known = "--strict" in subprocess.run([MELTEMID, "--help"], text=True, capture_output=True, check=True).stdout
        settings = {
            "ansible_user": "root", "ansible_ssh_private_key_file": str(lab.directory / "ssh/key"), "ansible_python_interpreter": "/usr/bin/python3",
            "meltemi_deb": str(deb), "meltemi_node_src": "{{ inventory_dir }}/node.yaml.j2",
            "meltemi_documents": [{"src": "{{ inventory_dir }}/documents/*.yaml"}, {"name": "reports.yaml", "content": REPORTS}],
            "meltemi_check_options": "--strict" if known else "", "meltemi_service": "none", "meltemi_start_command": START,
            "meltemi_stop_command": STOP, "meltemi_balancer_seconds": 1, "meltemi_ready_seconds": 20, "node_memory_mb": 192,
            "node_hugepages": HUGEPAGES, "node_name_suffix": f"-{lab.id}", "host_hugepages_mb": 0}
        self.inventory = self.directory / "inventory.json"
        self.inventory.write_text(json.dumps({"all": {"vars": settings, "hosts": {host.name: host.inventory() for host in hosts}}}))
        self.environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(self.directory), "ANSIBLE_HOME": str(self.directory / "home"),
                            "ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg"), "ANSIBLE_PIPELINING": "1", "ANSIBLE_HOST_KEY_CHECKING": "0",
                            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.directory / "cp"), "ANSIBLE_TIMEOUT": "60"}

    def play(self, book, *options, limit=900, **settings):
        """Runs a playbook. Returns its exit status, its output, and the number of changes on each host."""
        self.plays += 1
        log = self.lab.directory / f"play{self.plays}.log"
        with log.open("w") as output:
            status = subprocess.run(["ansible-playbook", "-i", self.inventory, "-e", json.dumps(settings), *options, ROOT / "ansible" / book],
                                    env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=limit,
                                    check=False, cwd=ROOT / "ansible").returncode
        text = log.read_text()
        return status, text, {host: int(n) for host, n in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", text, re.M)}


REPORTS = [{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "reports"}, "spec": {
    "hosts": ["reports.example"], "addresses": ["240.240.1.2"], "resolution": "STATIC",
    "ports": [{"number": 7001, "name": "tcp", "protocol": "TCP"}], "endpoints": [{"address": "198.51.100.11"}]}}]
