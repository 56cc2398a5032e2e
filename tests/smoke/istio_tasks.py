#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Istio's documented tasks of authorization and authentication, rewritten for Dubbo, Thrift and bytes: each document of istio_tasks_rows says of
which task it is and what callers get, in clear text and by mutual TLS; who is not answered never comes to a server. How they are read is in
meltemi_lab/rows.py.
"""

from meltemi_lab import ROOT, TESTS, main
from meltemi_lab.rows import run


def body():
    run(TESTS / "smoke/istio_tasks_rows", ROOT / "docs/testing/policies.md")


main(body)
