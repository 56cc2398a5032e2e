# SPDX-License-Identifier: Apache-2.0
"""
Requests by which a caller may try to have a method run that a policy denies him: DemoService's note and mark, of which servers tell how
often they ran. For mark nobody has to say of what types arguments are: servers look these up by the body's name of the service.
"""

import hessian2
import wire

DEMO = wire.INTERFACE
NOTHING = "x.Y"  # no service's name
GREET = DEMO.replace("DemoService", "GreetService")  # another one's, which nobody is denied
STRING = "Ljava/lang/String;"
GENERIC = STRING + "[" + STRING + "[Ljava/lang/Object;"
IDENT = 77
text = hessian2.string


def chunked(value):
    """The same text in two pieces."""
    data = value.encode()
    return b"R" + (2).to_bytes(2, "big") + data[:2] + b"S" + (len(data) - 2).to_bytes(2, "big") + data[2:]


def longer(value, size=2):
    """The same text in characters of more bytes than they need, which is no UTF-8 (RFC 3629 section 3), and which Java's readers of Hessian take."""
    forms = {2: lambda c: bytes((0xC0 | c >> 6, 0x80 | c & 0x3F)), 3: lambda c: bytes((0xE0, 0x80 | c >> 6, 0x80 | c & 0x3F))}
    return (b"S" + len(value).to_bytes(2, "big")) + b"".join(map(forms[size], value.encode()))


def pairs(*entries):
    """As they are written: no key is lost by being there twice. Bytes are values that are encoded already."""
    return b"".join(one if isinstance(one, bytes) else hessian2.encode(one) for entry in entries for one in entry)


def attachments(*entries):
    return b"H" + pairs(*entries) + b"Z"


def typed(*entries):
    """A map that says of which class it is."""
    return b"M" + text("java.util.HashMap") + pairs(*entries) + b"Z"


def deep(levels):
    return b"\x79" * levels + b"N"


def body(interface=DEMO, version="0.0.0", method="note", types=STRING, args=text("x"), attached=attachments()):
    encoded = [one if isinstance(one, bytes) else text(one) for one in (interface, version, method, types)]
    return b"".join((b"\x052.0.2", *encoded, args, attached))


def mark(flags=wire.REQUEST | wire.TWO_WAY, args=b"", **parts):
    return framed(body(method="mark", types="", args=args, **parts), flags)


def frame(flags=wire.REQUEST | wire.TWO_WAY, serialization=wire.HESSIAN2, **parts):
    return framed(body(**parts), flags, serialization)


def framed(payload, flags=wire.REQUEST | wire.TWO_WAY, serialization=wire.HESSIAN2):
    return wire.HEADER.pack(wire.MAGIC, flags | serialization, 0, IDENT, len(payload)) + payload


def generic(name, method="$invoke", **parts):
    values = name if isinstance(name, bytes) else text(name)
    values += b"\x71" + text("[string") + text("java.lang.String") + b"\x71" + text("[object") + text("x")
    return frame(method=method, types=GENERIC, args=values, **parts)


def many(count, *entries):
    return attachments(*((f"k{n}", "v") for n in range(count)), *entries)


# ---- fastjson2, as Dubbo 3.2 frames it: each value behind its length ---------------------------------------------------------

FASTJSON2 = 23


def jsonb(value):
    data = value.encode()
    return (bytes([0x49 + len(data)]) if len(data) < 48 else b"\x79\x38" + bytes([len(data)])) + data


def sized(value):
    return len(value).to_bytes(4, "big") + value


def fastjson2(method="note", interface=DEMO, path=DEMO, types=STRING):
    values = [jsonb(value) for value in ("2.0.2", interface, "0.0.0", method, types, *(["x"] if types else []))]
    return framed(b"".join(map(sized, [*values, b"\xa6" + jsonb("path") + jsonb(path) + b"\xa5"])), serialization=FASTJSON2)


def java(method="note"):
    """Java's own, of primitives without their stream's head ("nativejava", 7), strings behind a mark that they are there."""
    def utf(value):
        return b"\1" + len(value).to_bytes(4, "big") + len(value).to_bytes(2, "big") + value.encode()
    return framed(b"".join(map(utf, ("2.0.2", DEMO, "0.0.0", method, STRING))), serialization=3)


TELNET = f'invoke {DEMO}.note("x")\r\n'.encode()

# ---- what is tried: name, policy, at which servers it has the method run if nobody is in front of them, bytes ----------------------
# by-method: DENY methods [note]; by-path: DENY its path; by-group: DENY group g1; by-interface, by-the-key-method: by such metadata; by-role: DENY who has no role=admin; only-hello: ALLOW sayHello's path.

WAYS = [
    ("as it is", "by-method", "23", frame()),
    ("$invoke", "by-method", "23", generic("note")),
    ("$invoke of one of another policy's", "only-hello", "23", generic("note")),
    ("$invokeAsync", "by-method", "23", generic("note", "$invokeAsync")),
    ("$invoke with blanks around the name", "by-method", "23", generic(" \t note\r\n\0")),
    ("$invoke with the name in pieces", "by-method", "23", generic(chunked("note"))),
    ("the method's name in pieces", "by-method", "23", frame(method=chunked("note"))),
    ("the method's name in longer forms", "by-method", "23", frame(method=longer("note"))),
    ("the method's name in the longest forms", "by-method", "23", frame(method=longer("note", 3))),
    ("$invoke with the name in longer forms", "by-method", "23", generic(longer("note"))),
    ("$invoke in longer forms", "by-method", "23", generic("note", longer("$invoke"))),
    ("one way", "by-method", "23", frame(wire.REQUEST)),
    ("one way, $invoke", "by-method", "23", generic("note", flags=wire.REQUEST)),
    ("as an event", "by-method", "", frame(wire.REQUEST | wire.TWO_WAY | wire.EVENT)),
    ("as an event, one way", "by-method", "", frame(wire.REQUEST | wire.EVENT)),
    ("in fastjson2", "by-method", "3", fastjson2()),
    ("in fastjson2, by path", "by-path", "3", fastjson2()),
    ("in Java's serialization", "by-method", "", java()),
    ("of a type that is not the method's", "by-method", "", frame(types="Ljava/lang/Object;")),
    ("as it is, by path", "by-path", "23", mark()),
    ("the attachment path", "by-path", "2", mark(interface=NOTHING, attached=attachments(("path", DEMO)))),
    ("the attachment path, against the body", "by-path", "", mark(attached=attachments(("path", NOTHING)))),
    ("the attachment interface", "by-path", "", mark(interface=NOTHING, attached=attachments(("interface", DEMO)))),
    ("the attachment path, beside another service's name", "by-path", "23", mark(interface=GREET, attached=attachments(("path", DEMO)))),
    ("the service's key as the attachment path, beside another's name", "by-path", "23", mark(interface=GREET, attached=attachments(("path", f"g1/{DEMO}:1.0.0")))),
    ("path behind 129 attachments, beside another's name", "by-path", "23", mark(interface=GREET, attached=many(129, ("path", DEMO)))),
    ("path behind one that is nested deep, beside another's name", "by-path", "23", mark(interface=GREET, attached=attachments(("k", deep(70)), ("path", DEMO)))),
    ("path, beside another's name, in fastjson2", "by-path", "3", fastjson2("mark", GREET, DEMO, "")),
    ("path twice, beside another's name", "by-path", "23", mark(interface=GREET, attached=attachments(("path", GREET), ("path", DEMO)))),
    ("path twice", "by-path", "2", mark(interface=NOTHING, attached=attachments(("path", NOTHING), ("path", DEMO)))),
    ("path twice, the other way", "by-path", "", mark(interface=NOTHING, attached=attachments(("path", DEMO), ("path", NOTHING)))),
    ("path in a map with a class", "by-path", "2", mark(interface=NOTHING, attached=typed(("path", DEMO)))),
    ("path in pieces", "by-path", "2", mark(interface=NOTHING, attached=attachments(("path", chunked(DEMO))))),
    ("the key path in pieces", "by-path", "2", mark(interface=NOTHING, attached=attachments((chunked("path"), DEMO)))),
    ("path in longer forms", "by-path", "2", mark(interface=NOTHING, attached=attachments(("path", longer(DEMO))))),
    ("the key path in longer forms", "by-path", "2", mark(interface=NOTHING, attached=attachments((longer("path"), DEMO)))),
    ("the name in longer forms", "by-path", "23", mark(interface=longer(DEMO))),
    ("path, and $invoke", "by-path", "2", generic("note", interface=NOTHING, attached=attachments(("path", DEMO)))),
    ("path behind 129 attachments", "by-path", "2", mark(interface=NOTHING, attached=many(129, ("path", DEMO)))),
    ("path behind 40 KiB of attachments", "by-path", "2", mark(interface=NOTHING, attached=attachments(*((f"k{n}", "v" * 1000) for n in range(40)), ("path", DEMO)))),
    ("path behind one that is nested deeper than is read", "by-path", "2", mark(interface=NOTHING, attached=attachments(("k", deep(70)), ("path", DEMO)))),
    ("path behind an argument too many", "by-path", "", mark(interface=NOTHING, args=text("x"), attached=attachments(("path", DEMO)))),
    ("bytes behind the attachments", "by-path", "2", mark(interface=NOTHING, attached=attachments(("path", DEMO)) + b"NNNN")),
    ("the service's key as the name", "by-path", "2", mark(interface=f"g1/{DEMO}", version="1.0.0")),
    ("the service's key with the version as the name", "by-path", "2", mark(interface=f"g1/{DEMO}:1.0.0")),
    ("the service's key as the attachment path", "by-path", "2", mark(interface=NOTHING, attached=attachments(("path", f"g1/{DEMO}:1.0.0")))),
    ("the group", "by-group", "23", frame(version="1.0.0", attached=attachments(("group", "g1")))),
    ("the group twice", "by-group", "23", frame(version="1.0.0", attached=attachments(("group", "x"), ("group", "g1")))),
    ("the group twice, the other way", "by-group", "", frame(version="1.0.0", attached=attachments(("group", "g1"), ("group", "g1x")))),
    ("the group, behind 129 others", "by-group", "23", frame(version="1.0.0", attached=many(129, ("group", "g1")))),
    ("the group in the name", "by-group", "2", mark(interface=f"g1/{DEMO}", version="1.0.0")),
    ("the group in the attachment path", "by-group", "23", frame(attached=attachments(("path", f"g1/{DEMO}:1.0.0")))),
    ("the attachment path, by the key interface", "by-interface", "23", mark(interface=GREET, attached=attachments(("path", DEMO)))),
    ("the service's key, by the key interface", "by-interface", "2", mark(interface=f"g1/{DEMO}:1.0.0")),
    ("$invoke, by the key method", "by-the-key-method", "23", generic("note")),
    ("as it is, by the key method", "by-the-key-method", "23", frame()),
    ("no role", "by-role", "23", frame()),
    ("the group's key in longer forms", "by-group", "23", frame(version="1.0.0", attached=attachments((longer("group"), "g1")))),
    ("a role of another's in longer forms", "by-role", "23", frame(attached=attachments(("role", "admin"), (longer("role"), "guest")))),
    ("two roles", "by-role", "23", frame(attached=attachments(("role", "admin"), ("role", "guest")))),
    ("two roles, the other way", "by-role", "23", frame(attached=attachments(("role", "guest"), ("role", "admin")))),
    ("a role of other letters", "by-role", "23", frame(attached=attachments(("role", "Admin")))),
    ("a role behind 129 others", "by-role", "23", frame(attached=many(129, ("role", "guest")))),
    ("as it is, not allowed", "only-hello", "23", frame()),
    ("by the attachment path, not allowed", "only-hello", "2", mark(interface=NOTHING, attached=attachments(("path", DEMO)))),
    ("one way, not allowed", "only-hello", "23", frame(wire.REQUEST)),
    ("in fastjson2, not allowed", "only-hello", "3", fastjson2()),
    ("telnet", "by-method", "", TELNET),
    ("telnet behind a frame", "by-method", "", wire.heartbeat(1) + TELNET),
    ("telnet, and a frame behind it", "by-method", "23", TELNET + frame()),
    ("rubbish, and a frame behind it", "by-method", "23", b"\r\n" + frame()),
    ("a frame in a frame's rubbish", "by-method", "", wire.heartbeat(1) + b"\xda" + frame()),
    ("rubbish between frames", "only-hello", "23", wire.heartbeat(1) + b"status\r\n" + frame()),
]
POLICIES = {
    "by-method": "{action: DENY, rules: [{to: [{operation: {methods: [note]}}]}]}",
    "by-path": f"{{action: DENY, rules: [{{to: [{{operation: {{paths: [/{DEMO}/note, /{DEMO}/mark]}}}}]}}]}}",
    "by-group": "{action: DENY, rules: [{when: [{key: 'request.headers[group]', values: [g1]}]}]}",
    "by-interface": f"{{action: DENY, rules: [{{when: [{{key: 'request.headers[interface]', values: [{DEMO}]}}]}}]}}",
    "by-the-key-method": "{action: DENY, rules: [{when: [{key: 'request.headers[method]', values: [note]}]}]}",
    "by-role": "{action: DENY, rules: [{to: [{operation: {methods: [note]}}], when: [{key: 'request.headers[role]', notValues: [admin]}]}]}",
    "only-hello": f"{{rules: [{{to: [{{operation: {{paths: [/{DEMO}/sayHello]}}}}]}}]}}",
}
