#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A client that reads all the time is not taken for a slow reader: where replies wait for one that is slow at its server (Thrift: the
first of 16; Dubbo: a long one that its server writes over two seconds, others come meanwhile).
"""

import kit
from others import Others, equal, main


def thrift():
    with Others(proto="thrift", servers=3) as lab:
        reader = lab.caller()
        reader.calls((800, 50_000, 0), *[(0, 50_000, 0)] * 15)
        reader.read(10)
        equal(reader.verdict(), kit.GOOD, "Thrift calls behind a slow one")


def dubbo():
    with Others(servers=2, serving={"slices": 20, "slices_ms": 2000}) as lab:
        reader = lab.caller()
        reader.calls((0, 100_000, 0), *[(0, 50_000, 0)] * 80)
        reader.read(15)
        equal(reader.verdict(), kit.GOOD, "Dubbo calls beside a long reply")


def body():
    thrift()
    dubbo()


main(body)
