#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
An Apache Thrift server (Python library).

  server.py --port 9090 --tag v1 --id s1 --transport framed|unframed|header --protocol binary|binary-old|compact
            --kind threaded|simple|unordered --delay 0 (ms per sayHello) --faults 0
Prints one line when it serves. "simple" serves one connection at a time, as the library's simple server does.
"unordered" (framed) begins each call of a connection when it comes and answers in the order in which they end, each
after a random part of the delay; on SIGTERM it prints how many replies went out before an older call's.
With --faults 1 sayHello and sayGoodbye print the name of each call that they execute, and obey it: "hang.s1s2.7" lasts 8 s at servers
s1 and s2, "reset.s1.8" also (the lab resets the connection meanwhile), and "error.s1.9" throws an exception that is not declared.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import random
import signal
import struct
import sys
import threading
import time

import common
from hello import Hello
from hello.ttypes import Refused
from thrift.server import TServer
from thrift.transport import TSocket, TTransport


HANG = 8  # seconds


class Handler:
    def __init__(self, self_name, delay, spread=False, faults=False):
        self.self_name, self.delay, self.spread, self.faults = self_name, delay, spread, faults
        self.taken, self.lock = 0, threading.Lock()

    def obey(self, name):
        if not self.faults:
            return
        with self.lock:
            print(json.dumps({"executed": name}), flush=True)
        fault, servers, _ = name.split(".")
        if self.self_name.rpartition("/")[2] not in servers:
            return
        if fault in ("hang", "reset"):
            time.sleep(HANG)
        elif fault == "error":
            raise RuntimeError("as asked")

    def sayHello(self, name):
        self.obey(name)
        if self.delay:
            time.sleep(self.delay / 1000 * (random.random() if self.spread else 1))
        return f"hello {name} from {self.self_name}"

    def sayGoodbye(self, name):
        self.obey(name)
        return f"goodbye {name} from {self.self_name}"

    def echo(self, text):
        return text

    def older(self, person):
        person.age += 1
        return person

    def fail(self, reason):
        raise Refused(reason)

    def note(self, text):
        with self.lock:
            self.taken += 1

    def notes(self):
        return self.taken

    def slow(self, millis):
        time.sleep(millis / 1000)
        return f"slow {millis} from {self.self_name}"


class Listener(TSocket.TServerSocket):
    def listen(self):
        super().listen()
        print(json.dumps({"ready": True}), flush=True)


class Unordered:
    """The library's processor and protocols, a thread for each call: what a server may do whose replies carry ids."""

    def __init__(self, processor, listener, _transport, protocol):
        self.processor, self.listener, self.protocol = processor, listener, protocol
        self.calls = concurrent.futures.ThreadPoolExecutor(32)
        self.lock, self.overtaken = threading.Lock(), 0

    def serve(self):
        signal.signal(signal.SIGTERM, self.stop)
        self.listener.listen()
        while True:
            threading.Thread(target=self.connection, args=(self.listener.accept(),), daemon=True).start()

    def stop(self, _number, _frame):
        print(json.dumps({"overtaken": self.overtaken}), flush=True)
        os._exit(0)

    def connection(self, trans):
        waiting = []  # ids of this connection's own, oldest first
        try:
            for serial in itertools.count():
                frame = trans.readAll(struct.unpack(">I", trans.readAll(4))[0])
                with self.lock:
                    waiting.append(serial)
                self.calls.submit(self.call, trans, frame, serial, waiting)
        except TTransport.TTransportException:
            trans.close()

    def call(self, trans, frame, serial, waiting):
        out = TTransport.TMemoryBuffer()
        self.processor.process(self.protocol.getProtocol(TTransport.TMemoryBuffer(frame)), self.protocol.getProtocol(out))
        reply = out.getvalue()
        with self.lock:
            self.overtaken += waiting[0] != serial
            waiting.remove(serial)
            if reply and trans.handle:  # isOpen() would disturb the thread that reads
                trans.write(struct.pack(">I", len(reply)) + reply)


KINDS = {"threaded": (TServer.TThreadedServer, {"daemon": True}), "simple": (TServer.TSimpleServer, {}),
         "unordered": (Unordered, {})}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--tag", default="v1")
    parser.add_argument("--id", default="s1")
    parser.add_argument("--transport", choices=common.TRANSPORTS, default="framed")
    parser.add_argument("--protocol", choices=common.PROTOCOLS, default="binary")
    parser.add_argument("--kind", choices=tuple(KINDS), default="threaded")
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--faults", type=int, default=0)
    options = parser.parse_args()
    server, arguments = KINDS[options.kind]
    handler = Handler(f"{options.tag}/{options.id}", options.delay, options.kind == "unordered", bool(options.faults))
    server(Hello.Processor(handler), Listener(host="0.0.0.0", port=options.port), common.transport_factory(options.transport),
           common.protocol_factory(options.transport, options.protocol), **arguments).serve()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
