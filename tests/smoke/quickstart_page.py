#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/tutorials/first-service.md, followed to the letter on a machine of its own."""

from meltemi_lab import equal, main, page


def body():
    # What runs the tests has built, and installed what is needed.
    printed, _ = page.follow("first-service.md", ("1. Build",))
    equal(printed.count("<title>Directory listing"), 2, "pages that came through Meltemi")


main(body)
