#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
User and capabilities of the daemon while it reads documents, and when it runs, for each kind of port that this machine can have, started
with the rights of the unit and of the drop-in that `meltemid --rights --unit` prints for it. Calls pass through two vhost-user ports without
a capability; other tests send traffic through memif, TAP and the drivers of kernel interfaces.
"""

import signal

from meltemi_lab import BUILD, Lab, check, equal, main, unit
from meltemi_lab.documents import service

BLAST = BUILD / "bench/blast/meltemi-blast"
NONE, ADMIN, RAW_AND_ADMIN, SYS_ADMIN = 0, 1 << 12, 1 << 13 | 1 << 12, 1 << 21
OF_ROOT = 1 << 2 | 1 << 14  # CAP_DAC_READ_SEARCH, CAP_IPC_LOCK
AT_START = OF_ROOT | 1 << 0 | 1 << 1  # CAP_CHOWN, CAP_DAC_OVERRIDE
# Kind, device, capabilities while documents are read, and those after the start.
PROFILES = [
    ("memif", "net_memif0,role=server,socket={0}/m.sock,socket-abstract=no", NONE, NONE),
    ("ring", "net_ring0", NONE, NONE),
    ("TAP", "net_tap0,iface=t0", ADMIN, NONE),
    ("af_packet", "net_af_packet0,iface=p0", RAW_AND_ADMIN, NONE),
    ("pcap", "net_pcap0,iface=p0", RAW_AND_ADMIN, NONE),
    ("AF_XDP", "net_af_xdp0,iface=p0", RAW_AND_ADMIN | SYS_ADMIN, RAW_AND_ADMIN),
]
# Drop-ins of cards, as unit/rights has them. No card is here, so a ring takes the place of the port.
CARDS = [
    ("vfio with an IOMMU", "[Service]\nPrivateDevices=no\nDeviceAllow=/dev/vfio/vfio rw\nDeviceAllow=/dev/vfio/42 rw\n", NONE, NONE),
    ("root", "[Service]\nUser=root\nGroup=root\nCapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN CAP_IPC_LOCK CAP_SYS_ADMIN CAP_SYS_RAWIO "
             "CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_CHOWN\nSystemCallFilter=capset\n", AT_START, OF_ROOT),
]
VIP, PORT = "240.240.3.1", 20880


def shown(daemon, kind, kept):
    """All threads have the same user and capabilities; prints them."""
    if unit.sanitized():
        return
    rows = unit.threads(daemon)
    users, held = {tuple(row[1]) for row in rows}, {f"{row[2] & ~unit.stand_in():x}" for row in rows}
    print(f"{kind}: {len(rows)} threads, Uid {users}, capabilities {held}, filters {sorted({row[3] for row in rows})}", flush=True)
    if kind != "root":
        unit.is_confined(daemon, kept)
        return
    equal((users, held), ({("0",) * 4}, {f"{kept & ~unit.stand_in():x}"}), f"user and capabilities of {kind}")


def while_reading(of, kind, kept):
    """The status of the daemon when it opens its document."""
    if unit.sanitized():
        return
    print(f"{kind}: Uid {of['Uid'].split()[0]}, capabilities {unit.held_by(of):x}, filters {of['Seccomp_filters']} while documents are read", flush=True)
    equal(f"{unit.held_by(of) & ~unit.stand_in():x}", f"{kept & ~unit.stand_in():x}", f"capabilities of {kind} while documents are read")
    equal(of["Seccomp_filters"], "3", f"filters of {kind} while documents are read")


def one(lab, kind, device, reading, kept, drop_in=None):
    daemon = lab.meltemi(mb=192, ports=[f'name: x, device: "{device.format(lab.directory)}", addresses: [203.0.113.1/24]'])
    daemon.write("echo.yaml", service("com.example.Echo", VIP, PORT, "tcp-metaprotocol-dubbo", [("203.0.113.2", PORT, {})]))
    unit.run_as_service(daemon, drop_in)
    while_reading(unit.at_first_read(daemon.services / "echo.yaml", daemon.launch), kind, reading)
    daemon.comes_up()
    shown(daemon, kind, kept)
    equal(daemon.stop(), 0, f"exit status with {kind}")


def through_vhost(lab):
    """A client and a server with virtio-user, each at a vhost-user port of the daemon."""
    ports = [f'name: {name}, device: "net_vhost{i},iface={lab.directory}/{name}.sock", addresses: [10.7{i}.0.1/24]' for i, name in enumerate(("down", "up"))]
    daemon = lab.meltemi(mb=192, ports=ports)
    daemon.write("echo.yaml", service("com.example.Echo", VIP, PORT, "tcp-metaprotocol-dubbo", [("10.71.0.2", PORT, {})]))
    unit.run_as_service(daemon)
    daemon.start()
    shown(daemon, "vhost", NONE)
    peer = f"net_virtio_user0,path={lab.directory}/{{0}}.sock"
    echo = lab.run("mesh", "echo", [BLAST, "--server", "--device", peer.format("up"), "--address", "10.71.0.2/24", str(PORT)])
    echo.wait_line("ready")
    report = lab.run("mesh", "blast", [BLAST, "--json", "--device", peer.format("down"), "--address", "10.70.0.2/24", "--gateway", "10.70.0.1", "-c", "8",
                                       "-d", "500ms", "-w", "100ms", "--timeout", "30s", f"{VIP}:{PORT}"]).result()
    equal(report["sent"], report["answered"], "calls answered through vhost")
    check(report["sent"] > 0, "no calls were made")
    print(f"vhost: {report['answered']} calls", flush=True)
    # The client's stack went with its process, so that a drain takes its whole time.
    daemon.process.popen.send_signal(signal.SIGTERM)
    daemon.wait_log("draining")
    equal(daemon.stop(), 0, "exit status with vhost")


def body():
    with Lab(servers=1) as lab:
        for kind, device, reading, kept in PROFILES:
            one(lab, kind, device, reading, kept)
        for kind, drop_in, reading, kept in CARDS:
            one(lab, kind, "net_ring0", reading, kept, drop_in)
        through_vhost(lab)


main(body)
