#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_dubbo.py with the older Apache Dubbo 2.7.23."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import test_dubbo  # noqa: E402
from meltemi_lab import main  # noqa: E402

main(lambda: test_dubbo.body("2.7.23"))
