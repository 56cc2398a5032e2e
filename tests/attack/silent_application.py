#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program of one endpoint of three stops, its kernel does not, with a time-out of one second."""

from others import main
from silence import silent

main(lambda: silent("ROUND_ROBIN", "1s", what="program"))
