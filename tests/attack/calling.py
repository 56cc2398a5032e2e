# SPDX-License-Identifier: Apache-2.0
"""
An honest client of kit.py's calls: one call at a time on each connection, a token of its own in each. Prints one JSON line: what
became of them, and the longest wait.

  calling.py --target HOST:PORT --proto dubbo|thrift --connections 4 --gap-ms 10-20 (between two calls of a connection) --seconds 5
             --beat-ms 0 (in place of the gap: all connections call together, so often, within --spread-ms 3 of each other)
             --burst 0 (calls of each connection, one behind the other; when all connections have made theirs, they rest for --beat-ms)
             --count 0 (calls of each connection, in place of the seconds) --size 0 (bytes more in a request)
             --reply 0 (bytes of a reply) --millis 0 (the server's time for a call) --patience 30 (seconds for a reply)
             --fresh (a connection for each call)

SIGTERM ends it early; calls that are out are waited for. A call without a reply within the patience is "unanswered".
"""

import argparse
import asyncio
import collections
import json
import os
import random
import signal
import time

import kit

ARGS = None


class Counts:
    def __init__(self):
        self.made = self.answered = self.unanswered = self.closed = 0
        self.refused, self.wrong, self.failed, self.log = collections.Counter(), [], [], []
        self.worst, self.stopped, self.began = 0.0, False, time.monotonic()
        self.meeting = asyncio.Barrier(ARGS.connections)

    def going(self, made):
        if self.stopped:
            return False
        return made < ARGS.count if ARGS.count else time.monotonic() < self.began + ARGS.seconds

    def over(self, token, began, what):
        now = time.monotonic()
        self.worst = max(self.worst, now - began)
        self.log.append((began, now - began, what))
        if what != "answered":
            self.failed.append(token)


class Connection:
    def __init__(self, counts, number):
        self.counts, self.number, self.proto = counts, number, kit.PROTOCOLS[ARGS.proto]
        self.reader = self.writer = None

    async def open(self):
        host, port = ARGS.target.rsplit(":", 1)
        self.reader, self.writer = await asyncio.open_connection(host, int(port))

    async def run(self):
        rand, made = random.Random(self.number), 0
        while self.counts.going(made):
            made += 1
            await self.call(f"v{os.getpid()}.{self.number}.{made}", made)
            if ARGS.fresh:
                self.close()
            await self.rest(rand, made)
        self.close()

    async def rest(self, rand, made):
        if ARGS.burst:
            if made % ARGS.burst == 0:
                await self.counts.meeting.wait()
                await asyncio.sleep((ARGS.beat_ms + rand.uniform(0, ARGS.spread_ms)) / 1000)
            return None
        if not ARGS.beat_ms:
            return await asyncio.sleep(rand.uniform(*ARGS.gap_ms) / 1000)
        beat = ARGS.beat_ms / 1000
        past = (time.monotonic() - self.counts.began) % beat
        return await asyncio.sleep(beat - past + rand.uniform(0, ARGS.spread_ms) / 1000)

    def close(self):
        if self.writer:
            self.writer.close()
        self.writer = None

    async def call(self, token, ident):
        counts, began = self.counts, time.monotonic()
        counts.made += 1
        try:
            what = await asyncio.wait_for(self.exchange(token, ident), ARGS.patience)
        except asyncio.TimeoutError:
            counts.unanswered += 1
            what = "unanswered"
            self.close()
        except (OSError, asyncio.IncompleteReadError):
            counts.closed += 1
            what = "closed"
            self.close()
        counts.over(token, began, what)

    async def exchange(self, token, ident):
        if not self.writer:
            await self.open()
        self.writer.write(self.proto.call(ident, kit.order(token, ARGS.millis, ARGS.reply) + " " + "y" * ARGS.size))
        while True:
            head = await self.reader.readexactly(self.proto.head)
            message = self.proto.parse(head, await self.reader.readexactly(self.proto.body_bytes(head)))
            if message.kind == kit.EVENT:
                continue
            return self.judge(message, token, ident)

    def judge(self, message, token, ident):
        if message.kind == kit.ERROR:
            self.counts.refused[message.text] += 1
            return "refused"
        if message.ident != ident or not kit.answers(message.text, token, ARGS.reply):
            self.counts.wrong.append(f"{token}: id {message.ident}, {message.text[:40]}")
            return "wrong"
        self.counts.answered += 1
        return "answered"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--proto", choices=tuple(kit.PROTOCOLS), default="dubbo")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--gap-ms", default="10-20", type=lambda text: [float(t) for t in (text + "-" + text).split("-")[:2]])
    parser.add_argument("--beat-ms", type=float, default=0)
    parser.add_argument("--spread-ms", type=float, default=3)
    parser.add_argument("--burst", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--reply", type=int, default=0)
    parser.add_argument("--millis", type=int, default=0)
    parser.add_argument("--patience", type=float, default=30)
    parser.add_argument("--fresh", action="store_true")
    return parser.parse_args()


async def main():
    counts = Counts()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: setattr(counts, "stopped", True))
    callers = [Connection(counts, number) for number in range(ARGS.connections)]
    if not ARGS.fresh:
        await asyncio.gather(*(caller.open() for caller in callers))
    print(json.dumps({"calling": True}), flush=True)
    counts.began = time.monotonic()
    await asyncio.gather(*(caller.run() for caller in callers))
    out = {"made": counts.made, "answered": counts.answered, "refused": dict(counts.refused), "closed": counts.closed,
           "unanswered": counts.unanswered, "wrong": counts.wrong, "worst_ms": round(counts.worst * 1000), "failed": counts.failed,
           "log": counts.log}
    print(json.dumps(out), flush=True)


if __name__ == "__main__":
    ARGS = arguments()
    asyncio.run(main())
