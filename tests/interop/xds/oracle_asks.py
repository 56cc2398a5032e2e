# SPDX-License-Identifier: Apache-2.0
"""
Asking a proxy many times, and who answered each time: calls of Thrift and requests of HTTP many at once on one connection,
connections of TCP a few at a time. An answer is "ADDRESS:PORT" of the endpoint, or a word for why there is none.
"""

import re
import select
import socket
import struct

NOBODY = "nobody"  # the proxy itself answered: no route, or no endpoint
REFUSED = "refused"


def _string(text):
    return struct.pack(">I", len(text)) + text.encode()


def _varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def call(method, headers=None):
    """One call as bytes around its ids: join them with the id. Headers make it a call of THeader."""
    before, after = b"\x80\x01\x00\x01" + _string(method), b"\0"
    if headers is None:
        return struct.pack(">I", len(before) + 4 + len(after)) + before, after
    info = b"\0\0"  # binary protocol, no transforms
    if headers:
        pairs = [_varint(len(text.encode())) + text.encode() for pair in headers.items() for text in pair]
        info += b"\1" + _varint(len(headers)) + b"".join(pairs)
    info += b"\0" * (-len(info) % 4)
    length = 10 + len(info) + len(before) + 4 + len(after)
    return struct.pack(">I", length) + b"\x0f\xff\0\0", struct.pack(">H", len(info) // 4) + info + before, after


def _answer(frame):
    """(id, answer) of a reply's frame."""
    if frame[:2] == b"\x0f\xff":
        frame = frame[10 + 4 * int.from_bytes(frame[8:10], "big"):]
    at = 8 + int.from_bytes(frame[4:8], "big")
    serial = int.from_bytes(frame[at:at + 4], "big")
    if frame[3] != 2 or frame[at + 4] != 11:
        return serial, NOBODY
    return serial, frame[at + 11:].split(b"\0", 1)[0].decode()


def _receive(sock, what):
    data = sock.recv(1 << 18)
    if not data:
        raise ConnectionError(f"the proxy closed the connection after {what} answers")
    return data


def thrift(sock, questions, window=32):
    """The answer to each question, a result of call()."""
    answers, sent, done, left = [None] * len(questions), 0, 0, b""
    while done < len(questions):
        if sent < len(questions) and sent - done <= window // 2:
            upto = min(len(questions), done + window)
            sock.sendall(b"".join(struct.pack(">I", n).join(questions[n]) for n in range(sent, upto)))
            sent = upto
        data, at = left + _receive(sock, done), 0
        while len(data) - at >= 4 and len(data) - at - 4 >= (length := int.from_bytes(data[at:at + 4], "big")):
            serial, who = _answer(data[at + 4:at + 4 + length])
            answers[serial] = who
            at, done = at + 4 + length, done + 1
        left = data[at:]
    return answers


def request(headers):
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    return f"GET / HTTP/1.1\r\nhost: oracle\r\n{lines}\r\n".encode()


LENGTH = re.compile(rb"content-length: (\d+)\r\n")


def _page(sock):
    """What one response says."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0 or len(data) < end + 4 + int(LENGTH.search(data).group(1)):
        data += _receive(sock, "an unfinished answer after other")
    return data[end + 4:].decode() if data[9:12] == b"200" else NOBODY


def http(socks, questions):
    """The answer to each question, a result of request(), over connections with one request at a time each."""
    answers = []
    for first in range(0, len(questions), len(socks)):
        asked = questions[first:first + len(socks)]
        for sock, question in zip(socks, asked):
            sock.sendall(question)
        answers += [_page(sock) for sock, _ in zip(socks, asked)]
    return answers


def _begin(target, source):
    """A connection that is being made, and is reset when it is closed: nothing of it stays anywhere."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if source:
        sock.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
        sock.bind((source, 0))
    sock.connect_ex(target)
    return sock


def _greeting(sock):
    try:
        return sock.recv(64).decode() or NOBODY
    except ConnectionRefusedError:
        return REFUSED
    except ConnectionResetError:
        return NOBODY


def connections(questions, window=32):
    """Who greets each connection: (address and port to connect to, own address or None, what it says first if it does)."""
    answers, poll, under_way, begun = [None] * len(questions), select.epoll(), {}, 0
    while begun < len(questions) or under_way:
        while begun < len(questions) and len(under_way) < window:
            sock = _begin(*questions[begun][:2])
            under_way[sock.fileno()] = (sock, begun)
            poll.register(sock, select.EPOLLOUT if questions[begun][2:] else select.EPOLLIN)
            begun += 1
        ready = poll.poll(10)
        if not ready:
            raise TimeoutError(f"{len(under_way)} connections have no answer, so {questions[next(iter(under_way.values()))[1]]}")
        for number, event in ready:
            if event == select.EPOLLOUT:
                sock, at = under_way[number]
                sock.send(questions[at][2])
                poll.modify(sock, select.EPOLLIN)
                continue
            sock, at = under_way.pop(number)
            poll.unregister(sock)
            answers[at] = _greeting(sock)
            sock.close()
    poll.close()
    return answers
