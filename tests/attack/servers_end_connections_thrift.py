#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Thrift servers that close, reset, half-close and leave calls unread: what they have provably not read is sent again."""

from faulty_servers import endings
from others import main

main(lambda: endings("thrift"))
