#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
An Apache Thrift server (Python library).

  server.py --port 9090 --tag v1 --id s1 --transport framed|unframed|header --protocol binary|binary-old|compact
            --kind threaded|simple --delay 0 (ms per sayHello)
Prints one line when it serves. "simple" serves one connection at a time, as the library's simple server does.
"""

import argparse
import json
import sys
import threading
import time

import common
from hello import Hello
from hello.ttypes import Refused
from thrift.server import TServer
from thrift.transport import TSocket


class Handler:
    def __init__(self, self_name, delay):
        self.self_name, self.delay = self_name, delay
        self.taken, self.lock = 0, threading.Lock()

    def sayHello(self, name):
        if self.delay:
            time.sleep(self.delay / 1000)
        return f"hello {name} from {self.self_name}"

    def sayGoodbye(self, name):
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--tag", default="v1")
    parser.add_argument("--id", default="s1")
    parser.add_argument("--transport", choices=common.TRANSPORTS, default="framed")
    parser.add_argument("--protocol", choices=common.PROTOCOLS, default="binary")
    parser.add_argument("--kind", choices=("threaded", "simple"), default="threaded")
    parser.add_argument("--delay", type=float, default=0)
    options = parser.parse_args()
    server = TServer.TSimpleServer if options.kind == "simple" else TServer.TThreadedServer
    arguments = {} if options.kind == "simple" else {"daemon": True}
    server(Hello.Processor(Handler(f"{options.tag}/{options.id}", options.delay)),
           Listener(host="0.0.0.0", port=options.port), common.transport_factory(options.transport),
           common.protocol_factory(options.transport, options.protocol), **arguments).serve()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
