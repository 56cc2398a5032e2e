#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A small Dubbo server with delays at will, for tests that need more control than a real one gives.

  pydubbo_server.py --port 20880 --tag v1 --id s1 --delay 0-20 (ms, drawn per call) --late 1 (% of calls) --late-ms 500
                    --seed 1
Answers sayHello(NAME) and every other method with "hello NAME from TAG/ID", out of order when delays differ.
"""

import argparse
import asyncio
import json
import random

import wire


class Peer(wire.Frames):
    def __init__(self, options, rand):
        super().__init__()
        self.options, self.rand = options, rand

    def delay(self):
        if self.rand.random() * 100 < self.options.late:
            return self.options.late_ms / 1000
        low, high = self.options.delay
        return self.rand.uniform(low, high) / 1000 if high else 0

    def answer(self, data):
        if not self.closed:
            self.transport.write(data)

    def frame(self, flags, status, ident, body):
        if not flags & wire.REQUEST:
            return
        if flags & wire.EVENT:
            if flags & wire.TWO_WAY:
                self.answer(wire.frame(wire.EVENT, wire.OK, ident, b"N"))
            return
        _, method, args, attachments = wire.parse_request(body)
        if not flags & wire.TWO_WAY:
            return
        name = attachments.get(args[0], "-") if method == "attachment" else args[0] if args else ""
        data = wire.reply(ident, f"hello {name} from {self.options.tag}/{self.options.id}")
        seconds = self.delay()
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self.answer, data)
        else:
            self.answer(data)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=20880)
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--tag", default="v1")
    parser.add_argument("--id", default="s1")
    parser.add_argument("--delay", default="0", type=lambda text: tuple(float(t) for t in (text + "-" + text).split("-")[:2]))
    parser.add_argument("--late", type=float, default=0)
    parser.add_argument("--late-ms", type=float, default=500)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


async def main():
    options = arguments()
    rand = random.Random(options.seed)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Peer(options, rand), options.host, options.port, backlog=512)
    print(json.dumps({"ready": True, "server": f"{options.tag}/{options.id}"}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
