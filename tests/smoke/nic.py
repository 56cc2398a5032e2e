#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
`meltemi nic` on a host with network cards that are files: a thread plays the kernel. It reads what is written to unbind and
drivers_probe, and moves the link to the driver. Interface c0 of one card is real, with its addresses and routes. `nic write` has the real
meltemid check the document.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

from meltemi_lab import Lab, becomes, check, equal, main, netns, within
from meltemi_lab.daemon import SHELL
from meltemi_lab.schemas import fits

USED, FREE, TWIN, MLX5 = "0000:3b:00.0", "0000:5e:00.0", "0000:5e:00.1", "0000:af:00.0"


class Host:
    """A tree of files, and the kernel's part."""

    def __init__(self, root, namespace):
        self.root, self.namespace = root, namespace
        self.sys = root / "sys"
        self.pci = self.sys / "bus/pci"
        self.cards = {}
        self.deaf = False  # reads what is written, and does nothing
        self.calm = threading.Event()  # cleared: stops before it acts
        self.calm.set()
        for directory in ("run", "var/lib/meltemi/nic", "sys/kernel/iommu_groups", "sys/class/net", "sys/bus/pci/devices", "sys/module/vfio/parameters"):
            (root / directory).mkdir(parents=True)
        (root / "proc").symlink_to("/proc")
        self.unsafe = self.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode"
        self.unsafe.write_text("N\n")
        for driver in ("vfio-pci", "ice", "mlx5_core"):
            (self.pci / "drivers" / driver).mkdir(parents=True)
            self.listen(self.pci / "drivers" / driver / "unbind", self.unbind)
        self.listen(self.pci / "drivers_probe", self.probe)

    def listen(self, path, act):
        os.mkfifo(path)
        threading.Thread(target=self.serve, args=(path, act), daemon=True).start()

    def serve(self, path, act):
        while path.exists():
            words = path.read_text().strip()
            self.calm.wait()
            if words and not self.deaf:
                act(words)

    def add(self, address, ids, driver, group=None, interface=None):
        self.cards[address] = (driver, interface)
        device = self.pci / "devices" / address
        device.mkdir()
        for name, text in {"class": "0x020000", "vendor": f"0x{ids[:4]}", "device": f"0x{ids[5:]}", "driver_override": "(null)",
                           "numa_node": "-1"}.items():
            (device / name).write_text(text + "\n")
        if group is not None:
            devices = self.sys / f"kernel/iommu_groups/{group}/devices"
            devices.mkdir(parents=True, exist_ok=True)
            (devices / address).symlink_to(device)
            (device / "iommu_group").symlink_to(devices.parent)
        self.attach(address, driver)

    def attach(self, address, driver):
        own, interface = self.cards[address]
        if interface and driver == own:
            (self.pci / "devices" / address / "net" / interface).mkdir(parents=True)
            (self.pci / "devices" / address / "net" / interface / "operstate").write_text("up\n")
            (self.sys / "class/net" / interface).mkdir()
            (self.sys / "class/net" / interface / "flags").write_text("0x1003\n")
        (self.pci / "devices" / address / "driver").symlink_to(self.pci / "drivers" / driver)

    def unbind(self, address):
        device, interface = self.pci / "devices" / address, self.cards[address][1]
        if interface and (device / "net").exists():
            netns.run("ip", "-n", self.namespace, "addr", "flush", "dev", interface)
            netns.run("ip", "-n", self.namespace, "link", "set", interface, "down")
            shutil.rmtree(self.sys / "class/net" / interface)
            shutil.rmtree(device / "net")
        (device / "driver").unlink()

    def probe(self, address):
        override = self.override(address)
        if not (self.pci / "devices" / address / "driver").exists():
            self.attach(address, override if override else self.cards[address][0])

    def mode(self):
        """"Y" or "N"; "" while it is written."""
        return self.unsafe.read_text()[:1]

    def override(self, address):
        text = (self.pci / "devices" / address / "driver_override").read_text().split("\n")[0]
        return "" if text == "(null)" else text

    def driver(self, address):
        """Name of the card's driver; None without one, also if the kernel removes the link in the meantime."""
        try:
            return (self.pci / "devices" / address / "driver").readlink().name
        except FileNotFoundError:
            return None

    def command(self, *words):
        return ["ip", "netns", "exec", self.namespace, str(SHELL), "-s", "/nonexistent", *words, "--root", str(self.root)]

    def nic(self, *words, status=0, session=None, contains=()):
        env = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
        env |= {"SSH_CONNECTION": session} if session else {}
        done = subprocess.run(self.command("nic", *words), text=True, capture_output=True, timeout=60, check=False, env=env)
        equal(done.returncode, status, f"exit status of nic {words}: {done.stdout}{done.stderr}")
        for text in contains:
            check(text in done.stdout + done.stderr, f"nic {words} prints {done.stdout}{done.stderr}, without {text!r}")
        return done.stdout

    def show(self, address):
        answer = json.loads(self.nic("show", address, "--json"))
        fits("nic show", answer)
        return answer

    def is_as_before(self, address, what):
        within(30, lambda: self.driver(address) == self.cards[address][0] and not self.override(address), what)

    def waiting(self):
        return [path.name for path in (self.root / "run/meltemi-nic").glob("*.*") if path.suffix in (".waiting", ".undo")]


def network(host):
    """Addresses and routes of the real interface."""
    return (netns.run("ip", "-n", host.namespace, "-4", "-o", "addr", "show", "dev", "c0").split()[3:4],
            netns.run("ip", "-n", host.namespace, "route", "show", "default").split())


def lists(host):
    answer = json.loads(host.nic("--json"))
    fits("nic", answer)
    equal([card["address"] for card in answer["cards"]], [USED, FREE, TWIN, MLX5], "cards")
    used = {row["kind"]: row["words"] for row in answer["cards"][0]["used_by"]}
    equal(used, {"default-route": "default route of IPv4", "address": "address 192.0.2.2/24"}, "uses of the card of c0")
    equal(answer["cards"][1]["used_by"], [], "uses of a free card")
    table = host.nic("list")
    check(f"{USED}  8086:1592  ice" in table and "USED BY" in table, table)
    equal(host.show("c0")["address"], USED, "the card of an interface")
    host.nic("show", "eth9", status=1, contains=["not a PCI network card"])
    host.nic("show", status=2)
    host.nic("bind", FREE, "--confirm-within", "2h", status=2)
    host.nic("bind", FREE, "--driver", "../../x", status=2)


def refusals(host):
    session = "192.0.2.9 50000 192.0.2.2 22"
    host.nic("bind", USED, status=1, session=session, contains=["default route of IPv4", "this SSH session", "address 192.0.2.2/24", "--force"])
    host.nic("bind", MLX5, "--force", status=1, contains=["keep their kernel driver"])
    host.nic("bind", FREE, "--driver", "uio_pci_generic", status=1, contains=["is not loaded", "modprobe uio_pci_generic"])
    host.nic("bind", TWIN, status=1, contains=["0000:5e:00.2 (ice)", "same IOMMU group"])
    host.nic("confirm", status=1, contains=["no card waits"])
    # The daemon's user can write this, which is no record.
    planted = host.root / "var/lib/meltemi/nic" / f"{FREE}.00000000.waiting"
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    planted.write_text(json.dumps({"boot": boot, "driver": "mlx5_core", "override": "mlx5_core", "unsafe": "Y"}))
    host.nic("release", FREE, contains=["has the driver ice, and no override"])
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, host.root, *host.command("nic", "bind", FREE)], text=True, capture_output=True,
                          timeout=60, check=False)
    check(done.returncode == 1 and "sysfs is read-only here" in done.stderr, done)
    for address in (USED, FREE, TWIN, MLX5):
        equal((host.driver(address), host.override(address)), (host.cards[address][0], ""), f"state of {address}")


def confirmed(host):
    host.nic("bind", FREE, contains=["bound to vfio-pci (before: ice)", f"meltemi nic confirm {FREE}"])
    equal(host.driver(FREE), "vfio-pci", "driver after bind")
    check(any("nic confirm" in step for step in host.show(FREE)["next"]), "next steps before confirmation")
    host.nic("bind", FREE, contains=["already"])
    host.nic("confirm", contains=[f"{FREE}: keeps the driver vfio-pci"])
    equal(host.waiting(), [], "records that wait")
    host.nic("release", FREE, contains=["returned to ice"])
    host.is_as_before(FREE, "released")


def not_confirmed(host):
    host.nic("bind", FREE, "--confirm-within", "1s")
    host.is_as_before(FREE, "rolled back without confirmation")
    within(30, lambda: host.waiting() == [], "the record is gone")
    becomes(lambda: host.show(FREE)["last_bind"], "rolled back to ice, because it was not confirmed", "result of the rollback")
    host.nic("confirm", FREE, status=1)
    host.nic("bind", FREE, "--confirm-within", "0s")
    equal((host.driver(FREE), host.waiting()), ("vfio-pci", []), "bound without confirmation")
    host.nic("release", FREE)
    # Without waiting, release rolls back at once.
    host.nic("bind", FREE)
    host.nic("release", FREE, contains=["returned to ice"])
    equal((host.driver(FREE), host.waiting()), ("ice", []), "released before confirmation")


def slow_kernel(host):
    """The time for the confirmation begins with the end of the bind. A release before that is the reason that the bind reports."""
    for early in (False, True):
        host.calm.clear()
        argv = host.command("nic", "bind", FREE, "--confirm-within", "1s", "--timeout", "5s")
        shell = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        within(30, lambda: host.waiting() and host.override(FREE) == "vfio-pci", "the bind has begun")
        time.sleep(0.2 if early else 2)
        if early:
            host.nic("release", FREE, contains=["returned to ice"])
        host.calm.set()
        text = shell.communicate(timeout=60)[0]
        want = (1, "rolled back before it was done") if early else (0, "bound to vfio-pci")
        check(shell.returncode == want[0] and want[1] in text and "did not take" not in text, f"bind, released early {early}: {shell.returncode}: {text}")
        host.is_as_before(FREE, "rolled back after a slow bind")
    within(30, lambda: host.waiting() == [], "no record waits")


def killed(host):
    """The shell dies between unbind and probe; the session's card gets its driver, addresses and routes again."""
    before = network(host)
    host.calm.clear()
    argv = host.command("nic", "bind", USED, "--force", "--confirm-within", "2s")
    shell = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    within(30, lambda: host.waiting() and host.override(USED) == "vfio-pci", "the bind has begun")
    time.sleep(0.2)
    os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    host.calm.set()
    host.is_as_before(USED, "rolled back after the shell's death")
    within(30, lambda: network(host) == before, "addresses and default route are back")
    within(30, lambda: host.waiting() == [], "the record is gone")


def host_address(host):
    """Addresses of one host, gateways that a route without a gateway leads to, and one that no route leads to."""
    def run(*words):
        return netns.run("ip", "-n", host.namespace, *words)

    def routes():
        return [line for family in ("-4", "-6") for line in sorted(run(family, "route", "show", "dev", "c0").splitlines()) if "kernel" not in line]

    run("addr", "flush", "dev", "c0")
    for family in ("-4", "-6"):
        run(family, "route", "flush", "dev", "c0")
    for prefix, near, far in (("192.0.2.2/32", "192.0.2.1", "203.0.113.0/24"), ("2001:db8::2/128", "2001:db8::1", "2001:db8:1::/64")):
        run("addr", "add", prefix, "dev", "c0", *(["nodad"] if ":" in prefix else []))
        run("route", "add", near, "dev", "c0")
        run("route", "replace", "default", "via", near, "dev", "c0", "metric", "7")
        run("route", "add", far, "via", near.replace("192", "198").replace("db8", "db9"), "dev", "c0", "onlink")
    before = routes()
    equal(len(before), 6, f"routes: {before}")
    host.nic("bind", USED, "--force", "--confirm-within", "1s")
    host.is_as_before(USED, "rolled back")
    within(30, lambda: host.waiting() == [], "the record is gone")
    equal(routes(), before, "routes after the rollback")


def kernel_does_nothing(host):
    host.deaf = True
    host.nic("bind", FREE, "--timeout", "1s", status=1, contains=["still has the driver ice", "as it was before"])
    host.deaf = False
    host.is_as_before(FREE, "restored after the kernel did nothing")
    equal(host.waiting(), [], "records that wait")
    # No reader: the write itself blocks.
    unbind = host.pci / "drivers/ice/unbind"
    unbind.rename(unbind.with_name("kept"))
    os.mkfifo(unbind)
    host.nic("bind", FREE, "--timeout", "1s", status=1, contains=["did not end within 1000 ms", "/unbind"])
    unbind.unlink()
    unbind.with_name("kept").rename(unbind)
    host.is_as_before(FREE, "restored after a write that hung")


def without_iommu(host):
    links = {host.pci / "devices" / address / "iommu_group": None for address in (FREE, TWIN)}
    for link in links:
        links[link] = link.readlink()
        link.unlink()
    host.nic("bind", FREE, status=1, contains=["no IOMMU group", "intel_iommu=on", "--no-iommu", "all memory"])
    host.nic("bind", FREE, "--no-iommu", "--confirm-within", "0s")
    equal((host.driver(FREE), host.mode()), ("vfio-pci", "Y"), "bound without an IOMMU")
    host.nic("release", FREE)
    equal((host.driver(FREE), host.mode()), ("ice", "N"), "released without an IOMMU")
    # Cards share the mode.
    for address in (FREE, TWIN):
        host.nic("bind", address, "--no-iommu", "--confirm-within", "0s")
    host.nic("release", FREE)
    equal((host.driver(TWIN), host.mode()), ("vfio-pci", "Y"), "one of two cards is released")
    host.nic("release", TWIN)
    equal(host.mode(), "N", "both cards are released")
    for address in (FREE, TWIN):
        host.nic("bind", address, "--no-iommu", "--confirm-within", "1s")
    for address in (FREE, TWIN):
        host.is_as_before(address, "rolled back without an IOMMU")
    within(30, lambda: host.waiting() == [] and host.mode() == "N", "the mode after both rollbacks")
    for link, group in links.items():
        link.symlink_to(group)


NODE = """\
apiVersion: meltemi.io/v1
kind: Node   # of the lab
metadata: {name: n}
spec:
  workers: 1
  ports:
  - {name: p0, device: net_null0}   # no link

  # relative to nothing else
  sources: [{directory: %s}]
  stateDirectory: %s
"""
ENTRY = f"""\
  - name: "uplink"
    device: "{FREE}"
    profile: ice
    addresses: ["192.0.2.9/24"]
"""


def writes(host):
    directory = host.root.parent / "etc"
    directory.mkdir()
    node, link, backup = directory / "node.yaml", directory / "link.yaml", directory / "node.yaml.bak"
    before = NODE % (directory, directory)
    node.write_text(before)
    node.chmod(0o640)
    os.chown(node, 1, 2)
    link.symlink_to(node)
    words = ("write", FREE, "--node", str(link), "--name", "uplink", "--address", "192.0.2.9/24")
    host.nic(*words, "--check", contains=["+   - name: \"uplink\"", "not written"])
    equal((node.read_text(), backup.exists()), (before, False), "after --check")
    host.nic(*words, contains=[f"{node}:8:", f"nic bind {FREE}", "systemctl restart meltemid"])
    equal(node.read_text(), before.replace("# no link\n", "# no link\n" + ENTRY), "the document")
    equal((backup.read_text(), link.is_symlink()), (before, True), "the backup, the link")
    state = node.stat()
    equal((state.st_mode & 0o777, state.st_uid, state.st_gid), (0o640, 1, 2), "mode and owner")
    host.nic(*words, status=1, contains=[f"has the device {FREE} already"])
    # The daemon does not accept a name with a blank.
    host.nic("write", TWIN, "--node", str(node), "--name", "a\nb", status=1, contains=["not changed", f"{node}:"])
    host.nic("write", TWIN, "--node", str(directory / "none.yaml"), status=1, contains=["No such file"])
    host.nic("write", TWIN, status=2, contains=["--node"])
    host.nic("write", TWIN, "--node", str(node), "--address", "x", status=2, contains=["ADDRESS/BITS"])
    equal(sorted(path.name for path in directory.iterdir()), ["link.yaml", "node.yaml", "node.yaml.bak"], "files")


def written_as_the_unit(host):
    """meltemid checks the document as the user of its unit: what only root can read is a reason not to write it."""
    directory, units = host.root.parent / "unit", host.root / "etc/systemd/system"
    (directory / "services").mkdir(parents=True)
    for path in (directory, directory / "services"):
        path.chmod(0o755)
    node, document = directory / "node.yaml", directory / "services/secret.yaml"
    node.write_text(NODE % (directory / "services", directory))
    node.chmod(0o640)
    os.chown(node, 0, 65534)
    document.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    words = ("write", FREE, "--node", str(node), "--name", "uplink", "--check")
    document.chmod(0o600)
    host.nic(*words, contains=["accepted"])
    (units / "meltemid.service.d").mkdir(parents=True)
    (units / "meltemid.service").write_text("[Service]\nUser=daemon\n")
    drop_in = units / "meltemid.service.d/user.conf"
    drop_in.write_text("[Service]\nUser=nobody\n")
    # The error of another document does not keep the Node from being written.
    host.nic(*words, contains=["accepted"])
    node.chmod(0o600)
    host.nic(*words, status=1, contains=["Permission denied", "not changed", str(node)])
    node.chmod(0o640)
    drop_in.write_text("[Service]\nUser=nosuchuser\n")
    host.nic(*words, status=1, contains=["user nosuchuser of the unit does not exist", "not changed"])
    drop_in.write_text("[Service]\nUser=root\n")
    node.chmod(0o600)
    host.nic(*words, contains=["accepted"])
    shutil.rmtree(units)


def written_with_rights(host):
    """The drop-in and the rule of udev come with the port, all or none. meltemid reads the host's /sys, where the tree's is mounted."""
    directory, etc = host.root.parent / "rights", host.root / "etc"
    drop_in, rule = etc / "systemd/system/meltemid.service.d/rights.conf", etc / "udev/rules.d/70-meltemi.rules"
    directory.mkdir()
    for path in ("systemd/system", "udev"):
        (etc / path).mkdir(parents=True, exist_ok=True)
    node = directory / "node.yaml"
    before = NODE % (directory, directory)
    script = 'mount --bind "$0" /sys && exec "$@"'

    def write(address, *words, status=0, contains=(), sys=host.sys):
        inner = host.command("nic", "write", address, "--node", str(node), "--rights", *words)
        argv = [*inner[:4], "unshare", "-m", "sh", "-c", script, str(sys), *inner[4:]]
        done = subprocess.run(argv, text=True, capture_output=True, timeout=60, check=False)
        equal(done.returncode, status, f"exit status of nic write {address} {words}: {done.stdout}{done.stderr}")
        for text in contains:
            check(text in done.stdout + done.stderr, f"nic write {address} {words} prints {done.stdout}{done.stderr}, without {text!r}")

    def files():
        return [path.read_text() if path.exists() else None for path in (node, drop_in, rule)]

    node.write_text(before)
    write(FREE, "--check", contains=[f"{drop_in}:1:", "+ DeviceAllow=/dev/vfio/2 rw", f"{rule}:1:", "not written"])
    equal(files(), [before, None, None], "after --check")
    write(FREE, status=1, contains=["is not on this host", "not changed"], sys=host.root / "run")
    equal(files(), [before, None, None], "after a card that is not there")
    # The rule has no place.
    (etc / "udev").rename(etc / "kept")
    write(FREE, status=1, contains=["udev/rules.d"])
    equal((files(), drop_in.parent.exists()), ([before, None, None], False), "after a rule that could not be written")
    (etc / "kept").rename(etc / "udev")
    write(FREE, contains=["written", "udevadm trigger", "daemon-reload"])
    first = files()
    check(f'device: "{FREE}"' in first[0] and "DeviceAllow=/dev/vfio/2 rw" in first[1] and 'KERNEL=="2"' in first[2], first)
    check(f"-c {node}\n" in first[1] and ".check" not in "".join(first), first)
    # Settings of the operator stay.
    drop_in.write_text(first[1] + "LimitNOFILE=9\n")
    write(TWIN, status=1, contains=[f"{drop_in}: not changed", f"meltemid --rights --unit -c {node}"])
    equal(files(), [first[0], first[1] + "LimitNOFILE=9\n", first[2]], "after a refusal")
    drop_in.write_text(first[1])
    write(TWIN, contains=["+ DeviceAllow=/dev/vfio/3 rw", 'KERNEL=="3"'])
    check("/dev/vfio/2 rw" in drop_in.read_text() and "/dev/vfio/3 rw" in drop_in.read_text(), drop_in.read_text())
    equal(sorted(path.name for path in directory.iterdir()), ["node.yaml", "node.yaml.bak"], "files")
    shutil.rmtree(etc)


def with_daemon(host, lab):
    """Ports and worker cores of a running daemon: p0 is the interface of a card, here."""
    daemon = lab.meltemi(workers=1).start()
    device = host.pci / "devices" / MLX5
    (device / "net/p0").mkdir(parents=True)
    (device / "numa_node").write_text("0\n")
    (host.sys / "devices/system/node/node0").mkdir(parents=True)
    (host.sys / "devices/system/node/node0/cpulist").write_text("0-1023\n")
    done = subprocess.run([SHELL, "-s", daemon.directory / "admin.sock", "--json", "nic", "show", MLX5, "--root", host.root], text=True,
                          capture_output=True, timeout=60, check=True)
    card = json.loads(done.stdout)
    check(any(row["kind"] == "meltemid" for row in card["used_by"]), f"no port of the daemon in {card}")
    equal(card["workers_on_node"], "all", "workers on the card's node")


def with_stopped_daemon(host, lab):
    """The queue of its socket is full, so that it cannot say whether the interface is one of its ports."""
    stopped, waiting = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    stopped.bind(str(lab.directory / "stopped.sock"))
    stopped.listen(0)
    waiting.connect(str(lab.directory / "stopped.sock"))
    done = subprocess.run([SHELL, "-s", lab.directory / "stopped.sock", "--json", "nic", "show", MLX5, "--root", host.root], text=True,
                          capture_output=True, timeout=60, check=True)
    card = json.loads(done.stdout)
    check(any(row["kind"] == "meltemid" and "does not answer" in row["words"] for row in card["used_by"]), f"no use by a stopped daemon in {card}")
    waiting.close()
    stopped.close()


def body():
    with Lab(servers=1) as lab:
        namespace = lab.namespace("client")
        netns.run("ip", "-n", namespace, "-6", "addr", "flush", "dev", "c0")
        netns.run("ip", "-n", namespace, "route", "replace", "default", "via", "192.0.2.1", "metric", "7")
        host = Host(pathlib.Path(lab.directory) / "host", namespace)
        host.add(USED, "8086:1592", "ice", group=1, interface="c0")
        host.add(FREE, "8086:1592", "ice", group=2)
        host.add(TWIN, "8086:159b", "ice", group=3)
        host.add(MLX5, "15b3:101d", "mlx5_core", group=5)
        other = host.pci / "devices/0000:5e:00.2"
        other.mkdir()
        (other / "driver").symlink_to(host.pci / "drivers/ice")
        (host.sys / "kernel/iommu_groups/3/devices/0000:5e:00.2").symlink_to(other)
        for part in (lists, refusals, confirmed, not_confirmed, slow_kernel, killed, host_address, kernel_does_nothing, without_iommu, writes,
                     written_as_the_unit, written_with_rights):
            print(part.__name__, flush=True)
            part(host)
        with_daemon(host, lab)
        with_stopped_daemon(host, lab)


main(body)
