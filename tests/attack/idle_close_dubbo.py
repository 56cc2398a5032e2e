#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Dubbo servers that close idle connections fail no call and execute none twice."""

from idle_servers import idle_closing
from others import main

main(lambda: idle_closing("dubbo"))
