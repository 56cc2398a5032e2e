#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Every command of the table on a real node under calls: its --json fits its schema (tests/smoke/schemas), and its text
is the example in docs/reference/commands.md but for numbers. MELTEMI_WRITE=1 writes schemas and examples, to be looked at.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import time

import jsonschema

from meltemi_lab import TESTS, Lab, check, equal, main
from meltemi_lab.daemon import MELTEMID

PAGE = TESTS.parent / "docs/reference/commands.md"
SCHEMAS = pathlib.Path(__file__).resolve().parent / "schemas"
WRITE = bool(os.environ.get("MELTEMI_WRITE"))
MARK = "<!-- from here on written by tests/smoke/every_command_answers.py -->\n"

# Commands that want words, or whose answer is long.
WORDS = {
    "show connections": "limit 2", "show slow": "limit 2", "show counters": "proxy_down_", "show meaning": "proxy_down_full",
    "show memory": "sort in_use limit 6", "show tables": "sort percent limit 3", "show resources": "limit 3",
    "show history": "limit 3", "show topology": "limit 2", "show log": "limit 3", "show overrides": "limit 2", "show objects": "limit 4",
    "show stages": "limit 4", "show config origin": "limit 2", "show offloads": "where port=p0 limit 4", "show clusters": "demoservice", "show routes": "demoservice",
    "show services": "where requests>0", "help": "drain", "complete": "show po*",
    "tune drain": "198.51.100.11:20880", "tune weight": "198.51.100.12:20880 5", "tune worker": "burst=16",
    "tune limit": "thrift-sample-server.meta-thrift.svc.cluster.local:9090 max=100 report-only=on",
    "tune fault": "thrift-sample-server.meta-thrift.svc.cluster.local delay=50ms delay-percent=1",
    "tune split": "org.apache.dubbo.samples.basic.api.demoservice traffic-splitting v1=50 v2=50", "tune keep": "all", "tune drop": "all", "log level": "dns warn",
    "ready": "on", "diff": "1 2", "forget": "DestinationRule meta-dubbo/dubbo-demoservice", "rollback": "1", "commit confirm": "60s",
    "trace start": "service=*demoservice count 1", "trace show": "", "capture start": "messages service=*demoservice",
    "capture read": "2", "explain": "protocol=dubbo service=org.apache.dubbo.samples.basic.api.demoservice",
}
# What comes and goes by chance; the schema still holds it.
MOVES = {"show errors", "trace show", "capture read", "show capture", "show health", "show slow", "show exchanges", "show neighbours", "show talkers", "show connections"}
LAST = ("forget", "reload", "drain")
# What makes it possible to run a command once more.
AGAIN = {"trace start": "trace stop", "trace stop": "trace start", "capture start": "capture stop",
         "capture stop": "capture start", "commit": "commit confirm 60s"}


# What says by its exit status that it has found something.
FINDS = {"analyse"}
# What is about calls that are made meanwhile.
CALLED = {"capture read"}


def plain(text):
    """The text without what differs from run to run: numbers, addresses of cards, widths of columns, equal rows, where memory is from."""
    text = re.sub(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC", text, flags=re.I)
    text = re.sub(r"\b\d+ MB (in|without) hugepages.*", "MB of memory", text)
    text = re.sub(r"\d+", "0", text)
    lines = []
    for line in text.splitlines():
        line = re.sub(r"\s+", " ", re.sub(r"(?<=\s)-(?=\s|$)", "0", line)).strip()
        if not lines or line != lines[-1]:
            lines.append(line)
    return lines


def schema_of(value):
    """
    The narrowest schema that we are ready to promise for what was seen. An answer has all its members whatever happened before:
    those that have nothing to say are null, so whatever is seen may be null, and what is null may become anything.
    """
    if isinstance(value, bool):
        return {"type": ["boolean", "null"]}
    if isinstance(value, int):
        return {"type": ["integer", "null"]}
    if isinstance(value, float):
        return {"type": ["number", "null"]}
    if isinstance(value, str):
        return {"type": ["string", "null"]}
    if value is None:
        return {}
    if isinstance(value, list):
        return {"type": ["array", "null"], "items": joined([schema_of(item) for item in value])}
    return {"type": "object", "properties": {key: schema_of(item) for key, item in value.items()},
            "required": sorted(value), "additionalProperties": False}


def joined(schemas):
    """One schema for all rows of a table, or for all values that a member of them has. An object whose members differ is a map."""
    schemas = [schema for schema in schemas if schema]
    if not schemas:
        return {}
    first = schemas[0]
    if all("properties" in schema for schema in schemas):
        if any(schema["required"] != first["required"] for schema in schemas):
            return {"type": "object"}
        parts = {name: joined([schema["properties"][name] for schema in schemas]) for name in first["required"]}
        return {**first, "properties": parts}
    if all("items" in schema for schema in schemas):
        return {**first, "items": joined([schema["items"] for schema in schemas])}
    types = [[schema["type"]] if isinstance(schema["type"], str) else schema["type"] for schema in schemas]
    return {"type": sorted(set().union(*types))}


def check_times(command, row):
    """A time is there as text and in milliseconds."""
    for key, value in row.items():
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*", value):
            ms = row.get(f"{key}_unix_ms")
            check(ms and time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(ms // 1000)) == value, f"--json {command}: {key} is {value}, and in ms {ms}")
        if key.endswith("_unix_ms"):
            check((row[key] is None) == (row[key.removesuffix("_unix_ms")] is None), f"--json {command}: {key} without text, or the reverse: {row}")


def check_rows(command, answer):
    """Each row of a table has the same members, so that none of them depends on what has happened."""
    for name, rows in answer.items():
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            odd = {key for row in rows for key in row.keys() ^ rows[0].keys()}
            check(not odd, f"--json {command}: not every row of {name} has {sorted(odd)}")
            for row in rows:
                check_times(command, row)


def keep_rows(schema, old):
    """What a row of a table is that happens to be empty here stays as it was: other tests see rows of it."""
    for name, part in schema["properties"].items():
        if part.get("items") == {}:
            part["items"] = old.get("properties", {}).get(name, {}).get("items", {})


def check_schema(command, answer):
    check_rows(command, answer)
    path = SCHEMAS / (command.replace(" ", "_") + ".json")
    if WRITE:
        schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": command, **schema_of(answer)}
        keep_rows(schema, json.loads(path.read_text()) if path.exists() else {})
        path.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")
        return
    check(path.exists(), f"{command} has no schema; write it with MELTEMI_WRITE=1 and look at it")
    try:
        jsonschema.validate(answer, json.loads(path.read_text()))
    except jsonschema.ValidationError as error:
        check(False, f"--json {command}: {error.message} at {list(error.absolute_path)}")


class Direct:
    """The admin socket, without a process for each command."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rb")

    def ask(self, line):
        """Exit code and answer."""
        self.sock.sendall(f"--json {line}\n".encode())
        _, code, size = self.file.readline().split()
        return int(code), json.loads(self.file.read(int(size)))

    def tables(self, line):
        code, answer = self.ask(line)
        equal(code, 0, f"exit code of {line}: {str(answer)[:300]}")
        return {name: rows for name, rows in answer.items() if isinstance(rows, list) and rows and isinstance(rows[0], dict)}


def constant(value):
    """The value as an expression has it. What a line cannot hold matches `*`, as do blanks, of which a line keeps one."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str):
        return json.dumps(value)
    return '"' + re.sub(r'[\x00-\x1f"]|\s\s+|--', "*", value[:200]) + ("*" if len(value) > 200 else "") + '"'


def finds_first_row(direct, command, table, column, value):
    """Whether `where COLUMN=VALUE` has the row of which the value is: it is the first that matches. A value that moves is tried again."""
    if isinstance(value, (list, dict)):
        return bool(direct.tables(f"{command} where {column}!=- limit 1").get(table))
    seen = set()
    for _ in range(10):
        rows = direct.tables(f"{command} where {column}={constant(value)} limit 1").get(table, [])
        if rows and (rows[0][column] == value or isinstance(value, float)):
            return True
        seen.add(value)
        value = next((row[column] for row in direct.tables(command).get(table, [])), None)
    text = constant(value)
    return len(seen) > 1 and bool(direct.tables(f"{command} where {column}<{text} or {column}>={text} or {column}=- limit 1").get(table))


def every_column_selects(daemon, commands):
    """`where` knows every column of every table that there is, by the value of its first row; and no other."""
    direct, seen = Direct(daemon.directory / "admin.sock"), 0
    for command in commands:
        for table, rows in direct.tables(command).items():
            for column, value in rows[0].items():
                check(finds_first_row(direct, command, table, column, value), f"{command} where {column}={constant(value)} has no row of {table}")
                seen += 1
            code, answer = direct.ask(f"{command} where {column}x=1")
            check(code == 2 and f"`{column}x` is not a field here; " in answer["error"] and "fields are: " in answer["error"], f"{command}: {code} {answer}")
    check(seen > 200, f"only {seen} columns")


def examples_of_page():
    text = PAGE.read_text() if PAGE.exists() else ""
    return dict(re.findall(r"^### ([^\n]+)\n\n[^\n]+\n\n```\n\$[^\n]*\n(.*?)```\n", text, re.M | re.S))


def ordered(commands):
    """Those that end something come last, a trace is started before it is shown."""
    return [c for c in commands if c["command"] not in LAST] + [c for c in commands if c["command"] in LAST]


def body():
    page, known = [], examples_of_page()
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks").start()
        table = json.loads(daemon.shell("--json", "help"))["commands"]
        fresh = {row["command"]: json.loads(daemon.shell("--json", *f"{row['command']} {WORDS.get(row['command'], '')}".split()))
                 for row in table if row["command"].startswith("show ")}

        def call(count=1):
            lab.dubbo_client("240.240.0.10:20880", count=count, outstanding=1).result()

        call(100)
        manual = subprocess.run([MELTEMID, "--commands"], capture_output=True, text=True, check=True).stdout
        every_column_selects(daemon, [row["command"] for row in table if row["command"].startswith("show ")])
        for row in ordered(table):
            check(f"**{row['command']}**" in manual, f"the manual page has no {row['command']}")
            command = row["command"]
            words = f"{command} {WORDS.get(command, '')}".split()
            if command in CALLED:
                call()
            text = daemon.shell(*words, fail=command not in FINDS)
            if command in AGAIN:
                daemon.shell(*AGAIN[command].split())
            if command in CALLED:
                call()
            answer = json.loads(daemon.shell("--json", *words, fail=command not in FINDS))
            check_schema(command, answer)
            if command in fresh:
                check(fresh[command].keys() == answer.keys(), f"--json {command}: {fresh[command].keys() ^ answer.keys()} depends on luck")
            text = text.replace(str(daemon.directory), "/etc/meltemi").replace(lab.id, "node1")
            page.append(f"### {command}\n\n{row['help'][0].upper()}{row['help'][1:]}.\n\n```\n$ meltemi {' '.join(words)}\n{text}```\n")
            if not WRITE:
                check(command in known, f"{PAGE.name} has no example of {command}; write it with MELTEMI_WRITE=1")
                shown = known[command]
                if command not in MOVES:
                    check(plain(shown) == plain(text), f"the example of {command} is\n{plain(shown)}\nnow it is\n{plain(text)}")
    if WRITE:
        PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + "\n" + "\n".join(page))
        print(f"written: {PAGE}, {SCHEMAS}")


main(body)
