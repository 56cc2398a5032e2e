#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Who enforces what: for each kind of object, at this node's own doors, in front of instances without a proxy, as the client of instances with one,
and outside of the mesh. Each document of policy_cells_rows is one such case, with what becomes of it and what callers get. How they are read is
in meltemi_lab/rows.py.
"""

from meltemi_lab import ROOT, TESTS, main
from meltemi_lab.rows import run


def body():
    run(TESTS / "smoke/policy_cells_rows", ROOT / "docs/testing/policies.md")


main(body)
