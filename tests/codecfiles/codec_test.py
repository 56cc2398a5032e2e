#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
`meltemi codec test`: the example of docs/protocols/codec-files.md prints what the page shows (MELTEMI_WRITE=1 writes it); the steps of the tutorial
are its files; each of
tests/codecfiles/messages is read as text and as a capture; captures with gaps, wrong files and garbage get their reason and exit status.
Each answer in JSON fits its schema.
"""

import json
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/smoke"))
from meltemi_lab import schemas  # noqa: E402

SHELL = ROOT / os.environ.get("MELTEMI_BUILD", "build-debug") / "app/meltemi/meltemi"
PAGE = ROOT / "docs/protocols/codec-files.md"
TUTORIAL = ROOT / "docs/tutorials"
FILES = (ROOT / "tests/codecfiles/files", ROOT / "codecs", TUTORIAL / "codecs")
MESSAGES = ROOT / "tests/codecfiles/messages"
PARTS = ("An example", "Local replies", "Heartbeats and goaway", "Connections", "Authorization", "Samples")
SYN, ACK = 2, 16
bad = []


def check(truth, text):
    if not truth:
        bad.append(text)
        print(text)


def run(*words, status=0, stdin=None, cwd=None):
    """What it prints on both streams; its exit status must be as given."""
    done = subprocess.run([SHELL, *map(str, words)], input=stdin, capture_output=True, timeout=60, check=False, cwd=cwd,
                          stdin=subprocess.DEVNULL if stdin is None else None)
    out, err = done.stdout.decode(), done.stderr.decode()
    check(done.returncode == status, f"{words}: exit status {done.returncode}, not {status}: {out}{err}")
    if "--json" in words:
        why = schemas.unfit("codec test", json.loads(out))
        check(not why, f"{words}: {why}")
    return out, err


def has(where, *texts):
    for text in texts:
        check(text in where, f"not printed: {text!r}; but:\n{where}")


# ---- captures ----------------------------------------------------------------------------------

def segment(client, seq, flags, payload=b""):
    ports = (40000, 7000) if client else (7000, 40000)
    ends = (b"\x0a\0\0\1", b"\x0a\0\0\2") if client else (b"\x0a\0\0\2", b"\x0a\0\0\1")
    tcp = struct.pack(">HHIIBBHHH", *ports, seq & 0xffffffff, 0, 0x50, flags, 65535, 0, 0) + payload
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + ends[0] + ends[1]
    return bytes(12) + b"\x08\0" + ip + tcp


def pcap(packets):
    head = struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    return head + b"".join(struct.pack("<IIII", 0, 0, len(p), len(p)) + p for p in packets)


def conversation(messages, size=700, syn=True):
    """Segments of (client, bytes), cut at `size`, sequence numbers from near their end on."""
    seq = {True: 0xfffffff0, False: 100}
    packets = [segment(True, seq[True] - 1, SYN), segment(False, seq[False] - 1, SYN | ACK)] if syn else []
    for client, data in messages:
        for at in range(0, len(data), size):
            packets.append(segment(client, seq[client], ACK, data[at:at + size]))
            seq[client] += len(data[at:at + size])
    return packets


# ---- checks ------------------------------------------------------------------------------------

def rows(name):
    """Lines of messages that are no connection's end: (name, from, kind, id, bytes)."""
    for line in (MESSAGES / f"{name}.tsv").read_text().splitlines():
        if not line or line[0] == "#":
            continue
        title, side, kind, ident, _, text = line.split("\t")
        if kind == "bad":
            continue
        if text[0] == '"':
            text = text[1:text.rindex('"')].encode("latin-1").decode("unicode_escape").encode("latin-1").hex()
        yield title, side, kind, int(ident), bytes.fromhex(text)


def compare(name, want, got, how):
    check(len(got) == len(want), f"{name}, {how}: {len(got)} messages, not {len(want)}: {got}")
    for (title, side, kind, ident, data), m in zip(want, got):
        plain = re.sub("[:!].*", "", kind)
        check((m.get("from"), m.get("kind"), m.get("bytes"), "refused" in m) == (side, plain, len(data), "!" in kind),
              f"{name}, {title}, {how}: {m}")
        check(int(m.get("id", ident)) == ident, f"{name}, {title}, {how}: id {m.get('id')}, not {ident}")
        if ":" in kind:
            check(m.get("status") == kind.split(":")[1], f"{name}, {title}: status {m.get('status')}")
        for place in (p for p in m.get("places", []) if "default" not in p):
            at, end = place["at"], place["at"] + place["bytes"]
            check(data[at:end].hex() == place["hex"], f"{name}, {title}: bytes of {place}")


def every_message(scratch):
    for file in sorted(file for folder in FILES for file in folder.glob("*.yaml")):
        name, want = file.stem, list(rows(file.stem))
        refused = any("!" in kind for _, _, kind, _, _ in want)
        run("codec", "test", file)
        text, trace = scratch / "messages.txt", scratch / "trace.pcap"
        text.write_text("\n\n".join(f"# {t}\n{side}: {data.hex()}" for t, side, _, _, data in want))
        out, _ = run("--json", "codec", "test", "--all", file, text, status=int(refused))
        every = json.loads(out)["messages"]
        compare(name, want, [m for m in every if m["input"] == str(text)], "as text")
        packets = conversation([(side == "client", data) for _, side, _, _, data in want])
        random.Random(name).shuffle(packets)
        trace.write_bytes(pcap(packets))
        out, _ = run("codec", "test", "--json", "--all", file, trace, status=int(refused))
        got = [m for m in json.loads(out)["messages"] if m["input"] == str(trace)]
        for side in ("client", "server"):
            compare(name, [w for w in want if w[1] == side], [m for m in got if m["from"] == side], "as a capture")
        run("codec", "test", file, text, trace, status=int(refused))


def page(scratch):
    text = PAGE.read_text()
    parts = re.split(r"^## (.*)\n", text, flags=re.M)
    blocks = [b for title, body in zip(parts[1::2], parts[2::2]) if title in PARTS for b in re.findall(r"^```yaml\n(.*?)^```$", body, re.M | re.S)]
    (scratch / "acme.yaml").write_text("".join(blocks))
    test = parts[parts.index("Test a file") + 1]
    (scratch / "messages.txt").write_text(re.search(r"^```text\n(client.*?)^```$", test, re.M | re.S)[1])
    out, _ = run("codec", "test", "acme.yaml", "messages.txt", cwd=scratch)
    shown = f"<!-- codec test -->\n```text\n$ meltemi codec test acme.yaml messages.txt\n{out}```\n"
    now = re.sub(r"^<!-- codec test -->\n```text\n.*?^```\n", lambda _: shown, text, flags=re.M | re.S)
    if os.environ.get("MELTEMI_WRITE"):
        PAGE.write_text(now)
    check(text == now or os.environ.get("MELTEMI_WRITE"), f"{PAGE.name} shows something else than the command prints; MELTEMI_WRITE=1 writes it")


def tutorial(scratch):
    """The blocks of each protocol are its file, each step can be tested, and the first one prints what the page shows."""
    whole = (TUTORIAL / "codec-files.md").read_text()
    parts, printed = re.split(r"^## (.*)\n", whole, flags=re.M), []
    for title, name in (("A binary protocol", "videopacket"), ("A protocol of lines", "commands")):
        text, file = "", scratch / f"{name}.yaml"
        for block in re.findall(r"^```yaml\n(.*?)^```$", parts[parts.index(title) + 1], re.M | re.S):
            text += block
            file.write_text(text)
            printed.append(run("codec", "test", file.name, cwd=scratch)[0])
        check(text == (TUTORIAL / f"codecs/{name}.yaml").read_text(), f"the blocks of \"{title}\" are not {name}.yaml")
    has(printed[0], *re.search(r"^\$ meltemi codec test videopacket.yaml\n(.*?)^```$", whole, re.M | re.S)[1].splitlines())


def request(ident):
    return bytes.fromhex(f"ac3e0200{ident:08x}00000015000000020003616e6e")


def gaps(scratch):
    file, trace = scratch / "acme.yaml", scratch / "gaps.pcap"
    packets = conversation([(True, request(i)) for i in range(1, 7)], 21)
    trace.write_bytes(pcap(packets[:3] + packets[4:]))
    out, _ = run("codec", "test", file, trace, status=1)
    has(out, "byte 21: 21 bytes are missing in the capture", "id 1\n", "id 3\n", "5 messages, 5 request; 0 refused, 1 problems")
    # The gap is within a message, and the next segments start within one.
    packets = conversation([(True, b"".join(request(i) for i in range(1, 7)))], 14)
    trace.write_bytes(pcap(packets[:3] + packets[4:]))
    out, _ = run("codec", "test", file, trace, status=1)
    has(out, "an incomplete message of the client: 14 of its 21 bytes are here, then 14 bytes are missing in the capture",
        "14 bytes are left out, up to the next segment with a message", "id 3\n", "id 6\n")
    # Without its start; then every segment is within a message.
    trace.write_bytes(pcap(conversation([(True, request(1)[9:] + request(2))], 12, syn=False)))
    out, _ = run("codec", "test", "--port", "7000", file, trace, status=1)
    has(out, "12 bytes are left out", "id 2\n")
    out, _ = run("codec", "test", "--port", "80", file, trace, status=1)
    has(out, "no bytes of TCP connections of this port; 3 packets are others")
    trace.write_bytes(pcap(conversation([(True, request(1))]))[:-5])
    out, _ = run("codec", "test", file, trace, status=1)
    has(out, "the capture is damaged: byte ", "a packet is longer than the rest of the file")


def mistakes(scratch):
    file, wrong = scratch / "acme.yaml", scratch / "wrong.yaml"
    text = file.read_text()
    wrong.write_text(text.replace("place: result", "place: reslt"))
    line = text[:text.index("place: result")].count("\n") + 1
    mistake = f"{wrong}:{line}: error: spec.status.place: there is no place \"reslt\" (did you mean result?)"
    has(run("codec", "test", wrong, status=1)[1], mistake)
    one = json.loads(run("--json", "codec", "test", wrong, status=1)[0])["errors"][0]
    check((one["line"], one["path"], one["remedy"]) == (line, "spec.status.place", "did you mean result?"), f"{one}")
    for content, status, text in (
            (b"", 2, "is empty"), (b"kind: Node\n", 1, "apiVersion: not a document of Meltemi"),
            (bytes(range(256)), 1, ": error: "), (b"a: [", 1, ": error: ")):
        wrong.write_bytes(content)
        has(run("codec", "test", wrong, status=status)[1], text)
    has(run("codec", "test", scratch / "none.yaml", status=2)[1], "none.yaml: cannot be opened: No such file or directory")
    has(run("codec", "test", scratch, status=2)[1], "cannot be read: Is a directory")
    for words in ((), ("test",), ("tset", file), ("test", "--port", "0", file), ("test", "--prot", "1", file)):
        has(run("codec", *words, status=2)[1], "usage: meltemi [--json] codec test")
    has(run("codec", "--help")[0], "Exit status: ")
    for stdin, status, texts in (
            (b"", 2, ["standard input is empty"]), (b"# nothing\n", 2, ["standard input has no bytes"]),
            (b"00\nxyz\n", 2, ["standard input: line 2: \"x\" is not one of two hexadecimal digits; write pairs"]),
            (random.Random(1).randbytes(5000), 2, ["standard input: line 1: "]),
            (request(9).hex().encode()[:20], 1, ["an incomplete message of the client: 10 bytes are here, then the input ends"]),
            (b"ffff ffff", 1, ["not a message of the client (match does not hold: magic is 65535) or of the server (match does not hold: magic is 65535)"]),
            (b"server: " + request(9).hex().encode(), 1, ["not a message of the server: no kind of message matches: kind is 2; Meltemi ends the connection"]),
            (b"\xd4\xc3\xb2\xa1", 1, ["the capture is damaged: byte 0: the head of the file is cut off"])):
        out, err = run("codec", "test", file, "-", status=status, stdin=stdin)
        has(out + err, *texts)


CAUSES = """apiVersion: meltemi.io/v1
kind: Codec
metadata: {name: causes}
spec:
  calls: multiplexed
  places:
    magic: {at: 0, size: 1}
    kind: {at: 1, size: 1}
    total: {at: 2, size: 2}
    id: {at: 4, size: 4}
    body: {at: 8, to: -5, holds: {tlv: {tag: 1, length: 1}}}
    name: {in: body, find: 1}
    labels: {in: body, find: 2, holds: {pairs: {length: 1}}}
    time: {in: body, find: 3, type: number, default: 7}
    last: {at: -5, size: 1}
    crc: {at: -4, size: 4}
  match: {magic: 0xaa}
  frame: {length: total, min: 13, max: 6000}
  messages:
  - {is: request, from: client, when: {kind: 1}}
  - {is: request, from: client, when: {kind: 2}, refuse: denied}
  - {is: reply, from: server, when: {kind: 3}}
  id: id
  deadline: {place: time}
  metadata: {name: name}
  search: labels
  check: {kind: {max: 3}, last: 0x28}
  checksums: {place: crc, algorithm: sum32}
"""
LINES = """apiVersion: meltemi.io/v1
kind: Codec
metadata: {name: lines}
spec:
  calls: serial
  places:
    line: {at: 0, until: "\\n", max: 100, holds: words}
    size: {in: line, find: 1, type: decimal}
  frame: {from: line, length: size, max: 1000}
  messages: [{is: request, from: client}, {is: reply, from: server}]
"""
VARIANTS = """apiVersion: meltemi.io/v1
kind: Codec
metadata: {name: variants}
spec:
  calls: serial
  variants:
  - name: one
    places: {magic: {at: 0, size: 1}, kind: {at: 1, size: 1}}
    match: {magic: 1}
    frame: {size: 4, max: 4}
    messages: [{is: request, from: client, when: {kind: 1}}, {is: reply, from: server, when: {kind: 2}}]
  - name: two
    places: {magic: {at: 0, size: 1}, length: {at: 1, size: 1}, form: {at: 2, size: 1}}
    match: {magic: [1, 2], form: {max: 3}}
    frame: {length: length, max: 100}
    messages: [{is: request, from: client, when: {form: 1}}, {is: reply, from: server}]
"""


def causes(scratch):
    """What is wrong with a message is named."""
    file, lines = scratch / "causes.yaml", scratch / "lines.yaml"
    file.write_text(CAUSES)
    lines.write_text(LINES)

    def message(kind=1, body=b"\1\1a", last=0x28, magic=0xaa, wrong=0):
        data = struct.pack(">BBHI", magic, kind, 13 + len(body), 9) + body + bytes([last])
        return data + struct.pack(">I", sum(data) + wrong)

    rule = CAUSES[:CAUSES.index("refuse: denied")].count("\n") + 1
    for data, status, texts in (
            (message(), 0, ["deadline       7 ms", f"{'time':20} {'-':>6} {'-':>6}  7, its default", "name=a"]),
            (message(wrong=1), 1, [f"refused as bad_request: checksum crc is {sum(message()[:-4]) + 1:#x}, but {sum(message()[:-4]):#x} is computed"]),
            (message(last=0x29), 1, ["refused as bad_request: it contradicts check: last is 41"]),
            (message(kind=2), 1, [f"refused as denied: the rule of messages in line {rule} refuses it"]),
            (message(body=b"\1\1a\2\5a"), 1, ["refused as bad_request: container body breaks its format at byte 11"]),
            (message(body=b"\1\1a\2\3\5ab"), 0, ["unread         a container of search breaks its format: refused as bad_request if"]),
            (message(kind=9), 1, ["not a message of the client: no kind of message matches: kind is 9; Meltemi ends"]),
            (message(magic=0xab), 1, ["not a message of the client: match does not hold: magic is 171; Meltemi ends"])):
        has(run("codec", "test", file, "-", status=status, stdin=b"client: " + data.hex().encode())[0], *texts)
    variants = scratch / "variants.yaml"
    variants.write_text(VARIANTS)
    has(run("codec", "test", variants, "-", status=1, stdin=b"client: 02040900")[0],
        "not a message of the client: no variant matches: magic is 2, form is 9; Meltemi ends")
    long = "client: ac3e 02 00 00000007 00000015 0000 0002 0009 616e6e"
    has(run("codec", "test", scratch / "acme.yaml", "-", status=1, stdin=long.encode())[0],
        "refused as bad_request: user is longer than its message or container")
    lines.write_text(LINES + "  status: {place: size, ok: 0, other: server}\n")
    has(run("codec", "test", lines)[0], "  replies without size count as server: the place has no default\n")
    lines.write_text(LINES + '  samples: [{from: client, is: request, text: "3 PUT\\nabc"}]\n')
    has(run("codec", "test", lines)[0], "lines.yaml, line 11, byte 0: request of the client, 9 bytes\n")
    negative = "client: " + b"-3 PUT\nabc".hex()
    has(run("codec", "test", lines, "-", status=1, stdin=negative.encode())[0], "not a message of the client: the length is negative; ")


def many(scratch):
    text = scratch / "many.txt"
    text.write_text("client: " + "".join(request(i).hex() for i in range(120)))
    out, _ = run("codec", "test", scratch / "acme.yaml", text)
    has(out, "\n70 more messages and problems are not shown (--all)\n", "120 messages, 120 request; 0 refused, 0 problems")
    check(len(json.loads(run("--json", "codec", "test", scratch / "acme.yaml", text)[0])["messages"]) == 50, "50 messages as JSON")
    check(len(json.loads(run("--json", "codec", "test", "--all", scratch / "acme.yaml", text)[0])["messages"]) == 120, "all messages as JSON")


with tempfile.TemporaryDirectory() as folder:
    scratch = pathlib.Path(folder)
    page(scratch)
    every_message(scratch)
    tutorial(scratch)
    gaps(scratch)
    mistakes(scratch)
    causes(scratch)
    many(scratch)
print(f"{len(bad)} faults")
sys.exit(len(bad) > 0)
