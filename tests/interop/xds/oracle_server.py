# SPDX-License-Identifier: Apache-2.0
"""
Endpoints that say who they are: every port of the ranges answers calls of Thrift (framed or THeader, binary protocol) and
requests of HTTP/1.1 with "ADDRESS:PORT"; on the ranges behind --tcp whoever connects is told that at once.

    oracle_server.py --address A [--address B] --rpc 9000-9039 --tcp 9100-9119
"""

import argparse
import select
import socket
import struct


class Answerer:
    """What one listening port says, in each protocol."""

    def __init__(self, name):
        self.name = name.encode()
        text = struct.pack(">BhI", 11, 0, len(self.name)) + self.name + b"\0"
        self.result = text
        self.page = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(self.name), self.name)

    def reply(self, message):
        """To a message of the binary protocol: the same name and id, behind them the result."""
        length = int.from_bytes(message[4:8], "big")
        return b"\x80\x01\x00\x02" + message[4:12 + length] + self.result

    def thrift(self, frame):
        if frame[:2] != b"\x0f\xff":
            body = self.reply(frame)
            return struct.pack(">I", len(body)) + body
        words = int.from_bytes(frame[8:10], "big")
        body = b"\x0f\xff\0\0" + frame[4:8] + b"\0\1\0\0\0\0" + self.reply(frame[10 + 4 * words:])
        return struct.pack(">I", len(body)) + body

    def answers(self, data):
        """(what to send, what is left of the input)"""
        out, at = [], 0
        if data[:1] == b"G":
            while (end := data.find(b"\r\n\r\n", at)) >= 0:
                out.append(self.page)
                at = end + 4
            return b"".join(out), data[at:]
        while len(data) - at >= 4:
            length = int.from_bytes(data[at:at + 4], "big")
            if len(data) - at - 4 < length:
                break
            out.append(self.thrift(data[at + 4:at + 4 + length]))
            at += 4 + length
        return b"".join(out), data[at:]


class Server:
    def __init__(self):
        self.poll = select.epoll()
        self.listeners, self.connections = {}, {}

    def listen(self, address, port, greets):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(1024)
        sock.setblocking(False)
        self.listeners[sock.fileno()] = (sock, Answerer(f"{address}:{port}"), greets)
        self.poll.register(sock, select.EPOLLIN)

    def accept(self, listener):
        sock, answerer, greets = listener
        try:
            connection, _ = sock.accept()
        except BlockingIOError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if greets:
            connection.send(answerer.name)
        self.connections[connection.fileno()] = [connection, answerer, b""]
        self.poll.register(connection, select.EPOLLIN)

    def serve(self, number):
        connection, answerer, kept = self.connections[number]
        try:
            data = connection.recv(1 << 18)
            if data:
                out, self.connections[number][2] = answerer.answers(kept + data)
                if out:
                    connection.sendall(out)
                return
        except OSError:
            pass
        del self.connections[number]
        connection.close()

    def run(self):
        while True:
            for number, _ in self.poll.poll():
                listener = self.listeners.get(number)
                if listener:
                    self.accept(listener)
                elif number in self.connections:
                    self.serve(number)


def ports(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", action="append", required=True)
    parser.add_argument("--rpc", type=ports, default=())
    parser.add_argument("--tcp", type=ports, default=())
    options = parser.parse_args()
    server = Server()
    for address in options.address:
        for port in options.rpc:
            server.listen(address, port, False)
        for port in options.tcp:
            server.listen(address, port, True)
    print("ready", flush=True)
    server.run()


main()
