#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An endpoint of three falls silent and the time-out is 300 s: clients that come later are answered all the same."""

from others import main
from silence import silent

main(lambda: silent("ROUND_ROBIN", "300s", patience=4, fresh=True))
