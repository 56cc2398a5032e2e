#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A codec file is changed, broken, repaired, removed and restored while clients call with equal ids. Each of them opens another connection
when Meltemi tells it to. Each call is answered, by its own reply, and a mistake and its repair end no connection.
"""

import collections
import struct
import threading

from meltemi_lab import TESTS, Lab, check, equal, main, within
from meltemi_lab.documents import service
from meltemi_lab.dubbo import frame, parse_reply, request

HOST, VIP, PORT = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1", 20880
CLIENTS, BATCH, BATCHES = 6, 8, 60  # calls that a client sends together, and how often on one connection
FILE = (TESTS / "codecfiles/files/dubbo2.yaml").read_text()
CHANGED = FILE.replace("max: 8388624", "max: 8388623")
HEADER = struct.Struct(">HBBqI")
REQUEST, TWO_WAY, EVENT, OK, NO_ROUTE = 0x80, 0x40, 0x20, 20, 60


class Connection:
    def __init__(self, lab):
        self.sock, self.data, self.batches, self.told = lab.connect("client", VIP, PORT), b"", 0, False

    def take(self, size):
        while len(self.data) < size:
            piece = self.sock.recv(65536)
            if not piece:
                raise EOFError("the connection ended")
            self.data += piece
        part, self.data = self.data[:size], self.data[size:]
        return part

    def reply(self):
        """The next reply: status, id and body. Notes a request to send no more calls, and answers heartbeats."""
        while True:
            _, flags, status, ident, length = HEADER.unpack(self.take(HEADER.size))
            body = self.take(length)
            if not flags & EVENT:
                return status, ident, body
            if flags & TWO_WAY:
                self.sock.sendall(frame(EVENT, OK, ident, b"N"))
            elif flags & REQUEST:
                self.told = True


class Load:
    """Clients that call until stop(), and what became of their calls."""

    def __init__(self, lab):
        self.lab, self.over, self.phase, self.lock = lab, False, "start", threading.Lock()
        self.counts, self.errors = collections.Counter(), collections.Counter()
        self.threads = [threading.Thread(target=self.client, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def count(self, what, number=1):
        with self.lock:
            self.counts[what] += number

    def client(self, number):
        calls, c = 0, None
        while not self.over:
            if not c or c.told or c.batches == BATCHES:
                if c:
                    self.count("told", c.told)
                    c.sock.close()
                c = Connection(self.lab)
            tokens = {ident: f"c{number}-{ident}" for ident in range(calls, calls + BATCH)}
            self.count("sent", BATCH)
            try:
                self.batch(c, tokens)
            except (OSError, EOFError) as error:
                with self.lock:
                    self.errors[f"{self.phase}: {error}"] += len(tokens)
                c = None
            calls += BATCH
        if c:
            c.sock.close()

    def batch(self, c, tokens):
        """Sends a call for each token, and removes each one that is answered."""
        c.sock.sendall(b"".join(request(ident, "sayHello", [token]) for ident, token in tokens.items()))
        c.batches += 1
        while tokens:
            status, ident, body = c.reply()
            token, text = tokens.pop(ident, None), parse_reply(status, body)
            if token is None:
                self.count("strays")
            elif status != OK:
                with self.lock:
                    self.errors[f"{self.phase}: status {status}"] += 1
            elif text.startswith(f"hello {token} from "):
                self.count("answered")
            else:
                self.count("crossed")

    def goes_on(self, calls=1000):
        until = self.counts["answered"] + calls
        within(60, lambda: self.counts["answered"] >= until, f"{calls} more calls are answered")

    def all_told(self, before):
        """One client may have opened another connection on its own accord just then."""
        within(30, lambda: self.counts["told"] >= before + CLIENTS - 1, "clients were told to end their connections")

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join(60)
            check(not thread.is_alive(), "a client does not end")


def status(daemon):
    return next((o["status"] for o in daemon.show("objects")["objects"] if (o["kind"], o["name"]) == ("Codec", "dubbo2")), None)


def messages(daemon, load):
    """Of the next 1,000 calls, about how many are read as messages."""
    before = daemon.counters()["proxy_exchange_answered"]
    load.goes_on()
    return daemon.counters()["proxy_exchange_answered"] - before


def step(daemon, load, phase, change, wanted):
    """Changes the file. Returns how many connections had been told to end before."""
    told = load.counts["told"]
    load.phase = phase
    change()
    daemon.shell("reload", fail=wanted != "last-good")
    within(20, lambda: status(daemon) == wanted, f"{phase}: Codec dubbo2 is {wanted}")
    return told


def steps(daemon, load, file):
    check(messages(daemon, load) > 500, "messages are read")
    load.all_told(step(daemon, load, "changed", lambda: file.write_text(CHANGED), "in-force"))
    check(messages(daemon, load) > 500, "messages are read by the changed file")
    told = step(daemon, load, "broken", lambda: file.write_text(CHANGED.replace("calls: multiplexed", "calls: often")), "last-good")
    check(messages(daemon, load) > 500, "messages are read by the last good version")
    step(daemon, load, "repaired", lambda: file.write_text(CHANGED + "# As before.\n"), "in-force")
    check(messages(daemon, load) > 500, "messages are read by the repaired file")
    equal(load.counts["told"], told, "connections that a mistake or its repair ended")
    load.all_told(step(daemon, load, "removed", file.unlink, None))
    within(30, lambda: messages(daemon, load) == 0, "messages without a file are bytes")
    step(daemon, load, "restored", lambda: file.write_text(FILE), "in-force")
    within(30, lambda: messages(daemon, load) > 500, "messages are read again")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}", delay="0-5", seed=number).wait_line("ready")
        daemon = lab.meltemi(workers=2)
        codecs = daemon.directory / "codecs"
        codecs.mkdir()
        daemon.node.write_text(daemon.node.read_text().rstrip("\n") + "\n  codecs: [codecs]\n")
        file = type(daemon.node)(codecs / "dubbo2.yaml")
        file.write_text(FILE)
        daemon.write("service.yaml", service(HOST, VIP, PORT, "tcp-metaprotocol-dubbo2", [(lab.server(n), PORT, {}) for n in (1, 2)]))
        daemon.start()
        daemon.leaves("errors", "a codec file is broken", "module=config")
        load = Load(lab)
        try:
            steps(daemon, load, file)
        finally:
            load.stop()
            print(f"{dict(load.counts)}, errors {dict(load.errors)}", flush=True)
        # Calls that a client sent before it was told find no protocol that reads them.
        refused = sum(n for what, n in load.errors.items() if what == f"removed: status {NO_ROUTE}")
        equal(sum(load.errors.values()), refused, f"calls that were not answered: {dict(load.errors)}")
        equal((load.counts["crossed"], load.counts["strays"]), (0, 0), "replies of others")
        equal(load.counts["sent"], load.counts["answered"] + refused, "calls that were answered")
        check(refused <= CLIENTS * BATCH, f"{refused} calls were refused after the file was removed")


main(body)
