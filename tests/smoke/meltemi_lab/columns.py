# SPDX-License-Identifier: Apache-2.0
"""Every table of every `show`: each of its columns selects rows by `where`."""

import json
import re
import socket

from . import schemas
from .check import check, equal


class Direct:
    """The admin socket, without a process for each command."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rb")
        self.empty, self.answer = set(), None  # tables without a row in the last answer, and the answer

    def ask(self, line):
        """Exit code and answer."""
        self.sock.sendall(f"--json {line}\n".encode())
        _, code, size = self.file.readline().split()
        return int(code), json.loads(self.file.read(int(size)))

    def tables(self, line):
        code, answer = self.ask(line)
        equal(code, 0, f"exit code of {line}: {str(answer)[:300]}")
        self.answer = answer
        self.empty = {name for name, rows in answer.items() if rows == []}
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


def every_column_selects(daemon, commands, empty):
    """
    `where` finds a row by each column of every table, with the first value that there is, and refuses other fields with status 2. `empty`: the
    tables that may have no row here, so that none is left out without a word. Every answer fits its schema. Returns the number of columns.
    """
    direct, seen = Direct(daemon.directory / "admin.sock"), 0
    for command in commands:
        tables = direct.tables(command)
        schemas.fits(command, direct.answer)
        bare = {(command, table) for table in direct.empty} - empty
        check(not bare, f"no row to select in {sorted(bare)}: make one, or name the table and the lab that has rows of it")
        for table, rows in tables.items():
            for column in rows[0]:
                value = next((row[column] for row in rows if row[column] is not None), None)
                check(finds_first_row(direct, command, table, column, value), f"{command} where {column}={constant(value)} has no row of {table}")
                seen += 1
            code, answer = direct.ask(f"{command} where {column}x=1")
            check(code == 2 and f"`{column}x` is not a field here; " in answer["error"] and "fields are: " in answer["error"], f"{command}: {code} {answer}")
    return seen
