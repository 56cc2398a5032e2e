# SPDX-License-Identifier: Apache-2.0
"""
Extracts the prose of a file for lints: comments and messages of C sources, and the text of Markdown pages. Leaves out code, drawings,
columns of values, licences, and text in backquotes.
"""

import bisect
import re

BREAK = "\x00"  # ends a sentence: no pattern matches across it
COLUMNS, TAB = 100, 4

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.S)
JOINED = re.compile(r"\s*(?:PRI\w+\s*)?")  # between two string literals of one message
RULE = re.compile(r"[-=_~.#+*─]{4,}")
DRAWN = re.compile(r"^\s*\||[|+─│┌└├┐┘►▲▼]\s*[-─+|]|\S {3,}\S")
LICENCE = re.compile(r"SPDX-License-Identifier|Permission is hereby granted|This (?:program|library) is free software")
ITEM = re.compile(r"\s*(?:[-*•]|\d+[.)]|\([a-z\d]\)|@\w+:?)\s")
QUOTED = re.compile(r"`[^`\n]+`")
ESCAPE = re.compile(r"\\(.)", re.S)
LINK = re.compile(r"!?\[([^][]*)\]\([^()]*\)")
WRITTEN = re.compile(r"<!-- from here on written by.*?(?:<!-- to here -->|\Z)|<!-- bench/peers: summary.*?end of summary -->|<!--.*?-->", re.S)
FENCED = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.S | re.M)
SENTENCE = re.compile(rf"[A-Za-z_][^{BREAK}\s]*(?:\s+[^{BREAK}\s]+){{2,}}")
STOP = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\bcf)[.!?](?=[\"')*_]*\s+(?:[\"'(*_]*[A-Z]|_[\s,]))")


class Prose:
    """Pieces of text in one string, and the line of the file in which each starts. Something in backquotes is `_`."""

    def __init__(self, pieces):
        self.starts, self.lines, texts, length = [], [], [], 0
        for text, line in pieces:
            self.starts.append(length)
            self.lines.append(line)
            texts.append(text)
            length += len(text) + 1
        self.raw = BREAK.join(texts)
        self.text = STOP.sub(BREAK, self.raw)

    def sentences(self):
        """Matches of SENTENCE: three words and more."""
        return SENTENCE.finditer(self.text)

    def is_question(self, sentence):
        return "?" in self.raw[sentence.end() - 1:sentence.end() + 1]

    def is_heading(self, sentence):
        return self.raw[max(sentence.start() - 2, 0):sentence.start()] == "# "

    def line(self, at):
        piece = bisect.bisect_right(self.starts, at) - 1
        return self.lines[piece] + self.text.count("\n", self.starts[piece], at)


def _indent(line):
    return len(line) - len(line.lstrip())


def _paragraphs(lines):
    """
    The lines of a comment, with BREAK in place of each that is not prose: empty lines, drawings, and code, which is indented by
    four columns after an empty line or a colon. An item of a list starts with a BREAK.
    """
    base = min((_indent(line) for line in lines if line.strip()), default=0)
    before, in_list = "", False
    for line in lines:
        item = ITEM.match(line)
        in_list = bool(item) or (in_list and _indent(line) > base)
        starts_code = before == "" or before.endswith((":", BREAK))
        if not line.strip():
            out = ""
        elif _indent(line) >= base + 4 and starts_code and not in_list:
            out = BREAK
        elif RULE.search(line):
            out = BREAK + "# " + RULE.sub("", line).strip() + BREAK
        elif DRAWN.search(line):
            out = BREAK
        else:
            out = BREAK + line[item.end():] if item else line.rstrip()
        before = out
        yield out or BREAK


def _comment(token):
    if LICENCE.search(token):
        return BREAK + "\n" * token.count("\n")
    body = token[2:-2] if token.startswith("/*") else token[2:]
    # Stars count as indentation, so that all lines of a comment but the first have the same.
    first, *others = [re.sub(r"^( *)\*", r"\1 ", line.expandtabs(8)) for line in body.split("\n")]
    margin = min((_indent(line) for line in others if line.strip()), default=0)
    return QUOTED.sub("_", "\n".join(_paragraphs([" " * margin + first.lstrip(), *others])))


def _tokens(source):
    """(text, start, line) of each comment and literal."""
    line = at = 0
    for match in TOKEN.finditer(source):
        line += source.count("\n", at, match.start())
        at = match.start()
        yield match[0], at, line + 1


def _plain(literal):
    return ESCAPE.sub(lambda m: {"n": BREAK, "t": " "}.get(m[1], m[1]), literal[1:-1])


def _wide(source, token, at, line):
    """The lines in which a comment goes beyond COLUMNS."""
    begin = source.rfind("\n", 0, at) + 1
    for i, text in enumerate((source[begin:at] + token).split("\n")):
        if len(text.expandtabs(TAB)) > COLUMNS:
            yield line + i


def of_source(source):
    """(Prose of the comments, Prose of the messages, lines with comments beyond COLUMNS)."""
    comments, messages, wide, end = [], [], [], None
    for token, at, line in _tokens(source):
        if token[0] == "/":
            comments.append((_comment(token), line))
            wide += _wide(source, token, at, line)
        elif token[0] == '"':
            text = _plain(token)
            if end is not None and JOINED.fullmatch(source, end, at):
                before, first = messages.pop()
                text, line = before + "\n" * (line - first - before.count("\n")) + text, first
            messages.append((text, line))
            end = at + len(token)
    # A literal of one word is a name.
    return Prose(comments), Prose([(text, line) for text, line in messages if " " in text.strip()]), wide


def _emptied(match):
    return BREAK + "\n" * match[0].count("\n")


def of_page(page):
    """The text of a Markdown page, without what programs write into it."""
    out, code, in_list = [], True, False
    for line in FENCED.sub(_emptied, WRITTEN.sub(_emptied, page)).split("\n"):
        item = ITEM.match(line)
        if line.startswith("    ") and code and not in_list and not item:
            out.append(BREAK)
            continue
        code = not line.strip()
        in_list = bool(item) or (in_list and (code or line.startswith(" ")))
        text = QUOTED.sub("_", LINK.sub(r"\1", line))
        if code or set(line) <= set("|-: "):
            out.append(BREAK)
        elif line.startswith("|"):
            out.append(text.replace("|", BREAK))
        elif line.startswith("#"):
            out.append(BREAK + text + BREAK)
        else:
            out.append(BREAK + ITEM.sub("", text, count=1) if item else text)
    return Prose([("\n".join(out), 1)])
