#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program of one endpoint of three stops and goes on: it is ejected, asked by heartbeats, and used again."""

from others import main
from silence import recovers

main(lambda: recovers("dubbo"))
