# SPDX-License-Identifier: Apache-2.0
"""
The daemon as BoGo's program under test. For each of the runner's conversations its flags choose an address of the daemon's, and bytes are
carried between the runner and it; a program behind the daemon (or, where the daemon is the client, in front of it) does what BoGo's own
does. How it went is said by the daemon's counters: each handshake is counted as done or as failed, for one reason.
"""

import contextlib
import json
import pathlib
import re
import socket
import struct
import threading
import time

FLAGS = pathlib.Path(__file__).resolve().parent / "bogo_flags.tsv"
UNIMPLEMENTED = 89
PATIENCE = 5  # seconds without a byte
TLS12, TLS13 = 0x303, 0x304
WHEN = re.compile(r"^-on-(initial|resume|retry|shim|handshaker)-")
SIZES = (1, 255, 256, 257, 16383, 16384, 16385, 32767, 32768, 32769)  # of -write-different-record-sizes
# A handshake that is not done is one of them.
FAILED = re.compile(r"^(tls_failed_.*|tls_bad_hello|tls_unrecognized_name|tls_no_tls|proxy_chain_unmatched|proxy_hello_.*|"
                    r"proxy_chain_timeout)$")
# A connection ends badly by one of these as well.
BAD = re.compile(r"^(tls_alert_in|tls_alert_out|tls_refused)$")


class Refused(Exception):
    """What does not apply, with the reason."""


def table(path):
    for line in pathlib.Path(path).read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


class Flags:
    """Of one conversation, read by bogo_flags.tsv."""

    known = {}
    for _flag, _args, _side, _verdict, _why in table(FLAGS):
        for _one in "sc" if _side == "b" else _side:
            known[_flag, _one] = int(_args), _verdict, _why

    def __init__(self, argv):
        self.server = "-server" in argv
        self.values, words = {}, iter(argv)
        for word in words:
            if word in ("-dtls", "-quic"):
                raise Refused(f"{word}: over TCP alone")
            flag = WHEN.sub("-", word)
            args, verdict, why = self.known.get((flag, "s" if self.server else "c"), (0, "unknown", "a flag that nobody has looked at"))
            value = [next(words) for _ in range(args)]
            if verdict in ("refused", "unknown") or (flag != word and verdict == "done"):
                raise Refused(f"{word}: {why or 'not by turns'}")
            self.values.setdefault(flag, []).extend(value)

    def has(self, flag):
        return flag in self.values

    def number(self, flag, default):
        return int(self.values[flag][-1]) if flag in self.values else default

    def file(self, flag):
        return pathlib.Path(self.values[flag][-1]).name if flag in self.values else None

    def versions(self):
        """Of those that are spoken, the ones that are asked for."""
        first, last = self.number("-min-version", 0) or 0x300, self.number("-max-version", 0) or TLS13
        wanted = [v for v, no in ((TLS12, "-no-tls12"), (TLS13, "-no-tls13")) if first <= v <= last and not self.has(no)]
        if not wanted:
            raise Refused("versions: TLS 1.0 and 1.1 are not spoken (RFC 8996)")
        return wanted

    def curves(self):
        if self.has("-curves") and set(self.values["-curves"]) != {"23", "29"}:
            raise Refused("-curves: groups are X25519 and P-256, and no setting")


# ---- bytes ------------------------------------------------------------------------------------------------------------------

def reset(sock):
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Carrier:
    """Bytes from one to the other, each way in a thread; ends and resets, too."""

    def __init__(self, one, other):
        self.hung, self.ends = False, [one, other]
        self.threads = [threading.Thread(target=self._carry, args=ends, daemon=True) for ends in ((one, other), (other, one))]

    def run(self):
        for sock in self.ends:
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
        for sock in self.ends:
            sock.close()

    def _carry(self, source, sink):
        try:
            deaf = False
            while data := source.recv(1 << 16):
                try:
                    if not deaf:
                        sink.sendall(data)
                except OSError:
                    deaf = True
            sink.shutdown(socket.SHUT_WR)
        except TimeoutError:
            self.hung = True
            for sock in self.ends:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # a reset: what has been said before is delivered
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                source.shutdown(socket.SHUT_RDWR)


class Program:
    """What BoGo's program does with its plain text: it says hello first if it is to, and sends back all that comes, its bits turned over."""

    turned = bytes(range(255, -1, -1))

    def __init__(self, flags):
        self.flags = flags

    def run(self, sock):
        sock.settimeout(2 * PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.flags.has("-write-different-record-sizes"):
            for size in SIZES:
                sock.sendall(bytes([0x42]) * size)
        if self.flags.has("-shim-writes-first"):
            sock.sendall(b"hello")
        if self.flags.has("-shim-shuts-down"):
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(1 << 16):
                pass
        else:
            while data := sock.recv(1 << 16):
                sock.sendall(data.translate(self.turned))
            sock.shutdown(socket.SHUT_WR)
        sock.close()


# ---- counters -----------------------------------------------------------------------------------------------------------------

class Admin:
    """The daemon's socket, kept open."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))
        self.back = self.sock.makefile("rb")

    def counters(self):
        self.sock.sendall(b"--json show counters\n")
        length = int(self.back.readline().split()[2])
        return json.loads(self.back.read(length))


def grown(before, after):
    return {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}


# ---- conversations ------------------------------------------------------------------------------------------------------------

class Broker:
    """places: where the daemon takes or makes connections of each kind: place.server(flags) and place.client(flags) say which, or refuse."""

    def __init__(self, lab, daemon, places):
        self.lab, self.daemon, self.places = lab, daemon, places
        self.admin = Admin(daemon.directory / "admin.sock")
        self.program, self.coming, self.tries, self.hung = None, {}, 0, False
        self.refused, self.unwell, self.connections = {}, [], 0
        self.path = daemon.directory / "bogo.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        """One after the other: what is counted is theirs."""
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                argv = json.loads(sock.makefile("rb").readline())
                status, says = self.converse(argv)
                sock.sendall(json.dumps({"status": status, "says": says}).encode() + b"\n")

    def close(self):
        self.listener.close()

    def serve(self, sock):
        """Of the lab's server: plain text from the daemon."""
        self.program.run(sock)

    def take(self, port):
        """Of the lab's server: TLS from the daemon, for the runner that waits for it."""
        def handle(sock):
            self.tries += 1
            runner, self.coming[port] = self.coming.get(port), None
            if runner:
                self._carry(runner, sock)
            else:
                sock.close()
        return handle

    def converse(self, argv):
        try:
            flags = Flags(argv)
            flags.curves()
            place = self.places.server(flags) if flags.server else self.places.client(flags)
        except Refused as why:
            self.refused[str(why)] = self.refused.get(str(why), 0) + 1
            return UNIMPLEMENTED, ""
        self.program = Program(flags)
        for _ in range(flags.number("-resume-count", 0) + 1):
            says = self._once(flags, place)
            if says:
                return 1, says
        return 0, ""

    def _once(self, flags, place):
        """One connection: "", or why it has ended badly."""
        try:
            runner = socket.create_connection(("::1", flags.number("-port", 0)), PATIENCE)
        except OSError:
            return "the runner has gone\n"
        before, self.hung, self.tries = self.admin.counters(), False, 0
        self.connections += 1
        if flags.server:
            self._carry(runner, self.lab.connect("client", *place))
        else:
            self._ask(runner, place, flags)
        found = self._settled(before, flags.server)
        # The daemon may try once more what has said nothing: the runner is not there any more.
        if self.tries > 1 and found.get("tls_failed_peer_closed") == self.tries - 1:
            del found["tls_failed_peer_closed"]
        reasons = [name for name in found if FAILED.match(name)]
        bad = reasons + [name for name in found if BAD.match(name)] + (["tls_no_close_notify"] if flags.has("-check-close-notify") and "tls_no_close_notify" in found else [])
        if self.hung:
            bad.append("it hung")
        return "".join(f":{name}:\n" for name in bad)

    def _settled(self, before, server):
        """What was counted, as soon as each handshake is, once, and no connection is open."""
        done, end = "tls_accepted" if server else "tls_opened", time.monotonic() + PATIENCE
        while True:
            after = self.admin.counters()
            found = grown(before, after)
            handshakes = found.get(done, 0) + sum(n for name, n in found.items() if FAILED.match(name))
            left = after["proxy_down_accepted"] - after["proxy_down_closed"] + after["proxy_up_opened"] - after["proxy_up_closed"]
            if (handshakes, left) == (max(1, self.tries), 0) or time.monotonic() > end:
                break
            time.sleep(0.005)
        if (handshakes, left) != (max(1, self.tries), 0):
            self.unwell.append(f"{self.tries} connections are counted as {found}, {left} are open")
        if not self.daemon.process.running():
            self.unwell.append("the daemon has ended")
        return found

    def _carry(self, runner, daemon):
        carrier = Carrier(runner, daemon)
        carrier.run()
        self.hung = self.hung or carrier.hung

    def _ask(self, runner, place, flags):
        """The daemon comes to our port by TLS for whom it has here in clear text."""
        host, port = place
        self.coming[port] = runner
        with contextlib.suppress(OSError):
            self.program.run(self.lab.connect("client", host, port))
        left, self.coming[port] = self.coming[port], None
        if left:
            left.close()
