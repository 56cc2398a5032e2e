#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program of one endpoint of three stops and goes on: it is ejected, tried by a call, and used again."""

from others import main
from silence import recovers

main(lambda: recovers("thrift"))
