# SPDX-License-Identifier: Apache-2.0
"""
Schemas of JSON answers, a file for each command of the shell. MELTEMI_WRITE=1 writes what a lab sees, to be looked at.
As a program it checks the answer of a command on its standard input.
"""

import json
import os
import pathlib
import re
import sys
import time

import jsonschema

from .check import check

SCHEMAS = pathlib.Path(__file__).resolve().parent.parent / "schemas"
# Commands that the shell itself answers, so that `help` does not list them.
OF_THE_SHELL = {"codec test", "doctor", "import", "join", "nic", "nic show"}
WRITE = bool(os.environ.get("MELTEMI_WRITE"))


def file_of(command):
    return SCHEMAS / (command.replace(" ", "_") + ".json")


def of_command(command):
    return json.loads(file_of(command).read_text())


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
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC|Z)?", value):
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


def with_rows(schema, old):
    """A table that is empty here keeps the rows of its schema, and one with rows here gets them: another lab has the others."""
    for name, part in schema["properties"].items():
        before = old.get("properties", {}).get(name, {})
        if part.get("items") == {}:
            part["items"] = before.get("items", {})
    return schema


def unfit(command, answer):
    """Why the answer does not fit the schema of its command; None if it does."""
    try:
        jsonschema.validate(answer, of_command(command))
    except jsonschema.ValidationError as error:
        return f"--json {command}: {error.message} at {list(error.absolute_path)}"
    return None


def fits(command, answer):
    """The answer fits the schema of its command, with rows that all have the same members, and times as text and in milliseconds."""
    check_rows(command, answer)
    path = file_of(command)
    if WRITE:
        old = of_command(command) if path.exists() else {}
        if not old or unfit(command, answer) or any(answer.get(name) for name, part in old["properties"].items() if part.get("items") == {}):
            schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": command, **schema_of(answer)}
            path.write_text(json.dumps(with_rows(schema, old), indent=1, sort_keys=True) + "\n")
        return
    check(path.exists(), f"{command} has no schema; write it with MELTEMI_WRITE=1 and look at it")
    why = unfit(command, answer)
    check(not why, why)


if __name__ == "__main__":
    fits(sys.argv[1], json.load(sys.stdin))
