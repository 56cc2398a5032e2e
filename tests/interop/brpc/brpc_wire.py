# SPDX-License-Identifier: Apache-2.0
"""Messages of bRPC (baidu_std), by hand: for what brpc-java neither sends nor reads."""


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """Pairs of number and value of a message."""
    at, out = 0, []

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        out.append((tag >> 3, value))
    return out


def text(call, server):
    """What calls and replies of the tests have."""
    return field(1, call) + field(2, server)


def request(number, call, service="example.EchoService", method="Echo", user=(), more=b""):
    names = field(1, field(1, service) + field(2, method))
    entries = b"".join(field(9, field(1, key) + field(2, value)) for key, value in user)
    return message(names + field(4, number) + entries + more, text(call, ""))


def message(meta, body=b""):
    return b"PRPC" + (len(meta) + len(body)).to_bytes(4, "big") + len(meta).to_bytes(4, "big") + meta + body


def read(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def receive(sock):
    """The fields of a message's head, and its body."""
    head = read(sock, 12)
    assert head[:4] == b"PRPC", head
    rest, size = read(sock, int.from_bytes(head[4:8], "big")), int.from_bytes(head[8:12], "big")
    return fields(rest[:size]), rest[size:]


def outcome(sock):
    """Id, error code and body of a reply."""
    meta, body = receive(sock)
    error = dict(fields(dict(meta)[2]))
    return dict(meta).get(4, 0), error.get(1, 0), body
