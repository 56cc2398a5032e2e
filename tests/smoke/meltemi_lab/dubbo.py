# SPDX-License-Identifier: Apache-2.0
"""Dubbo frames for tests that write them by hand: those of tests/interop/dubbo."""

import sys

from .paths import TESTS

sys.path.insert(0, str(TESTS / "interop" / "dubbo"))

from wire import Frames, frame, heartbeat, parse_reply, reply, request  # noqa: E402,F401
