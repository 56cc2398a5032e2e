#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An endpoint of three falls silent under round robin, with a time-out of one second."""

from others import main
from silence import silent

main(lambda: silent("ROUND_ROBIN", "1s"))
