# SPDX-License-Identifier: Apache-2.0
"""
A server of kit.py's calls that notes what it executed, and can treat its connections as badly as servers do.

  answering.py --proto dubbo|thrift --idle-ms 0 (closes a connection without a call for so long) --rate 0 (bytes per second that it
               reads of a connection) --slices 1 (a reply of more than 60,000 bytes is written in so many, spread over --slices-ms)
               --fault none|close|reset|half|unread (how a connection ends behind its --every th call: closed, reset, its
               sending half closed 50 ms before the other, closed 20 ms after it was last read), --end-ms 2 behind its answer

Dubbo's calls run beside each other, Thrift's one after the other. On SIGTERM it prints how many calls it executed, which of them
twice, and the tokens.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import signal
import socket
import struct

import kit

ARGS = None
EXECUTED = collections.Counter()


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer, self.proto = reader, writer, kit.PROTOCOLS[ARGS.proto]
        self.turn, self.tasks, self.number = asyncio.Lock(), set(), 0

    async def message(self):
        head = await self.reader.readexactly(self.proto.head)
        body = await self.reader.readexactly(self.proto.body_bytes(head))
        if ARGS.rate:
            await asyncio.sleep(len(body) / ARGS.rate)
        return self.proto.parse(head, body)

    async def serve(self):
        while True:
            try:
                message = await asyncio.wait_for(self.message(), ARGS.idle_ms / 1000 if ARGS.idle_ms else None)
            except asyncio.TimeoutError:
                return
            if message.kind == kit.EVENT:
                self.started(self.event(message))
                continue
            if message.kind not in (kit.CALL, kit.ONE_WAY):
                continue
            EXECUTED[message.text.split(" ")[0]] += 1
            if message.kind == kit.CALL:
                if await self.answered(message):
                    return

    async def answered(self, message):
        """True when the connection is over."""
        task = self.started(self.answer(message))
        if self.proto is kit.Thrift:
            await task
        self.number += 1
        if ARGS.fault == "none" or self.number < ARGS.every:
            return False
        await asyncio.gather(*self.tasks)
        await self.end()
        return True

    def started(self, what):
        task = asyncio.ensure_future(what)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def event(self, message):
        """Not into the middle of a reply that is written in slices."""
        async with self.turn:
            self.writer.write(self.proto.event(message.ident))

    async def end(self):
        """All that was executed is answered; what comes from now on is not."""
        await self.writer.drain()
        self.writer.transport.pause_reading()
        await asyncio.sleep(ARGS.end_ms / 1000)
        if ARGS.fault == "unread":
            await asyncio.sleep(0.02)
        elif ARGS.fault == "half":
            self.writer.write_eof()
            await asyncio.sleep(0.05)
        elif ARGS.fault == "reset":
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def close(self):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def answer(self, message):
        seconds, text = kit.answer(message.text)
        if seconds:
            await asyncio.sleep(seconds)
        data = self.proto.reply(message.ident, text)
        async with self.turn:
            slices = ARGS.slices if len(data) > 60_000 else 1
            step = -(-len(data) // slices)
            for at in range(0, len(data), step):
                self.writer.write(data[at:at + step])
                if slices > 1:
                    await asyncio.sleep(ARGS.slices_ms / 1000 / slices)


async def connection(reader, writer):
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    served = Connection(reader, writer)
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        await served.serve()
    await served.close()


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--proto", choices=tuple(kit.PROTOCOLS), default="dubbo")
    parser.add_argument("--idle-ms", type=float, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--slices", type=int, default=1)
    parser.add_argument("--slices-ms", type=float, default=0)
    parser.add_argument("--fault", choices=("none", "close", "reset", "half", "unread"), default="none")
    parser.add_argument("--end-ms", type=float, default=2)
    parser.add_argument("--every", type=int, default=20)
    return parser.parse_args()


async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(connection, "0.0.0.0", kit.PROTOCOLS[ARGS.proto].port, backlog=1024)
    print(json.dumps({"ready": True}), flush=True)
    await stop.wait()
    server.close()
    print(json.dumps({"executed": len(EXECUTED), "twice": [t for t, n in EXECUTED.items() if n > 1], "tokens": sorted(EXECUTED)}), flush=True)


if __name__ == "__main__":
    ARGS = arguments()
    asyncio.run(main())
