#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A virtual machine that only its WorkloadEntry names, on a node with `guests` and the rights of the unit: DHCP gives it what the documents
say, it pings its gateway, finds a service by DNS and calls it, and policies know its principal. Frames with a forged sender are dropped and
counted by reason. Its process is killed and starts again, its WorkloadEntry goes and comes back, and the daemon keeps no descriptor.
The card of the guest is DPDK's virtio_user (guest.c), its kernel that of a network namespace.
"""

import os
import socket
import struct
import subprocess
import time

from meltemi_lab import Lab, becomes, check, equal, main, names, netns, streams, unit, within
from meltemi_lab.documents import service
from meltemi_lab.paths import BUILD

DIRECTORY = "/run/meltemi-guests"
GATEWAY, GUEST, FORGED = "10.9.1.1", "10.9.1.12", "10.9.1.99"
MAC, FORGED_MAC, EVERYONE = "52:54:00:09:00:0c", "52:54:00:09:00:0d", "ff:ff:ff:ff:ff:ff"
HOST, VIP, PORT = "echo.test", "240.240.1.2", 7000
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
RESTARTS = 4
NODE = f"""\
  dns: {{}}
  guests: {{networks: [{{address: {GATEWAY}/24}}]}}
"""
ENTRY = f"""\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: vm2
  namespace: shop
  annotations:
    meltemi.io/vhost-user: {DIRECTORY}/vm2.sock
    meltemi.io/mac: "{MAC}"
spec: {{address: {GUEST}, serviceAccount: buyer}}
"""
POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: buyers, namespace: default}
spec: {rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/%s]}}]}]}
"""


# ---- frames ----------------------------------------------------------------------------------

def station(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def datagram(mac, source, destination, ports, payload):
    """A frame to the Ethernet broadcast address. Its UDP has no checksum."""
    udp = struct.pack(">4H", *ports, 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(destination))
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return station(EVERYONE) + station(mac) + b"\x08\x00" + head + udp


def dhcp(kind, options=b""):
    """A request that wants a broadcast reply."""
    head = struct.pack(">4BIHH16x6s10x192x", 1, 1, 6, 0, 0x4d54, 0, 0x8000, station(MAC))
    return head + b"\x63\x82\x53\x63" + bytes([53, 1, kind]) + options + b"\xff"


def read_dhcp(frame):
    """(address, {option: bytes}) of a reply, or None."""
    if len(frame) < 282 or frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[34:38] != struct.pack(">2H", 67, 68):
        return None
    message, found, at = frame[42:], {}, 240
    while message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        found[message[at]] = message[at + 2:at + 2 + message[at + 1]]
        at += 2 + message[at + 1]
    return socket.inet_ntoa(message[16:20]), found


# ---- the guest -------------------------------------------------------------------------------

class Guest:
    """Its kernel has the interface g0 all the time; start() and kill() are of its card."""

    def __init__(self, lab, directory):
        self.lab, self.socket, self.card = lab, directory / "vm2.sock", None
        self.namespace = lab._add("guest")
        netns.run("ip", "-n", self.namespace, "tuntap", "add", "dev", "g0", "mode", "tap")
        netns.sysctl(self.namespace, net__ipv6__conf__g0__disable_ipv6=1)
        netns.run("ip", "-n", self.namespace, "link", "set", "g0", "address", MAC, "up")
        with lab.inside("guest"):
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.wire.bind(("g0", 0))
        self.wire.settimeout(0.5)

    def start(self):
        # As libvirt does, so that the daemon's user may connect; here without the access control list.
        self.card = self.lab.run("guest", "guest", ["sh", "-c", 'umask 0 && exec "$@"', "sh", BUILD / "tests/smoke/guest", self.socket, "g0"])

    def kill(self):
        self.card.kill()
        self.card.popen.wait(30)

    def ask(self, kind, options=b""):
        """The reply to a DHCP request, which is sent again as long as there is none."""
        def reply():
            self.wire.send(datagram(MAC, "0.0.0.0", "255.255.255.255", (68, 67), dhcp(kind, options)))
            try:
                while not (found := read_dhcp(self.wire.recv(2048))):
                    pass
                return found
            except TimeoutError:
                return None
        return within(10, reply, f"a reply to DHCP message {kind}")

    def configure(self):
        """As a DHCP client; checks what it gets."""
        for kind, answer, options in ((DISCOVER, OFFER, b""), (REQUEST, ACK, b"\x32\x04" + socket.inet_aton(GUEST))):
            address, found = self.ask(kind, options)
            equal((found[53][0], address), (answer, GUEST), "type of the reply, and the address")
            equal([socket.inet_ntoa(found[code]) for code in (1, 3, 6, 54)], ["255.255.255.0", GATEWAY, GATEWAY, GATEWAY],
                  "mask, gateway, name server, DHCP server")
            equal((found[12], found[15]), (b"vm2", b"shop.svc.cluster.local"), "host name and domain")
        netns.run("ip", "-n", self.namespace, "address", "add", f"{GUEST}/24", "dev", "g0")
        netns.run("ip", "-n", self.namespace, "route", "add", "default", "via", GATEWAY)

    def pings(self):
        return subprocess.run(["ip", "netns", "exec", self.namespace, "ping", "-c", "1", "-W", "1", GATEWAY], capture_output=True,
                              timeout=30, check=False).returncode == 0

    def calls(self, seed):
        """True if a stream to the service comes back whole."""
        return streams.exchange(self.lab.connect("guest", VIP, PORT), seed, 300_000)

    def may_call(self):
        """True if some bytes to the service come back."""
        try:
            with self.lab.connect("guest", VIP, PORT, timeout=2) as sock:
                sock.sendall(b"hello")
                return sock.recv(5) == b"hello"
        except OSError:
            return False


# ---- the node --------------------------------------------------------------------------------

def row(daemon):
    """The guest's row of `show guests`, or {}."""
    return next((found for found in daemon.show("guests")["guests"] if found["guest"] == "shop/vm2"), {})


def connected(daemon):
    began = time.monotonic()
    becomes(lambda: row(daemon).get("state"), "connected", "state of the guest")
    return time.monotonic() - began


def dropped(daemon):
    """{reason: frames}"""
    return {word.split()[0]: int(word.split()[1]) for word in (row(daemon).get("dropped") or "").split(", ") if word}


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def node(lab, directory):
    daemon = lab.meltemi(name="host", ports=['name: p1, device: "net_af_packet1,iface=p1", profile: af_packet, addresses: [198.51.100.1/24]'])
    daemon.node.write_text(daemon.node.read_text() + NODE)
    daemon.write("echo.yaml", service(HOST, VIP, PORT, "tcp", [(lab.server(1), PORT, {})]))
    daemon.write("policy.yaml", POLICY % "buyer")
    daemon.write("vm2.yaml", ENTRY)
    unit.run_as_service(daemon)
    # Its socket lies at the place that documents may name, in a mount namespace of the daemon.
    daemon.prefix = ["sh", "-c", f'mkdir -p {DIRECTORY} && mount --bind "$0" {DIRECTORY} && exec "$@"', directory, *daemon.prefix]
    return daemon


def served(guest, daemon):
    guest.configure()
    within(10, guest.pings, "the gateway answers a ping")
    equal(names.ask(guest.namespace, GATEWAY, HOST).addresses, [VIP], "the address of the service by DNS")
    check(guest.calls(1), "a stream to the service")
    equal([(found["port"], found["principal"], found["mac"].lower()) for found in daemon.show("workloads")["workloads"] if found["address"] == GUEST],
          [("guests", "cluster.local/ns/shop/sa/buyer", MAC)], "show workloads")
    daemon.write("policy.yaml", POLICY % "other")
    daemon.shell("reload")
    check(not guest.may_call(), "a stream that only another principal may open")
    daemon.write("policy.yaml", POLICY % "buyer")
    daemon.shell("reload")
    check(guest.calls(2), "a stream after the policy's correction")


def forged(guest, daemon):
    """Each reason counts its own frames, and the guest itself goes on."""
    before = dropped(daemon)
    for reason, mac, source in (("mac", FORGED_MAC, GUEST), ("ip4", MAC, FORGED), ("vip", MAC, VIP)):
        for _ in range(3):
            guest.wire.send(datagram(mac, source, VIP, (5000, PORT), b"forged"))
        becomes(lambda reason=reason: dropped(daemon).get(reason, 0) - before.get(reason, 0), 3, f"frames dropped because of {reason}")
    check(guest.calls(3), "a stream after forged frames")


def killed(guest, daemon):
    """The card's process dies and starts again, several times. A connection is a few descriptors, and memory of the guest one each."""
    first = descriptors(daemon)
    for number in range(RESTARTS):
        guest.kill()
        becomes(lambda: row(daemon).get("state"), "not connected", "state without the process")
        check(row(daemon)["reason"], "it says why")
        guest.start()
        guest.card.wait_line("ready")
        print(f"connected again after {connected(daemon):.1f} s")
        within(10, guest.pings, "the gateway answers a ping after a restart")
        check(guest.calls(10 + number), "a stream after a restart")
    within(10, lambda: descriptors(daemon) <= first, f"the daemon has no more descriptors than {first}")


def removed(guest, daemon):
    """The WorkloadEntry goes and comes back; the guest runs on."""
    (daemon.services / "vm2.yaml").unlink()
    daemon.shell("reload")
    becomes(lambda: row(daemon), {}, "show guests without the WorkloadEntry")
    within(10, lambda: not guest.pings(), "no answer for a guest without a WorkloadEntry")
    check(not guest.may_call(), "a stream of a guest without a WorkloadEntry")
    daemon.write("vm2.yaml", ENTRY)
    daemon.shell("reload")
    connected(daemon)
    within(10, guest.pings, "the gateway answers a ping again")
    check(guest.calls(20), "a stream when the WorkloadEntry is back")


def body():
    with Lab(servers=1) as lab, lab.listening("server1", PORT, streams.echo):
        directory = lab.directory / "guests"
        directory.mkdir()
        guest, daemon = Guest(lab, directory), node(lab, directory)
        daemon.start()
        equal(row(daemon).get("state"), "not connected", "state before the guest's start")
        becomes(lambda: f"socket {DIRECTORY}/vm2.sock does not exist" in (row(daemon)["reason"] or ""), True, "the reason")
        guest.start()
        connected(daemon)
        guest.card.wait_line("ready")
        if not unit.sanitized():
            unit.is_confined(daemon)
        served(guest, daemon)
        forged(guest, daemon)
        killed(guest, daemon)
        removed(guest, daemon)
        guest.wire.close()


main(body)
