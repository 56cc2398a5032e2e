# SPDX-License-Identifier: Apache-2.0
"""
Rows that another test proves (elsewhere.tsv): KIND, FIELD and the test, "smoke/NAME", "interop/xds/NAME" or "unit/LIBRARY/NAME". Most
are settings of a Node that are not part of what is compiled. The test has to exist and to contain the field's name.
"""

import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent


def read():
    """{row's name: test}"""
    out = {}
    for line in (HERE / "elsewhere.tsv").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        kind, field, test = line.split("\t")
        if out.setdefault(f"{kind} {field}", test) != test:
            raise SystemExit(f"elsewhere.tsv: {kind} {field} twice")
    return out


def _unit(library, name):
    """Of the file that has the test."""
    texts = [path.read_text() for path in sorted((TESTS / "unit" / library).glob("*.c"))]
    return next((text for text in texts if f'{{"{name}"' in text), None)


def text_of(test):
    """The test's source; None: there is no such test."""
    if test.startswith("unit/") and test.count("/") == 2:
        return _unit(*test.split("/")[1:])
    path = TESTS / f"{test}.py"
    return path.read_text() if path.exists() else None


def wrong(proved):
    out = []
    for name, test in proved.items():
        text, field = text_of(test), re.split(r"[ .\[\]]+", name.rstrip("[]"))[-1]
        if text is None:
            out.append(f"elsewhere.tsv: {name}: there is no test {test}")
        elif not re.search(rf"\b{re.escape(field)}\b", text):
            out.append(f"elsewhere.tsv: {name}: {test} does not contain {field}")
    return out
